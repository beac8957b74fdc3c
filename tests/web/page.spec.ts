import type { Locator } from "@playwright/test";

import {
  type Document,
  frame,
  leakLimit,
  MIB,
  memoryLimit,
  passed,
  reportOf,
  run,
  stack,
} from "./documents";
import { expect, makePage, test } from "./pages";

const SMALL = "tests/test_shop.py::test_small";
const HEAVY = "tests/test_shop.py::TestYear::test_heavy[2026]";
const LEAKY = "tests/test_sessions.py::test_leaky";

function shop(): Document {
  const caller = frame("test_heavy", "tests/test_shop.py", 9);
  const report = frame("report", "shop/orders.py", 40);
  const library = frame("loads", "/usr/lib/python3/json/decoder.py", 337);
  const native = { ...frame("PyObject_Malloc", "obmalloc.c", null), native: true, project: false };
  return reportOf(
    passed(SMALL, 2, { limits: [memoryLimit(2, 8)], duration_s: 3 }),
    passed(HEAVY, 30, {
      outcome: "failed",
      limits: [memoryLimit(30, 20)],
      stacks: [
        stack("peak", 18, caller, report, library, native),
        stack("peak", 9, caller, frame("cart", "shop/cart.py", 7)),
      ],
    }),
    passed(LEAKY, 4, {
      outcome: "failed",
      leaked_bytes: 3 * 1024 * 1024,
      limits: [leakLimit(3, 1)],
      stacks: [
        stack("peak", 4, frame("test_leaky", "tests/test_sessions.py", 5)),
        stack("leak", 3, frame("open_session", "shop/sessions.py", 12)),
      ],
    }),
  );
}

test("the page says which run it is of and what became of its tests", async ({
  page,
  openReport,
}) => {
  await openReport(shop());
  await expect(page).toHaveTitle("Memory of tests · 2026-11-23 04:19 UTC · 8c98ca7a39");
  await expect(page.getByRole("banner")).toContainText("Memory of shop’s tests");
  await expect(page.getByRole("banner")).toContainText("2026-11-23 04:19 UTC");
  await expect(page.getByRole("banner")).toContainText("8c98ca7a39");
  await expect(page.locator(".totals > div")).toHaveText([
    /^tests\s*3$/,
    /^over limit\s*1$/,
    /^leaking\s*1$/,
    /^highest peak\s*30\.0 MiB$/,
  ]);
});

test("a row shows a test's measurements and a bar with its limit marked", async ({
  page,
  openReport,
}) => {
  await openReport(shop());
  const row = page.getByRole("row", { name: "test_heavy" });
  await expect(row.getByRole("cell")).toHaveText([
    "failed",
    "30.0 MiB",
    "150 %",
    "17",
    "–",
    "12 ms",
  ]);
  // 20 MiB of 30 MiB.
  const bar = await row.locator(".bar").boundingBox();
  const mark = await row.locator(".mark").boundingBox();
  expect(((mark?.x ?? 0) - (bar?.x ?? 0)) / (bar?.width ?? 1)).toBeCloseTo(2 / 3, 1);
});

test("tests are sorted by any column, and searched and filtered", async ({ page, openReport }) => {
  await openReport(shop());
  const names = page.locator(".test-name");
  const order = (...expected: string[]) => expect(names).toHaveText(expected);
  await order("TestYear::test_heavy[2026]", "test_leaky", "test_small");

  await page.getByRole("button", { name: "Duration" }).click();
  await expect(page.getByRole("columnheader", { name: "Duration" })).toHaveAttribute(
    "aria-sort",
    "descending",
  );
  await order("test_small", "test_leaky", "TestYear::test_heavy[2026]");
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await order("test_leaky", "test_small", "TestYear::test_heavy[2026]");
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await order("TestYear::test_heavy[2026]", "test_small", "test_leaky");

  await page.keyboard.press("/");
  await page.keyboard.type("SHOP small");
  await order("test_small");
  await expect(page.getByText("1 of 3 tests")).toBeVisible();
  await page.getByPlaceholder("Search tests").fill("no such test");
  await expect(page.getByText("No test is like that.")).toBeVisible();
  await page.getByPlaceholder("Search tests").fill("");

  await page.getByRole("button", { name: "Over limit 1" }).click();
  await order("TestYear::test_heavy[2026]");
  await page.getByRole("button", { name: "Leaking 1" }).click();
  await order("test_leaky");
});

