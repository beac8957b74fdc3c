// What the palette, menus, keys and the Memory view can ask for.

import * as vscode from "vscode";

import { reason, withoutLinks } from "./plainWords";
import { COMMAND_LINE, type CommandLine, type RunArgument, TEST_AT, type TestAt } from "./protocol";
import { debug } from "./running/debugging";
import { isReadyToRun, type Runs } from "./running/runs";
import { type Place, requestsFor } from "./running/selected";
import { runInTerminal } from "./running/terminal";
import type { Server } from "./server";
import type { Node } from "./tests/tree";
import type { MemoryView } from "./tests/view";

type How = (argument: RunArgument) => Promise<unknown>;

export function registerCommands(server: Server, runs: Runs, view: MemoryView): vscode.Disposable {
  const commandLines = async (argument: RunArgument): Promise<readonly CommandLine[]> =>
    (await isReadyToRun()) && (await server.ensureRunning())
      ? server.request<readonly CommandLine[]>(COMMAND_LINE, argument)
      : [];

  const inBackground: How = (argument) => runs.run(argument);
  const inTerminal: How = async (argument) => {
    for (const line of await commandLines(argument)) {
      void runInTerminal({
        ...line,
        name: `memlens: ${line.title}`,
        folder: vscode.Uri.parse(line.folder),
      });
    }
  };
  const inDebugger: How = async (argument) => {
    // One at a time: a second debugger would only be confusing.
    const [line] = await commandLines(argument);
    if (line !== undefined) {
      await debug(line);
    }
  };

  /** Runs the test or class that the cursor is in, else the file. */
  const atCursor = (how: How) => async () => {
    const at = await testAtCursor(server);
    if (at !== undefined) {
      await how(at.run);
    }
  };
  // The menu names the file, or several; the palette does not.
  const file = (how: How) => async (clicked?: vscode.Uri, selected?: readonly vscode.Uri[]) => {
    const active = vscode.window.activeTextEditor?.document.uri;
    const one = clicked ?? active;
    if (selected === undefined || selected.length < 2) {
      if (one !== undefined) {
        await how({ uri: one.toString() });
      }
    } else if (await isReadyToRun()) {
      // Asked once for all.
      await Promise.all(requestsFor(await Promise.all(selected.map(placeOf))).map(how));
    }
  };
  const node = (how: How) => async (node?: Node) => {
    if (node !== undefined) {
      await how(argumentOf(node));
    }
  };

  const commands: Readonly<Record<string, (...args: never[]) => unknown>> = {
    runAtCursor: atCursor(inBackground),
    runAtCursorInTerminal: atCursor(inTerminal),
    debugAtCursor: atCursor(inDebugger),
    runFile: file(inBackground),
    runFileInTerminal: file(inTerminal),
    runAll: () => inBackground({ workspace: true }),
    runFailed: () => inBackground({ failed: true }),
    rerunLast: () => inBackground({ last: true }),
    "tests.run": node(inBackground),
    "tests.runInTerminal": node(inTerminal),
    "tests.debug": node(inDebugger),
    "tests.open": openTest,
    "tests.showFlameGraph": (node?: Node) => show("memlens.showFlameGraph", node),
    "tests.showHistory": (node?: Node) => show("memlens.showHistory", node),
    "tests.copyId": (node?: Node) =>
      node?.kind === "test" && vscode.env.clipboard.writeText(node.test.id),
    "tests.sortByPeak": () => view.show({ order: "peak" }),
    "tests.sortByGrowth": () => view.show({ order: "growth" }),
    "tests.sortByShare": () => view.show({ order: "share" }),
    "tests.sortByName": () => view.show({ order: "name" }),
    "tests.showAll": () => view.show({ only: "all", name: "" }),
    "tests.showOver": () => view.show({ only: "over" }),
    "tests.showLeaking": () => view.show({ only: "leaking" }),
    "tests.filterByName": () => view.askForName(),
    "tests.viewAsList": () => view.show({ flat: true }),
    "tests.viewAsTree": () => view.show({ flat: false }),
  };
  return vscode.Disposable.from(
    ...Object.entries(commands).map(([name, command]) =>
      vscode.commands.registerCommand(`memlens.${name}`, async (...args: never[]) => {
        try {
          await command(...args);
        } catch (error) {
          // VS Code would show a dialog about a command that "resulted in an error".
          void vscode.window.showErrorMessage(`memlens: ${reason(error)}`);
        }
      }),
    ),
  );
}

async function placeOf(uri: vscode.Uri): Promise<Place> {
  const { type } = await vscode.workspace.fs.stat(uri);
  return {
    uri: uri.toString().replace(/\/$/, ""),
    isFolder: (type & vscode.FileType.Directory) !== 0,
  };
}

/** The test, class or file at the cursor. Says so if there is none. */
async function testAtCursor(server: Server): Promise<TestAt | undefined> {
  const editor = vscode.window.activeTextEditor;
  if (editor === undefined || !(await server.ensureRunning())) {
    return undefined;
  }
  const at = await server.request<TestAt | null>(TEST_AT, {
    uri: editor.document.uri.toString(),
    line: editor.selection.active.line,
  });
  if (at === null) {
    void vscode.window.showInformationMessage("memlens: there is no test in this file.");
  }
  return at ?? undefined;
}

/** Returns what runs a node of the Memory view. */
export function argumentOf(node: Node): RunArgument {
  switch (node.kind) {
    case "project":
    case "file":
      return { uri: node.uri };
    case "test":
      return { uri: node.uri, test: node.test.test };
    default:
      return { uri: node.uri, test: node.inFile };
  }
}

async function openTest(node?: Node): Promise<void> {
  if (node === undefined) {
    return;
  }
  const line = node.kind === "test" ? node.test.line : (node.tests[0]?.line ?? 0);
  try {
    await vscode.window.showTextDocument(vscode.Uri.parse(node.uri), {
      selection: new vscode.Range(line, 0, line, 0),
      // The tree keeps the keyboard, so that one can go on looking.
      preserveFocus: true,
    });
  } catch {
    void vscode.window.showWarningMessage(
      withoutLinks(`memlens: ${vscode.Uri.parse(node.uri).fsPath} is not there any more.`),
    );
  }
}

async function show(command: string, node?: Node): Promise<void> {
  if (node?.kind === "test") {
    await vscode.commands.executeCommand(command, { uri: node.uri, test: node.test.test });
  }
}
