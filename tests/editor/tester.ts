// What a user does and sees in VS Code. Every selector of the end-to-end tests is in this class.

import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect, type FrameLocator, type Locator, type Page } from "@playwright/test";

export type Severity = "error" | "warning" | "info";

/** Starting the editor's window, and running a test under memray on a slow machine. */
const SLOW = { timeout: 60_000 };

export class Tester {
  private screenshots = 0;

  constructor(
    private readonly page: Page,
    private readonly project: string,
    private readonly artifact: (name: string) => string,
  ) {}

  async openWorkbench(url: string): Promise<void> {
    await this.page.goto(url);
    await expect(this.page.locator(".monaco-workbench .explorer-folders-view")).toBeVisible(SLOW);
    // Among the last that come. Before that, a window drops the wish to open a panel.
    await expect(this.page.locator('[id="status.problems"]')).toBeVisible(SLOW);
  }

  /** Opens a file of a project by its path, at the first line that contains `at`. */
  async open(path: string, at = "", folder = this.project): Promise<void> {
    const lines = (await readFile(join(folder, path), "utf8")).split("\n");
    const line = lines.findIndex((text) => text.includes(at)) + 1;
    expect(line, `${path} has a line with ${at}`).toBeGreaterThan(0);

    await this.goTo(path, `:${line}`);
    await expect(
      this.page.locator(".editor-instance .view-line", { hasText: at }).first(),
    ).toBeVisible();
  }

  /** Opens a file of the project that VS Code shows in a table of its own: a heap profile. */
  async openTable(path: string): Promise<void> {
    await this.goTo(path);
    await expect(this.tableRow("").first()).toBeVisible(SLOW);
  }

  /** A row of the open heap profile: a function with what it held. */
  tableRow(text: string): Locator {
    return this.page
      .frameLocator("iframe.webview.ready")
      .frameLocator("iframe#active-frame")
      .getByRole("treeitem")
      .filter({ hasText: text });
  }

  /** Shows what a row's function called. */
  async expandTableRow(text: string): Promise<void> {
    const row = this.tableRow(text);
    await row.click();
    await expect(row).toHaveAttribute("aria-expanded", "true");
  }

  /** Follows a row's link to the source, and waits until the cursor is on that line of it. */
  async followTableRow(row: Locator, file: string, line: number): Promise<void> {
    await row.getByRole("link").click();
    await expect(this.page.locator(`.tab.active[data-resource-name="${file}"]`)).toBeVisible(SLOW);
    await expect(this.page.locator("[id='status.editor.selection']")).toHaveText(
      `Ln ${line}, Col 1`,
    );
  }

  /** The page that the open panel shows, the flame graph's say. */
  get panel(): FrameLocator {
    return this.page.frameLocator("iframe.webview.ready").frameLocator("iframe#active-frame");
  }

  /** A frame of the flame graph, by its function and what is written behind it. */
  flameFrame(text: string | RegExp): Locator {
    return this.panel.locator("g.frame", { hasText: text }).first();
  }

  /** A run in the strip above the flame graph; the first is the oldest. */
  run(index: number): Locator {
    return this.panel.getByRole("listbox").getByRole("option").nth(index);
  }

  /** Waits until a file is seen, without being the one that listens to keys. */
  async seeBeside(file: string, line: string): Promise<void> {
    await expect(this.page.locator(`.tab[data-resource-name="${file}"]`).first()).toBeVisible();
    await expect(
      this.page.locator(".editor-instance .view-line", { hasText: line }).first(),
    ).toBeVisible();
  }

  /** Chooses a colour theme, and waits until the window and a panel that is open have it. */
  async chooseTheme(name: string): Promise<void> {
    await this.runCommand("Preferences: Color Theme");
    await this.pick(name);
    const kind = THEME_KINDS[name] ?? "vs";
    await expect(this.page.locator(".monaco-workbench")).toHaveClass(
      new RegExp(`(^| )${kind}( |$)`),
    );
    if ((await this.page.locator("iframe.webview.ready").count()) > 0) {
      await expect(this.panel.locator("body")).toHaveAttribute("data-vscode-theme-name", name);
    }
  }

