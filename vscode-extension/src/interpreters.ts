// The interpreter of each workspace folder: chosen, checked once, and known until choices change.

import * as os from "node:os";
import * as vscode from "vscode";

import { chooseInterpreter, type Interpreter } from "./interpreter";
import { checkInterpreter, type InterpreterCheck } from "./interpreterCheck";
import { activeInterpreter } from "./pythonExtension";

export interface ChosenInterpreter {
  readonly chosen: Interpreter;
  readonly check: InterpreterCheck;
}

export class Interpreters {
  private known = new Map<string, Promise<ChosenInterpreter>>();

  constructor(private readonly log: vscode.LogOutputChannel) {}

  /** That of a folder; of the first folder, or of none, without one. */
  of(folder: vscode.Uri | undefined): Promise<ChosenInterpreter> {
    const where = folder ?? vscode.workspace.workspaceFolders?.[0]?.uri;
    const key = where?.toString() ?? "";
    let known = this.known.get(key);
    if (known === undefined) {
      known = this.choose(where);
      this.known.set(key, known);
    }
    return known;
  }

  /** Those of all folders, each once, in their order; that of none where no folder is open. */
  async ofAll(): Promise<readonly ChosenInterpreter[]> {
    const folders = vscode.workspace.workspaceFolders?.map(({ uri }) => uri) ?? [undefined];
    const all = await Promise.all(folders.map((folder) => this.of(folder)));
    return [...new Map(all.map((each) => [each.chosen.command, each])).values()];
  }

  /** The one that runs a folder's tests. If it cannot, it is named all the same, for the error. */
  async commandOf(folder: vscode.Uri | undefined): Promise<string> {
    const { chosen, check } = await this.of(folder);
    return check.ok ? check.path : chosen.command;
  }

  /** Something about the choice has changed, or the interpreter itself may have. */
  forget(): void {
    this.known = new Map();
  }

  private async choose(folder: vscode.Uri | undefined): Promise<ChosenInterpreter> {
    const chosen = chooseInterpreter({
      setting: vscode.workspace.getConfiguration("memlens", folder).get("interpreter", ""),
      // An environment inside a workspace that is not trusted is a program that is not trusted.
      active: vscode.workspace.isTrusted ? await activeInterpreter(folder, this.log) : undefined,
      workspaceFolder: folder?.fsPath,
      home: os.homedir(),
      platform: process.platform,
    });
    return { chosen, check: await checkInterpreter(chosen.command) };
  }
}
