// Small tables of what is known of one test.

import { element } from "./dom";

/** Returns a table with these *titles*: one that begins with "-" is of numbers, and so goes right. */
export function smallTable(titles: readonly string[], body: HTMLElement): HTMLElement {
  const head = element("tr");
  for (const title of titles) {
    const name = title.replace(/^-/, "");
    head.append(
      element("th", { scope: "col", ...(name === title ? {} : { class: "number" }) }, name),
    );
  }
  const table = element("table", { class: "small" }, element("thead", {}, head), body);
  // Numbers do not wrap. Where they need more room than there is, the page must not get wider.
  return element("div", { class: "small-frame" }, table);
}
