// The top of the page: which run, at which commit, and its totals.

import { element } from "./dom";
import type { Report, Run } from "./report";
import type { Row } from "./rows";
import { counted, formatCount, formatSize, formatTime } from "./units";

/** Shows the newest of *report*'s runs and what became of its tests, *rows*, in *host*. */
export function showHeader(host: HTMLElement, report: Report, rows: readonly Row[]): void {
  const run = report.runs.at(-1);
  const project = run?.rootdir?.split(/[\\/]/).findLast(Boolean);
  host.replaceChildren(
    element("p", { class: "brand" }, "memlens"),
    element("h1", {}, project ? `Memory of ${project}’s tests` : "Memory of the tests"),
    ...(run ? [facts(run, report.runs.length)] : []),
    ...warnings(report, rows),
    ...(rows.length > 0 ? [totals(rows)] : []),
  );
}

/** Returns which run *run* is, as one line: its date and commit. */
export function runText(run: Run | undefined): string {
  if (run === undefined) {
    return "unknown run";
  }
  const commit = run.git_commit
    ? `, ${run.git_commit.slice(0, 10)}${run.git_dirty ? " with changes" : ""}`
    : "";
  return `${formatTime(run.started)}${commit}`;
}

function facts(run: Run, runs: number): HTMLElement {
  const list = element("dl", { class: "facts-line" });
  const add = (name: string, value: HTMLElement | string) =>
    list.append(element("div", {}, element("dt", {}, name), element("dd", {}, value)));
  add("Run", element("time", { datetime: run.started }, formatTime(run.started)));
  if (run.git_commit) {
    const commit = element("code", { title: run.git_commit }, run.git_commit.slice(0, 10));
    const value = element("span", {}, commit);
    if (run.git_dirty) {
      value.append(" with uncommitted changes");
    }
    add("Commit", value);
  }
  for (const [key, name] of [
    ["python", "Python"],
    ["pytest", "pytest"],
    ["memray", "memray"],
    ["memlens", "memlens"],
  ] as const) {
    const version = run.versions?.[key];
    if (version) {
      add(name, version);
    }
  }
  if (runs > 1) {
    add("History", counted(runs, "run"));
  }
  return list;
}

/** What is missing: runs that have not come to their end. */
function warnings(report: Report, rows: readonly Row[]): HTMLElement[] {
  return report.runs.flatMap((run, index) => {
    const measured = rows.filter(({ test }) => test.run === index).length;
    if (run.status === "finished" || measured === 0) {
      return [];
    }
    const of = run.collected ? ` of ${counted(run.collected, "test")}` : "";
    const what = run.status === "running" ? "has not ended yet" : "was interrupted";
    const text = `The run of ${runText(run)} ${what}: ${formatCount(measured)}${of} shown.`;
    return [element("p", { class: "warning", role: "note" }, text)];
  });
}

function totals(rows: readonly Row[]): HTMLElement {
  const heaviest = rows.reduce((most, { test }) => Math.max(most, test.peak_bytes ?? 0), 0);
  const over = rows.filter((row) => row.over).length;
  const leaking = rows.filter((row) => row.leaking).length;
  const list = element("dl", { class: "totals" });
  const add = (name: string, value: string, alarming = false) => {
    const entry = element("div", {}, element("dt", {}, name), element("dd", {}, value));
    entry.toggleAttribute("data-alarming", alarming);
    list.append(entry);
  };
  add(rows.length === 1 ? "test" : "tests", formatCount(rows.length));
  add("over limit", formatCount(over), over > 0);
  add("leaking", formatCount(leaking), leaking > 0);
  add("highest peak", formatSize(heaviest));
  return list;
}
