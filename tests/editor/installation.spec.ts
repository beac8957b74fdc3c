// A Python without pytest-memlens: memlens offers to install it, and takes no for an answer.

import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { environment } from "./environment";
import { expect, test } from "./fixtures";

const TEST = "test_a_thumbnail_has_128_rows_of_128_pixels";
const WHEELS = fileURLToPath(new URL("../../build/wheel", import.meta.url));

test.describe("with an environment that has pip", () => {
  test.use({
    interpreter: ({ folder }, use) => makeEnvironment(folder).then(use),
    // Where pip also looks; the rest comes from where it always looks.
    environment: { PIP_FIND_LINKS: `${process.env.PIP_FIND_LINKS ?? ""} ${WHEELS}`.trim() },
  });

  test("what is missing is installed in a terminal, and the test runs", async ({ tester }) => {
    test.slow();
    await tester.open("tests/test_catalog.py", `def ${TEST}`);
    await tester.clickLens(TEST, "Run with memory limits");
    const offer = tester.notification("pytest-memlens, which is not installed");
    await expect(offer).toBeVisible({ timeout: 60_000 });
    await tester.screenshot("the offer");
    await tester.pressButton(offer, "Install and run");
    await expect(tester.terminal).toContainText("pip install pytest-memlens");
    await tester.screenshot("it is being installed");
    await expect(tester.terminal).toContainText(/Successfully installed/, { timeout: 180_000 });
    await tester.seeLenses(TEST, /peak 1\.\d MiB/);
    await tester.seeNoNotifications();
    await tester.screenshot("the test has run");
  });
});

test.describe("with an environment that the user wants left alone", () => {
  test.use({
    interpreter: ({ folder }, use) => makeEnvironment(folder, "--without-pip").then(use),
  });

  test("no is remembered: from then on a message says what is missing", async ({ tester }) => {
    await tester.open("tests/test_catalog.py", `def ${TEST}`);
    await tester.clickLens(TEST, "Run with memory limits");
    const offer = tester.notification("pytest-memlens, which is not installed");
    await tester.pressButton(offer, "Not now");
    await expect(offer).toBeHidden();
    await tester.seeNoSpinner();

    await tester.clickLens(TEST, "Run with memory limits");
    await tester.seeNoSpinner();
    const message = await tester.listedNotification("not installed");
    await expect(message).toContainText("pytest");
    await expect(tester.button(message, "Show log")).toBeVisible();
    await expect(tester.button(message, "Install and run")).toHaveCount(0);
    await expect(await tester.listedNotification("")).toHaveCount(1);
    await tester.screenshot("the second time");
  });
});

/** Makes a virtual environment without any package but perhaps pip. */
async function makeEnvironment(folder: string, ...options: string[]): Promise<string> {
  const target = join(folder, "environment");
  // By the very Python that the other environment was made of.
  await promisify(execFile)(environment().userPython, ["-m", "venv", ...options, target]);
  return join(target, "bin", "python");
}
