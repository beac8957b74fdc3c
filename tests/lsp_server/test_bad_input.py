"""What a client should not send is answered or ignored, and the server works on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Collection, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import IO, Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams

from memlens.store import database_path
from memlens_lsp.client_input import ClientInput
from memlens_lsp.uris import uri_of

from .conftest import OpenEditor
from .helpers import (
    MIB,
    PATIENCE,
    SERVER,
    Editor,
    Project,
    full_capabilities,
    inserted,
    locked,
    result,
)
from .test_views import ask

OVER = result("test_a.py::test_a", 1, 3 * MIB, 2 * MIB)
TEST = "def test_a(): pass\n"


async def still_works(project: Project, editor: Editor) -> None:
    uri = project.uri("test_works.py")
    editor.open(uri, TEST)
    assert (1, "Run with memory limits") in await editor.lenses(uri)


@pytest.mark.asyncio
async def test_unknown_methods_and_broken_params_are_survived(
    project: Project, editor: Editor
) -> None:
    editor.gives_reasons = True
    editor.protocol.notify("memlens/nonsense", {"a": 1})
    with pytest.raises(JsonRpcException):
        await editor.protocol.send_request_async("memlens/x", {})  # type: ignore[no-untyped-call]
    with pytest.raises(JsonRpcException):
        await editor.workspace_execute_command_async(types.ExecuteCommandParams("nonsense"))
    assert editor.process.stdin is not None
    for body in (b"[]", b"{", b'{"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": 1}'):
        editor.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    await still_works(project, editor)
    assert not editor.messages


@pytest.mark.asyncio
async def test_documents_are_edited_and_closed_that_were_never_opened(
    project: Project, editor: Editor
) -> None:
    editor.gives_reasons = True
    uri = project.uri("test_a.py")
    editor.change(uri, 1, inserted(1, "x"))
    editor.text_document_did_close(
        types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri))
    )
    await still_works(project, editor)
    assert not editor.messages


@pytest.mark.asyncio
async def test_edits_past_the_end_keep_the_document(project: Project, editor: Editor) -> None:
    uri = project.uri("test_a.py")
    editor.open(uri, "x = '\x0c\u2028'\n")
    place = types.Position(999, 999)
    editor.change(
        uri,
        2,
        types.TextDocumentContentChangePartial(types.Range(place, place), TEST),
        types.TextDocumentContentChangePartial(
            types.Range(types.Position(0, 0), types.Position(0, 999)), "\n"
        ),
    )
    assert (3, "Run with memory limits") in await editor.lenses(uri)


def message(content: Any) -> bytes:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def request(number: Any, method: str, params: Any = None) -> bytes:
    return message({"jsonrpc": "2.0", "id": number, "method": method, "params": params})


def notification(method: str, params: Any = None) -> bytes:
    return message({"jsonrpc": "2.0", "method": method, "params": params})


INITIALIZE = request(0, "initialize", {"processId": None, "rootUri": None, "capabilities": {}})
SHUTDOWN = request("end", "shutdown")
EXIT = notification("exit")


class Talk:
    """What a server made of a whole conversation."""

    def __init__(
        self,
        *messages: bytes,
        wait_for: Collection[object] = (),
        command: Sequence[str] = SERVER,
    ) -> None:
        """The last two messages are sent when the requests *wait_for* have been answered."""
        #: The answers by their id.
        self.answers: dict[Any, Any] = {}
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdin
        assert process.stdout
        assert process.stderr
        watchdog = threading.Timer(PATIENCE, process.kill)
        watchdog.start()
        try:
            process.stdin.write(b"".join(messages[:-2]))
            process.stdin.flush()
            while not {*wait_for} <= self.answers.keys() and self._read(process.stdout):
                pass
            process.stdin.write(b"".join(messages[-2:]))
            process.stdin.close()
            while self._read(process.stdout):
                pass
            self.stderr = process.stderr.read().decode()
            self.code = process.wait()
        finally:
            watchdog.cancel()
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()
        assert "Traceback" not in self.stderr

    def _read(self, stream: IO[bytes]) -> bool:
        length = 0
        while (line := stream.readline()) not in (b"\r\n", b""):
            if line.startswith(b"Content-Length: "):
                length = int(line[16:])
        if not line:
            return False
        answer = json.loads(stream.read(length))
        if "id" in answer and "method" not in answer:
            self.answers[answer["id"]] = answer
        return True

    @property
    def errors(self) -> dict[Any, Any]:
        """The code and the message of each answer that is an error, else None."""
        errors = {number: answer.get("error") for number, answer in self.answers.items()}
        return {
            number: (error["code"], error["message"]) if error else None
            for number, error in errors.items()
        }


def test_before_the_first_message_nothing_else_is_answered() -> None:
    talk = Talk(
        notification("textDocument/didOpen", {}),
        request(1, "textDocument/hover", {}),
        request(2, "shutdown"),
        INITIALIZE,
        SHUTDOWN,
        EXIT,
    )
    assert talk.errors == {
        1: (-32002, 'textDocument/hover: expected "initialize" first'),
        2: (-32002, 'shutdown: expected "initialize" first'),
        0: None,
        "end": None,
    }
    assert talk.code == 0


def test_after_the_goodbye_nothing_is_done() -> None:
    talk = Talk(INITIALIZE, SHUTDOWN, request(1, "memlens/tests", {}), EXIT)
    assert talk.errors[1] == (-32600, "memlens/tests: the server has been shut down")
    assert talk.code == 0


def test_a_second_beginning_is_refused_and_loses_nothing() -> None:
    uri = "file:///test_a.py"
    document = {"uri": uri, "languageId": "python", "version": 1, "text": TEST}
    talk = Talk(
        INITIALIZE,
        notification("initialized", {}),
        notification("initialized", {}),
        notification("textDocument/didOpen", {"textDocument": document}),
        INITIALIZE,
        request(2, "textDocument/codeLens", {"textDocument": {"uri": uri}}),
        SHUTDOWN,
        EXIT,
        wait_for=[2],
    )
    assert talk.errors[0] == (-32600, "initialize: may be sent only once")
    assert talk.errors[2] is None
    assert talk.code == 0


#: Requests that cannot be carried out, but told apart as such, and how they are answered.
REFUSED: tuple[tuple[dict[str, Any], int, str], ...] = (
    ({"jsonrpc": "2.0", "method": "textDocument/hover", "params": None}, -32602, "Document/hover"),
    ({"jsonrpc": "2.0", "method": "textDocument/hover", "params": []}, -32602, "Document/hover"),
    (
        {
            "jsonrpc": "2.0",
            "method": "textDocument/hover",
            "params": {"position": {"line": "x"}},
        },
        -32602,
        "textDocument",
    ),
    ({"jsonrpc": "2.0", "method": "memlens/x"}, -32601, "memlens/x"),
    ({"jsonrpc": "2.0", "method": 5}, -32600, "method's name"),
    ({"jsonrpc": "1.0", "method": "a"}, -32600, '"jsonrpc" of "2.0"'),
    ({}, -32600, '"jsonrpc" of "2.0"'),
)
#: What nobody waits for an answer to.
DROPPED = (
    message([]),
    message({}),
    message(b"{"),
    message(b"\xff\xfe"),
    message(b"[" * 100_000),
    message({"jsonrpc": "2.0", "id": None, "method": "a"}),
    message({"jsonrpc": "2.0", "id": [], "method": "a"}),
    message({"jsonrpc": "2.0", "id": 1, "result": 1}),
    message({"jsonrpc": "2.0", "id": {}, "error": 1}),
    notification("textDocument/didOpen", {"textDocument": {"jsonrpc": "2.0"}}),
    notification("textDocument/didOpen", {"textDocument": 1}),
    notification("$/cancelRequest", {"id": []}),
    notification("$/cancelRequest", {"id": 12}),
    notification("$/unknown"),
    notification("workspace/didChangeConfiguration", {"settings": 3}),
    notification("workspace/didChangeWatchedFiles", {"changes": [{"uri": "x"}]}),
    # No messages at all.
    b"Content-Length: 5\r\n\r\n",
    b"content-length:3\n\n{}\n",
    b"Content-Length: -5\r\n\r\n",
    b"Content-Length: 99999999999999999999\r\n\r\n{}",
    b"Content-Length: 0\r\n\r\n",
    b"X: Y\r\n" * 100 + b"\0" * 5000 + b"\r\n",
)


def test_a_request_that_cannot_be_carried_out_is_answered_and_logged_in_a_line() -> None:
    numbered = dict(enumerate(REFUSED, start=1))
    sent = [message({"id": number, **content}) for number, (content, _, _) in numbered.items()]
    talk = Talk(INITIALIZE, *sent, SHUTDOWN, EXIT, wait_for=numbered)
    for number, (content, code, said) in numbered.items():
        assert talk.errors[number][0] == code, content
        assert said in talk.errors[number][1], content
    assert talk.errors["end"] is None
    assert talk.code == 0
    assert 0 < len(talk.stderr.splitlines()) <= len(REFUSED)


def test_what_is_no_message_is_dropped_and_the_next_request_is_answered() -> None:
    # A broken header may take the message after it along: there is one to spare.
    spare = notification("$/x")
    asked = [f"after {number}" for number in range(len(DROPPED))]
    sent = [
        part
        for dropped, name in zip(DROPPED, asked, strict=True)
        for part in (dropped, spare, request(name, "memlens/tests"))
    ]
    talk = Talk(INITIALIZE, *sent, SHUTDOWN, EXIT, wait_for=asked)
    assert talk.errors == dict.fromkeys((0, *asked, "end"))
    assert talk.code == 0


def test_the_same_mistake_is_logged_once() -> None:
    wrong = [notification("textDocument/didOpen", {"textDocument": 1})] * 100
    typed = [
        notification(
            "textDocument/didChange",
            {
                "textDocument": {"uri": "file:///a.py", "version": number},
                "contentChanges": [{"text": ""}],
            },
        )
        for number in range(100)
    ]
    talk = Talk(INITIALIZE, *wrong, *typed, SHUTDOWN, EXIT)
    assert len(talk.stderr.splitlines()) == 2
    assert "a document is edited that is not open: file:///a.py" in talk.stderr


@pytest.mark.asyncio
async def test_a_request_is_not_confused_with_another_of_the_same_id(
    project: Project, editor: Editor
) -> None:
    editor.gives_reasons = True
    project.write("test_a.py", TEST)
    project.run(OVER)
    await editor.until(lambda: editor.marks(project.uri("test_a.py")))
    asked, answered = asyncio.Event(), asyncio.Event()

    async def think_about_it(_: types.ShowMessageRequestParams) -> None:
        asked.set()
        await answered.wait()

    editor.feature(types.WINDOW_SHOW_MESSAGE_REQUEST)(think_about_it)
    params = types.ExecuteCommandParams("memlens.clearResults")
    send = editor.protocol.send_request_async
    task = asyncio.ensure_future(send("workspace/executeCommand", params, msg_id="twice"))  # type: ignore[no-untyped-call]
    await asyncio.wait_for(asked.wait(), PATIENCE)
    assert editor.process.stdin is not None
    editor.process.stdin.write(request("twice", "memlens/tests"))
    with pytest.raises(JsonRpcException, match="its id is that of another request"):
        await task
    answered.set()
    await still_works(project, editor)
    assert database_path(project.root).exists()


class Endless:
    """A stream that never has a line end."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.most = 0

    def readline(self, size: int = -1) -> bytes:
        return self.read(size)

    def read(self, size: int = -1) -> bytes:
        self.most = max(self.most, size)
        taken = min(size, self.left)
        self.left -= taken
        return b"x" * taken


