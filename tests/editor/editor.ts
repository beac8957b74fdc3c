// A real VS Code as a process: installed extension, fresh user data, and its end.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const READY_WITHIN_MS = 60_000;

/** Keeps the window quiet, so that what a test sees is memlens. */
const USER_SETTINGS = {
  "chat.disableAIFeatures": true,
  "editor.minimap.enabled": false,
  "extensions.ignoreRecommendations": true,
  "git.enabled": false,
  "security.workspace.trust.startupPrompt": "never",
  // Drawn on a canvas, a terminal's text could not be read.
  "terminal.integrated.gpuAcceleration": "off",
  "telemetry.telemetryLevel": "off",
  "update.mode": "none",
  // Pictures show what has come, not what is on its way.
  "workbench.reduceMotion": "on",
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "workbench.startupEditor": "none",
  "workbench.tips.enabled": false,
};

export interface EditorInputs {
  readonly editorHome: string;
  /** The packages of the extensions that are installed. */
  readonly extensions: readonly string[];
  /** What the user wrote as `memlens.interpreter`. */
  readonly interpreter: string;
  /** The user's settings, besides those that keep the window quiet. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Environment variables, besides those of the tests. */
  readonly environment: Readonly<Record<string, string>>;
  /** Whether every folder is trusted. If not, the user is to say so in the editor. */
  readonly trusting: boolean;
}

export class Editor {
  private constructor(
    private readonly process: ChildProcess,
    /** Everything that this editor writes. */
    private readonly folder: string,
    /** The folder that is open in it, or the first one of the workspace file. */
    readonly project: string,
    readonly url: string,
  ) {}

  /**
   * Starts an editor that keeps everything in `folder`, and waits until it answers. It shows the
   * project, or the workspace file if there is one.
   */
  static async start(
    folder: string,
    project: string,
    workspace: string | undefined,
    inputs: EditorInputs,
  ): Promise<Editor> {
    await writeJson(join(folder, "data", "User", "settings.json"), {
      ...USER_SETTINGS,
      ...inputs.settings,
    });
    await writeInterpreter(folder, inputs.interpreter);

    const program = join(inputs.editorHome, "node", "bin", "node");
    const script = join(
      inputs.editorHome,
      "node_modules",
      "code-server",
      "out",
      "node",
      "entry.js",
    );
    const common = [
      script,
      "--config",
      join(folder, "config.yaml"),
      "--user-data-dir",
      join(folder, "data"),
      "--extensions-dir",
      join(folder, "extensions"),
    ];
    const temporary = join(folder, "tmp");
    await mkdir(temporary);
    const env = {
      ...process.env,
      // Playwright's own, for its terminal.
      FORCE_COLOR: undefined,
      ...inputs.environment,
      TMPDIR: temporary,
      XDG_CACHE_HOME: join(folder, "cache"),
      XDG_CONFIG_HOME: join(folder, "config"),
      XDG_DATA_HOME: join(folder, "share"),
    };
    const installed = inputs.extensions.flatMap((vsix) => ["--install-extension", vsix]);
    await promisify(execFile)(program, [...common, ...installed], { env });

    const child = spawn(
      program,
      [
        ...common,
        "--auth=none",
        "--bind-addr=127.0.0.1:0",
        "--disable-telemetry",
        "--disable-update-check",
        ...(inputs.trusting ? ["--disable-workspace-trust"] : []),
        workspace ?? project,
      ],
      { env, stdio: ["ignore", "pipe", "pipe"] },
    );
    try {
      const address = await listening(child, join(folder, "code-server.log"));
      const shown = workspace === undefined ? { folder: project } : { workspace };
      return new Editor(child, folder, project, `${address}?${new URLSearchParams(shown)}`);
    } catch (error) {
      await stopTree(child);
      throw error;
    }
  }

  /** Ends the editor and every process that it started, the language server and pytest included. */
  async stop(): Promise<void> {
    await stopTree(this.process);
  }

  /** Changes `memlens.interpreter` where the user wrote it; the open window takes it up. */
  async changeInterpreter(interpreter: string): Promise<void> {
    await writeInterpreter(this.folder, interpreter);
  }

  /** The processes that this editor started whose command line contains `text`, by their ids. */
  async processes(text: string): Promise<number[]> {
    const all = this.process.pid === undefined ? [] : await descendants(this.process.pid);
    const lines = await Promise.all(all.map(commandLine));
    return all.filter((_, index) => lines[index]?.includes(text));
  }

  /** Copies the logs of the editor, of its extensions and of the language server. */
  async saveLogs(target: string): Promise<void> {
    await cp(join(this.folder, "data", "logs"), target, { recursive: true, force: true });
    await cp(join(this.folder, "code-server.log"), join(target, "code-server.log"));
  }
}

/** Writes the setting where the editor looks for paths: they are of the machine that runs extensions. */
async function writeInterpreter(folder: string, interpreter: string): Promise<void> {
  await writeJson(join(folder, "data", "Machine", "settings.json"), {
    "memlens.interpreter": interpreter,
  });
}

/** The address that the editor says it listens on; its output goes to `logFile` from the start. */
async function listening(child: ChildProcess, logFile: string): Promise<string> {
  const log = createWriteStream(logFile);
  let output = "";
  return new Promise((resolve, reject) => {
    const fail = (what: string) => reject(new Error(`VS Code ${what}. Its output:\n${output}`));
    const timer = setTimeout(() => fail("was not ready in time"), READY_WITHIN_MS);
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      fail(`ended with ${signal ?? `code ${code}`} before it was ready`);
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        log.write(chunk);
        output += chunk.toString();
        const address = output.match(/HTTP server listening on (http:\/\/\S+)/)?.[1];
        if (address !== undefined) {
          clearTimeout(timer);
          resolve(address.endsWith("/") ? address : `${address}/`);
        }
      });
    }
  });
}

async function stopTree(root: ChildProcess): Promise<void> {
  if (root.pid === undefined) {
    return;
  }
  // All are noted first: once a parent is gone its children cannot be found any more.
  const tree = [root.pid, ...(await descendants(root.pid))];
  for (const pid of tree) {
    kill(pid);
  }
  if (root.exitCode === null && root.signalCode === null) {
    await once(root, "exit");
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself, as its parent did.
  }
}

async function descendants(root: number): Promise<number[]> {
  const children = new Map<number, number[]>();
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) {
      continue;
    }
    const stat = await readFile(`/proc/${entry}/stat`, "utf8").catch(() => "");
    // The name before the state may hold any character; after its last bracket: state, parent, …
    const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const found = [...(children.get(root) ?? [])];
  for (const pid of found) {
    found.push(...(children.get(pid) ?? []));
  }
  return found;
}

/** The words of a process's command line, with a space between them; empty once it has ended. */
async function commandLine(pid: number): Promise<string> {
  const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  return line.replaceAll("\0", " ").trim();
}

export async function writeJson(file: string, value: unknown): Promise<void> {
  await mkdir(join(file, ".."), { recursive: true });
  await writeFile(file, JSON.stringify(value, null, 2));
}
