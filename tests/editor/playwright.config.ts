// How the end-to-end tests run: one real VS Code at a time, in the system's Chromium.

import { defineConfig } from "@playwright/test";

import { chromiumPath } from "./environment";

export default defineConfig({
  testDir: ".",
  // `make screenshots` takes pictures and nothing else.
  testMatch: process.env.MEMLENS_PICTURES ? "pictures.ts" : "*.spec.ts",
  outputDir: "artifacts",
  workers: 1,
  forbidOnly: !!process.env.CI,
  reporter: "list",
  // VS Code itself sometimes drops a click or a lens on a slow machine. What fails twice is ours; what
  // fails once is told as flaky, with its trace.
  retries: process.env.CI ? 1 : 0,
  timeout: 180_000,
  expect: { timeout: 30_000 },
  use: {
    viewport: { width: 1280, height: 800 },
    trace: "retain-on-failure",
    launchOptions: {
      executablePath: chromiumPath(),
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});
