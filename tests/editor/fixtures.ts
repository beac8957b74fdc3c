// The one way a test gets an editor: fresh for each test, logs kept on failure, nothing left behind.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test as base } from "@playwright/test";

import { Editor } from "./editor";
import { environment } from "./environment";
import { Tester } from "./tester";

export { expect } from "@playwright/test";

const EXAMPLE = fileURLToPath(new URL("../../examples", import.meta.url));

interface Options {
  /** What the user wrote as `memlens.interpreter`; undefined for the Python that has pytest-memlens. */
  interpreter: string | undefined;
}

interface Fixtures {
  editor: Editor;
  tester: Tester;
}

export const test = base.extend<Options & Fixtures>({
  interpreter: [undefined, { option: true }],

  editor: async ({ interpreter }, use, testInfo) => {
    const given = environment();
    const folder = await mkdtemp(join(tmpdir(), "memlens-editor-"));
    try {
      const editor = await Editor.start(folder, EXAMPLE, {
        ...given,
        interpreter: interpreter ?? given.userPython,
      });
      try {
        await use(editor);
      } finally {
        await editor.stop();
        if (testInfo.status !== testInfo.expectedStatus) {
          await editor.saveLogs(testInfo.outputPath("logs"));
        }
      }
    } finally {
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    }
  },

  tester: async ({ page, editor }, use, testInfo) => {
    const tester = new Tester(page, editor.project, (name) => testInfo.outputPath(name));
    await tester.openWorkbench(editor.url);
    try {
      await use(tester);
    } finally {
      await tester.screenshot("at the end");
    }
  },
});
