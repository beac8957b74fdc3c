// How the panel words runs and what was measured: as in an editor, in the user's own time.

import { formatSize } from "../units";
import type { FlameGraph, Past, Run } from "./protocol";

/** How much of a commit's hash is shown. */
const HASH_LENGTH = 8;

/** Returns when *run* began, in the page's language and the user's time zone; a year if it is past. */
export function when({ started }: Run): string {
  const time = new Date(started);
  if (Number.isNaN(time.getTime())) {
    return started;
  }
  const isThisYear = time.getFullYear() === new Date().getFullYear();
  return time.toLocaleString(document.documentElement.lang || undefined, {
    ...(isThisYear ? {} : { year: "numeric" }),
    month: "short",
    day: "numeric",
    hour: "numeric",
    minute: "2-digit",
  });
}

/** Returns at which commit *run* was, "" if that is not known. */
export function commitText({ commit, dirty }: Run): string {
  return commit === null
    ? ""
    : `commit ${commit.slice(0, HASH_LENGTH)}${dirty === true ? " with changes" : ""}`;
}

/** Returns what was measured: "20.0 MiB of 24.0 MiB", "30.0 MiB, over its limit of 24.0 MiB". */
export function peakText(past: Past): string {
  const { peakBytes, limitBytes } = past;
  if (limitBytes === null) {
    return formatSize(peakBytes);
  }
  const of = isOver(past) ? ", over its limit of" : " of";
  return `${formatSize(peakBytes)}${of} ${formatSize(limitBytes)}`;
}

/** A test fails whose peak reaches its limit. */
export function isOver({ peakBytes, limitBytes }: Past): boolean {
  return limitBytes !== null && peakBytes >= limitBytes;
}

/** Returns all that is known of a result, as one line. */
export function resultText(past: Past): string {
  const parts = [when(past), commitText(past), past.outcome, `peak ${peakText(past)}`];
  return parts.filter(Boolean).join(" · ");
}

/** Returns why there is nothing to draw of *graph*. */
export function emptyText({ kind, peakBytes }: FlameGraph): { title: string; text: string } {
  if (kind === "leak") {
    return {
      title: "No leak is known of this run",
      text: "Leaks are looked for in tests with the limit_leaks marker, and their call stacks kept.",
    };
  }
  return {
    title: "No call stacks were kept of this run",
    text: `The test held ${formatSize(peakBytes)} at its peak, and no call stack held enough of it to be kept.`,
  };
}
