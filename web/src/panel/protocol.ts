// What the language server answers, as docs/protocol.md says. Sizes are bytes, lines count from 0.

import type { Kind } from "../kinds";

export interface Run {
  readonly run: string;
  readonly started: string;
  readonly commit: string | null;
  readonly dirty: boolean | null;
}

/** What a run measured of a test. */
export interface Past extends Run {
  readonly outcome: string;
  readonly peakBytes: number;
  readonly limitBytes: number | null;
}

/** The answer to `memlens/history`: the newest result is the first. */
export interface History {
  readonly uri: string;
  readonly test: string;
  readonly id: string;
  readonly results: readonly Past[];
}

/** A call, and what was allocated in it and in what it called. */
export interface Call {
  readonly name: string;
  readonly path: string;
  /** Where to go to; null for native code and for what is in no file. */
  readonly uri: string | null;
  readonly line: number | null;
  readonly kind: "project" | "library" | "native" | "omitted";
  readonly value: number;
  /** In a comparison only. */
  readonly valueBefore: number | null;
  readonly children: readonly Call[];
}

/** The answer to `memlens/flameGraph`. */
export interface FlameGraph {
  readonly uri: string;
  readonly test: string;
  readonly id: string;
  readonly kind: Kind;
  /** Those that there is something to see of. */
  readonly kinds: readonly Kind[];
  readonly run: Run;
  readonly comparedWith: Run | null;
  readonly peakBytes: number;
  readonly peakBytesBefore: number | null;
  /** What was held in all; null for a phase that was not measured. */
  readonly totalBytes: number | null;
  readonly totalBytesBefore: number | null;
  readonly value: number;
  readonly valueBefore: number | null;
  readonly frames: readonly Call[];
}

/** Yields *calls* and all that they called: each before what it called, in order. */
export function* inOrder(calls: readonly Call[]): Generator<Call> {
  for (const call of calls) {
    yield call;
    yield* inOrder(call.children);
  }
}

/** Whether an editor can open the line of *call*. What stands for many calls is at no one line. */
export function hasSource(call: Call): boolean {
  return call.uri !== null && call.line !== null && call.kind !== "omitted";
}
