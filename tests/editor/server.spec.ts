// The language server behind it all: it is small, starts quickly, and comes back when it dies.

import { stat, symlink } from "node:fs/promises";
import { join } from "node:path";

import type { Editor } from "./editor";
import { environment } from "./environment";
import { expect, test } from "./fixtures";

const SERVER = "memlens_server.py";
const MOST_CRASHES = 4;

test("the server comes back when it dies, and stops when it dies again and again", async ({
  editor,
  folder,
  tester,
}) => {
  await tester.open("tests/test_sessions.py");
  await tester.seeLenses("test_sessions_are_forgotten", /^Run with memory limits/);

  await test.step("the extension is small and starts quickly", async () => {
    const { size } = await stat(environment().vsix);
    const extension = await tester.openRunningExtension();
    const milliseconds = Number((await extension.textContent())?.match(/(\d+)\s*ms/)?.[1]);
    console.log(`the extension has ${size} bytes, and was activated in ${milliseconds} ms`);
    expect(size).toBeLessThan(3 * 1024 * 1024);
    // By the clock. On a machine that does nothing else it is less than a tenth of that.
    expect(milliseconds).toBeLessThan(1000);
    await tester.screenshot("how long it took to start");
    // Where VS Code does not like what the extension contributes, it warns here.
    await expect(extension.locator(".codicon-warning")).toHaveCount(0);
    await tester.closeModal();
  });

  await test.step("it comes back by itself", async () => {
    for (let crash = 1; crash < MOST_CRASHES; crash += 1) {
      await killServer(editor);
      await expect.poll(() => editor.processes(SERVER), { timeout: 60_000 }).toHaveLength(1);
      await tester.seeNoSpinner();
    }
    await tester.seeNoNotifications();
    await tester.screenshot("it came back");
  });

  await test.step("it stops after the fourth time, and says so", async () => {
    await killServer(editor);
    const message = tester.notification("has ended again and again");
    await expect(message).toBeVisible();
    await expect(tester.notification("")).toHaveCount(1);
    await expect(tester.button(message, "Show log")).toBeVisible();
    await tester.screenshot("it has stopped");
    expect(await editor.processes(SERVER)).toEqual([]);
    await tester.pressButton(message, "Restart server");
    await tester.seeNoSpinner();
    await tester.open("tests/test_sessions.py");
    await tester.clickLens("test_a_session_knows_its_customer", "Run with memory limits");
    await tester.seeLenses("test_a_session_knows_its_customer", /peak/);
    await tester.screenshot("restarted");
  });

  await test.step("it restarts with the interpreter that the settings name now", async () => {
    const other = join(folder, "other-python");
    await symlink(environment().userPython, other);
    await editor.changeInterpreter(other);
    await expect.poll(() => editor.processes(`${other} `), { timeout: 60_000 }).toHaveLength(1);
    await expect.poll(() => editor.processes(SERVER)).toHaveLength(1);
    await tester.seeNoSpinner();
    await tester.seeNoNotifications();
  });
});

/** Kills the one server that runs, and waits until it is gone. */
async function killServer(editor: Editor): Promise<void> {
  const [server, ...others] = await editor.processes(SERVER);
  expect(others).toEqual([]);
  expect(server).toBeDefined();
  process.kill(Number(server), "SIGKILL");
  await expect.poll(() => editor.processes(SERVER)).not.toContain(server);
}
