// Bundles the extension and its panel's page into dist/, and the licences of what went into them
// beside them. What VS Code waits for is extension.js; the language client, which is most of the
// code, is read after that.

import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

import { buildWebview } from "./webview.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

await rm(join(root, "dist"), { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: ["src/extension.ts", "src/client.ts"],
  outdir: "dist",
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  external: ["vscode"],
  plugins: [{ name: "client-apart", setup: keepClientApart }],
  // As require(), as everything else here.
  supported: { "dynamic-import": false },
  minify: true,
  metafile: true,
  logLevel: "warning",
});
const page = await buildWebview(join(root, "dist"));
const inputs = [...Object.keys(metafile.inputs), ...usedInputs(page)];
await writeFile(join(root, "dist", "THIRD-PARTY-LICENSES.txt"), await licences(inputs));

/** Leaves our import of the client as it is. Other packages have a module of that name too. */
function keepClientApart({ onResolve }) {
  onResolve({ filter: /^\.\/client$/ }, ({ importer }) =>
    importer === join(root, "src", "session.ts")
      ? { path: "./client.js", external: true }
      : undefined,
  );
}

/** The inputs of which something is in the bundle: of large libraries that is only a part. */
function usedInputs({ inputs, outputs }) {
  const [output] = Object.values(outputs);
  return Object.keys(inputs).filter((input) => output.inputs[input]?.bytesInOutput > 0);
}

async function licences(inputs) {
  const packages = inputs.map((input) => input.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0]);
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
