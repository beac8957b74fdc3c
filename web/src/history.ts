// A test's peak over runs, as a small chart and as a table.

import { element, svg } from "./dom";
import { smallTable } from "./smallTable";
import { formatSize } from "./units";

/** One run's result. */
export interface Point {
  /** Which run: its date and commit. */
  readonly run: string;
  readonly bytes: number;
  readonly outcome: string;
}

const WIDTH = 640;
const HEIGHT = 120;
const MARGIN = 8;

/** Shows *points*, the oldest first, in *host*, with a line at *limit* bytes if there is one. */
export function showHistory(
  host: HTMLElement,
  points: readonly Point[],
  limit: number | null,
): void {
  const last = points.at(-1);
  if (points.length < 2 || last === undefined) {
    host.replaceChildren(element("p", { class: "quiet" }, "There are no earlier runs of it here."));
    return;
  }
  const peaks = points.map(({ bytes }) => bytes);
  host.replaceChildren(
    element("p", { class: "quiet" }, summary(peaks, last.bytes)),
    chart(points, limit),
    asTable(points),
  );
}

function summary(peaks: readonly number[], now: number): string {
  const [least, most] = [formatSize(Math.min(...peaks)), formatSize(Math.max(...peaks))];
  return least === most
    ? `${least} in all ${peaks.length} runs`
    : `From ${least} to ${most} in ${peaks.length} runs, now ${formatSize(now)}`;
}

function chart(points: readonly Point[], limit: number | null): SVGElement {
  const highest = Math.max(...points.map(({ bytes }) => bytes), limit ?? 0, 1);
  const x = (index: number) => MARGIN + (index / (points.length - 1)) * (WIDTH - 2 * MARGIN);
  const y = (bytes: number) => HEIGHT - MARGIN - (bytes / highest) * (HEIGHT - 2 * MARGIN);
  const drawn = svg("svg", {
    class: "history",
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    "aria-hidden": "true",
  });
  drawn.append(line("base", 0, WIDTH, y(0)));
  if (limit !== null && limit > 0) {
    drawn.append(line("limit", 0, WIDTH, y(limit)));
  }
  drawn.append(
    svg("polyline", {
      class: "peaks",
      points: points.map(({ bytes }, index) => `${x(index)},${y(bytes)}`).join(" "),
    }),
  );
  for (const [index, { run, bytes, outcome }] of points.entries()) {
    drawn.append(
      svg(
        "circle",
        {
          cx: String(x(index)),
          cy: String(y(bytes)),
          r: index === points.length - 1 ? "5" : "3.5",
          "data-outcome": outcome,
        },
        svg("title", {}, `${run}\n${formatSize(bytes)}, ${outcome}`),
      ),
    );
  }
  return drawn;
}

function line(kind: string, from: number, to: number, y: number): SVGElement {
  const [x1, x2, y1] = [String(from), String(to), String(y)];
  return svg("line", { class: kind, x1, x2, y1, y2: y1 });
}

function asTable(points: readonly Point[]): HTMLElement {
  const body = element("tbody");
  for (const { run, bytes, outcome } of [...points].reverse()) {
    body.append(
      element(
        "tr",
        {},
        element("th", { scope: "row" }, run),
        element("td", { class: "number" }, formatSize(bytes)),
        element("td", {}, outcome),
      ),
    );
  }
  return element(
    "details",
    {},
    element("summary", {}, "All runs"),
    smallTable(["Run", "-Peak", "Outcome"], body),
  );
}
