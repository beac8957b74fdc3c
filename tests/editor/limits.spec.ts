// A test over its limit: found, understood, and given the limit that it needs.

import { expect, test } from "./fixtures";

const TEST = "test_thumbnails_stay_small";
const HOTSPOT = "return bytearray([number % 256])";

test("a test over its limit leads to the line behind it, and gets a limit that it keeps", async ({
  tester,
}) => {
  await tester.open("tests/test_catalog.py", `def ${TEST}`);
  await tester.clickLens(TEST, "Run with memory limits");
  const progress = tester.notification(TEST);
  await expect(progress).toBeVisible();
  await expect(tester.button(progress, "Cancel")).toBeVisible();
  await tester.screenshot("while it runs");
  await tester.seeSquiggle("error", TEST);
  await expect(tester.statusBar).toHaveText(/1 over limit/);
  await tester.seeNoNotifications();

  await test.step("the Problems panel has the stack, and a frame opens its line", async () => {
    await tester.openProblems();
    await tester.expandProblem("memory-limit-exceeded");
    await tester.screenshot("the stack in the Problems panel");
    await tester.problem(/catalog\.py.*decode_picture/).click();
    await tester.seeCursorAt("catalog.py", 12);
    await tester.seeSquiggle("info", HOTSPOT);
    await expect(tester.problem("memory-hotspot")).toContainText("Ln 12");
    await tester.screenshot("the line behind it");
  });

  await test.step("the mark moves with its line", async () => {
    await tester.clickText("from collections.abc");
    await tester.press("Home", "Enter", "Enter", "Enter");
    await tester.seeSquiggle("info", HOTSPOT);
    await expect(tester.problem("memory-hotspot")).toContainText("Ln 15");
    await tester.screenshot("three lines further down");
    await tester.press("Control+z", "Control+z", "Control+z");
    await expect(tester.problem("memory-hotspot")).toContainText("Ln 12");
  });

  await test.step("a hover tells what was measured", async () => {
    await tester.open("tests/test_catalog.py", `def ${TEST}`);
    const hover = await tester.hover(TEST);
    await expect(hover.getByRole("table")).toContainText(/call\s*3[01]\.\d MiB\s*24\.0 MiB/);
    await expect(hover).toContainText("At the peak:");
    await tester.screenshot("the hover on the test");
  });

  await test.step("a quick fix sets the limit, and the next run keeps it", async () => {
    await tester.clickText(`def ${TEST}`);
    const fix = await tester.openQuickFix(/limit/);
    await tester.screenshot("the quick fix");
    await fix.click();
    await expect(tester.editorLine('limit_memory("3')).toBeVisible();
    await tester.clickLens(TEST, "Run with memory limits");
    await tester.seeLenses(TEST, /peak 3[01]\.\d MiB of 3\d\.\d MiB/);
    await tester.seeNoSquiggle("error", TEST);
    await expect(tester.statusBar).toHaveText(/1 within limits/);
    await tester.seeNoNotifications();
    await tester.screenshot("within its limit");
  });

  await test.step("a parametrized test has one lens for all of its cases", async () => {
    await tester.open("tests/test_catalog.py", "def test_thumbnails_of_a_page");
    await tester.clickLens("test_thumbnails_of_a_page", "Run with memory limits");
    await tester.seeLenses("test_thumbnails_of_a_page", /3 cases, heaviest 1\d\.\d MiB \[16\]/);
    await tester.screenshot("three cases");
  });
});
