// Which Python runs the server and the tests: the choice, as a pure function of what is known.

import * as path from "node:path";

export type InterpreterSource = "setting" | "python-extension" | "path";

export interface Interpreter {
  /** A path, or a bare command name that the operating system looks up on the `PATH`. */
  readonly command: string;
  readonly source: InterpreterSource;
}

export interface InterpreterInputs {
  /** `memlens.interpreter` as written; blank means not set. */
  readonly setting: string;
  /** The Python extension's active interpreter; undefined when there is none or no such extension. */
  readonly active: string | undefined;
  /** The first workspace folder; undefined when a single file is open. */
  readonly workspaceFolder: string | undefined;
  readonly home: string;
  readonly platform: NodeJS.Platform;
}

export function chooseInterpreter(inputs: InterpreterInputs): Interpreter {
  const setting = inputs.setting.trim();
  if (setting !== "") {
    return { command: expandPath(setting, inputs), source: "setting" };
  }
  if (inputs.active !== undefined && inputs.active !== "") {
    return { command: inputs.active, source: "python-extension" };
  }
  return { command: inputs.platform === "win32" ? "python" : "python3", source: "path" };
}

/**
 * `${workspaceFolder}` and a leading `~` replaced; a relative path made absolute from the workspace
 * folder. A bare name such as `python3.12` stays as it is, to be found on the `PATH`.
 */
function expandPath(written: string, inputs: InterpreterInputs): string {
  const { workspaceFolder, home, platform } = inputs;
  const paths = platform === "win32" ? path.win32 : path.posix;
  // As a function: in a replacement string `$&` would mean something, in a folder's name it does not.
  let expanded = written.replace(
    /\$\{workspaceFolder\}/g,
    (variable) => workspaceFolder ?? variable,
  );
  if (/^~(?=$|[\\/])/.test(expanded)) {
    expanded = home + expanded.slice(1);
  }
  const isBareName = paths.basename(expanded) === expanded;
  if (isBareName || paths.isAbsolute(expanded) || workspaceFolder === undefined) {
    return expanded;
  }
  return paths.join(workspaceFolder, expanded);
}
