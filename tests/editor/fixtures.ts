// The one way a test gets an editor: fresh for each test, logs kept on failure, nothing left behind.

import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { test as base } from "@playwright/test";

import { Editor } from "./editor";
import { environment } from "./environment";
import { Tester } from "./tester";

export { expect } from "@playwright/test";

const EXAMPLE = fileURLToPath(new URL("../../examples", import.meta.url));

/** Left in place when the example project is copied: results and caches of earlier runs. */
const NOT_COPIED = new Set([".memlens", ".pytest_cache", ".venv", "__pycache__"]);

interface Options {
  /** What the user wrote as `memlens.interpreter`; undefined for the Python that has pytest-memlens. */
  interpreter: string | undefined;
  /** More settings of the user's. */
  settings: Readonly<Record<string, unknown>>;
  /** More environment variables for the editor. */
  environment: Readonly<Record<string, string>>;
  /** Packages of other extensions that the user has. */
  extensions: readonly string[];
  /** Whether every folder is trusted from the start. */
  trusting: boolean;
  /** The workspace file that is opened; undefined when the project's folder is. */
  workspace: string | undefined;
}

interface Fixtures {
  /** Where everything of one test is, until it ends. */
  folder: string;
  /** A copy of the example project. A spec that wants another prepares it in a fixture of this name. */
  project: string;
  editor: Editor;
  tester: Tester;
}

export const test = base.extend<Options & Fixtures>({
  interpreter: [undefined, { option: true }],
  settings: [{}, { option: true }],
  environment: [{}, { option: true }],
  extensions: [[], { option: true }],
  trusting: [true, { option: true }],
  workspace: [undefined, { option: true }],

  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads from the pattern what is needed
  folder: async ({}, use) => {
    const folder = await mkdtemp(join(tmpdir(), "memlens-editor-"));
    try {
      await use(folder);
    } finally {
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    }
  },

  project: async ({ folder }, use) => {
    const project = join(folder, "example");
    await copyExample(project);
    await use(project);
  },

  editor: async (
    { folder, project, workspace, interpreter, settings, environment: more, extensions, trusting },
    use,
    testInfo,
  ) => {
    const { editorHome, vsix, userPython } = environment();
    const editor = await Editor.start(folder, project, workspace, {
      editorHome,
      extensions: [vsix, ...extensions],
      interpreter: interpreter ?? userPython,
      settings,
      environment: more,
      trusting,
    });
    try {
      await use(editor);
    } finally {
      await editor.stop();
      if (testInfo.status !== testInfo.expectedStatus) {
        await editor.saveLogs(testInfo.outputPath("logs"));
      }
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

/** Copies the example project as it is without ever having been tested. */
export async function copyExample(target: string): Promise<void> {
  await cp(EXAMPLE, target, {
    recursive: true,
    filter: (path) => !NOT_COPIED.has(basename(path)),
  });
}
