"""No process of a run outlives what it should not, however it or we are ended."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest
from lsprotocol import types

from memlens_lsp import editor_process
from memlens_lsp.running import processes
from memlens_lsp.running.guard import Kept
from memlens_lsp.running.guarded import Guarded, GuardLostError, StartError, Task

from .conftest import OpenEditor
from .helpers import Editor, Project

#: A test with three processes that hold the pipe "alive" open: its own; one in a session of its
#: own that is deaf to polite signals; and a daemon, whose parents are gone and which has an
#: environment of its own, also deaf.
DETACHED = """\
import os
import signal
import subprocess
import sys

DEAF = "import os, signal, sys; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)];"
DEAF += "os.write(int(sys.argv[1]), b'alive\\\\n'); signal.pause()"
DAEMON = "import os, sys; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0);"
DAEMON += "os.execve(sys.executable, [sys.executable, '-c', sys.argv[2], sys.argv[1]], {})"


def test_detached():
    alive = os.open("alive", os.O_WRONLY)
    python = [sys.executable, "-c"]
    subprocess.Popen([*python, DEAF, str(alive)], pass_fds=[alive], start_new_session=True)
    subprocess.run([*python, DAEMON, str(alive), DEAF], pass_fds=[alive], check=True)
    os.write(alive, b"alive\\n")
    signal.pause()


if __name__ == "__main__":
    test_detached()
"""


class Witness:
    """Knows whether the processes of a run are there."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "alive"
        os.mkfifo(self._path)

    async def all_started(self) -> None:
        def read() -> None:
            self._file = self._path.open(encoding="utf-8")
            for _ in range(3):
                assert self._file.readline() == "alive\n"

        await asyncio.wait_for(asyncio.to_thread(read), 60)

    async def all_ended(self) -> None:
        # The end of the file comes when the last process that could write is gone.
        assert await asyncio.wait_for(asyncio.to_thread(self._file.read), 60) == ""
        self._file.close()


@pytest.fixture
def witness(project: Project) -> Witness:
    project.write("pytest.ini", "[pytest]\naddopts = -p no:cacheprovider\n")
    project.write("test_detached.py", DETACHED)
    return Witness(project.root)


async def run(editor: Editor, project: Project) -> None:
    await editor.workspace_execute_command_async(
        types.ExecuteCommandParams("memlens.run", [{"uri": project.uri("test_detached.py")}])
    )


async def start(project: Project) -> Guarded:
    command = (sys.executable, str(project.root / "test_detached.py"))
    return await Guarded.start(Task(command, project.root, os.environ))


@pytest.mark.asyncio
@pytest.mark.usefixtures("by_command")
async def test_cancelling_ends_what_went_into_other_sessions_too(
    project: Project, editor: Editor, witness: Witness
) -> None:
    await run(editor, project)
    await witness.all_started()
    await editor.workspace_execute_command_async(types.ExecuteCommandParams("memlens.cancel"))
    await witness.all_ended()


@pytest.mark.asyncio
@pytest.mark.usefixtures("by_command")
async def test_the_processes_end_with_a_server_that_is_killed(
    project: Project, editor: Editor, witness: Witness
) -> None:
    await run(editor, project)
    await witness.all_started()
    editor.process.kill()
    await witness.all_ended()


@pytest.mark.asyncio
@pytest.mark.usefixtures("by_command")
async def test_they_end_with_the_server_and_the_editor(
    project: Project, open_editor: OpenEditor, witness: Witness
) -> None:
    # The server's input does not end with this editor's process, as when another one has it too.
    vanishing = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with vanishing:
        editor = await open_editor(process_id=vanishing.pid)
        await run(editor, project)
        await witness.all_started()
        vanishing.kill()
    assert await asyncio.wait_for(editor.process.wait(), 30) == 1
    await witness.all_ended()


