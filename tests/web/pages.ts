// The one way a test gets a report page: Python makes it, the browser opens it from disk.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { test as base, expect, type Page } from "@playwright/test";

import type { Document } from "./documents";

export { expect } from "@playwright/test";

const PYTHON =
  process.env.MEMLENS_PYTHON ?? fileURLToPath(new URL("../../.venv/bin/python", import.meta.url));

const MAKE_PAGE = `
import json, sys
from memlens.exports.html import html
sys.stdout.write(html(json.load(sys.stdin)))
`;

interface Fixtures {
  /** Makes a document's page and opens it. */
  openReport: (document: Document, hash?: string) => Promise<void>;
}

export const test = base.extend<Fixtures>({
  openReport: async ({ page }, use) => {
    const folder = await mkdtemp(join(tmpdir(), "memlens-page-"));
    const faults = watch(page);
    try {
      await use(async (document, hash = "") => {
        const path = join(folder, "report.html");
        await writeFile(path, makePage(document));
        await page.goto(pathToFileURL(path).href + hash);
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    expect(faults).toEqual([]);
  },
});

/** Returns the page of *document*, which the real exporter makes. */
export function makePage(document: Document): string {
  if (!existsSync(PYTHON)) {
    throw new Error(`${PYTHON} is not there: run "make check", or name a Python in MEMLENS_PYTHON`);
  }
  const { status, stdout, stderr } = spawnSync(PYTHON, ["-c", MAKE_PAGE], {
    input: JSON.stringify(document),
    encoding: "utf8",
    maxBuffer: 2 ** 30,
  });
  if (status !== 0) {
    throw new Error(`memlens.exports.html failed:\n${stderr}`);
  }
  return stdout;
}

/** Returns a list that gets whatever goes wrong in *page*, and what it asks a network for. */
function watch(page: Page): string[] {
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("console", (message) => faults.push(`console: ${message.text()}`));
  page.on("dialog", async (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!request.isNavigationRequest() || !request.url().startsWith("file:")) {
      faults.push(`request: ${request.url()}`);
    }
  });
  return faults;
}
