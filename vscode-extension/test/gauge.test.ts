import { describe, expect, test } from "vitest";

import { gauge, type Kind } from "../src/tests/gauge";

/** How far a gauge is filled from its bottom, in pixels, and with which colour. */
function filling(share: number, kind: Kind): { height: number; colour: string } {
  const image = gauge(share, kind, "dark");
  const [, y, height, colour = ""] =
    /<rect x="4" y="(\d+)" width="8" height="(\d+)" fill="(#\w+)"/.exec(image) ?? [];
  expect(Number(y) + Number(height)).toBe(15);
  return { height: Number(height), colour };
}

describe("a gauge", () => {
  test.each([
    [0, 0],
    // Any peak is more than nothing.
    [0.0001, 1],
    [0.5, 7],
    [0.89, 12],
  ])("within the limit, of a share of %d, is filled up to %d pixels of 14", (share, height) => {
    expect(filling(share, "within")).toEqual({ height, colour: "#73c991" });
  });

  test("near the limit has another colour", () => {
    expect(filling(0.95, "near")).toEqual({ height: 13, colour: "#cca700" });
  });

  test.each([1, 1.27, 1000])("over the limit, of a share of %d, is full and marked", (share) => {
    expect(filling(share, "over")).toEqual({ height: 14, colour: "#f14c4c" });
    expect(gauge(share, "over", "dark")).toContain("<path");
    expect(gauge(0.99, "near", "dark")).not.toContain("<path");
  });

  test("looks the same where the share is almost the same, and not where it is another", () => {
    expect(gauge(0.5, "within", "light")).toBe(gauge(0.51, "within", "light"));
    expect(gauge(0.5, "within", "light")).not.toBe(gauge(0.6, "within", "light"));
  });

  test("has the colours of its theme", () => {
    expect(gauge(0.5, "within", "light")).not.toBe(gauge(0.5, "within", "dark"));
  });
});
