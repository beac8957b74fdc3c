// Whether a chosen Python can run the server: it starts, and it is new enough.

import { execFile } from "node:child_process";
import * as os from "node:os";
import * as path from "node:path";

export const MINIMUM_VERSION = [3, 10] as const;

/** How long an interpreter may take to print its version, in milliseconds: the first start is slow. */
const TIMEOUT_MS = 30_000;

const PROGRAM =
  "import json, sys; print(json.dumps({'version': sys.version_info[:3], 'executable': sys.executable}))";

export type InterpreterCheck =
  | { readonly ok: true; readonly path: string; readonly version: string }
  | { readonly ok: false; readonly reason: string };

/**
 * Runs the interpreter once. It runs isolated (`-I`) and outside the workspace, so that no file of
 * the workspace can be imported by it.
 */
export function checkInterpreter(command: string): Promise<InterpreterCheck> {
  return new Promise((resolve) => {
    execFile(
      command,
      ["-I", "-c", PROGRAM],
      { cwd: os.homedir(), timeout: TIMEOUT_MS, windowsHide: true },
      (error, stdout, stderr) => {
        resolve(error ? { ok: false, reason: whyItFailed(error, stderr) } : judge(command, stdout));
      },
    );
  });
}

/** The verdict on what the interpreter printed. */
export function judge(command: string, stdout: string): InterpreterCheck {
  const printed = parse(stdout);
  if (printed === undefined) {
    return { ok: false, reason: "it did not answer as Python does" };
  }
  const [major, minor] = printed.version;
  const version = printed.version.join(".");
  if (major !== MINIMUM_VERSION[0] || minor === undefined || minor < MINIMUM_VERSION[1]) {
    return {
      ok: false,
      reason: `it is Python ${version}, and memlens needs ${MINIMUM_VERSION.join(".")} or newer`,
    };
  }
  // A bare name is pinned to what it meant now. A path stays as written: it may be a wrapper.
  const isBareName = path.basename(command) === command;
  return {
    ok: true,
    path: isBareName && printed.executable !== "" ? printed.executable : command,
    version,
  };
}

interface Printed {
  readonly version: readonly number[];
  readonly executable: string;
}

function parse(stdout: string): Printed | undefined {
  // The last line: a wrapper or a sitecustomize may print before it.
  const lastLine = stdout.trimEnd().split("\n").at(-1) ?? "";
  try {
    const { version, executable } = JSON.parse(lastLine) as Partial<Printed>;
    return Array.isArray(version) ? { version, executable: executable ?? "" } : undefined;
  } catch {
    return undefined;
  }
}

function whyItFailed(error: Error & { code?: unknown; killed?: boolean }, stderr: string): string {
  if (error.code === "ENOENT") {
    return "there is no such program";
  }
  if (error.code === "EACCES") {
    return "it may not be executed";
  }
  if (error.killed === true) {
    return `it did not answer within ${TIMEOUT_MS / 1000} seconds`;
  }
  const lastLine = stderr.trimEnd().split("\n").at(-1) ?? "";
  return lastLine === "" ? error.message : lastLine;
}