@pytest.mark.asyncio
async def test_an_editor_that_cannot_be_seen_is_no_reason_to_end(
    project: Project, open_editor: OpenEditor
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for pid in (gone.pid, 0, -1, 2**31 - 1):
        editor = await open_editor(process_id=pid)
        uri = project.uri("test_a.py")
        editor.open(uri, "def test_a(): pass\n")
        assert await editor.lenses(uri)
        await editor.shutdown_session()


@pytest.mark.asyncio
async def test_the_processes_end_with_a_guard_that_is_killed(
    project: Project, witness: Witness
) -> None:
    guarded = await start(project)
    await witness.all_started()
    os.kill(guarded._guard.pid, signal.SIGKILL)
    with pytest.raises(GuardLostError):
        await guarded.wait()
    assert processes.members(guarded._mark) == []
    # Without its guard nothing tells the daemon, which has no mark, from any other process.
    for pid in daemons(project.root):
        os.kill(pid, signal.SIGKILL)
    await witness.all_ended()


def daemons(folder: Path) -> list[int]:
    """The processes that run in *folder*."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == folder.resolve():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


@pytest.mark.asyncio
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_a_guard_that_is_told_to_end_ends_what_it_guards(
    project: Project, witness: Witness, number: signal.Signals
) -> None:
    guarded = await start(project)
    await witness.all_started()
    os.kill(guarded._guard.pid, number)
    ended = await guarded.wait()
    assert (ended.code, ended.left) == (-signal.SIGTERM, [])
    await witness.all_ended()


@pytest.mark.asyncio
async def test_what_ends_by_itself_keeps_what_it_left_behind(project: Project) -> None:
    code = (
        "import subprocess, sys\n"
        # In one write, however the environment has Python buffer.
        "subprocess.Popen([sys.executable, '-c', 'import os; os.write(1, input().encode())'],"
        " stdin=open('go'), stdout=open('said', 'w'), start_new_session=True)\n"
    )
    for name in ("go", "said"):
        os.mkfifo(project.root / name)
    # Both ends of each, so that nothing waits.
    go, said = (os.open(project.root / name, os.O_RDWR) for name in ("go", "said"))
    try:
        guarded = await Guarded.start(Task((sys.executable, "-c", code), project.root, os.environ))
        assert (await guarded.wait()).code == 0
        os.write(go, b"still here\n")
        assert await asyncio.to_thread(os.read, said, 100) == b"still here"
    finally:
        os.close(go)
        os.close(said)


@pytest.mark.asyncio
async def test_arguments_environment_and_output_survive_any_bytes(tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xff\n'\" $(x)")
    folder = tmp_path / odd.replace("\n", " ")
    folder.mkdir()
    code = "import os, sys; os.write(1, os.fsencode(sys.argv[1] + os.environ['A'] + os.getcwd()))"
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "now").touch()
    task = Task((sys.executable, "-c", code, odd), folder, {**os.environ, "A": odd}, notes)
    ended = await (await Guarded.start(task)).wait()
    expected = os.fsencode(odd + odd + str(folder)).decode("utf-8", "replace")
    assert ended == (0, expected, [])
    assert not notes.exists()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("command", "folder", "reason"),
    [
        (("/no/such/program",), "/", "No such file or directory"),
        (("no-such-program-of-ours",), "/", "No such file or directory"),
        (("/bin",), "/", "Permission denied"),
        ((sys.executable,), "/no/such/folder", "No such file or directory"),
        ((sys.executable, "\ud800"), "/", "'\\ud800' has what is no character"),
        ((sys.executable, "x" * (4 << 20)), "/", "Argument list too long"),
    ],
)
async def test_what_cannot_be_started_is_told(
    command: tuple[str, ...], folder: str, reason: str
) -> None:
    with pytest.raises(StartError) as caught:
        await (await Guarded.start(Task(command, Path(folder), os.environ))).wait()
    assert str(caught.value) == reason


@pytest.mark.asyncio
async def test_the_end_of_what_ends_at_once_is_noticed() -> None:
    for number in range(10):
        guarded = await Guarded.start(
            Task(("/bin/sh", "-c", f"exit {number}"), Path("/"), os.environ)
        )
        assert (await asyncio.wait_for(guarded.wait(), 30)).code == number


def test_an_output_keeps_its_beginning_and_its_end() -> None:
    kept = Kept(head=10, tail=10)
    for number in range(100):
        kept.add(b"%02d" % number)
    assert kept.text() == b"0001020304\n... (180 bytes left out) ...\n9596979899"
    short = Kept(head=10, tail=10)
    short.add(b"0123456789abcdefghij")
    assert short.text() == b"0123456789abcdefghij"


@pytest.mark.parametrize("ps", [None, ("ps", "axeww", "-o", "pid=,ppid=,command=")])
def test_descendants_and_marked_processes_are_found(
    ps: tuple[str, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The way of systems without /proc, with what this system's ps calls it.
    mark = str(uuid.uuid4())
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'input()'], env={});"
    code += "print('go', flush=True); input()"
    environment = {**os.environ, processes.MARK: mark}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        if ps is None:
            listed = list(processes._from_proc(mark))
        else:
            listed = list(processes._from_ps(mark, ps))
        monkeypatch.setattr(processes, "_from_proc", lambda _: listed)
        assert [each.pid for each in listed if each.is_marked] == [process.pid]
        found = processes.members(mark)
        assert len(found) == 2
        assert found[0] == process.pid
        monkeypatch.undo()
        assert processes.kill_marked(mark) == []
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("way", [editor_process._opened, editor_process._polled])
def test_the_end_of_a_process_is_noticed(way: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editor_process, "_INTERVAL", 0.01)
    assert callable(way)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        wait = way(process.pid)
        assert wait is not None
        noticed = threading.Thread(target=wait)
        noticed.start()
        assert noticed.is_alive()
        process.kill()
    noticed.join(30)
    assert not noticed.is_alive()
    assert way(process.pid) is None
