"""What an editor shows of results, over the real protocol."""

from __future__ import annotations

from pathlib import Path

import pytest
from lsprotocol import types

from memlens.store import FOLDER_NAME, database_path

from .conftest import OpenEditor
from .helpers import (
    MIB,
    Editor,
    Project,
    frame,
    full_capabilities,
    inserted,
    result,
    with_fixture,
)

pytestmark = pytest.mark.asyncio

SHOP = """\
def load(count):
    return bytearray(count)
"""
TESTS = """\
import pytest
from shop import load


@pytest.mark.limit_memory("24 MiB")
def test_load():
    load(31 << 20)


class TestCart:
    def test_total(self):
        pass
"""
STACK = (frame("load", "shop.py", 2), frame("test_load", "test_shop.py", 7))
OVER = result("test_shop.py::test_load", 6, 31 * MIB, 24 * MIB, stack=STACK)
UNDER = result("test_shop.py::test_load", 6, 3 * MIB, 24 * MIB)
#: What they leave in shop.py.
SITES = ("leak-site", "memory-hotspot")
LEAK = result("test_shop.py::TestCart::test_total", 11, 5 * MIB, leak=4 * MIB, leak_stack=STACK[:1])


@pytest.fixture(autouse=True)
def files(project: Project) -> None:
    project.write("shop.py", SHOP)
    project.write("test_shop.py", TESTS)


async def test_results_from_before_are_shown_at_the_start_in_files_that_are_not_open(
    project: Project, open_editor: OpenEditor
) -> None:
    project.run(OVER, LEAK)
    editor = await open_editor()
    test, shop = project.uri("test_shop.py"), project.uri("shop.py")
    await editor.until(lambda: test in editor.diagnostics and shop in editor.diagnostics)
    assert editor.marks(test) == [(6, "memory-limit-exceeded"), (11, "memory-leak")]
    assert editor.marks(shop) == [(2, code) for code in SITES]
    over = editor.diagnostics[test][0]
    assert over.source == "memlens"
    assert over.severity == types.DiagnosticSeverity.Error
    assert over.range == types.Range(types.Position(5, 4), types.Position(5, 13))
    steps = [
        (step.location.uri, step.location.range.start.line + 1, step.message)
        for step in over.related_information or ()
    ]
    assert steps == [
        (shop, 2, "31.0 MiB alive, 1 allocation, in load"),
        (test, 7, "called by test_load"),
    ]
    site = editor.diagnostics[shop][0]
    assert site.severity == types.DiagnosticSeverity.Warning
    assert site.range == types.Range(types.Position(1, 4), types.Position(1, 27))


async def test_what_a_fixture_held_marks_neither_its_line_nor_the_test(
    project: Project, open_editor: OpenEditor
) -> None:
    fixture = STACK[:1]
    project.run(with_fixture(OVER._replace(stacks=()), 500 * MIB, *fixture))
    editor = await open_editor()
    test, shop = project.uri("test_shop.py"), project.uri("shop.py")
    await editor.until(lambda: test in editor.diagnostics)
    assert editor.marks(test) == [(6, "memory-limit-exceeded")]
    assert not editor.diagnostics[test][0].related_information
    assert shop not in editor.diagnostics
    editor.open(shop, SHOP)
    document = types.TextDocumentIdentifier(shop)
    everywhere = types.Range(types.Position(0, 0), types.Position(9, 0))
    assert not await editor.text_document_code_lens_async(types.CodeLensParams(document))
    assert not await editor.text_document_inlay_hint_async(
        types.InlayHintParams(document, everywhere)
    )
    on_line = types.HoverParams(document, types.Position(1, 12))
    assert await editor.text_document_hover_async(on_line) is None


async def test_new_results_appear_by_themselves_without_the_clients_watcher(
    project: Project, open_editor: OpenEditor
) -> None:
    editor = await open_editor(capabilities=types.ClientCapabilities())
    uri = project.uri("test_shop.py")
    project.run(OVER)
    await editor.until(lambda: editor.marks(uri))
    project.run(UNDER)
    await editor.until(lambda: not editor.marks(uri))


async def test_the_message_tells_of_the_stack_where_the_client_shows_no_related_information(
    project: Project, open_editor: OpenEditor
) -> None:
    project.run(OVER)
    editor = await open_editor(capabilities=types.ClientCapabilities())
    uri = project.uri("test_shop.py")
    await editor.until(lambda: editor.marks(uri))
    mark = editor.diagnostics[uri][0]
    assert mark.related_information is None
    assert "shop.py:2: 31.0 MiB alive, 1 allocation, in load" in mark.message