  /** Picks an entry of the list that a command has opened. */
  async pick(name: string): Promise<void> {
    const input = this.page.locator(QUICK_INPUT);
    await expect(input).toBeFocused();
    await input.fill(name);
    await expect(
      this.page.locator(".quick-input-list .monaco-list-row.focused", { hasText: name }),
    ).toBeVisible();
    await this.page.keyboard.press("Enter");
    await expect(input).toBeHidden();
  }

  /** Loads the editor's window again. */
  async reloadWindow(): Promise<void> {
    await this.openWorkbench(this.page.url());
  }

  /** Waits until the lenses over a test match, and answers their texts. */
  async seeLenses(test: string, expected: RegExp): Promise<void> {
    await expect
      .poll(async () => (await this.lensesOver(test))?.text ?? "none", {
        ...SLOW,
        message: `the code lenses over ${test}`,
      })
      .toMatch(expected);
  }

  /** A lens over any line, whoever's it is. */
  lens(text: string): Locator {
    return this.page.locator(LENSES, { hasText: text }).first();
  }

  async clickLens(test: string, title: string): Promise<void> {
    await this.seeLenses(test, new RegExp(title));
    const lenses = await this.lensesOver(test);
    await this.page
      .locator(LENSES)
      .nth(lenses?.index ?? -1)
      .locator("a", { hasText: title })
      .click();
  }

  /** Waits until a squiggle of that severity runs under the whole of `text` in the open editor. */
  async seeSquiggle(severity: Severity, text: string): Promise<void> {
    await expect
      .poll(() => this.page.evaluate(squiggleUnder, { severity, text }), {
        ...SLOW,
        message: `a squiggle (${severity}) under ${text}`,
      })
      .toBe(true);
  }

  /** Waits until no squiggle of that severity runs under `text`, which is in view. */
  async seeNoSquiggle(severity: Severity, text: string): Promise<void> {
    await expect(this.editorLine(text)).toBeVisible();
    await expect
      .poll(() => this.page.evaluate(squiggleUnder, { severity, text }), {
        ...SLOW,
        message: `a squiggle (${severity}) under ${text}`,
      })
      .toBe(false);
  }

  /** Points at the first visible occurrence of `text` in the open editor, and answers what shows up. */
  async hover(text: string): Promise<Locator> {
    const place = await this.placeOf(text);
    const hover = this.page.locator(".monaco-resizable-hover .monaco-hover-content");
    // Again from elsewhere if the editor was not ready to say anything.
    await expect(async () => {
      // One that is there already would stay as it was.
      await this.page.keyboard.press("Escape");
      await this.page.mouse.move(place.x + 300, place.y + 100);
      await this.page.mouse.move(place.x, place.y);
      await expect(hover).toBeVisible({ timeout: 3_000 });
    }).toPass(SLOW);
    return hover;
  }

  /** Sets the cursor into the first visible occurrence of `text` in the open editor. */
  async clickText(text: string): Promise<void> {
    const place = await this.placeOf(text);
    await this.page.mouse.click(place.x, place.y);
  }

  /** Opens the quick fixes at the cursor, and answers the first with that title. */
  async openQuickFix(title: string | RegExp): Promise<Locator> {
    const fix = this.page
      .locator(".action-widget .monaco-list-row.action", { hasText: title })
      .first();
    // Again while the editor does not know yet what is marked.
    await expect(async () => {
      await this.page.keyboard.press("Control+.");
      await expect(fix).toBeVisible({ timeout: 3_000 });
    }).toPass(SLOW);
    return fix;
  }

  /** Presses keys, as in "Control+Home", one after the other. */
  async press(...keys: string[]): Promise<void> {
    for (const key of keys) {
      await this.page.keyboard.press(key);
    }
  }

