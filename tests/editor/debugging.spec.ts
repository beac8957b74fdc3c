// Debugging a test: with the real debugger, and words that lead to one where there is none.

import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { environment } from "./environment";
import { test as base, expect } from "./fixtures";

const EXTENSION = fileURLToPath(new URL("extensions/python-debugger", import.meta.url));
const VSCE = fileURLToPath(new URL("../../node_modules/@vscode/vsce/vsce", import.meta.url));

base("without a debugger a message says what is missing, and shows it", async ({ tester }) => {
  await tester.open("tests/test_catalog.py", "thumbnails = make_thumbnails");
  await tester.seeLenses("test_thumbnails_stay_small", /^Run with memory limits/);
  await tester.runCommand("memlens: Debug test at cursor");
  const message = tester.notification("needs the Python Debugger extension");
  await expect(tester.button(message, "Show extension")).toBeVisible();
  await tester.screenshot("no debugger");
});

const test = base.extend<{ debuggerPython: string }>({
  debuggerPython: async ({ folder }, use) => {
    const target = join(folder, "debugger");
    const python = join(target, "bin", "python");
    await promisify(execFile)(environment().userPython, ["-m", "venv", target]);
    try {
      await promisify(execFile)(python, ["-m", "pip", "install", "--quiet", "debugpy"]);
    } catch (error) {
      // As other programs that tests need: where nobody looks, what is missing must not pass for well.
      test.skip(!process.env.CI, `debugpy cannot be installed: ${error}`);
      throw error;
    }
    await use(python);
  },
  environment: ({ debuggerPython }, use) => use({ MEMLENS_DEBUGPY_PYTHON: debuggerPython }),
  extensions: async ({ folder }, use) => {
    const vsix = join(folder, "python-debugger.vsix");
    const options = ["--no-dependencies", "--allow-missing-repository", "--skip-license"];
    await promisify(execFile)(process.execPath, [VSCE, "package", ...options, "--out", vsix], {
      cwd: EXTENSION,
    });
    await use([vsix]);
  },
});

test("with a debugger a test stops at a breakpoint, and is not measured", async ({ tester }) => {
  await tester.open("tests/test_catalog.py", "thumbnails = make_thumbnails");
  await tester.seeLenses("test_thumbnails_stay_small", /^Run with memory limits/);
  await tester.press("F9");
  await expect(tester.breakpoint).toBeVisible();
  await tester.runCommand("memlens: Debug test at cursor");
  await tester.seeStoppedAt("thumbnails = make_thumbnails");
  await tester.screenshot("stopped at the breakpoint");
  await tester.press("F5");
  await expect(tester.debugToolbar).toBeHidden();
  await tester.seeLenses("test_thumbnails_stay_small", /^Run with memory limits$/);
  await tester.screenshot("at its end");
});
