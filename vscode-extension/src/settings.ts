// The settings as the server sees them: the user's own, with the interpreter resolved.

/** Section `memlens` with the interpreter that was chosen and checked put in place of what was written. */
export function forServer(section: unknown, interpreter: string): Record<string, unknown> {
  const own = typeof section === "object" && section !== null ? section : {};
  return { ...own, interpreter };
}

/** The answer to one item of `workspace/configuration`. */
export function answerConfiguration(
  section: string | undefined,
  answer: unknown,
  interpreter: string,
): unknown {
  switch (section) {
    case "memlens":
      return forServer(answer, interpreter);
    case "memlens.interpreter":
      return interpreter;
    default:
      return answer;
  }
}
