// A workspace of two folders: a project in each, with settings of its own.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { writeJson } from "./editor";
import { test as base, copyExample, expect } from "./fixtures";

const ARCHIVE = `def test_the_archive_is_read():
    assert bytearray(5 * 1024 * 1024)


def test_the_archive_is_written():
    assert bytearray(6 * 1024 * 1024)
`;

const test = base.extend<{ archive: string }>({
  project: async ({ folder }, use) => {
    const project = join(folder, "shop");
    await copyExample(project);
    await writeJson(join(project, ".vscode", "settings.json"), {
      "memlens.pytestArgs": ["-k", "small"],
    });
    await use(project);
  },
  archive: async ({ folder }, use) => {
    const archive = join(folder, "archive");
    await mkdir(archive);
    await writeFile(join(archive, "pytest.ini"), "[pytest]\n");
    await writeFile(join(archive, "test_archive.py"), ARCHIVE);
    await writeJson(join(archive, ".vscode", "settings.json"), {
      "memlens.codeLens.enabled": false,
    });
    await use(archive);
  },
  workspace: async ({ folder, project, archive }, use) => {
    const workspace = join(folder, "both.code-workspace");
    await writeJson(workspace, { folders: [{ path: project }, { path: archive }] });
    await use(workspace);
  },
});

test("the projects of two folders are shown together, and each has its own settings", async ({
  archive,
  tester,
}) => {
  await tester.open("tests/test_catalog.py", "def test_thumbnails_stay_small");
  await tester.seeLenses("test_thumbnails_stay_small", /^Run with memory limits/);
  await tester.runCommand("memlens: Run all tests with memory limits");
  await tester.seeSquiggle("error", "test_thumbnails_stay_small");
  await tester.openMemoryView();
  await expect(tester.memoryRow("test_the_archive_is_read")).toContainText("5.0 MiB");
  await tester.seeNoSpinner();
  // Of the shop only what its own -k chooses, of the archive all.
  await expect(tester.statusBar).toHaveText(/1 over limit/);
  await expect
    .poll(() => tester.memoryLabels())
    .toEqual([
      "shop",
      "test_catalog.py",
      "test_thumbnails_stay_small",
      "test_streamed_thumbnails_stay_small",
      "archive",
      "test_archive.py",
      "test_the_archive_is_written",
      "test_the_archive_is_read",
    ]);
  await tester.screenshot("both projects");

  await tester.open("test_archive.py", "def test_the_archive_is_read", archive);
  await expect(await tester.hover("test_the_archive_is_read")).toContainText("5.0 MiB");
  await expect(tester.lens("Run with memory limits")).toHaveCount(0);
  await tester.screenshot("a folder without lenses");
});

test.describe("when the interpreter of the first folder is broken", () => {
  test.use({
    project: async ({ project }, use) => {
      await writeJson(join(project, ".vscode", "settings.json"), {
        "memlens.interpreter": join(project, "python-that-is-gone"),
      });
      await use(project);
    },
  });

  test("that is said, and the other folder's tests run all the same", async ({
    archive,
    tester,
  }) => {
    await tester.open("test_archive.py", "def test_the_archive_is_read", archive);
    const message = tester.notification("python-that-is-gone");
    await expect(message).toContainText("memlens cannot use the Python interpreter");
    await expect(tester.button(message, "Select interpreter setting")).toBeVisible();
    await tester.seeNoSpinner();
    await tester.runCommand("memlens: Run tests in this file with memory limits");
    await tester.openMemoryView();
    await expect(tester.memoryRow("test_the_archive_is_read")).toContainText("5.0 MiB");
    await tester.screenshot("one interpreter is broken");
  });
});
