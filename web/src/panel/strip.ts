// The strip above the graph: a bar for the peak of each of the last runs, against the limit it had.
//
// These are elements and no canvas: each run is an option that a screen reader reads and a keyboard
// reaches, and colours are the theme's own.

import { element } from "../dom";
import { formatSize } from "../units";
import type { Past } from "./protocol";
import { isOver, resultText } from "./wording";

export interface StripInputs {
  readonly test: string;
  /** The oldest first. */
  readonly results: readonly Past[];
  /** The run that is shown. */
  readonly shown: string;
  readonly comparedWith: string | null;
  readonly choose: (run: string) => void;
}

export interface ShownStrip {
  focus(): void;
}

/** Shows the runs in *host*. Where the focus was in them it stays. */
export function showStrip(host: HTMLElement, inputs: StripInputs): ShownStrip {
  const { results, shown } = inputs;
  const hadFocus = host.contains(document.activeElement);
  const highest = Math.max(
    ...results.map(({ peakBytes, limitBytes }) => Math.max(peakBytes, limitBytes ?? 0)),
    1,
  );
  const options = results.map((past, index) => option(past, index, highest, inputs));
  const list = element(
    "div",
    {
      class: "runs",
      role: "listbox",
      tabindex: "0",
      "aria-orientation": "horizontal",
      "aria-label": `Peak in each run of ${inputs.test}, the oldest first. Enter shows a run.`,
    },
    ...options,
  );
  const about = element("span");
  const newest = element("button", { type: "button", class: "link" }, "Show the newest run");
  host.replaceChildren(
    element("div", { class: "strip" }, scale(results, highest), list),
    element("p", { class: "about-run" }, about, newest),
  );

  const indexShown = results.findIndex(({ run }) => run === shown);
  let current = indexShown;
  const describe = (index: number) => {
    const past = results[index];
    about.textContent = past === undefined ? "" : resultText(past);
  };
  const goTo = (index: number) => {
    current = Math.min(Math.max(index, 0), results.length - 1);
    for (const [at, made] of options.entries()) {
      made.toggleAttribute("data-current", at === current);
    }
    const at = options[current];
    if (at !== undefined) {
      list.setAttribute("aria-activedescendant", at.id);
      at.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    describe(current);
  };
  const choose = (index: number) => {
    const past = results[index];
    if (past !== undefined) {
      inputs.choose(past.run);
    }
  };
  newest.hidden = indexShown === results.length - 1;
  newest.addEventListener("click", () => choose(results.length - 1));
  for (const [index, made] of options.entries()) {
    made.addEventListener("click", () => choose(index));
    made.addEventListener("mouseenter", () => describe(index));
  }
  list.addEventListener("mouseleave", () => describe(current));
  list.addEventListener("blur", () => goTo(indexShown));
  list.addEventListener("keydown", (event) => {
    const to = goingTo(event.key, current, results.length);
    if (to !== null) {
      goTo(to);
    } else if (event.key === "Enter" || event.key === " ") {
      choose(current);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  });
  goTo(indexShown);
  if (hadFocus) {
    list.focus();
  }
  return { focus: () => list.focus() };
}

/** Where a key leads to in a list, null for keys that lead nowhere. */
function goingTo(key: string, from: number, length: number): number | null {
  switch (key) {
    case "ArrowLeft":
    case "ArrowUp":
      return from - 1;
    case "ArrowRight":
    case "ArrowDown":
      return from + 1;
    case "Home":
      return 0;
    case "End":
      return length - 1;
    default:
      return null;
  }
}

function option(past: Past, index: number, highest: number, inputs: StripInputs): HTMLElement {
  const bar = element("span", { class: "bar" });
  bar.style.height = percent(past.peakBytes, highest);
  const made = element(
    "div",
    {
      id: `run-${index}`,
      class: "run",
      role: "option",
      title: resultText(past),
      "aria-selected": String(past.run === inputs.shown),
      "aria-label": `${resultText(past)}${past.run === inputs.comparedWith ? " · compared with" : ""}`,
    },
    bar,
  );
  made.toggleAttribute("data-over", isOver(past) || past.outcome === "failed");
  made.toggleAttribute("data-compared", past.run === inputs.comparedWith);
  if (past.limitBytes !== null) {
    const limit = element("span", { class: "limit" });
    limit.style.bottom = percent(past.limitBytes, highest);
    made.append(limit);
  }
  return made;
}

/** What the heights mean: the highest peak or limit, and the newest limit. */
function scale(results: readonly Past[], highest: number): HTMLElement {
  const made = element("div", { class: "scale", "aria-hidden": "true" });
  const mark = (name: string, bytes: number, text: string) => {
    const label = element("span", { class: name }, text);
    label.style.bottom = percent(bytes, highest);
    made.append(label);
  };
  const limit = results.findLast(({ limitBytes }) => limitBytes !== null)?.limitBytes;
  const peak = Math.max(...results.map(({ peakBytes }) => peakBytes));
  if (limit !== null && limit !== undefined) {
    mark("limit-mark", limit, `limit ${formatSize(limit)}`);
  }
  // Two labels need room between them.
  if (limit === null || limit === undefined || Math.abs(limit - peak) / highest > 0.3) {
    mark("peak-mark", peak, formatSize(peak));
  }
  return made;
}

function percent(bytes: number, of: number): string {
  return `${(100 * bytes) / of}%`;
}
