// What comes from outside — commands' arguments, the page, what the editor kept — checked before use.

import { KINDS, type Kind } from "../../../web/src/kinds";
import type { Action, Choice, FromPage, Kept, Subject } from "../../../web/src/panel/messages";

const ACTIONS: ReadonlySet<unknown> = new Set<Action>(["run", "retry", "restart", "log"]);

/** The test that a command's argument names; undefined where it names none. */
export function readSubject(value: unknown): Subject | undefined {
  if (!isObject(value) || typeof value.uri !== "string" || typeof value.test !== "string") {
    return undefined;
  }
  return { uri: value.uri, test: value.test };
}

/** What the editor kept of a panel over a reload of its window; undefined if that is damaged. */
export function readKept(value: unknown): Kept | undefined {
  if (!isObject(value)) {
    return undefined;
  }
  const subject = readSubject(value.subject);
  const choice = readChoice(value.choice);
  return subject === undefined || choice === undefined ? undefined : { subject, choice };
}

/** A message from the page; undefined if it is none that the page of this version sends. */
export function readMessage(value: unknown): FromPage | undefined {
  if (!isObject(value)) {
    return undefined;
  }
  const { type, frame, focus, action } = value;
  switch (type) {
    case "ready":
      return { type };
    case "choose": {
      const choice = readChoice(value.choice);
      return choice && { type, choice };
    }
    case "open":
      return typeof frame === "number" && Number.isSafeInteger(frame) && typeof focus === "boolean"
        ? { type, frame, focus }
        : undefined;
    case "act":
      return ACTIONS.has(action) ? { type, action: action as Action } : undefined;
    default:
      return undefined;
  }
}

function readChoice(value: unknown): Choice | undefined {
  if (!isObject(value)) {
    return undefined;
  }
  const { kind, run, compareWith } = value;
  const areRuns = [run, compareWith].every((uuid) => uuid === null || typeof uuid === "string");
  return typeof kind === "string" && Object.hasOwn(KINDS, kind) && areRuns
    ? { kind: kind as Kind, run: run as string | null, compareWith: compareWith as string | null }
    : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
