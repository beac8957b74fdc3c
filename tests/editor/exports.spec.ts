// What memlens writes for other tools, opened in one: VS Code shows heap profiles by itself.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { environment } from "./environment";
import { expect, test } from "./fixtures";

const NAME = "test_a_thumbnail_has_128_rows_of_128_pixels";
const TEST = `tests/test_catalog.py::${NAME}`;

test("VS Code shows a test's heap profile, and leads to the line that allocated", async ({
  editor,
  tester,
}) => {
  const python = async (...command: string[]) =>
    promisify(execFile)(environment().userPython, ["-m", ...command], { cwd: editor.project });
  await python("pytest", "--memray", "-q", TEST);
  const profile = "thumbnail.heapprofile";
  await python("memlens", "export", "--format", "heapprofile", TEST, "-o", profile);

  await tester.openTable(profile);
  await tester.expandTableRow(NAME);
  const row = tester.tableRow("decode_picture");
  await expect(row).toContainText(/1,0\d\dkB/);
  await expect(row).toContainText("catalog.py:12");
  await tester.screenshot("the heap profile in VS Code's viewer");
  await tester.followTableRow(row, "catalog.py", 12);
  await expect(tester.lens("kB Self Size")).toBeVisible();
  await tester.seeNoNotifications();
  await tester.screenshot("the line that allocated");
});
