// What the page is given: the JSON report with each frame stored once, as
// plugin/memlens/exports/html.py makes it. Sizes are bytes, durations seconds, lines count from 1.

import type { Kind } from "./kinds";

/** A place in code that a stack passed, as the JSON report has it. */
export interface Frame {
  readonly function: string;
  readonly path: string;
  /** Null where a native frame has none. */
  readonly line: number | null;
  readonly native: boolean;
  /** Whether it is the project's own code. */
  readonly project: boolean;
}

/** One call stack and what it held. The most recent call is first. */
export interface Stack {
  readonly kind: Kind;
  readonly bytes: number;
  readonly allocations: number;
  readonly frames: readonly Frame[];
}

/** What one phase of a test took. Null: not counted. */
export interface Phase {
  readonly name: "setup" | "call" | "teardown";
  readonly peak_bytes: number;
  readonly allocated_bytes: number | null;
  readonly allocations: number | null;
}

/** A limit that the test declared, and how it went. */
export interface Limit {
  readonly marker: string;
  readonly limit_bytes: number;
  readonly measured_bytes: number;
  readonly verdict: "passed" | "exceeded" | "not_judged";
  readonly message?: string;
}

/** One pytest run. */
export interface Run {
  readonly started: string;
  readonly status: string;
  readonly rootdir?: string;
  readonly versions?: Readonly<Record<string, string>>;
  readonly git_commit?: string | null;
  readonly git_dirty?: boolean | null;
  readonly collected?: number | null;
}

/** A test's result, and what earlier runs say of it. */
export interface Test {
  readonly nodeid: string;
  readonly path: string;
  readonly line: number;
  readonly outcome: string;
  readonly duration_s: number;
  /** Null: not measured, not counted, not looked for. */
  readonly peak_bytes: number | null;
  readonly allocated_bytes: number | null;
  readonly allocations: number | null;
  readonly leaked_bytes: number | null;
  readonly phases: readonly Phase[];
  readonly limits: readonly Limit[];
  readonly stacks: readonly PackedStack[];
  /** The index of its run, -1 if that is not known. */
  readonly run: number;
  /** All its results, the oldest first and this one last: index of the run, peak, outcome. */
  readonly history: readonly (readonly [number, number, string])[];
}

interface PackedStack extends Omit<Stack, "frames"> {
  /** Indices into `Report.frames`. */
  readonly frames: readonly number[];
}

/** Function, path, line, and whose code it is: 0 a library's, 1 the project's, 2 native. */
type PackedFrame = readonly [string, string, number | null, 0 | 1 | 2];

export interface Report {
  /** The oldest first. */
  readonly runs: readonly Run[];
  readonly frames: readonly PackedFrame[];
  readonly tests: readonly Test[];
}

/** Returns the stacks of *test*, the largest first. */
export function stacksOf(report: Report, test: Test): Stack[] {
  return test.stacks
    .map((stack) => ({
      ...stack,
      frames: stack.frames.flatMap((index) => unpack(report.frames[index])),
    }))
    .sort((one, other) => other.bytes - one.bytes);
}

function unpack(frame: PackedFrame | undefined): Frame[] {
  if (frame === undefined) {
    return [];
  }
  const [name, path, line, origin] = frame;
  return [{ function: name, path, line, native: origin === 2, project: origin === 1 }];
}