def test_what_is_claimed_to_come_takes_no_memory_before_it_has() -> None:
    stream = Endless(3 * MIB)
    ends: list[None] = []
    client = ClientInput(stream, lambda: ends.append(None))  # type: ignore[arg-type]
    assert client.readline()
    assert len(client.read(900_000_000)) == 2 * MIB
    assert (client.readline(), stream.most) == (b"", MIB)
    assert len(ends) == 1


@pytest.mark.asyncio
async def test_a_client_that_answers_nonsense_is_served_with_the_defaults(
    project: Project, open_editor: OpenEditor
) -> None:
    editor = await open_editor()
    editor.gives_reasons = True
    for nonsense in ("x", {"a": 1}, [1, 2, 3, 4], []):
        editor.protocol.fm.features.pop(types.WORKSPACE_CONFIGURATION)
        editor.feature(types.WORKSPACE_CONFIGURATION)(lambda _, nonsense=nonsense: nonsense)
        editor.workspace_did_change_configuration(types.DidChangeConfigurationParams(None))
        await still_works(project, editor)
    assert "Traceback" not in editor.stderr


@pytest.mark.asyncio
async def test_an_edit_with_an_older_version_is_applied_and_said_once(
    project: Project, editor: Editor
) -> None:
    editor.gives_reasons = True
    uri = project.uri("test_a.py")
    editor.open(uri, TEST, version=7)
    editor.change(uri, 3, inserted(1, "\n"))
    editor.change(uri, 2, inserted(1, "\n"))
    assert (3, "Run with memory limits") in await editor.lenses(uri)
    assert editor.stderr.count("an older version follows a newer one") == 1