  /** A line of the open editor. */
  editorLine(text: string): Locator {
    return this.page.locator(".editor-instance .view-line", { hasText: text }).first();
  }

  async openProblems(): Promise<void> {
    const panel = this.page.locator(".markers-panel");
    if (!(await panel.isVisible())) {
      await this.page.keyboard.press("Control+Shift+M");
    }
    await expect(panel).toBeVisible();
  }

  /** The tabs of files with changes that are not saved. */
  get unsaved(): Locator {
    return this.page.locator(".tab.dirty");
  }

  /** How far each text of the Memory view and of the status bar is from what is behind it. */
  async contrasts(): Promise<Contrast[]> {
    const rows = this.memoryView.locator(".monaco-list-row .monaco-icon-label-container");
    const status = this.statusBar.locator("a");
    return [...(await rows.evaluateAll(contrastsOf)), ...(await status.evaluateAll(contrastsOf))];
  }

  /** Opens the Memory view by a click on the status bar. */
  async openMemoryView(): Promise<void> {
    await this.statusBar.click();
    await expect(this.memoryView).toBeVisible();
  }

  /** What the extension shows in the status bar. */
  get statusBar(): Locator {
    return this.page.locator('[id="memlens.memlens.memlens.status"]');
  }

  /** When the status bar says this, in milliseconds as of Date.now(), measured in the page. */
  whenStatusBarSays(words: string): Promise<number> {
    return this.statusBar.evaluate(whenItSays, words);
  }

  /** Waits until nothing turns in the status bar any more. */
  async seeNoSpinner(): Promise<void> {
    await expect(this.statusBar).toBeVisible();
    await expect(this.statusBar.locator(".codicon-modifier-spin")).toHaveCount(0, SLOW);
  }

  /** The text of the terminal that is shown. */
  get terminal(): Locator {
    // The second one is the command that stays in sight above what it printed.
    return this.page.locator(".terminal-wrapper.active .xterm-rows").first();
  }

  /** The Memory view in the Testing side bar. */
  get memoryView(): Locator {
    return this.page.locator(".pane", {
      has: this.page.locator('.pane-header[aria-label^="Memory"]'),
    });
  }

  /** A row of the Memory view: a file, a class or a test. */
  memoryRow(text: string | RegExp): Locator {
    return this.memoryView.locator(".monaco-list-row", { hasText: text }).first();
  }

  /** The names in the Memory view's rows, from top to bottom, without the sizes before them. */
  memoryLabels(): Promise<string[]> {
    return this.memoryView.locator(".monaco-list-row").evaluateAll((rows) =>
      rows
        .map((row) => ({
          top: row.getBoundingClientRect().top,
          label: (row.querySelector(".label-name")?.textContent ?? "").replace(/^.*?\s{2}/, ""),
        }))
        .sort((one, other) => one.top - other.top)
        .map(({ label }) => label),
    );
  }

  /** Presses a button that a row of the Memory view shows under the pointer. */
  async pressRowButton(row: Locator, title: string): Promise<void> {
    await row.hover();
    await row.getByRole("button", { name: title }).click();
  }

  /** Presses a button in the Memory view's title, which is that of the whole side bar. */
  async pressInMemoryView(button: string): Promise<void> {
    await this.page
      .getByRole("toolbar", { name: "Testing actions" })
      .getByRole("button", { name: button })
      .click();
  }

  /** Chooses an entry of the menu behind a button in the Memory view's title. */
  async chooseInMemoryView(button: string, entry: string): Promise<void> {
    await this.pressInMemoryView(button);
    const item = this.page.getByRole("menuitem", { name: entry });
    // A menu takes no click in its first moment: it could be the one that opened it.
    await expect(async () => {
      await item.click({ timeout: 2_000 });
      await expect(item).toBeHidden({ timeout: 1_000 });
    }).toPass(SLOW);
  }

