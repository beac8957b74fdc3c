// Writes dist/README.md, the page of the packaged extension. VS Code shows no picture there that comes
// with the extension, only such that have a public address: MEMLENS_PICTURES_URL says where they are.
// Without it they are left out.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const address = process.env.MEMLENS_PICTURES_URL?.replace(/\/*$/, "/");
const text = await readFile(join(root, "README.md"), "utf8");
const PICTURE = /^!\[([^\]]*)\]\((?!https:)([^)]*)\)\n\n/gm;

await mkdir(join(root, "dist"), { recursive: true });
await writeFile(
  join(root, "dist", "README.md"),
  address === undefined
    ? text.replaceAll(PICTURE, "")
    : text.replaceAll(PICTURE, (_, words, path) => `![${words}](${new URL(path, address)})\n\n`),
);
