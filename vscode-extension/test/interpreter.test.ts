import { describe, expect, test } from "vitest";

import { chooseInterpreter, type InterpreterInputs } from "../src/interpreter";

const nothingKnown: InterpreterInputs = {
  setting: "",
  active: undefined,
  workspaceFolder: "/home/kim/shop",
  home: "/home/kim",
  platform: "linux",
};

function commandFor(inputs: Partial<InterpreterInputs>): string {
  return chooseInterpreter({ ...nothingKnown, ...inputs }).command;
}

describe("the order of choice", () => {
  test("the setting wins over the Python extension", () => {
    expect(
      chooseInterpreter({ ...nothingKnown, setting: "/opt/py/bin/python", active: "/usr/bin/py" }),
    ).toEqual({ command: "/opt/py/bin/python", source: "setting" });
  });

  test.each(["", "  "])("a blank setting %j leaves it to the Python extension", (setting) => {
    expect(chooseInterpreter({ ...nothingKnown, setting, active: "/usr/bin/py" })).toEqual({
      command: "/usr/bin/py",
      source: "python-extension",
    });
  });

  test("with neither, python3 is looked up on the PATH", () => {
    expect(chooseInterpreter(nothingKnown)).toEqual({ command: "python3", source: "path" });
  });

  test("an active environment without an executable counts as none", () => {
    expect(commandFor({ active: "" })).toBe("python3");
  });

  test("on Windows the name on the PATH is python", () => {
    expect(commandFor({ platform: "win32" })).toBe("python");
  });
});

describe("how the setting may be written", () => {
  test.each([
    ["${workspaceFolder}/.venv/bin/python", "/home/kim/shop/.venv/bin/python"],
    ["~/venvs/shop/bin/python", "/home/kim/venvs/shop/bin/python"],
    [".venv/bin/python", "/home/kim/shop/.venv/bin/python"],
    ["python3.12", "python3.12"],
    ["/usr/bin/~python", "/usr/bin/~python"],
    ["~kim/bin/python", "/home/kim/shop/~kim/bin/python"],
    [" /usr/bin/python3 ", "/usr/bin/python3"],
  ])("%j means %j", (setting, expected) => {
    expect(commandFor({ setting })).toBe(expected);
  });

  test("a folder's name is data, whatever characters it has", () => {
    expect(commandFor({ setting: "${workspaceFolder}/py", workspaceFolder: "/srv/$& $1" })).toBe(
      "/srv/$& $1/py",
    );
  });

  test("without a workspace folder the variable stays, to be named in the error", () => {
    const setting = "${workspaceFolder}/.venv/bin/python";
    expect(commandFor({ setting, workspaceFolder: undefined })).toBe(setting);
  });

  test("Windows paths", () => {
    const windows = {
      platform: "win32",
      home: "C:\\Users\\kim",
      workspaceFolder: "C:\\shop",
    } as const;
    expect(commandFor({ ...windows, setting: "~\\py\\python.exe" })).toBe(
      "C:\\Users\\kim\\py\\python.exe",
    );
    expect(commandFor({ ...windows, setting: ".venv\\Scripts\\python.exe" })).toBe(
      "C:\\shop\\.venv\\Scripts\\python.exe",
    );
  });
});
