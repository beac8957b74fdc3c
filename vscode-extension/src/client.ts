// The language client: how the bundled server is started, and what passes between it and VS Code.

import * as path from "node:path";
import * as readline from "node:readline";
import * as vscode from "vscode";
import {
  CloseAction,
  CodeLensRefreshRequest,
  CodeLensRequest,
  ErrorCodes,
  type ErrorHandler,
  ExecuteCommandRequest,
  LanguageClient,
  type LanguageClientOptions,
  MessageType,
  type Middleware,
  ResponseError,
  RevealOutputChannelOn,
  ShowMessageNotification,
  type ShowMessageParams,
  State,
  WorkDoneProgress,
  WorkDoneProgressCancelNotification,
} from "vscode-languageclient/node";

import { type Crashes, MOST_CRASHES } from "./crashes";
import type { Interpreters } from "./interpreters";
import type { LensCommands } from "./lensCommands";
import { Lenses } from "./lenses";
import { withoutLinks } from "./plainWords";
import { RESULTS_CHANGED, type RunArgument } from "./protocol";
import type { Progress, ServerState } from "./server";
import { answerConfiguration, forServer, SECTION } from "./settings";

export const RUN_COMMAND = "memlens.run";

/** What the server is asked about. */
const DOCUMENTS = { language: "python", scheme: "file" };

/** Commands of the server's that this extension carries out itself, and what it asks to be told. */
const OWN_COMMANDS = ["memlens.showFlameGraph", "memlens.showHistory", "memlens.install"];
const NOTIFICATIONS = [RESULTS_CHANGED];

export interface ClientInputs {
  /** The interpreter that the server itself runs on. */
  readonly interpreter: string;
  readonly interpreters: Interpreters;
  readonly extensionPath: string;
  readonly log: vscode.LogOutputChannel;
  readonly crashes: Crashes;
  /** They outlive the client: VS Code may still show the lenses of the one before. */
  readonly lensCommands: LensCommands;
  /** Tests are to be run: `memlens.run` was clicked somewhere. */
  readonly run: (argument: RunArgument) => Promise<unknown>;
  /** It runs, or runs no more. */
  readonly changed: (state: ServerState) => void;
  /** It has ended too often to be started again. */
  readonly gaveUp: () => void;
}

const STATES: Readonly<Partial<Record<State, ServerState>>> = {
  [State.Starting]: "starting",
  [State.Running]: "running",
};

/** A client that leaves it to its owner to tell the user when the server does not run. */
export class Client extends LanguageClient {
  private hasStarted = false;
  private runs = 0;
  private readonly lenses: Lenses;

  constructor(private readonly inputs: ClientInputs) {
    const { interpreter, extensionPath, crashes } = inputs;
    const script = path.join(extensionPath, "bundled", "memlens_server.py");
    const lenses = new Lenses(DOCUMENTS, () => this.renewLenses(), inputs.lensCommands);
    super(SECTION, "memlens", { command: interpreter, args: [script] }, options(inputs, lenses));
    this.lenses = lenses;
    const handler = this.createDefaultErrorHandler();
    this.clientOptions.errorHandler = {
      error: (...about) => handler.error(...about),
      closed: () => {
        // What fails at the first start fails again; later, a crash is worth a restart.
        if (this.hasStarted && crashes.shouldRestart(Date.now())) {
          return { action: CloseAction.Restart };
        }
        if (this.hasStarted) {
          inputs.log.error(`The server has ended ${MOST_CRASHES} times in three minutes.`);
          inputs.gaveUp();
        }
        return { action: CloseAction.DoNotRestart, handled: true };
      },
    } satisfies ErrorHandler;
    // In place of the client's own, which would make links of what a test's id has.
    this.onNotification(ShowMessageNotification.type, show);
    this.onDidChangeState(({ newState }) => inputs.changed(STATES[newState] ?? "stopped"));
  }

  override async start(): Promise<void> {
    await super.start();
    this.hasStarted = true;
    // In place of the client's own, which tells nobody.
    this.onRequest(CodeLensRefreshRequest.type, () => {
      this.renewLenses();
      this.lenses.changed();
    });
    this.lenses.changed();
  }

  override dispose(timeout?: number): Promise<void> {
    this.lenses.dispose();
    return super.dispose(timeout);
  }

  override error(message: string, data?: unknown, showNotification?: boolean | "force"): void {
    super.error(message, data, this.hasStarted ? showNotification : false);
  }

