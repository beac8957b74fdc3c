// Running tests in the background: trusted, saved, with progress that can be cancelled.

import * as vscode from "vscode";

import { reason, withoutLinks } from "../plainWords";
import type { Outcome, RunArgument } from "../protocol";
import type { Progress, Server } from "../server";
import type { Installation } from "./installation";
import { isTrusted } from "./trust";

export class Runs implements vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.changed.event;
  // Of each run that is going on.
  private readonly going = new Set<{ progress: Progress }>();

  constructor(
    private readonly server: Server,
    private readonly installation: Installation,
  ) {}

  dispose(): void {
    this.changed.dispose();
  }

  /** How far the run is that began last; undefined when none is going on. */
  get progress(): Progress | undefined {
    return [...this.going].at(-1)?.progress;
  }

  /** Runs tests, and offers to install what they lack. Returns when they have ended. */
  async run(argument: RunArgument): Promise<readonly Outcome[] | undefined> {
    if (!(await isReadyToRun()) || !(await this.server.ensureRunning())) {
      return undefined;
    }
    const outcomes = await this.runWithProgress(argument);
    const lacking = outcomes?.find(({ missing }) => missing !== null);
    if (lacking !== undefined && (await this.installation.offer(lacking))) {
      return this.run(argument);
    }
    return outcomes;
  }

  private async runWithProgress(argument: RunArgument): Promise<readonly Outcome[] | undefined> {
    const run: { progress: Progress } = { progress: {} };
    this.going.add(run);
    this.changed.fire();
    try {
      return await vscode.window.withProgress(
        {
          location: vscode.ProgressLocation.Notification,
          title: "memlens",
          cancellable: true,
        },
        (shown, cancelled) => {
          let reported = 0;
          return this.server.run<readonly Outcome[]>(
            argument,
            (progress) => {
              run.progress = progress;
              const { message, percentage = reported } = progress;
              shown.report({
                ...(message === undefined ? {} : { message: withoutLinks(message) }),
                increment: Math.max(percentage - reported, 0),
              });
              reported = Math.max(percentage, reported);
              this.changed.fire();
            },
            cancelled,
          );
        },
      );
    } catch (error) {
      void vscode.window.showErrorMessage(
        `memlens: the tests were not run to the end: ${reason(error)}`,
      );
      return undefined;
    } finally {
      this.going.delete(run);
      this.changed.fire();
    }
  }
}

/** Tests run from disk and run code of the workspace: it must be trusted, and its edits saved. */
export async function isReadyToRun(): Promise<boolean> {
  if (!(await isTrusted())) {
    return false;
  }
  // VS Code's own setting for every test runner.
  if (vscode.workspace.getConfiguration("testing").get("saveBeforeTest", true)) {
    await vscode.workspace.saveAll(false);
  }
  return true;
}
