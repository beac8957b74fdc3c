import { describe, expect, test } from "vitest";

import type { Choice } from "../../web/src/panel/messages";
import { panelPage } from "../../web/src/panel/page";
import type { FlameGraph, History } from "../../web/src/panel/protocol";
import { askGraph, askHistory, failed, possible } from "../src/flameGraph/asking";
import { readKept, readMessage, readSubject } from "../src/flameGraph/checks";
import type { Asking } from "../src/server";

const RESULTS = ["newest", "middle", "oldest"].map((run) => ({
  run,
  started: "2026-03-02T09:00:00+00:00",
  commit: null,
  dirty: null,
  outcome: "passed",
  peakBytes: 1,
  limitBytes: null,
}));
const HISTORY: History = {
  uri: "file:///a.py",
  test: "test_a[2]",
  id: "a.py::test_a[2]",
  results: RESULTS,
};
const PEAK: Choice = { kind: "peak", run: null, compareWith: null };

function serverThatAnswers(answer: unknown): { server: Asking; asked: unknown[] } {
  const asked: unknown[] = [];
  const request = async <Answer>(method: string, params: object): Promise<Answer> => {
    asked.push([method, params]);
    return answer as Answer;
  };
  return {
    server: { request },
    asked,
  };
}

describe("what is chosen", () => {
  test("is shown as far as there are such runs", () => {
    expect(possible({ ...PEAK, run: "middle" }, RESULTS).run).toBe("middle");
    expect(possible({ ...PEAK, run: "deleted" }, RESULTS).run).toBeNull();
    expect(possible({ ...PEAK, kind: "leak" }, []).kind).toBe("leak");
    // Another run may have no such stacks: that is said, and nothing else is shown instead.
    expect(possible({ ...PEAK, kind: "setup", run: "middle" }, RESULTS).kind).toBe("setup");
  });

  test("is not pinned to the newest run, so that a newer one is shown", () => {
    expect(possible({ ...PEAK, run: "newest" }, RESULTS).run).toBeNull();
  });

  test("is compared with earlier runs only", () => {
    const compareWith = (run: string | null, other: string) =>
      possible({ ...PEAK, run, compareWith: other }, RESULTS).compareWith;
    expect(compareWith(null, "oldest")).toBe("oldest");
    expect(compareWith("middle", "oldest")).toBe("oldest");
    expect(compareWith("middle", "newest")).toBeNull();
    expect(compareWith("middle", "middle")).toBeNull();
    expect(compareWith(null, "deleted")).toBeNull();
  });
});

describe("the server is asked", () => {
  test("for the history of the test", async () => {
    const { server, asked } = serverThatAnswers(HISTORY);
    expect(await askHistory(server, { uri: "file:///a.py", test: "test_a" })).toBe(HISTORY);
    expect(asked).toEqual([
      ["memlens/history", { uri: "file:///a.py", test: "test_a", limit: 50 }],
    ]);
  });

  test("for the run that the history begins with, of the very case", async () => {
    const graph = { frames: [] } as unknown as FlameGraph;
    const { server, asked } = serverThatAnswers(graph);
    const measured = await askGraph(server, HISTORY, {
      ...PEAK,
      run: "gone",
      compareWith: "oldest",
    });
    expect(asked).toEqual([
      [
        "memlens/flameGraph",
        {
          uri: "file:///a.py",
          test: "test_a[2]",
          kind: "peak",
          run: "newest",
          compareWith: "oldest",
        },
      ],
    ]);
    expect(measured).toEqual({
      history: HISTORY,
      graph,
      choice: { ...PEAK, compareWith: "oldest" },
    });
  });

  test("and what it refuses is told in its words", () => {
    expect(failed(new Error("uri is 'x': expected a URI")).text).toBe("uri is 'x': expected a URI");
  });
});

describe("what comes from outside", () => {
  test.each([
    [{ type: "ready" }],
    [{ type: "open", frame: 3, focus: true }],
    [{ type: "act", action: "run" }],
    [{ type: "choose", choice: { kind: "leak", run: "1", compareWith: null } }],
    [{ type: "choose", choice: { kind: "setup", run: null, compareWith: "1" } }],
    [{ type: "choose", choice: { kind: "teardown", run: null, compareWith: null } }],
  ])("is taken as the page sends it: %j", (message) => {
    expect(readMessage({ ...message, more: 1 })).toEqual(message);
  });

  test.each([
    [undefined],
    [null],
    ["ready"],
    [{ type: "elsewhere" }],
    [{ type: "open", frame: "3", focus: true }],
    [{ type: "open", frame: 0.5, focus: true }],
    [{ type: "open", frame: 1 }],
    [{ type: "open", uri: "file:///etc/passwd", line: 1 }],
    [{ type: "act", action: "workbench.action.quit" }],
    [{ type: "act", action: ["run"] }],
    [{ type: "choose", choice: { kind: "all", run: null, compareWith: null } }],
    [{ type: "choose", choice: { kind: "toString", run: null, compareWith: null } }],
    [{ type: "choose", choice: { kind: ["peak"], run: null, compareWith: null } }],
    [{ type: "choose", choice: { kind: "peak", run: 1, compareWith: null } }],
    [{ type: "choose", choice: { kind: "peak" } }],
  ])("is left alone if it is nothing that the page sends: %j", (message) => {
    expect(readMessage(message)).toBeUndefined();
  });

  test("names a test by a file and an id, or none", () => {
    const subject = { uri: "file:///a.py", test: "test_a" };
    expect(readSubject({ ...subject, more: 1 })).toEqual(subject);
    expect([undefined, null, "a", {}, { uri: 1, test: "a" }].map(readSubject)).toEqual(
      Array(5).fill(undefined),
    );
    expect(readKept({ subject, choice: PEAK, look: {} })).toEqual({ subject, choice: PEAK });
    expect([undefined, {}, { subject }, { choice: PEAK }].map(readKept)).toEqual(
      Array(4).fill(undefined),
    );
  });
});

test("the page loads the extension's own script and style, and nothing else", () => {
  const page = panelPage({
    source: "vscode-resource:",
    script: 'vscode-resource:/a"b.js',
    style: "vscode-resource:/<c>.css",
    language: "en",
    nonce: "n0",
  });
  const policy = /content="(default-src[^"]*)"/.exec(page)?.[1]?.replaceAll("&#39;", "'");
  expect(policy).toBe(
    "default-src 'none'; script-src 'nonce-n0'; style-src vscode-resource:; base-uri 'none'; form-action 'none'",
  );
  expect(page).toContain('src="vscode-resource:/a&#34;b.js"');
  expect(page).toContain('href="vscode-resource:/&#60;c&#62;.css"');
  expect(page).not.toMatch(/unsafe|http:|https:| on\w+=|style="/);
});
