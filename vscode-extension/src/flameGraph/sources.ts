// Opening the line of a frame beside the panel.

import * as vscode from "vscode";

import { withoutLinks } from "../plainWords";

/** The line that was opened last is marked until another is, or the cursor is moved. */
export class Sources implements vscode.Disposable {
  private readonly mark = vscode.window.createTextEditorDecorationType({
    isWholeLine: true,
    backgroundColor: new vscode.ThemeColor("editor.rangeHighlightBackground"),
    overviewRulerColor: new vscode.ThemeColor("editorOverviewRuler.rangeHighlightForeground"),
  });
  private marked: vscode.TextEditor | undefined;
  private readonly moved = vscode.window.onDidChangeTextEditorSelection((change) => {
    if (change.textEditor === this.marked && change.kind !== undefined) {
      this.unmark();
    }
  });

  /**
   * Opens *uri*, a file, at a line that counts from 0. Unless *focus* is asked for, the keyboard
   * stays with the panel, which is in the column *panel*.
   */
  async open(
    uri: string,
    line: number,
    { focus, panel }: { focus: boolean; panel: vscode.ViewColumn | undefined },
  ): Promise<void> {
    const file = vscode.Uri.parse(uri, true);
    if (file.scheme !== "file") {
      return;
    }
    let document: vscode.TextDocument;
    try {
      document = await vscode.workspace.openTextDocument(file);
    } catch {
      void vscode.window.showWarningMessage(
        withoutLinks(
          `memlens cannot open ${file.fsPath}, where this was called: is it still there?`,
        ),
      );
      return;
    }
    const text = document.lineAt(Math.min(line, document.lineCount - 1));
    const start = text.range.start.translate(0, text.firstNonWhitespaceCharacterIndex);
    const editor = await vscode.window.showTextDocument(document, {
      preserveFocus: !focus,
      preview: true,
      selection: new vscode.Range(start, start),
      viewColumn: columnFor(file, panel),
    });
    editor.revealRange(text.range, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
    this.unmark();
    this.marked = editor;
    editor.setDecorations(this.mark, [text.range]);
  }

  unmark(): void {
    this.marked?.setDecorations(this.mark, []);
    this.marked = undefined;
  }

  dispose(): void {
    this.moved.dispose();
    this.mark.dispose();
  }
}

/** Where the file is seen already, else where other code is, else beside the panel. */
function columnFor(file: vscode.Uri, panel: vscode.ViewColumn | undefined): vscode.ViewColumn {
  const others = vscode.window.visibleTextEditors.filter(
    ({ viewColumn }) => viewColumn !== undefined && viewColumn !== panel,
  );
  const same = others.find(({ document }) => document.uri.toString() === file.toString());
  return (same ?? others[0])?.viewColumn ?? vscode.ViewColumn.Beside;
}
