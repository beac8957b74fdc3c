// JSON reports to make pages of. Their names are as docs/schema/results-1.json has them.

import type { Kind } from "../../web/src/kinds";

export interface Frame {
  function: string;
  path: string;
  line: number | null;
  native: boolean;
  project: boolean;
}

export interface Result {
  nodeid: string;
  path: string;
  outcome: string;
  peak_bytes: number;
  leaked_bytes: number | null;
  limits: object[];
  stacks: object[];
  history: object[];
  [key: string]: unknown;
}

export interface Document {
  schema: 1;
  runs: object[];
  tests: Result[];
}

export const MIB = 1024 * 1024;

/** A report of one finished run. */
export function reportOf(...tests: Result[]): Document {
  return { schema: 1, runs: [run("run-2", "2026-11-23T04:19:48.000000+00:00")], tests };
}

export function run(uuid: string, started: string, more: object = {}): object {
  return {
    uuid,
    started,
    finished: started,
    status: "finished",
    rootdir: "/home/kim/shop",
    versions: { memlens: "0.1.0", memray: "1.19.0", pytest: "9.0.1", python: "3.12.4" },
    git_commit: "8c98ca7a39b0b2f3f3c1a5c0e6a3c1f0a7d1e2b3",
    git_dirty: false,
    collected: 3,
    ...more,
  };
}

/** A test that passed, with a peak in MiB. */
export function passed(nodeid: string, peak: number, more: Partial<Result> = {}): Result {
  return {
    run: "run-2",
    nodeid,
    path: nodeid.split("::")[0] ?? "",
    line: 3,
    outcome: "passed",
    duration_s: 0.012,
    worker: null,
    peak_bytes: peak * MIB,
    allocated_bytes: peak * MIB,
    allocations: 17,
    leaked_bytes: null,
    phases: [
      {
        name: "call",
        peak_bytes: peak * MIB,
        allocated_bytes: peak * MIB,
        allocations: 17,
        alive_bytes: 0,
        histogram: null,
      },
    ],
    limits: [],
    stacks: [],
    history: [],
    ...more,
  };
}

/** A check of a `limit_memory` marker, both in MiB. */
export function memoryLimit(measured: number, limit: number): object {
  return {
    marker: "limit_memory",
    limit_bytes: limit * MIB,
    measured_bytes: measured * MIB,
    verdict: measured > limit ? "exceeded" : "passed",
    message: "a sentence about it",
  };
}

export function leakLimit(measured: number, limit: number): object {
  return { ...memoryLimit(measured, limit), marker: "limit_leaks" };
}

/** A stack that holds so many MiB; its frames from the test inwards. */
export function stack(kind: Kind, size: number, ...frames: Frame[]): object {
  return { kind, bytes: size * MIB, allocations: 2, frames: [...frames].reverse() };
}

export function frame(name: string, path: string, line: number | null = 1): Frame {
  return { function: name, path, line, native: false, project: !path.startsWith("/") };
}