# Databases


@pytest.mark.asyncio
async def test_locked_results_are_said_once_and_read_when_they_are_free(
    project: Project, editor: Editor
) -> None:
    uri = project.uri("test_a.py")
    project.write("test_a.py", TEST)
    project.run(OVER)
    await editor.until(lambda: editor.marks(uri))
    with locked(project):
        database_path(project.root).touch()
        editor.open(uri, TEST)
        await editor.until(lambda: editor.log_messages)
        # Marks stay, and requests are answered.
        assert await editor.lenses(uri)
        assert editor.marks(uri)
        (said,) = editor.log_messages
        assert "database is locked" in said.message
    project.run(result("test_a.py::test_a", 1, 1 * MIB, 2 * MIB))
    await editor.until(lambda: not editor.marks(uri))
    assert any("peak 1.0 MiB of 2.0 MiB" in title for _, title in await editor.lenses(uri))
    assert len(editor.log_messages) == 1


@pytest.mark.asyncio
async def test_a_project_that_is_locked_keeps_no_other_waiting(
    project: Project, open_editor: OpenEditor
) -> None:
    slow, quick = Project(project.root / "slow"), Project(project.root / "quick")
    for each in (slow, quick):
        for number in range(30):
            each.write(f"test_{number}.py", TEST)
        each.run(*(result(f"test_{n}.py::test_a", 1, 3 * MIB, 2 * MIB) for n in range(30)))
    editor = await open_editor()
    for each in (slow, quick):
        await editor.until(partial(editor.marks, each.uri("test_29.py")))
    with locked(slow):
        for number in range(30):
            editor.open(slow.uri(f"test_{number}.py"), TEST)
        waiting = [
            asyncio.ensure_future(
                editor.text_document_code_lens_async(
                    types.CodeLensParams(
                        types.TextDocumentIdentifier(slow.uri(f"test_{number}.py"))
                    )
                )
            )
            for number in range(30)
        ]
        answered = []
        for number in range(30):
            uri = quick.uri(f"test_{number}.py")
            editor.open(uri, TEST)
            answered.append(any("peak" in title for _, title in await editor.lenses(uri)))
        assert all(answered)
        # And news of it arrives.
        quick.run(result("test_3.py::test_a", 1, 1 * MIB, 2 * MIB))
        await editor.until(lambda: not editor.marks(quick.uri("test_3.py")))
        assert not all(task.done() for task in waiting)
    await asyncio.gather(*waiting)


