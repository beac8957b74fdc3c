"""What `memlens.run` and `memlens.cancel` can be asked for, with a real pytest and plugin."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from memlens.store import ResultsReader, database_path
from memlens_lsp.uris import uri_of

from .conftest import OpenEditor
from .helpers import Editor, Project, inserted

pytestmark = pytest.mark.asyncio

INI = "[pytest]\naddopts = -p no:cacheprovider\n"
#: Ids that a shell, a line, an option or a file of arguments could take for something else.
ODD = """\
import pytest

pytestmark = pytest.mark.limit_memory("1 MiB")
IDS = ["a b", "x[y]", "::", "quote'\\"", "-k", "@x", "$(touch x)", "new\\nline"]
IDS += ["\\x0c", "back\\\\slash"]


@pytest.mark.parametrize("case", IDS, ids=IDS)
def test_odd(case):
    pass


class TestÄ:
    @pytest.mark.parametrize("case", ["ä", "😀"])
    def test_ö(self, case):
        pass
"""
SHOP = """\
import pytest


@pytest.mark.limit_memory("1 MiB")
def test_heavy():
    data = bytearray(3 << 20)


@pytest.mark.limit_memory("1 MiB")
def test_light():
    pass


def test_wrong():
    assert False


class TestCart:
    def test_a(self):
        pass

    def test_b(self):
        pass
"""
#: Waits until the pipe "go" is opened for reading, and says before that it waits.
WAITING = """\
def test_waiting():
    open("alive", "w").close()
    open("go", "w").close()
"""


@pytest.fixture(autouse=True)
def files(project: Project) -> None:
    project.write("pytest.ini", INI)


def shown(editor: Editor) -> list[Any]:
    """All progress that was shown."""
    return [report for reports in editor.progress_reports.values() for report in reports]


async def run(editor: Editor, argument: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Run and wait for the end, as a client does that shows the progress itself."""
    token = f"client {len(editor.progress_reports)}"
    editor.progress_reports[token] = []
    params = types.ExecuteCommandParams("memlens.run", [dict(argument)], work_done_token=token)
    told = await asyncio.wait_for(editor.workspace_execute_command_async(params), 60)
    assert isinstance(told, list)
    return told


def ran(root: Path) -> list[str]:
    """The ids of the tests of the last run."""
    with ResultsReader(database_path(root)) as reader:
        (last,) = reader.runs()
        assert last.id is not None
        return [test.nodeid for test in reader.tests_of(last.id, stacks=False)]


async def test_any_id_can_be_run(project: Project, editor: Editor) -> None:
    file = project.write("sub folder/test_odd.py", ODD)
    (told,) = await run(editor, {"uri": uri_of(file)})
    assert told["outcomes"] == {"passed": 12}
    ids = ran(project.root)
    names = [nodeid.partition("::")[2] for nodeid in ids]
    # Several at once, as ids in the file and as node ids of the project.
    (told,) = await run(editor, {"uri": uri_of(file), "tests": names[2:]})
    assert told["problem"] is None
    assert ran(project.root) == ids[2:]
    await run(editor, {"uri": uri_of(project.root), "tests": ids[5:8]})
    assert ran(project.root) == ids[5:8]
    await run(editor, {"uri": uri_of(file), "test": names[7]})
    assert ran(project.root) == ["sub folder/test_odd.py::test_odd[new\\nline]"]


async def test_a_parametrized_test_a_class_and_a_folder_are_run_whole(
    project: Project, editor: Editor
) -> None:
    file = project.write("tests/test_odd.py", ODD)
    project.write("tests/test_shop.py", SHOP)
    project.write("other/test_other.py", SHOP)
    (told,) = await run(editor, {"uri": uri_of(file), "test": "test_odd"})
    assert told["outcomes"] == {"passed": 10}
    (told,) = await run(editor, {"uri": uri_of(file), "test": "TestÄ"})
    assert told["outcomes"] == {"passed": 2}
    (told,) = await run(editor, {"uri": uri_of(project.root / "tests")})
    assert told["outcomes"] == {"passed": 15, "failed": 2}
    assert told["title"] == "tests"
    (told,) = await run(editor, {"workspace": True})
    assert told["outcomes"] == {"passed": 18, "failed": 4}
    assert told["root"] == uri_of(project.root)


async def test_the_failed_ones_are_run_again_and_then_the_last_ones(
    project: Project, editor: Editor
) -> None:
    file = project.write("test_shop.py", SHOP)
    uri = uri_of(file)
    assert await run(editor, {"failed": True}) == []
    assert "no test failed" in editor.messages[0].message
    await run(editor, {"uri": uri})
    await editor.until(lambda: editor.diagnostics.get(uri))
    failed = ["test_shop.py::test_heavy", "test_shop.py::test_wrong"]
    (told,) = await run(editor, {"failed": True})
    assert (told["title"], told["outcomes"]) == ("2 failed tests", {"failed": 2})
    assert ran(project.root) == failed
    # One that is no longer there does not keep the others from being run.
    file.write_text(SHOP.replace("test_wrong", "test_renamed"), encoding="utf-8")
    (told,) = await run(editor, {"failed": True, "uri": uri})
    assert told["outcomes"] == {"failed": 1}
    assert ran(project.root) == failed[:1]
    assert any("does not find all of 2 tests" in log.message for log in editor.log_messages)
    # The last ones are the same ones, whatever has failed since.
    file.write_text(SHOP.replace("3 << 20", "3"), encoding="utf-8")
    (told,) = await run(editor, {"last": True})
    assert told["outcomes"] == {"failed": 1, "passed": 1}
    assert ran(project.root) == failed
    (told,) = await run(editor, {"last": True})
    assert ran(project.root) == failed


async def test_missing_tests_are_left_out_where_the_project_is_a_symlink(
    project: Project, open_editor: OpenEditor, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(project.root)
    project.write("test_shop.py", SHOP)
    editor = await open_editor(folder=link)
    tests = ["test_light", "test_gone", "TestCart::test_gone[\n]"]
    (told,) = await run(editor, {"uri": uri_of(link / "test_shop.py"), "tests": tests})
    assert (told["outcomes"], told["problem"]) == ({"passed": 1}, None)
    (told,) = await run(editor, {"uri": uri_of(link / "test_shop.py"), "tests": tests[1:]})
    assert told["problem"].startswith("pytest does not find the test: save the file")


async def test_a_run_of_files_that_are_not_saved_says_so_once(
    project: Project, editor: Editor
) -> None:
    cart = "def total():\n    return 1\n"
    project.write("cart.py", cart)
    project.write("test_shop.py", SHOP)
    shop = project.uri("test_shop.py")
    asked = {"uri": shop, "test": "test_light"}
    # Line ends, and whether the last line has one, are the editor's affair.
    editor.open(shop, SHOP.replace("\n", "\r\n") + "\r\n")
    editor.open(project.uri("cart.py"), cart.rstrip("\n"))
    editor.open(uri_of(project.write("../elsewhere.py", "x = 1\n").resolve()), "x = 2\n")
    await run(editor, asked)
    assert editor.messages == []
    editor.change(shop, 2, inserted(1, "import os\n"))
    await run(editor, asked)
    (message,) = editor.messages
    assert message.type == types.MessageType.Warning
    words = "test_shop.py has changes that are not saved: the tests run without them"
    assert message.message == f"memlens: {words}"
    editor.change(project.uri("cart.py"), 2, inserted(1, "import os\n"))
    await run(editor, asked)
    assert "cart.py and test_shop.py have changes" in editor.messages[-1].message
    assert len(editor.messages) == 2
    project.write("test_shop.py", f"import os\n{SHOP}")
    project.write("cart.py", f"import os\n{cart}")
    await run(editor, asked)
    assert len(editor.messages) == 2


async def test_there_is_nothing_to_run_again_at_first(editor: Editor) -> None:
    assert await run(editor, {"last": True}) == []
    assert "nothing has been run yet" in editor.messages[0].message


async def test_many_tests_are_named_in_a_file(project: Project, editor: Editor) -> None:
    text = (
        "import pytest\n@pytest.mark.parametrize('n', range(2000))\ndef test_many(n):\n    pass\n"
    )
    file = project.write("test_with_a_rather_long_name.py", text)
    tests = [f"test_many[{number}]" for number in range(0, 2000, 2)]
    (told,) = await run(editor, {"uri": uri_of(file), "tests": tests})
    assert told["outcomes"] == {"passed": 1000}
    assert told["title"] == "1000 tests"
    (log,) = [log for log in editor.log_messages if log.message.startswith("$")]
    (listed,) = [word for word in log.message.split("\n")[0].split() if word.startswith("@")]
    assert not Path(listed[1:]).exists()  # nothing is left behind


async def test_the_clients_own_token_shows_the_progress_and_is_done_with_the_answer(
    project: Project, editor: Editor
) -> None:
    file = project.write("test_shop.py", SHOP)
    (told,) = await run(editor, {"uri": uri_of(file), "test": "test_heavy"})
    assert told == {
        "root": uri_of(project.root),
        "title": "test_heavy",
        "exitCode": 1,
        "outcomes": {"failed": 1},
        "cancelled": False,
        "problem": None,
        "missing": None,
        "python": sys.executable,
    }
    begin, end = shown(editor)[0], shown(editor)[-1]
    assert isinstance(begin, types.WorkDoneProgressBegin)
    assert begin.percentage == 0
    assert isinstance(end, types.WorkDoneProgressEnd)
    assert end.message == "test_heavy: 1 failed"


async def test_the_server_says_that_it_takes_tokens(editor: Editor) -> None:
    commands = editor.server_capabilities.execute_command_provider
    assert commands is not None
    assert commands.work_done_progress
    assert {"memlens.run", "memlens.cancel"} <= set(commands.commands)


class Waiting:
    """A test that waits for us."""

    def __init__(self, project: Project) -> None:
        self.file = project.write("test_waiting.py", WAITING)
        self._alive, self._go = project.root / "alive", project.root / "go"
        os.mkfifo(self._alive)
        os.mkfifo(self._go)

    async def is_running(self) -> None:
        await asyncio.wait_for(asyncio.to_thread(self._alive.read_bytes), 30)

    async def go_on(self) -> None:
        await asyncio.wait_for(asyncio.to_thread(self._go.read_bytes), 30)


@pytest.mark.parametrize("of", ["all", "project", "request", "token"])
async def test_a_run_is_cancelled_by_command_by_request_and_by_token(
    project: Project, editor: Editor, of: str
) -> None:
    waiting = Waiting(project)
    params = types.ExecuteCommandParams(
        "memlens.run", [{"uri": uri_of(waiting.file)}], work_done_token="mine"
    )
    editor.progress_reports["mine"] = []
    request = editor.protocol.send_request("workspace/executeCommand", params)
    await waiting.is_running()
    elsewhere = [{"uri": uri_of(project.root.parent / "elsewhere.py")}]
    await editor.workspace_execute_command_async(
        types.ExecuteCommandParams("memlens.cancel", elsewhere)
    )
    if of == "request":
        (number,) = [
            number
            for number, future in editor.protocol._request_futures.items()
            if future is request
        ]
        editor.cancel_request(types.CancelParams(number))
        with pytest.raises(JsonRpcException):
            await asyncio.wait_for(asyncio.wrap_future(request), 30)
    elif of == "token":
        editor.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams("mine"))
    else:
        arguments = [] if of == "all" else [{"uri": uri_of(waiting.file)}]
        await editor.workspace_execute_command_async(
            types.ExecuteCommandParams("memlens.cancel", arguments)
        )
    await editor.until(lambda: "Exit code" in "".join(log.message for log in editor.log_messages))
    if of != "request":
        (told,) = await asyncio.wait_for(asyncio.wrap_future(request), 30)
        assert told["cancelled"]
        assert shown(editor)[-1].message == "test_waiting.py: cancelled"


async def test_a_run_that_is_cancelled_before_it_begins_does_not_begin(
    project: Project, editor: Editor
) -> None:
    file = project.write("test_shop.py", SHOP)
    asked, goes_on = asyncio.Event(), asyncio.Event()

    async def tell_settings(params: types.ConfigurationParams) -> list[Any]:
        asked.set()
        await goes_on.wait()
        return [{} for _ in params.items]

    editor.protocol.fm.features.pop(types.WORKSPACE_CONFIGURATION)
    editor.feature(types.WORKSPACE_CONFIGURATION)(tell_settings)
    editor.workspace_did_change_configuration(types.DidChangeConfigurationParams(None))
    await asyncio.wait_for(asked.wait(), 30)
    arguments = [{"uri": uri_of(file), "test": "test_heavy"}]
    params = types.ExecuteCommandParams("memlens.run", arguments, work_done_token="mine")
    editor.progress_reports["mine"] = []
    request = editor.protocol.send_request("workspace/executeCommand", params)
    (number,) = [n for n, f in editor.protocol._request_futures.items() if f is request]
    editor.cancel_request(types.CancelParams(number))
    with pytest.raises(JsonRpcException):
        await asyncio.wait_for(asyncio.wrap_future(request), 30)
    goes_on.set()
    (told,) = await run(editor, {"uri": uri_of(file), "test": "test_light"})
    assert told["title"] == "test_light"
    assert editor.progress_reports["mine"] == []
    assert "test_heavy" not in "".join(log.message for log in editor.log_messages)


async def test_wrong_arguments_of_cancel_are_answered(editor: Editor) -> None:
    with pytest.raises(JsonRpcException, match=r"^memlens\.cancel got 1: expected") as caught:
        await editor.workspace_execute_command_async(
            types.ExecuteCommandParams("memlens.cancel", [1])
        )
    assert caught.value.code == types.ErrorCodes.InvalidParams


async def test_the_test_that_is_running_is_named(project: Project, editor: Editor) -> None:
    waiting = Waiting(project)
    task = asyncio.ensure_future(run(editor, {"uri": uri_of(waiting.file)}))
    await waiting.is_running()
    await editor.until(lambda: "now test_waiting" in (shown(editor)[-1].message or ""))
    await waiting.go_on()
    (told,) = await task
    assert told["outcomes"] == {"passed": 1}


async def test_projects_run_at_the_same_time(tmp_path: Path, open_editor: OpenEditor) -> None:
    projects = [Project(tmp_path / name) for name in ("a", "b")]
    waiting = []
    for each in projects:
        each.write("pytest.ini", INI)
        waiting.append(Waiting(each))
    editor = await open_editor(folder=tmp_path)
    for one in waiting:
        await editor.workspace_execute_command_async(
            types.ExecuteCommandParams("memlens.run", [{"uri": uri_of(one.file)}])
        )
    for one in waiting:
        await one.is_running()
    for one in waiting:
        await one.go_on()
    await editor.until(lambda: all(uri in str(editor.log_messages) for uri in ("/a\\n", "/b\\n")))
    assert not editor.messages
    # Both have results now, and the folder around them is no project: each is run by itself.
    await editor.until(
        lambda: len([1 for log in editor.log_messages if "1 passed" in log.message]) == 2
    )
    task = asyncio.ensure_future(run(editor, {"workspace": True}))
    for one in waiting:
        await one.is_running()
        await one.go_on()
    told = await task
    assert [(one["root"], one["outcomes"]) for one in told] == [
        (uri_of(each.root), {"passed": 1}) for each in projects
    ]


async def test_interpreter_folder_arguments_and_environment_are_settings(
    project: Project, open_editor: OpenEditor
) -> None:
    project.write(
        "test_settings.py",
        "import os, sys\n"
        "def test_it():\n"
        "    assert os.environ['A'] == 'b c'\n"
        "    assert os.path.basename(os.getcwd()) == 'a b'\n"
        "    assert os.environ['THROUGH'] == 'the script'\n",
    )
    (project.root / "a b").mkdir()
    script = project.root / "bin" / "my python"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nTHROUGH="the script" exec "{sys.executable}" "$@"\n')
    script.chmod(0o755)
    editor = await open_editor(
        configuration={
            "interpreter": "bin/my python",
            "workingFolder": "a b",
            "pytestArgs": ["--verbose"],
            "environment": {"A": "b c"},
        }
    )
    (told,) = await run(editor, {"uri": project.uri("test_settings.py"), "test": "test_it"})
    assert told["outcomes"] == {"passed": 1}
    assert any("test_settings.py::test_it PASSED" in log.message for log in editor.log_messages)
    assert ran(project.root) == ["test_settings.py::test_it"]
    # All of the project, though the working folder is another one.
    (told,) = await run(editor, {"workspace": True})
    assert told["outcomes"] == {"passed": 1}


async def test_each_folder_of_the_workspace_has_its_own_interpreter(
    project: Project, open_editor: OpenEditor, tmp_path: Path
) -> None:
    other = Project(tmp_path / "other")
    editor = await open_editor(configuration={"interpreter": "/nowhere"})
    for each in (project, other):
        name = each.root.name
        script = f'#!/bin/sh\nFOLDER="{name}" exec "{sys.executable}" "$@"\n'
        each.write("python", script).chmod(0o755)
        each.write("pytest.ini", INI)
        text = f"import os\n\n\ndef test_it():\n    assert os.environ['FOLDER'] == '{name}'\n"
        each.write("test_it.py", text)
        settings = {"memlens": {"interpreter": "./python"}}
        editor.set_configuration(settings, scope_uri=uri_of(each.root))
    added = types.WorkspaceFolder(uri_of(other.root), "other")
    event = types.WorkspaceFoldersChangeEvent(added=[added], removed=[])
    editor.workspace_did_change_workspace_folders(types.DidChangeWorkspaceFoldersParams(event))
    for each in (project, other):
        (told,) = await run(editor, {"uri": each.uri("test_it.py")})
        assert (told["outcomes"], told["root"]) == ({"passed": 1}, uri_of(each.root))


async def test_results_of_another_rootdir_are_found_there(
    project: Project, open_editor: OpenEditor, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    project.write("test_shop.py", SHOP)
    editor = await open_editor(configuration={"pytestArgs": [f"--rootdir={elsewhere}"]})
    (told,) = await run(editor, {"uri": project.uri("test_shop.py"), "test": "test_heavy"})
    assert (told["outcomes"], told["problem"]) == ({"failed": 1}, None)
    await editor.until(lambda: editor.diagnostics.get(project.uri("test_shop.py")))


#: The major version that runs here.
PYTEST = int(pytest.__version__.partition(".")[0])
#: Settings that keep tests from being run, and what is said of them.
UNUSABLE: tuple[tuple[dict[str, Any], str], ...] = (
    ({"workingFolder": "nowhere"}, "(the setting memlens.workingFolder): there is no such"),
    ({"interpreter": "/bin/true"}, "/bin/true ended without running pytest: choose another"),
    ({"interpreter": "/bin/ls"}, "/bin/ls ended with exit code 2 without running pytest ("),
    ({"interpreter": "/bin/echo"}, "/bin/echo ended without running pytest (-m pytest --memra"),
    ({"interpreter": "./old"}, "is Python 3.7, and memlens needs 3.10 or newer: choose another"),
    ({"interpreter": "/bin"}, "The interpreter /bin cannot be started (Permission denied)"),
    ({"pytestArgs": ["\ud800"]}, "'\\ud800' has what is no character"),
    ({"pytestArgs": ["--strict-nonsense"]}, "unrecognized arguments: --strict-nonsense"),
    (
        {"pytestArgs": ["-c", "nowhere.ini"]},
        # pytest 9 says what was wrong, older ones fail.
        "pytest did not accept its arguments" if PYTEST >= 9 else "FileNotFoundError",
    ),
    ({"environment": {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}}, "though it is installed: look"),
)


async def test_what_keeps_tests_from_being_run_is_a_message(
    project: Project, editor: Editor
) -> None:
    project.write("test_shop.py", SHOP)
    # Answers as an old Python without our plugin does.
    script = project.root / "old"
    script.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = -c ]; then echo \'["cpython", [3, 7], "7.4", null]\'; exit; fi\n'
        "echo 'x: error: unrecognized arguments: --memray'; exit 4\n"
    )
    script.chmod(0o755)
    for settings, said in UNUSABLE:
        editor.configure(settings)
        editor.messages.clear()
        (told,) = await run(editor, {"uri": project.uri("test_shop.py"), "test": "test_light"})
        assert said in told["problem"]
        (message,) = editor.messages
        assert (message.type, message.message) == (
            types.MessageType.Error,
            f"memlens: {told['problem']}",
        )


