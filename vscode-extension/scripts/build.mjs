// Bundles the extension into dist/extension.js, and the licences of what went into it beside it.

import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

await rm(join(root, "dist"), { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: ["src/extension.ts"],
  outfile: "dist/extension.js",
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  external: ["vscode"],
  minify: true,
  metafile: true,
  logLevel: "warning",
});
await writeFile(join(root, "dist", "THIRD-PARTY-LICENSES.txt"), await licences(metafile));

async function licences({ inputs }) {
  const packages = Object.keys(inputs).map(
    (input) => input.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0],
  );
  const folders = [...new Set(packages.filter((folder) => folder !== undefined))].sort();
  const texts = await Promise.all(
    folders.map(async (folder) => {
      const path = join(root, folder);
      const { name, version } = JSON.parse(await readFile(join(path, "package.json"), "utf8"));
      const file = (await readdir(path)).find((entry) => /^licen[cs]e/i.test(entry));
      if (file === undefined) {
        throw new Error(`${name} ${version} carries no licence, so it cannot be bundled`);
      }
      return `${name} ${version}\n\n${(await readFile(join(path, file), "utf8")).trim()}\n`;
    }),
  );
  return texts.join(`\n${"=".repeat(80)}\n\n`);
}
