// Takes the pictures of the README, the extension's page and its walkthrough: `make screenshots`.
// Steps that a user takes, so that a picture that cannot be taken any more is a failure.

import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { environment } from "./environment";
import { expect, test } from "./fixtures";
import type { Tester } from "./tester";

const DOCS = fileURLToPath(new URL("../../docs/images/", import.meta.url));
const SCREENS = fileURLToPath(new URL("../../vscode-extension/images/screens/", import.meta.url));

/** How many pictures the thumbnails were made of, and days the report was of, in earlier runs. */
const EARLIER = [
  { pictures: 18, days: 150 },
  { pictures: 20, days: 180 },
  { pictures: 22, days: 220 },
  { pictures: 21, days: 235 },
];

async function measureEarlierRuns(project: string): Promise<void> {
  const files = ["tests/test_catalog.py", "tests/test_orders.py"].map((path) =>
    join(project, path),
  );
  const now = await Promise.all(files.map((file) => readFile(file, "utf8")));
  for (const { pictures, days } of EARLIER) {
    for (const [index, file] of files.entries()) {
      const text = (now[index] ?? "")
        .replaceAll("make_thumbnails(range(30))", `make_thumbnails(range(${pictures}))`)
        .replaceAll("len(thumbnails) == 30", `len(thumbnails) == ${pictures}`)
        .replaceAll("365", String(days));
      await writeFile(file, text);
    }
    // Tests fail on purpose.
    await promisify(execFile)(environment().userPython, ["-m", "pytest", "--memray", "-q"], {
      cwd: project,
    }).catch(() => undefined);
  }
  await Promise.all(files.map((file, index) => writeFile(file, now[index] ?? "")));
}

async function runAll(tester: Tester): Promise<void> {
  await tester.open("tests/test_catalog.py", "def test_thumbnails_stay_small");
  await tester.openMemoryView();
  await tester.widenSideBar(120);
  await expect(tester.memoryRow("test_thumbnails_stay_small")).toBeVisible();
  await tester.pressInMemoryView("Run all tests with memory limits");
  await expect(tester.statusBar).toHaveText(/2 over limit, 1 leaking/, { timeout: 90_000 });
  await tester.seeSquiggle("error", "test_thumbnails_stay_small");
  await tester.seeNoNotifications();
}

test("the pictures", async ({ editor, tester }) => {
  test.setTimeout(400_000);
  await measureEarlierRuns(editor.project);
  await runAll(tester);
  await tester.openProblems();
  await tester.expandProblem("memory-limit-exceeded");
  await tester.picture(join(DOCS, "editor.png"));
  await tester.closePanel();
  await tester.pictureOfEditors(join(SCREENS, "run.png"));

  await tester.clickText("def test_thumbnails_stay_small");
  await tester.openQuickFix(/limit/);
  await tester.pictureOfEditors(join(SCREENS, "limit.png"));
  await tester.press("Escape");

  await tester.widenSideBar(-400);
  await tester.open("tests/test_orders.py", "def test_report_of_a_year");
  await tester.clickLens("test_report_of_a_year", "Flame graph");
  await tester.flameFrame("orders_of").click();
  await tester.seeBeside("orders.py", "def orders_of");
  await tester.panel.getByRole("button", { name: "Reset zoom" }).click();
  await tester.picture(join(DOCS, "flame-graph.png"));
  await tester.pictureOfEditors(join(SCREENS, "follow.png"), 1);

  await tester.openSettings("memlens.interpreter");
  await tester.seeSetting("memlens.interpreter");
  await tester.pictureOfSetting("memlens.interpreter", join(SCREENS, "interpreter.png"));
});