test("the keyboard alone opens a test, walks its flame graph and closes it", async ({
  page,
  openReport,
}) => {
  await openReport(shop());
  const heavy = page.getByRole("button", { name: "test_heavy" });
  await heavy.focus();
  await page.keyboard.press("ArrowDown");
  await expect(page.getByRole("button", { name: "test_leaky" })).toBeFocused();
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  await expect(heavy).toHaveAttribute("aria-expanded", "true");

  const chosen = page.locator(".flame-chosen");
  const graph = page.getByRole("application");
  await graph.focus();
  await expect(chosen).toContainText("All 30.0 MiB");
  await page.keyboard.press("ArrowDown");
  await expect(chosen).toContainText("tests/test_shop.py:9");
  await page.keyboard.press("ArrowDown");
  await expect(chosen).toContainText("shop/orders.py:40");
  await page.keyboard.press("ArrowRight");
  await expect(chosen).toContainText("cartshop/cart.py:79.0 MiB, 30 %, 2 allocations");

  const reset = page.getByRole("button", { name: "Reset zoom" });
  await page.keyboard.press("Enter");
  await expect(reset).toBeEnabled();
  await expect(graph.locator("g[name=report]")).toHaveCount(0);
  await page.keyboard.press("Escape");
  await expect(reset).toBeDisabled();
  await expect(graph.locator("g[name=report]")).toHaveCount(1);
  await page.keyboard.press("Escape");
  await expect(graph).toHaveCount(0);
  await expect(heavy).toBeFocused();
});

test("a click on a frame zooms in and says where it is", async ({ page, openReport }) => {
  await openReport(shop());
  await page.getByRole("button", { name: "test_heavy" }).click();
  const graph = page.getByRole("application");
  await graph.locator("g[name=loads]").click();
  await expect(page.locator(".flame-chosen")).toContainText(
    "loads/usr/lib/python3/json/decoder.py:33718.0 MiB, 60 %",
  );
  await expect(graph.locator("g[name=cart]")).toHaveCount(0);
  await page.getByRole("button", { name: "Reset zoom" }).click();
  await expect(graph.locator("g[name=cart]")).toHaveCount(1);
});

test("a flame graph is searched, and its native frames can be left out", async ({
  page,
  openReport,
}) => {
  await openReport(shop());
  await page.getByRole("button", { name: "test_heavy" }).click();
  await page.getByPlaceholder("Find a function or file").fill("CART.py");
  await expect(page.getByText("1 frame: 9.0 MiB (30 %)")).toBeVisible();
  // A pattern is no pattern here: this is no error.
  await page.getByPlaceholder("Find a function or file").fill("(");
  await expect(page.getByText("nothing found")).toBeVisible();

  const native = page.locator("g[name=PyObject_Malloc]");
  await expect(native).toHaveCount(1);
  await page.getByLabel("Native frames").uncheck();
  await expect(native).toHaveCount(0);
  await expect(page.locator("g[name=loads]")).toHaveCount(1);
});

test("leaks have a flame graph of their own, and stacks are there as text", async ({
  page,
  openReport,
}) => {
  await openReport(shop());
  await page.getByRole("button", { name: "test_leaky" }).click();
  await expect(page.getByRole("heading", { name: "What held 4.0 MiB at the peak" })).toBeVisible();
  await page.getByRole("button", { name: "Leaked", exact: true }).last().click();
  await expect(page.getByRole("heading", { name: "What leaked 3.0 MiB" })).toBeVisible();
  await expect(page.locator("g[name=open_session]")).toHaveCount(1);
  await page.getByText("Stacks as text").click();
  await expect(page.locator(".stacks")).toHaveText(
    "3.0 MiB in 2 allocationsopen_session shop/sessions.py:12",
  );
});

test("what a heavy set-up held has a graph of its own, and no part in the test's", async ({
  page,
  openReport,
}) => {
  const made = stack("setup", 6, frame("stock", "tests/conftest.py", 4));
  const held = stack("peak", 2, frame("test_small", "tests/test_shop.py", 3));
  const test = passed(SMALL, 2, { stacks: [made, held] });
  const phase = { allocated_bytes: null, allocations: null, alive_bytes: 0, histogram: null };
  Object.assign(test, {
    phases: [
      { name: "setup", peak_bytes: 8 * MIB, ...phase },
      { name: "call", peak_bytes: 2 * MIB, ...phase },
    ],
  });
  await openReport(reportOf(test));
  await page.getByRole("button", { name: "test_small" }).click();
  await expect(page.getByRole("heading", { name: "What held 2.0 MiB at the peak" })).toBeVisible();
  const kinds = page.getByRole("group", { name: "Stacks shown" });
  await expect(kinds.getByRole("button")).toHaveText(["Peak of the test", "Set-up"]);
  await expect(page.locator("g[name=stock]")).toHaveCount(0);
  await kinds.getByRole("button", { name: "Set-up" }).click();
  const title = "What held 8.0 MiB at the peak of set-up";
  await expect(page.getByRole("heading", { name: title })).toBeVisible();
  await expect(page.locator("g[name=stock]")).toHaveCount(1);
  await expect(page.locator("g[name=test_small]")).toHaveCount(0);
  await expect(page.getByText("the empty part, 2.0 MiB (25 %)")).toBeVisible();
  await expect(page.locator(".flame-legend li")).toHaveText(["your code"]);
});