async def test_deleting_the_results_takes_the_marks_away(project: Project, editor: Editor) -> None:
    uri = project.uri("test_shop.py")
    project.run(OVER)
    await editor.until(lambda: editor.marks(uri))
    for file in (project.root / FOLDER_NAME).iterdir():
        file.unlink()
    await editor.until(lambda: not editor.marks(uri))
    project.run(OVER)
    await editor.until(lambda: editor.marks(uri))
    assert not editor.messages


async def test_results_that_cannot_be_read_are_logged_once_and_good_ones_shown_again(
    project: Project, editor: Editor
) -> None:
    database = database_path(project.root)
    database.parent.mkdir()
    uri = project.uri("test_shop.py")
    for content in (b"not a database " * 500, b"nor is this one " * 600):
        database.write_bytes(content)
        await editor.until(
            lambda: [log for log in editor.log_messages if str(database) in log.message]
        )
    database.unlink()
    project.run(OVER)
    await editor.until(lambda: editor.marks(uri))
    assert len([log for log in editor.log_messages if str(database) in log.message]) == 1


async def test_results_of_a_newer_memlens_are_refused_in_plain_words(
    project: Project, editor: Editor
) -> None:
    import sqlite3

    project.run(OVER)
    uri = project.uri("test_shop.py")
    await editor.until(lambda: editor.marks(uri))
    with sqlite3.connect(database_path(project.root)) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    await editor.until(lambda: not editor.marks(uri))
    assert any("upgrade pytest-memlens" in log.message for log in editor.log_messages)


async def test_marks_move_with_their_lines_and_vanish_with_them(
    project: Project, editor: Editor
) -> None:
    project.run(OVER, LEAK)
    shop, test = project.uri("shop.py"), project.uri("test_shop.py")
    editor.open(shop, SHOP)
    await editor.until(lambda: editor.marks(shop) and editor.marks(test))
    editor.change(shop, 2, inserted(1, "# 😀\n\n"))
    await editor.until(lambda: editor.marks(shop) == [(4, code) for code in SITES])
    assert [params.version for params in editor.published if params.uri == shop][-1] == 2
    # The call stack of another file's mark leads to the line's new place too.
    await editor.until(
        lambda: (
            (editor.diagnostics[test][0].related_information or ())[0].location.range.start.line
            == 3
        )
    )
    line = types.Range(types.Position(3, 0), types.Position(4, 0))
    editor.change(shop, 3, types.TextDocumentContentChangePartial(line, "    return count\n"))
    await editor.until(lambda: editor.marks(shop) == [])
    editor.text_document_did_close(
        types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(shop))
    )
    await editor.until(lambda: editor.marks(shop) == [(2, code) for code in SITES])


async def test_a_file_changed_on_disk_while_closed_has_its_marks_moved(
    project: Project, editor: Editor
) -> None:
    project.run(OVER)
    uri = project.uri("test_shop.py")
    await editor.until(lambda: editor.marks(uri) == [(6, "memory-limit-exceeded")])
    project.write("test_shop.py", f"# first\n{TESTS}")
    await editor.until(lambda: editor.marks(uri) == [(7, "memory-limit-exceeded")])
    (project.root / "test_shop.py").unlink()
    await editor.until(lambda: editor.marks(uri) == [])


async def test_marks_of_a_closed_file_come_back_when_it_or_their_line_does(
    project: Project, editor: Editor
) -> None:
    project.run(OVER, LEAK)
    test, shop = project.uri("test_shop.py"), project.uri("shop.py")
    marks = [(6, "memory-limit-exceeded"), (11, "memory-leak")]
    await editor.until(lambda: editor.marks(test) == marks and editor.marks(shop))
    # As another branch does it: the file is not there for a while, the line neither.
    (project.root / "test_shop.py").unlink()
    project.write("shop.py", "def load(count): ...\n")
    await editor.until(lambda: editor.marks(test) == [] and editor.marks(shop) == [])
    project.write("test_shop.py", TESTS)
    project.write("shop.py", SHOP)
    await editor.until(
        lambda: editor.marks(test) == marks and editor.marks(shop) == [(2, code) for code in SITES]
    )


