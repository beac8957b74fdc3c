// What a click on a code lens does, in a form that VS Code cannot lose.
//
// A command with arguments stays on the extension's side, under a number that is good for one set of lenses. VS Code
// shows lenses that were out of sight with old numbers for up to a second after they came into view, and a click then
// finds nothing ("Actual command not found"). A command without arguments needs no number.

import * as vscode from "vscode";

/** How many are kept: more than the lenses of all documents that one looks at in an hour. */
const MOST = 2_000;

export class LensCommands implements vscode.Disposable {
  /** By what they do; what was needed last is last. */
  private readonly known = new Map<string, { id: string; registration: vscode.Disposable }>();
  private made = 0;

  /** Gives lenses commands without arguments that do the same. */
  simplify(lenses: vscode.CodeLens[]): vscode.CodeLens[] {
    // Not so many at once that they would push out each other.
    for (const lens of lenses.slice(0, MOST / 2)) {
      if (lens.command?.arguments?.length) {
        const { title, tooltip } = lens.command;
        const command = this.idOf(lens.command);
        lens.command = tooltip === undefined ? { title, command } : { title, command, tooltip };
      }
    }
    return lenses;
  }

  dispose(): void {
    for (const { registration } of this.known.values()) {
      registration.dispose();
    }
    this.known.clear();
  }

  private idOf({ command, arguments: given = [] }: vscode.Command): string {
    const key = JSON.stringify([command, given]);
    let known = this.known.get(key);
    if (known === undefined) {
      this.made += 1;
      const id = `memlens.lens.${this.made}`;
      const carryOut = () => vscode.commands.executeCommand(command, ...given);
      known = { id, registration: vscode.commands.registerCommand(id, carryOut) };
    }
    this.known.delete(key);
    this.known.set(key, known);
    const [oldest] = this.known;
    if (this.known.size > MOST && oldest !== undefined) {
      oldest[1].registration.dispose();
      this.known.delete(oldest[0]);
    }
    return known.id;
  }
}
