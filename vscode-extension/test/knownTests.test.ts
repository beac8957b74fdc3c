import { expect, test } from "vitest";

import type { Page, ProjectTests, Test } from "../src/protocol";
import { KnownTests, type TestsRequest } from "../src/tests/knownTests";
import { measured } from "./tests";

function project(given: Partial<ProjectTests> & { tests?: readonly Test[] }): ProjectTests {
  return { uri: "file:///shop", name: "shop", replaces: false, tests: [], problem: null, ...given };
}

/** Answers with one page after the other, and notes what was asked. */
function answers(...pages: Partial<Page>[]) {
  const asked: TestsRequest[] = [];
  const ask = async (request: TestsRequest): Promise<Page> => {
    asked.push(request);
    const page = pages.shift();
    if (page === undefined) {
      throw new Error("asked once too often");
    }
    return { projects: [], state: "s", next: null, ...page };
  };
  return { ask, asked };
}

const a = measured("test_a.py::test_a");
const b = measured("test_a.py::test_b");

test("all pages are asked for, and then only what is new", async () => {
  const known = new KnownTests();
  const { ask, asked } = answers(
    { projects: [project({ replaces: true, tests: [a] })], next: "n" },
    { projects: [project({ tests: [b] })], state: "s1" },
    { projects: [project({ tests: [{ ...a, peakBytes: 7 }] })], state: "s2" },
    { projects: [project({})] },
  );
  await known.update(ask);
  expect(known.tests).toEqual([a, b]);
  await known.update(ask);
  expect(known.tests).toEqual([{ ...a, peakBytes: 7 }, b]);
  await known.update(ask);
  expect(asked).toEqual([
    { limit: 5000 },
    { limit: 5000, next: "n" },
    { limit: 5000, since: "s1" },
    { limit: 5000, since: "s2" },
  ]);
});

test("results that replace what was known leave nothing of it", async () => {
  const known = new KnownTests();
  const { ask } = answers(
    { projects: [project({ replaces: true, tests: [a, b] })] },
    { projects: [project({ replaces: true, tests: [b] })] },
  );
  await known.update(ask);
  await known.update(ask);
  expect(known.tests).toEqual([b]);
});

test("a project without results is forgotten, one that cannot be read says why", async () => {
  const known = new KnownTests();
  const { ask } = answers(
    { projects: [project({ tests: [a] }), project({ uri: "file:///other", tests: [b] })] },
    { projects: [project({ problem: "it is locked" })] },
  );
  await known.update(ask);
  await known.update(ask);
  expect(known.projects).toEqual([
    { uri: "file:///shop", name: "shop", problem: "it is locked", tests: [a] },
  ]);
});

test("after a failure all is asked for again", async () => {
  const known = new KnownTests();
  const { ask, asked } = answers({ projects: [project({ tests: [a] })] });
  await known.update(ask);
  await expect(known.update(ask)).rejects.toThrow("once too often");
  known.clear();
  expect(known.tests).toEqual([]);
  await expect(known.update(ask)).rejects.toThrow();
  expect(asked.at(-1)).toEqual({ limit: 5000 });
});
