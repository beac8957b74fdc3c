// How the panel words runs and what was measured: as in an editor, in the user's own time.

import { changeText } from "../changes";
import { KINDS } from "../kinds";
import { formatSize } from "../units";
import { totalOf } from "./calls";
import type { FlameGraph, Past, Run } from "./protocol";

/** How much of a commit's hash is shown. */
const HASH_LENGTH = 8;
/** Bytes: of a set-up or teardown that held less no call stacks are kept. */
const LIGHT = 1024 * 1024;
/** Why another run's may have held more. */
const SHARED = {
  setup: "A fixture that tests share is made for the first of them that runs.",
  teardown: "A fixture that tests share is torn down after the last of them that runs.",
};

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

/** Returns what the widths of *graph* do not say: what has changed, and what was not kept. */
export function summaryOf(graph: FlameGraph): string {
  const { now, before } = totalOf(graph);
  const said: string[] = [];
  if (before !== null) {
    const change = changeText({ value: now, before });
    said.push(`${formatSize(now)}, before ${formatSize(before)}: ${change}.`);
    if (before > 0 && graph.valueBefore === 0) {
      said.push("What it held before was too little for its call stacks to be kept.");
    }
  } else if (graph.comparedWith !== null) {
    said.push(`${KINDS[graph.kind]} was not measured in the run to compare with.`);
  }
  const rest = now - graph.value;
  if (now > 0 && rest === now) {
    said.push("What it holds now is too little for its call stacks to be kept.");
  } else if (now > 0 && rest / now >= 0.01) {
    said.push(`The empty part, ${formatSize(rest)}, was held by call stacks too small to be kept.`);
  }
  return said.join(" ");
}

/** Returns why there is nothing to draw of *graph*. */
export function emptyText(graph: FlameGraph): { title: string; text: string } {
  const { kind, totalBytes } = graph;
  if (kind === "leak") {
    return {
      title: "No leak is known of this run",
      text: "Leaks are looked for in tests with the limit_leaks marker, and their call stacks kept.",
    };
  }
  const name = kind === "peak" ? "The test" : KINDS[kind];
  if (totalBytes === null) {
    return {
      title: `${name} was not measured in this run`,
      text: "It is not always, of a test that is measured by itself, as for leaks.",
    };
  }
  if (kind !== "peak" && totalBytes < LIGHT) {
    return {
      title: `${name} held little in this run`,
      text: `${formatSize(totalBytes)} at its peak: call stacks are kept from ${formatSize(LIGHT)} on. ${SHARED[kind]}`,
    };
  }
  return {
    title: "No call stacks were kept of this run",
    text: `${name} held ${formatSize(totalBytes)} at its peak, and no call stack held enough of it to be kept.`,
  };
}
