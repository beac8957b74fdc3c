// The Memory view: all tests with what they took, in the Testing side bar.

import { expect, test } from "./fixtures";

test("all tests are listed, sorted, filtered, opened and run in the Memory view", async ({
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
  await expect(tester.memoryRow("test_report_of_a_year")).toContainText(/2\d\.\d MiB of 16\.0 MiB/);
  await expect(tester.memoryRow("test_sessions_are_forgotten")).toContainText("leaks");
  await tester.screenshot("after it, the heaviest first");
});
