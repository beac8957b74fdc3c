// Leads the user to the setting that chooses the interpreter.

import * as vscode from "vscode";

export async function openInterpreterSetting(): Promise<void> {
  // In a remote window a path is a setting of the remote machine, kept apart from the user's.
  const open = vscode.env.remoteName === undefined ? "openSettings" : "openRemoteSettings";
  await vscode.commands.executeCommand(`workbench.action.${open}`, {
    query: "@id:memlens.interpreter",
  });
}
