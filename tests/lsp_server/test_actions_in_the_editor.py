"""Code actions as an editor asks for them, and what they write in a real run."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from memlens.store import ResultsReader, database_path

from .conftest import OpenEditor
from .helpers import MIB, Editor, Project, full_capabilities, inserted, result
from .offered_actions import LIMITED, MEASURED, RAISE, line, outcomes


class User:
    """Somebody who asks an editor for actions, and takes them."""

    def __init__(self, editor: Editor, uri: str) -> None:
        self.editor = editor
        self.uri = uri

    async def ask(
        self, at: int, *only: str, marks: Sequence[types.Diagnostic] | None = ()
    ) -> list[types.CodeAction]:
        context = types.CodeActionContext(diagnostics=list(marks or ()), only=list(only) or None)
        document = types.TextDocumentIdentifier(self.uri)
        answer = await self.editor.text_document_code_action_async(
            types.CodeActionParams(document, line(at), context)
        )
        actions = [each for each in answer or () if isinstance(each, types.CodeAction)]
        assert len(actions) == len(answer or ())
        return actions

    async def choose(self, title: str, at: int) -> types.CodeAction:
        (action,) = (each for each in await self.ask(at) if each.title.startswith(title))
        return await self.editor.code_action_resolve_async(action)


def applied(text: str, edits: Sequence[object]) -> str:
    """The text after an edit, as a client makes it: one with UTF-16."""
    lines = [0]
    for found in re.finditer(r"\r\n|\n|\r", text):
        lines.append(found.end())

    def offset(place: types.Position) -> int:
        rest = text[lines[place.line] :].encode("utf-16-le")[: 2 * place.character]
        return lines[place.line] + len(rest.decode("utf-16-le"))

    for edit in reversed(edits):
        assert isinstance(edit, types.TextEdit)
        start, end = offset(edit.range.start), offset(edit.range.end)
        text = text[:start] + edit.new_text + text[end:]
    return text


def edits_of(action: types.CodeAction, uri: str, version: int | None) -> list[types.TextEdit]:
    assert action.edit is not None
    (change,) = action.edit.document_changes or ()
    assert isinstance(change, types.TextDocumentEdit)
    assert (change.text_document.uri, change.text_document.version) == (uri, version)
    edits = [edit for edit in change.edits if isinstance(edit, types.TextEdit)]
    return sorted(edits, key=lambda edit: (edit.range.start.line, edit.range.start.character))


@pytest.fixture
def limited(project: Project) -> str:
    project.write("test_a.py", LIMITED)
    project.run(MEASURED)
    return project.uri("test_a.py")


@pytest.mark.asyncio
async def test_an_action_gets_its_changes_when_it_is_chosen(editor: Editor, limited: str) -> None:
    assert editor.server_capabilities.code_action_provider == types.CodeActionOptions(
        code_action_kinds=("quickfix", "refactor.rewrite"), resolve_provider=True
    )
    text = LIMITED.replace("import pytest", 'x = "🎈"; import pytest')
    editor.open(limited, text, version=7)
    user = User(editor, limited)
    (action,) = await user.ask(5)
    assert (action.title, action.kind, action.edit) == (RAISE, "refactor.rewrite", None)
    chosen = await user.choose(RAISE, 5)
    assert applied(text, edits_of(chosen, limited, 7)) == text.replace("24 MB", "35 MB")


@pytest.mark.asyncio
async def test_a_diagnostic_brings_its_quick_fix(editor: Editor, limited: str) -> None:
    editor.open(limited, LIMITED)
    marks = await editor.until(lambda: editor.diagnostics.get(limited))
    user = User(editor, limited)
    (action,) = await user.ask(5, "quickfix", marks=marks)
    assert (action.title, action.kind) == (RAISE, "quickfix")
    assert action.diagnostics == marks
    assert await user.ask(5, "quickfix") == []
    assert await user.ask(5, "refactor.extract", "source", marks=marks) == []
    assert len(await user.ask(5, "refactor")) == 1


@pytest.mark.asyncio
async def test_a_wrong_marker_is_fixed_from_its_diagnostic(
    editor: Editor, project: Project
) -> None:
    text = '@pytest.mark.limit_memroy("24 MB")\ndef test_a(): ...\n'
    uri = project.uri("test_b.py")
    editor.open(uri, text)
    marks = await editor.until(lambda: editor.diagnostics.get(uri))
    user = User(editor, uri)
    (action,) = await user.ask(1, marks=marks)
    assert (action.title, action.is_preferred) == ("Change limit_memroy to limit_memory", True)
    assert action.diagnostics == marks
    edits = edits_of(await user.choose("Change", 1), uri, 1)
    assert applied(text, edits) == text.replace("memroy", "memory")


@pytest.mark.asyncio
async def test_an_action_of_an_older_text_is_worked_out_anew_or_does_nothing(
    editor: Editor, project: Project, limited: str
) -> None:
    text = LIMITED.replace('"24 MB"', '"24 MB", wrong=1')
    editor.open(limited, text)
    user = User(editor, limited)
    remove, limit = await user.ask(4)
    assert [remove.title, limit.title] == ["Remove wrong=1", RAISE]
    editor.change(limited, 2, inserted(1, "# new\n"))
    newer = await editor.code_action_resolve_async(limit)
    assert applied(f"# new\n{text}", edits_of(newer, limited, 2)) == (
        f"# new\n{text}".replace("24 MB", "35 MB")
    )
    assert (await editor.code_action_resolve_async(remove)).edit is None
    # By now it would be another limit than the one that was chosen.
    project.run(result("test_a.py::test_a", 5, 100 * MIB, 24 * MIB))
    await editor.until(
        lambda: any("104857600" in mark.message for mark in editor.diagnostics[limited])
    )
    assert (await editor.code_action_resolve_async(limit)).edit is None
    editor.text_document_did_close(
        types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(limited))
    )
    assert (await editor.code_action_resolve_async(limit)).edit is None


@pytest.mark.asyncio
async def test_an_action_that_is_not_ours_is_left_alone(editor: Editor, limited: str) -> None:
    editor.open(limited, LIMITED)
    for data in (None, 3, {}, {"uri": 3}, {"uri": limited, "key": {}}):
        action = types.CodeAction("Do it", data=data)
        assert await editor.code_action_resolve_async(action) == action


@pytest.mark.asyncio
async def test_a_client_that_resolves_nothing_gets_changes_at_once(
    open_editor: OpenEditor, limited: str
) -> None:
    capabilities = full_capabilities()
    assert capabilities.text_document is not None
    assert capabilities.text_document.code_action is not None
    assert capabilities.workspace is not None
    capabilities.text_document.code_action.resolve_support = None
    capabilities.workspace.workspace_edit = None
    editor = await open_editor(capabilities=capabilities)
    assert editor.server_capabilities.code_action_provider == types.CodeActionOptions(
        code_action_kinds=("quickfix", "refactor.rewrite")
    )
    editor.open(limited, LIMITED)
    (action,) = await User(editor, limited).ask(5)
    assert (action.data, action.edit is not None) == (None, True)
    assert action.edit is not None
    (edits,) = (action.edit.changes or {}).values()
    assert applied(LIMITED, edits) == LIMITED.replace("24 MB", "35 MB")


@pytest.mark.asyncio
async def test_an_old_client_gets_a_command_that_does_the_same(
    open_editor: OpenEditor, limited: str
) -> None:
    capabilities = full_capabilities()
    assert capabilities.text_document is not None
    capabilities.text_document.code_action = types.CodeActionClientCapabilities()
    editor = await open_editor(capabilities=capabilities)
    asked = answering_edits(editor)
    editor.open(limited, LIMITED)
    context = types.CodeActionContext(diagnostics=[])
    (command,) = (
        await editor.text_document_code_action_async(
            types.CodeActionParams(types.TextDocumentIdentifier(limited), line(5), context)
        )
        or ()
    )
    assert isinstance(command, types.Command)
    assert command.title == RAISE
    await editor.workspace_execute_command_async(
        types.ExecuteCommandParams(command.command, command.arguments)
    )
    (edit,) = asked
    assert edit.label == RAISE


def answering_edits(
    editor: Editor, *, applies: bool = True
) -> list[types.ApplyWorkspaceEditParams]:
    """Have the editor apply what the server asks for, or not; what it is asked is kept."""
    asked = []

    def apply(params: types.ApplyWorkspaceEditParams) -> types.ApplyWorkspaceEditResult:
        asked.append(params)
        return types.ApplyWorkspaceEditResult(
            applied=applies, failure_reason=None if applies else "it is read-only"
        )

    editor.protocol.fm.features.pop(types.WORKSPACE_APPLY_EDIT, None)
    editor.protocol.fm.feature(types.WORKSPACE_APPLY_EDIT)(apply)
    return asked


async def set_limit(editor: Editor, uri: str, test: str) -> None:
    await editor.workspace_execute_command_async(
        types.ExecuteCommandParams("memlens.setLimitFromPeak", [{"uri": uri, "test": test}])
    )


@pytest.mark.asyncio
async def test_a_command_sets_the_limit_of_a_file_that_is_not_even_open(
    editor: Editor, limited: str
) -> None:
    asked = answering_edits(editor)
    await editor.until(lambda: editor.diagnostics.get(limited))
    await set_limit(editor, limited, "test_a[case]")
    (params,) = asked
    assert params.edit.document_changes is not None
    (change,) = params.edit.document_changes
    assert isinstance(change, types.TextDocumentEdit)
    assert (change.text_document.uri, change.text_document.version) == (limited, None)
    assert applied(LIMITED, change.edits) == LIMITED.replace("24 MB", "35 MB")


@pytest.mark.asyncio
async def test_a_command_that_can_do_nothing_says_so(editor: Editor, limited: str) -> None:
    asked = answering_edits(editor, applies=False)
    editor.open(limited, LIMITED)
    await editor.until(lambda: editor.diagnostics.get(limited))
    await set_limit(editor, limited, "test_b")
    await set_limit(editor, limited.replace("test_a", "test_gone"), "test_b")
    await set_limit(editor, limited, "test_a")
    await editor.until(lambda: len(editor.messages) == 3)
    said = [message.message for message in editor.messages]
    assert said[0] == "memlens: there is no test_b in the file any more"
    assert said[1].endswith("test_gone.py cannot be read")
    assert said[2] == f"memlens: {RAISE}: it is read-only"
    assert len(asked) == 1
    with pytest.raises(JsonRpcException, match="takes one argument"):
        await editor.workspace_execute_command_async(
            types.ExecuteCommandParams("memlens.setLimitFromPeak", ["test_a"])
        )


@pytest.mark.asyncio
async def test_documents_that_nobody_knows_have_no_actions(
    editor: Editor, project: Project
) -> None:
    assert await User(editor, project.uri("never_opened.py")).ask(1) == []
    editor.open("untitled:1", LIMITED)
    assert await User(editor, "untitled:1").ask(5) == []
    editor.open(project.uri("test_c.py"), LIMITED)
    assert await User(editor, project.uri("test_c.py")).ask(10_000) == []


LEAKING = """\
_cache = []