async def test_marks_go_with_a_raised_limit_also_in_other_files_and_come_back_with_the_old_one(
    project: Project, editor: Editor
) -> None:
    project.run(OVER)
    test, shop = project.uri("test_shop.py"), project.uri("shop.py")
    editor.open(test, TESTS)
    await editor.until(lambda: editor.marks(test) and editor.marks(shop))
    size = types.Range(types.Position(4, 27), types.Position(4, 29))
    editor.change(test, 2, types.TextDocumentContentChangePartial(size, "34"))
    await editor.until(lambda: editor.marks(test) == [] and editor.marks(shop) == [])
    editor.change(test, 3, types.TextDocumentContentChangePartial(size, "28"))
    await editor.until(lambda: editor.marks(test) and editor.marks(shop))
    (mark,) = editor.diagnostics[test]
    assert mark.message.endswith(" (edited since this run)")


async def test_a_renamed_file_has_its_marks_and_lenses_under_its_new_name_and_again_under_the_old(
    project: Project, editor: Editor
) -> None:
    project.run(OVER)
    old, new = project.uri("test_shop.py"), project.uri("test_store.py")
    marks = [(6, "memory-limit-exceeded")]
    peak = (6, "peak 31.0 MiB of 24.0 MiB")
    await editor.until(lambda: editor.marks(old) == marks)
    (project.root / "test_shop.py").rename(project.root / "test_store.py")
    editor.open(new, TESTS)
    await editor.until(lambda: editor.marks(new) == marks and editor.marks(old) == [])
    assert peak in await editor.lenses(new)
    shop = editor.diagnostics[project.uri("shop.py")][0].related_information or ()
    assert [step.location.uri for step in shop][-1] == new
    editor.change(new, 2, inserted(1, "# more\n"))
    await editor.until(lambda: editor.marks(new) == [(7, "memory-limit-exceeded")])
    (project.root / "test_store.py").rename(project.root / "test_shop.py")
    await editor.until(lambda: editor.marks(old) == marks and editor.marks(new) == [])
    assert peak not in await editor.lenses(new)


async def test_another_file_like_one_that_is_gone_but_with_results_of_its_own_gets_no_marks(
    project: Project, editor: Editor
) -> None:
    project.write("test_store.py", TESTS)
    project.run(OVER, result("test_store.py::test_load", 6, 3 * MIB, 24 * MIB))
    old, other = project.uri("test_shop.py"), project.uri("test_store.py")
    await editor.until(lambda: editor.marks(old))
    editor.open(other, TESTS)
    (project.root / "test_shop.py").unlink()
    await editor.until(lambda: editor.marks(old) == [])
    assert (6, "peak 3.0 MiB of 24.0 MiB") in await editor.lenses(other)
    assert editor.marks(other) == []


async def test_lenses_are_there_before_any_run_and_tell_the_peak_after_one(
    project: Project, editor: Editor
) -> None:
    uri = project.uri("test_shop.py")
    editor.open(uri, TESTS)
    run, run_all = "Run with memory limits", "Run all with memory limits"
    assert await editor.lenses(uri) == [(1, run_all), (6, run), (10, run), (11, run)]
    before = editor.lens_refreshes
    project.run(OVER, LEAK)
    await editor.until(lambda: editor.lens_refreshes > before)
    assert await editor.lenses(uri) == [
        (1, run_all),
        (1, "2 tests, heaviest 31.0 MiB test_load, 1 over limit, 1 leaking"),
        (6, run),
        (6, "peak 31.0 MiB of 24.0 MiB"),
        (10, run),
        (10, "1 test, heaviest 5.0 MiB test_total, 1 leaking"),
        (11, run),
        (11, "peak 5.0 MiB, leaks 4.0 MiB"),
    ]


async def test_lenses_of_unknown_and_untitled_documents_are_none(editor: Editor) -> None:
    editor.open("untitled:Untitled-1", TESTS)
    for uri in ("untitled:Untitled-1", "file:///no/such/test_a.py", "nonsense"):
        assert await editor.lenses(uri) == []


async def test_positions_are_in_the_negotiated_encoding(
    project: Project, open_editor: OpenEditor
) -> None:
    text = "def f():\n    x = '😀é'; return bytes(9)\n"
    project.write("shop.py", text)
    project.write("test_shop.py", TESTS)
    project.run(LEAK)
    ends = {}
    for encoding in types.PositionEncodingKind:
        capabilities = full_capabilities()
        capabilities.general = types.GeneralClientCapabilities(position_encodings=[encoding])
        editor = await open_editor(capabilities=capabilities)
        await editor.until(lambda editor=editor: editor.marks(project.uri("shop.py")))  # type: ignore[misc]
        ends[encoding.value] = editor.diagnostics[project.uri("shop.py")][0].range.end.character
    assert ends == {"utf-8": 33, "utf-16": 30, "utf-32": 29}


