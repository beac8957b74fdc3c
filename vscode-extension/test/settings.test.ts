import { expect, test } from "vitest";

import { answerConfiguration } from "../src/settings";

const given = { interpreter: "/home/kim/py", isTrusted: true };

test("the server is told the interpreter that was resolved, not what was written", () => {
  const written = { interpreter: "~/py", pytestArgs: ["-x"], runOnSave: true };
  expect(answerConfiguration("memlens", written, given)).toEqual({
    interpreter: "/home/kim/py",
    pytestArgs: ["-x"],
    runOnSave: true,
  });
  expect(answerConfiguration("memlens.interpreter", "~/py", given)).toBe("/home/kim/py");
});

test("a section without a value still carries the interpreter", () => {
  expect(answerConfiguration("memlens", null, given)).toEqual({ interpreter: "/home/kim/py" });
});

test("in a workspace that is not trusted, saving runs nothing, whatever the user's own settings", () => {
  const told = answerConfiguration("memlens", { runOnSave: true }, { ...given, isTrusted: false });
  expect(told).toMatchObject({ runOnSave: false });
});

test("other sections pass unchanged", () => {
  expect(answerConfiguration("files.exclude", { "**/.git": true }, given)).toEqual({
    "**/.git": true,
  });
});
