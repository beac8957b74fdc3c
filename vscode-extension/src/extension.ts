// The extension's entry: the palette's commands, and what makes the server start again.

import * as vscode from "vscode";

import { RUN_COMMAND, SECTION } from "./client";
import { onActiveInterpreterChanged } from "./pythonExtension";
import { Session } from "./session";

let session: Session | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const log = vscode.window.createOutputChannel("memlens", { log: true });
  session = new Session(context.extensionPath, log);
  const running = session;
  context.subscriptions.push(
    log,
    vscode.commands.registerCommand("memlens.showLog", () => log.show()),
    vscode.commands.registerCommand("memlens.restartServer", () => running.restart()),
    // The editor's context menu names the file, the palette does not.
    vscode.commands.registerCommand("memlens.runFile", (file?: vscode.Uri) =>
      runFile(running, file ?? vscode.window.activeTextEditor?.document.uri),
    ),
    vscode.workspace.onDidChangeConfiguration(async (change) => {
      if (change.affectsConfiguration(`${SECTION}.interpreter`)) {
        await running.refreshInterpreter();
      } else if (change.affectsConfiguration(SECTION)) {
        await running.sendSettings();
      }
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(() => running.refreshInterpreter()),
  );
  await running.restart();
  // After the server: the Python extension can take seconds to start, and may not be installed.
  const watching = await onActiveInterpreterChanged(() => void running.refreshInterpreter(), log);
  if (watching !== undefined) {
    context.subscriptions.push(watching);
  }
}

export async function deactivate(): Promise<void> {
  await session?.dispose();
}

async function runFile(running: Session, file: vscode.Uri | undefined): Promise<void> {
  if (file === undefined) {
    return;
  }
  if (!running.isRunning) {
    // Says what is wrong, with buttons, when it still cannot start.
    await running.restart();
  }
  if (running.isRunning) {
    await vscode.commands.executeCommand(RUN_COMMAND, { uri: file.toString() });
  }
}