#: A server on whose machine nothing under a folder can be read while a file, the gate, is there.
SLOW_DISK = """
import builtins, io, os, runpy, sqlite3, sys, time
folder, gate = sys.argv[1:]
del sys.argv[1:]
access, sleep = os.access, time.sleep

class Slow:
    # No function: Python 3.10's pathlib has some of these as attributes of a class.
    def __init__(self, module, name):
        self.quick = getattr(module, name)
        setattr(module, name, self)

    def __call__(self, path, *args, **kwargs):
        while folder in str(path) and access(gate, os.F_OK):
            sleep(0.01)
        return self.quick(path, *args, **kwargs)

for name in ("lstat", "stat", "readlink", "scandir", "listdir", "open"):
    Slow(os, name)
for module in (builtins, io):
    Slow(module, "open")
Slow(sqlite3, "connect")
runpy.run_module("memlens_lsp", run_name="__main__")
"""


async def everything_is_shown(editor: Editor, uri: str, line: int) -> None:
    """Ask for all that there is about a test that has results and is on *line* (from 1)."""
    document = types.TextDocumentIdentifier(uri)
    name = types.Position(line - 1, 6)
    place = types.Range(name, name)
    assert (line, "peak 3.0 MiB of 2.0 MiB") in await editor.lenses(uri)
    assert await editor.text_document_hover_async(types.HoverParams(document, name))
    assert await editor.text_document_code_action_async(
        types.CodeActionParams(document, place, types.CodeActionContext([]))
    )
    await editor.text_document_inlay_hint_async(types.InlayHintParams(document, place))
    await editor.text_document_completion_async(types.CompletionParams(document, name))
    if editor.server_capabilities.diagnostic_provider is None:
        await editor.until(lambda: editor.marks(uri) == [(line, "memory-limit-exceeded")])
        return
    report = await editor.text_document_diagnostic_async(types.DocumentDiagnosticParams(document))
    assert isinstance(report, types.RelatedFullDocumentDiagnosticReport)
    assert [mark.range.start.line + 1 for mark in report.items] == [line]


