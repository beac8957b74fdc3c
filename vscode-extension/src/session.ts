// The one server of a window: which interpreter it runs on, and its starts and restarts in order.

import * as os from "node:os";
import * as vscode from "vscode";

import { Client, SECTION, serverSettings } from "./client";
import { chooseInterpreter, type Interpreter } from "./interpreter";
import { checkInterpreter } from "./interpreterCheck";
import { activeInterpreter } from "./pythonExtension";

export class Session implements vscode.Disposable {
  private client: Client | undefined;
  // What the running client was started with; undefined when none is running.
  private interpreter: string | undefined;
  // The last start or restart asked for. The next waits for it, so two servers never run at once.
  private turn: Promise<void> = Promise.resolve();

  constructor(
    private readonly extensionPath: string,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  /** Starts the server, or restarts it, whatever the interpreter. */
  restart(): Promise<void> {
    return this.inTurn(async () => {
      await this.stop();
      await this.start();
    });
  }

  /** Restarts the server when another interpreter is chosen now, else leaves it alone. */
  refreshInterpreter(): Promise<void> {
    return this.inTurn(async () => {
      const chosen = await this.choose();
      if (this.interpreter === undefined || this.interpreter !== (await resolved(chosen))) {
        await this.stop();
        await this.start();
      }
    });
  }

  /** Tells the running server that settings changed; it may also ask for them. */
  async sendSettings(): Promise<void> {
    if (this.client?.isRunning() && this.interpreter !== undefined) {
      await this.client.sendNotification("workspace/didChangeConfiguration", {
        settings: { [SECTION]: serverSettings(this.interpreter) },
      });
    }
  }

  get isRunning(): boolean {
    return this.client?.isRunning() ?? false;
  }

  dispose(): Promise<void> {
    return this.inTurn(() => this.stop());
  }

  private inTurn(work: () => Promise<void>): Promise<void> {
    this.turn = this.turn.then(work).catch((error) => this.log.error(`${error}`));
    return this.turn;
  }

  private async start(): Promise<void> {
    const chosen = await this.choose();
    const check = await checkInterpreter(chosen.command);
    if (!check.ok) {
      this.complainAbout(chosen, check.reason);
      return;
    }
    this.log.info(`Python ${check.version} at ${check.path} (${FROM[chosen.source]})`);
    const client = new Client(check.path, this.extensionPath, this.log);
    this.client = client;
    this.interpreter = check.path;
    try {
      await client.start();
    } catch (error) {
      this.log.error(`The server did not start: ${error}`);
      void this.offerLog(
        `memlens: the language server did not start on Python ${check.version} at "${check.path}". The log says why.`,
      );
      await this.stop();
    }
  }

  private async stop(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    this.interpreter = undefined;
    // A client that failed to start refuses to stop; there is nothing to wait for then.
    await client?.dispose().catch((error) => this.log.debug(`While stopping: ${error}`));
  }

  private async choose(): Promise<Interpreter> {
    const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
    return chooseInterpreter({
      setting: vscode.workspace.getConfiguration(SECTION, folder).get("interpreter", ""),
      // An environment inside a workspace that is not trusted is a program that is not trusted.
      active: vscode.workspace.isTrusted ? await activeInterpreter(folder, this.log) : undefined,
      workspaceFolder: folder?.fsPath,
      home: os.homedir(),
      platform: process.platform,
    });
  }

  private complainAbout(chosen: Interpreter, reason: string): void {
    const message = `memlens cannot use the Python interpreter "${chosen.command}" (${FROM[chosen.source]}): ${reason}.`;
    this.log.error(message);
    void this.offerLog(message, "Select interpreter setting");
  }

  /** An error message with a button to the log and, where asked for, one to the setting. */
  private async offerLog(message: string, ...more: string[]): Promise<void> {
    const picked = await vscode.window.showErrorMessage(message, ...more, "Show log");
    if (picked === "Show log") {
      this.log.show();
    } else if (picked !== undefined) {
      // In a remote window a path is a setting of the remote machine, kept apart from the user's.
      const open = vscode.env.remoteName === undefined ? "openSettings" : "openRemoteSettings";
      await vscode.commands.executeCommand(`workbench.action.${open}`, {
        query: `@id:${SECTION}.interpreter`,
      });
    }
  }
}

const FROM: Record<Interpreter["source"], string> = {
  setting: "from the setting memlens.interpreter",
  "python-extension": "from the Python extension",
  path: "from the PATH",
};

async function resolved(chosen: Interpreter): Promise<string | undefined> {
  const check = await checkInterpreter(chosen.command);
  return check.ok ? check.path : undefined;
}
