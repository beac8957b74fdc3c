// Makes docs/images/report-html-light.png and report-html-dark.png: the page that
// `pytest --memray-report=html` writes of examples/, after several runs in which it grew.

import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { chromium, type Page } from "@playwright/test";

import { chromiumPath } from "../tests/editor/environment";

// npm starts this in the root of the repository.
const EXAMPLE = resolve("examples");
const PYTHON = resolve(".venv", "bin", "python");
const PICTURES = resolve("docs", "images");

/** The test that is opened: it grew over its limit, and its flame graph has branches. */
const TEST = "tests/test_orders.py::test_report_of_a_year";
/** The frame that is chosen in its flame graph, from the top downwards. */
const CHOSEN = "orders_of";

/** What the example was before it grew to what it is: for each run, days of orders and pictures. */
const EARLIER = [
  { days: 90, pictures: 12 },
  { days: 120, pictures: 12 },
  { days: 150, pictures: 18 },
  { days: 220, pictures: 22 },
  { days: 230, pictures: 20 },
];

const VIEWPORT = { width: 1280, height: 1076 };
const LARGEST_BYTES = 250_000;

const folder = await mkdtemp(join(tmpdir(), "memlens-picture-"));
try {
  const report = await makeReport(join(folder, "shop"));
  await takePictures(pathToFileURL(report));
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** Runs the tests of a copy of the example in `project` at each of its ages; returns the page's path. */
async function makeReport(project: string): Promise<string> {
  await cp(EXAMPLE, project, {
    recursive: true,
    filter: (path) => !basename(path).startsWith(".") && basename(path) !== "__pycache__",
  });
  await git(project, "init", "--quiet");
  const orders = await source(join(project, "tests", "test_orders.py"));
  const catalog = await source(join(project, "tests", "test_catalog.py"));
  for (const { days, pictures } of EARLIER) {
    await orders.write([["365", `${days}`]]);
    await catalog.write([
      ["range(30)", `range(${pictures})`],
      ["== 30", `== ${pictures}`],
    ]);
    await measure(project, `${days} days of orders, ${pictures} pictures`);
  }
  await orders.write([]);
  await catalog.write([]);
  const report = join(project, "memlens.html");
  await measure(project, "A whole year", `--memray-report=html:${report}`);
  return report;
}

interface Source {
  /** Writes the file as it is in the example, with these texts replaced wherever they are. */
  write: (changes: readonly (readonly [string, string])[]) => Promise<void>;
}

async function source(path: string): Promise<Source> {
  const original = await readFile(path, "utf8");
  return {
    write: async (changes) => {
      let text = original;
      for (const [now, earlier] of changes) {
        if (!text.includes(now)) {
          throw new Error(`${basename(path)} has no "${now}" any more: change this script with it`);
        }
        text = text.replaceAll(now, earlier);
      }
      await writeFile(path, text);
    },
  };
}

/** Commits the project as it is and runs its tests, some of which fail, as they should. */
async function measure(project: string, change: string, ...options: string[]): Promise<void> {
  await git(project, "add", "--all");
  await git(project, "commit", "--quiet", `--message=${change}`);
  const pytest = ["-m", "pytest", "--memray", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"];
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: "1" };
  const run = promisify(execFile)(PYTHON, [...pytest, ...options], { cwd: project, env });
  await run.catch((error) => {
    if (error.code !== 1) {
      throw new Error(`pytest failed:\n${error.stdout}${error.stderr}`, { cause: error });
    }
  });
}

async function git(project: string, ...command: string[]): Promise<void> {
  const identity = ["-c", "user.name=memlens", "-c", "user.email=memlens@example.org"];
  const quiet = ["-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"];
  await promisify(execFile)("git", [...identity, ...quiet, ...command], { cwd: project });
}

async function takePictures(report: URL): Promise<void> {
  const browser = await chromium.launch({
    executablePath: chromiumPath(),
    args: ["--no-sandbox", "--disable-gpu"],
  });
  try {
    for (const colorScheme of ["light", "dark"] as const) {
      const page = await browser.newPage({ viewport: VIEWPORT, colorScheme });
      await page.goto(`${report}#test=${encodeURIComponent(TEST)}`);
      await choose(page);
      const path = join(PICTURES, `report-html-${colorScheme}.png`);
      await page.screenshot({ path, animations: "disabled" });
      await page.close();
      const { size } = await stat(path);
      if (size > LARGEST_BYTES) {
        throw new Error(`${path} has ${size} bytes, and may have ${LARGEST_BYTES}`);
      }
      console.log(path);
    }
  } finally {
    await browser.close();
  }
}

/** Chooses a frame of the flame graph by the keyboard, as a click would zoom to it. */
async function choose(page: Page): Promise<void> {
  const graph = page.getByRole("application");
  await graph.locator(`g[name="${CHOSEN}"]`).waitFor();
  const chosen = page.locator(".flame-chosen");
  const deepest = 20;
  await graph.focus();
  for (let depth = 0; !(await chosen.textContent())?.startsWith(CHOSEN); depth += 1) {
    if (depth === deepest) {
      throw new Error(`the flame graph of ${TEST} has no ${CHOSEN} down its widest side`);
    }
    await page.keyboard.press("ArrowDown");
  }
  // What is said about the frame stays; the rings that show a keyboard's user where they are go.
  await graph.blur();
  await page.evaluate(() => scrollTo(0, 0));
}
