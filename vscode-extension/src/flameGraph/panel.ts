// The flame graph panel of a window: what it shows, kept true while results change.

import { randomBytes } from "node:crypto";
import * as vscode from "vscode";

import type {
  Choice,
  FromPage,
  Kept,
  Notice,
  Subject,
  ToPage,
} from "../../../web/src/panel/messages";
import { panelPage } from "../../../web/src/panel/page";
import {
  type Call,
  type FlameGraph,
  type History,
  hasSource,
  inOrder,
} from "../../../web/src/panel/protocol";
import type { Server } from "../server";
import {
  askGraph,
  askHistory,
  cleared,
  failed,
  type Measured,
  notMeasured,
  notRunning,
} from "./asking";
import { readMessage } from "./checks";
import { Sources } from "./sources";

export const VIEW_TYPE = "memlens.flameGraph";

const NEWEST: Choice = { kind: "peak", run: null, compareWith: null };

export type Focus = "graph" | "history";

/** What the page shows. */
type Shown =
  | { type: "loading" }
  | { type: "notice"; notice: Notice }
  | ({ type: "graph" } & Measured);

export class FlameGraphPanel implements vscode.Disposable {
  private readonly sources = new Sources();
  private readonly disposables: vscode.Disposable[] = [this.sources];
  private subject: Subject;
  private choice: Choice;
  private shown: Shown = { type: "loading" };
  /** What was asked last. An answer to anything before is not wanted any more. */
  private asked = 0;
  /** Results changed while nobody looked. */
  private isStale = false;
  private isRefreshing = false;
  /** Where the page puts the focus when it shows a graph; null once it was told. */
  private focus: Focus | null = null;
  /** The page listens: it is loaded, which it is anew whenever its tab comes to the front. */
  private isListening = false;
  /** Its tab was closed: the editor's part of it can be asked nothing any more. */
  private isDisposed = false;
  /** A graph of this test was shown. */
  private wasMeasured = false;

  constructor(
    private readonly panel: vscode.WebviewPanel,
    private readonly server: Server,
    extension: vscode.Uri,
    kept: Kept,
  ) {
    this.subject = kept.subject;
    this.choice = kept.choice;
    const { webview } = panel;
    const dist = vscode.Uri.joinPath(extension, "dist");
    const images = vscode.Uri.joinPath(extension, "images");
    webview.options = { enableScripts: true, localResourceRoots: [dist] };
    panel.iconPath = {
      light: vscode.Uri.joinPath(images, "flame-graph-light.svg"),
      dark: vscode.Uri.joinPath(images, "flame-graph-dark.svg"),
    };
    this.disposables.push(
      webview.onDidReceiveMessage((message: unknown) => this.receive(readMessage(message))),
      panel.onDidChangeViewState(() => {
        this.isListening &&= panel.visible;
        if (panel.visible && this.isStale) {
          void this.refresh();
        }
      }),
      server.onDidChangeResults(() => this.refresh()),
      server.onDidChangeState(() => this.refresh()),
    );
    webview.html = panelPage({
      source: webview.cspSource,
      script: webview.asWebviewUri(vscode.Uri.joinPath(dist, "panel.js")).toString(),
      style: webview.asWebviewUri(vscode.Uri.joinPath(dist, "panel.css")).toString(),
      language: vscode.env.language,
      nonce: randomBytes(16).toString("base64url"),
    });
  }

  /** Opens a panel beside the editor, about nothing yet. */
  static create(server: Server, extension: vscode.Uri, subject: Subject): FlameGraphPanel {
    const panel = vscode.window.createWebviewPanel(VIEW_TYPE, "Memory", vscode.ViewColumn.Beside);
    return new FlameGraphPanel(panel, server, extension, { subject, choice: NEWEST });
  }

  onDispose(disposed: () => void): void {
    this.panel.onDidDispose(() => {
      this.dispose();
      disposed();
    });
  }

  /** Shows the newest result of a test. */
  show(subject: Subject, focus: Focus): Promise<void> {
    this.subject = subject;
    this.choice = NEWEST;
    this.focus = focus;
    this.wasMeasured = false;
    this.panel.reveal(undefined, false);
    return this.load();
  }

  /** Asks the server for all, and says so meanwhile. */
  load(): Promise<void> {
    this.tell({ type: "loading" });
    return this.ask(null);
  }

  dispose(): void {
    this.isDisposed = true;
    this.asked += 1;
    vscode.Disposable.from(...this.disposables).dispose();
  }

