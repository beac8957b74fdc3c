// Which test is meant when a command names none: the user picks one of those that were measured.

import * as vscode from "vscode";

import type { Subject } from "../../../web/src/panel/messages";
import { formatSize } from "../../../web/src/units";
import { reason, withoutIcons } from "../plainWords";
import { type Page, TESTS } from "../protocol";
import type { Asking } from "../server";

interface Item extends vscode.QuickPickItem {
  readonly subject: Subject;
  readonly peak: number;
}

/** The test that the user picks; undefined if none is picked, or there is none. */
export async function pickTest(server: Asking): Promise<Subject | undefined> {
  let items: Item[];
  try {
    items = await measuredTests(server);
  } catch (error) {
    void vscode.window.showErrorMessage(
      `memlens cannot read which tests were measured: ${reason(error)}`,
    );
    return undefined;
  }
  if (items.length === 0) {
    void vscode.window.showInformationMessage(
      "memlens has measured no test here yet: run one with memory limits, by the lens above it.",
    );
    return undefined;
  }
  const picked = await vscode.window.showQuickPick(items, {
    placeHolder: "Whose memory? The heaviest test is the first",
    matchOnDescription: true,
  });
  return picked?.subject;
}

async function measuredTests(server: Asking): Promise<Item[]> {
  const items: Item[] = [];
  let next: string | null = null;
  do {
    const page: Page = await server.request(TESTS, {
      limit: 5000,
      ...(next === null ? {} : { next }),
    });
    for (const { name, tests } of page.projects) {
      for (const { uri, test, id, peakBytes } of tests) {
        const file = id.slice(0, -test.length).replace(/::$/, "");
        items.push({
          label: withoutIcons(test),
          description: withoutIcons(
            `${formatSize(peakBytes)} · ${page.projects.length > 1 ? `${name}/` : ""}${file}`,
          ),
          subject: { uri, test },
          peak: peakBytes,
        });
      }
    }
    next = page.next;
  } while (next !== null);
  return items.sort((one, other) => other.peak - one.peak);
}
