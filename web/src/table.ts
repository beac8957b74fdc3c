// The table of tests: searched, filtered, sorted, a page of rows at a time, details below a row.

import { element } from "./dom";
import { type Column, type Filter, passes, type Row, type View, visibleRows } from "./rows";
import { counted, formatCount, formatDuration, formatShare, formatSize } from "./units";

export interface TableOptions {
  /** Shows what is known of *row* in *host*, which is on the page. Returns what removes it. */
  readonly showDetails: (host: HTMLElement, row: Row) => () => void;
  /** Called with the row whose details are open now, null when none are. */
  readonly onOpen?: (row: Row | null) => void;
}

export interface Table {
  /** Opens the details of the test of this node id, if there is one, and goes there. */
  open(nodeid: string): void;
  /** Puts the cursor into the search field. */
  focusSearch(): void;
}

const ROWS_A_PAGE = 100;

interface ColumnInfo {
  readonly title: string;
  readonly number: boolean;
}

const COLUMNS: Readonly<Record<Column, ColumnInfo>> = {
  name: { title: "Test", number: false },
  outcome: { title: "Outcome", number: false },
  peak: { title: "Peak", number: true },
  share: { title: "Of limit", number: true },
  allocations: { title: "Allocations", number: true },
  leaked: { title: "Leaked", number: true },
  duration: { title: "Duration", number: true },
};

const FILTERS: Readonly<Record<Filter, string>> = {
  all: "All",
  over: "Over limit",
  leaking: "Leaking",
  failed: "Failed",
};

