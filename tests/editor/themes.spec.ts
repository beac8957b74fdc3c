// Light, dark and high contrast: everything of ours can be read in each of them.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { environment } from "./environment";
import { test as base, expect } from "./fixtures";
import type { Contrast } from "./tester";

/** What text needs beside its background: https://www.w3.org/TR/WCAG22/#contrast-minimum */
const READABLE = 4.5;
/** What the words after a file with problems need: VS Code colours them, as in the Explorer. */
const READABLE_FILE = 3;

const THEMES = ["Dark 2026", "Light 2026", "Dark High Contrast", "Light High Contrast"];

const test = base.extend({
  project: async ({ project }, use) => {
    await promisify(execFile)(environment().userPython, ["-m", "pytest", "--memray", "-q"], {
      cwd: project,
    }).catch(() => "three of them fail on purpose");
    await use(project);
  },
});

test("marks and the Memory view can be read in every kind of theme", async ({ tester }) => {
  await tester.open("shop/sessions.py", "page_cache=bytearray");
  await tester.open("tests/test_sessions.py", "def test_sessions_are_forgotten");
  await tester.seeSquiggle("error", "test_sessions_are_forgotten");
  await tester.openMemoryView();
  await expect(tester.memoryRow("test_sessions_are_forgotten")).toContainText("leaks");
  for (const theme of THEMES) {
    await test.step(theme, async () => {
      await tester.chooseTheme(theme);
      await expect
        .poll(async () => (await tester.contrasts()).filter(hardToRead), {
          message: "texts of the Memory view that are hard to read",
        })
        .toEqual([]);
      expect((await tester.contrasts()).length).toBeGreaterThan(20);
      await tester.screenshot(theme);
    });
  }
});

function hardToRead({ text, contrast }: Contrast): boolean {
  return contrast < (/(^| · )tests$/.test(text) ? READABLE_FILE : READABLE);
}
