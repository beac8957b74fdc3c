import { expect, test } from "vitest";

import type { Frame, Stack } from "../../web/src/report";
import { depthOf, type FlameNode, flameTree } from "../../web/src/tree";

const MAIN = frame("main");
const READ = frame("read");
const WRITE = frame("write");
const MALLOC = { ...frame("malloc"), native: true };

function frame(name: string, line = 1): Frame {
  return { function: name, path: `${name}.py`, line, native: false, project: true };
}

/** From the outermost call inwards, unlike reports have it. */
function stack(bytes: number, ...frames: Frame[]): Stack {
  return { kind: "peak", bytes, allocations: 1, frames: frames.reverse() };
}

function shape({ name, value, children }: FlameNode): unknown {
  return children.length === 0 ? [name, value] : [name, value, children.map(shape)];
}

test("stacks are joined where they begin alike, the largest first", () => {
  const stacks = [stack(1, MAIN, READ), stack(5, MAIN, WRITE), stack(2, MAIN, READ)];
  const tree = flameTree(stacks, { name: "all", native: true });
  expect(shape(tree)).toEqual([
    "all",
    8,
    [
      [
        "main",
        8,
        [
          ["write", 5],
          ["read", 3],
        ],
      ],
    ],
  ]);
  expect(tree.children[0]?.allocations).toBe(3);
  expect(depthOf(tree)).toBe(3);
});

test("two lines of a function are two frames", () => {
  const stacks = [stack(1, frame("main", 1)), stack(2, frame("main", 2))];
  expect(flameTree(stacks, { name: "all", native: true }).children).toHaveLength(2);
});

test("what native frames held is their caller's when they are left out", () => {
  const stacks = [stack(1, MAIN, MALLOC), stack(2, MAIN), stack(4, MALLOC)];
  expect(shape(flameTree(stacks, { name: "all", native: false }))).toEqual([
    "all",
    7,
    [["main", 3]],
  ]);
});

test("what no kept stack holds is the root's own, and never less than nothing", () => {
  expect(flameTree([stack(3, MAIN)], { name: "all", native: true, total: 10 }).value).toBe(10);
  expect(flameTree([stack(3, MAIN)], { name: "all", native: true, total: 2 }).value).toBe(3);
});

test("a recursion of a thousand calls is a tree as deep", () => {
  const calls = Array.from({ length: 1000 }, (_, line) => frame("again", line));
  expect(depthOf(flameTree([stack(1, ...calls)], { name: "all", native: true }))).toBe(1001);
});