test("details show limits, phases, and the peak in earlier runs", async ({ page, openReport }) => {
  const report = shop();
  report.runs.unshift(run("run-1", "2026-11-22T08:00:00.000000+00:00"));
  const [small] = report.tests;
  small?.history.push({ run: "run-1", outcome: "failed", peak_bytes: 9 * 1024 * 1024 });
  await openReport(report);
  await page.getByRole("button", { name: "test_small" }).click();
  const details = page.getByRole("region", { name: "test_small" });
  await expect(details.getByRole("row", { name: "limit_memory" })).toContainText(
    "limit_memory2.0 MiB8.0 MiBwithin",
  );
  await expect(details.getByRole("row", { name: "Test" })).toHaveText("Test2.0 MiB2.0 MiB17");
  await expect(details).toContainText("From 2.0 MiB to 9.0 MiB in 2 runs, now 2.0 MiB");
  await expect(details.locator("svg.history circle")).toHaveCount(2);
  await details.getByText("All runs").click();
  await expect(details.getByRole("row", { name: "2026-11-22 08:00 UTC" })).toContainText(
    "9.0 MiBfailed",
  );
});

test("a link to a test opens it", async ({ page, openReport }) => {
  await openReport(shop(), `#test=${encodeURIComponent(HEAVY)}`);
  await expect(page.getByRole("button", { name: "test_heavy" })).toHaveAttribute(
    "aria-expanded",
    "true",
  );
  await page.getByRole("button", { name: "test_small" }).click();
  expect(page.url()).toContain(encodeURIComponent(SMALL));
});

test("a run that did not end says so", async ({ page, openReport }) => {
  const report = shop();
  report.runs = [
    run("run-2", "2026-11-23T04:19:48+00:00", { status: "interrupted", collected: 40 }),
  ];
  await openReport(report);
  await expect(page.getByRole("note")).toContainText("was interrupted: 3 of 40 tests shown");
});

test("a page without tests says how to measure some", async ({ page, openReport }) => {
  await openReport({ schema: 1, runs: [], tests: [] });
  await expect(page.getByRole("heading", { name: "No test was measured" })).toBeVisible();
  await expect(page.getByText("pytest --memray")).toBeVisible();
});

test("hostile names are shown as text, and nothing of them runs", async ({ page, openReport }) => {
  const attacks = [
    "</script><script>alert(1)</script>",
    "<!--<script>alert(2)",
    '"><img src=x onerror=alert(3)>',
    "'-alert(4)-'`+alert(5)+`",
    "\u2028alert(6)\u2029",
    "\ud800<svg onload=alert(7)>\udfff",
    "</title></style><style>*{display:none}</style>",
    "javascript:alert(8)",
    "&lt;b&gt;&#x3c;",
    "__proto__",
    "\u202eesrever",
  ];
  const tests = attacks.map((attack, index) =>
    passed(`tests/${attack}.py::${attack}`, 100 - index, {
      path: attack,
      outcome: index === 0 ? attack : "passed",
      limits: [{ ...memoryLimit(1, 2), marker: attack, message: attack }],
      stacks: [
        stack("peak", 1, frame(attack, attack)),
        stack("leak", 1, frame(attack, `/${attack}`)),
      ],
      history: [{ run: "run-2", outcome: attack, peak_bytes: 1 }],
    }),
  );
  const report = reportOf(...tests);
  const [first] = attacks;
  report.runs = [
    run("run-2", first ?? "", {
      rootdir: first,
      git_commit: first,
      status: first,
      versions: { python: first },
    }),
  ];
  await openReport(report);
  const shown = (text: string) => text.replace(/\p{Surrogate}/gu, "\ufffd");
  const names = page.locator(".test-name");
  await expect(names).toHaveCount(attacks.length);
  const texts = await names.evaluateAll((all) => all.map(({ textContent }) => textContent));
  expect(texts.map((text) => shown(text ?? ""))).toEqual(attacks.map(shown));
  for (const [index, attack] of attacks.entries()) {
    await page.locator(".row .test").nth(index).click();
    const drawn = page.locator(".flame-canvas g.frame").last();
    await expect(drawn).toBeVisible();
    expect(shown((await drawn.getAttribute("name")) ?? "")).toBe(shown(attack));
    await page.getByPlaceholder("Find a function or file").fill(attack);
    await page.getByRole("button", { name: "Leaked", exact: true }).last().click();
  }
  expect(await page.locator("script, style").count()).toBe(3);
  expect(await page.locator("img, main svg[onload], iframe").count()).toBe(0);
  // The openReport fixture also fails the test on any dialog, error or request.
});

