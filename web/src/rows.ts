// The rows of the table of tests: what each shows, which are shown, and in what order.

import type { Limit, Test } from "./report";

export interface Row {
  readonly test: Test;
  /** The node id after the file: "TestCart::test_total[2]". */
  readonly name: string;
  /** The node id's file. */
  readonly file: string;
  /** The limit on the peak in bytes, and the share of it that was taken; null without one. */
  readonly limit: number | null;
  readonly share: number | null;
  /** Whether its peak exceeded a limit, and whether it leaked more than it may. */
  readonly over: boolean;
  readonly leaking: boolean;
}

export type Column = "name" | "outcome" | "peak" | "share" | "allocations" | "leaked" | "duration";

export type Filter = "all" | "over" | "leaking" | "failed";

export interface View {
  readonly search: string;
  readonly filter: Filter;
  readonly column: Column;
  readonly descending: boolean;
}

const LEAK_MARKERS = new Set(["limit_leaks", "limit_leaked_objects"]);

/** Returns the row of *test*. */
export function rowOf(test: Test): Row {
  const [file = "", ...name] = test.nodeid.split("::");
  const limit = test.limits.find(({ marker }) => marker === "limit_memory");
  // Of a test that is expected to fail it is no news.
  const judged = test.outcome === "xfailed" ? [] : test.limits;
  const exceeded = judged.filter(({ verdict }) => verdict === "exceeded");
  return {
    test,
    name: name.join("::") || file,
    file,
    limit: limit?.limit_bytes ?? null,
    share: shareOf(limit),
    over: exceeded.some(({ marker }) => !LEAK_MARKERS.has(marker)),
    leaking: exceeded.some(({ marker }) => LEAK_MARKERS.has(marker)),
  };
}

function shareOf(limit: Limit | undefined): number | null {
  return limit === undefined || limit.limit_bytes === 0
    ? null
    : limit.measured_bytes / limit.limit_bytes;
}

/** Whether *row* is one of those that *filter* names. */
export function passes(row: Row, filter: Filter): boolean {
  switch (filter) {
    case "all":
      return true;
    case "over":
      return row.over;
    case "leaking":
      return row.leaking;
    case "failed":
      return row.test.outcome === "failed";
  }
}

/** Returns the rows that *view* asks for, in its order. Those without a value come last. */
export function visibleRows(rows: readonly Row[], view: View): Row[] {
  const words = view.search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = rows.filter(
    (row) => passes(row, view.filter) && (words.length === 0 || contains(row, words)),
  );
  const sign = view.descending ? -1 : 1;
  const value = VALUES[view.column];
  return found
    .map((row) => ({ row, key: value(row) }))
    .sort((one, other) => compare(one.key, other.key, sign) || byName(one.row, other.row))
    .map(({ row }) => row);
}

function contains(row: Row, words: readonly string[]): boolean {
  const nodeid = row.test.nodeid.toLowerCase();
  return words.every((word) => nodeid.includes(word));
}

type Key = string | number | null;

const VALUES: Readonly<Record<Column, (row: Row) => Key>> = {
  name: (row) => row.test.nodeid,
  outcome: (row) => row.test.outcome,
  peak: (row) => row.test.peak_bytes,
  share: (row) => row.share,
  allocations: (row) => row.test.allocations,
  leaked: (row) => row.test.leaked_bytes,
  duration: (row) => row.test.duration_s,
};

const COLLATOR = new Intl.Collator("en", { numeric: true });

function compare(one: Key, other: Key, sign: number): number {
  if (one === null || other === null) {
    return Number(one === null) - Number(other === null);
  }
  if (typeof one === "number" && typeof other === "number") {
    return sign * (one - other);
  }
  return sign * COLLATOR.compare(String(one), String(other));
}

function byName(one: Row, other: Row): number {
  return COLLATOR.compare(one.test.nodeid, other.test.nodeid);
}
