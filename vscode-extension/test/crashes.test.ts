import { describe, expect, test } from "vitest";

import { Crashes, MOST_CRASHES } from "../src/crashes";

describe("a server that ends by itself", () => {
  test("is started again, until it does so too often in a short time", () => {
    const crashes = new Crashes();
    for (let crash = 1; crash < MOST_CRASHES; crash += 1) {
      expect(crashes.shouldRestart(crash * 1000)).toBe(true);
    }
    expect(crashes.shouldRestart(MOST_CRASHES * 1000)).toBe(false);
  });

  test("is started again for ever if it ends now and then", () => {
    const crashes = new Crashes();
    for (let hour = 0; hour < 20; hour += 1) {
      expect(crashes.shouldRestart(hour * 3_600_000)).toBe(true);
    }
  });
});
