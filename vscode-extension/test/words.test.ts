import { describe, expect, test } from "vitest";

import {
  leadWords,
  measuredWords,
  sentences,
  stateOf,
  statusWords,
  summaryWords,
  troubleWords,
} from "../src/tests/words";
import { leaking, MIB, measured, over } from "./tests";

const A = "test_a.py::test_a";

describe("a test in the tree", () => {
  test.each([
    [measured(A), "1.0 MiB", ""],
    [measured(A, { previousPeakBytes: MIB }), "1.0 MiB", ""],
    [over(A, { previousPeakBytes: 27 * MIB }), "30.0 MiB", "of 24.0 MiB  ▲ 11 %"],
    [
      measured(A, { limitBytes: 4 * MIB, previousPeakBytes: 2 * MIB }),
      "1.0 MiB",
      "of 4.0 MiB  ▼ 50 %",
    ],
    [leaking(A, { previousPeakBytes: MIB }), "1.0 MiB", "⚠ leaks 4.0 MiB"],
    [
      measured(A, { exceeded: ["limit_leaked_objects"], previousPeakBytes: MIB }),
      "1.0 MiB",
      "⚠ leaves objects behind",
    ],
    [measured(A, { previousPeakBytes: 0 }), "1.0 MiB", "▲ 1.0 MiB"],
    [measured(A, { peakBytes: 0, previousPeakBytes: 0 }), "0 B", ""],
    // Less than a percent is no news.
    [measured(A, { previousPeakBytes: MIB - 1000 }), "1.0 MiB", ""],
  ])("%#: says %j before its name and %j after it", (test, before, after) => {
    expect([leadWords([test], "peak"), measuredWords(test, "peak")]).toEqual([before, after]);
  });

  test.each([
    ["growth", over(A, { previousPeakBytes: 27 * MIB }), "+3.0 MiB", "30.0 MiB of 24.0 MiB"],
    ["growth", measured(A, { previousPeakBytes: 2 * MIB }), "−1.0 MiB", "1.0 MiB  ▼ 50 %"],
    ["growth", measured(A, { previousPeakBytes: MIB }), "±0 B", "1.0 MiB"],
    ["growth", measured(A), "new", "1.0 MiB"],
    ["share", over(A), "125 %", "30.0 MiB of 24.0 MiB"],
    ["share", measured(A), "no limit", "1.0 MiB"],
    ["name", measured(A), "1.0 MiB", ""],
  ] as const)("sorted by %s, begins with that", (order, test, before, after) => {
    expect(leadWords([test], order)).toBe(before);
    expect(measuredWords(test, order).startsWith(after)).toBe(true);
  });

  test("of several the one that has most leads", () => {
    const tests = [measured(A), over(A, { previousPeakBytes: 40 * MIB }), measured(A)];
    expect(leadWords(tests, "peak")).toBe("30.0 MiB");
    expect(leadWords(tests, "share")).toBe("125 %");
    expect(leadWords(tests, "growth")).toBe("−10.0 MiB");
  });
});

describe("the state", () => {
  test.each([
    ["over", over(A)],
    ["over", over(A, { exceeded: ["limit_leaks", "limit_memory"] })],
    ["leaking", leaking(A)],
    ["failed", measured(A, { outcome: "failed" })],
    ["near", measured(A, { limitBytes: MIB + 100 })],
    ["within", measured(A, { limitBytes: 2 * MIB })],
    ["within", measured(A, { verdict: "passed", leakedBytes: 0 })],
    ["measured", measured(A)],
  ])("%s", (state, test) => {
    expect(stateOf(test)).toBe(state);
  });
});

test("what is wrong in a group", () => {
  expect(troubleWords([over(A), leaking(A), measured(A)])).toEqual(["1 over limit", "1 leaking"]);
  expect(troubleWords([measured(A)])).toEqual([]);
});

test("a test in sentences", () => {
  expect(sentences(over(A, { previousPeakBytes: 31 * MIB, leakedBytes: 0 }))).toEqual([
    "Peak 30.0 MiB, 125 % of its limit of 24.0 MiB",
    "1.0 MiB less than in the run before (31.0 MiB)",
    "No leaks",
    "The test failed",
  ]);
  expect(sentences(measured(A))).toEqual([
    "Peak 1.0 MiB, no limit_memory",
    "Measured for the first time",
    "The test passed",
  ]);
});

test("all tests in a few words", () => {
  expect(summaryWords([over(A), measured(A)])).toBe("2 tests, 1 over limit");
  expect(summaryWords([measured(A)])).toBe("1 test");
});

describe("the status bar", () => {
  const within = measured(A, { limitBytes: 4 * MIB, verdict: "passed" });
  test.each([
    [[over(A), leaking(A), within], "1 over limit, 1 leaking"],
    [[within, within, measured(A)], "2 within limits"],
    [[measured(A), measured(A)], "2 tests"],
    [[measured(A)], "1 test"],
  ])("%#: says %j", (tests, words) => {
    expect(statusWords(tests)).toBe(words);
  });
});
