// A server's tree of calls as a flame graph shows it, also beside that of another run.

import { type FlameFrame, type FlameNode, type FlameSource, GrowingTree, node } from "../tree";
import { type Call, type FlameGraph, hasSource, inOrder } from "./protocol";

/** Returns *graph* as a flame graph shows it; its root is called *name*. */
export function callSource(graph: FlameGraph, name: string): FlameSource {
  const calls = [...inOrder(graph.frames)];
  const numbers = new Map(calls.map((call, number) => [call, number]));
  return {
    hasNative: calls.some(({ kind }) => kind === "native"),
    tree: (native) => {
      const grown = new GrowingTree(rootOf(graph, name));
      addCalls(grown, grown.root, graph.frames, { numbers, native, compares: isCompared(graph) });
      widen(grown.root);
      grown.sort();
      return grown.root;
    },
  };
}

/** Whether it can be told what has changed: not of a phase that the other run did not measure. */
export function isCompared(graph: FlameGraph): boolean {
  return graph.comparedWith !== null && graph.totalBytesBefore !== null;
}

/** Whether there is anything to draw. */
export function isDrawn(graph: FlameGraph): boolean {
  const before = isCompared(graph) ? (graph.valueBefore ?? 0) : 0;
  return graph.totalBytes !== null && (graph.value > 0 || before > 0);
}

/** What was held in all: of a peak more than by the frames, as small stacks are not kept. */
export function totalOf(graph: FlameGraph): { now: number; before: number | null } {
  return {
    now: Math.max(graph.value, graph.totalBytes ?? 0),
    before: isCompared(graph)
      ? Math.max(graph.valueBefore ?? 0, graph.totalBytesBefore ?? 0)
      : null,
  };
}

function rootOf(graph: FlameGraph, name: string): FlameNode {
  const { now, before } = totalOf(graph);
  return { ...node(name, null), value: now, before, allocations: null };
}

interface How {
  readonly numbers: ReadonlyMap<Call, number>;
  readonly native: boolean;
  readonly compares: boolean;
}

function addCalls(grown: GrowingTree, parent: FlameNode, calls: readonly Call[], how: How): void {
  for (const call of calls) {
    if (call.kind === "native" && !how.native) {
      // What it held is its caller's already.
      addCalls(grown, parent, call.children, how);
      continue;
    }
    const child = grown.child(parent, frameOf(call, how.numbers.get(call) ?? -1));
    child.value += call.value;
    child.allocations = null;
    if (how.compares && call.valueBefore !== null) {
      child.before = (child.before ?? 0) + call.valueBefore;
    }
    addCalls(grown, child, call.children, how);
  }
}

function frameOf(call: Call, number: number): FlameFrame {
  return {
    function: call.name,
    path: call.path,
    line: call.line === null ? null : call.line + 1,
    native: call.kind === "native",
    project: call.kind === "project",
    ...(hasSource(call) ? { opens: number } : {}),
  };
}

/**
 * Makes each node as wide as its parts. In a comparison a part that only one of the runs has is as
 * wide as it was there, so that what is gone is seen too.
 */
function widen(at: FlameNode): void {
  at.width = at.value;
  let [ofChildren, now, before] = [0, 0, 0];
  for (const child of at.children) {
    widen(child);
    ofChildren += child.width;
    now += child.value;
    before += child.before ?? 0;
  }
  if (at.before !== null) {
    at.width = ofChildren + Math.max(at.value - now, at.before - before, 0);
  }
}
