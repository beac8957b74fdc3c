// Asking the server for what the panel shows, and what to say where there is no graph.

import type { Choice, Notice, Subject } from "../../../web/src/panel/messages";
import type { FlameGraph, History, Past } from "../../../web/src/panel/protocol";
import type { Asking } from "../server";

/** How many runs the strip has. */
const MOST_RUNS = 50;

export interface Measured {
  readonly history: History;
  readonly graph: FlameGraph;
  /** What is shown: what was asked for, as far as there are such runs. */
  readonly choice: Choice;
}

/** The test's last runs; null for a test that was never measured. */
export function askHistory(server: Asking, { uri, test }: Subject): Promise<History | null> {
  return server.request("memlens/history", { uri, test, limit: MOST_RUNS });
}

/** The call stacks of one of the runs of *history*; null when they are gone meanwhile. */
export async function askGraph(
  server: Asking,
  history: History,
  wanted: Choice,
): Promise<Measured | null> {
  const choice = possible(wanted, history.results);
  const { uri, test } = history;
  const graph = await server.request<FlameGraph | null>("memlens/flameGraph", {
    uri,
    test,
    kind: choice.kind,
    // As the history is: what is newest may be another run by now.
    run: choice.run ?? history.results[0]?.run ?? null,
    compareWith: choice.compareWith,
  });
  return graph === null ? null : { history, graph, choice };
}

/** What can be shown of *wanted*: old runs are deleted, and one is compared with runs before it. */
export function possible(wanted: Choice, results: readonly Past[]): Choice {
  const place = (run: string | null) => results.findIndex((past) => past.run === run);
  const shown = Math.max(place(wanted.run), 0);
  return {
    kind: wanted.kind,
    run: shown === 0 ? null : wanted.run,
    compareWith: place(wanted.compareWith) > shown ? wanted.compareWith : null,
  };
}

export function notMeasured(): Notice {
  return {
    title: "This test has not been measured yet",
    text: "Run it with memory limits: what held its memory at the peak is then shown here.",
    actions: ["run"],
  };
}

export function cleared(): Notice {
  return {
    title: "The results of this test are gone",
    text: "They were deleted, or the test was renamed. Run it again to see where its memory goes.",
    actions: ["run"],
  };
}

export function notRunning(): Notice {
  return {
    title: "memlens’ language server is not running",
    text: "It reads what was measured. The log says why it is not there.",
    actions: ["restart", "log"],
  };
}

export function failed(error: unknown): Notice {
  return {
    title: "The results could not be read",
    text: error instanceof Error ? error.message : String(error),
    actions: ["retry", "log"],
  };
}