@pytest.mark.asyncio
@pytest.mark.parametrize("pulls", [False, True])
async def test_a_disk_that_does_not_answer_keeps_no_other_file_waiting(
    project: Project, open_editor: OpenEditor, tmp_path: Path, pulls: bool
) -> None:
    slow, quick = Project(project.root / "slow"), Project(project.root / "quick")
    for each in (slow, quick):
        for number in range(40):
            each.write(f"test_{number}.py", TEST)
        each.run(*(result(f"test_{n}.py::test_a", 1, 3 * MIB, 2 * MIB) for n in range(40)))
    gate = tmp_path / "gate"
    capabilities = full_capabilities()
    assert capabilities.text_document is not None
    assert capabilities.workspace is not None
    if pulls:
        capabilities.text_document.diagnostic = types.DiagnosticClientCapabilities()
        capabilities.workspace.diagnostics = types.DiagnosticWorkspaceClientCapabilities(True)
    editor = await open_editor(
        capabilities=capabilities,
        command=(sys.executable, "-c", SLOW_DISK, str(slow.root), str(gate)),
    )
    for each in (slow, quick):
        await editor.until(partial(editor.marks, each.uri("test_39.py")))
    editor.open(slow.uri("test_39.py"), TEST)
    assert await editor.lenses(slow.uri("test_39.py"))
    gate.touch()
    waiting = []
    for number in range(40):
        uri = slow.uri(f"test_{number}.py")
        if number < 39:
            editor.open(uri, TEST)
        editor.change(uri, 2, inserted(1, "# edited\n"))
        waiting.append(asyncio.ensure_future(editor.lenses(uri)))
    uri = quick.uri("test_3.py")
    try:
        editor.open(uri, TEST)
        for line in (2, 3):
            editor.change(uri, line, inserted(1, "\n"))
            await asyncio.wait_for(everything_is_shown(editor, uri, line), PATIENCE)
        quick.run(result("test_7.py::test_a", 1, 1 * MIB, 2 * MIB))
        await editor.until(lambda: not editor.marks(quick.uri("test_7.py")))
        quick.write("test_8.py", f"# first\n{TEST}")
        marked = [(2, "memory-limit-exceeded")]
        await editor.until(lambda: editor.marks(quick.uri("test_8.py")) == marked)
        assert not any(task.done() for task in waiting)
    finally:
        gate.unlink()
    for told in await asyncio.gather(*waiting):
        assert (2, "peak 3.0 MiB of 2.0 MiB") in [
            (line, title.partition(" ·")[0]) for line, title in told
        ]


