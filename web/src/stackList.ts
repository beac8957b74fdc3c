// Call stacks as text: what a flame graph says, for screen readers and for copying.

import { element } from "./dom";
import { placeOf } from "./frames";
import type { Stack } from "./report";
import { counted, formatSize } from "./units";

/** Shows *stacks* in *host* as a list, the largest first, each with its most recent call first. */
export function showStackList(host: HTMLElement, stacks: readonly Stack[]): void {
  const list = element("ol", { class: "stacks" });
  for (const stack of stacks) {
    const frames = element("ol", { class: "stack" });
    for (const frame of stack.frames) {
      frames.append(
        element(
          "li",
          {},
          element("span", { class: "function" }, frame.function),
          " ",
          element("code", {}, placeOf(frame)),
        ),
      );
    }
    list.append(
      element(
        "li",
        {},
        element("strong", {}, formatSize(stack.bytes)),
        ` in ${counted(stack.allocations, "allocation")}`,
        frames,
      ),
    );
  }
  host.replaceChildren(list);
}
