// The tree behind a flame graph: stacks joined where they begin alike. Drawing it is elsewhere.

import type { Frame, Stack } from "./report";

/** A frame, and where a source is opened by number, that number; none where there is no source. */
export interface FlameFrame extends Frame {
  readonly opens?: number;
}

export interface FlameNode {
  readonly name: string;
  /** Bytes held here and below. */
  value: number;
  /** What the run that it is compared with held here and below; null without a comparison. */
  before: number | null;
  /** How wide it is drawn: its bytes; in a comparison what its parts held where they held more. */
  width: number;
  /** Allocations made here and below; null where that is not known. */
  allocations: number | null;
  /** Null at the root. */
  readonly frame: FlameFrame | null;
  readonly children: FlameNode[];
}

/** What a flame graph shows: it can be drawn with native frames and without. */
export interface FlameSource {
  readonly hasNative: boolean;
  tree(native: boolean): FlameNode;
}

export interface TreeOptions {
  /** What the root is called. */
  readonly name: string;
  /** What the root holds, in bytes, if that is more than the stacks do: small ones are not kept. */
  readonly total?: number;
  /** Whether native frames are in it. */
  readonly native: boolean;
}

/** Returns *stacks* as a flame graph shows them. */
export function flameSource(
  stacks: readonly Stack[],
  options: Omit<TreeOptions, "native">,
): FlameSource {
  return {
    hasNative: stacks.some(({ frames }) => frames.some(({ native }) => native)),
    tree: (native) => flameTree(stacks, { ...options, native }),
  };
}

/** Returns the tree of *stacks*: callers above, the largest children first. */
export function flameTree(stacks: readonly Stack[], options: TreeOptions): FlameNode {
  const grown = new GrowingTree(node(options.name, null));
  for (const stack of stacks) {
    let at = grown.root;
    add(at, stack);
    for (const frame of [...stack.frames].reverse()) {
      if (!frame.native || options.native) {
        at = grown.child(at, frame);
        add(at, stack);
      }
    }
  }
  grown.sort();
  const { root } = grown;
  root.width = root.value = Math.max(root.value, options.total ?? 0);
  return root;
}

/** A tree that is being made: calls of one place by one caller are one node. */
export class GrowingTree {
  private readonly childrenByPlace = new Map<FlameNode, Map<string, FlameNode>>();

  constructor(readonly root: FlameNode) {}

  /** The node of *frame* below *parent*, which may be new. */
  child(parent: FlameNode, frame: FlameFrame): FlameNode {
    let known = this.childrenByPlace.get(parent);
    if (known === undefined) {
      known = new Map();
      this.childrenByPlace.set(parent, known);
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

  /** Puts the widest children first. */
  sort(): void {
    for (const parent of this.childrenByPlace.keys()) {
      parent.children.sort((one, other) => other.width - one.width);
    }
  }
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

/** Returns a node that holds nothing yet. */
export function node(name: string, frame: FlameFrame | null): FlameNode {
  return { name, value: 0, before: null, width: 0, allocations: 0, frame, children: [] };
}

function add(to: FlameNode, stack: Stack): void {
  to.value += stack.bytes;
  to.width = to.value;
  to.allocations = (to.allocations ?? 0) + stack.allocations;
}
