// Debugging a test with the Python debugger, when that is installed. Nothing is measured then: what
// the debugger itself allocates would count.

import * as vscode from "vscode";

import type { CommandLine } from "../protocol";

const DEBUGGER = "debugpy";
const EXTENSION = "ms-python.debugpy";

/** Starts the debugger on a test. Says so if there is none. */
export async function debug(line: CommandLine): Promise<void> {
  if (!hasDebugger()) {
    const show = "Show extension";
    const picked = await vscode.window.showWarningMessage(
      "Debugging a test needs the Python Debugger extension, which is not installed.",
      show,
    );
    if (picked === show) {
      await vscode.commands.executeCommand("workbench.extensions.search", `@id:${EXTENSION}`);
    }
    return;
  }
  const folder = vscode.Uri.parse(line.folder);
  await vscode.debug.startDebugging(
    vscode.workspace.getWorkspaceFolder(folder),
    debugConfiguration(line, folder.fsPath),
  );
}

/** The configuration of https://code.visualstudio.com/docs/python/debugging for a run of pytest. */
export function debugConfiguration(line: CommandLine, folder: string): vscode.DebugConfiguration {
  const module = line.arguments.indexOf("-m");
  return {
    type: DEBUGGER,
    request: "launch",
    name: `memlens: ${line.title}`,
    module: line.arguments[module + 1],
    args: line.arguments.slice(module + 2),
    python: line.program,
    cwd: folder,
    env: { ...line.environment, MEMLENS_DISABLE: "1" },
    console: "integratedTerminal",
    justMyCode: true,
    purpose: ["debug-test"],
  };
}

function hasDebugger(): boolean {
  return vscode.extensions.all.some(({ packageJSON }) => {
    const debuggers: unknown = packageJSON?.contributes?.debuggers;
    return Array.isArray(debuggers) && debuggers.some((each) => each?.type === DEBUGGER);
  });
}
