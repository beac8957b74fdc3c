// An environment without pytest-memlens: offering to install it there, in a terminal.

import { execFile } from "node:child_process";
import * as os from "node:os";
import * as vscode from "vscode";
import { openInterpreterSetting } from "../interpreterSetting";
import { withoutLinks } from "../plainWords";
import type { Outcome } from "../protocol";
import { chooseInstaller, PACKAGE } from "./installers";
import { runInTerminal } from "./terminal";

const DECLINED = "memlens.installation.declined";
/** How long pip may take to say that it is there, in milliseconds. */
const TIMEOUT_MS = 30_000;

export class Installation {
  constructor(
    /** Where it is kept for which interpreters the user wants nothing installed. */
    private readonly memento: vscode.Memento,
    private readonly showLog: () => void,
  ) {}

  /** Offers to install what a run lacked. Returns whether that was done, so that it can run again. */
  async offer({ missing, problem, python, root }: Outcome): Promise<boolean> {
    const declined = this.memento.get<readonly string[]>(DECLINED, []);
    if (declined.includes(python)) {
      await this.tell(problem ?? `${missing} is not installed for ${python}.`);
      return false;
    }
    const [install, choose, never] = ["Install and run", "Choose interpreter", "Not now"] as const;
    const picked = await vscode.window.showWarningMessage(
      withoutLinks(`memlens measures tests with ${PACKAGE}, which is not installed for ${python}.`),
      install,
      choose,
      never,
    );
    switch (picked) {
      case install:
        return this.install(python, vscode.Uri.parse(root));
      case choose:
        await openInterpreterSetting();
        return false;
      case never:
        await this.memento.update(DECLINED, [...declined, python]);
        return false;
      default:
        return false;
    }
  }

  private async install(python: string, root: vscode.Uri): Promise<boolean> {
    const installer = chooseInstaller(python, {
      pip: await succeeds(python, ["-m", "pip", "--version"]),
      uv: await succeeds("uv", ["--version"]),
    });
    if (installer === undefined) {
      await this.tell(
        `memlens: neither pip nor uv is there to install ${PACKAGE} for ${python}. Install one of them, or choose another interpreter.`,
      );
      return false;
    }
    const code = await runInTerminal({
      name: `memlens: install ${PACKAGE}`,
      folder: root,
      program: installer.program,
      arguments: installer.arguments,
      environment: {},
    });
    if (code !== 0) {
      await this.tell(`memlens: ${PACKAGE} was not installed. The terminal says why.`);
    }
    return code === 0;
  }

  private async tell(message: string): Promise<void> {
    if ((await vscode.window.showErrorMessage(withoutLinks(message), "Show log")) === "Show log") {
      this.showLog();
    }
  }
}

/** Whether a program runs and is content. It runs outside the workspace, as no shell's child. */
function succeeds(program: string, args: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { cwd: os.homedir(), timeout: TIMEOUT_MS, windowsHide: true };
    execFile(program, args, options, (error) => resolve(error === null));
  });
}
