// What a test's memory is, in words and signs: for the tree, the status bar and tooltips.

import { counted, formatShare, formatSize } from "../../../web/src/units";
import type { Test } from "../protocol";

/** What tests may be sorted by. */
export type Order = "peak" | "growth" | "share" | "name";

/** A change of the peak by less than this share is no news. */
const NEWS = 0.01;
/** From this share of the limit on a test is near it. */
const NEAR = 0.9;

export type State = "over" | "leaking" | "near" | "within" | "failed" | "measured";

/** Returns what is most worth knowing of a test. */
export function stateOf(test: Test): State {
  if (test.exceeded.includes("limit_memory")) {
    return "over";
  }
  if (isLeaking(test)) {
    return "leaking";
  }
  if (test.outcome === "failed") {
    return "failed";
  }
  if (test.limitBytes !== null && test.limitBytes > 0) {
    return test.peakBytes >= test.limitBytes * NEAR ? "near" : "within";
  }
  return test.verdict === "passed" ? "within" : "measured";
}

export function isOver(test: Test): boolean {
  return test.exceeded.includes("limit_memory");
}

/** Whether it leaks more than it may, in bytes or in objects. */
export function isLeaking(test: Test): boolean {
  return test.exceeded.some((marker) => marker !== "limit_memory");
}

/** Returns by how much its peak has grown since the run before, in bytes; null if that is not known. */
export function growth(test: Test): number | null {
  return test.previousPeakBytes === null ? null : test.peakBytes - test.previousPeakBytes;
}

/** Returns the peak as a share of the limit; null without one. */
export function shareOfLimit({ peakBytes, limitBytes }: Test): number | null {
  return limitBytes === null || limitBytes <= 0 ? null : peakBytes / limitBytes;
}

/**
 * Returns what some tests are sorted by, in few words: it stands before their name, where also a narrow
 * side bar shows it. Of several tests that of the one that has most.
 */
export function leadWords(tests: readonly Test[], order: Order): string {
  const most = (values: readonly (number | null)[]) =>
    values.reduce((one, other) => (one === null || (other ?? one) > one ? other : one), null);
  switch (order) {
    case "growth": {
      const grown = most(tests.map(growth));
      return grown === null
        ? "new"
        : `${grown > 0 ? "+" : grown < 0 ? "−" : "±"}${formatSize(Math.abs(grown))}`;
    }
    case "share": {
      const share = most(tests.map(shareOfLimit));
      return share === null ? "no limit" : formatShare(share);
    }
    default:
      return formatSize(most(tests.map(({ peakBytes }) => peakBytes)) ?? 0);
  }
}

/**
 * Returns the rest of what is known of a test, after `leadWords`: "of 24.0 MiB  ▲ 12 %", with the peak
 * where that is not what tests are sorted by.
 */
export function measuredWords(test: Test, order: Order): string {
  const leadsWithPeak = order === "peak" || order === "name";
  const words = [
    ...(leadsWithPeak
      ? limitWords(test)
      : [[formatSize(test.peakBytes), ...limitWords(test)].join(" ")]),
    ...(isLeaking(test) ? [`⚠ ${leakWords(test)}`] : []),
    ...changeWords(test),
  ];
  return words.join("  ");
}

/** Returns ["2 over limit", "1 leaking"], without what there is none of. */
export function troubleWords(tests: readonly Test[]): string[] {
  const over = tests.filter(isOver).length;
  const leaking = tests.filter(isLeaking).length;
  return [
    ...(over > 0 ? [`${over} over limit`] : []),
    ...(leaking > 0 ? [`${leaking} leaking`] : []),
  ];
}

/** Returns a test in full sentences, for tooltips and screen readers. */
export function sentences(test: Test): string[] {
  const share = shareOfLimit(test);
  const grown = growth(test);
  return [
    `Peak ${formatSize(test.peakBytes)}${
      share === null || test.limitBytes === null
        ? ", no limit_memory"
        : `, ${formatShare(share)} of its limit of ${formatSize(test.limitBytes)}`
    }`,
    ...(grown === null || test.previousPeakBytes === null
      ? ["Measured for the first time"]
      : [
          grown === 0
            ? "As in the run before"
            : `${formatSize(Math.abs(grown))} ${grown > 0 ? "more" : "less"} than in the run before (${formatSize(test.previousPeakBytes)})`,
        ]),
    ...(test.leakedBytes === null
      ? []
      : [test.leakedBytes > 0 || isLeaking(test) ? capitalised(leakWords(test)) : "No leaks"]),
    `The test ${OUTCOMES[test.outcome] ?? test.outcome}`,
  ];
}

/** Returns "34 tests, 2 over limit": what there is in all. */
export function summaryWords(tests: readonly Test[]): string {
  return [counted(tests.length, "test"), ...troubleWords(tests)].join(", ");
}

/** Returns the most important in few words: "2 over limit", else "3 within limits", else "34 tests". */
export function statusWords(tests: readonly Test[]): string {
  const trouble = troubleWords(tests);
  if (trouble.length > 0) {
    return trouble.join(", ");
  }
  // A test without a limit is not within one.
  const within = tests.filter(({ verdict }) => verdict === "passed").length;
  return within > 0 ? `${within} within limits` : counted(tests.length, "test");
}

const OUTCOMES: Readonly<Record<string, string>> = {
  passed: "passed",
  failed: "failed",
  skipped: "was skipped",
  xfailed: "failed, as expected",
  xpassed: "passed, unexpectedly",
};

function limitWords({ limitBytes }: Test): string[] {
  return limitBytes === null ? [] : [`of ${formatSize(limitBytes)}`];
}

function changeWords(test: Test): string[] {
  const grown = growth(test);
  const before = test.previousPeakBytes;
  if (grown === null || before === null) {
    return [];
  }
  if (Math.abs(grown) < Math.max(before, 1) * NEWS) {
    return [];
  }
  const sign = grown > 0 ? "▲" : "▼";
  return [
    before > 0
      ? `${sign} ${formatShare(Math.abs(grown) / before)}`
      : `${sign} ${formatSize(grown)}`,
  ];
}

function leakWords({ leakedBytes }: Test): string {
  return leakedBytes ? `leaks ${formatSize(leakedBytes)}` : "leaves objects behind";
}

function capitalised(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