  /** Waits until the cursor is on that line of that file. */
  async seeCursorAt(file: string, line: number): Promise<void> {
    await expect(this.page.locator(`.tab.active[data-resource-name="${file}"]`)).toBeVisible(SLOW);
    await expect(this.page.locator("[id='status.editor.selection']")).toHaveText(
      new RegExp(`^Ln ${line}, Col`),
    );
  }

  /** A row of the Problems panel: a file, a diagnostic, or a place that a diagnostic refers to. */
  problem(text: string | RegExp): Locator {
    return this.page.locator(".markers-panel .monaco-list-row", { hasText: text }).first();
  }

  /** Shows the places that a diagnostic in the Problems panel refers to. */
  async expandProblem(text: string | RegExp): Promise<void> {
    const row = this.problem(text);
    await expect(row).toBeVisible();
    if ((await row.getAttribute("aria-expanded")) === "false") {
      await row.locator(".monaco-tl-twistie").click();
    }
    await expect(row).toHaveAttribute("aria-expanded", "true");
  }

  /** Runs a command by its title in the command palette. */
  async runCommand(title: string): Promise<void> {
    await this.page.keyboard.press("F1");
    const input = this.page.locator(QUICK_INPUT);
    await expect(input).toBeFocused();
    await input.fill(`>${title}`);
    // The first is not always the one: what was run last, or fits better, comes before it.
    await this.page
      .locator(".quick-input-list .monaco-list-row", { hasText: title })
      .first()
      .click();
    // The command may show a list of its own in the same place.
    await expect
      .poll(async () => (await input.isVisible()) && (await input.inputValue()).startsWith(">"))
      .toBe(false);
  }

  notification(text: string): Locator {
    return this.page.locator(".notification-toast", { hasText: text });
  }

  /** As `notification`, of the list behind the bell: what came too quickly is shown only there. */
  async listedNotification(text: string): Promise<Locator> {
    const list = this.page.locator(".notifications-center");
    if (!(await list.isVisible())) {
      await this.page.locator('[id="status.notifications"]').click();
    }
    await expect(list).toBeVisible();
    return list.locator(".notification-list-item", { hasText: text });
  }

  /** A button of a message. */
  button(message: Locator, label: string): Locator {
    return message.locator(".monaco-button", { hasText: label });
  }

  async pressButton(message: Locator, label: string): Promise<void> {
    await this.button(message, label).click();
  }

  /** Trusts the open workspace, in the editor for that, and closes it. */
  async trust(): Promise<void> {
    await this.trustEditor.getByRole("button", { name: "Trust", exact: true }).click();
    await expect(this.trustEditor).toContainText("You trust this folder");
    await this.closeModal();
  }

  /** Where the user decides about trust. */
  get trustEditor(): Locator {
    return this.page.locator(".workspace-trust-editor");
  }

  /** What VS Code says of the extension in its list of those that run. */
  async openRunningExtension(): Promise<Locator> {
    await this.runCommand("Developer: Show Running Extensions");
    const extension = this.page.locator(".runtime-extensions-editor .extension", {
      hasText: "memlens: test memory",
    });
    // The slowest come first, and only rows in view are in the page.
    await this.page.locator(".runtime-extensions-editor .monaco-list").hover();
    await expect(async () => {
      await this.page.mouse.wheel(0, 150);
      await expect(extension.locator(".activation-time")).toHaveText(/\d+\s*ms/, {
        timeout: 1_000,
      });
    }).toPass(SLOW);
    return extension;
  }

  /** Closes an editor that stands before all others. */
  async closeModal(): Promise<void> {
    const modal = this.page.locator(".monaco-modal-editor-block");
    await modal.locator('.action-label[aria-label^="Close"]').first().click();
    await expect(modal).toBeHidden();
  }

  /** A breakpoint in the open editor. */
  get breakpoint(): Locator {
    return this.page.locator(".editor-instance .codicon-debug-breakpoint").first();
  }

  /** The buttons of a debugging session that goes on. */
  get debugToolbar(): Locator {
    return this.page.locator(".debug-toolbar");
  }

