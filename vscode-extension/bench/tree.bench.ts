// How long the Memory view's tree takes with many tests: `npm run bench --workspace vscode-extension`.

import { bench, describe } from "vitest";

import type { Test } from "../src/protocol";
import { EVERYTHING, treeOf } from "../src/tests/tree";
import { measuredWords } from "../src/tests/words";
import { MIB, measured } from "../test/tests";

/** In 200 files: functions, methods and cases of parametrized tests. */
const TESTS: Test[] = Array.from({ length: 10_000 }, (_, number) => {
  const file = `tests/part_${number % 20}/test_file_${number % 200}.py`;
  const names = ["test_plain_", "TestClass::test_method_", "test_many[case-"];
  const end = number % 3 === 2 ? "]" : "";
  return measured(`${file}::${names[number % 3]}${number}${end}`, {
    line: number % 1000,
    peakBytes: (number * 7919) % (64 * MIB),
    previousPeakBytes: (number * 104_729) % (64 * MIB),
    limitBytes: number % 2 ? 48 * MIB : null,
  });
});
const PROJECTS = [{ uri: "file:///shop", name: "shop", problem: null, tests: TESTS }];

describe("10,000 tests", () => {
  for (const order of ["peak", "growth", "share", "name"] as const) {
    bench(`the tree by ${order}`, () => {
      treeOf(PROJECTS, { ...EVERYTHING, order });
    });
  }
  bench("the list by peak, filtered by name", () => {
    treeOf(PROJECTS, { ...EVERYTHING, flat: true, name: "part_1" });
  });
  bench("a peer: the same tests sorted by peak and written out", () => {
    [...TESTS]
      .sort((one, other) => other.peakBytes - one.peakBytes)
      .map((test) => measuredWords(test, "peak"));
  });
});