def fill(size):
    _cache.append(bytearray(size))


def load(size):
    fill(size)
"""
LEAKING_TEST = """\
from shop.cache import load


class TestSessions:
    @pytest.mark.limit_leaks("100 KB")
    def test_sessions_are_forgotten(self):
        load(3 * 1024 * 1024)
        load(2 * 1024 * 1024)

    @pytest.mark.limit_leaks("100 KB")
    def test_elsewhere(self):
        self.kept.append(bytearray(1024 * 1024))

    kept = []
"""


@pytest.mark.asyncio
async def test_what_an_action_writes_makes_a_leaking_test_pass(
    editor: Editor, project: Project
) -> None:
    project.write("pytest.ini", "[pytest]\npythonpath = .\n")
    project.write("shop/__init__.py", "")
    project.write("shop/cache.py", LEAKING)
    test = project.write("tests/test_sessions.py", f"import pytest\n\n{LEAKING_TEST}")
    assert outcomes(project) == "2 failed"
    site = project.uri("shop/cache.py")
    marks = await editor.until(lambda: editor.diagnostics.get(site))
    # The leak is in one file, what ignores it is written into another, which is not open.
    editor.open(site, LEAKING)
    (action,) = await User(editor, site).ask(5, marks=marks)
    assert action.title.startswith(
        "Ignore in test_sessions_are_forgotten what fill leaves behind there (5.0 MiB"
    )
    assert action.diagnostics == marks
    chosen = await editor.code_action_resolve_async(action)
    edits = edits_of(chosen, project.uri("tests/test_sessions.py"), None)
    after = applied(test.read_text(), edits)
    ast.parse(after)
    test.write_text(after)
    assert outcomes(project) == "1 failed, 1 passed"


@pytest.mark.asyncio
async def test_limits_that_actions_write_hold(editor: Editor, project: Project) -> None:
    text = (
        "def test_a():\n    kept = bytearray(30 * 1024 * 1024)\n\n\n"
        "class TestB:\n    def test_b(self):\n        kept = bytearray(5 * 1024 * 1024)\n"
    )
    file = project.write("test_a.py", text)
    assert outcomes(project) == "2 passed"
    uri = project.uri("test_a.py")
    editor.open(uri, text)
    user = User(editor, uri)
    for version, (title, at) in enumerate((("Add a limit of", 1), ("Add a limit of", 9)), start=2):
        chosen = await user.choose(title, at)
        text = applied(text, edits_of(chosen, uri, version - 1))
        editor.change(uri, version, types.TextDocumentContentChangeWholeDocument(text))
    assert text.count("@pytest.mark.limit_memory(") == 2
    file.write_text(text)
    assert outcomes(project) == "2 passed"
    with ResultsReader(database_path(project.root)) as reader:
        checks = [check for test in reader.latest_tests() for check in test.checks]
    assert [check.verdict for check in checks] == ["passed", "passed"]
    for check in checks:
        assert check.measured_bytes * 1.09 < check.limit_bytes < check.measured_bytes * 1.22
