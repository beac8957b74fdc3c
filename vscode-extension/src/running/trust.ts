// A test can run any code, so only trusted workspaces run tests.

import * as vscode from "vscode";

/** Whether the workspace is trusted. If not, says so and leads to where that is decided. */
export async function isTrusted(): Promise<boolean> {
  if (vscode.workspace.isTrusted) {
    return true;
  }
  const manage = "Manage Workspace Trust";
  const picked = await vscode.window.showWarningMessage(
    "memlens runs tests only in a trusted workspace: a test can run any code.",
    manage,
  );
  if (picked === manage) {
    await vscode.commands.executeCommand("workbench.trust.manage");
  }
  return vscode.workspace.isTrusted;
}
