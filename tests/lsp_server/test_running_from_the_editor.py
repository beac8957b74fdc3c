"""Running tests from the editor: a real pytest with the real plugin."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from .conftest import OpenEditor
from .helpers import Editor, Project, full_capabilities

pytestmark = pytest.mark.asyncio

#: The interpreter's own flags and the outer pytest's settings must not reach the inner one.
INI = "[pytest]\naddopts = -p no:cacheprovider\n"
TESTS = """\
import pytest


@pytest.mark.limit_memory("4 MiB")
def test_load():
    data = bytearray(6 << 20)


def test_small():
    pass
"""
#: Holds a named pipe open for as long as it or its child, which ignores polite signals, lives.
STUBBORN = """\
import signal
import subprocess
import sys

CHILD = "import signal; signal.signal(2, signal.SIG_IGN); signal.signal(15, signal.SIG_IGN);"
CHILD += "print('alive', file=open(3, 'w'), flush=True); signal.pause()"


def test_first():
    pass


def test_endless():
    alive = open("alive", "w")
    subprocess.Popen(
        [sys.executable, "-c", CHILD.replace("open(3", f"open({alive.fileno()}")],
        pass_fds=[alive.fileno()],
    )
    signal.pause()
"""


@pytest.fixture(autouse=True)
def files(project: Project) -> None:
    project.write("pytest.ini", INI)
    project.write("test_shop.py", TESTS)
    project.write("test_stubborn.py", STUBBORN)


def progress_of(editor: Editor) -> list[Any]:
    return [report for reports in editor.progress_reports.values() for report in reports]


def ends(editor: Editor) -> list[str | None]:
    return [p.message for p in progress_of(editor) if isinstance(p, types.WorkDoneProgressEnd)]


def said(editor: Editor) -> list[str | None]:
    return [progress.message for progress in progress_of(editor)]


def reports_of(editor: Editor, beginning: str) -> list[types.WorkDoneProgressReport]:
    return [
        report
        for report in progress_of(editor)
        if isinstance(report, types.WorkDoneProgressReport)
        and (report.message or "").startswith(beginning)
    ]


def token_of(editor: Editor, title: str) -> types.ProgressToken:
    """The token by which the run called *title* is cancelled: the last one of that name."""
    tokens = [
        token
        for token, reports in editor.progress_reports.items()
        if any((getattr(report, "message", "") or "").startswith(title) for report in reports)
    ]
    return tokens[-1]


async def has_lens(editor: Editor, uri: str, line: int, beginning: str) -> None:
    """Wait until a lens of the line begins so: the client is told to ask again."""
    seen = -1
    while True:
        lenses = await editor.lenses(uri)
        if any(number == line and title.startswith(beginning) for number, title in lenses):
            return
        await editor.until(lambda: editor.lens_refreshes > seen)  # noqa: B023
        seen = editor.lens_refreshes


class Witness:
    """Knows whether the processes of a run are still there."""

    def __init__(self, project: Project) -> None:
        self._fifo = project.root / "alive"
        os.mkfifo(self._fifo)

    async def all_started(self) -> None:
        def read() -> None:
            self._file = self._fifo.open(encoding="utf-8")
            assert self._file.readline() == "alive\n"

        await asyncio.wait_for(asyncio.to_thread(read), 30)

    async def all_ended(self) -> None:
        # The end of the file comes when the last process that could write is gone.
        assert await asyncio.wait_for(asyncio.to_thread(self._file.read), 30) == ""
        self._file.close()


@pytest.mark.usefixtures("by_command")
async def test_running_a_test_shows_its_progress_its_peak_and_what_is_wrong(
    project: Project, editor: Editor
) -> None:
    uri = project.uri("test_shop.py")
    editor.open(uri, TESTS)
    assert (5, "Run with memory limits") in await editor.lenses(uri)
    await editor.run_test(uri, "test_load")
    await editor.until(lambda: ends(editor))
    await editor.until(lambda: (5, "memory-limit-exceeded") in editor.marks(uri))
    mark = next(m for m in editor.diagnostics[uri] if m.code == "memory-limit-exceeded")
    steps = [step.location.range.start.line + 1 for step in mark.related_information or ()]
    assert 6 in steps
    assert (5, "peak 6.0 MiB of 4.0 MiB") in await editor.lenses(uri)
    begin = progress_of(editor)[0]
    assert isinstance(begin, types.WorkDoneProgressBegin)
    assert (begin.title, begin.cancellable, begin.message) == ("memlens", True, "test_load")
    assert ends(editor) == ["test_load: 1 failed"]
    assert not editor.messages
    assert any("1 failed" in log.message for log in editor.log_messages)


async def test_a_file_is_run_whole_when_no_test_is_named(project: Project, editor: Editor) -> None:
    uri = project.uri("test_shop.py")
    targets: list[dict[str, Any]] = [{}, {"test": None}, {"test": ""}]
    for number, target in enumerate(targets, start=1):
        await editor.workspace_execute_command_async(
            types.ExecuteCommandParams("memlens.run", [{"uri": uri, **target}])
        )
        await editor.until(lambda: len(ends(editor)) == number)  # noqa: B023
        assert ends(editor)[-1] == "test_shop.py: 1 failed, 1 passed"


async def test_a_client_without_progress_gets_its_results_too(
    project: Project, open_editor: OpenEditor
) -> None:
    editor = await open_editor(capabilities=types.ClientCapabilities())
    uri = project.uri("test_shop.py")
    await editor.run_test(uri, "test_load")
    await editor.until(lambda: editor.marks(uri))
    await editor.until(lambda: any("Exit code 1" in log.message for log in editor.log_messages))


@pytest.mark.usefixtures("by_command")
async def test_cancelling_ends_every_process_and_keeps_finished_results(
    project: Project, editor: Editor
) -> None:
    witness = Witness(project)
    uri = project.uri("test_stubborn.py")
    editor.open(uri, STUBBORN)
    await editor.run_test(uri, "")
    await witness.all_started()
    (token,) = editor.progress_reports
    editor.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token))
    await witness.all_ended()
    await editor.until(lambda: ends(editor))
    assert ends(editor) == ["test_stubborn.py: cancelled (1 passed)"]
    # The test that had ended has its result.
    await has_lens(editor, uri, 9, "peak 0 B")
    assert not editor.messages


async def test_a_run_waits_for_the_one_before_and_says_so(project: Project, editor: Editor) -> None:
    witness = Witness(project)
    await editor.run_test(project.uri("test_stubborn.py"), "test_endless")
    await witness.all_started()
    uri = project.uri("test_shop.py")
    await editor.run_test(uri, "test_small")
    await editor.until(lambda: editor.messages)
    assert editor.messages[0].type == types.MessageType.Info
    assert "test_small is queued: it runs when test_endless has ended" in editor.messages[0].message
    await editor.until(lambda: "test_small: waits until test_endless has ended" in said(editor))
    # The same once more would be for nothing; another one waits too.
    await editor.run_test(uri, "test_small")
    await editor.until(lambda: len(editor.messages) == 2)
    assert "test_small waits already" in editor.messages[1].message
    await editor.run_test(uri, "test_load")
    await editor.until(lambda: "test_load: waits until test_endless has ended" in said(editor))
    # What waits can be cancelled without what it waits for.
    editor.window_work_done_progress_cancel(
        types.WorkDoneProgressCancelParams(token_of(editor, "test_load"))
    )
    await editor.until(lambda: "test_load: cancelled" in ends(editor))
    editor.window_work_done_progress_cancel(
        types.WorkDoneProgressCancelParams(token_of(editor, "test_endless"))
    )
    await witness.all_ended()
    await editor.until(lambda: "test_small: 1 passed" in ends(editor))
    assert "test_endless: cancelled" in ends(editor)


async def test_finished_tests_are_counted_while_the_run_goes_on(
    project: Project, editor: Editor
) -> None:
    witness = Witness(project)
    uri = project.uri("test_stubborn.py")
    await editor.run_test(uri, "")
    await witness.all_started()
    report = await editor.until(lambda: reports_of(editor, "test_stubborn.py: 1 of 2 (1 passed)"))
    assert report[0].percentage == 50
    begin = progress_of(editor)[0]
    assert (begin.title, begin.percentage) == ("memlens", 0)
    await editor.shutdown_session()
    await witness.all_ended()


@pytest.mark.usefixtures("by_command")
async def test_the_children_end_when_the_client_vanishes(project: Project, editor: Editor) -> None:
    witness = Witness(project)
    await editor.run_test(project.uri("test_stubborn.py"), "test_endless")
    await witness.all_started()
    assert editor.process.stdin is not None
    editor.process.stdin.close()
    await witness.all_ended()
    assert await asyncio.wait_for(editor.process.wait(), 30) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.usefixtures("by_command")
async def test_the_children_end_when_the_server_is_told_to(
    project: Project, editor: Editor, number: signal.Signals
) -> None:
    witness = Witness(project)
    await editor.run_test(project.uri("test_stubborn.py"), "test_endless")
    await witness.all_started()
    editor.process.send_signal(number)
    await witness.all_ended()
    assert await asyncio.wait_for(editor.process.wait(), 30) == 128 + number


def interpreter(tmp_path: Path, *flags: str) -> str:
    script = tmp_path / "python with flags"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {" ".join(flags)} "$@"\n')
    script.chmod(0o755)
    return str(script)


@pytest.mark.parametrize("settings", ["wrong", "right"])
@pytest.mark.any_python
async def test_a_run_that_could_not_start_says_what_to_do(
    project: Project, editor: Editor, tmp_path: Path, settings: str
) -> None:
    project.write("test_broken.py", "import nowhere\n\n\ndef test_a():\n    pass\n")
    project.write("test_empty.py", "")
    # A Python without site-packages.
    bare = interpreter(tmp_path, "-S")
    not_loaded = "pytest does not load pytest-memlens, though it is installed"
    cases: list[tuple[Mapping[str, object], str, str, str]] = [
        ({"interpreter": "/no/such/python"}, "test_shop.py", "test_load", "cannot be started"),
        ({"interpreter": bare}, "test_shop.py", "test_load", "pytest is not installed for"),
        ({"pytestArgs": ["-p", "no:memlens"]}, "test_shop.py", "test_load", not_loaded),
        ({"pytestArgs": ["--nonsense"]}, "test_shop.py", "test_load", "did not accept"),
    ]
    if settings == "right":
        cases = [
            ({}, "test_shop.py", "test_new", "save the file"),
            ({}, "test_gone.py", "test_load", "save the file"),
            ({}, "test_broken.py", "test_a", "No module named 'nowhere'"),
            ({}, "test_empty.py", "", "found no tests"),
        ]
    for configuration, file, test, said in cases:
        editor.configure(configuration)
        editor.messages.clear()
        await editor.run_test(project.uri(file), test)
        await editor.until(lambda: editor.messages)
        (message,) = editor.messages
        assert message.type == types.MessageType.Error
        assert said in message.message


@pytest.mark.any_python
async def test_wrong_arguments_are_answered_with_what_was_expected(editor: Editor) -> None:
    wrong: list[list[Any] | None] = [
        None,
        [],
        ["test_a"],
        [{"uri": 1}],
        [{"uri": "untitled:Untitled-1", "test": "test_a"}],
        [{"uri": "file:///a.py", "test": ["test_a"]}],
        [{}, {}],
    ]
    for arguments in wrong:
        with pytest.raises(JsonRpcException, match=r"^memlens\.run (got|cannot run)") as caught:
            await editor.workspace_execute_command_async(
                types.ExecuteCommandParams("memlens.run", arguments)
            )
        assert caught.value.code == types.ErrorCodes.InvalidParams, arguments


@pytest.mark.any_python
async def test_settings_come_from_the_initialization_options_where_there_is_no_configuration(
    project: Project, open_editor: OpenEditor
) -> None:
    editor = await open_editor(
        capabilities=types.ClientCapabilities(),
        options={"settings": {"pytestArgs": ["--collect-only"], "interpreter": 7}},
    )
    await editor.until(lambda: editor.log_messages)
    assert "memlens.interpreter is 7: expected a string" in editor.log_messages[0].message
    await editor.run_test(project.uri("test_shop.py"), "test_load")
    await editor.until(lambda: any("--collect-only" in log.message for log in editor.log_messages))
    editor.workspace_did_change_configuration(
        types.DidChangeConfigurationParams({"memlens": {"pytestArgs": ["--setup-plan"]}})
    )
    await editor.run_test(project.uri("test_shop.py"), "test_load")
    await editor.until(lambda: any("--setup-plan" in log.message for log in editor.log_messages))


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.any_python
async def test_settings_that_are_taken_away_are_those_of_the_start_again(
    project: Project, open_editor: OpenEditor, asks: bool
) -> None:
    uri = project.uri("test_shop.py")
    editor = await open_editor(
        capabilities=full_capabilities() if asks else types.ClientCapabilities(),
        options={"settings": {"codeLens": {"enabled": False}}},
    )
    editor.open(uri, TESTS)
    assert await editor.lenses(uri) == []

    def is_refreshed(times: int) -> bool:
        return editor.lens_refreshes == times

    for number, settings in enumerate(({"codeLens": {"enabled": True}}, None), 1):
        editor.set_configuration({"memlens": settings})
        pushed = {} if settings is None else {"memlens": settings}
        editor.workspace_did_change_configuration(types.DidChangeConfigurationParams(pushed))
        if asks:
            await editor.until(partial(is_refreshed, number))
        assert bool(await editor.lenses(uri)) == (settings is not None)


@pytest.mark.any_python
async def test_changed_settings_are_asked_for_again(
    project: Project, open_editor: OpenEditor
) -> None:
    editor = await open_editor(
        capabilities=full_capabilities(), configuration={"pytestArgs": ["--collect-only"]}
    )
    editor.set_configuration({"memlens": {"pytestArgs": "-x"}})
    editor.workspace_did_change_configuration(types.DidChangeConfigurationParams(None))
    await editor.until(lambda: editor.log_messages)
    (log,) = editor.log_messages
    assert "memlens.pytestArgs is '-x': expected a list of strings" in log.message
