"""The `memlens` command, on results of a real run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from memlens.store import database_path

REPOSITORY = Path(__file__).parents[2]


def copy_examples(folder: Path) -> Path:
    ignored = shutil.ignore_patterns(".memlens", "__pycache__", ".pytest_cache")
    return Path(shutil.copytree(REPOSITORY / "examples", folder / "examples", ignore=ignored))


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the example project, its tests run once."""
    project = copy_examples(tmp_path_factory.mktemp("check"))
    result = run(project, "pytest", "--memray", "-q")
    assert result.returncode == 1, result.stdout + result.stderr
    return project


def test_check_prints_one_line_a_diagnostic_in_the_order_of_the_code(measured: Path) -> None:
    result = run(measured, "memlens", "check")
    assert result.returncode == 1
    assert [line.split(maxsplit=3)[:3] for line in result.stdout.splitlines()] == [
        ["shop/catalog.py:12:5:", "info", "memory-hotspot"],
        ["shop/orders.py:20:13:", "info", "memory-hotspot"],
        ["shop/sessions.py:20:5:", "warning", "leak-site"],
        ["tests/test_catalog.py:10:5:", "error", "memory-limit-exceeded"],
        ["tests/test_orders.py:11:5:", "error", "memory-limit-exceeded"],
        ["tests/test_sessions.py:6:5:", "error", "memory-leak"],
    ]
    assert "over the limit of 24.0 MiB" in result.stdout


def test_check_names_files_as_one_types_them_here(measured: Path) -> None:
    below = run(measured / "tests", "memlens", "check")
    assert "\ntest_catalog.py:10:5: error" in below.stdout
    elsewhere = run(Path("/"), "memlens", "check", "--results", str(database_path(measured)))
    assert str(measured.relative_to("/") / "tests/test_catalog.py:10:5: error") in elsewhere.stdout


def test_check_forgets_findings_in_files_that_are_gone(measured: Path, tmp_path: Path) -> None:
    project = Path(shutil.copytree(measured, tmp_path / "copy"))
    (project / "tests" / "test_catalog.py").unlink()
    (project / "tests" / "test_sessions.py").unlink()
    result = run(project, "memlens", "check")
    assert [line.split()[1:3] for line in result.stdout.splitlines()] == [
        ["info", "memory-hotspot"],
        ["info", "memory-hotspot"],
        ["warning", "leak-site"],
        ["error", "memory-limit-exceeded"],
    ]
    assert "tests/test_catalog.py, tests/test_sessions.py" in result.stderr
    assert result.returncode == 1


def test_check_tells_of_tests_near_their_limit_and_is_content(tmp_path: Path) -> None:
    test = """
        import pytest

        @pytest.mark.limit_memory("24 MB")
        def test_near():
            bytearray(23 << 20)
    """
    (tmp_path / "pytest.ini").write_text("[pytest]")
    (tmp_path / "test_it.py").write_text(dedent(test))
    assert run(tmp_path, "pytest", "--memray", "-q").returncode == 0
    result = run(tmp_path, "memlens", "check")
    assert result.stdout.startswith(
        "test_it.py:5:5: info memory-near-limit test_near: Peak memory of 23.0 MiB"
    )
    assert result.returncode == 0


def test_check_reads_results_that_lie_elsewhere_than_in_their_project(
    measured: Path, tmp_path: Path
) -> None:
    downloaded = tmp_path / "downloads" / "ci.db"
    downloaded.parent.mkdir()
    shutil.copy(database_path(measured), downloaded)
    result = run(measured, "memlens", "check", "--results", str(downloaded))
    assert result.stdout == run(measured, "memlens", "check").stdout
    assert "tests/test_orders.py:11:5: error" in result.stdout


@pytest.mark.parametrize(
    "command", ["report", "show", "check", "compare", "combine", "export", "gc", "clear"]
)
def test_every_command_has_help_with_an_example_its_exit_status_and_results(command: str) -> None:
    result = run(REPOSITORY, "memlens", command, "--help")
    assert result.returncode == 0
    assert f"memlens {command}" in result.stdout.partition("examples:")[2]
    assert "exit status: 0" in result.stdout
    assert "--results PATH" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_check_without_results_says_how_to_make_some(tmp_path: Path) -> None:
    result = run(tmp_path, "memlens", "check")
    assert result.returncode == 2
    assert "run 'pytest --memray' to make some" in result.stderr
    assert result.stdout == ""


def test_check_help_has_an_example_and_the_exit_statuses() -> None:
    result = run(REPOSITORY, "memlens", "check", "--help")
    assert "pytest --memray; memlens check" in result.stdout
    assert "exit status: 0" in result.stdout


def test_without_a_command_the_commands_are_named() -> None:
    result = run(REPOSITORY, "memlens")
    assert result.returncode == 2
    assert result.stdout == ""
    asked = run(REPOSITORY, "memlens", "--help")
    assert asked.returncode == 0
    assert asked.stdout == result.stderr
    for command in ("report", "check", "clear"):
        assert f"\n    {command} " in asked.stdout
    assert "\n  memlens report " in asked.stdout.partition("examples:")[2]


def test_the_demo_succeeds_when_exactly_the_intended_tests_fail(tmp_path: Path) -> None:
    demo = copy_demo(tmp_path)
    result = run(tmp_path, "demo")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Exactly the three intended tests failed" in result.stdout
    assert demo.exists()


@pytest.mark.parametrize(
    ("test_file", "before", "after", "said"),
    [
        ("test_sessions.py", '"1 MB"', '"1 GB"', "test_sessions_are_forgotten: did not fail"),
        ("test_catalog.py", "128 * 128", "7", "128_pixels: failed, and should not have"),
        ("test_catalog.py", "import pytest", "import pytest, no_such", "exit status was 2"),
    ],
)
def test_the_demo_fails_when_anything_else_happens(
    tmp_path: Path, test_file: str, before: str, after: str, said: str
) -> None:
    copy_demo(tmp_path)
    path = tmp_path / "examples" / "tests" / test_file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    result = run(tmp_path, "demo")
    assert result.returncode == 1
    assert said in result.stdout


def copy_demo(folder: Path) -> Path:
    """Put the demo beside a copy of the examples, where `python -m demo` finds both."""
    copy_examples(folder)
    text = (REPOSITORY / "scripts" / "demo.py").read_text()
    demo = folder / "demo.py"
    demo.write_text(text.replace("Path(__file__).parent.parent", "Path(__file__).parent"))
    return demo