/** Shows *rows* in *host*, the largest peak first. */
export function showTable(host: HTMLElement, rows: readonly Row[], options: TableOptions): Table {
  let view: View = { search: "", filter: "all", column: "peak", descending: true };
  let visible = visibleRows(rows, view);
  let page = 0;
  let opened: { row: Row; close: () => void } | null = null;

  const search = element("input", {
    type: "search",
    placeholder: "Search tests",
    "aria-label": "Search tests",
    "aria-keyshortcuts": "/",
  });
  const count = element("output", { class: "count quiet" });
  const body = element("tbody");
  const pager = new Pager((to) => {
    page = to;
    draw();
    tableElement.scrollIntoView({ block: "start" });
  });
  const heads = new Map<Column, HTMLElement>();
  const tableElement = element(
    "table",
    { class: "tests" },
    element("caption", { class: "unseen" }, "Tests and the memory that they took"),
    element("thead", {}, headRow()),
    body,
  );
  const tools = element("div", { class: "tools" }, search, filters(), count);
  host.replaceChildren(tools, tableElement, pager.element);
  // The headings stay in view below the tools, which are higher where they need two lines.
  new ResizeObserver(() => {
    // Rounded down, or a row would be seen between them.
    const height = Math.floor(tools.getBoundingClientRect().height);
    host.style.setProperty("--tools-height", `${height}px`);
  }).observe(tools);
  search.addEventListener("input", () => change({ search: search.value }));
  body.addEventListener("keydown", moveFocus);
  draw();
  return { open, focusSearch: () => search.focus() };

  function headRow(): HTMLElement {
    const made = element("tr");
    for (const [column, { title, number }] of entries(COLUMNS)) {
      const arrow = element("span", { class: "arrow", "aria-hidden": "true" });
      const content = number ? [arrow, title] : [title, arrow];
      const button = element("button", { type: "button" }, ...content);
      button.addEventListener("click", () =>
        change({
          column,
          descending: view.column === column ? !view.descending : number,
        }),
      );
      const cell = element("th", { scope: "col", class: classOf(column) }, button);
      heads.set(column, cell);
      made.append(cell);
    }
    return made;
  }

  function filters(): HTMLElement {
    const made = element("div", { class: "choice", role: "group", "aria-label": "Tests shown" });
    for (const [filter, title] of entries(FILTERS)) {
      const number = rows.filter((row) => passes(row, filter)).length;
      const button = element(
        "button",
        { type: "button", value: filter, "aria-pressed": String(filter === view.filter) },
        title,
        " ",
        element("span", { class: "badge" }, formatCount(number)),
      );
      button.addEventListener("click", () => {
        for (const other of made.children) {
          other.setAttribute("aria-pressed", String(other === button));
        }
        change({ filter });
      });
      made.append(button);
    }
    return made;
  }

  function change(wanted: Partial<View>): void {
    view = { ...view, ...wanted };
    visible = visibleRows(rows, view);
    page = 0;
    draw();
  }

  function draw(): void {
    closeDetails();
    for (const [column, cell] of heads) {
      cell.removeAttribute("aria-sort");
      if (column === view.column) {
        cell.setAttribute("aria-sort", view.descending ? "descending" : "ascending");
      }
    }
    const from = page * ROWS_A_PAGE;
    const shown = visible.slice(from, from + ROWS_A_PAGE);
    body.replaceChildren(...shown.map((row) => drawRow(row)));
    if (shown.length === 0) {
      const none = element("td", { class: "none quiet" });
      none.append(rows.length === 0 ? "There are no tests." : "No test is like that.");
      none.colSpan = columnsShown();
      body.append(element("tr", {}, none));
    }
    const all = counted(rows.length, "test");
    count.value = visible.length === rows.length ? all : `${formatCount(visible.length)} of ${all}`;
    pager.show(page, Math.ceil(visible.length / ROWS_A_PAGE));
  }

  function drawRow(row: Row): HTMLElement {
    const button = element(
      "button",
      { type: "button", class: "test", "aria-expanded": "false" },
      element("span", { class: "test-name" }, row.name),
      element("span", { class: "test-file" }, row.file),
    );
    const { test } = row;
    const made = element(
      "tr",
      { class: "row" },
      element("th", { scope: "row", class: classOf("name") }, button),
      cell("outcome", outcome(row)),
      cell("peak", ...peak(row)),
      cell("share", row.share === null ? "–" : formatShare(row.share)),
      cell("allocations", test.allocations === null ? "–" : formatCount(test.allocations)),
      cell("leaked", test.leaked_bytes ? formatSize(test.leaked_bytes) : "–"),
      cell("duration", formatDuration(test.duration_s)),
    );
    made.toggleAttribute("data-over", row.over);
    made.toggleAttribute("data-leaking", row.leaking);
    made.addEventListener("click", (event) => {
      const selecting = event.target !== button && getSelection()?.isCollapsed === false;
      if (!selecting) {
        toggle(row, made, button);
      }
    });
    return made;
  }

  function toggle(row: Row, at: HTMLElement, button: HTMLElement): void {
    const wasOpen = opened?.row === row;
    closeDetails();
    if (wasOpen) {
      options.onOpen?.(null);
      return;
    }
    const into = element("div", { class: "details", role: "region", "aria-label": row.name });
    const cell = element("td", {}, into);
    const fit = () => {
      cell.colSpan = columnsShown();
    };
    fit();
    addEventListener("resize", fit);
    const below = element("tr", { class: "below" }, cell);
    at.after(below);
    at.setAttribute("data-open", "");
    button.setAttribute("aria-expanded", "true");
    const remove = options.showDetails(into, row);
    opened = {
      row,
      close: () => {
        remove();
        removeEventListener("resize", fit);
        below.remove();
        at.removeAttribute("data-open");
        button.setAttribute("aria-expanded", "false");
      },
    };
    below.addEventListener("keydown", ({ key }) => {
      if (key === "Escape") {
        toggle(row, at, button);
        button.focus();
      }
    });
    options.onOpen?.(row);
  }

  /** A cell may not span columns that are hidden for lack of room: it would make new ones. */
  function columnsShown(): number {
    return [...heads.values()].filter((cell) => cell.getClientRects().length > 0).length;
  }

  function closeDetails(): void {
    opened?.close();
    opened = null;
  }

  function open(nodeid: string): void {
    let index = visible.findIndex(({ test }) => test.nodeid === nodeid);
    if (index < 0) {
      return;
    }
    page = Math.floor(index / ROWS_A_PAGE);
    draw();
    index -= page * ROWS_A_PAGE;
    const at = body.children[index];
    const button = at?.querySelector("button");
    if (at && button) {
      button.click();
      button.focus({ preventScroll: true });
      at.scrollIntoView({ block: "start" });
    }
  }

  function moveFocus(event: KeyboardEvent): void {
    const buttons = [...body.querySelectorAll<HTMLElement>(".row .test")];
    const at = buttons.indexOf(event.target as HTMLElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const to = { Home: 0, End: buttons.length - 1 }[event.key] ?? at + (step ?? 0);
    if (at >= 0 && to !== at && buttons[to] !== undefined) {
      buttons[to].focus();
      event.preventDefault();
    }
  }
}

function outcome({ test }: Row): HTMLElement {
  return element("span", { class: "outcome", "data-outcome": test.outcome }, test.outcome);
}

/** The peak as text, and against its limit as a bar on which the limit is marked. */
function peak(row: Row): HTMLElement[] {
  const { peak_bytes } = row.test;
  if (peak_bytes === null) {
    return [element("span", {}, "–")];
  }
  const text = element("span", { class: "size" }, formatSize(peak_bytes));
  if (row.limit === null || row.limit === 0) {
    return [text];
  }
  const bar = element("span", { class: "bar", "aria-hidden": "true" });
  const whole = Math.max(peak_bytes, row.limit);
  const taken = element("span", { class: "taken" });
  taken.style.width = `${(100 * peak_bytes) / whole}%`;
  const mark = element("span", { class: "mark" });
  mark.style.left = `${(100 * row.limit) / whole}%`;
  bar.append(taken, mark);
  bar.title = `${formatSize(peak_bytes)} of ${formatSize(row.limit)}`;
  return [text, bar];
}

function cell(column: Column, ...content: (Node | string)[]): HTMLElement {
  return element("td", { class: classOf(column) }, ...content);
}

function classOf(column: Column): string {
  return COLUMNS[column].number ? `${column} number` : column;
}

function entries<Key extends string, Value>(of: Readonly<Record<Key, Value>>): [Key, Value][] {
  return Object.entries(of) as [Key, Value][];
}

/** Goes from page to page of the rows. */
class Pager {
  readonly element = element("nav", { class: "pager", "aria-label": "Pages of tests" });
  private readonly text = element("span");
  private readonly back = element("button", { type: "button" }, "Previous");
  private readonly on = element("button", { type: "button" }, "Next");
  private page = 0;

  constructor(go: (page: number) => void) {
    this.back.addEventListener("click", () => go(this.page - 1));
    this.on.addEventListener("click", () => go(this.page + 1));
    this.element.append(this.back, this.text, this.on);
  }

  show(page: number, pages: number): void {
    this.page = page;
    this.element.hidden = pages < 2;
    this.text.textContent = `Page ${formatCount(page + 1)} of ${formatCount(pages)}`;
    this.back.disabled = page === 0;
    this.on.disabled = page >= pages - 1;
  }
}
