// The status bar: how many tests are over a limit or leak, and how far a run is.

import * as vscode from "vscode";

import type { Runs } from "./running/runs";
import type { Server } from "./server";
import type { TestsModel } from "./tests/model";
import { statusWords, summaryWords } from "./tests/words";

export class StatusBar implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem(
    "memlens.status",
    vscode.StatusBarAlignment.Left,
  );
  private readonly subscriptions: vscode.Disposable[];

  constructor(
    private readonly model: TestsModel,
    private readonly runs: Runs,
    private readonly server: Server,
  ) {
    this.item.name = "Test memory (memlens)";
    this.subscriptions = [
      this.item,
      model.onDidChange(() => this.show()),
      runs.onDidChange(() => this.show()),
      server.onDidChangeState(() => this.show()),
    ];
    this.show();
  }

  dispose(): void {
    vscode.Disposable.from(...this.subscriptions).dispose();
  }

  private show(): void {
    const { text, tooltip, command } = this.content();
    this.item.text = text;
    this.item.tooltip = tooltip;
    this.item.command = command;
    this.item.accessibilityInformation = { label: `memlens: ${text.replaceAll(/\$\(.*?\)/g, "")}` };
    this.item.show();
  }

  private content(): { text: string; tooltip: string; command: string } {
    const command = "memlens.tests.focus";
    const { progress } = this.runs;
    if (progress !== undefined) {
      const { percentage, message } = progress;
      const share = percentage === undefined ? "" : ` ${percentage} %`;
      return {
        text: `$(sync~spin) memlens${share}`,
        tooltip: `memlens runs tests. ${message ?? ""}`,
        command,
      };
    }
    if (this.server.state === "starting") {
      return {
        text: "$(loading~spin) memlens",
        tooltip: "memlens' language server is starting.",
        command,
      };
    }
    if (this.server.state === "stopped") {
      return {
        text: "$(debug-disconnect) memlens",
        tooltip: "memlens' language server is not running. Click to see the log.",
        command: "memlens.showLog",
      };
    }
    const { tests } = this.model;
    if (tests.length === 0) {
      return {
        text: "$(pulse) memlens",
        tooltip: "memlens has measured no test yet. Click to begin.",
        command,
      };
    }
    return {
      text: `$(pulse) ${statusWords(tests)}`,
      tooltip: `memlens: ${summaryWords(tests)}. Click to see them.`,
      command,
    };
  }
}