#: Files that keep tests from being run, and what is said of them.
BROKEN = (
    ("test_a.py", "def test_a(:\n    pass\n", "cannot be imported: SyntaxError"),
    ("test_a.py", "import nowhere\n", "cannot be imported: ModuleNotFoundError"),
    ("conftest.py", "import nowhere\n", "cannot be imported: ModuleNotFoundError"),
    ("pytest.ini", "[pytest]\nrequired_plugins = nothing\n", "Missing required plugins"),
    ("pytest.ini", "[pytest]\n x\ny", "pytest did not accept its arguments"),
)


async def test_what_is_wrong_in_the_project_is_a_message_with_the_output_in_the_log(
    project: Project, editor: Editor
) -> None:
    for name, text, said in BROKEN:
        project.write("conftest.py", "")
        project.write("test_a.py", "def test_a():\n    pass\n")
        project.write(name, text)
        editor.log_messages.clear()
        (told,) = await run(editor, {"uri": project.uri("test_a.py")})
        assert said in told["problem"]
        assert told["problem"].endswith("What pytest said is in the log of memlens")
        assert any("Exit code" in log.message for log in editor.log_messages)


async def test_an_interpreter_of_the_project_is_offered_where_ours_has_no_pytest(
    project: Project, open_editor: OpenEditor
) -> None:
    python = project.root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    project.write(".venv/pyvenv.cfg", "")
    editor = await open_editor(configuration={"interpreter": "/bin/true"})
    project.write("test_shop.py", SHOP)
    (told,) = await run(editor, {"uri": project.uri("test_shop.py")})
    assert told["problem"].endswith(f", such as {python}")


