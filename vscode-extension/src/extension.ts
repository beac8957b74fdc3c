// The extension's entry: what there is, and what it is told of.

import * as vscode from "vscode";

import { registerCommands } from "./commands";
import { registerFlameGraph } from "./flameGraph/register";
import { openInterpreterSetting } from "./interpreterSetting";
import { Interpreters } from "./interpreters";
import { watchActiveInterpreter } from "./pythonExtension";
import { Installation } from "./running/installation";
import { Runs } from "./running/runs";
import { Session } from "./session";
import { SECTION } from "./settings";
import { StatusBar } from "./statusBar";
import { TestsModel } from "./tests/model";
import { MemoryView } from "./tests/view";

let session: Session | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel("memlens", { log: true });
  const running = new Session(context.extensionPath, new Interpreters(log), log);
  session = running;
  const runs = new Runs(running, new Installation(context.globalState, () => log.show()));
  running.runTests = (argument) => runs.run(argument);
  const model = new TestsModel(running, log);
  const view = new MemoryView(model, running, context.workspaceState);
  context.subscriptions.push(
    log,
    model,
    view,
    runs,
    new StatusBar(model, runs, running),
    registerCommands(running, runs, view),
    vscode.commands.registerCommand("memlens.chooseInterpreter", openInterpreterSetting),
    vscode.commands.registerCommand("memlens.showLog", () => log.show()),
    vscode.commands.registerCommand("memlens.restartServer", () => running.restart()),
    vscode.workspace.onDidChangeConfiguration(async (change) => {
      if (change.affectsConfiguration(`${SECTION}.interpreter`)) {
        await running.refresh();
      } else if (change.affectsConfiguration(SECTION)) {
        await running.sendSettings();
      }
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(() => running.refresh()),
  );
  registerFlameGraph(context, running);
  // The view is there where Python is: other workspaces keep their side bar as it is.
  void vscode.commands.executeCommand("setContext", "memlens.isActive", true);
  // Not awaited: VS Code waits for what is, and nothing else here needs the server.
  void start(running, context, log);
}

export async function deactivate(): Promise<void> {
  await session?.dispose();
}

async function start(
  running: Session,
  context: vscode.ExtensionContext,
  log: vscode.LogOutputChannel,
): Promise<void> {
  await running.restart();
  // After the server: the Python extension can take seconds to start.
  context.subscriptions.push(watchActiveInterpreter(() => void running.refresh(), log));
}
