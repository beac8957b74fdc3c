// What is known of all tests, kept up to date while the server runs.

import * as vscode from "vscode";

import { type Page, TESTS, type Test } from "../protocol";
import type { Server } from "../server";
import { type KnownProject, KnownTests } from "./knownTests";
import { isLeaking, isOver } from "./words";

/** While results stream in, they are asked for no more often than this. */
const PAUSE_MS = 250;

export class TestsModel implements vscode.Disposable {
  private readonly known = new KnownTests();
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.changed.event;
  private readonly subscriptions: vscode.Disposable[];
  private updating: Promise<void> | undefined;
  // Something has changed since the update that is under way began.
  private isStale = false;
  private all: KnownProject[] = [];
  // Of all projects. Kept, as it is asked for with every line of the view that is drawn.
  private every: readonly Test[] = [];
  private inTrouble: readonly Test[] = [];
  private tellsAll = false;

  constructor(
    private readonly server: Server,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.subscriptions = [
      this.changed,
      server.onDidChangeResults(() => this.update()),
      server.onDidChangeState((state) => {
        if (state === "running") {
          this.update();
        }
      }),
    ];
  }

  dispose(): void {
    vscode.Disposable.from(...this.subscriptions).dispose();
  }

  /** Whether the server has told of all tests at least once. */
  get isKnown(): boolean {
    return this.tellsAll;
  }

  get projects(): readonly KnownProject[] {
    return this.all;
  }

  get tests(): readonly Test[] {
    return this.every;
  }

  /** The tests that are over a limit or leak. */
  get troubled(): readonly Test[] {
    return this.inTrouble;
  }

  private update(): void {
    this.isStale = true;
    this.updating ??= this.updateUntilTrue().finally(() => {
      this.updating = undefined;
    });
  }

  private async updateUntilTrue(): Promise<void> {
    while (this.isStale && this.server.state === "running") {
      this.isStale = false;
      try {
        await this.known.update((request) => this.server.request<Page>(TESTS, request));
        this.tellsAll = true;
        this.all = this.known.projects;
        this.every = this.known.tests;
        this.inTrouble = this.every.filter((test) => isOver(test) || isLeaking(test));
        this.changed.fire();
      } catch (error) {
        // The server has ended, or what it knew is gone: begin anew with the next change. Until then what was
        // known is nearer to the truth than nothing.
        this.log.warn(`The tests are not known: ${error}`);
        this.known.clear();
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
