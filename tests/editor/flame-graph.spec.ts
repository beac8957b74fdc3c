// The flame graph panel, as a user sees it: what held a test's memory, and what has changed since.

import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { expect, test } from "./fixtures";

const TEST = "test_thumbnails_stay_small";

test("the stacks of a test's peak are seen, followed to the code and compared", async ({
  tester,
  editor,
}) => {
  await tester.open("tests/test_catalog.py", `def ${TEST}`);
  await tester.clickLens(TEST, "Run with memory limits");
  await tester.seeLenses(TEST, /peak 3[01]\.\d MiB of 24\.0 MiB.*Flame graph/);
  await tester.clickLens(TEST, "Flame graph");
  const panel = tester.panel;
  await expect(panel.getByRole("heading", { name: TEST })).toBeVisible();
  await expect(tester.flameFrame("decode_picture")).toBeVisible();
  await panel.getByPlaceholder("Find a function or file").fill("decode");
  await expect(panel.getByText(/^1 frame: 30\.0 MiB/)).toBeVisible();
  await tester.screenshot("what held the memory");
  await panel.getByPlaceholder("Find a function or file").fill("");

  // A click shows the line, and the keyboard stays with the graph …
  const code = await readFile(join(editor.project, "shop", "catalog.py"), "utf8");
  const allocating = "return bytearray([number % 256])";
  const line = code.split("\n").findIndex((text) => text.includes(allocating)) + 1;
  await tester.flameFrame("decode_picture").click();
  await tester.seeBeside("catalog.py", allocating);
  await expect(panel.locator(".flame-chosen")).toContainText(`shop/catalog.py:${line}`);
  await expect(panel.getByRole("button", { name: "Reset zoom" })).toBeEnabled();
  await tester.screenshot("the line of a frame");
  // … until one goes there.
  await panel.getByRole("button", { name: `shop/catalog.py:${line}` }).click();
  await tester.seeCursorAt("catalog.py", line);

  await panel.getByRole("button", { name: "Reset zoom" }).click();

  // The same test, with more to hold: the panel follows by itself.
  const file = join(editor.project, "tests", "test_catalog.py");
  const text = await readFile(file, "utf8");
  await writeFile(
    file,
    text.replace(
      "    thumbnails = make_thumbnails(range(30))\n    assert len(thumbnails) == 30",
      "    pictures = [decode_picture(number) for number in range(18)]\n    assert pictures and make_thumbnails(range(24))",
    ),
  );
  await panel.getByRole("button", { name: "Run with memory limits" }).click();
  await expect(tester.run(1)).toHaveAccessibleName(
    /failed · peak 4\d\.\d MiB, over its limit of 24\.0 MiB/,
  );
  await expect(tester.run(1)).toHaveAttribute("aria-selected", "true");
  await panel.getByLabel("Compare with").selectOption({ index: 1 });
  await expect(panel.getByText(/, before 30\.\d MiB: \+1\d\.\d MiB\./)).toBeVisible();
  await expect(tester.flameFrame(/make_thumbnails {2}−\d\.\d MiB/)).toBeVisible();
  await expect(tester.flameFrame(/<listcomp> {2}new, \+18\.0 MiB/)).toBeVisible();
  await tester.chooseTheme("Dark Modern");
  await tester.screenshot("compared with the run before, dark");
  await tester.chooseTheme("Light Modern");
  await tester.screenshot("compared with the run before, light");
  await tester.chooseTheme("Dark High Contrast");
  await tester.screenshot("compared with the run before, high contrast");
  await tester.chooseTheme("Light High Contrast");
  await tester.screenshot("compared with the run before, light high contrast");

  await tester.run(0).click();
  await expect(panel.getByRole("button", { name: "Show the newest run" })).toBeVisible();
  await expect(panel.locator(".about-run")).toContainText(/peak 30\.\d MiB/);
  await tester.screenshot("an earlier run, light high contrast");
  await tester.chooseTheme("Light Modern");
  await tester.screenshot("an earlier run, light");

  await tester.reloadWindow();
  await expect(panel.getByRole("heading", { name: TEST })).toBeVisible({ timeout: 60_000 });
  // In a browser VS Code may lose what was chosen just before the page was left; not the test.
  await expect(panel.locator(".about-run")).toContainText(/peak (30|42)\.\d MiB/);
  await tester.seeNoNotifications();
  await tester.screenshot("after the window was loaded again");
});

test("what a library and a heavy set-up held is seen and followed to its line", async ({
  tester,
  editor,
}) => {
  const name = "test_stock_is_counted";
  const made = "return bytearray(8 << 20)";
  await writeFile(
    join(editor.project, "tests", "test_stock.py"),
    `import json\n\nimport pytest\n\n\n@pytest.fixture\ndef stock():\n    ${made}\n\n\ndef ${name}(stock):\n    assert len(stock) > len(json.loads('"' + "x" * (2 << 20) + '"'))\n`,
  );
  await tester.open("tests/test_stock.py", `def ${name}`);
  await tester.clickLens(name, "Run with memory limits");
  await tester.seeLenses(name, /peak \d\.\d MiB.*Flame graph/);
  await tester.clickLens(name, "Flame graph");
  const { panel } = tester;
  await expect(tester.flameFrame(name)).toBeVisible();
  // A library's line opens as one's own does.
  await tester.flameFrame("raw_decode").click();
  await tester.seeBeside("decoder.py", "self.scan_once(s, idx)");
  await tester.screenshot("the line of a library");
  await panel.getByRole("button", { name: "Reset zoom" }).click();
  const kinds = panel.getByRole("group", { name: "Stacks shown" });
  await expect(kinds.getByRole("button")).toHaveText(["Peak of the test", "Set-up"]);
  await kinds.getByRole("button", { name: "Set-up" }).click();
  await expect(
    panel.getByRole("application", { name: /^8\.0 MiB held at the peak of set-up, / }),
  ).toBeVisible();
  await expect(tester.flameFrame(name)).toHaveCount(0);
  await tester.flameFrame("stock").click();
  await tester.seeBeside("test_stock.py", made);
  await tester.chooseTheme("Dark Modern");
  await tester.screenshot("what set-up held, dark");
  await tester.chooseTheme("Light Modern");
  await tester.screenshot("what set-up held, light");
  await tester.seeNoNotifications();
});

test("a leak is seen by way of the palette, and deleted results can be measured again", async ({
  tester,
  editor,
}) => {
  const name = "test_sessions_are_forgotten";
  await tester.open("tests/test_sessions.py", `def ${name}`);
  await tester.clickLens(name, "Run with memory limits");
  await tester.seeLenses(name, /Flame graph/);
  await tester.runCommand("memlens: Show history of a test");
  await tester.pick(name);
  const { panel } = tester;
  await expect(panel.getByRole("listbox")).toBeFocused();
  await panel.getByRole("button", { name: "Leaked" }).click();
  await expect(tester.flameFrame("open_session")).toBeVisible();
  await tester.screenshot("what leaked");

  await rm(join(editor.project, ".memlens"), { recursive: true });
  await expect(panel.getByText("The results of this test are gone")).toBeVisible();
  await tester.screenshot("results that are gone");
  await panel.getByRole("button", { name: "Run with memory limits" }).click();
  await expect(tester.flameFrame("open_session")).toBeVisible();
  await tester.seeNoNotifications();
});