  /** Runs tests, and reports how far they are. The answer comes when all has ended. */
  async run<Answer>(
    argument: RunArgument,
    report: (progress: Progress) => void,
    cancelled: vscode.CancellationToken,
  ): Promise<Answer> {
    this.runs += 1;
    const workDoneToken = `run ${this.runs}`;
    const subscriptions = [
      this.onProgress(WorkDoneProgress.type, workDoneToken, (value) => {
        if (value.kind !== "end") {
          const { message, percentage } = value;
          report({
            ...(message === undefined ? {} : { message }),
            ...(percentage === undefined ? {} : { percentage }),
          });
        }
      }),
      // Not by cancelling the request: what the run has measured until then is an answer too.
      cancelled.onCancellationRequested(() =>
        this.sendNotification(WorkDoneProgressCancelNotification.type, { token: workDoneToken }),
      ),
    ];
    try {
      return await this.sendRequest(ExecuteCommandRequest.type, {
        command: RUN_COMMAND,
        arguments: [argument],
        workDoneToken,
      });
    } catch (error) {
      if (error instanceof ResponseError && error.code === ErrorCodes.PendingResponseRejected) {
        throw new Error(
          "the language server has ended meanwhile, or was restarted. Run them again.",
        );
      }
      throw error;
    } finally {
      for (const subscription of subscriptions) {
        subscription.dispose();
      }
    }
  }

  /** Tells VS Code that the lenses in sight are others now. */
  private renewLenses(): void {
    const feature = this.getFeature(CodeLensRequest.method);
    const providers = vscode.window.visibleTextEditors.map(({ document }) =>
      feature.getProvider(document),
    );
    for (const provider of new Set(providers)) {
      provider?.onDidChangeCodeLensEmitter.fire();
    }
  }

  /** Tells the server that settings changed; it also asks for them. */
  async sendSettings(): Promise<void> {
    await this.sendNotification("workspace/didChangeConfiguration", {
      settings: { [SECTION]: settingsFor(this.inputs.interpreter) },
    });
  }
}

/** Shows a message of the server's. */
function show({ type, message }: ShowMessageParams): void {
  const words = withoutLinks(message);
  switch (type) {
    case MessageType.Error:
      void vscode.window.showErrorMessage(words);
      break;
    case MessageType.Warning:
      void vscode.window.showWarningMessage(words);
      break;
    default:
      void vscode.window.showInformationMessage(words);
  }
}

function options(inputs: ClientInputs, lenses: Lenses): LanguageClientOptions {
  const { interpreter, log } = inputs;
  return {
    documentSelector: [DOCUMENTS],
    initializationOptions: {
      settings: settingsFor(interpreter),
      commands: OWN_COMMANDS,
      notifications: NOTIFICATIONS,
    },
    // Marks follow the text as it is typed, in the document at hand.
    diagnosticPullOptions: { onChange: true },
    // No message of the client's own, and no second try.
    initializationFailedHandler: () => false,
    middleware: middleware(inputs, lenses),
    outputChannel: log,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    stdioOptions: {
      // The server's stderr is its log. Left alone, the client would record every line as an error.
      stderr: (stream) =>
        readline.createInterface({ input: stream }).on("line", (line) => log.info(line)),
      stdout: () => undefined,
    },
  };
}

/** The window's settings, for the server to start with. */
function settingsFor(interpreter: string): Record<string, unknown> {
  // Plain data, without the functions that VS Code adds to it.
  const section = JSON.parse(JSON.stringify(vscode.workspace.getConfiguration(SECTION)));
  return forServer(section, { interpreter, isTrusted: vscode.workspace.isTrusted });
}

function middleware({ interpreters, run }: ClientInputs, lenses: Lenses): Middleware {
  return {
    provideCodeLenses: (document, token, next) => lenses.provide(document, token, next),
    workspace: {
      async configuration(params, token, next) {
        const answers = await next(params, token);
        if (!Array.isArray(answers)) {
          return answers;
        }
        return Promise.all(
          answers.map(async (answer, index) => {
            const item = params.items[index];
            const folder = item?.scopeUri
              ? vscode.workspace.getWorkspaceFolder(vscode.Uri.parse(item.scopeUri))?.uri
              : undefined;
            return answerConfiguration(item?.section, answer, {
              interpreter: await interpreters.commandOf(folder),
              isTrusted: vscode.workspace.isTrusted,
            });
          }),
        );
      },
    },
    // A lens, a link in a hover or another extension wants tests to run.
    executeCommand: (command, args, next) =>
      command === RUN_COMMAND ? run((args[0] ?? {}) as RunArgument) : next(command, args),
  };
}
