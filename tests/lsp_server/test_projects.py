"""Which project a file belongs to, its names, its URI; the settings."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from memlens_lsp.projects import find_roots, names_in, nearest_root, root_for_running
from memlens_lsp.runs import Ended, Target, plan_run, problem_with
from memlens_lsp.settings import Settings, read_settings
from memlens_lsp.uris import path_of, uri_of


def results_in(folder: Path) -> Path:
    (folder / ".memlens").mkdir(parents=True)
    (folder / ".memlens" / "results.db").touch()
    return folder


@pytest.mark.parametrize(
    "name", ["a b", "100%", "é😀", "#?;[&=]", "a:b", "x+y", os.fsdecode(b"\xff")]
)
def test_any_file_name_survives_its_uri(name: str) -> None:
    path = Path("/tmp", name, "test_a.py")
    assert path_of(uri_of(path)) == path


def test_a_uri_is_read_however_the_client_escapes_it() -> None:
    assert path_of("file:///c%3A/a%20b/%C3%A9.py") == Path("/c:/a b/é.py")
    assert path_of("file://localhost/a.py") == Path("/a.py")


@pytest.mark.parametrize(
    "uri", ["untitled:a", "", "file://host/a", "file:a", "file:///a%00", "http://[", "vscode:///a"]
)
def test_what_is_no_file_of_this_machine_has_no_path(uri: str) -> None:
    assert path_of(uri) is None


def test_names_follow_symlinks_on_both_sides(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "tests").mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(root)
    assert names_in(link, root / "tests" / "a.py")[0] == "tests/a.py"
    assert names_in(root, link / "tests" / "a.py")[0] == "tests/a.py"
    outside = tmp_path / "outside.py"
    assert names_in(root, outside) == (str(outside),)


def test_the_innermost_folder_is_the_nearest() -> None:
    roots = [Path("/a"), Path("/a/b")]
    assert nearest_root(Path("/a/b/c/d.py"), roots) == Path("/a/b")
    assert nearest_root(Path("/x/d.py"), roots) is None


def test_results_are_found_above_and_below_a_workspace_folder(tmp_path: Path) -> None:
    above = results_in(tmp_path / "above")
    workspace = above / "workspace"
    below = results_in(workspace / "packages" / "a")
    results_in(workspace / "node_modules" / "b")
    results_in(workspace / "env")
    (workspace / "env" / "pyvenv.cfg").touch()
    results_in(workspace / "1" / "2" / "3" / "4")
    assert find_roots([workspace]) == [above, below]


def test_tests_run_where_their_project_is(tmp_path: Path) -> None:
    path = tmp_path / "packages" / "a" / "tests" / "test_a.py"
    path.parent.mkdir(parents=True)
    folders = [tmp_path]
    assert root_for_running(path, folders) == tmp_path
    (tmp_path / "packages" / "a" / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    assert root_for_running(path, folders) == tmp_path / "packages" / "a"
    results_in(tmp_path / "packages")
    assert root_for_running(path, folders) == tmp_path / "packages"
    assert root_for_running(path, []) == tmp_path / "packages"
    assert root_for_running(Path("/elsewhere/test_a.py"), folders) is None


def test_the_command_is_one_of_the_interpreter_and_needs_no_shell() -> None:
    settings = Settings(interpreter="/usr/bin/my python", pytest_args=("-k", "a or b"))
    target = Target(Path("/root/tests/test $a.py"), "TestA::test_b")
    plan = plan_run(target, Path("/root"), settings)
    assert plan.command == (
        "/usr/bin/my python",
        "-m",
        "pytest",
        "--memray",
        "-k",
        "a or b",
        "tests/test $a.py::TestA::test_b",
    )


def test_results_of_a_file_outside_the_project_still_go_to_the_project() -> None:
    plan = plan_run(Target(Path("/lib/test_a.py"), "test_b"), Path("/root"), Settings())
    assert plan.arguments == ("--memray", "--rootdir=/root", "/lib/test_a.py::test_b")


@pytest.mark.parametrize("name", ["-x/test_a.py", "@a/test_a.py"])
def test_a_path_is_never_taken_for_an_option(name: str) -> None:
    plan = plan_run(Target(Path("/root") / name, ""), Path("/root"), Settings())
    assert plan.arguments[-1] == f"/root/{name}"


@pytest.mark.parametrize(
    ("code", "output", "wrote", "said"),
    [
        (0, "= 1 passed in 0.01s =", True, None),
        (1, "= 1 failed in 0.01s =", True, None),
        (0, "= 1 skipped in 0.01s =", False, None),
        (0, "= 1 passed in 0.01s =", False, "no memory results were written"),
        (-9, "", False, "killed by SIGKILL"),
        (3, "INTERNALERROR>", False, "internal error"),
        (99, "", False, "exit code 99"),
    ],
)
def test_how_a_run_ended_is_explained_when_something_has_to_be_done(
    code: int, output: str, wrote: bool, said: str | None
) -> None:
    plan = plan_run(Target(Path("/root/test_a.py"), ""), Path("/root"), Settings())
    problem = problem_with(plan, Ended(code, output, wrote))
    if said is None:
        assert problem is None
    else:
        assert problem is not None
        assert said in problem


def test_settings_that_are_missing_or_unknown_keep_their_defaults() -> None:
    for raw in (None, {}, {"interpreter": None, "theme": "dark"}):
        assert read_settings(raw) == (Settings(), [])
    assert Settings().python == sys.executable
    assert Settings("./python").python == "./python"


def test_settings_are_read() -> None:
    settings, problems = read_settings({"interpreter": "~/p", "pytestArgs": ["-x", ""]})
    assert settings == Settings("~/p", ("-x", ""))
    assert settings.python == str(Path.home() / "p")
    assert problems == []


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"interpreter": 3}, "the setting memlens.interpreter is 3: expected a string"),
        (
            {"pytestArgs": "-x"},
            "the setting memlens.pytestArgs is '-x': expected a list of strings",
        ),
        ({"pytestArgs": [1]}, "the setting memlens.pytestArgs is [1]: expected a list of strings"),
        ({"interpreter": "a\0"}, "the setting memlens.interpreter is 'a\\x00': expected a string"),
        ([], "the settings of memlens are []: expected an object"),
    ],
)
def test_a_setting_of_the_wrong_type_is_told_and_the_others_are_used(
    raw: object, problem: str
) -> None:
    if isinstance(raw, dict):
        raw = {"pytestArgs": ["-q"], "interpreter": "/p", **raw}
    settings, problems = read_settings(raw)
    assert problems == [problem]
    if isinstance(raw, dict):
        assert settings in (Settings(pytest_args=("-q",)), Settings(interpreter="/p"))
