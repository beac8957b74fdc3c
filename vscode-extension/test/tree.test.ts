import { describe, expect, test } from "vitest";

import type { Test } from "../src/protocol";
import { EVERYTHING, type Node, type Shown, treeOf } from "../src/tests/tree";
import { leaking, MIB, measured, over } from "./tests";

function shop(tests: readonly Test[], shown: Partial<Shown> = {}): Node[] {
  const project = { uri: "file:///shop", name: "shop", problem: null, tests };
  return treeOf([project], { ...EVERYTHING, ...shown });
}

/** The tree as text: a line a node, indented by its level. */
function drawn(nodes: readonly Node[], indent = ""): string[] {
  return nodes.flatMap((node) => [
    `${indent}${node.label}`,
    ...(node.kind === "test" ? [] : drawn(node.children, `${indent}  `)),
  ]);
}

describe("what is below what", () => {
  test("tests are below their files and classes, cases below their test", () => {
    const tree = shop([
      measured("tests/test_a.py::TestCart::test_total[1]", { peakBytes: 3 }),
      measured("tests/test_a.py::TestCart::test_total[2]", { peakBytes: 4 }),
      measured("tests/test_a.py::TestCart::test_empty", { peakBytes: 2 }),
      measured("tests/test_a.py::test_plain", { peakBytes: 1 }),
      measured("tests/test_b.py::test_other", { peakBytes: 9 }),
    ]);
    expect(drawn(tree)).toEqual([
      "test_b.py",
      "  test_other",
      "test_a.py",
      "  TestCart",
      "    test_total",
      "      [2]",
      "      [1]",
      "    test_empty",
      "  test_plain",
    ]);
  });

  test("the only case that was measured stands for its test", () => {
    expect(drawn(shop([measured("test_a.py::test_b[x]")]))).toEqual(["test_a.py", "  test_b[x]"]);
  });

  test("colons and brackets in a parameter make no classes", () => {
    const tree = shop([measured("test_a.py::test_b[a::b]"), measured("test_a.py::test_b[[c]]")]);
    expect(drawn(tree)).toEqual(["test_a.py", "  test_b", "    [[c]]", "    [a::b]"]);
  });

  test("a class and a test of the same name are both there", () => {
    const tree = shop([measured("test_a.py::x::test_b"), measured("test_a.py::x")]);
    expect(drawn(tree)).toEqual(["test_a.py", "  x", "    test_b", "  x"]);
  });

  test("projects are a level where there are several with tests", () => {
    const project = (name: string, tests: readonly Test[]) => ({
      uri: `file:///${name}`,
      name,
      problem: null,
      tests,
    });
    const tree = treeOf(
      [
        project("light", [measured("test_a.py::test_a")]),
        project("heavy", [over("test_a.py::test_a")]),
        project("empty", []),
      ],
      EVERYTHING,
    );
    expect(drawn(tree)).toEqual([
      "heavy",
      "  test_a.py",
      "    test_a",
      "light",
      "  test_a.py",
      "    test_a",
    ]);
  });

  test("no two nodes have the same id, whatever they are called", () => {
    const tree = shop([
      measured("test_a.py::x::test_b"),
      measured("test_a.py::x"),
      measured("test_a.py::test_c[1]"),
      measured("test_a.py::test_c[2]"),
      measured("test_a.py::test_c"),
    ]);
    const ids = (nodes: readonly Node[]): string[] =>
      nodes.flatMap((node) => [node.id, ...(node.kind === "test" ? [] : ids(node.children))]);
    expect(new Set(ids(tree)).size).toBe(ids(tree).length);
  });

  test("what runs a class or a parametrized test is its id in the file", () => {
    const [file] = shop([
      measured("test_a.py::TestA::test_b[1]"),
      measured("test_a.py::TestA::test_b[2]"),
    ]);
    const inFile = (node: Node | undefined): string[] =>
      node === undefined || node.kind === "test" ? [] : [node.inFile, ...inFile(node.children[0])];
    expect(inFile(file)).toEqual(["", "TestA", "TestA::test_b"]);
  });
});

describe("the order", () => {
  const tests = [
    over("test_a.py::test_most", { line: 30, peakBytes: 40 * MIB, previousPeakBytes: 40 * MIB }),
    over("test_a.py::test_grown", { line: 20, previousPeakBytes: 20 * MIB }),
    measured("test_a.py::test_near", { line: 10, peakBytes: 8, limitBytes: 1 }),
    measured("test_a.py::test_new", { line: 5 }),
  ];
  test.each([
    ["peak", ["test_most", "test_grown", "test_new", "test_near"]],
    ["growth", ["test_grown", "test_most", "test_new", "test_near"]],
    ["share", ["test_near", "test_most", "test_grown", "test_new"]],
    ["name", ["test_new", "test_near", "test_grown", "test_most"]],
  ] as const)("by %s", (order, expected) => {
    expect(drawn(shop(tests, { order, flat: true }))).toEqual(expected);
  });

  test("numbers in names count as numbers", () => {
    const cases = ["10", "9", "1"].map((n) => measured(`test_a.py::test_b[${n}]`));
    expect(drawn(shop(cases, { order: "name" }))).toEqual([
      "test_a.py",
      "  test_b",
      "    [1]",
      "    [9]",
      "    [10]",
    ]);
  });
});

describe("the filter", () => {
  const tests = [
    over("tests/test_a.py::test_over"),
    leaking("tests/test_a.py::test_leaks"),
    measured("tests/test_b.py::test_good"),
  ];
  test.each([
    [{ only: "over" }, ["test_over"]],
    [{ only: "leaking" }, ["test_leaks"]],
    [{ name: "GOOD" }, ["test_good"]],
    [{ name: "test_a.py" }, ["test_over", "test_leaks"]],
    [{ name: "test_a", only: "leaking" }, ["test_leaks"]],
    [{ name: "nothing" }, []],
  ] as const)("%j", (shown, expected) => {
    expect(drawn(shop(tests, { ...shown, flat: true }))).toEqual(expected);
  });

  test("files without a test that is shown are not shown", () => {
    expect(drawn(shop(tests, { only: "over" }))).toEqual(["test_a.py", "  test_over"]);
  });
});
