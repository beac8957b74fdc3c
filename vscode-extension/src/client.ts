// The language client: how the bundled server is started, and what passes between it and VS Code.

import * as path from "node:path";
import * as readline from "node:readline";
import * as vscode from "vscode";
import {
  CloseAction,
  type ErrorHandler,
  LanguageClient,
  type LanguageClientOptions,
  type Middleware,
  RevealOutputChannelOn,
} from "vscode-languageclient/node";

import { answerConfiguration, forServer } from "./settings";

export const SECTION = "memlens";
export const RUN_COMMAND = "memlens.run";

/** A client that leaves it to its owner to tell the user that the first start failed. */
export class Client extends LanguageClient {
  private hasStarted = false;

  constructor(interpreter: string, extensionPath: string, log: vscode.LogOutputChannel) {
    const script = path.join(extensionPath, "bundled", "memlens_server.py");
    super(SECTION, "memlens", { command: interpreter, args: [script] }, options(interpreter, log));
    const handler = this.createDefaultErrorHandler();
    this.clientOptions.errorHandler = {
      error: (...about) => handler.error(...about),
      // What fails at the first start fails again; later, a crash is worth a restart.
      closed: () =>
        this.hasStarted ? handler.closed() : { action: CloseAction.DoNotRestart, handled: true },
    } satisfies ErrorHandler;
  }

  override async start(): Promise<void> {
    await super.start();
    this.hasStarted = true;
  }

  override error(message: string, data?: unknown, showNotification?: boolean | "force"): void {
    super.error(message, data, this.hasStarted ? showNotification : false);
  }
}

function options(interpreter: string, log: vscode.LogOutputChannel): LanguageClientOptions {
  return {
    documentSelector: [{ language: "python", scheme: "file" }],
    initializationOptions: { settings: serverSettings(interpreter) },
    // Marks follow the text as it is typed, in the document at hand.
    diagnosticPullOptions: { onChange: true },
    // No message of the client's own, and no second try.
    initializationFailedHandler: () => false,
    middleware: middleware(interpreter),
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

/** The settings, for the server to start with or to be told again after a change. */
export function serverSettings(interpreter: string): Record<string, unknown> {
  // Plain data, without the functions that VS Code adds to it.
  const section = JSON.parse(JSON.stringify(vscode.workspace.getConfiguration(SECTION)));
  return forServer(section, interpreter);
}

function middleware(interpreter: string): Middleware {
  return {
    workspace: {
      async configuration(params, token, next) {
        const answers = await next(params, token);
        return Array.isArray(answers)
          ? answers.map((answer, index) =>
              answerConfiguration(params.items[index]?.section, answer, interpreter),
            )
          : answers;
      },
    },
    async executeCommand(command, args, next) {
      if (command === RUN_COMMAND && !(await readyToRun())) {
        return undefined;
      }
      return next(command, args);
    },
  };
}

/** Tests run from disk and run code of the workspace: it must be trusted, and its edits saved. */
async function readyToRun(): Promise<boolean> {
  if (!vscode.workspace.isTrusted) {
    void vscode.window.showWarningMessage(
      "memlens runs tests only in a trusted workspace: a test can run any code.",
    );
    return false;
  }
  // VS Code's own setting for every test runner.
  if (vscode.workspace.getConfiguration("testing").get("saveBeforeTest", true)) {
    await vscode.workspace.saveAll(false);
  }
  return true;
}
