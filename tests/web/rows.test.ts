import { expect, test } from "vitest";

import type { Limit, Test } from "../../web/src/report";
import { type Row, rowOf, type View, visibleRows } from "../../web/src/rows";

const VIEW: View = { search: "", filter: "all", column: "name", descending: false };

function limit(marker: string, verdict: Limit["verdict"]): Limit {
  return { marker, limit_bytes: 10, measured_bytes: 5, verdict };
}

function row(nodeid: string, more: Partial<Test> = {}): Row {
  return rowOf({
    nodeid,
    path: "test_a.py",
    line: 1,
    outcome: "passed",
    duration_s: 1,
    peak_bytes: 1,
    allocated_bytes: null,
    allocations: null,
    leaked_bytes: null,
    phases: [],
    limits: [],
    stacks: [],
    run: 0,
    history: [],
    ...more,
  });
}

function names(rows: readonly Row[], view: Partial<View>): string[] {
  return visibleRows(rows, { ...VIEW, ...view }).map(({ name }) => name);
}

test("a node id is its file and the rest", () => {
  expect(row("a/test_a.py::TestCart::test_total[x::y]")).toMatchObject({
    file: "a/test_a.py",
    name: "TestCart::test_total[x::y]",
  });
  expect(row("a/test_a.txt")).toMatchObject({ name: "a/test_a.txt" });
});

test("a limit on the peak gives the share; a limit of nothing gives none", () => {
  expect(row("t", { limits: [limit("limit_memory", "passed")] }).share).toBe(0.5);
  expect(row("t", { limits: [limit("limit_leaks", "passed")] }).share).toBeNull();
  const none = { ...limit("limit_memory", "exceeded"), limit_bytes: 0 };
  expect(row("t", { limits: [none] })).toMatchObject({ share: null, over: true });
});

test("over its limit, or leaking, is what has exceeded and was not expected to fail", () => {
  const over = [limit("limit_memory", "exceeded")];
  const grown = [limit("fail_on_increase", "exceeded")];
  const leaks = [limit("limit_leaks", "exceeded")];
  const objects = [limit("limit_leaked_objects", "exceeded")];
  const unjudged = [limit("limit_memory", "not_judged")];
  expect(row("t", { limits: over })).toMatchObject({ over: true, leaking: false });
  expect(row("t", { limits: grown })).toMatchObject({ over: true, leaking: false });
  expect(row("t", { limits: leaks })).toMatchObject({ over: false, leaking: true });
  expect(row("t", { limits: objects })).toMatchObject({ over: false, leaking: true });
  expect(row("t", { limits: unjudged })).toMatchObject({ over: false, leaking: false });
  expect(row("t", { limits: over, outcome: "xfailed" })).toMatchObject({ over: false });
});

test("numbers in names are sorted as numbers, and what has no value comes last", () => {
  const rows = [row("t::n10"), row("t::n9", { allocations: 3 }), row("t::n2", { allocations: 7 })];
  expect(names(rows, {})).toEqual(["n2", "n9", "n10"]);
  expect(names(rows, { column: "allocations" })).toEqual(["n9", "n2", "n10"]);
  expect(names(rows, { column: "allocations", descending: true })).toEqual(["n2", "n9", "n10"]);
});

test("a search wants all its words, in either case", () => {
  const rows = [row("a.py::test_Cart"), row("b.py::test_cart"), row("a.py::test_other")];
  expect(names(rows, { search: " CART a.py " })).toEqual(["test_Cart"]);
});
