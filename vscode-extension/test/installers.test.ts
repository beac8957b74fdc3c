import { describe, expect, test } from "vitest";

import { chooseInstaller } from "../src/running/installers";

describe("how the plugin is installed", () => {
  test("with the environment's own pip where it has one", () => {
    expect(chooseInstaller("/env/bin/python", { pip: true, uv: true })).toEqual({
      program: "/env/bin/python",
      arguments: ["-m", "pip", "install", "pytest-memlens"],
    });
  });

  test("with uv into environments without pip", () => {
    expect(chooseInstaller("/env/bin/python", { pip: false, uv: true })).toEqual({
      program: "uv",
      arguments: ["pip", "install", "--python", "/env/bin/python", "pytest-memlens"],
    });
  });

  test("not at all without either", () => {
    expect(chooseInstaller("/env/bin/python", { pip: false, uv: false })).toBeUndefined();
  });
});
