"""Which project a file belongs to, its names, its URI; the settings."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from memlens_lsp import projects
from memlens_lsp.projects import (
    find_roots,
    names_in,
    nearest_root,
    real,
    root_for_running,
    spelled,
)
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
    "uri",
    [
        "untitled:a",
        "",
        "file://host/a",
        "file:a",
        "file:///a%00",
        "http://[",
        "vscode:///a",
        "file:///\ud800",
    ],
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


#: A disk that takes "A" and "a", and both ways to write an accent, for the same.
DISK = {
    "/": ["Users"],
    "/Users": ["Zoe\u0308"],
    "/Users/Zoe\u0308": ["Shop", "both", "BOTH"],
    "/Users/Zoe\u0308/Shop": ["Tests"],
    "/Users/Zoe\u0308/Shop/Tests": ["test_Cart.py"],
}


@pytest.mark.parametrize(
    ("written", "on_disk"),
    [
        ("/users/ZOË/shop/TESTS/TEST_CART.PY", "/Users/Zoe\u0308/Shop/Tests/test_Cart.py"),
        ("/Users/zoë/Shop/new.py", "/Users/Zoe\u0308/Shop/new.py"),
        ("/Users/zoë/BOTH", "/Users/Zoe\u0308/BOTH"),
        ("/Users/zoë/Both", "/Users/Zoe\u0308/Both"),
        ("/elsewhere/A", "/elsewhere/A"),
        ("/", "/"),
    ],
)
def test_a_path_is_spelled_as_on_a_disk_that_folds_case(written: str, on_disk: str) -> None:
    assert spelled(Path(written), lambda folder: DISK.get(folder, ())) == Path(on_disk)


def test_a_file_system_that_folds_case_has_one_name_for_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Shop").mkdir()
    assert real(tmp_path / "SHOP") == tmp_path / "SHOP"
    monkeypatch.setattr(projects, "_FOLDS_CASE", True)
    assert real(tmp_path / "SHOP") == tmp_path / "Shop"
    (tmp_path / "Shop").rename(tmp_path / "shop")
    assert real(tmp_path / "SHOP") == tmp_path / "shop"


def test_a_name_that_is_no_text_is_in_no_database(tmp_path: Path) -> None:
    assert names_in(tmp_path, tmp_path / os.fsdecode(b"\xff.py")) == ()


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
    # pytest writes where it finds its configuration, though there are results further out.
    results_in(tmp_path / "packages")
    assert root_for_running(path, folders) == tmp_path / "packages" / "a"
    results_in(tmp_path / "packages" / "a" / "tests")
    assert root_for_running(path, folders) == tmp_path / "packages" / "a" / "tests"
    assert root_for_running(path, []) == tmp_path / "packages" / "a" / "tests"
    assert root_for_running(Path("/elsewhere/test_a.py"), folders) is None


def test_a_folder_inside_a_project_belongs_to_that_project(tmp_path: Path) -> None:
    path = tmp_path / "tests" / "test_a.py"
    path.parent.mkdir()
    folders = [path.parent]
    assert root_for_running(path, folders) == path.parent
    (tmp_path / "pytest.ini").touch()
    assert root_for_running(path, folders) == tmp_path
    results_in(path.parent)
    assert root_for_running(path, folders) == path.parent


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
