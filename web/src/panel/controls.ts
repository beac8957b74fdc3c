// What is chosen above the graph: at the peak or leaked, and the run to compare with.

import { element } from "../dom";
import { formatSize } from "../units";
import type { Choice } from "./messages";
import type { Kind, Past } from "./protocol";
import { commitText, when } from "./wording";

const KINDS: Readonly<Record<Kind, string>> = { peak: "At the peak", leak: "Leaked" };

export interface ControlInputs {
  readonly choice: Choice;
  /** The newest first. */
  readonly results: readonly Past[];
  /** The run that is shown. */
  readonly shown: string;
}

/** The controls, which stay while what they offer changes. */
export class Controls {
  private readonly kinds = new Map<Kind, HTMLButtonElement>();
  private readonly compare = element("select", { id: "compare" });
  private inputs: ControlInputs | undefined;

  constructor(
    host: HTMLElement,
    private readonly chosen: (choice: Choice) => void,
  ) {
    const kinds = element("div", { class: "choice", role: "group", "aria-label": "Stacks shown" });
    for (const kind of ["peak", "leak"] as const) {
      const button = element("button", { type: "button" }, KINDS[kind]);
      button.addEventListener("click", () => this.choose({ kind }));
      this.kinds.set(kind, button);
      kinds.append(button);
    }
    this.compare.addEventListener("change", () =>
      this.choose({ compareWith: this.compare.value || null }),
    );
    host.append(
      kinds,
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
    for (const [kind, button] of this.kinds) {
      button.setAttribute("aria-pressed", String(kind === inputs.choice.kind));
    }
    const at = inputs.results.findIndex(({ run }) => run === inputs.shown);
    const earlier = inputs.results.slice(at + 1);
    this.compare.replaceChildren(
      new Option(earlier.length > 0 ? "no other run" : "there is no earlier run", ""),
      ...earlier.map((past, index) => new Option(runText(past, index === 0), past.run)),
    );
    this.compare.disabled = earlier.length === 0;
    this.compare.value = inputs.choice.compareWith ?? "";
  }

  private choose(changed: Partial<Choice>): void {
    if (this.inputs !== undefined) {
      this.chosen({ ...this.inputs.choice, ...changed });
    }
  }
}

function runText(past: Past, isLast: boolean): string {
  const name = isLast ? "the run before" : "";
  const parts = [name, formatSize(past.peakBytes), when(past), commitText(past)];
  return parts.filter(Boolean).join(" · ");
}
