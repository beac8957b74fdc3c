// The one server of a window: which interpreter it runs on, and its starts and restarts in order.

import * as vscode from "vscode";

import type { Client } from "./client";
import { Crashes } from "./crashes";
import type { Interpreter, InterpreterSource } from "./interpreter";
import type { InterpreterCheck } from "./interpreterCheck";
import { openInterpreterSetting } from "./interpreterSetting";
import type { Interpreters } from "./interpreters";
import { LensCommands } from "./lensCommands";
import { withoutLinks } from "./plainWords";
import { RESULTS_CHANGED, type RunArgument } from "./protocol";
import type { Progress, Server, ServerState } from "./server";

export class Session implements Server, vscode.Disposable {
  private client: Client | undefined;
  // What the running client was started with; undefined when none is running.
  private interpreter: string | undefined;
  // The last start or restart asked for. The next waits for it, so two servers never run at once.
  private turn: Promise<void> = Promise.resolve();
  private crashes = new Crashes();
  private readonly lensCommands = new LensCommands();
  private current: ServerState = "starting";
  private readonly changed = new vscode.EventEmitter<ServerState>();
  private readonly results = new vscode.EventEmitter<void>();
  readonly onDidChangeState = this.changed.event;
  readonly onDidChangeResults = this.results.event;
  /** Called when tests are to be run because `memlens.run` was clicked. */
  runTests: (argument: RunArgument) => Promise<unknown> = async () => undefined;

  constructor(
    private readonly extensionPath: string,
    private readonly interpreters: Interpreters,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  /** Starts the server, or restarts it, whatever the interpreter. */
  restart(): Promise<void> {
    this.crashes = new Crashes();
    this.interpreters.forget();
    return this.inTurn(async () => {
      await this.stop();
      await this.start();
    });
  }

  /** Restarts the server when another interpreter is chosen now, or none runs, else tells it the settings. */
  refresh(): Promise<void> {
    this.interpreters.forget();
    return this.inTurn(async () => {
      const { working } = await this.sorted();
      if (this.interpreter !== working?.path || !this.client?.isRunning()) {
        this.crashes = new Crashes();
        await this.stop();
        await this.start();
      } else {
        await this.sendSettings();
      }
    });
  }

  /** Tells the running server that settings changed. */
  async sendSettings(): Promise<void> {
    if (this.client?.isRunning()) {
      await this.client.sendSettings();
    }
  }

  get state(): ServerState {
    return this.current;
  }

  async ensureRunning(): Promise<boolean> {
    await this.turn;
    if (!this.client?.isRunning()) {
      // Says what is wrong, with buttons, when it still cannot start.
      await this.restart();
    }
    return this.client?.isRunning() ?? false;
  }

  async request<Answer>(method: string, params: object): Promise<Answer> {
    // It may be starting.
    await this.turn;
    return this.runningClient().sendRequest<Answer>(method, params);
  }

  async run<Answer>(
    argument: RunArgument,
    report: (progress: Progress) => void,
    cancelled: vscode.CancellationToken,
  ): Promise<Answer> {
    return this.runningClient().run<Answer>(argument, report, cancelled);
  }

  dispose(): Promise<void> {
    this.lensCommands.dispose();
    return this.inTurn(() => this.stop());
  }

  private runningClient(): Client {
    if (!this.client?.isRunning()) {
      throw new Error("memlens' language server is not running.");
    }
    return this.client;
  }

  private inTurn(work: () => Promise<void>): Promise<void> {
    this.turn = this.turn.then(work).catch(async (error) => {
      this.log.error(error instanceof Error ? error : `${error}`);
      // Else it would seem to be starting for ever.
      await this.tell(this.client?.isRunning() ? "running" : "stopped");
      void this.offerLog("memlens did not start: a fault of its own, which the log has.");
    });
    return this.turn;
  }

  private async start(): Promise<void> {
    await this.tell("starting");
    const { working, broken } = await this.sorted();
    for (const each of broken) {
      this.complainAbout(each);
    }
    if (working === undefined) {
      await this.tell("stopped");
      return;
    }
    this.log.info(`Python ${working.version} at ${working.path} (${FROM[working.source]})`);
    // Only now: reading the protocol's code takes longer than all else that VS Code waits for.
    const { Client } = await import("./client");
    const client: Client = new Client({
      interpreter: working.path,
      interpreters: this.interpreters,
      extensionPath: this.extensionPath,
      log: this.log,
      crashes: this.crashes,
      lensCommands: this.lensCommands,
      run: (argument) => this.runTests(argument),
      changed: (state) => {
        if (client === this.client) {
          void this.tell(state);
        }
      },
      gaveUp: () => void this.sayThatItCrashed(),
    });
    client.onNotification(RESULTS_CHANGED, () => this.results.fire());
    this.client = client;
    this.interpreter = working.path;
    try {
      await client.start();
    } catch (error) {
      this.log.error(`The server did not start: ${error}`);
      void this.offerLog(
        `memlens: the language server did not start on Python ${working.version} at "${working.path}". The log says why.`,
      );
      await this.stop();
    }
  }

  private async stop(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    this.interpreter = undefined;
    await this.tell("stopped");
    if (client?.needsStop()) {
      await client.dispose().catch((error) => this.log.debug(`While stopping: ${error}`));
    }
  }

  private async tell(state: ServerState): Promise<void> {
    if (state !== this.current) {
      this.current = state;
      this.changed.fire(state);
      const isRunning = state === "running";
      await vscode.commands.executeCommand("setContext", "memlens.isRunning", isRunning);
    }
  }

  /** The interpreter that the server can run on, which is the first that works, and those that cannot run anything. */
  private async sorted(): Promise<{ working: Working | undefined; broken: readonly Broken[] }> {
    const all = await this.interpreters.ofAll();
    const works = all.flatMap(({ chosen, check }) => (check.ok ? [{ ...chosen, ...check }] : []));
    const broken = all.flatMap(({ chosen, check }) => (check.ok ? [] : [{ ...chosen, ...check }]));
    return { working: works[0], broken };
  }

  private complainAbout(chosen: Broken): void {
    const message = `memlens cannot use the Python interpreter "${chosen.command}" (${FROM[chosen.source]}): ${chosen.reason}.`;
    this.log.error(message);
    void this.offerLog(message, "Select interpreter setting");
  }

  private async sayThatItCrashed(): Promise<void> {
    await this.offerLog(
      "memlens: the language server has ended again and again, and is not started any more. The log says why.",
      "Restart server",
    );
  }

  /** An error message with a button to the log and, where asked for, one that may help. */
  private async offerLog(message: string, ...more: string[]): Promise<void> {
    const picked = await vscode.window.showErrorMessage(withoutLinks(message), ...more, "Show log");
    if (picked === "Show log") {
      this.log.show();
    } else if (picked === "Restart server") {
      await this.restart();
    } else if (picked !== undefined) {
      await openInterpreterSetting();
    }
  }
}

type Working = Interpreter & Extract<InterpreterCheck, { ok: true }>;
type Broken = Interpreter & Extract<InterpreterCheck, { ok: false }>;

const FROM: Record<InterpreterSource, string> = {
  setting: "from the setting memlens.interpreter",
  "python-extension": "from the Python extension",
  path: "from the PATH",
};
