"""What a client is told to run tests itself: which is at the cursor, how, and what is missing."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from memlens.store import ResultsReader, database_path
from memlens_lsp.uris import path_of, uri_of

from .conftest import OpenEditor
from .helpers import Editor, Project
from .test_run_commands import ran, run
from .test_views import ask

pytestmark = pytest.mark.asyncio

SHOP = """\
import pytest


@pytest.mark.parametrize("size", [1, 2])
def test_a(size):
    data = bytearray(size)

    assert data


class TestCart:
    name = "cart"

    def test_b(self):
        pass


def helper():
    pass
"""


@pytest.mark.parametrize(
    ("line", "kind", "test"),
    [
        (0, "file", ""),
        (3, "test", "test_a"),  # its decorator
        (6, "test", "test_a"),  # an empty line inside
        (11, "class", "TestCart"),
        (14, "test", "TestCart::test_b"),
        (18, "file", ""),  # a function that is no test
        (10_000, "file", ""),
    ],
)
async def test_the_test_at_the_cursor_is_the_innermost_around_it(
    project: Project, editor: Editor, line: int, kind: str, test: str
) -> None:
    uri = project.uri("test_shop.py")
    editor.open(uri, SHOP)
    told = await ask(editor, "memlens/testAt", {"uri": uri, "line": line})
    run = {"uri": uri, "test": test} if test else {"uri": uri}
    assert told == {"uri": uri, "test": test, "kind": kind, "run": run}


async def test_a_class_that_inherits_is_run_in_each_of_those_that_inherit(
    project: Project, editor: Editor
) -> None:
    uri = project.uri("test_shop.py")
    editor.open(
        uri,
        "class Base:\n    def test_a(self):\n        pass\n\n\n"
        "class TestX(Base):\n    pass\n\n\nclass TestY(Base):\n    pass\n",
    )
    told = await ask(editor, "memlens/testAt", {"uri": uri, "line": 2})
    assert told["run"] == {"uri": uri, "tests": ["TestX::test_a", "TestY::test_a"]}


async def test_there_is_no_test_in_other_files_nor_in_closed_ones(
    project: Project, editor: Editor
) -> None:
    uri = project.uri("shop.py")
    editor.open(uri, "def total():\n    pass\n")
    assert await ask(editor, "memlens/testAt", {"uri": uri, "line": 0}) is None
    closed = project.uri("test_shop.py")
    assert await ask(editor, "memlens/testAt", {"uri": closed, "line": 0}) is None


@pytest.mark.parametrize("params", [None, {}, {"uri": "file:///a.py"}, {"uri": 1, "line": 0}])
async def test_a_place_that_is_none_is_an_error_that_says_what_was_expected(
    editor: Editor, params: Any
) -> None:
    with pytest.raises(JsonRpcInvalidParams, match="expected an object such as"):
        await ask(editor, "memlens/testAt", params)


async def test_a_command_line_runs_what_the_command_would(
    project: Project, open_editor: OpenEditor
) -> None:
    folder = project.root / "odd 'folder"
    file = Project(folder).write("test_shop.py", SHOP)
    Project(folder).write("pytest.ini", "[pytest]\naddopts = -p no:cacheprovider\n")
    editor = await open_editor(
        configuration={"pytestArgs": ["-q"], "environment": {"SIZE": "large $HOME"}}
    )
    asked = {"uri": uri_of(file), "tests": ["test_a[2]", "TestCart::test_b"]}
    (line,) = await ask(editor, "memlens/commandLine", asked)
    assert (line["root"], line["title"]) == (uri_of(folder), "2 tests")
    assert line["environment"] == {"SIZE": "large $HOME"}
    assert line["program"] == sys.executable
    where = path_of(line["folder"])
    subprocess.run([line["program"], *line["arguments"]], cwd=where, check=True)
    assert ran(folder) == ["test_shop.py::test_a[2]", "test_shop.py::TestCart::test_b"]


async def test_what_was_run_elsewhere_can_be_run_again(project: Project, editor: Editor) -> None:
    file = project.write("test_shop.py", SHOP)
    asked = {"uri": uri_of(file), "test": "test_a[1]"}
    lines = await ask(editor, "memlens/commandLine", asked)
    assert await ask(editor, "memlens/commandLine", {"last": True}) == lines
    await run(editor, {"last": True})
    assert ran(project.root) == ["test_shop.py::test_a[1]"]


async def test_names_that_no_command_line_holds_become_their_files(
    project: Project, editor: Editor
) -> None:
    file = project.write("test_shop.py", SHOP)
    many = [f"test_{number}_{'x' * 200}" for number in range(2000)]
    (line,) = await ask(editor, "memlens/commandLine", {"uri": uri_of(file), "tests": many})
    assert line["arguments"][-1] == "test_shop.py"
    with pytest.raises(JsonRpcInvalidParams, match="memlens/commandLine got"):
        await ask(editor, "memlens/commandLine", {"uri": uri_of(file), "tests": []})


async def test_whole_files_of_a_folder_are_one_run(project: Project, editor: Editor) -> None:
    names = ["test_cart.py", "test_shop.py"]
    for name in names:
        project.write(f"tests/{name}", SHOP)
    asked = {"uri": uri_of(project.root / "tests"), "tests": names}
    (line,) = await ask(editor, "memlens/commandLine", asked)
    assert line["arguments"][-2:] == [f"tests/{name}" for name in names]
    assert line["title"] == "2 files"


async def test_a_client_that_installs_is_told_what_is_missing_instead_of_its_user(
    project: Project, open_editor: OpenEditor, tmp_path: Path
) -> None:
    venv.create(tmp_path / "empty", symlinks=True)
    python = str(tmp_path / "empty" / "bin" / "python")
    file = project.write("test_shop.py", SHOP)
    settings = {"interpreter": python}
    editor = await open_editor(options={"commands": ["memlens.install"]}, configuration=settings)
    (told,) = await run(editor, {"uri": uri_of(file)})
    assert (told["missing"], told["python"]) == ("pytest", python)
    assert told["problem"].startswith("pytest is not installed")
    assert editor.messages == []
    other = await open_editor(configuration=settings)
    await run(other, {"uri": uri_of(file)})
    assert "pytest is not installed" in other.messages[0].message


async def test_a_saved_test_file_is_run_where_that_is_wanted(
    project: Project, open_editor: OpenEditor
) -> None:
    file = project.write("test_shop.py", SHOP)
    other = project.write("shop.py", "def total():\n    pass\n")
    editor = await open_editor(configuration={"runOnSave": True})
    for path in (other, file):
        editor.open(uri_of(path), path.read_text())
        saved = types.TextDocumentIdentifier(uri_of(path))
        editor.text_document_did_save(types.DidSaveTextDocumentParams(saved))
    reports = editor.progress_reports
    await editor.until(
        lambda: any(
            isinstance(report, types.WorkDoneProgressEnd)
            for shown in reports.values()
            for report in shown
        )
    )
    with ResultsReader(database_path(project.root)) as reader:
        assert len(reader.runs()) == 1
    assert len(ran(project.root)) == 3


async def test_what_a_run_after_a_save_lacks_is_told_to_the_user_of_any_client(
    project: Project, open_editor: OpenEditor, tmp_path: Path
) -> None:
    venv.create(tmp_path / "empty", symlinks=True)
    python = str(tmp_path / "empty" / "bin" / "python")
    file = project.write("test_shop.py", SHOP)
    settings = {"interpreter": python, "runOnSave": True}
    editor = await open_editor(options={"commands": ["memlens.install"]}, configuration=settings)
    editor.open(uri_of(file), SHOP)
    saved = types.TextDocumentIdentifier(uri_of(file))
    editor.text_document_did_save(types.DidSaveTextDocumentParams(saved))
    await editor.until(lambda: bool(editor.messages))
    assert "pytest is not installed" in editor.messages[0].message


async def test_saving_runs_nothing_by_default(project: Project, editor: Editor) -> None:
    file = project.write("test_shop.py", SHOP)
    editor.open(uri_of(file), SHOP)
    saved = types.TextDocumentIdentifier(uri_of(file))
    editor.text_document_did_save(types.DidSaveTextDocumentParams(saved))
    # Asked after it, answered after it.
    await ask(editor, "memlens/testAt", {"uri": uri_of(file), "line": 0})
    await editor.workspace_execute_command_async(types.ExecuteCommandParams("memlens.cancel"))
    assert not database_path(project.root).exists()
    assert not editor.progress_reports
