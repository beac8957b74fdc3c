"""How pytest is started for what was asked for: pure."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from memlens_lsp.running.planning import Plan, Selection, are_many, arrange, plan_run, title_of
from memlens_lsp.running.requests import Request, read_cancel_request, read_run_request
from memlens_lsp.settings import Settings

ROOT = Path("/project")


def plan(
    *chosen: tuple[str, str], settings: Settings | None = None, base: Path | None = None
) -> Plan:
    selection = Selection(tuple((ROOT / path, test) for path, test in chosen), "some")
    return plan_run(selection, ROOT, settings or Settings(), base)


def test_the_command_is_one_of_the_interpreter_and_needs_no_shell() -> None:
    settings = Settings(interpreter="/usr/bin/my python", pytest_args=("-k", "a or b"))
    made = plan(("tests/test $a.py", "TestA::test_b"), settings=settings)
    assert made.python == "/usr/bin/my python"
    assert made.options == ("--memray", "-k", "a or b")
    assert made.tests == ("tests/test $a.py::TestA::test_b",)
    assert made.folder == ROOT


def test_a_whole_project_is_what_its_configuration_says() -> None:
    assert plan(("", "")).tests == ()
    assert plan(("tests", "")).tests == ("tests",)


def test_results_of_a_file_outside_the_project_still_go_to_the_project() -> None:
    made = plan(("/lib/test_a.py", "test_b"))
    assert made.options == ("--memray", "--rootdir=/project")
    assert made.tests == ("/lib/test_a.py::test_b",)
    assert made.result_roots[0] == ROOT
    assert Path("/lib") in made.result_roots


@pytest.mark.parametrize("name", ["-x/test_a.py", "@a/test_a.py"])
def test_a_path_is_never_taken_for_an_option(name: str) -> None:
    assert plan((name, "")).tests == (f"/project/{name}",)


def test_a_folder_with_brackets_is_entered_since_pytest_takes_them_for_parameters() -> None:
    made = plan(("a [1]/b/test_a.py", "test_b[2]"), ("a [1]/c/test_a.py", ""))
    assert made.folder == ROOT / "a [1]"
    assert made.tests == ("b/test_a.py::test_b[2]", "c/test_a.py")
    assert made.options == ("--memray", "--rootdir=/project")


def test_the_working_folder_changes_names_and_keeps_the_root() -> None:
    settings = Settings(working_folder="sub")
    made = plan(("sub/test_a.py", "test_b"), ("test_c.py", ""), settings=settings)
    assert made.folder == ROOT / "sub"
    assert made.tests == ("test_a.py::test_b", "/project/test_c.py")
    assert made.options == ("--memray", "--rootdir=/project")
    own = Settings(working_folder="sub", pytest_args=("--rootdir=/elsewhere",))
    assert plan(("test_c.py", ""), settings=own).options == ("--memray", "--rootdir=/elsewhere")
    # All tests of a project: there pytest would look for tests in the folder only.
    assert plan(("", ""), settings=settings).tests == ("/project",)


@pytest.mark.parametrize(
    ("interpreter", "python"),
    [
        (".venv/bin/python", "/base/.venv/bin/python"),
        ("../venv/bin/python", "/base/../venv/bin/python"),
        ("./python", "/base/./python"),
        ("/usr/bin/python", "/usr/bin/python"),
        ("python3", "python3"),
        ("~/venv/bin/python", str(Path.home() / "venv/bin/python")),
    ],
)
def test_a_relative_interpreter_is_one_of_the_workspace_folder(
    interpreter: str, python: str
) -> None:
    settings = Settings(interpreter=interpreter)
    assert plan(("a.py", ""), settings=settings, base=Path("/base")).python == python


def test_the_working_folder_is_one_of_the_workspace_folder_or_of_the_user() -> None:
    for setting, folder in (("sub", "/base/sub"), ("/x", "/x"), ("~/x", f"{Path.home()}/x")):
        settings = Settings(working_folder=setting)
        assert plan(("a.py", ""), settings=settings, base=Path("/base")).folder == Path(folder)


def test_the_environment_is_added_to_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "1")
    monkeypatch.setenv("BOTH", "1")
    made = plan(("a.py", ""), settings=Settings(environment={"BOTH": "2", "THEIRS": "3"}))
    assert {name: made.environment[name] for name in ("OURS", "BOTH", "THEIRS")} == {
        "OURS": "1",
        "BOTH": "2",
        "THEIRS": "3",
    }


def test_few_tests_are_arguments_whatever_is_in_their_names() -> None:
    tests = ["a.py::t[\n]", "a.py::t[@x]", 'a.py::t["$(x)"]', "a.py::t[é\u2028]"]
    tests.append(os.fsdecode(b"\xff.py::t"))
    for knows_files in (False, True):
        assert arrange(tests, knows_files=knows_files) == (tuple(tests), (), False)
    assert not are_many(tests)


def test_many_tests_go_into_a_file_but_for_those_that_a_line_cannot_hold() -> None:
    tests = [f"test_{number}.py::test_a[{number}]" for number in range(5000)]
    odd = ["a.py::t[a\nb]", "a.py::t[a\x0cb]", "a.py::t[a\x1cb]", "é.py::t", "a.py::t[\r]"]
    assert are_many(tests)
    arranged = arrange([*odd, *tests], knows_files=True)
    assert arranged == (tuple(odd), tuple(tests), False)


def test_a_pytest_that_knows_no_files_gets_many_arguments_or_whole_files() -> None:
    tests = [f"test_{number % 9}.py::test_a[{number}]" for number in range(20000)]
    assert arrange(tests[:5000], knows_files=False) == (tuple(tests[:5000]), (), False)
    arranged = arrange(tests, knows_files=False)
    assert arranged.is_more
    assert arranged.plain == tuple(f"test_{number}.py" for number in range(9))
    # Not even the files' names fit: then all tests there are.
    names = [f"{'x' * 200}_{number}.py::test_é" for number in range(2000)]
    assert arrange(names, knows_files=False) == ((), (), True)


def test_too_many_odd_names_are_their_files_beside_the_lines_of_others() -> None:
    plain = [f"test_a.py::test_{number}" for number in range(10)]
    odd = [f"test_b.py::test_é{number}" for number in range(20000)]
    assert arrange([*plain, *odd], knows_files=True) == (("test_b.py",), tuple(plain), True)


def test_tests_are_called_as_people_call_them() -> None:
    path = ROOT / "tests" / "test_a.py"
    assert title_of(path, ["TestA::test_b[1]"], ROOT) == "TestA::test_b[1]"
    assert title_of(path, [], ROOT) == "tests/test_a.py"
    assert title_of(path, ["a", "b"], ROOT) == "2 tests"
    assert title_of(ROOT, ["test_a.py", "test_b.py"], ROOT) == "2 files"
    assert title_of(ROOT, [], ROOT) == "project"


@pytest.mark.parametrize(
    ("argument", "request_"),
    [
        ({"uri": "file:///a.py"}, Request("path", Path("/a.py"))),
        ({"uri": "file:///a.py", "test": None}, Request("path", Path("/a.py"))),
        ({"uri": "file:///a.py", "test": ""}, Request("path", Path("/a.py"))),
        ({"uri": "file:///a.py", "test": "t[\n]"}, Request("path", Path("/a.py"), ("t[\n]",))),
        (
            {"uri": "file:///a", "tests": ["b.py::t", "b.py::t", "c.py::-x"]},
            Request("path", Path("/a"), ("b.py::t", "c.py::-x")),
        ),
        ({"workspace": True}, Request("workspace")),
        ({"failed": True}, Request("failed")),
        ({"failed": True, "uri": "file:///a.py"}, Request("failed", Path("/a.py"))),
        ({"last": True, "failed": False}, Request("last")),
    ],
)
def test_what_to_run_is_read(argument: object, request_: Request) -> None:
    assert read_run_request([argument]) == request_


@pytest.mark.parametrize(
    "argument",
    [
        None,
        [],
        {"uri": "file:///a.py", "test": 1},
        {"uri": "file:///a.py", "test": "a", "tests": ["b"]},
        {"uri": "file:///a.py", "tests": []},
        {"uri": "file:///a.py", "tests": "abc"},
        {"uri": "file:///a.py", "tests": ["a\0"]},
        {"uri": "file:///a.py", "tests": [""]},
        {"uri": "file:///a.py", "tests": ["\ud800"]},
        {"workspace": 1},
        {"workspace": True, "failed": True},
        {"workspace": True, "uri": "file:///a.py"},
        {"last": True, "tests": ["a"]},
        {"failed": "yes"},
    ],
)
def test_what_is_wrong_is_answered_with_what_was_expected(argument: object) -> None:
    with pytest.raises(ValueError, match=r"memlens\.run (got|cannot)"):
        read_run_request([argument])


def test_what_to_cancel_is_read() -> None:
    assert read_cancel_request([]) is None
    assert read_cancel_request([{}]) is None
    assert read_cancel_request([{"uri": "file:///a.py"}]) == Path("/a.py")
    wrongs: list[list[object]] = [[1], [{"uri": 1}], [{"uri": "untitled:a"}], [{}, {}]]
    for wrong in wrongs:
        with pytest.raises(ValueError, match=r"memlens\.cancel"):
            read_cancel_request(wrong)