test("the page's policy stops scripts and styles that are not its own", async ({ page }) => {
  await page.setContent(makePage(shop()));
  await expect(page.locator(".row")).toHaveCount(3);
  const violations = await page.evaluate(async () => {
    const seen: string[] = [];
    addEventListener("securitypolicyviolation", ({ effectiveDirective }) =>
      seen.push(effectiveDirective),
    );
    try {
      document.body.innerHTML = "<p>markup</p>";
    } catch {
      // Trusted types refuse it.
    }
    const style = document.createElement("style");
    style.append("body { display: none }");
    document.head.append(style);
    await new Promise((resolve) => setTimeout(resolve));
    return seen;
  });
  expect(violations).toEqual(["require-trusted-types-for", "style-src-elem"]);
});

test("ten thousand tests are searched and sorted at once, a page at a time", async ({
  page,
  openReport,
}) => {
  const tests = Array.from({ length: 10_000 }, (_, index) =>
    passed(`tests/test_${index % 50}.py::test_number_${index}`, 1 + index),
  );
  await openReport(reportOf(...tests));
  await expect(page.locator(".row")).toHaveCount(100);
  await expect(page.locator(".test-name").first()).toHaveText("test_number_9999");
  await page.getByRole("button", { name: "Next" }).click();
  await expect(page.getByText("Page 2 of 100")).toBeVisible();
  await expect(page.locator(".test-name").first()).toHaveText("test_number_9899");

  const longest = await page.evaluate(() => {
    const search = document.querySelector<HTMLInputElement>(".tools input");
    const times = ["", "number_77", "7"].map((text) => {
      const start = performance.now();
      if (search) {
        search.value = text;
        search.dispatchEvent(new Event("input"));
      }
      document.body.getBoundingClientRect();
      return performance.now() - start;
    });
    return Math.max(...times);
  });
  // A tenth of a second feels immediate; on a busy machine, some times that.
  expect(longest).toBeLessThan(500);
  await expect(page.getByText(/of 10,000 tests/)).toBeVisible();
});

for (const width of [1280, 800, 320]) {
  test(`column headings stay in view on a page ${width} pixels wide`, async ({
    page,
    openReport,
  }) => {
    await page.setViewportSize({ width, height: 700 });
    const tests = Array.from({ length: 60 }, (_, index) =>
      passed(`tests/test_it.py::test_number_${index}`, 100 - index),
    );
    await openReport(reportOf(...tests));
    const head = page.getByRole("columnheader", { name: "Peak" });
    const boxOf = async (of: Locator) => (await of.boundingBox()) ?? { y: Number.NaN, height: 0 };
    await page.locator(".row").nth(40).scrollIntoViewIfNeeded();
    expect(await page.evaluate(() => scrollY)).toBeGreaterThan(500);
    await expect(head).toBeInViewport({ ratio: 1 });
    // Nothing of a row is to be seen through what stays, nor above it.
    const tools = await boxOf(page.locator(".tools"));
    const { y: top, height } = await boxOf(head);
    expect(top).toBeCloseTo(Math.max(tools.y + tools.height, 0), 0);

    // Nor does what stays cover the test that the keyboard goes to, or a link.
    const focused = page.locator(".test:focus");
    await page.locator(".test").nth(40).focus();
    for (let pressed = 0; pressed < 20; pressed += 1) {
      await page.keyboard.press("ArrowUp");
      expect((await boxOf(focused)).y).toBeGreaterThanOrEqual(top + height);
    }
    await page.evaluate((id) => {
      location.hash = `#test=${encodeURIComponent(id)}`;
    }, "tests/test_it.py::test_number_30");
    await expect(focused).toContainText("test_number_30");
    expect((await boxOf(focused)).y).toBeGreaterThanOrEqual(top + height);

    // It is no picture: it sorts.
    await head.getByRole("button").click();
    await expect(head).toHaveAttribute("aria-sort", "ascending");
  });
}

