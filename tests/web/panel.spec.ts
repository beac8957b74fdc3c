// The flame graph panel: what it shows, what it says to the extension, and what it cannot do.

import { MIB } from "./documents";
import { call, expect, graphOf, past, test } from "./panel";

const RESULTS = [past(3, 30, 24), past(2, 25, 32), past(1, 18, 16)];

const CALLS = [
  call("test_cart", 30, null, [
    call("fill", 18, null, [
      call("malloc", 18, null, [], { kind: "native", uri: null, line: null }),
    ]),
    call("loads", 9, null, [], { kind: "library", path: "/usr/lib/python3/json.py" }),
  ]),
];

const COMPARED = [
  call("test_cart", 27, 25, [call("fill", 18, 10), call("loads", 9, 12), call("sort", 0, 3)]),
];

test("a click on a frame zooms in and asks for its source", async ({ page, panel }) => {
  await panel.send(graphOf({ calls: CALLS, results: RESULTS }));
  await expect(page.getByRole("heading", { name: "test_cart" })).toBeVisible();
  await expect(page.getByText("tests/test_shop.py", { exact: true })).toBeVisible();
  await page.locator("g[name=fill]").click();
  await expect(page.locator("g[name=loads]")).toHaveCount(0);
  await expect(page.locator(".flame-chosen")).toContainText("shop/fill.py:518.0 MiB, 60 %");
  // Native code has no source: it is only zoomed into.
  await page.locator("g[name=malloc]").click();
  expect(await panel.said()).toEqual([{ type: "ready" }, { type: "open", frame: 1, focus: false }]);

  await page.getByRole("button", { name: "Reset zoom" }).click();
  await page.locator("g[name=loads]").hover();
  await page.locator("g[name=loads]").click();
  await page.getByRole("button", { name: "/usr/lib/python3/json.py:5" }).click();
  expect((await panel.said()).slice(2)).toEqual([
    { type: "open", frame: 3, focus: false },
    { type: "open", frame: 3, focus: true },
  ]);
});

test("the keyboard alone walks the graph and goes to a source", async ({ page, panel }) => {
  await panel.send(graphOf({ calls: CALLS, results: RESULTS, focus: "graph" }));
  await expect(page.getByRole("application")).toBeFocused();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Control+Enter");
  expect((await panel.said()).at(-1)).toEqual({ type: "open", frame: 3, focus: true });
  await page.keyboard.press("/");
  await expect(page.getByPlaceholder("Find a function or file")).toBeFocused();
  await page.keyboard.type("JSON");
  await expect(page.getByText("1 frame: 9.0 MiB (30 %)")).toBeVisible();
});

test("native frames can be left out, and sources are still the right ones", async ({
  page,
  panel,
}) => {
  const calls = [
    call("malloc", 9, null, [call("callback", 9, null)], { kind: "native", uri: null, line: null }),
    call("fill", 3, null),
  ];
  await panel.send(graphOf({ calls, results: [past(1, 12)] }));
  await page.getByLabel("Native frames").uncheck();
  await expect(page.locator("g[name=malloc]")).toHaveCount(0);
  await page.locator("g[name=callback]").click();
  await expect.poll(panel.said).toContainEqual({ type: "open", frame: 1, focus: false });
});

test("a comparison says in words what has grown, shrunk and gone", async ({ page, panel }) => {
  await panel.send(graphOf({ calls: COMPARED, results: RESULTS, comparedWith: 1 }));
  const frame = (name: string) => page.locator(".frame", { hasText: name });
  await expect(frame("fill")).toContainText("fill  +8.0 MiB");
  await expect(frame("loads")).toContainText("loads  −3.0 MiB");
  await expect(frame("sort")).toContainText("sort  gone, −3.0 MiB");
  await expect(frame("fill")).toHaveAttribute("data-change", "grown");
  await expect(frame("loads")).toHaveAttribute("data-change", "shrunk");
  await expect(page.getByText("30.0 MiB, before 25.0 MiB: +5.0 MiB.")).toBeVisible();
  await expect(page.getByText("gone, as wide as it was")).toBeVisible();
  await frame("fill").click();
  await expect(page.locator(".flame-chosen")).toContainText("+8.0 MiB, before: 10.0 MiB");
  await expect(page.getByRole("option", { name: /compared with/ })).toHaveCount(1);
});