  /** Asks for what was chosen, of *history* if that is known, and shows it if that is still wanted. */
  private async ask(history: History | null): Promise<void> {
    this.asked += 1;
    const turn = this.asked;
    let shown: Shown;
    try {
      shown = await this.answer(history ?? (await askHistory(this.server, this.subject)));
    } catch (error) {
      shown = this.problem(error);
    }
    if (turn === this.asked) {
      this.tell(shown);
    }
  }

  /** Looks whether what is shown is still true, once at a time, and shows what is. */
  private async refresh(): Promise<void> {
    this.isStale = true;
    if (this.isRefreshing) {
      return;
    }
    this.isRefreshing = true;
    try {
      while (this.isStale && !this.isDisposed && this.panel.visible) {
        this.isStale = false;
        await this.refreshOnce();
      }
    } finally {
      this.isRefreshing = false;
    }
  }

  private async refreshOnce(): Promise<void> {
    const turn = this.asked;
    const before = this.shown;
    let shown: Shown | undefined;
    try {
      const history = await askHistory(this.server, this.subject);
      const isAsBefore = before.type === "graph" && same(history, before.history);
      shown = isAsBefore ? undefined : await this.answer(history);
    } catch (error) {
      // What was read before stays; when a server that has ended starts again, that is told.
      shown = before.type === "graph" ? undefined : this.problem(error);
    }
    if (turn !== this.asked) {
      // Something else was asked for meanwhile, maybe of the history of before.
      this.isStale = true;
    } else if (shown !== undefined && !same(shown, before)) {
      this.tell(shown);
    }
  }

  private async answer(history: History | null): Promise<Shown> {
    const measured = history && (await askGraph(this.server, history, this.choice));
    return measured === null
      ? { type: "notice", notice: this.wasMeasured ? cleared() : notMeasured() }
      : { type: "graph", ...measured };
  }

  private problem(error: unknown): Shown {
    return {
      type: "notice",
      notice: this.server.state !== "stopped" ? failed(error) : notRunning(),
    };
  }

  private tell(shown: Shown): void {
    if (this.isDisposed) {
      return;
    }
    this.shown = shown;
    if (shown.type === "graph") {
      // Without its parameters a test is its heaviest case: from now on it is that one.
      this.subject = { uri: shown.history.uri, test: shown.history.test };
      this.choice = shown.choice;
      this.wasMeasured = true;
    }
    this.panel.title = `Memory: ${this.subject.test}`;
    if (this.isListening) {
      this.post();
    }
  }

  private post(): void {
    const { subject, choice, focus, shown } = this;
    const message: ToPage =
      shown.type === "graph" ? { ...shown, subject, choice, focus } : { ...shown, subject, choice };
    void this.panel.webview.postMessage(message);
    if (shown.type !== "loading") {
      this.focus = null;
    }
  }

  private async receive(message: FromPage | undefined): Promise<void> {
    switch (message?.type) {
      case "ready":
        this.isListening = true;
        this.post();
        break;
      case "choose":
        this.choice = message.choice;
        await this.ask(this.shown.type === "graph" ? this.shown.history : null);
        break;
      case "open":
        await this.open(message.frame, message.focus);
        break;
      case "act":
        await this.act(message.action);
        break;
    }
  }

  private async open(frame: number, focus: boolean): Promise<void> {
    if (this.shown.type !== "graph") {
      return;
    }
    const { history, graph } = this.shown;
    const call = nth(graph, frame);
    if (call === undefined || !hasSource(call) || call.uri === null) {
      return;
    }
    let line = call.line ?? 0;
    try {
      // The text may have been edited since: where is the line now?
      const now = await askGraph(this.server, history, this.choice);
      const callNow = now ? nth(now.graph, frame) : undefined;
      if (callNow?.name === call.name && callNow.uri === call.uri) {
        line = callNow.line ?? line;
      }
    } catch {
      // Without a server it is where it was.
    }
    if (this.isDisposed) {
      return;
    }
    await this.sources.open(call.uri, line, { focus, panel: this.panel.viewColumn });
  }

  private async act(action: Extract<FromPage, { type: "act" }>["action"]): Promise<void> {
    switch (action) {
      case "run":
        await this.run();
        break;
      case "retry":
        await this.load();
        break;
      case "restart":
        await vscode.commands.executeCommand("memlens.restartServer");
        break;
      case "log":
        await vscode.commands.executeCommand("memlens.showLog");
        break;
    }
  }

  private async run(): Promise<void> {
    try {
      await vscode.commands.executeCommand("memlens.run", this.subject);
    } catch (error) {
      // The command is the server's: without one there is none.
      this.tell(this.problem(error));
    }
  }
}

function nth(graph: FlameGraph, number: number): Call | undefined {
  return [...inOrder(graph.frames)][number];
}

/** Whether two messages, or parts of them, are alike. */
function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
