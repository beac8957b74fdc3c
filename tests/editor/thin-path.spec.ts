// The whole path as a user walks it: from a test's lens, through pytest, to marked lines.

import { expect, test } from "./fixtures";

test("a test over its limit is marked after a click on its lens", async ({ tester }) => {
  await tester.open("tests/test_catalog.py", "def test_thumbnails_stay_small");
  for (const name of [
    "test_a_thumbnail_has_128_rows_of_128_pixels",
    "test_thumbnails_stay_small",
    "test_streamed_thumbnails_stay_small",
    "test_thumbnails_of_a_page",
  ]) {
    await tester.seeLenses(name, /^Run with memory limits/);
  }
  await tester.screenshot("a lens over each test");

  await tester.clickLens("test_thumbnails_stay_small", "Run with memory limits");
  await tester.seeSquiggle("error", "test_thumbnails_stay_small");
  await tester.seeLenses("test_thumbnails_stay_small", /peak 3[01]\.\d MiB of 24\.0 MiB/);
  await tester.screenshot("the test is marked and its lens shows the peak");

  await tester.openProblems();
  await tester.expandProblem("memory-limit-exceeded");
  await expect(tester.problem(/catalog\.py.*decode_picture/)).toBeVisible();
  await tester.seeNoNotifications();
  await tester.screenshot("the stack in the Problems panel");
});

test("a leak is marked on the test and on the line that allocates", async ({ tester }) => {
  await tester.open("tests/test_sessions.py", "def test_sessions_are_forgotten");
  await tester.clickLens("test_sessions_are_forgotten", "Run with memory limits");
  await tester.seeSquiggle("error", "test_sessions_are_forgotten");
  await tester.seeLenses("test_sessions_are_forgotten", /MiB/);
  await tester.screenshot("the leaking test is marked");

  await tester.openProblems();
  await tester.expandProblem("memory-leak");
  await expect(tester.problem(/sessions\.py.*open_session/)).toBeVisible();
  await tester.seeNoNotifications();
  await tester.screenshot("the leaking stack in the Problems panel");

  await tester.open("shop/sessions.py", "page_cache=bytearray");
  await tester.seeSquiggle("warning", "page_cache=bytearray(512 * 1024)");
  await expect(tester.problem("leak-site")).toBeVisible();
  await tester.screenshot("the allocating line is marked");
});
