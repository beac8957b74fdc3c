import { expect, test } from "vitest";

import { changeOf, changeText, largestChange, strengthOf } from "../../web/src/changes";
import { callSource, isDrawn, totalOf } from "../../web/src/panel/calls";
import { type Call, type FlameGraph, inOrder } from "../../web/src/panel/protocol";
import type { FlameNode } from "../../web/src/tree";

const RUN = { run: "1", started: "", commit: null, dirty: null };

function call(name: string, held: number | [number, number], ...children: Call[]): Call {
  const [value, valueBefore] = typeof held === "number" ? [held, null] : held;
  const kind = name.startsWith("_") ? "native" : "project";
  const source =
    kind === "native" ? { uri: null, line: null } : { uri: `file:///${name}`, line: 4 };
  return { name, path: `${name}.py`, ...source, kind, value, valueBefore, children };
}

function graph(calls: Call[], more: Partial<FlameGraph> = {}): FlameGraph {
  const value = calls.reduce((sum, each) => sum + each.value, 0);
  return {
    uri: "file:///test.py",
    test: "test_a",
    id: "test.py::test_a",
    kind: "peak",
    kinds: ["peak"],
    run: RUN,
    comparedWith: null,
    peakBytes: 0,
    peakBytesBefore: null,
    totalBytes: value,
    totalBytesBefore: null,
    value,
    valueBefore: null,
    frames: calls,
    ...more,
  };
}

function compared(calls: Call[], peak = 0, peakBefore = 0): FlameGraph {
  return graph(calls, {
    comparedWith: { ...RUN, run: "0" },
    totalBytes: peak,
    totalBytesBefore: peakBefore,
    valueBefore: calls.reduce((sum, { valueBefore }) => sum + (valueBefore ?? 0), 0),
  });
}

/** Name, bytes, and the number by which it is opened, of each node but the root. */
function shape({ children }: FlameNode): unknown[] {
  return children.map((node) => [node.name, node.value, node.frame?.opens, ...shape(node)]);
}

test("each call is a frame, which is opened by its number among all", () => {
  const calls = [call("a", 5, call("_native", 3, call("b", 2))), call("c", 1)];
  expect([...inOrder(calls)].map(({ name }) => name)).toEqual(["a", "_native", "b", "c"]);
  const source = callSource(graph(calls), "all");
  expect(source.hasNative).toBe(true);
  expect(shape(source.tree(true))).toEqual([
    ["a", 5, 0, ["_native", 3, undefined, ["b", 2, 2]]],
    ["c", 1, 3],
  ]);
});

test("without native frames what they called is their caller's, joined where it is the same", () => {
  const calls = [call("a", 9, call("_one", 4, call("b", 4)), call("_two", 3, call("b", 2)))];
  expect(shape(callSource(graph(calls), "all").tree(false))).toEqual([["a", 9, 0, ["b", 6, 2]]]);
});

test("what stands for many calls cannot be opened", () => {
  const calls = [{ ...call("9 more calls", 5), kind: "omitted" as const }];
  expect(shape(callSource(graph(calls), "all").tree(true))).toEqual([
    ["9 more calls", 5, undefined],
  ]);
});

test("what was held in all is more than what the frames held", () => {
  expect(totalOf(graph([call("a", 5)], { totalBytes: 9 }))).toEqual({ now: 9, before: null });
  expect(totalOf(graph([call("a", 5)])).now).toBe(5);
  expect(totalOf(compared([call("a", [5, 2])], 9, 8))).toEqual({ now: 9, before: 8 });
});

test("with a run that did not measure the phase nothing is compared", () => {
  const calls = [call("a", [5, 0])];
  const unknown = { ...compared(calls, 5), totalBytesBefore: null };
  expect(totalOf(unknown)).toEqual({ now: 5, before: null });
  const root = callSource(unknown, "all").tree(true);
  expect(root.children.map(({ before, width }) => [before, width])).toEqual([[null, 5]]);
  // A phase that held little was measured: what is there now was not there.
  expect(callSource(compared(calls, 5, 1), "all").tree(true).children[0]?.before).toBe(0);
});

test("there is nothing to draw where nothing was measured or kept", () => {
  const gone = compared([call("a", [0, 5])], 1, 5);
  const graphs = [graph([call("a", 5)]), graph([]), gone, { ...gone, totalBytes: null }];
  expect(graphs.map(isDrawn)).toEqual([true, false, true, false]);
  expect(isDrawn({ ...gone, totalBytesBefore: null })).toBe(false);
});

test("in a comparison what is gone is as wide as it was, within what called it", () => {
  const calls = [call("a", [6, 8], call("grown", [6, 1]), call("gone", [0, 7]))];
  const root = callSource(compared(calls, 10, 8), "all").tree(true);
  const [a] = root.children;
  expect(a?.children.map(({ name, width }) => [name, width])).toEqual([
    ["gone", 7],
    ["grown", 6],
  ]);
  expect(a?.width).toBe(13);
  // Another 4 bytes are those of stacks that were not kept.
  expect(root.width).toBe(17);
  expect([root.value, root.before]).toEqual([10, 8]);
});

test("changes are told in words, and by how strong they are", () => {
  const node = (value: number, before: number | null) => ({ value, before });
  expect(
    [node(2, 1), node(1, 2), node(1, 1), node(1, 0), node(0, 1), node(1, null)].map(changeOf),
  ).toEqual(["grown", "shrunk", "same", "new", "gone", null]);
  const words = [node(2048, 1024), node(0, 1024), node(5, 0), node(5, 5)].map(changeText);
  expect(words).toEqual(["+1.0 KiB", "gone, −1.0 KiB", "new, +5 B", "as before"]);
  const root = callSource(compared([call("a", [0, 90]), call("b", [30, 0])]), "all").tree(true);
  expect(largestChange(root)).toBe(90);
  expect([90, 45, 20, 0].map((size) => strengthOf(node(size, 0), 90))).toEqual([2, 1, 0, 0]);
});
