// The kinds of call stacks that a result has: when it was that they held what they held.

export type Kind = "peak" | "leak" | "setup" | "teardown";

/** What each is called where one of them is chosen, in this order. */
export const KINDS: Readonly<Record<Kind, string>> = {
  peak: "Peak of the test",
  leak: "Leaked",
  setup: "Set-up",
  teardown: "Teardown",
};

/** What was done with an amount of memory: "30.0 MiB held at the peak". */
export const DEEDS: Readonly<Record<Kind, string>> = {
  peak: "held at the peak",
  leak: "leaked",
  setup: "held at the peak of set-up",
  teardown: "held at the peak of teardown",
};

/** Returns those of *kinds* that there are, each once and in order. */
export function offered(kinds: readonly unknown[]): Kind[] {
  return (Object.keys(KINDS) as Kind[]).filter((kind) => kinds.includes(kind));
}
