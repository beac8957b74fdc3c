// The Python extension's active interpreter, when that extension is installed.

import { PVSC_EXTENSION_ID, PythonExtension } from "@vscode/python-extension";
import * as vscode from "vscode";

/** Undefined when the extension is missing, fails, or has no interpreter with an executable. */
export async function activeInterpreter(
  folder: vscode.Uri | undefined,
  log: vscode.LogOutputChannel,
): Promise<string | undefined> {
  const api = await pythonApi(log);
  if (api === undefined) {
    return undefined;
  }
  try {
    const active = api.environments.getActiveEnvironmentPath(folder);
    const resolved = await api.environments.resolveEnvironment(active);
    return resolved?.executable.uri?.fsPath;
  } catch (error) {
    log.warn(`The Python extension did not tell its interpreter, so that is not used: ${error}`);
    return undefined;
  }
}

/** Calls `changed` whenever the Python extension has another interpreter, also if it is installed only later. */
export function watchActiveInterpreter(
  changed: () => void,
  log: vscode.LogOutputChannel,
): vscode.Disposable {
  let watching: vscode.Disposable | undefined;
  const watch = async () => {
    const api = watching === undefined ? await pythonApi(log) : undefined;
    watching ??= api?.environments.onDidChangeActiveEnvironmentPath(changed);
    return api !== undefined;
  };
  void watch();
  const extensions = vscode.extensions.onDidChange(async () => {
    if (await watch()) {
      changed();
    }
  });
  return new vscode.Disposable(() => {
    extensions.dispose();
    watching?.dispose();
  });
}

async function pythonApi(log: vscode.LogOutputChannel): Promise<PythonExtension | undefined> {
  if (vscode.extensions.getExtension(PVSC_EXTENSION_ID) === undefined) {
    return undefined;
  }
  try {
    return await PythonExtension.api();
  } catch (error) {
    log.warn(`The Python extension did not start, so its interpreter is not used: ${error}`);
    return undefined;
  }
}
