"""What commands write where: pipes that close, disks that are full, names that are hostile."""

from __future__ import annotations

import html
import subprocess
import sys
from pathlib import Path

import pytest

from .helpers import MIB, measured, memlens, write_run

A = "tests/test_a.py::test_a"
HOSTILE = "tests/test_a.py::test_h[\x1b[2J\nx]"
PRINTED = r"tests/test_a.py::test_h[\x1b[2J\nx]"
MEMLENS = f"'{sys.executable}' -m memlens"
pytestmark = pytest.mark.skipif("sys.platform == 'win32'")


def shell(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, encoding="utf-8", check=False
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Results of two runs, in which so much grew that no pipe takes the comparison at once."""
    tests = [measured(f"tests/test_a.py::test_{'x' * 90}{n}", MIB) for n in range(1000)]
    grown = measured(A, 9 * MIB, limit=2 * MIB, outcome="failed")
    write_run(tmp_path, "run-1", measured(A, MIB), *tests)
    write_run(tmp_path, "run-2", grown, *(test._replace(phases=(grown.phases)) for test in tests))
    return tmp_path


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("compare last~1 --fail-on 1% --top 0", 1),
        ("compare last~1 --top 0", 0),
        ("check", 1),
        ("report", 0),
    ],
)
@pytest.mark.parametrize("colours", ["", "FORCE_COLOR=1 "])
def test_whoever_stops_reading_does_not_change_the_verdict(
    project: Path, command: str, status: int, colours: str
) -> None:
    # `true` reads nothing: the pipe is closed before or while the command writes.
    result = shell(
        project, f"{colours}{MEMLENS} {command} 2>errors | true; echo ${{PIPESTATUS[0]}}"
    )
    assert result.stdout == f"{status}\n"
    assert (project / "errors").read_text() == ""


@pytest.mark.skipif("not os.path.exists('/dev/full')")
@pytest.mark.parametrize(
    "command",
    ["check", "report", "compare last~1 --top 0", "export --format json", "--help", "show --help"],
)
def test_what_cannot_be_written_is_one_line_and_a_failure(project: Path, command: str) -> None:
    result = shell(project, f"{MEMLENS} {command} >/dev/full")
    assert result.returncode == 2
    assert result.stderr == ("memlens: cannot write to standard output: No space left on device\n")


@pytest.mark.parametrize("command", ["check", "report", "clear --yes"])
def test_where_there_is_no_standard_output_nothing_is_done(project: Path, command: str) -> None:
    result = shell(project, f"{MEMLENS} {command} >&-")
    assert result.returncode == 2
    assert result.stderr == "memlens: standard output is closed: nowhere to write to\n"
    assert (project / ".memlens" / "results.db").exists()


def test_names_cannot_control_the_terminal_on_standard_error_either(tmp_path: Path) -> None:
    write_run(tmp_path, "run-1", measured(HOSTILE, MIB), measured(A, MIB))
    told = (
        ["show", "EST_H"],
        ["show", "tests"],
        ["compare", "\x1b[2J"],
        ["--results", "\x1b[2J"],
        ["report", "--results", "\x1b[2J/results.db"],
        ["combine", "\x1b[2J.db"],
        ["\x1b[2J"],
    )
    for arguments in told:
        result = memlens(tmp_path, *arguments)
        assert result.returncode == 2
        assert r"\x1b[2J" in result.stderr
        assert "\x1b" not in result.stderr
        assert "\nx]" not in result.stderr
    folder = tmp_path / "a\x1b[2Jb"
    folder.mkdir()
    assert "\x1b" not in memlens(folder, "clear", "--results", "../.memlens/results.db").stderr
    assert "\x1b" not in memlens(folder, "combine", "../.memlens/results.db").stdout


@pytest.mark.parametrize("name", [HOSTILE, PRINTED, r"test_h[\x1b[2J\nx]"])
def test_a_name_may_be_given_as_it_is_printed(tmp_path: Path, name: str) -> None:
    write_run(tmp_path, "run-1", measured(HOSTILE, MIB), measured(A, MIB))
    for command in (["show"], ["report"], ["export", "--format", "markdown"]):
        result = memlens(tmp_path, *command, name)
        assert result.returncode == 0, result.stderr
        assert PRINTED in html.unescape(result.stdout)
        assert "test_a\n" not in result.stdout
