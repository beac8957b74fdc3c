// Fills bundled/: the server, and the pure-Python libraries it needs, so that the extension works
// with any Python 3.10+ that the user has. MEMLENS_PYTHON names the Python whose pip fetches them.

import { execFileSync } from "node:child_process";
import { cp, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const bundled = join(root, "bundled");
const libs = join(bundled, "libs");
const python = process.env.MEMLENS_PYTHON || "python3";

await rm(bundled, { recursive: true, force: true });
await mkdir(libs, { recursive: true });

const options = [
  ["--requirement", join(root, "requirements-server.txt")],
  ["--target", libs],
  // The oldest Python that the server runs on, and no compiled code: one bundle for every platform.
  ["--no-deps", "--only-binary=:all:", "--python-version", "3.10"],
  ["--implementation", "py", "--abi", "none", "--platform", "any"],
  [
    "--no-compile",
    "--quiet",
    "--quiet",
    "--disable-pip-version-check",
    "--no-warn-script-location",
  ],
];
execFileSync(python, ["-m", "pip", "install", ...options.flat()], {
  stdio: "inherit",
  env: { ...process.env, PIP_ROOT_USER_ACTION: "ignore" },
});
await rm(join(libs, "bin"), { recursive: true, force: true });
await keepOnlyLicences();

for (const [source, name] of [
  ["plugin", "memlens"],
  ["lsp_server", "memlens_lsp"],
]) {
  await cp(join(root, "..", source, name), join(libs, name), {
    recursive: true,
    filter: (path) => !path.endsWith("__pycache__"),
  });
}
// What marks link to.
await cp(
  join(root, "..", "docs", "diagnostics.md"),
  join(libs, "memlens", "docs", "diagnostics.md"),
);
await cp(join(root, "server", "memlens_server.py"), join(bundled, "memlens_server.py"));
await cp(join(root, "..", "LICENSE"), join(root, "LICENSE"));

/** Of each library's metadata: who made it, its version, and under which licence it may be shared. */
async function keepOnlyLicences() {
  for (const folder of await readdir(libs)) {
    if (!folder.endsWith(".dist-info")) {
      continue;
    }
    for (const file of await readdir(join(libs, folder))) {
      if (!/^(METADATA|licen[cs]es?|LICEN[CS]E.*|COPYING.*|AUTHORS.*)$/i.test(file)) {
        await rm(join(libs, folder, file), { recursive: true });
      }
    }
  }
}