  /** Waits until the debugger has stopped at a line of the open editor. */
  async seeStoppedAt(text: string): Promise<void> {
    const mark = this.page.locator(".editor-instance .debug-top-stack-frame-line").first();
    await expect(mark).toBeVisible(SLOW);
    await expect
      .poll(async () => {
        const boxes = [await mark.boundingBox(), await this.editorLine(text).boundingBox()];
        return Math.abs((boxes[0]?.y ?? 0) - (boxes[1]?.y ?? Number.POSITIVE_INFINITY));
      })
      .toBeLessThan(2);
  }

  /** Opens the settings editor on what is sought. */
  async openSettings(sought: string): Promise<void> {
    // Those of the user do not have what belongs to the machine where this window runs.
    await this.runCommand("Preferences: Open Workspace Settings");
    await expect(this.page.locator(".settings-editor")).toBeVisible(SLOW);
    // The search box has the keyboard then.
    await this.page.keyboard.type(sought);
  }

  /** Waits until the settings editor shows a setting. */
  async seeSetting(name: string): Promise<void> {
    await expect(this.page.locator(`.settings-editor [data-key="${name}"]`).first()).toBeVisible();
  }

  /** Waits until the output that is shown has a line with this text, wherever it is. */
  async seeOutput(text: string): Promise<void> {
    // Only lines in view are in the page, and what else is logged meanwhile scrolls them away.
    const filter = this.page.getByPlaceholder(/^Filter \(e\.g\. text/);
    const line = this.page.locator(".output-view .view-line", { hasText: text }).first();
    await expect(async () => {
      if (await line.isVisible()) {
        return;
      }
      // A panel that is still opening may keep what is filled in without filtering by it, and does
      // not notice that the same is filled in again.
      await filter.fill("", { timeout: 2_000 });
      await filter.fill(text, { timeout: 2_000 });
      await expect(line).toBeVisible({ timeout: 2_000 });
    }).toPass(SLOW);
  }

  /** No message that the user would have to close. */
  async seeNoNotifications(): Promise<void> {
    await expect(this.page.locator(".notification-toast")).toHaveCount(0);
  }

  /** Saves what the window shows now, numbered in the order taken. */
  async screenshot(what: string): Promise<void> {
    this.screenshots += 1;
    const number = String(this.screenshots).padStart(2, "0");
    const name = `${number}-${what.replaceAll(/\W+/g, "-")}.png`;
    await this.page.screenshot({ path: this.artifact(name) });
  }

  /** Saves what the window shows now as files of the repository. */
  async picture(...files: string[]): Promise<void> {
    // Neither a tooltip nor a highlighted row: the pointer is in nobody's way.
    await this.page.mouse.move(0, 0);
    await expect(this.page.locator(".monaco-hover.workbench-hover")).toHaveCount(0);
    for (const path of files) {
      await this.page.screenshot({ path });
    }
  }

  /** As `picture`, of the editors only, or of one group of them. */
  async pictureOfEditors(file: string, group?: number): Promise<void> {
    await this.page.mouse.move(0, 0);
    const all = this.page.locator(".part.editor");
    const shown = group === undefined ? all : all.locator(".editor-group-container").nth(group);
    await shown.screenshot({ path: file });
  }

  /** As `picture`, of one setting only. */
  async pictureOfSetting(name: string, file: string): Promise<void> {
    await this.page
      .locator(".settings-editor .setting-item-contents", {
        has: this.page.locator(`[data-key="${name}"]`),
      })
      .or(this.page.locator(`.settings-editor .setting-item-contents[data-key="${name}"]`))
      .first()
      .screenshot({ path: file });
  }

  /** Makes the side bar wider, by so many pixels. */
  async widenSideBar(by: number): Promise<void> {
    const bar = await this.page.locator(".part.sidebar").boundingBox();
    const x = (bar?.x ?? 0) + (bar?.width ?? 0);
    await this.page.mouse.move(x + 2, 400);
    await this.page.mouse.down();
    await this.page.mouse.move(x + 2 + by, 400, { steps: 5 });
    await this.page.mouse.up();
  }

  async closePanel(): Promise<void> {
    await this.page
      .locator(".part.panel")
      .getByRole("button", { name: /^Hide Panel/ })
      .click();
    await expect(this.page.locator(".part.panel")).toBeHidden();
  }

  /** Opens a file of the project, and what may follow its path, by the quick open box. */
  private async goTo(path: string, place = ""): Promise<void> {
    const input = this.page.locator(QUICK_INPUT);
    // Again while the window is still starting and does not listen to keys.
    await expect(async () => {
      await this.page.keyboard.press("Control+P");
      await expect(input).toBeFocused({ timeout: 1_000 });
    }).toPass(SLOW);
    await input.fill(`${path}${place}`);
    const focused = this.page.locator(".quick-input-list .monaco-list-row.focused .label-name");
    await expect(focused).toHaveText(basename(path));
    await this.page.keyboard.press("Enter");
    await expect(
      this.page.locator(`.tab.active[data-resource-name="${basename(path)}"]`),
    ).toBeVisible();
  }

  /** The middle of the first visible occurrence of a text in the open editor, when it has settled. */
  private async placeOf(text: string): Promise<{ x: number; y: number }> {
    let place: { x: number; y: number } | undefined;
    await expect(async () => {
      const before = place;
      place = await this.page.evaluate(middleOf, text);
      expect(place, `${text} stays where it is`).toBeDefined();
      expect(place).toEqual(before);
    }).toPass(SLOW);
    return place ?? { x: 0, y: 0 };
  }

  private lensesOver(test: string): Promise<Lenses | undefined> {
    return this.page.evaluate(lensesOver, { lenses: LENSES, definition: `def ${test}(` });
  }
}

/** The colours of themes that are not light. */
const THEME_KINDS: Readonly<Record<string, string>> = {
  "Dark Modern": "vs-dark",
  "Dark 2026": "vs-dark",
  "Dark High Contrast": "hc-black",
  "Light High Contrast": "hc-light",
};
const QUICK_INPUT = ".quick-input-widget input[type=text]";
const LENSES = ".editor-instance .codelens-decoration";

export interface Contrast {
  readonly text: string;
  /** From 1, the same colour, to 21, black on white. */
  readonly contrast: number;
}

interface Lenses {
  /** Which of all the editor's groups of lenses this is. */
  readonly index: number;
  readonly text: string;
}

// The functions below run in the page, so each is complete in itself.

/** The group of lenses that stands over a definition, or over the decorators above it. */
function lensesOver(sought: { lenses: string; definition: string }): Lenses | undefined {
  const plain = (element: Element) => (element.textContent ?? "").replaceAll("\u00a0", " ");
  const top = (element: Element) => element.getBoundingClientRect().top;
  const rows = [
    ...[...document.querySelectorAll(".editor-instance .view-line")].map((element) => ({
      top: top(element),
      text: plain(element).trim(),
      index: -1,
    })),
    ...[...document.querySelectorAll(sought.lenses)].map((element, index) => ({
      top: top(element),
      text: plain(element),
      index,
    })),
  ].sort((one, other) => one.top - other.top);
  const definition = rows.findIndex(
    (row) => row.index < 0 && row.text.startsWith(sought.definition),
  );
  for (const row of rows.slice(0, Math.max(definition, 0)).reverse()) {
    if (row.index >= 0) {
      return { index: row.index, text: row.text };
    }
    if (!row.text.startsWith("@")) {
      break;
    }
  }
  return undefined;
}

/** Whether a squiggle runs under every character of the first visible occurrence of a text. */
function squiggleUnder(sought: { severity: string; text: string }): boolean {
  const tolerance = 2; // pixels, as positions are rounded
  for (const line of document.querySelectorAll(".editor-instance .view-line")) {
    const start = (line.textContent ?? "").replaceAll("\u00a0", " ").indexOf(sought.text);
    if (start < 0) {
      continue;
    }
    const range = document.createRange();
    const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
    let offset = 0;
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      const length = node.textContent?.length ?? 0;
      const end = start + sought.text.length;
      if (offset <= start && start < offset + length) {
        range.setStart(node, start - offset);
      }
      if (offset < end && end <= offset + length) {
        range.setEnd(node, end - offset);
      }
      offset += length;
    }
    const text = range.getBoundingClientRect();
    const squiggles = document.querySelectorAll(`.editor-instance .squiggly-${sought.severity}`);
    return [...squiggles].some((squiggle) => {
      const box = squiggle.getBoundingClientRect();
      return (
        box.left <= text.left + tolerance &&
        box.right >= text.right - tolerance &&
        box.top < text.bottom &&
        box.bottom > text.top
      );
    });
  }
  return false;
}