test("kind, run and comparison are chosen", async ({ page, panel }) => {
  await panel.send(graphOf({ calls: CALLS, results: RESULTS, kinds: ["peak", "leak"] }));
  const last = async () => (await panel.said()).at(-1);
  await page.getByRole("button", { name: "Leaked" }).click();
  expect(await last()).toEqual({
    type: "choose",
    choice: { kind: "leak", run: null, compareWith: null },
  });
  await page.getByLabel("Compare with").selectOption({ index: 1 });
  expect(await last()).toEqual({
    type: "choose",
    choice: { kind: "peak", run: null, compareWith: "run-2" },
  });
  await page.getByRole("listbox").getByRole("option").first().click();
  expect(await last()).toEqual({
    type: "choose",
    choice: { kind: "peak", run: "run-1", compareWith: null },
  });
});

test("only what a result has is offered, and what is looked at stays", async ({ page, panel }) => {
  const kinds = page.getByRole("group", { name: "Stacks shown" });
  await panel.send(graphOf({ calls: CALLS, results: RESULTS }));
  await expect(page.getByRole("application")).toBeVisible();
  await expect(kinds).toBeHidden();
  const shown = { calls: CALLS, results: RESULTS, kinds: ["setup", "peak"] } as const;
  await panel.send(graphOf(shown));
  await expect(kinds.getByRole("button")).toHaveText(["Peak of the test", "Set-up"]);
  await page.getByLabel("Compare with").focus();
  await page.keyboard.press("Shift+Tab");
  await expect(kinds.getByRole("button", { name: "Set-up", pressed: false })).toBeFocused();
  await page.keyboard.press("Enter");
  const choice = { kind: "setup", run: null, compareWith: null };
  await expect.poll(panel.said).toContainEqual({ type: "choose", choice });
  const stock = [call("stock", 7, null, [call("load", 7, null)])];
  await panel.send(graphOf({ ...shown, calls: stock, kind: "setup", phase: [8, null] }));
  await expect(kinds.getByRole("button", { name: "Set-up", pressed: true })).toBeFocused();
  const root = page.getByRole("application", { name: /^8\.0 MiB held at the peak of set-up, / });
  await expect(root).toBeVisible();
  await expect(page.getByText("The empty part, 1.0 MiB, was held by call stacks")).toBeVisible();
  // Another run, in which another test made the fixture.
  await panel.send(
    graphOf({
      calls: [],
      results: RESULTS,
      shown: 1,
      kind: "setup",
      kinds: ["peak", "leak"],
      phase: [0.5, null],
    }),
  );
  await expect(page.getByRole("heading", { name: "Set-up held little in this run" })).toBeVisible();
  await expect(
    page.getByText("512.0 KiB at its peak: call stacks are kept from 1.0 MiB on."),
  ).toBeVisible();
  await expect(kinds.getByRole("button")).toHaveText(["Peak of the test", "Leaked", "Set-up"]);
  // The focus does not get lost with what it was on.
  await kinds.getByRole("button", { name: "Leaked" }).focus();
  await panel.send(graphOf({ ...shown, calls: stock, kind: "setup", phase: [8, null] }));
  await expect(kinds.getByRole("button", { name: "Set-up" })).toBeFocused();
});

test("of a phase it is said where nothing can be compared", async ({ page, panel }) => {
  const shown = {
    calls: [call("stock", 8, 0)],
    results: RESULTS,
    comparedWith: 1,
    kind: "teardown",
  } as const;
  const frame = page.locator(".frame", { hasText: "stock" });
  await panel.send(graphOf({ ...shown, phase: [8, null] }));
  await expect(
    page.getByText("Teardown was not measured in the run to compare with."),
  ).toBeVisible();
  await expect(frame).not.toContainText("new");
  await panel.send(graphOf({ ...shown, phase: [8, 0.5] }));
  await expect(page.getByRole("status").first()).toHaveText(
    "8.0 MiB, before 512.0 KiB: +7.5 MiB. What it held before was too little for its call stacks to be kept.",
  );
  await expect(frame).toContainText("new, +8.0 MiB");
  await panel.send(graphOf({ ...shown, calls: [call("stock", 0, 8)], phase: [0.5, 8] }));
  await expect(page.getByRole("status").first()).toHaveText(
    "512.0 KiB, before 8.0 MiB: −7.5 MiB. What it holds now is too little for its call stacks to be kept.",
  );
  await expect(frame).toContainText("gone, −8.0 MiB");
  await panel.send(graphOf({ ...shown, calls: [call("stock", 0, 8)], phase: [null, 8] }));
  await expect(page.getByRole("heading", { name: "Teardown was not measured" })).toBeVisible();
});

