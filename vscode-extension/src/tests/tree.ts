// The tree of the Memory view: what is in it and in which order. Pure; showing it is elsewhere.

import type { Test } from "../protocol";
import type { KnownProject } from "./knownTests";
import { growth, isLeaking, isOver, type Order, shareOfLimit } from "./words";

export type Only = "all" | "over" | "leaking";

/** What the user wants to see. */
export interface Shown {
  readonly order: Order;
  readonly only: Only;
  /** A part of a test's name or path, in any case; empty for all. */
  readonly name: string;
  /** Tests only, instead of files with their classes and tests. */
  readonly flat: boolean;
}

export const EVERYTHING: Shown = { order: "peak", only: "all", name: "", flat: false };

interface Common {
  /** Stays the same as long as it is about the same. */
  readonly id: string;
  readonly label: string;
  /** All tests below it, or itself. */
  readonly tests: readonly Test[];
  /** Of the file, or of the project's folder. */
  readonly uri: string;
}

/** A project, a file, a class, or the cases of a parametrized test. */
export interface Group extends Common {
  readonly kind: "project" | "file" | "class" | "cases";
  /** Its id in the file: that of the class or of the test without parameters; "" for others. */
  readonly inFile: string;
  readonly children: readonly Node[];
}

export interface Leaf extends Common {
  readonly kind: "test";
  readonly test: Test;
}

export type Node = Group | Leaf;

/** Returns what is shown of all tests. One project alone is no level of its own. */
export function treeOf(projects: readonly KnownProject[], shown: Shown): Node[] {
  const nodes = projects
    .map(({ uri, name, tests }) => projectNode(uri, name, tests.filter(matching(shown)), shown))
    .filter(({ tests }) => tests.length > 0);
  const [only] = nodes;
  if (shown.flat) {
    return sorted(
      nodes.flatMap(({ children }) => children),
      shown.order,
    );
  }
  return nodes.length === 1 && only !== undefined ? [...only.children] : sorted(nodes, shown.order);
}

/** Whether some tests are hidden. */
export function isFiltered({ only, name }: Shown): boolean {
  return only !== "all" || name.trim() !== "";
}

function matching({ only, name }: Shown): (test: Test) => boolean {
  const wanted = name.trim().toLowerCase();
  return (test) =>
    (only === "all" || (only === "over" ? isOver(test) : isLeaking(test))) &&
    (wanted === "" || test.id.toLowerCase().includes(wanted));
}

function projectNode(uri: string, name: string, tests: readonly Test[], shown: Shown): Group {
  const children = shown.flat
    ? tests.map((test) => leaf(test, uri, test.test))
    : fileNodes(uri, tests, shown.order);
  return { kind: "project", id: uri, label: name, tests, uri, inFile: "", children };
}

function fileNodes(project: string, tests: readonly Test[], order: Order): Node[] {
  const files = [...grouped(tests, pathOf)].map(([path, inFile]): Group => {
    const uri = inFile[0]?.uri ?? project;
    return {
      kind: "file",
      id: `${project} ${path}`,
      label: path.slice(path.lastIndexOf("/") + 1),
      tests: inFile,
      uri,
      inFile: "",
      children: sorted(nodesIn(inFile, [], project, order), order),
    };
  });
  return sorted(files, order);
}

/** The nodes of *tests*, which are all in the class that *around* names, or in the file. */
function nodesIn(
  tests: readonly Test[],
  around: readonly string[],
  project: string,
  order: Order,
): Node[] {
  const nodes: Node[] = [];
  for (const [name, same] of grouped(tests, (test) => namesOf(test)[around.length] ?? "")) {
    const [first] = same;
    if (first === undefined) {
      continue;
    }
    const inFile = [...around, name].join("::");
    const common = {
      id: `${project} ${pathOf(first)}::${inFile}`,
      label: name,
      tests: same,
      uri: first.uri,
      inFile,
    };
    const isInClass = (test: Test) => namesOf(test).length > around.length + 1;
    const inClass = same.filter(isInClass);
    if (inClass.length > 0) {
      const children = sorted(nodesIn(inClass, [...around, name], project, order), order);
      nodes.push({ ...common, id: `${common.id}::`, tests: inClass, kind: "class", children });
    }
    const cases = same.filter((test) => !isInClass(test));
    if (cases.length === 1 && cases[0] !== undefined) {
      nodes.push(leaf(cases[0], project, cases[0].test.slice(inFile.length - name.length)));
    } else if (cases.length > 1) {
      const children = cases.map((test) => leaf(test, project, test.test.slice(inFile.length)));
      nodes.push({
        ...common,
        id: `${common.id}[]`,
        tests: cases,
        kind: "cases",
        children: sorted(children, order),
      });
    }
  }
  return nodes;
}

function leaf(test: Test, project: string, label: string): Leaf {
  return { kind: "test", id: `${project} ${test.id}`, label, tests: [test], uri: test.uri, test };
}

/** Returns the file of a test as its results name it: its node id without what names it there. */
export function pathOf({ id, test }: Test): string {
  return id.endsWith(`::${test}`) ? id.slice(0, -test.length - 2) : id;
}

/** Returns the names of the classes around a test, and its own without parameters. */
function namesOf({ test }: Test): string[] {
  // A parameter may have colons.
  const bracket = test.indexOf("[");
  return (bracket < 0 ? test : test.slice(0, bracket)).split("::");
}

function grouped(tests: readonly Test[], key: (test: Test) => string): Map<string, Test[]> {
  const groups = new Map<string, Test[]>();
  for (const test of tests) {
    const group = groups.get(key(test));
    if (group === undefined) {
      groups.set(key(test), [test]);
    } else {
      group.push(test);
    }
  }
  return groups;
}

/** Returns *nodes* with what is the most in *order* first; the same as they are in the code. */
function sorted<N extends Node>(nodes: readonly N[], order: Order): N[] {
  const keyed = nodes.map((node) => ({ node, key: keyOf(node, order) }));
  return keyed
    .sort((one, other) => other.key - one.key || compare(one.node, other.node))
    .map(({ node }) => node);
}

function keyOf({ tests }: Node, order: Order): number {
  const value = VALUES[order];
  return tests.reduce((most, test) => Math.max(most, value(test)), Number.NEGATIVE_INFINITY);
}

// A number that no test has: of two infinite ones the difference is none.
const UNKNOWN = -Number.MAX_SAFE_INTEGER;

const VALUES: Readonly<Record<Order, (test: Test) => number>> = {
  peak: ({ peakBytes }) => peakBytes,
  growth: (test) => growth(test) ?? UNKNOWN,
  share: (test) => shareOfLimit(test) ?? UNKNOWN,
  name: () => 0,
};

function compare(one: Node, other: Node): number {
  const [a, b] = [one.tests[0], other.tests[0]];
  const isInFile = (node: Node) => node.kind !== "file" && node.kind !== "project";
  if (a !== undefined && b !== undefined && isInFile(one) && a.uri === b.uri && a.line !== b.line) {
    return a.line - b.line;
  }
  const isFile = one.kind === "file" && a !== undefined && b !== undefined;
  return isFile ? COLLATOR.compare(pathOf(a), pathOf(b)) : COLLATOR.compare(one.label, other.label);
}

// "test_2" before "test_10".
const COLLATOR = new Intl.Collator("en", { numeric: true });
