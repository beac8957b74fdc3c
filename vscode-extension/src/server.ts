// What the rest of the extension needs of the language server, whichever process that is just now.

import type * as vscode from "vscode";
import type { RunArgument } from "./protocol";

export type Progress = { readonly message?: string; readonly percentage?: number };

export type ServerState = "starting" | "running" | "stopped";

export interface Asking {
  /**
   * The answer to a request of docs/protocol.md, also of a server that is just being started. Rejects
   * if none runs, or with the server's error.
   */
  request<Answer>(method: string, params: object): Promise<Answer>;
}

export interface Server extends Asking {
  readonly state: ServerState;
  readonly onDidChangeState: vscode.Event<ServerState>;
  /** Results of some projects are new, changed or gone. */
  readonly onDidChangeResults: vscode.Event<void>;
  /** Starts it if it does not run; says what is wrong, with buttons, if it cannot. */
  ensureRunning(): Promise<boolean>;
  /** Runs tests as `memlens.run` does; the answer comes when all has ended. */
  run<Answer>(
    argument: RunArgument,
    report: (progress: Progress) => void,
    cancelled: vscode.CancellationToken,
  ): Promise<Answer>;
}
