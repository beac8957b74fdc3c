import { expect, test } from "vitest";

import { requestsFor } from "../src/running/selected";

const file = (uri: string) => ({ uri, isFolder: false });
const folder = (uri: string) => ({ uri, isFolder: true });

test("one file is run by itself", () => {
  expect(requestsFor([file("file:///shop/tests/test_a.py")])).toEqual([
    { uri: "file:///shop/tests/test_a.py" },
  ]);
});

test("files of one folder are one run", () => {
  expect(
    requestsFor([
      file("file:///shop/tests/test_a.py"),
      file("file:///shop/other/test_c.py"),
      file("file:///shop/tests/test%20b.py"),
    ]),
  ).toEqual([
    { uri: "file:///shop/tests", tests: ["test_a.py", "test b.py"] },
    { uri: "file:///shop/other/test_c.py" },
  ]);
});

test("what is in a selected folder is not run twice", () => {
  expect(
    requestsFor([
      file("file:///shop/tests/test_a.py"),
      folder("file:///shop/tests/unit"),
      folder("file:///shop/tests"),
      folder("file:///shop/tests-old"),
    ]),
  ).toEqual([{ uri: "file:///shop/tests" }, { uri: "file:///shop/tests-old" }]);
});

test("files that are not Python are left out", () => {
  expect(requestsFor([file("file:///shop/README.md")])).toEqual([]);
});