async def test_very_long_output_is_bounded(project: Project, editor: Editor) -> None:
    project.write(
        "test_loud.py",
        "import os\n"
        "def test_loud(capfd):\n"
        "    with capfd.disabled():\n"
        "        os.write(1, b'first\\n')\n"
        "        for _ in range(8 << 10):\n"
        "            os.write(1, b'x' * 1023 + b'\\n')\n"
        "        os.write(1, b'last\\n')\n",
    )
    (told,) = await run(editor, {"uri": project.uri("test_loud.py")})
    assert told["outcomes"] == {"passed": 1}
    (log,) = [log.message for log in editor.log_messages if "$" in log.message]
    assert len(log) < 2 << 20
    assert "first\n" in log
    assert "last\n" in log
    assert "bytes left out" in log


async def test_a_process_that_is_left_behind_does_not_keep_the_run_from_ending(
    project: Project, editor: Editor
) -> None:
    project.write(
        "test_daemon.py",
        "import subprocess, sys\n"
        "def test_daemon(capfd):\n"
        "    with capfd.disabled():\n"
        "        code = 'import sys; print(0, flush=True); sys.stdin.read()'\n"
        "        daemon = subprocess.Popen([sys.executable, '-c', code],\n"
        "            stdin=open('go'), start_new_session=True)\n"
        "        daemon.returncode = 0  # nobody waits for it\n",
    )
    go = project.root / "go"
    os.mkfifo(go)
    holder = os.open(go, os.O_RDWR)
    try:
        (told,) = await run(editor, {"uri": project.uri("test_daemon.py")})
        assert told["outcomes"] == {"passed": 1}
    finally:
        os.close(holder)  # which ends it


async def test_without_a_folder_there_is_no_workspace_to_run(open_editor: OpenEditor) -> None:
    editor = await open_editor(folder=None)
    assert await run(editor, {"workspace": True}) == []
    assert "no folder is open" in editor.messages[0].message
