// Words for VS Code's messages, which make links of "[words](command:…)" and icons of "$(name)": a
// test's id or a path may have either, and must show as it is and do nothing.

const NOTHING_SEEN = "\u200b";

/** Returns *text* as a message shows it, without links in it. */
export function withoutLinks(text: string): string {
  return text.replaceAll("](", `]${NOTHING_SEEN}(`);
}

/** Returns *text* as a label shows it, without icons in it. */
export function withoutIcons(text: string): string {
  return text.replaceAll("$(", `$${NOTHING_SEEN}(`);
}

/** Returns what went wrong in one line, as a user reads it: without the names of its class and place. */
export function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return withoutLinks(text.trim().split("\n")[0] ?? "");
}
