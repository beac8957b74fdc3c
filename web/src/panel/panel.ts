// The page in an editor's panel: shows what the extension sends, and tells it what is asked for.
// Everything is shown as text, and nothing is fetched.

import { element } from "../dom";
import {
  type FlameGraphOptions,
  type Look,
  type ShownFlameGraph,
  showFlameGraph,
} from "../flameGraph";
import { DEEDS } from "../kinds";
import { formatSize } from "../units";
import { callSource, isDrawn, totalOf } from "./calls";
import { Controls } from "./controls";
import type { Action, Choice, FromPage, Kept, Notice, ToPage } from "./messages";
import type { FlameGraph } from "./protocol";
import { type ShownStrip, showStrip } from "./strip";
import { emptyText, summaryOf } from "./wording";

interface Host {
  postMessage(message: FromPage): void;
  getState(): State | undefined;
  setState(state: State): void;
}

/** What outlives a reload: the page is taken down while its tab is hidden. */
interface State extends Kept {
  readonly look?: Look;
}

declare function acquireVsCodeApi(): Host;

const ACTIONS: Readonly<Record<Action, string>> = {
  run: "Run with memory limits",
  retry: "Try again",
  restart: "Restart server",
  log: "Show log",
};

type GraphMessage = Extract<ToPage, { type: "graph" }>;

class Page {
  private readonly host = acquireVsCodeApi();
  private look = this.host.getState()?.look;
  private readonly title = element("h1");
  private readonly file = element("p", { class: "quiet file" });
  private readonly again = element("button", { type: "button" }, ACTIONS.run);
  private readonly head = element(
    "header",
    {},
    element("div", { class: "names" }, this.title, this.file),
    this.again,
  );
  private readonly runs = element("section", { "aria-label": "Runs" });
  private readonly chooser = element("div", { class: "controls" });
  private readonly summary = element("p", { class: "summary", role: "status" });
  private readonly flame = element("section", { class: "flame", "aria-label": "Flame graph" });
  private readonly notice = element("section", { class: "notice", role: "status" });
  private readonly controls = new Controls(this.chooser, (choice) => this.choose(choice));
  private choice: Choice = { kind: "peak", run: null, compareWith: null };
  private strip: ShownStrip | undefined;
  private graph: ShownFlameGraph | undefined;

  constructor() {
    document.body.replaceChildren(
      this.head,
      this.runs,
      this.chooser,
      this.summary,
      this.flame,
      this.notice,
    );
    this.again.addEventListener("click", () =>
      this.host.postMessage({ type: "act", action: "run" }),
    );
    addEventListener("message", ({ data }: MessageEvent<ToPage>) => this.show(data));
    addEventListener("keydown", (event) => this.press(event));
    this.host.postMessage({ type: "ready" });
  }

  private show(message: ToPage): void {
    const { subject, choice } = message;
    if (this.host.getState()?.subject.test !== subject.test) {
      this.look = undefined;
    }
    this.choice = choice;
    this.keep({ subject, choice });
    this.title.textContent = subject.test;
    document.body.dataset.shows = message.type;
    document.body.setAttribute("aria-busy", String(message.type === "loading"));
    this.again.hidden = message.type !== "graph";
    if (message.type === "graph") {
      this.showGraph(message);
      return;
    }
    document.body.removeAttribute("data-empty");
    this.file.textContent = "";
    if (message.type === "notice") {
      this.showNotice(message.notice);
    } else {
      this.showNotice({ title: "Reading what was measured…", text: "", actions: [] });
    }
  }

  private showNotice({ title, text, actions }: Notice): void {
    const buttons = actions.map((action, index) => {
      const kind = index === 0 ? "" : "secondary";
      const button = element("button", { type: "button", class: kind }, ACTIONS[action]);
      button.addEventListener("click", () => this.host.postMessage({ type: "act", action }));
      return button;
    });
    this.notice.replaceChildren(
      element("h2", {}, title),
      ...(text === "" ? [] : [element("p", {}, text)]),
      ...(buttons.length === 0 ? [] : [element("div", { class: "actions" }, ...buttons)]),
    );
  }

  private showGraph({ history, graph, choice, focus }: GraphMessage): void {
    const { results } = history;
    this.title.textContent = history.test;
    this.file.textContent = history.id.slice(0, -history.test.length).replace(/::$/, "");
    this.strip = showStrip(this.runs, {
      test: history.test,
      results: results.toReversed(),
      shown: graph.run.run,
      comparedWith: graph.comparedWith?.run ?? null,
      // The newest stays the newest when there is a newer one.
      choose: (run) => this.choose({ ...this.choice, run: run === results[0]?.run ? null : run }),
    });
    this.controls.show({ choice, kinds: graph.kinds, results, shown: graph.run.run });
    const held = isDrawn(graph);
    document.body.toggleAttribute("data-empty", !held);
    if (held) {
      this.notice.replaceChildren();
      this.drawGraph(graph);
    } else {
      this.graph?.remove();
      this.graph = undefined;
      this.summary.textContent = "";
      this.showNotice({ ...emptyText(graph), actions: [] });
    }
    if (focus === "history") {
      this.strip.focus();
    } else if (focus === "graph") {
      this.graph?.focus();
    }
  }

  private drawGraph(graph: FlameGraph): void {
    const active = document.activeElement;
    const focused = this.flame.contains(active) ? active?.className || active?.tagName : undefined;
    this.graph?.remove();
    const { now, before } = totalOf(graph);
    this.summary.textContent = summaryOf(graph);
    const name = `${formatSize(now)} ${DEEDS[graph.kind]}`;
    const options: FlameGraphOptions = {
      label: `${name}${before === null ? "" : `, before: ${formatSize(before)}`}, ${graph.test}`,
      open: (frame, focus) => this.host.postMessage({ type: "open", frame, focus }),
      ...(this.look === undefined ? {} : { look: this.look }),
      onLook: (look) => {
        this.look = look;
        const kept = this.host.getState();
        if (kept !== undefined) {
          this.keep(kept);
        }
      },
    };
    this.graph = showFlameGraph(this.flame, callSource(graph, name), options);
    if (focused === "INPUT") {
      this.graph.focusSearch();
    } else if (focused !== undefined) {
      this.graph.focus();
    }
  }

  private choose(choice: Choice): void {
    this.host.postMessage({ type: "choose", choice });
  }

  private keep({ subject, choice }: Kept): void {
    this.host.setState({
      subject,
      choice,
      ...(this.look === undefined ? {} : { look: this.look }),
    });
  }

  private press(event: KeyboardEvent): void {
    const asksForSearch =
      (event.key === "f" && (event.ctrlKey || event.metaKey)) ||
      (event.key === "/" && !(event.target instanceof HTMLInputElement));
    if (asksForSearch && this.graph !== undefined) {
      event.preventDefault();
      event.stopPropagation();
      this.graph.focusSearch();
    }
  }
}

new Page();
