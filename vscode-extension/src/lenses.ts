// The code lenses on their way from the server to VS Code, which forgets what they do, and to ask for them.
//
// VS Code waits a moment before it asks for lenses, and gives that up if the editor loses the keyboard meanwhile
// (its codelensController). Whoever starts it and clicks on the side bar at once, or on the terminal when a run ends,
// would have no lenses, or old ones, until the editor has the keyboard again.

import * as vscode from "vscode";
import type { ProvideCodeLensesSignature } from "vscode-languageclient";

import type { LensCommands } from "./lensCommands";

/** How long VS Code may take to ask, in milliseconds. It waits a quarter of a second if nothing is slow. */
const PATIENCE = 1_000;
/** How often it is told again. */
const MOST_REMINDERS = 3;

export class Lenses implements vscode.Disposable {
  /** The documents whose lenses were asked for since they changed. */
  private asked = new WeakSet<vscode.TextDocument>();
  private timer: NodeJS.Timeout | undefined;
  private isReminding = false;

  /** Those of documents of *selector*; *remind* tells VS Code that they changed. */
  constructor(
    private readonly selector: vscode.DocumentFilter,
    private readonly remind: () => void,
    private readonly commands: LensCommands,
  ) {}

  /** VS Code was told that lenses changed. */
  changed(): void {
    if (!this.isReminding) {
      this.asked = new WeakSet();
      this.waitFor(MOST_REMINDERS);
    }
  }

  /** VS Code asks for the lenses of a document; *ask* asks the server. */
  async provide(
    document: vscode.TextDocument,
    token: vscode.CancellationToken,
    ask: ProvideCodeLensesSignature,
  ): Promise<vscode.CodeLens[]> {
    this.asked.add(document);
    return this.commands.simplify((await ask(document, token)) ?? []);
  }

  dispose(): void {
    clearTimeout(this.timer);
  }

  private waitFor(reminders: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (reminders > 0 && vscode.window.visibleTextEditors.some((each) => this.lacks(each))) {
        this.isReminding = true;
        this.remind();
        this.isReminding = false;
        this.waitFor(reminders - 1);
      }
    }, PATIENCE);
  }

  private lacks({ document }: vscode.TextEditor): boolean {
    return (
      !this.asked.has(document) &&
      vscode.languages.match(this.selector, document) > 0 &&
      vscode.workspace.getConfiguration("editor", document).get("codeLens") === true
    );
  }
}