/** The middle of the first visible occurrence of a text in the open editor. */
function middleOf(sought: string): { x: number; y: number } | undefined {
  for (const line of document.querySelectorAll(".editor-instance .view-line")) {
    const start = (line.textContent ?? "").replaceAll("\u00a0", " ").indexOf(sought);
    const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
    let left = start + Math.floor(sought.length / 2);
    for (let node = walker.nextNode(); start >= 0 && node !== null; node = walker.nextNode()) {
      const length = node.textContent?.length ?? 0;
      if (left < length) {
        const range = document.createRange();
        range.setStart(node, left);
        range.setEnd(node, left + 1);
        const box = range.getBoundingClientRect();
        return { x: box.left + box.width / 2, y: box.top + box.height / 2 };
      }
      left -= length;
    }
  }
  return undefined;
}

/** When an element's text contains some words. */
function whenItSays(element: Element, words: string): Promise<number> {
  // The element is replaced when its text changes, so what is watched is what stays.
  const { id, ownerDocument } = element;
  const says = () => ownerDocument.getElementById(id)?.textContent?.includes(words) ?? false;
  return new Promise((resolve) => {
    const observer = new MutationObserver(() => {
      if (says()) {
        observer.disconnect();
        resolve(Date.now());
      }
    });
    observer.observe(ownerDocument.body, { subtree: true, childList: true, characterData: true });
  });
}

