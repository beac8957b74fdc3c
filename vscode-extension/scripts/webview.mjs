// Bundles what the flame graph panel shows: web/src/panel as one script and one style.

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const common = {
  absWorkingDir: fileURLToPath(new URL("..", import.meta.url)),
  bundle: true,
  // What VS Code 1.100 shows pages with.
  target: "chrome132",
  minify: true,
  metafile: true,
  logLevel: "warning",
};

/** Writes panel.js and panel.css into `folder`. Returns what esbuild says went into the script. */
export async function buildWebview(folder) {
  const { metafile } = await build({
    ...common,
    entryPoints: ["../web/src/panel/panel.ts"],
    outfile: join(folder, "panel.js"),
    format: "iife",
    // The library's own style sets fonts and colours that are not the theme's.
    loader: { ".css": "empty" },
  });
  await build({
    ...common,
    entryPoints: ["../web/src/panel/panel.css"],
    outfile: join(folder, "panel.css"),
  });
  return metafile;
}
