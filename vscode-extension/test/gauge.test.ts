import { describe, expect, test } from "vitest";

import { gauge, type Kind, level } from "../src/tests/gauge";

/** The parts of a gauge that are filled with a colour, from top to bottom. */
function parts(share: number, kind: Kind): { y: number; height: number; colour: string }[] {
  const pattern = /<rect x="[\d.]+" y="([\d.]+)" width="\d+" height="(\d+)" fill="(#\w+)"/g;
  return [...gauge(share, kind, "dark").matchAll(pattern)]
    .map(([, y, height, colour = ""]) => ({ y: Number(y), height: Number(height), colour }))
    .sort((one, other) => one.y - other.y);
}

describe("a gauge within the limit", () => {
  test.each([
    [0, 0],
    // Any peak is more than nothing.
    [0.0001, 1],
    [0.5, 7],
    [0.89, 12],
  ])("of a share of %d is filled up to %d pixels", (share, height) => {
    expect(parts(share, "within")).toEqual([{ y: 15 - height, height, colour: "#73c991" }]);
  });

  test("near it has a lid besides its colour", () => {
    expect(parts(0.95, "near").map(({ colour }) => colour)).toEqual(["#9d9d9d", "#cca700"]);
  });
});

describe("a gauge over the limit", () => {
  test.each([
    [1, 11],
    [1.27, 11],
    [2, 7],
    [1000, 2],
  ])("of a share of %d spills over a frame of %d pixels", (share, limit) => {
    const [spilt, filled] = parts(share, "over");
    expect(filled).toEqual({ y: 15 - limit, height: limit, colour: "#f14c4c" });
    expect(spilt).toEqual({ y: 0, height: 13 - limit, colour: "#f14c4c" });
    expect(gauge(share, "over", "dark")).toContain(`height="${limit + 1}" rx="1" fill="none"`);
  });
});

test("gauges of one level look the same, those of others do not", () => {
  expect(level(0.5, "within")).toBe(level(0.51, "within"));
  expect(gauge(0.5, "within", "light")).toBe(gauge(0.51, "within", "light"));
  expect(gauge(0.5, "within", "light")).not.toBe(gauge(0.6, "within", "light"));
});

test("themes have colours of their own", () => {
  expect(gauge(0.5, "within", "light")).not.toBe(gauge(0.5, "within", "dark"));
});
