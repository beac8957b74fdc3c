// Runs wherever they are started: in any terminal, in VS Code's own, by a key; and their end.

import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

import { environment } from "./environment";
import { test as base, expect } from "./fixtures";

const WAITING = `import threading


def test_is_quick():
    assert bytearray(3 * 1024 * 1024)


def test_waits_for_ever():
    threading.Event().wait()
${"\n\n# Far from it.\n".repeat(20)}

def test_is_far_below():
    assert bytearray(2 * 1024 * 1024)
`;

const test = base.extend({
  project: async ({ project }, use) => {
    await writeFile(join(project, "tests", "test_waiting.py"), WAITING);
    await use(project);
  },
});

test("results of a run in any terminal show up by themselves", async ({ editor, tester }) => {
  await tester.open("tests/test_catalog.py", "def test_thumbnails_stay_small");

  await test.step("lenses come though the keyboard leaves the editor while the server starts", async () => {
    // VS Code asks for lenses a quarter of a second after there are some, if the editor has the keyboard until then.
    await expect(async () => {
      await tester.press("Control+1", "Control+0");
      await expect(tester.statusBar.locator(".codicon-pulse")).toBeVisible({ timeout: 1 });
    }).toPass({ intervals: [1], timeout: 60_000 });
    await tester.press("Control+1", "Control+0");
    await tester.seeLenses("test_thumbnails_stay_small", /^Run with memory limits$/);
  });

  await test.step("of one outside the editor", async () => {
    const shown = tester.whenStatusBarSays("1 within limits");
    await promisify(execFile)(
      environment().userPython,
      [
        "-m",
        "pytest",
        "--memray",
        "-q",
        "tests/test_catalog.py::test_streamed_thumbnails_stay_small",
      ],
      { cwd: editor.project },
    );
    const ended = Date.now();
    const took = (await shown) - ended;
    console.log(`results are shown ${took} ms after the end of a run in another terminal`);
    await tester.seeLenses("test_streamed_thumbnails_stay_small", /peak 1\.\d MiB of 24\.0 MiB/);
    await tester.screenshot("after a run outside the editor");
  });

  await test.step("of one in VS Code's terminal", async () => {
    await tester.open("tests/test_catalog.py", "thumbnails = make_thumbnails");
    await tester.runCommand("memlens: Run test at cursor in terminal");
    await expect(tester.terminal).toContainText("1 failed");
    await expect(tester.statusBar).toHaveText(/1 over limit/);
    await tester.seeSquiggle("error", "test_thumbnails_stay_small");
    await tester.seeNoNotifications();
    await tester.screenshot("in VS Code's terminal");
  });
});

test("a test runs by a key, runs again by another, and is cancelled", async ({
  editor,
  tester,
}) => {
  await tester.open("tests/test_waiting.py", "assert bytearray");
  await tester.seeLenses("test_is_quick", /^Run with memory limits/);

  await test.step("by keys", async () => {
    await tester.press("Control+;", "m");
    await tester.seeLenses("test_is_quick", /peak 3\.0 MiB/);
    await tester.seeNoSpinner();
    await tester.press("Control+;", "Shift+M");
    await expect(async () => {
      await expect(await tester.hover("test_is_quick")).toContainText("Last 2 runs", {
        timeout: 2_000,
      });
    }).toPass({ timeout: 60_000 });
    await tester.seeNoSpinner();
    await tester.screenshot("the second run");
  });

  await test.step("by lenses that have just come into view", async () => {
    await tester.open("tests/test_waiting.py", "def test_is_far_below");
    await tester.clickLens("test_is_far_below", "Run with memory limits");
    await tester.seeLenses("test_is_far_below", /peak 2\.0 MiB/);
    await tester.open("tests/test_waiting.py", "def test_is_quick");
    await tester.clickLens("test_is_quick", "Flame graph");
    await expect(tester.panel.getByRole("heading", { name: "test_is_quick" })).toBeVisible();
    await tester.seeNoNotifications();
    await tester.runCommand("View: Close All Editors");
  });

  await test.step("cancelled", async () => {
    await tester.open("tests/test_waiting.py", "threading.Event().wait()");
    await tester.press("Control+;", "m");
    const progress = tester.notification("test_waits_for_ever");
    await expect(progress).toBeVisible();
    await expect(tester.statusBar.locator(".codicon-modifier-spin")).toBeVisible();
    await expect.poll(() => editor.processes("::test_waits_for_ever")).not.toEqual([]);
    await tester.screenshot("a test that waits for ever");
    await tester.pressButton(progress, "Cancel");
    await expect.poll(() => editor.processes("::test_waits_for_ever")).toEqual([]);
    await tester.seeNoSpinner();
    await tester.seeNoNotifications();
    await tester.screenshot("cancelled");
  });
});
