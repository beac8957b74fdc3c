// The panel's page as an editor shows it: the extension's own page and policy, the built script and
// style. The test is the extension: it sends what the server would have answered.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test as base, expect } from "@playwright/test";

import { buildWebview } from "../../vscode-extension/scripts/webview.mjs";
import type { Kind } from "../../web/src/kinds";
import type { FromPage, ToPage } from "../../web/src/panel/messages";
import { panelPage } from "../../web/src/panel/page";
import type { Call, History, Past } from "../../web/src/panel/protocol";
import { MIB } from "./documents";

export { expect } from "@playwright/test";

/** Where the page is: nothing else is there, and nothing leaves the browser. */
const ORIGIN = "http://panel.test";

export interface Panel {
  /** Sends a message to the page, as the extension does. */
  send(message: ToPage): Promise<void>;
  /** What the page has said so far. */
  said(): Promise<FromPage[]>;
  /** What the page has the editor keep over a reload. */
  kept(): Promise<unknown>;
  reload(): Promise<void>;
  /** Errors, what the console says and requests to elsewhere: none at a test's end. */
  readonly faults: string[];
}

interface Fixtures {
  panel: Panel;
}

interface Workers {
  /** The folder that the page was built into. */
  built: string;
}

/** The editor's half of the page, which is all that the page knows of it. */
function editorInPage(theme: string): void {
  const said: unknown[] = [];
  Object.assign(window, {
    said,
    acquireVsCodeApi: () => ({
      postMessage: (message: unknown) => said.push(message),
      getState: () => JSON.parse(sessionStorage.getItem("kept") ?? "null") ?? undefined,
      setState: (state: unknown) => sessionStorage.setItem("kept", JSON.stringify(state)),
    }),
  });
  addEventListener("DOMContentLoaded", () => document.body.classList.add(theme));
}

export const test = base.extend<Fixtures, Workers>({
  built: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads what a fixture needs from it
    async ({}, use) => {
      const folder = await mkdtemp(join(tmpdir(), "memlens-panel-"));
      await buildWebview(folder);
      await use(folder);
      await rm(folder, { recursive: true });
    },
    { scope: "worker" },
  ],
  panel: async ({ page, built }, use) => {
    const faults: string[] = [];
    page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
    page.on("console", (message) => faults.push(`console: ${message.text()}`));
    await page.route("**", async (route) => {
      const { origin, pathname } = new URL(route.request().url());
      const file = ["/panel.js", "/panel.css"].find((name) => name === pathname);
      if (origin !== ORIGIN || (file === undefined && pathname !== "/")) {
        faults.push(`request: ${route.request().url()}`);
        await route.abort();
      } else if (file !== undefined) {
        const contentType = file.endsWith(".js") ? "text/javascript" : "text/css";
        await route.fulfill({ contentType, body: await readFile(join(built, file)) });
      } else {
        const body = panelPage({
          source: ORIGIN,
          script: `${ORIGIN}/panel.js`,
          style: `${ORIGIN}/panel.css`,
          language: "en",
          nonce: "abc",
        });
        await route.fulfill({ contentType: "text/html", body });
      }
    });
    await page.addInitScript(editorInPage, "vscode-light");
    await page.goto(ORIGIN);
    const said = () => page.evaluate(() => (window as unknown as { said: FromPage[] }).said);
    await expect.poll(said).toEqual([{ type: "ready" }]);
    await use({
      faults,
      send: (message) => page.evaluate((sent) => window.postMessage(sent), message),
      said,
      kept: () => page.evaluate(() => JSON.parse(sessionStorage.getItem("kept") ?? "null")),
      reload: async () => {
        await page.reload();
        await expect.poll(said).toEqual([{ type: "ready" }]);
      },
    });
    expect(faults).toEqual([]);
  },
});

const SUBJECT = { uri: "file:///shop/tests/test_shop.py", test: "test_cart" };

/** A call that holds so many MiB now, and held so many before. */
export function call(
  name: string,
  now: number,
  before: number | null,
  children: readonly Call[] = [],
  more: Partial<Call> = {},
): Call {
  return {
    name,
    path: `shop/${name}.py`,
    uri: `file:///shop/${name}.py`,
    line: 4,
    kind: "project",
    value: now * MIB,
    valueBefore: before === null ? null : before * MIB,
    children,
    ...more,
  };
}

/** A result of the run with that number; peak and limit in MiB. */
export function past(number: number, peak: number, limit: number | null = null): Past {
  return {
    run: `run-${number}`,
    started: `2026-11-2${number}T08:00:00.000000+00:00`,
    commit: `${number}c98ca7f5e2d4f5a9b7c3d1e0f2a4b6c8d0e1f23`,
    dirty: false,
    outcome: limit !== null && peak >= limit ? "failed" : "passed",
    peakBytes: peak * MIB,
    limitBytes: limit === null ? null : limit * MIB,
  };
}

interface Shown {
  readonly calls: readonly Call[];
  /** The newest first. */
  readonly results: readonly Past[];
  /** Which of them is shown, and which it is compared with. */
  readonly shown?: number;
  readonly comparedWith?: number;
  readonly kind?: Kind;
  /** Of which kinds there are stacks; if not said, of the one that is shown. */
  readonly kinds?: readonly Kind[];
  /** What set-up or teardown held, and before, in MiB; null if it was not measured. */
  readonly phase?: readonly [number | null, number | null];
  readonly focus?: "graph" | "history";
}

/** The message with a graph of one of the results. */
export function graphOf({ calls, results, shown = 0, kind = "peak", ...more }: Shown): ToPage {
  const of = results[shown];
  const before = more.comparedWith === undefined ? undefined : results[more.comparedWith];
  if (of === undefined) {
    throw new Error(`there is no result ${shown}`);
  }
  const sum = (side: "value" | "valueBefore") =>
    calls.reduce((bytes, each) => bytes + (each[side] ?? 0), 0);
  const total = (side: "value" | "valueBefore", peak: number) => {
    if (more.phase !== undefined) {
      const held = more.phase[side === "value" ? 0 : 1];
      return held === null ? null : held * MIB;
    }
    return kind === "leak" ? sum(side) : peak;
  };
  const id = { ...SUBJECT, id: `tests/test_shop.py::${SUBJECT.test}` };
  const history: History = { ...id, results };
  return {
    type: "graph",
    subject: SUBJECT,
    choice: { kind, run: shown === 0 ? null : of.run, compareWith: before?.run ?? null },
    history,
    focus: more.focus ?? null,
    graph: {
      ...id,
      kind,
      kinds: more.kinds ?? [kind],
      run: of,
      comparedWith: before ?? null,
      peakBytes: of.peakBytes,
      peakBytesBefore: before?.peakBytes ?? null,
      totalBytes: total("value", of.peakBytes),
      totalBytesBefore: before === undefined ? null : total("valueBefore", before.peakBytes),
      value: sum("value"),
      valueBefore: before === undefined ? null : sum("valueBefore"),
      frames: calls,
    },
  };
}
