// What is known of one test: its limits, phases, history and call stacks.

import { element } from "./dom";
import { showFlameGraph } from "./flameGraph";
import { type Point, showHistory } from "./history";
import { DEEDS, KINDS, type Kind, offered } from "./kinds";
import type { Limit, Phase, Stack, Test } from "./report";
import { smallTable } from "./smallTable";
import { showStackList } from "./stackList";
import { flameSource } from "./tree";
import { formatCount, formatDuration, formatShare, formatSize } from "./units";

export interface DetailsInputs {
  readonly test: Test;
  /** The largest first. */
  readonly stacks: readonly Stack[];
  /** The oldest first. */
  readonly history: readonly Point[];
  /** The limit on the peak in bytes, null without one. */
  readonly limit: number | null;
  /** Which run measured it, if that has to be said. */
  readonly run: string | null;
}

const VERDICTS: Readonly<Record<Limit["verdict"], string>> = {
  passed: "within",
  exceeded: "exceeded",
  not_judged: "not judged",
};

/** In the order in which they happen. */
const PHASES: Readonly<Record<Phase["name"], string>> = {
  setup: "Set-up",
  call: "Test",
  teardown: "Teardown",
};

/** Shows what is known of a test in *host*, which is on the page. Returns what removes it. */
export function showDetails(host: HTMLElement, inputs: DetailsInputs): () => void {
  const { test, stacks } = inputs;
  const facts = element("div", { class: "facts" });
  const graphs = element("div", { class: "graphs" });
  host.replaceChildren(
    element(
      "p",
      { class: "place" },
      element("code", {}, `${test.path}:${test.line}`),
      element("span", { class: "quiet" }, `${test.outcome} in ${formatDuration(test.duration_s)}`),
      ...(inputs.run === null
        ? []
        : [element("span", { class: "quiet" }, `in the run of ${inputs.run}`)]),
    ),
    facts,
    graphs,
  );
  facts.append(
    section("Limits", limits(test.limits)),
    section("Phases", phases(test.phases)),
    section("Peak in every run", (into) => showHistory(into, inputs.history, inputs.limit)),
  );
  return showGraphs(graphs, test, stacks);
}

function section(title: string, content: HTMLElement | ((into: HTMLElement) => void)): HTMLElement {
  const into = element("div");
  if (typeof content === "function") {
    content(into);
  } else {
    into.append(content);
  }
  return element("section", {}, element("h3", {}, title), into);
}

function limits(all: readonly Limit[]): HTMLElement {
  if (all.length === 0) {
    return element("p", { class: "quiet" }, "It declares no limit.");
  }
  const body = element("tbody");
  for (const limit of all) {
    body.append(
      row(
        element("th", { scope: "row" }, element("code", {}, ...breakable(limit.marker))),
        number(formatSize(limit.measured_bytes)),
        number(limit.limit_bytes > 0 ? formatSize(limit.limit_bytes) : "none allowed"),
        element(
          "td",
          {},
          element(
            "span",
            { class: "verdict", "data-verdict": limit.verdict },
            VERDICTS[limit.verdict],
          ),
        ),
      ),
    );
    if (limit.message) {
      body.append(row(element("td", { colspan: "4", class: "message quiet" }, limit.message)));
    }
  }
  return smallTable(["Limit", "-Measured", "-Limit", "Verdict"], body);
}

function phases(all: readonly Phase[]): HTMLElement {
  if (all.length === 0) {
    return element("p", { class: "quiet" }, "None was measured.");
  }
  const body = element("tbody");
  const order = Object.keys(PHASES);
  for (const phase of [...all].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name))) {
    body.append(
      row(
        element("th", { scope: "row" }, PHASES[phase.name]),
        number(formatSize(phase.peak_bytes)),
        number(phase.allocated_bytes === null ? "–" : formatSize(phase.allocated_bytes)),
        number(phase.allocations === null ? "–" : formatCount(phase.allocations)),
      ),
    );
  }
  return smallTable(["Phase", "-Peak", "-Allocated in all", "-Allocations"], body);
}

/** Returns *name* with places after its underscores at which a line may end. */
function breakable(name: string): (Node | string)[] {
  const [first = "", ...others] = name.split("_");
  return [first, ...others.flatMap((part) => ["_", element("wbr"), part])];
}

function row(...cells: HTMLElement[]): HTMLElement {
  return element("tr", {}, ...cells);
}

function number(text: string): HTMLElement {
  return element("td", { class: "number" }, text);
}

/** Shows the graph of the stacks of one kind, and a switch if there are several. */
function showGraphs(host: HTMLElement, test: Test, stacks: readonly Stack[]): () => void {
  const kinds = offered(stacks.map(({ kind }) => kind));
  const [first] = kinds;
  if (first === undefined) {
    host.append(element("p", { class: "quiet" }, "No call stacks of it were kept."));
    return () => host.replaceChildren();
  }
  const title = element("h3", {}, "");
  const choice = element("div", { class: "choice", role: "group", "aria-label": "Stacks shown" });
  const note = element("p", { class: "quiet" });
  const graph = element("div", { class: "flame" });
  const list = element("div");
  const asText = element("details", {}, element("summary", {}, "Stacks as text"), list);
  host.append(element("div", { class: "graphs-head" }, title, choice), note, graph, asText);

  let remove = () => {};
  const show = (kind: Kind) => {
    remove();
    const shown = stacks.filter((stack) => stack.kind === kind);
    const kept = shown.reduce((sum, { bytes }) => sum + bytes, 0);
    const total = Math.max(peakOf(test, kind), kept);
    const [verb = "", ...when] = DEEDS[kind].split(" ");
    title.textContent = ["What", verb, formatSize(total), ...when].join(" ");
    note.textContent = restText(total, kept);
    note.hidden = note.textContent === "";
    const name = `All ${formatSize(total)}${kind === "leak" ? " that leaked" : ""}`;
    const label = `${title.textContent} in ${test.nodeid}`;
    ({ remove } = showFlameGraph(graph, flameSource(shown, { name, total }), { label }));
    showStackList(list, shown);
    for (const button of choice.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.value === kind));
    }
  };
  if (kinds.length > 1) {
    for (const kind of kinds) {
      const button = element("button", { type: "button", value: kind }, KINDS[kind]);
      button.addEventListener("click", () => show(kind));
      choice.append(button);
    }
  }
  show(first);
  return () => {
    remove();
    host.replaceChildren();
  };
}

/** The peak that stacks of *kind* are a part of, in bytes; 0 for what leaked, which has none. */
function peakOf(test: Test, kind: Kind): number {
  return kind === "peak"
    ? (test.peak_bytes ?? 0)
    : (test.phases.find(({ name }) => name === kind)?.peak_bytes ?? 0);
}

function restText(total: number, kept: number): string {
  const rest = total - kept;
  return rest / total < 0.01
    ? ""
    : `Only the biggest stacks are kept: the empty part, ${formatSize(rest)} (${formatShare(rest / total)}), was held by smaller ones.`;
}
