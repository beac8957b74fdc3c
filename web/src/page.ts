// The report page: reads the data that is in it once, and shows header and table.

import { showDetails } from "./details";
import { element } from "./dom";
import { runText, showHeader } from "./header";
import { type Report, stacksOf } from "./report";
import { rowOf } from "./rows";
import { showTable, type Table } from "./table";

const HASH = "#test=";

function main(): void {
  const report = JSON.parse(partOf("report-data").textContent ?? "") as Report;
  const rows = report.tests.map(rowOf);
  showHeader(partOf("report-header"), report, rows);
  const content = partOf("report-content");
  if (rows.length === 0) {
    content.replaceChildren(emptyState());
    return;
  }
  const newest = report.runs.length - 1;
  const table = showTable(content, rows, {
    showDetails: (host, { test, limit }) =>
      showDetails(host, {
        test,
        limit,
        run: test.run === newest ? null : runText(report.runs[test.run]),
        stacks: stacksOf(report, test),
        history: test.history.map(([run, bytes, outcome]) => ({
          run: runText(report.runs[run]),
          bytes,
          outcome,
        })),
      }),
    // A link to the page as it is now opens the same test.
    onOpen: (row) => history.replaceState(null, "", row ? hashOf(row.test.nodeid) : "#"),
  });
  openFromHash(table);
  addEventListener("hashchange", () => openFromHash(table));
  addEventListener("keydown", (event) => {
    if (event.key === "/" && !(event.target instanceof HTMLInputElement)) {
      event.preventDefault();
      table.focusSearch();
    }
  });
}

function hashOf(nodeid: string): string {
  // encodeURIComponent refuses half a surrogate pair.
  return HASH + encodeURIComponent(nodeid.replace(/\p{Surrogate}/gu, "\uFFFD"));
}

function openFromHash(table: Table): void {
  if (!location.hash.startsWith(HASH)) {
    return;
  }
  try {
    table.open(decodeURIComponent(location.hash.slice(HASH.length)));
  } catch (error) {
    // A link cut in the middle of an escape opens no test.
    if (!(error instanceof URIError)) {
      throw error;
    }
  }
}

function emptyState(): HTMLElement {
  return element(
    "div",
    { class: "empty" },
    element("h2", {}, "No test was measured"),
    element(
      "p",
      {},
      "Run ",
      element("code", {}, "pytest --memray"),
      " and make this report again.",
    ),
  );
}

function partOf(id: string): HTMLElement {
  const part = document.getElementById(id);
  if (part === null) {
    throw new Error(`The page has no element #${id}: it was not made by memlens`);
  }
  return part;
}

main();
