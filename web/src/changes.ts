// How a frame of a flame graph has changed since the run that it is compared with.

import type { FlameNode } from "./tree";
import { formatSize } from "./units";

/** What a frame holds, and what it held. */
type Held = Pick<FlameNode, "value" | "before">;

export type Change = "grown" | "shrunk" | "same" | "new" | "gone";

/** How strongly changes are coloured: from 0, a little, to this. */
const STRONGEST = 2;

/** Returns how *node* has changed; null without a comparison. */
export function changeOf({ value, before }: Held): Change | null {
  if (before === null) {
    return null;
  }
  if (value === before) {
    return "same";
  }
  if (value === 0 || before === 0) {
    return value === 0 ? "gone" : "new";
  }
  return value > before ? "grown" : "shrunk";
}

/** Returns by how much *node* has changed, as text that needs no colour: "+5.0 MiB". */
export function changeText(node: Held): string {
  const { value, before } = node;
  const difference = value - (before ?? value);
  switch (changeOf(node)) {
    case "new":
      return `new, ${signed(difference)}`;
    case "gone":
      return `gone, ${signed(difference)}`;
    case "same":
      return "as before";
    case null:
      return "";
    default:
      return signed(difference);
  }
}

/** Returns how strongly the change of *node* is coloured, beside the *largest* of the graph. */
export function strengthOf({ value, before }: Held, largest: number): number {
  const share = largest > 0 ? Math.abs(value - (before ?? value)) / largest : 0;
  return Math.min(STRONGEST, Math.floor(share * (STRONGEST + 1)));
}

/** Returns the largest change of a frame below *root*, in bytes. */
export function largestChange(root: FlameNode): number {
  let largest = 0;
  const left = [...root.children];
  for (let node = left.pop(); node !== undefined; node = left.pop()) {
    largest = Math.max(largest, Math.abs(node.value - (node.before ?? node.value)));
    left.push(...node.children);
  }
  return largest;
}

/** Returns a difference in bytes with its sign, "−" being a minus and not a hyphen. */
export function signed(bytes: number): string {
  return `${bytes < 0 ? "−" : "+"}${formatSize(Math.abs(bytes))}`;
}
