// What the tests are given from outside. Anything missing is an error that says what to run.

import { existsSync } from "node:fs";

const CHROMIUM_PATHS = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome-stable",
];

export interface Environment {
  /** The folder that scripts/install-editor.sh prints. */
  readonly editorHome: string;
  /** The packaged extension. */
  readonly vsix: string;
  /** The Python of an environment with pytest-memlens and without the server's libraries. */
  readonly userPython: string;
}

export function environment(): Environment {
  return {
    editorHome: existing("MEMLENS_EDITOR_HOME"),
    vsix: existing("MEMLENS_VSIX"),
    userPython: existing("MEMLENS_USER_PYTHON"),
  };
}

export function chromiumPath(): string {
  const path = process.env.MEMLENS_CHROMIUM ?? CHROMIUM_PATHS.find((path) => existsSync(path));
  if (path === undefined) {
    throw new Error(
      "The editor tests need Chromium: install your system's package (Debian: chromium), or name the browser in MEMLENS_CHROMIUM.",
    );
  }
  return path;
}

function existing(name: string): string {
  const path = process.env[name];
  if (!path) {
    throw new Error(`${name} is not set: run the editor tests with "make test-editor".`);
  }
  if (!existsSync(path)) {
    throw new Error(`${name} names ${path}, which is not there: run "make test-editor".`);
  }
  return path;
}
