// Bundles the report page's script and style into the Python package, which ships them. With
// --check it writes nothing, and fails when what is there is not what the sources make.

import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, "..", "plugin", "memlens", "exports", "page");

const common = {
  absWorkingDir: root,
  bundle: true,
  write: false,
  metafile: true,
  minify: true,
  charset: "ascii",
  target: ["chrome110", "firefox115", "safari16"],
  logLevel: "warning",
};
const script = await build({
  ...common,
  entryPoints: ["src/page.ts"],
  format: "iife",
  outfile: join(folder, "page.js"),
  // The library's own style sets fonts and colours that are not the page's.
  loader: { ".css": "empty" },
});
const style = await build({
  ...common,
  entryPoints: ["src/page.css"],
  outfile: join(folder, "page.css"),
});
const made = [
  ["page.js", script.outputFiles[0].text + (await licences(script.metafile))],
  ["page.css", style.outputFiles[0].text],
];

if (process.argv.includes("--check")) {
  const stale = [];
  for (const [name, text] of made) {
    const there = await readFile(join(folder, name), "utf8").catch(() => "");
    if (there !== text) {
      stale.push(name);
    }
  }
  if (stale.length > 0) {
    console.error(
      `plugin/memlens/exports/page: ${stale.join(" and ")} not as web/src makes it: run "npm run build:web" and commit`,
    );
    process.exitCode = 1;
  }
} else {
  for (const [name, text] of made) {
    await writeFile(join(folder, name), text);
  }
}

/** Returns a comment with the licence of each package that went into the bundle. */
async function licences({ inputs, outputs }) {
  const [output] = Object.values(outputs);
  const used = Object.keys(inputs).filter((input) => output.inputs[input]?.bytesInOutput > 0);
  const packages = used.map((input) => input.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0]);
  const folders = [...new Set(packages.filter((folder) => folder !== undefined))].sort();
  const namesByText = new Map();
  for (const folder of folders) {
    const path = join(root, folder);
    const { name, version } = JSON.parse(await readFile(join(path, "package.json"), "utf8"));
    const file = (await readdir(path)).find((entry) => /^licen[cs]e/i.test(entry));
    if (file === undefined) {
      throw new Error(`${name} ${version} carries no licence, so it cannot be bundled`);
    }
    const text = (await readFile(join(path, file), "utf8")).trim().replaceAll("\r\n", "\n");
    if (/<\/script|<!--|\*\//i.test(text)) {
      throw new Error(`the licence of ${name} ${version} cannot stand in a comment of a page`);
    }
    namesByText.set(text, [...(namesByText.get(text) ?? []), `${name} ${version}`]);
  }
  const texts = [...namesByText].map(([text, names]) => `${names.join(", ")}\n\n${text}\n`);
  return `/*! This contains:\n\n${texts.join(`\n${"=".repeat(80)}\n\n`)}*/\n`;
}