@pytest.mark.asyncio
@pytest.mark.parametrize("event", ["deleted", "emptied", "corrupt", "newer", "no database"])
async def test_results_that_go_bad_while_in_use_are_said_once_and_good_ones_shown_again(
    project: Project, editor: Editor, event: str
) -> None:
    uri = project.uri("test_a.py")
    path = database_path(project.root)
    project.write("test_a.py", TEST)
    project.run(OVER)
    editor.open(uri, TEST)
    await editor.until(lambda: editor.marks(uri))
    spoil(path, event)
    await editor.until(lambda: not editor.marks(uri))
    assert (1, "Run with memory limits") in await editor.lenses(uri)
    assert len(editor.log_messages) == (event != "deleted")
    remove(path.parent)
    project.run(OVER)
    await editor.until(lambda: editor.marks(uri))
    assert len(editor.log_messages) == (event != "deleted")
    assert not editor.messages


def remove(folder: Path) -> None:
    """Delete *folder*, in which the server's SQLite may just be making a file."""
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)


def spoil(path: Path, event: str) -> None:
    if event == "deleted":
        remove(path.parent)
        return
    if event == "newer":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 999")
        return
    text = path.read_bytes()
    new = path.with_name("new")
    bad = {"emptied": b"", "no database": b"x" * 5000, "corrupt": text[:4096] + b"\xff" * 8192}
    new.write_bytes(bad[event])
    for end in ("-wal", "-shm"):
        path.with_name(f"{path.name}{end}").unlink(missing_ok=True)
    new.replace(path)


@pytest.mark.asyncio
async def test_a_named_pipe_in_the_place_of_a_file_is_not_waited_for(
    project: Project, editor: Editor
) -> None:
    project.write("test_a.py", TEST)
    project.run(OVER)
    uri = project.uri("test_a.py")
    await editor.until(lambda: editor.marks(uri))
    (project.root / "test_a.py").unlink()
    os.mkfifo(project.root / "test_a.py")
    await editor.until(lambda: not editor.marks(uri))
    database_path(project.root).unlink()
    os.mkfifo(database_path(project.root))
    await still_works(project, editor)


# Cancelled requests


@pytest.mark.asyncio
async def test_a_cancelled_request_is_answered_as_such_and_others_go_on(
    project: Project, editor: Editor
) -> None:
    uri = project.uri("test_a.py")
    project.write("test_a.py", TEST)
    project.run(OVER)
    await editor.until(lambda: editor.marks(uri))
    editor.open(uri, TEST)
    with locked(project):
        database_path(project.root).touch()
        asked = types.CodeLensParams(types.TextDocumentIdentifier(uri))
        tasks = []
        for number in range(20):
            send = editor.protocol.send_request_async
            tasks.append(
                asyncio.ensure_future(
                    send("textDocument/codeLens", asked, msg_id=f"lens-{number}")  # type: ignore[no-untyped-call]
                )
            )
            await asyncio.sleep(0)
            if number % 2:
                editor.cancel_request(types.CancelParams(f"lens-{number}"))
        answers = await asyncio.gather(*tasks, return_exceptions=True)
    for number, answer in enumerate(answers):
        if number % 2:
            assert isinstance(answer, JsonRpcException)
            assert answer.code == -32800
        else:
            assert answer
    await still_works(project, editor)


# Rights and settings


def powerless() -> tuple[str, ...]:
    """The command of a server that may only do what the files' rights allow."""
    if os.geteuid() != 0:
        return SERVER
    if shutil.which("setpriv") is None:
        pytest.skip("root may do everything, and there is no setpriv")
    return ("setpriv", "--bounding-set=-all", "--inh-caps=-all", *SERVER)


def test_a_workspace_that_may_not_be_written_is_read(project: Project) -> None:
    project.write("test_a.py", TEST)
    project.run(OVER)
    folders = (project.root, database_path(project.root).parent)
    command = powerless()
    for folder in folders:
        folder.chmod(0o555)
    try:
        talk = Talk(*_conversation(project), wait_for=[2, 3, 4], command=command)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert (talk.code, talk.stderr) == (0, "")
    assert "3.0 MiB" in json.dumps(talk.answers[2]["result"])
    assert talk.answers[3]["result"]["results"][0]["peakBytes"] == 3 * MIB
    assert talk.errors[4] is None
    assert not database_path(project.root).with_name("report-of-a-test.html").exists()


