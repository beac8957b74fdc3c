// The commands that open the flame graph panel, and its return after a reload of the window.

import * as vscode from "vscode";

import type { Subject } from "../../../web/src/panel/messages";
import type { Server } from "../server";
import { readKept, readSubject } from "./checks";
import { FlameGraphPanel, type Focus, VIEW_TYPE } from "./panel";
import { pickTest } from "./picking";

export function registerFlameGraph(context: vscode.ExtensionContext, server: Server): void {
  // One for all tests, like the panels of the editor itself.
  let panel: FlameGraphPanel | undefined;
  const keep = (made: FlameGraphPanel) => {
    panel = made;
    made.onDispose(() => {
      panel = panel === made ? undefined : panel;
    });
    return made;
  };
  const show = async (argument: unknown, focus: Focus) => {
    const subject: Subject | undefined = readSubject(argument) ?? (await pickTest(server));
    if (subject !== undefined) {
      panel ??= keep(FlameGraphPanel.create(server, context.extensionUri, subject));
      await panel.show(subject, focus);
    }
  };
  context.subscriptions.push(
    vscode.commands.registerCommand("memlens.showFlameGraph", (argument: unknown) =>
      show(argument, "graph"),
    ),
    vscode.commands.registerCommand("memlens.showHistory", (argument: unknown) =>
      show(argument, "history"),
    ),
    vscode.window.registerWebviewPanelSerializer(VIEW_TYPE, {
      async deserializeWebviewPanel(restored, state: unknown) {
        const kept = readKept(state);
        if (kept === undefined || panel !== undefined) {
          restored.dispose();
          return;
        }
        void keep(new FlameGraphPanel(restored, server, context.extensionUri, kept)).load();
      },
    }),
  );
}
