// Programs in a terminal of VS Code, as tasks: started without a shell, with words as they are.

import * as vscode from "vscode";

export interface Program {
  readonly name: string;
  readonly folder: vscode.Uri;
  readonly program: string;
  readonly arguments: readonly string[];
  /** Besides the editor's own variables. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Runs a program in a terminal of its own. Returns its exit code when it has ended; undefined if it was ended. */
export async function runInTerminal(program: Program): Promise<number | undefined> {
  // By this VS Code tells tasks apart: two of the same definition never run at once, whatever their names.
  const id = JSON.stringify([program.name, program.folder.toString()]);
  const task = new vscode.Task(
    { type: "memlens", id },
    vscode.workspace.getWorkspaceFolder(program.folder) ?? vscode.TaskScope.Workspace,
    program.name,
    "memlens",
    new vscode.ProcessExecution(program.program, [...program.arguments], {
      cwd: program.folder.fsPath,
      env: { ...program.environment },
    }),
  );
  task.presentationOptions = {
    reveal: vscode.TaskRevealKind.Always,
    panel: vscode.TaskPanelKind.Dedicated,
    clear: true,
    showReuseMessage: false,
  };
  const subscriptions: vscode.Disposable[] = [];
  try {
    const ended = new Promise<number | undefined>((resolve) => {
      const isOurs = (execution: vscode.TaskExecution) => execution.task.definition.id === id;
      subscriptions.push(
        vscode.tasks.onDidEndTaskProcess(({ execution, exitCode }) => {
          if (isOurs(execution)) {
            resolve(exitCode);
          }
        }),
        // Without a process, when it could not be started.
        vscode.tasks.onDidEndTask(({ execution }) => {
          if (isOurs(execution)) {
            setTimeout(() => resolve(undefined), 0);
          }
        }),
      );
    });
    await vscode.tasks.executeTask(task);
    return await ended;
  } finally {
    vscode.Disposable.from(...subscriptions).dispose();
  }
}
