// The Memory view in the Testing side bar: all tests with what they took.

import * as vscode from "vscode";

import type { Test } from "../protocol";
import type { Server } from "../server";
import { gauge, level } from "./gauge";
import type { TestsModel } from "./model";
import { EVERYTHING, type Group, isFiltered, type Node, pathOf, type Shown, treeOf } from "./tree";
import {
  leadWords,
  measuredWords,
  type State,
  sentences,
  shareOfLimit,
  stateOf,
  summaryWords,
  troubleWords,
} from "./words";

export const VIEW = "memlens.tests";
const REMEMBERED = "memlens.tests.shown";
/** With no more tests than this all files are open at first. */
const FEW = 40;

export class MemoryView implements vscode.TreeDataProvider<Node>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly view: vscode.TreeView<Node>;
  private readonly subscriptions: vscode.Disposable[];
  private shown: Shown;
  // Made when it is asked for: while the view is not seen, nobody needs it.
  private tree: Node[] | undefined;

  constructor(
    private readonly model: TestsModel,
    private readonly server: Server,
    private readonly memento: vscode.Memento,
  ) {
    this.shown = { ...EVERYTHING, ...memento.get<Partial<Shown>>(REMEMBERED) };
    this.view = vscode.window.createTreeView(VIEW, {
      treeDataProvider: this,
      showCollapseAll: true,
      canSelectMany: false,
    });
    this.subscriptions = [
      this.view,
      this.changed,
      model.onDidChange(() => this.refresh()),
      server.onDidChangeState(() => this.tell()),
    ];
    this.tell();
  }

  dispose(): void {
    vscode.Disposable.from(...this.subscriptions).dispose();
  }

  /** Shows other tests, or in another order, and remembers that for this workspace. */
  async show(change: Partial<Shown>): Promise<void> {
    this.shown = { ...this.shown, ...change };
    this.refresh();
    await this.memento.update(REMEMBERED, this.shown);
  }

  async askForName(): Promise<void> {
    const name = await vscode.window.showInputBox({
      title: "Show tests by name",
      prompt: "A part of a test's name or path. Empty shows all.",
      value: this.shown.name,
    });
    if (name !== undefined) {
      await this.show({ name: name.trim() });
    }
  }

  getChildren(node?: Node): Node[] {
    if (node !== undefined) {
      return node.kind === "test" ? [] : [...node.children];
    }
    this.tree ??= treeOf(this.model.projects, this.shown);
    return this.tree;
  }

  getTreeItem(node: Node): vscode.TreeItem {
    return node.kind === "test" ? this.itemOfTest(node) : this.itemOfGroup(node);
  }

  resolveTreeItem(item: vscode.TreeItem, node: Node): vscode.TreeItem {
    const lines = node.kind === "test" ? sentences(node.test) : [summaryWords(node.tests)];
    const [first] = node.tests;
    const id =
      node.kind === "test"
        ? node.test.id
        : node.kind === "file" && first !== undefined
          ? pathOf(first)
          : node.label;
    const tooltip = new vscode.MarkdownString();
    tooltip.appendText(id);
    for (const line of lines) {
      tooltip.appendMarkdown("\n\n").appendText(line);
    }
    item.tooltip = tooltip;
    return item;
  }

  private itemOfTest(node: Node & { kind: "test" }): vscode.TreeItem {
    const item = new vscode.TreeItem(this.labelOf(node), vscode.TreeItemCollapsibleState.None);
    item.id = node.id;
    const words = measuredWords(node.test, this.shown.order);
    item.description = this.shown.flat ? `${words}  ${pathOf(node.test)}` : words;
    item.iconPath = iconOf(node.test);
    item.contextValue = "test";
    item.command = { command: "memlens.tests.open", title: "Go to test", arguments: [node] };
    item.accessibilityInformation = { label: [node.label, ...sentences(node.test)].join(". ") };
    return item;
  }

  private itemOfGroup(node: Group): vscode.TreeItem {
    const isOpen = node.kind === "project" || this.model.tests.length <= FEW;
    const item = new vscode.TreeItem(
      this.labelOf(node),
      isOpen ? vscode.TreeItemCollapsibleState.Expanded : vscode.TreeItemCollapsibleState.Collapsed,
    );
    item.id = node.id;
    const cases = node.kind === "cases" ? `${node.tests.length} cases` : "";
    const folder = node.kind === "file" ? folderOf(node) : "";
    item.description = [cases, ...troubleWords(node.tests), folder]
      .filter((words) => words !== "")
      .join(" · ");
    if (node.kind === "file") {
      // Its icon is that of the user's theme, and its colour says whether it has problems.
      item.resourceUri = vscode.Uri.parse(node.uri);
    }
    item.iconPath = GROUP_ICONS[node.kind];
    item.contextValue = node.kind;
    const tests =
      cases === "" ? summaryWords(node.tests) : [cases, ...troubleWords(node.tests)].join(", ");
    item.accessibilityInformation = {
      label: `${node.label}, ${leadWords(node.tests, this.shown.order)}, ${tests}`,
    };
    return item;
  }

  private labelOf(node: Node): string {
    return `${leadWords(node.tests, this.shown.order)}  ${node.label}`;
  }

  private refresh(): void {
    this.tree = undefined;
    this.tell();
    this.changed.fire();
  }

  /** What is said beside the tree: above it, on its icon, and instead of it when it is empty. */
  private tell(): void {
    const { only, name, order, flat } = this.shown;
    const filters = [
      ...(only === "over" ? ["over limit"] : only === "leaking" ? ["leaking"] : []),
      ...(name === "" ? [] : [`"${name}"`]),
    ];
    this.view.description = [ORDERS[order], ...filters].join(" · ");
    const troubled = this.model.troubled.length;
    this.view.badge =
      troubled === 0
        ? undefined
        : { value: troubled, tooltip: `${summaryWords(this.model.troubled)} (memlens)` };
    const problems = this.model.projects.flatMap(({ problem }) => problem ?? []);
    this.view.message = problems.length > 0 ? problems.join("\n") : "";
    const state =
      this.server.state === "stopped"
        ? "stopped"
        : !this.model.isKnown
          ? "loading"
          : this.model.tests.length === 0
            ? "empty"
            : "shown";
    const context = { state, flat, filtered: isFiltered(this.shown) };
    for (const [key, value] of Object.entries(context)) {
      void vscode.commands.executeCommand("setContext", `memlens.tests.${key}`, value);
    }
  }
}