test("the legend names only what is shown", async ({ page, panel }) => {
  const legend = page.locator(".flame-legend li");
  await panel.send(graphOf({ calls: CALLS, results: RESULTS }));
  await expect(legend).toHaveText(["your code", "libraries", "native code"]);
  await page.getByLabel("Native frames").uncheck();
  await expect(legend).toHaveText(["your code", "libraries"]);
  await panel.send(graphOf({ calls: [call("test_cart", 30, null)], results: RESULTS }));
  await expect(legend).toHaveText(["your code"]);
  await panel.send(graphOf({ calls: COMPARED, results: RESULTS, comparedWith: 1 }));
  await expect(legend).toHaveText([
    "holds more (+) or is new",
    "holds less (−)",
    "gone, as wide as it was",
  ]);
  const calls = [call("new", 5, 0, [call("same", 5, 5)])];
  await panel.send(graphOf({ calls, results: RESULTS, comparedWith: 1 }));
  await expect(legend).toHaveText(["holds more (+) or is new", "as before"]);
});

test("the runs are read out, and walked by keyboard alone", async ({ page, panel }) => {
  await panel.send(graphOf({ calls: CALLS, results: RESULTS, shown: 1, focus: "history" }));
  const runs = page.getByRole("listbox").getByRole("option");
  await expect(runs).toHaveCount(3);
  await expect(runs.nth(1)).toHaveAttribute("aria-selected", "true");
  await expect(runs.nth(2)).toHaveAccessibleName(
    /Nov 23, .* · commit 3c98ca7f · failed · peak 30\.0 MiB, over its limit of 24\.0 MiB/,
  );
  await expect(page.getByRole("listbox")).toBeFocused();
  await page.keyboard.press("Home");
  await expect(page.locator(".about-run")).toContainText("commit 1c98ca7f");
  await page.keyboard.press("End");
  await page.keyboard.press("Enter");
  // The newest is not pinned: when there is a newer one, that is shown.
  const newest = { kind: "peak", run: null, compareWith: null };
  await expect.poll(panel.said).toContainEqual({ type: "choose", choice: newest });
  // Only earlier runs are there to compare with.
  await expect(page.getByLabel("Compare with").locator("option")).toHaveCount(2);
  await expect(page.getByRole("button", { name: "Show the newest run" })).toBeVisible();
  // An answer does not take the focus away.
  await panel.send(graphOf({ calls: CALLS, results: RESULTS }));
  await expect(page.getByRole("button", { name: "Show the newest run" })).toBeHidden();
  await expect(page.getByRole("listbox")).toBeFocused();
});

test("how the graph is looked at outlives new results and a reload", async ({ page, panel }) => {
  await panel.send(graphOf({ calls: CALLS, results: RESULTS }));
  await page.getByPlaceholder("Find a function or file").fill("fill");
  await page.getByLabel("Native frames").uncheck();
  await page.locator("g[name=fill]").click();
  const check = async () => {
    await expect(page.getByPlaceholder("Find a function or file")).toHaveValue("fill");
    await expect(page.getByLabel("Native frames")).not.toBeChecked();
    await expect(page.locator("g[name=fill]")).toHaveCount(1);
    await expect(page.locator("g[name=loads]")).toHaveCount(0);
  };
  const newer = graphOf({ calls: CALLS, results: [past(4, 31, 24), ...RESULTS] });
  await panel.send(newer);
  await expect(page.getByRole("listbox").getByRole("option")).toHaveCount(4);
  await check();
  await panel.reload();
  await panel.send(newer);
  await check();
  expect(await panel.kept()).toMatchObject({
    subject: { test: "test_cart" },
    choice: { kind: "peak" },
  });
  // Nothing of that asked for a source a second time.
  expect((await panel.said()).filter(({ type }) => type === "open")).toEqual([]);
});

