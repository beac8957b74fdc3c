// The settings as the server sees them: the user's own, with the interpreter resolved.

export const SECTION = "memlens";

/** What only a trusted workspace may have the server do. */
export interface Given {
  /** The interpreter that was chosen and checked, in place of what was written. */
  readonly interpreter: string;
  readonly isTrusted: boolean;
}

/** Section `memlens` for the server. */
export function forServer(section: unknown, given: Given): Record<string, unknown> {
  const own = typeof section === "object" && section !== null ? section : {};
  return {
    ...own,
    interpreter: given.interpreter,
    // Also where the user has it on for all workspaces.
    ...(given.isTrusted ? {} : { runOnSave: false }),
  };
}

/** The answer to one item of `workspace/configuration`. */
export function answerConfiguration(
  section: string | undefined,
  answer: unknown,
  given: Given,
): unknown {
  switch (section) {
    case "memlens":
      return forServer(answer, given);
    case "memlens.interpreter":
      return given.interpreter;
    default:
      return answer;
  }
}
