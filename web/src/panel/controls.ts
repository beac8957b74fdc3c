// What is chosen above the graph: what held memory when, and the run to compare with.

import { element } from "../dom";
import { KINDS, type Kind, offered } from "../kinds";
import { formatSize } from "../units";
import type { Choice } from "./messages";
import type { Past } from "./protocol";
import { commitText, when } from "./wording";

export interface ControlInputs {
  readonly choice: Choice;
  /** Of which there are call stacks. */
  readonly kinds: readonly Kind[];
  /** The newest first. */
  readonly results: readonly Past[];
  /** The run that is shown. */
  readonly shown: string;
}

/** The controls, which stay while what they offer changes. */
export class Controls {
  private readonly kinds = element("div", {
    class: "choice",
    role: "group",
    "aria-label": "Stacks shown",
  });
  private readonly buttons = new Map<Kind, HTMLButtonElement>();
  private readonly compare = element("select", { id: "compare" });
  private inputs: ControlInputs | undefined;

  constructor(
    host: HTMLElement,
    private readonly chosen: (choice: Choice) => void,
  ) {
    for (const kind of Object.keys(KINDS) as Kind[]) {
      const button = element("button", { type: "button" }, KINDS[kind]);
      button.addEventListener("click", () => this.choose({ kind }));
      this.buttons.set(kind, button);
      this.kinds.append(button);
    }
    this.compare.addEventListener("change", () =>
      this.choose({ compareWith: this.compare.value || null }),
    );
    host.append(
      this.kinds,
      element(
        "div",
        { class: "compare" },
        element("label", { for: "compare" }, "Compare with"),
        this.compare,
      ),
    );
  }

  show(inputs: ControlInputs): void {
    this.inputs = inputs;
    this.offer(inputs.choice.kind, inputs.kinds);
    const at = inputs.results.findIndex(({ run }) => run === inputs.shown);
    const earlier = inputs.results.slice(at + 1);
    this.compare.replaceChildren(
      new Option(earlier.length > 0 ? "no other run" : "there is no earlier run", ""),
      ...earlier.map((past, index) => new Option(runText(past, index === 0), past.run)),
    );
    this.compare.disabled = earlier.length === 0;
    this.compare.value = inputs.choice.compareWith ?? "";
  }

  /** Offers what there is, and what is being looked at: with one thing there is no choice. */
  private offer(shown: Kind, known: readonly Kind[]): void {
    const kinds = offered(["peak", shown, ...known]);
    this.kinds.hidden = kinds.length === 1;
    for (const [kind, button] of this.buttons) {
      button.setAttribute("aria-pressed", String(kind === shown));
      const hadFocus = document.activeElement === button;
      button.hidden = !kinds.includes(kind);
      if (button.hidden && hadFocus) {
        this.buttons.get(shown)?.focus();
      }
    }
  }

  private choose(changed: Partial<Choice>): void {
    if (this.inputs !== undefined) {
      this.chosen({ ...this.inputs.choice, ...changed });
    }
  }
}

function runText(past: Past, isLast: boolean): string {
  const name = isLast ? "the run before" : "";
  const parts = [name, `peak ${formatSize(past.peakBytes)}`, when(past), commitText(past)];
  return parts.filter(Boolean).join(" · ");
}
