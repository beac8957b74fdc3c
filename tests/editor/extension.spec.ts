// What the extension adds to the server: commands, and words when it cannot start.

import { fileURLToPath } from "node:url";

import { expect, test } from "./fixtures";

test("every test of a file runs by the palette's command", async ({ tester }) => {
  await tester.open("tests/test_sessions.py", "def test_sessions_are_forgotten");
  await tester.seeLenses("test_sessions_are_forgotten", /^Run with memory limits/);
  await tester.runCommand("memlens: Run tests in this file with memory limits");
  await tester.seeLenses("test_sessions_are_forgotten", /MiB/);
  await tester.seeLenses("test_a_session_knows_its_customer", /peak/);
  await tester.screenshot("both tests were run");

  await tester.runCommand("memlens: Restart server");
  await tester.seeSquiggle("error", "test_sessions_are_forgotten");
});

test.describe("with an interpreter that is not there", () => {
  test.use({ interpreter: "/nowhere/bin/python" });

  test("the message names it, says why, and leads to the setting", async ({ tester }) => {
    await tester.open("tests/test_sessions.py");
    const message = tester.notification("/nowhere/bin/python");
    await expect(message).toContainText("there is no such program");
    await expect(message).toContainText("memlens.interpreter");
    await tester.screenshot("the message");
    await tester.pressButton(message, "Select interpreter setting");
    await tester.seeSetting("memlens.interpreter");
    await tester.screenshot("the setting");
  });
});

test.describe("with an interpreter on which the server fails", () => {
  test.use({ interpreter: fileURLToPath(new URL("programs/failing-python", import.meta.url)) });

  test("one message says so, and leads to the log", async ({ tester }) => {
    await tester.open("tests/test_sessions.py");
    const message = tester.notification("the language server did not start");
    await expect(message).toContainText("programs/failing-python");
    await expect(tester.notification("")).toHaveCount(1);
    await tester.screenshot("the message");
    await tester.pressButton(message, "Show log");
    await tester.seeOutput("no module named sqlite3");
    await tester.screenshot("the log");
  });
});
