import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { checkInterpreter, judge } from "../src/interpreterCheck";

function printed(version: number[], executable = "/usr/bin/python3"): string {
  return `${JSON.stringify({ version, executable })}\n`;
}

describe("what the interpreter printed", () => {
  test("3.10 is new enough", () => {
    expect(judge("/usr/bin/py", printed([3, 10, 0]))).toEqual({
      ok: true,
      path: "/usr/bin/py",
      version: "3.10.0",
    });
  });

  test.each([[[3, 9, 18]], [[2, 7, 18]], [[4, 0, 0]]])(
    "%j is refused by its version",
    (version) => {
      expect(judge("/usr/bin/py", printed(version))).toEqual({
        ok: false,
        reason: `it is Python ${version.join(".")}, and memlens needs 3.10 or newer`,
      });
    },
  );

  test("a bare name becomes the path that it stood for", () => {
    expect(judge("python3", printed([3, 12, 1]))).toMatchObject({ path: "/usr/bin/python3" });
  });

  test("a wrapper's path is kept, as it may set up more than the interpreter", () => {
    expect(judge("/opt/wrapper", printed([3, 12, 1]))).toMatchObject({ path: "/opt/wrapper" });
  });

  test("words that a wrapper prints first are no matter", () => {
    expect(judge("/opt/wrapper", `activated\n${printed([3, 12, 1])}`)).toMatchObject({ ok: true });
  });

  test.each(["", "3.12.1", "null", "{}"])("%j is not Python's answer", (stdout) => {
    expect(judge("/bin/echo", stdout)).toEqual({
      ok: false,
      reason: "it did not answer as Python does",
    });
  });
});

describe("real programs", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "memlens-interpreter-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function program(text: string, mode = 0o755): Promise<string> {
    const file = join(folder, "a python");
    await writeFile(file, text);
    await chmod(file, mode);
    return file;
  }

  test("the python3 on the PATH is found, and its path known", async () => {
    const check = await checkInterpreter("python3");
    expect(check.ok && isAbsolute(check.path)).toBe(true);
  });

  test("a missing program", async () => {
    expect(await checkInterpreter(join(folder, "none"))).toEqual({
      ok: false,
      reason: "there is no such program",
    });
  });

  test("a file that is not executable", async () => {
    expect(await checkInterpreter(await program("#!/bin/sh\n", 0o644))).toEqual({
      ok: false,
      reason: "it may not be executed",
    });
  });

  test("a program that fails says why in its own words", async () => {
    const broken = await program("#!/bin/sh\necho 'No module named encodings' >&2\nexit 1\n");
    expect(await checkInterpreter(broken)).toEqual({
      ok: false,
      reason: "No module named encodings",
    });
  });

  test("a path with a space and other signs is one word, not a shell's", async () => {
    const echo = await program(`#!/bin/sh\necho '${printed([3, 11, 4]).trim()}'\n`);
    expect(await checkInterpreter(echo)).toEqual({ ok: true, path: echo, version: "3.11.4" });
  });
});
