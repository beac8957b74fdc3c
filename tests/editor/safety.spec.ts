// A workspace that is not trusted: its results are shown, and nothing of it is executed.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

import { writeJson } from "./editor";
import { environment } from "./environment";
import { test as base, expect } from "./fixtures";

const TEST = "test_sessions_are_forgotten";
/** What the interpreter of the workspace writes when it is started. */
const STARTED = "started";

const test = base.extend({
  trusting: false,
  project: async ({ project }, use) => {
    const python = environment().userPython;
    await promisify(execFile)(
      python,
      ["-m", "pytest", "--memray", "-q", "tests/test_sessions.py"],
      {
        cwd: project,
      },
    ).catch(() => "one of them leaks");
    const program = join(project, "python-of-the-workspace");
    await writeFile(
      program,
      `#!/bin/sh\necho "$@" >> '${join(project, STARTED)}'\nexec '${python}' "$@"\n`,
    );
    await chmod(program, 0o755);
    await writeJson(join(project, ".vscode", "settings.json"), {
      "memlens.interpreter": program,
      "memlens.runOnSave": true,
    });
    await use(project);
  },
});

test("an untrusted workspace shows its results and runs nothing until it is trusted", async ({
  editor,
  tester,
}) => {
  const started = join(editor.project, STARTED);
  const runs = await runsIn(editor.project);

  await test.step("results are shown", async () => {
    await tester.open("tests/test_sessions.py", `def ${TEST}`);
    await tester.seeSquiggle("error", TEST);
    await expect(tester.statusBar).toHaveText(/1 leaking/);
    await tester.openMemoryView();
    await expect(tester.memoryRow(TEST)).toContainText("leaks");
    await tester.seeNoNotifications();
    await tester.screenshot("results are shown");
  });

  await test.step("nothing runs", async () => {
    await tester.clickLens(TEST, "Run with memory limits");
    const message = tester.notification("only in a trusted workspace");
    await expect(message).toBeVisible();
    await tester.screenshot("running needs trust");
    await tester.clickText("import pytest");
    await tester.press("End", "Space", "Control+s");
    await expect(tester.unsaved).toHaveCount(0);
    expect(await editor.processes("-m pytest")).toEqual([]);
    expect(await runsIn(editor.project)).toBe(runs);
    expect(existsSync(started), "the workspace's interpreter was not started").toBe(false);
    await tester.pressButton(message, "Manage Workspace Trust");
    await expect(tester.trustEditor).toContainText("You are in Restricted Mode");
    await tester.screenshot("where trust is decided");
  });

  await test.step("trusted, it runs, with the workspace's interpreter", async () => {
    await tester.trust();
    await expect.poll(() => existsSync(started)).toBe(true);
    await tester.open("tests/test_sessions.py", "def test_a_session_knows_its_customer");
    await tester.clickLens("test_a_session_knows_its_customer", "Run with memory limits");
    await expect.poll(() => runsIn(editor.project), { timeout: 60_000 }).toBe(runs + 1);
    await tester.seeNoSpinner();
    await tester.seeNoNotifications();
    await tester.screenshot("trusted");
  });
});

/** How many runs of pytest a project has results of. */
async function runsIn(project: string): Promise<number> {
  const program =
    "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM run').fetchone())";
  const database = join(project, ".memlens", "results.db");
  const { stdout } = await promisify(execFile)(environment().userPython, ["-c", program, database]);
  return Number(stdout);
}