test("without a graph it says why, and what to do", async ({ page, panel }) => {
  const about = {
    subject: { uri: "file:///a.py", test: "test_a" },
    choice: { kind: "peak", run: null, compareWith: null },
  } as const;
  await panel.send({ ...about, type: "loading" });
  await expect(page.getByText("Reading what was measured…")).toBeVisible();
  await panel.send({
    ...about,
    type: "notice",
    notice: { title: "Not measured", text: "Run it.", actions: ["run", "log"] },
  });
  await expect(page.getByRole("heading", { name: "Not measured" })).toBeVisible();
  await expect(page.getByLabel("Compare with")).toBeHidden();
  await page.getByRole("button", { name: "Run with memory limits" }).click();
  await page.getByRole("button", { name: "Show log" }).click();
  expect((await panel.said()).slice(1)).toEqual([
    { type: "act", action: "run" },
    { type: "act", action: "log" },
  ]);
  await panel.send(graphOf({ calls: [], results: RESULTS, kind: "leak", kinds: ["peak"] }));
  await expect(page.getByRole("heading", { name: "No leak is known of this run" })).toBeVisible();
  await expect(page.getByRole("button", { name: "Peak of the test" })).toBeVisible();
  await expect(page.getByRole("application")).toHaveCount(0);
});

test("whatever names hold is shown as text", async ({ page, panel }) => {
  const attack = '<img src=x onerror="alert(1)"><script>alert(2)</script>"&\u202e';
  await panel.send(
    graphOf({
      calls: [call(attack, 5, null, [], { path: attack })],
      results: [{ ...past(1, 5), started: attack, commit: attack, outcome: attack }],
    }),
  );
  await expect(page.locator("g.frame").last()).toHaveAttribute("name", attack);
  await page.locator("g.frame").last().click();
  await expect(page.locator(".flame-chosen strong")).toHaveText(attack);
  expect(await page.locator("img, iframe, body script").count()).toBe(0);
  // The fixture fails on any error, message in the console or request.
});

test("the policy stops all that is not the extension's own", async ({ page, panel }) => {
  await panel.send(graphOf({ calls: CALLS, results: RESULTS }));
  const stopped = page.evaluate(
    () =>
      new Promise<string[]>((resolve) => {
        const seen: string[] = [];
        addEventListener("securitypolicyviolation", ({ effectiveDirective }) => {
          seen.push(effectiveDirective);
          if (seen.length === 4) {
            resolve(seen.sort());
          }
        });
        for (const [tag, attributes] of [
          ["script", { textContent: "window.ran = true" }],
          ["style", { textContent: "body { display: none }" }],
          ["img", { src: "http://elsewhere.test/a.png" }],
          ["iframe", { src: "http://elsewhere.test/" }],
        ] as const) {
          document.body.append(Object.assign(document.createElement(tag), attributes));
        }
      }),
  );
  expect(await stopped).toEqual(["frame-src", "img-src", "script-src-elem", "style-src-elem"]);
  expect(await page.evaluate(() => "ran" in window)).toBe(false);
  expect(panel.faults).toHaveLength(4);
  panel.faults.length = 0;
});

test("a graph of five thousand frames is drawn within a second", async ({ page, panel }) => {
  const wide = (depth: number, size: number): ReturnType<typeof call>[] =>
    depth === 0
      ? []
      : Array.from({ length: 8 }, (_, index) =>
          call(`call_${depth}_${index}`, size / 8, null, wide(depth - 1, size / 8)),
        );
  const calls = wide(4, 4096);
  await panel.send(graphOf({ calls, results: [past(1, 4096)] }));
  await expect(page.locator("g.frame").nth(100)).toBeAttached();
  const took = await page.evaluate(async () => {
    const began = performance.now();
    document.querySelector("g[name=call_4_0]")?.dispatchEvent(new MouseEvent("click"));
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    return performance.now() - began;
  });
  expect(calls[0]?.value).toBe(512 * MIB);
  expect(took).toBeLessThan(1000);
});
