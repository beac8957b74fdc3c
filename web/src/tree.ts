// The tree behind a flame graph: stacks joined where they begin alike. Drawing it is elsewhere.

import type { Frame, Stack } from "./report";

export interface FlameNode {
  readonly name: string;
  /** Bytes held here and below. */
  value: number;
  /** Allocations made here and below. */
  allocations: number;
  /** Null at the root. */
  readonly frame: Frame | null;
  readonly children: FlameNode[];
}

export interface TreeOptions {
  /** What the root is called. */
  readonly name: string;
  /** What the root holds, in bytes, if that is more than the stacks do: small ones are not kept. */
  readonly total?: number;
  /** Whether native frames are in it. */
  readonly native: boolean;
}

/** Returns the tree of *stacks*: callers above, the largest children first. */
export function flameTree(stacks: readonly Stack[], options: TreeOptions): FlameNode {
  const root = node(options.name, null);
  const childrenByPlace = new Map<FlameNode, Map<string, FlameNode>>();
  for (const stack of stacks) {
    let at = root;
    add(at, stack);
    for (const frame of [...stack.frames].reverse()) {
      if (!frame.native || options.native) {
        at = child(at, frame, childrenByPlace);
        add(at, stack);
      }
    }
  }
  for (const parent of childrenByPlace.keys()) {
    parent.children.sort((one, other) => other.value - one.value);
  }
  root.value = Math.max(root.value, options.total ?? 0);
  return root;
}

/** Returns how many levels *root* has, itself included. */
export function depthOf(root: FlameNode): number {
  let level = [root];
  let depth = 0;
  while (level.length > 0) {
    depth += 1;
    level = level.flatMap(({ children }) => children);
  }
  return depth;
}

function child(
  parent: FlameNode,
  frame: Frame,
  childrenByPlace: Map<FlameNode, Map<string, FlameNode>>,
): FlameNode {
  let known = childrenByPlace.get(parent);
  if (known === undefined) {
    known = new Map();
    childrenByPlace.set(parent, known);
  }
  const place = JSON.stringify([frame.function, frame.path, frame.line, frame.native]);
  let found = known.get(place);
  if (found === undefined) {
    found = node(frame.function, frame);
    known.set(place, found);
    parent.children.push(found);
  }
  return found;
}

function node(name: string, frame: Frame | null): FlameNode {
  return { name, value: 0, allocations: 0, frame, children: [] };
}

function add(to: FlameNode, stack: Stack): void {
  to.value += stack.bytes;
  to.allocations += stack.allocations;
}
