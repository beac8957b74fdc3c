"""What a client should not send is answered or ignored, and the server works on."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from .helpers import SERVER, Editor, Project, inserted

TEST = "def test_a(): pass\n"


async def still_works(project: Project, editor: Editor) -> None:
    uri = project.uri("test_works.py")
    editor.open(uri, TEST)
    assert await editor.lenses(uri) == [(1, "Run with memory limits")]


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
    assert await editor.lenses(uri) == [(3, "Run with memory limits")]


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
