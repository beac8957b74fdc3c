"""Several folders, nested projects, settings by folder, and documents that are no files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from lsprotocol import types

from memlens_lsp.uris import uri_of

from .conftest import OpenEditor
from .helpers import MIB, Editor, Project, full_capabilities, result
from .test_views import ask

pytestmark = pytest.mark.asyncio

TEST = "def test_a():\n    pass\n"


def over(name: str = "test_a.py", peak: int = 3 * MIB) -> Any:
    return result(f"{name}::test_a", 1, peak, 2 * MIB)


def folder(project: Project, name: str) -> Project:
    made = Project(project.root / name)
    made.root.mkdir(parents=True)
    made.write("test_a.py", TEST)
    return made


def folders(*projects: Project) -> list[types.WorkspaceFolder]:
    return [types.WorkspaceFolder(uri_of(project.root), "a") for project in projects]


async def peaks(editor: Editor, uri: str) -> list[int]:
    """The lines (from 1) with a lens that tells a peak."""
    return [line for line, title in await editor.lenses(uri) if title.startswith("peak 3.0 MiB")]


async def open_folders(
    open_editor: OpenEditor, *projects: Project, configuration: Mapping[str, Any] | None = None
) -> Editor:
    """An editor with several folders; *configuration* is by folder URI, "" for all."""
    editor = await open_editor(folder=None)
    for uri, values in (configuration or {}).items():
        editor.set_configuration({"memlens": values}, scope_uri=uri)
    change(editor, added=projects)
    return editor


def change(editor: Editor, *, added: Any = (), removed: Any = ()) -> None:
    event = types.WorkspaceFoldersChangeEvent(folders(*added), folders(*removed))
    editor.workspace_did_change_workspace_folders(types.DidChangeWorkspaceFoldersParams(event))


async def test_changes_of_folders_are_wanted(project: Project, editor: Editor) -> None:
    workspace = editor.server_capabilities.workspace
    assert workspace is not None
    assert workspace.workspace_folders is not None
    assert workspace.workspace_folders.supported
    assert workspace.workspace_folders.change_notifications


async def test_folders_show_their_own_results(project: Project, open_editor: OpenEditor) -> None:
    one, other = folder(project, "one"), folder(project, "other")
    one.run(over())
    other.run(over(peak=5 * MIB))
    editor = await open_folders(open_editor, one, other)
    for each in (one, other):
        await editor.until(partial(editor.marks, each.uri("test_a.py")))
    change(editor, removed=[one])
    await editor.until(lambda: not editor.marks(one.uri("test_a.py")))
    page = await ask(editor, "memlens/tests", {})
    assert [told["uri"] for told in page["projects"]] == [uri_of(other.root)]


async def test_a_project_too_deep_to_be_looked_for_stays_known_when_folders_come_and_go(
    project: Project, open_editor: OpenEditor
) -> None:
    one, other = folder(project, "one"), folder(project, "other")
    deep = folder(project, "one/a/b/c/d/e")
    editor = await open_folders(open_editor, one)
    uri = deep.uri("test_a.py")
    editor.open(uri, TEST)
    assert await editor.lenses(uri)
    deep.run(over())
    await editor.until(lambda: editor.marks(uri))
    editor.text_document_did_close(
        types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri))
    )
    other.run(over())
    change(editor, added=[other])
    await editor.until(lambda: editor.marks(other.uri("test_a.py")))
    page = await ask(editor, "memlens/tests", {})
    assert {told["uri"] for told in page["projects"]} == {uri_of(deep.root), uri_of(other.root)}
    assert editor.marks(uri)


async def test_settings_are_those_of_the_folder(project: Project, open_editor: OpenEditor) -> None:
    strict, quiet = folder(project, "strict"), folder(project, "quiet")
    for each in (strict, quiet):
        each.run(over())
    editor = await open_folders(
        open_editor,
        strict,
        quiet,
        configuration={
            uri_of(strict.root): {"codeLens": {"enabled": True}},
            uri_of(quiet.root): {"codeLens": {"enabled": False}},
        },
    )
    await editor.until(lambda: editor.marks(strict.uri("test_a.py")))
    for each in (strict, quiet):
        editor.open(each.uri("test_a.py"), TEST)
    assert await editor.lenses(strict.uri("test_a.py"))
    assert await editor.lenses(quiet.uri("test_a.py")) == []


async def test_a_wrong_setting_of_a_folder_is_told_once(
    project: Project, open_editor: OpenEditor
) -> None:
    one, other = folder(project, "one"), folder(project, "other")
    wrong = {uri_of(each.root): {"interpreter": 3} for each in (one, other)}
    editor = await open_folders(open_editor, one, other, configuration=wrong)
    await editor.until(lambda: editor.log_messages)
    change(editor, removed=[one])
    uri = other.uri("test_a.py")
    editor.open(uri, TEST)
    await editor.lenses(uri)
    assert [log.message for log in editor.log_messages] == [
        "the setting memlens.interpreter is 3: expected a string. The default is used."
    ]


async def test_a_client_with_one_root_and_no_folders_is_served(
    project: Project, open_editor: OpenEditor
) -> None:
    project.write("test_a.py", TEST)
    project.run(over())
    editor = await open_editor(folder=None)
    editor.open(project.uri("test_a.py"), TEST)
    await editor.until(lambda: editor.marks(project.uri("test_a.py")))


async def test_any_folder_name_is_read_as_the_client_writes_it(
    project: Project, open_editor: OpenEditor
) -> None:
    names = ("50%25", "a b", "100%", "x#y?z", "é😀", "+[a]", "a&b;c")
    odd = [folder(project, name) for name in names]
    for each in odd:
        each.run(over())
    editor = await open_editor(folder=odd[0].root)
    change(editor, added=odd[1:])
    for each in odd:
        await editor.until(partial(editor.marks, each.uri("test_a.py")))
        # VS Code escapes more than it has to, and "/" never.
        document = f"file://{quote(str(each.root), safe='/')}/test_a.py"
        editor.open(document, TEST)
        assert await peaks(editor, document) == [1], each.root.name
    page = await ask(editor, "memlens/tests", {})
    assert {told["name"] for told in page["projects"]} == {*names}


async def test_a_folder_reached_through_a_symlink_has_the_results_of_its_target(
    project: Project, open_editor: OpenEditor
) -> None:
    real = folder(project, "real")
    real.run(over())
    link = project.root / "link"
    link.symlink_to(real.root)
    editor = await open_editor(folder=link)
    document = uri_of(link / "test_a.py")
    await editor.until(lambda: editor.marks(document))
    editor.open(document, TEST)
    assert await peaks(editor, document) == [1]


async def test_a_project_with_two_names_is_told_of_once_by_the_name_that_the_workspace_has(
    project: Project, open_editor: OpenEditor
) -> None:
    target = folder(project, "target")
    target.write("test_b.py", TEST)
    target.run(over(), over("test_b.py"))
    link = project.root / "link"
    link.symlink_to(target.root)
    editor = await open_editor(folder=link)
    documents = [uri_of(link / "test_a.py"), target.uri("test_a.py")]
    # First by the name that the workspace has not: the definition of something leads there.
    for document in reversed(documents):
        editor.open(document, TEST)
        assert await peaks(editor, document) == [1]
    target.run(over(peak=4 * MIB))

    def is_told(document: str) -> bool:
        return any(str(4 * MIB) in mark.message for mark in editor.diagnostics.get(document, ()))

    for document in documents:
        await editor.until(partial(is_told, document))
        assert editor.marks(document) == [(1, "memory-limit-exceeded")]
    assert editor.marks(uri_of(link / "test_b.py"))
    assert not editor.marks(target.uri("test_b.py"))
    page = await ask(editor, "memlens/tests", {})
    assert [told["uri"] for told in page["projects"]] == [uri_of(link)]
    history = await ask(editor, "memlens/history", {"uri": documents[1], "test": "test_a"})
    assert len(history["results"]) == 2


async def test_results_of_a_nested_project_are_its_own(
    project: Project, open_editor: OpenEditor
) -> None:
    inner = folder(project, "packages/inner")
    project.run(over("packages/inner/test_a.py"))
    inner.run(over(peak=7 * MIB))
    editor = await open_editor()
    document = inner.uri("test_a.py")
    editor.open(document, TEST)
    await editor.until(lambda: editor.marks(document))
    told = await ask(editor, "memlens/history", {"uri": document, "test": "test_a"})
    assert [past["peakBytes"] for past in told["results"]] == [7 * MIB]


NOT_FILES = (
    "untitled:Untitled-1",
    "vscode-notebook-cell:/home/me/a.ipynb#X0sZmlsZQ%3D%3D",
    "git:/home/me/test_a.py?%7B%7D",
    "vscode-vfs://github/me/shop/test_a.py",
    "file://other-machine/share/test_a.py",
)


async def test_documents_that_are_no_files_have_nothing_and_cause_no_noise(
    project: Project, editor: Editor
) -> None:
    place = types.Position(0, 6)
    whole = types.Range(types.Position(0, 0), types.Position(9, 0))
    for uri in NOT_FILES:
        editor.open(uri, TEST)
        editor.change(uri, 2, types.TextDocumentContentChangeWholeDocument(f"\n{TEST}"))
        document = types.TextDocumentIdentifier(uri)
        for answer in (
            editor.text_document_code_lens_async(types.CodeLensParams(document)),
            editor.text_document_hover_async(types.HoverParams(document, place)),
            editor.text_document_inlay_hint_async(types.InlayHintParams(document, whole)),
        ):
            assert not await answer, uri
        editor.text_document_did_close(types.DidCloseTextDocumentParams(document))
    project.write("test_a.py", TEST)
    editor.open(project.uri("test_a.py"), TEST)
    assert await editor.lenses(project.uri("test_a.py"))
    assert not editor.published
    assert not editor.log_messages
    assert not editor.messages


async def test_notebooks_are_ignored(project: Project, open_editor: OpenEditor) -> None:
    capabilities = full_capabilities()
    capabilities.notebook_document = types.NotebookDocumentClientCapabilities(
        types.NotebookDocumentSyncClientCapabilities()
    )
    editor = await open_editor(capabilities=capabilities)
    assert editor.server_capabilities.notebook_document_sync is None
    cell = NOT_FILES[1]
    notebook = types.NotebookDocument(
        project.uri("a.ipynb"),
        "jupyter-notebook",
        1,
        [types.NotebookCell(types.NotebookCellKind.Code, cell)],
    )
    editor.notebook_document_did_open(
        types.DidOpenNotebookDocumentParams(
            notebook, [types.TextDocumentItem(cell, "python", 1, TEST)]
        )
    )
    editor.notebook_document_did_change(
        types.DidChangeNotebookDocumentParams(
            types.VersionedNotebookDocumentIdentifier(2, notebook.uri),
            types.NotebookDocumentChangeEvent(),
        )
    )
    editor.notebook_document_did_close(
        types.DidCloseNotebookDocumentParams(
            types.NotebookDocumentIdentifier(notebook.uri), [types.TextDocumentIdentifier(cell)]
        )
    )
    assert await editor.lenses(cell) == []


async def test_a_folder_that_is_no_file_is_ignored(
    project: Project, open_editor: OpenEditor
) -> None:
    project.write("test_a.py", TEST)
    project.run(over())
    editor = await open_editor()
    event = types.WorkspaceFoldersChangeEvent(
        [
            types.WorkspaceFolder("vscode-vfs://github/me/shop", "shop"),
            types.WorkspaceFolder("http://[", "broken"),
            types.WorkspaceFolder(uri_of(Path("/does/not/exist")), "gone"),
        ],
        [],
    )
    editor.workspace_did_change_workspace_folders(types.DidChangeWorkspaceFoldersParams(event))
    await editor.until(lambda: editor.marks(project.uri("test_a.py")))
    assert not editor.log_messages
