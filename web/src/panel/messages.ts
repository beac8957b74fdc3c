// What an editor's extension and the page in its panel say to each other.

import type { Kind } from "../kinds";
import type { FlameGraph, History } from "./protocol";

/** A test, as the server's requests and commands name it. */
export interface Subject {
  readonly uri: string;
  readonly test: string;
}

/** What is shown of it. */
export interface Choice {
  readonly kind: Kind;
  /** A run; null for the newest, whichever that is. */
  readonly run: string | null;
  /** The run that it is compared with. */
  readonly compareWith: string | null;
}

/** What can be done where there is no graph. */
export type Action = "run" | "retry" | "restart" | "log";

export interface Notice {
  readonly title: string;
  readonly text: string;
  readonly actions: readonly Action[];
}

/** To the page. Each says what it is about, for the page to remember over a reload. */
export type ToPage = { readonly subject: Subject; readonly choice: Choice } & (
  | { readonly type: "loading" }
  | { readonly type: "notice"; readonly notice: Notice }
  | {
      readonly type: "graph";
      readonly history: History;
      readonly graph: FlameGraph;
      /** What the user came for: the page puts the focus there once. */
      readonly focus: "graph" | "history" | null;
    }
);

/** From the page. */
export type FromPage =
  /** It can be told what to show. */
  | { readonly type: "ready" }
  | { readonly type: "choose"; readonly choice: Choice }
  /** Open the source of a frame: its number among the graph's, see `inOrder`. */
  | { readonly type: "open"; readonly frame: number; readonly focus: boolean }
  | { readonly type: "act"; readonly action: Action };

/** What the page keeps over a reload; an editor gives it back to the extension too. */
export interface Kept {
  readonly subject: Subject;
  readonly choice: Choice;
}
