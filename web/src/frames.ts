// What a frame is called, and whose code it is.

import type { Frame } from "./report";

export type Origin = "project" | "library" | "native";

/** Returns "path:line", or the path alone where a native frame has no line. */
export function placeOf(frame: Frame): string {
  return frame.line === null ? frame.path : `${frame.path}:${frame.line}`;
}

/** Returns whose code *frame* is. */
export function originOf(frame: Frame): Origin {
  if (frame.native) {
    return "native";
  }
  return frame.project ? "project" : "library";
}