async def test_a_document_reached_through_a_symlink_has_its_marks_and_lenses(
    project: Project, open_editor: OpenEditor, tmp_path: Path
) -> None:
    project.run(OVER)
    link = tmp_path / "link"
    link.symlink_to(project.root)
    editor = await open_editor(folder=link)
    uri = (link / "test_shop.py").as_uri()
    await editor.until(lambda: editor.marks(uri))
    editor.open(uri, TESTS)
    assert (6, "peak 31.0 MiB of 24.0 MiB") in await editor.lenses(uri)
    # The same file under its other name: its marks are there as well.
    editor.open(project.uri("test_shop.py"), TESTS)
    await editor.until(lambda: editor.marks(project.uri("test_shop.py")))


async def test_a_library_outside_the_workspace_is_known_by_its_absolute_path(
    project: Project, editor: Editor, tmp_path: Path
) -> None:
    library = tmp_path / "site" / "lib" / "test_lib.py"
    library.parent.mkdir(parents=True)
    library.write_text("def test_big():\n    pass\n", encoding="utf-8")
    project.run(result("../site/lib/test_lib.py::test_big", 1, 9 * MIB, 8 * MIB, path=str(library)))
    uri = library.as_uri()
    await editor.until(lambda: editor.marks(uri) == [(1, "memory-limit-exceeded")])
    editor.open(uri, library.read_text(encoding="utf-8"))
    assert (1, "peak 9.0 MiB of 8.0 MiB") in await editor.lenses(uri)


async def test_a_nested_project_speaks_for_its_own_files(project: Project, editor: Editor) -> None:
    nested = Project(project.root / "packages" / "a")
    nested.write("test_a.py", "def test_a():\n    pass\n")
    project.run(result("packages/a/test_a.py::test_a", 1, 9 * MIB, 8 * MIB))
    uri = nested.uri("test_a.py")
    await editor.until(lambda: editor.marks(uri))
    nested.run(result("test_a.py::test_a", 1, 1 * MIB, 8 * MIB))
    editor.open(uri, "def test_a():\n    pass\n")
    await editor.until(lambda: not editor.marks(uri))
    assert (1, "peak 1.0 MiB of 8.0 MiB") in await editor.lenses(uri)


async def test_the_clients_watcher_is_used_where_it_is_offered(
    project: Project, editor: Editor
) -> None:
    await editor.until(lambda: len(editor.registrations) == 2)
    watching = next(r for r in editor.registrations if r.id == "memlens-results")
    assert watching.method == "workspace/didChangeWatchedFiles"
    # A database too deep to be found by looking.
    deep = Project(project.root / "a" / "b" / "c" / "d" / "e")
    deep.write("test_a.py", "def test_a():\n    pass\n")
    deep.run(result("test_a.py::test_a", 1, 9 * MIB, 8 * MIB))
    editor.workspace_did_change_watched_files(
        types.DidChangeWatchedFilesParams(
            [types.FileEvent(deep.uri(".memlens/results.db"), types.FileChangeType.Created)]
        )
    )
    await editor.until(lambda: editor.marks(deep.uri("test_a.py")))


async def test_a_removed_workspace_folder_takes_its_marks_along_and_an_added_one_brings_some(
    project: Project, editor: Editor, tmp_path: Path
) -> None:
    other = Project(tmp_path / "other")
    other.write("test_a.py", "def test_a():\n    pass\n")
    other.run(result("test_a.py::test_a", 1, 9 * MIB, 8 * MIB))
    project.run(OVER)
    mine, others = project.uri("test_shop.py"), other.uri("test_a.py")
    await editor.until(lambda: editor.marks(mine))
    old = types.WorkspaceFolder(project.root.as_uri(), "old")
    new = types.WorkspaceFolder(other.root.as_uri(), "new")
    editor.workspace_did_change_workspace_folders(
        types.DidChangeWorkspaceFoldersParams(types.WorkspaceFoldersChangeEvent([new], [old]))
    )
    await editor.until(lambda: editor.marks(others) and not editor.marks(mine))
