import { expect, test } from "vitest";

import { answerConfiguration } from "../src/settings";

test("the server is told the interpreter that was resolved, not what was written", () => {
  const written = { interpreter: "~/py", pytestArgs: ["-x"] };
  expect(answerConfiguration("memlens", written, "/home/kim/py")).toEqual({
    interpreter: "/home/kim/py",
    pytestArgs: ["-x"],
  });
  expect(answerConfiguration("memlens.interpreter", "~/py", "/home/kim/py")).toBe("/home/kim/py");
});

test("a section without a value still carries the interpreter", () => {
  expect(answerConfiguration("memlens", null, "/usr/bin/python3")).toEqual({
    interpreter: "/usr/bin/python3",
  });
});

test("other sections pass unchanged", () => {
  expect(answerConfiguration("files.exclude", { "**/.git": true }, "/py")).toEqual({
    "**/.git": true,
  });
});