/** Returns the folder of a file, as the results name it. */
function folderOf({ tests }: Group): string {
  const path = tests[0] === undefined ? "" : pathOf(tests[0]);
  return path.slice(0, Math.max(path.lastIndexOf("/"), 0));
}

const ORDERS: Readonly<Record<Shown["order"], string>> = {
  peak: "by peak",
  growth: "by growth",
  share: "by share of limit",
  name: "by name",
};

function icon(id: string, colour?: string): vscode.ThemeIcon {
  return new vscode.ThemeIcon(id, colour === undefined ? undefined : new vscode.ThemeColor(colour));
}

/** A gauge of its limit where it has one and keeps to it or not; else a sign. */
function iconOf(test: Test): vscode.IconPath {
  const state = stateOf(test);
  const share = shareOfLimit(test);
  if (share === null || !(state === "over" || state === "near" || state === "within")) {
    return ICONS[state];
  }
  const key = `${state} ${level(share, state)}`;
  let icons = gauges.get(key);
  if (icons === undefined) {
    const image = (theme: "light" | "dark") =>
      vscode.Uri.from({
        scheme: "data",
        path: `image/svg+xml;base64,${Buffer.from(gauge(share, state, theme)).toString("base64")}`,
      });
    icons = { light: image("light"), dark: image("dark") };
    gauges.set(key, icons);
  }
  return icons;
}

const gauges = new Map<string, { light: vscode.Uri; dark: vscode.Uri }>();

// Told apart by their shapes too, not by colour alone.
const ICONS: Readonly<Record<State, vscode.ThemeIcon>> = {
  over: icon("error", "testing.iconFailed"),
  leaking: icon("bug", "testing.iconFailed"),
  failed: icon("testing-failed-icon", "testing.iconFailed"),
  near: icon("warning", "list.warningForeground"),
  within: icon("pass", "testing.iconPassed"),
  measured: icon("circle-outline"),
};

const GROUP_ICONS: Readonly<Record<Group["kind"], vscode.ThemeIcon>> = {
  project: icon("root-folder"),
  file: vscode.ThemeIcon.File,
  class: icon("symbol-class"),
  cases: icon("symbol-array"),
};