def _conversation(project: Project) -> list[bytes]:
    uri = project.uri("test_a.py")
    document = {"uri": uri, "languageId": "python", "version": 1, "text": TEST}
    place = {"line": 0, "character": 6}
    able = {"textDocument": {"hover": {"contentFormat": ["markdown"]}}}
    return [
        request(0, "initialize", {"rootUri": uri_of(project.root), "capabilities": able}),
        notification("initialized", {}),
        notification("textDocument/didOpen", {"textDocument": document}),
        request(2, "textDocument/hover", {"textDocument": {"uri": uri}, "position": place}),
        request(3, "memlens/history", {"uri": uri, "test": "test_a"}),
        request(
            4,
            "workspace/executeCommand",
            {
                "command": "memlens.showFlameGraph",
                "arguments": [{"uri": uri, "test": "test_a"}],
            },
        ),
        SHUTDOWN,
        EXIT,
    ]


@pytest.mark.asyncio
async def test_wrong_settings_are_said_once_each_and_the_others_are_used(
    project: Project, open_editor: OpenEditor
) -> None:
    editor = await open_editor(
        configuration={"interpreter": 3, "pytestArgs": "-x", "codeLens": {"enabled": False}}
    )
    await editor.until(lambda: len(editor.log_messages) == 2)
    uri = project.uri("test_a.py")
    editor.open(uri, TEST)
    assert await editor.lenses(uri) == []
    editor.workspace_did_change_configuration(types.DidChangeConfigurationParams(None))
    assert await editor.lenses(uri) == []
    editor.set_configuration({"memlens": "nonsense"})
    editor.workspace_did_change_configuration(types.DidChangeConfigurationParams(None))
    await editor.until(lambda: len(editor.log_messages) == 3)
    assert "the settings of memlens are 'nonsense'" in editor.log_messages[2].message
    assert not editor.messages


@pytest.mark.asyncio
async def test_every_request_survives_any_uri(project: Project, editor: Editor) -> None:
    editor.gives_reasons = True
    place = types.Position(2**31 - 1, 2**31 - 1)
    for uri in (
        "",
        "file:///",
        "file:///a/../..",
        "file:///%00",
        "file:///\ud800",
        "http://[",
        "a b",
    ):
        document = types.TextDocumentIdentifier(uri)
        editor.open(uri, TEST)
        editor.change(uri, 2, inserted(1, "x"))
        for answer in (
            editor.text_document_code_lens_async(types.CodeLensParams(document)),
            editor.text_document_hover_async(types.HoverParams(document, place)),
            editor.text_document_inlay_hint_async(
                types.InlayHintParams(document, types.Range(place, place))
            ),
        ):
            await answer
        with contextlib.suppress(JsonRpcInvalidParams):
            await ask(editor, "memlens/history", {"uri": uri, "test": "a"})
    await still_works(project, editor)
    assert "Traceback" not in editor.stderr


def test_the_version_is_told() -> None:
    told = subprocess.run([*SERVER, "--version"], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("memlens-lsp 0.")


@pytest.mark.parametrize("arguments", [(), ("--stdio",)])
def test_a_client_that_never_speaks_is_no_success(arguments: tuple[str, ...]) -> None:
    ended = subprocess.run(
        [*SERVER, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, b"", b"")


def test_a_person_who_starts_it_is_told_that_editors_do() -> None:
    ours, terminal = pty.openpty()
    try:
        ended = subprocess.run(SERVER, stdin=terminal, capture_output=True, text=True, check=False)
    finally:
        os.close(ours)
        os.close(terminal)
    assert ended.returncode == 2
    assert "this is for editors to start" in ended.stderr


def test_the_server_imports_neither_pytest_nor_memray() -> None:
    code = (
        "import sys, memlens_lsp.main;"
        "print([name for name in ('pytest', '_pytest', 'memray') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"
