import { expect, test } from "vitest";

import { formatDuration, formatShare, formatSize, formatTime } from "../../web/src/units";

test("sizes are worded as in the terminal", () => {
  const MIB = 1024 ** 2;
  expect([0, 1023, 1024, 31.2 * MIB, 1023.96 * MIB].map(formatSize)).toEqual([
    "0 B",
    "1023 B",
    "1.0 KiB",
    "31.2 MiB",
    "1.0 GiB",
  ]);
});

test("a share is 100 % only when it is all, and more when it is over", () => {
  expect([0, 0.004, 0.87, 0.999, 1, 1.001, 15].map(formatShare)).toEqual([
    "0 %",
    "<1 %",
    "87 %",
    "99 %",
    "100 %",
    "101 %",
    "1,500 %",
  ]);
});

test("a share is rounded as in the terminal, a half to the even number", () => {
  // As Python has them: [f"{share:.0%}" for share in (0.125, 1.2708, 1.275, 1.125, 1.375, 2.004)]
  expect([0.125, 1.2708, 1.275, 1.125, 1.375, 2.004].map(formatShare)).toEqual([
    "12 %",
    "127 %",
    "127 %",
    "112 %",
    "138 %",
    "200 %",
  ]);
});

test("durations have the unit that fits", () => {
  expect([0.0004, 0.035, 0.9999, 1.25, 59.996, 125].map(formatDuration)).toEqual([
    "0.4 ms",
    "35 ms",
    "1.00 s",
    "1.25 s",
    "1 min 0 s",
    "2 min 5 s",
  ]);
});

test("times are in UTC to the minute, and what is no time is shown as it is", () => {
  expect(formatTime("2026-11-23T04:19:48.123456+00:00")).toBe("2026-11-23 04:19 UTC");
  expect(formatTime("once")).toBe("once");
});