for (const width of [320, 360, 420, 800, 1280]) {
  test(`nothing sticks out of a page ${width} pixels wide`, async ({ page, openReport }) => {
    await page.setViewportSize({ width, height: 800 });
    const report = shop();
    const [, heavy, leaky] = report.tests;
    if (heavy === undefined || leaky === undefined) {
      throw new Error("the shop has no such tests");
    }
    const large = {
      peak_bytes: 1022.9 * MIB,
      allocated_bytes: 1022.9 * MIB,
      allocations: 2_345_678,
      alive_bytes: 0,
      histogram: null,
    };
    heavy.phases = ["setup", "call", "teardown"].map((name) => ({ name, ...large }));
    for (const kind of ["leak", "setup", "teardown"] as const) {
      heavy.stacks.push(stack(kind, 1022.9, frame("f".repeat(99), `${"a".repeat(99)}.py`, 7)));
    }
    heavy.limits = [
      { ...memoryLimit(1022.9, 512), marker: "memray_default_limit" },
      { ...leakLimit(3, 0), limit_bytes: 0, marker: "limit_leaked_objects" },
    ];
    // So much no test allocates, and no marker is so long; but a page shows what a database says.
    leaky.phases = [{ name: "call", ...large, allocations: 1e15 }];
    leaky.limits = [{ ...leakLimit(3, 1), marker: "limit".repeat(20), message: "m".repeat(99) }];
    for (const each of [heavy, leaky]) {
      each.history.push({ run: "run-2", outcome: "failed", peak_bytes: 1022.9 * MIB });
    }
    await openReport(report);
    for (const [name, tables] of [
      ["test_small", 2],
      ["test_heavy", 3],
      ["test_leaky", 3],
    ] as const) {
      await page.getByRole("button", { name }).click();
      const details = page.getByRole("region", { name });
      await expect(details.locator(".small")).toHaveCount(tables);
      for (const summary of await details.getByText("All runs").all()) {
        await summary.click();
      }
      const { card, frames, over } = await page.evaluate(() => ({
        card: document.querySelector(".details")?.getBoundingClientRect().right ?? 0,
        frames: [...document.querySelectorAll(".small-frame")].map((frame) => ({
          right: frame.getBoundingClientRect().right,
          hidden: frame.scrollWidth - frame.clientWidth,
        })),
        over: document.documentElement.scrollWidth - innerWidth,
      }));
      expect(over).toBe(0);
      expect(frames.filter(({ right }) => right > card)).toEqual([]);
      // Only what is unheard of has to be scrolled for.
      expect(name === "test_leaky" || frames.every(({ hidden }) => hidden === 0)).toBe(true);
    }
  });
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`text can be read in ${colorScheme} colours`, async ({ page, openReport }) => {
    await page.emulateMedia({ colorScheme });
    await openReport(shop());
    await page.getByRole("button", { name: "test_heavy" }).click();
    // The last that a flame graph shows are its labels.
    for (const name of ["report", "loads", "cart"]) {
      await expect(page.locator(".d3-flame-graph-label", { hasText: name })).toBeVisible();
    }
    await page.getByRole("row", { name: "test_small" }).hover();
    const contrast = await page.evaluate(leastContrasts);
    expect(contrast.filter(([ratio]) => ratio < 4.5)).toEqual([]);
    expect(contrast.length).toBeGreaterThan(30);
  });
}

/** Runs in the page: the contrast of each text with what is behind it, as WCAG 2.1 reckons it. */
function leastContrasts(): [number, string][] {
  const channels = (colour: string) => (colour.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = (colour: string) => {
    const [r = 0, g = 0, b = 0] = channels(colour).map((value) => {
      const share = value / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (of: Element | null): string => {
    if (of === null) {
      return getComputedStyle(document.documentElement).backgroundColor;
    }
    const frame = of.closest("g.frame")?.querySelector("rect");
    const { backgroundColor } = getComputedStyle(of);
    if (frame) {
      return getComputedStyle(frame).fill;
    }
    return channels(backgroundColor)[3] === 0 ? behind(of.parentElement) : backgroundColor;
  };
  const found: [number, string][] = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].some(
      (node) => node instanceof Text && node.data.trim() !== "",
    );
    const isDrawn = element.getClientRects().length > 0 && !element.matches("button:disabled");
    if (text && isDrawn) {
      const one = luminance(getComputedStyle(element).color);
      const other = luminance(behind(element));
      const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
      found.push([ratio, `${element.className} ${element.textContent}`]);
    }
  }
  return found;
}
