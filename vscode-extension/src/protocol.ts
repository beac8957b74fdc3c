// What the server answers beside the language server protocol: docs/protocol.md, as types.

export const TESTS = "memlens/tests";
export const TEST_AT = "memlens/testAt";
export const COMMAND_LINE = "memlens/commandLine";
export const RESULTS_CHANGED = "memlens/resultsChanged";

/** The argument of `memlens.run`: what to run. */
export interface RunArgument {
  readonly uri?: string;
  readonly test?: string;
  readonly tests?: readonly string[];
  readonly workspace?: true;
  readonly failed?: true;
  readonly last?: true;
}

/** The newest result of a test. Sizes are in bytes, lines count from 0. */
export interface Test {
  readonly uri: string;
  /** Its id in the file; with `uri` it names the test in every request. */
  readonly test: string;
  /** pytest's node id. */
  readonly id: string;
  readonly line: number;
  readonly outcome: string;
  readonly peakBytes: number;
  readonly previousPeakBytes: number | null;
  readonly limitBytes: number | null;
  readonly verdict: "exceeded" | "passed" | "not_judged" | null;
  /** The markers of the limits that it is over. */
  readonly exceeded: readonly string[];
  readonly leakedBytes: number | null;
}

export interface ProjectTests {
  readonly uri: string;
  readonly name: string;
  /** Whether all that was known of the project before counts no more. */
  readonly replaces: boolean;
  readonly tests: readonly Test[];
  readonly problem: string | null;
}

/** An answer to `memlens/tests`. */
export interface Page {
  readonly projects: readonly ProjectTests[];
  readonly state: string;
  readonly next: string | null;
}

/** An answer to `memlens/testAt`. */
export interface TestAt {
  readonly uri: string;
  readonly test: string;
  readonly kind: "test" | "class" | "file";
  readonly run: RunArgument;
}

/** How to run tests of one project, in an answer to `memlens/commandLine`. */
export interface CommandLine {
  readonly root: string;
  readonly folder: string;
  readonly title: string;
  readonly program: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** What became of a run in one project, in an answer to `memlens.run` with a progress token. */
export interface Outcome {
  readonly root: string;
  readonly title: string;
  readonly exitCode: number | null;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly cancelled: boolean;
  readonly problem: string | null;
  readonly missing: "pytest" | "pytest-memlens" | null;
  readonly python: string;
}
