// The Memory view: all tests with what they took, in the Testing side bar.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { expect, test } from "./fixtures";

test("all tests are listed, sorted, filtered, opened and run in the Memory view", async ({
  project,
  tester,
}) => {
  await tester.open("tests/test_catalog.py", "def test_thumbnails_stay_small");
  await expect(tester.statusBar).toHaveText(/memlens/);
  await tester.openMemoryView();
  await expect(tester.memoryView).toContainText("No test's memory has been measured yet.");
  await tester.screenshot("before the first run");

  await tester.memoryView.getByRole("button", { name: "Run all tests with memory limits" }).click();
  await expect(tester.statusBar).toHaveText(/2 over limit, 1 leaking/, { timeout: 90_000 });
  await expect(tester.memoryRow("test_catalog.py")).toContainText("1 over limit");
  await expect(tester.memoryRow("test_report_of_a_year")).toContainText(
    /^2\d\.\d MiB.*of 16\.0 MiB/,
  );
  await expect(tester.memoryRow("test_sessions_are_forgotten")).toContainText("leaks");
  await tester.screenshot("after it, the heaviest first");

  // Sorted by peak, files by their heaviest test.
  expect((await tester.memoryLabels()).slice(0, 2)).toEqual([
    "test_catalog.py",
    "test_thumbnails_stay_small",
  ]);
  await tester.chooseInMemoryView("Sort by", "Sort by share of limit");
  await expect.poll(() => tester.memoryLabels()).toContainEqual("test_sessions.py");
  await expect.poll(async () => (await tester.memoryLabels())[0]).toBe("test_orders.py");

  await tester.chooseInMemoryView("Filter", "Show tests over their limit only");
  await expect
    .poll(async () => (await tester.memoryLabels()).sort())
    .toEqual([
      "test_catalog.py",
      "test_orders.py",
      "test_report_of_a_year",
      "test_thumbnails_stay_small",
    ]);
  await tester.screenshot("those over their limit");
  await tester.pressInMemoryView("Show all tests");
  await tester.pressInMemoryView("View as list");
  await expect(tester.memoryRow("test_a_session_knows_its_customer")).toContainText(
    "tests/test_sessions.py",
  );
  expect(await tester.memoryLabels()).not.toContain("test_sessions.py");
  await tester.screenshot("as a list");

  await tester.memoryRow("test_report_of_a_year").click();
  await tester.seeCursorAt("test_orders.py", 11);
  const file = join(project, "tests", "test_orders.py");
  await writeFile(file, (await readFile(file, "utf8")).replaceAll("365", "300"));
  await tester.pressRowButton(tester.memoryRow("test_report_of_a_year"), "Run with memory limits");
  await expect(tester.memoryRow("test_report_of_a_year")).toContainText(/▼ 1\d %/, {
    timeout: 60_000,
  });
  await tester.seeNoNotifications();
  await tester.screenshot("run again from its row");
});