/** The contrast of every text in some elements, as of https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio */
function contrastsOf(elements: Element[]): { text: string; contrast: number }[] {
  type Colour = readonly [red: number, green: number, blue: number, alpha: number];
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  if (canvas === null) {
    throw new Error("There is no canvas to read colours with.");
  }
  const read = (colour: string): Colour => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [red = 0, green = 0, blue = 0, alpha = 0] = canvas.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const over = (upper: Colour, lower: Colour): Colour => {
    const mix = (index: 0 | 1 | 2) => upper[index] * upper[3] + lower[index] * (1 - upper[3]);
    return [mix(0), mix(1), mix(2), 1];
  };
  const luminance = ([red, green, blue]: Colour): number => {
    const linear = (value: number) =>
      value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  };
  const contrastOf = (element: Element): number => {
    const around: Element[] = [];
    for (let each: Element | null = element; each !== null; each = each.parentElement) {
      around.unshift(each);
    }
    let background: Colour = [255, 255, 255, 1];
    let opacity = 1;
    for (const each of around) {
      const style = getComputedStyle(each);
      background = over(read(style.backgroundColor), background);
      opacity *= Number(style.opacity);
    }
    const [red, green, blue, alpha] = read(getComputedStyle(element).color);
    const text = over([red, green, blue, alpha * opacity], background);
    const [dark = 0, light = 0] = [luminance(text), luminance(background)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const found: { text: string; contrast: number }[] = [];
  for (const element of elements) {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      const text = node.textContent?.trim() ?? "";
      if (text !== "" && node.parentElement !== null) {
        found.push({ text, contrast: contrastOf(node.parentElement) });
      }
    }
  }
  return found;
}
