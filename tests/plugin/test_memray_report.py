"""`pytest --memray-report`: reports of real runs, beside the tests' own outcomes."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from memlens.exports import KINDS
from memlens.store import database_path

REPOSITORY = Path(__file__).parents[2]

TESTS = """
import pytest

@pytest.mark.limit_memory("1 MB")
def test_large():
    kept = bytearray(4 * 1024 * 1024)

@pytest.mark.xfail
@pytest.mark.limit_memory("1 MB")
def test_expected():
    kept = bytearray(2 * 1024 * 1024)

@pytest.mark.parametrize("text", ["a|b", "'\\"`", "<b>", "::error::%0A", "ä/漢"], ids=str)
def test_named(text):
    kept = bytearray(100_000)
"""


@pytest.fixture(autouse=True)
def _outside_github(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GITHUB_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_it=TESTS)
    return pytester


def read(path: Path) -> dict[str, Any]:
    whole = json.loads(path.read_text(encoding="utf-8"))
    schema = json.loads((REPOSITORY / "docs/schema/results-1.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(whole)
    assert isinstance(whole, dict)
    return whole


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["alone", "xdist"])
def test_every_kind_is_written_at_the_end_and_the_terminal_says_where(
    project: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    kinds = [f"--memray-report={kind}" for kind in KINDS]
    result = project.runpytest("--memray", *workers, *kinds)
    result.assert_outcomes(failed=1, xfailed=1, passed=5)
    result.stdout.no_fnmatch_line("*warning*")
    for name, kind in KINDS.items():
        if kind.path is None:
            continue
        result.stdout.fnmatch_lines([f"Report: {kind.path} ({name})"])
        path = project.path / kind.path
        if kind.suffix is None:
            assert "test_large" in path.read_text(encoding="utf-8")
        else:
            assert len(list(path.glob(f"*{kind.suffix}"))) == 7
    result.stdout.fnmatch_lines(["::error file=test_it.py,line=4,*Peak memory of 4.0 MiB is over*"])
    whole = read(project.path / "memlens.json")
    assert len(whole["tests"]) == 7
    # Whole stacks, which the run itself does not keep in memory.
    assert all("worker" in test and test["stacks"] for test in whole["tests"])
    assert {test["worker"] for test in whole["tests"]} == {"gw0" if workers else None}


def test_a_report_is_of_this_run_alone(project: pytest.Pytester) -> None:
    project.runpytest("--memray")
    project.runpytest("--memray", "-k", "large", "--memray-report=json:out/a b.json")
    (test,) = read(project.path / "out" / "a b.json")["tests"]
    assert test["nodeid"] == "test_it.py::test_large"
    (past,) = test["history"]
    assert past["outcome"] == "failed"


def test_a_path_is_relative_to_where_pytest_was_started_and_an_inis_to_the_rootdir(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.makeini("[pytest]\nmemray_report =\n    json\n    markdown:out/memory.md\n")
    below = project.mkdir("below")
    monkeypatch.chdir(below)
    result = project.runpytest("--memray", "..")
    result.stdout.fnmatch_lines([f"Report: {project.path / 'memlens.json'} (json)"])
    assert (project.path / "memlens.json").exists()
    assert (project.path / "out" / "memory.md").exists()
    result = project.runpytest("--memray", "..", "--memray-report=sarif")
    result.stdout.fnmatch_lines(["Report: memlens.sarif (sarif)"])
    result.stdout.no_fnmatch_line("*(json)*")
    assert (below / "memlens.sarif").exists()


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("xml", "--memray-report: 'xml' is no kind of report: expected one of json, sarif, html"),
        ("json:", "--memray-report: 'json:' has no path after the colon"),
        ("json:.", "--memray-report: 'json:.': . is a folder, and this report is one file"),
        ("heapprofile:test_it.py", "*test_it.py is a file, and this report is a folder of files"),
        ("json:test_it.py/x.json", "*test_it.py is no folder"),
    ],
)
def test_what_cannot_be_is_refused_before_any_test_runs(
    project: pytest.Pytester, request_: str, said: str
) -> None:
    result = project.runpytest("--memray", f"--memray-report={request_}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{said}*"])


def test_two_reports_in_one_file_are_refused(project: pytest.Pytester) -> None:
    result = project.runpytest("--memray-report=json:x", "--memray-report=sarif:x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--memray-report: several reports are to be written to *x"])


def test_what_cannot_be_written_at_the_end_is_a_warning(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_it="""
        from pathlib import Path

        def test_a():
            Path("memlens.json").mkdir()
        """
    )
    result = project.runpytest("--memray", "--memray-report=json", "--memray-report=sarif")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["Report: memlens.sarif (sarif)", "memlens warning: the json report was not written: *"]
    )


def in_the_way(database: Path) -> None:
    database.parent.write_text("no folder", encoding="utf-8")


def newer_schema(database: Path) -> None:
    database.parent.mkdir()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA application_id = 0x4D4C454E")
        connection.execute("PRAGMA user_version = 1000")
        connection.execute("CREATE TABLE new (id INTEGER)")


@pytest.mark.parametrize(
    ("hindrance", "workers"), [(in_the_way, ()), (newer_schema, ("-n1",))], ids=["alone", "xdist"]
)
def test_reports_have_what_the_project_cannot_keep(
    project: pytest.Pytester, hindrance: Callable[[Path], None], workers: tuple[str, ...]
) -> None:
    hindrance(database_path(project.path))
    kinds = [f"--memray-report={kind}" for kind in KINDS]
    result = project.runpytest("--memray", *workers, *kinds)
    result.assert_outcomes(failed=1, xfailed=1, passed=5)
    (warning,) = [line for line in result.outlines if line.startswith("memlens warning: ")]
    assert warning.startswith("memlens warning: results were not kept: ")
    assert str(database_path(project.path).parent) in warning
    assert warning.endswith("; only this run's reports have them")
    whole = read(project.path / "memlens.json")
    assert len(whole["tests"]) == 7
    assert all(test["stacks"] for test in whole["tests"])
    (run,) = whole["runs"]
    assert (run["status"], run["exit_status"], run["collected"]) == ("finished", 1, 7)
    for name, kind in KINDS.items():
        if kind.path is not None:
            result.stdout.fnmatch_lines([f"Report: {kind.path} ({name})"])
    result.stdout.fnmatch_lines(["::error file=test_it.py,line=4,*Peak memory of 4.0 MiB is over*"])
    result.stdout.no_fnmatch_line("Results:*")


FILLING_THE_DISK = """
import resource
import sqlite3
import pytest

def test_first():
    pass

# What was written gets by much larger than a file with the same results would be.
def test_pads(request):
    database = request.config.rootpath / ".memlens" / "results.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE padding (bytes BLOB)")
        connection.execute("INSERT INTO padding VALUES (zeroblob(2000000))")
    connection.close()

def test_fills_the_disk(request):
    written = request.config.rootpath / ".memlens" / "results.db-wal"
    limit = int(written.stat().st_size * {share})
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

@pytest.mark.limit_memory("2 MB")
def test_over():
    kept = bytearray(4 * 1024 * 1024)

def test_frees_the_disk():
    no_limit = resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_FSIZE, (no_limit, no_limit))
"""


@pytest.fixture
def temporary(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only place where the inner run's temporary files can be."""
    folder = project.mkdir("temporary")
    monkeypatch.setenv("TMPDIR", str(folder))
    # What waits would be kept after the disk has room again.
    project.makeconftest("from memlens import pending; pending.LONGEST_WAIT = 0.0")
    return folder


def test_a_report_has_what_was_kept_before_the_disk_was_full_and_what_came_after(
    project: pytest.Pytester, temporary: Path
) -> None:
    project.makepyfile(test_it=FILLING_THE_DISK.format(share=1))
    result = project.runpytest_subprocess("--memray", "--memray-report=json")
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(
        ["memlens warning: results were not kept: *; only this run's reports have them"]
    )
    names = [test["nodeid"] for test in read(project.path / "memlens.json")["tests"]]
    assert names == [
        f"test_it.py::test_{name}"
        for name in ("first", "pads", "fills_the_disk", "over", "frees_the_disk")
    ]
    assert [path.name for path in temporary.iterdir() if path.name.startswith("memlens-")] == []


def test_a_report_says_what_it_lacks_when_there_is_no_room_for_results_at_all(
    project: pytest.Pytester, temporary: Path
) -> None:
    # Enough for a capture, not for a database.
    project.makepyfile(test_it=FILLING_THE_DISK.format(share=0.025))
    result = project.runpytest_subprocess("--memray", "--memray-report=json")
    result.assert_outcomes(passed=4, failed=1)
    warnings = [line for line in result.outlines if line.startswith("memlens warning: ")]
    kept, lacking = warnings
    assert kept.startswith("memlens warning: results were not kept: ")
    assert kept.endswith("disk I/O error")
    assert lacking.startswith("memlens warning: reports lack results: cannot write the results in")
    names = [test["nodeid"] for test in read(project.path / "memlens.json")["tests"]]
    assert names == ["test_it.py::test_first", "test_it.py::test_pads"]
    assert [path.name for path in temporary.iterdir() if path.name.startswith("memlens-")] == []


def test_a_report_says_that_it_lacks_what_somebody_has_deleted(project: pytest.Pytester) -> None:
    project.makeconftest("from memlens import pending; pending.LONGEST_WAIT = 0.0")
    project.makepyfile(
        test_it="""
        import shutil

        def test_first():
            pass

        def test_replaces(request):
            folder = request.config.rootpath / ".memlens"
            shutil.rmtree(folder)
            folder.write_text("no folder")

        def test_last():
            pass
        """
    )
    result = project.runpytest_subprocess("--memray", "--memray-report=json")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "memlens warning: results were not kept: *",
            "memlens warning: reports lack what was measured before that",
        ]
    )
    names = [test["nodeid"] for test in read(project.path / "memlens.json")["tests"]]
    assert names == ["test_it.py::test_replaces", "test_it.py::test_last"]


def test_without_any_place_for_results_no_report_is_written_and_nothing_fails(
    project: pytest.Pytester,
) -> None:
    project.makepyfile(
        test_it="""
        import tempfile

        def test_a():
            # From here on there is no place for temporary files.
            tempfile.tempdir = __file__
        """
    )
    in_the_way(database_path(project.path))
    result = project.runpytest_subprocess("--memray", "--memray-report=json")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "memlens warning: results were not kept: *",
            "memlens warning: reports lack results: *",
            "memlens warning: no report was written (json): there is no place for results",
        ]
    )
    assert not (project.path / "memlens.json").exists()


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["--memray", "-n1", "-k", "nothing"], ""),
        (["-k", "nothing"], ": add --memray to measure every test"),
        (["-k", "named"], ": add --memray to measure every test"),
    ],
)
def test_a_run_that_measures_nothing_writes_a_report_of_nothing_and_says_so(
    project: pytest.Pytester, arguments: list[str], advice: str
) -> None:
    result = project.runpytest(*arguments, "--memray-report=json")
    assert read(project.path / "memlens.json") == {"schema": 1, "runs": [], "tests": []}
    assert not database_path(project.path).exists()
    warning = f"memlens warning: no test was measured, so reports are empty{advice}"
    assert result.outlines.count(warning) == 1


def test_collecting_only_leaves_the_last_report_alone(project: pytest.Pytester) -> None:
    path = project.path / "memlens.json"
    path.write_text("the last report")
    project.runpytest("--memray", "--collect-only", "--memray-report=json")
    assert path.read_text() == "the last report"


# in GitHub Actions


@pytest.fixture
def summary(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pretend to be in GitHub Actions and return the step's summary."""
    path = project.path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.path.parent))
    return path


@pytest.mark.parametrize("value", ["true", "1"])
def test_in_github_actions_a_failed_limit_is_annotated_without_being_asked(
    project: pytest.Pytester, summary: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", value)
    result = project.runpytest()
    annotations = [line for line in result.outlines if line.startswith("::")]
    place = f"{project.path.name}/test_it.py"
    assert [line.partition(",col")[0] for line in annotations] == [
        f"::error file={place},line=4",
        f"::notice file={place},line=5",
    ]
    text = summary.read_text(encoding="utf-8")
    assert "### Memory: 1 of 2 tests over the limit" in text
    result.stdout.fnmatch_lines(["Report: summary.md (github)"])


def test_an_ini_key_turns_that_off(project: pytest.Pytester, summary: Path) -> None:
    result = project.runpytest("-o", "memray_github=false")
    result.assert_outcomes(failed=1, xfailed=1, passed=5)
    result.stdout.no_fnmatch_line("::*")
    assert not summary.exists()


def test_without_a_failed_limit_github_is_told_nothing(
    project: pytest.Pytester, summary: Path
) -> None:
    result = project.runpytest("--memray", "--deselect=test_it.py::test_large")
    result.assert_outcomes(xfailed=1, passed=5, deselected=1)
    result.stdout.no_fnmatch_line("::*")
    assert not summary.exists()


def test_asked_for_github_is_told_of_success_too_and_once(
    project: pytest.Pytester, summary: Path
) -> None:
    project.runpytest("--memray", "-k", "named", "--memray-report=github")
    assert "every test is within its limits" in summary.read_text(encoding="utf-8")
    result = project.runpytest("--memray-report=github")
    assert sum(line.startswith("::error") for line in result.outlines) == 1
    assert summary.read_text(encoding="utf-8").count("<!-- memlens -->") == 2


def test_without_a_terminal_reporter_annotations_are_printed_all_the_same(
    project: pytest.Pytester, summary: Path
) -> None:
    result = project.runpytest_subprocess("-p", "no:terminal")
    assert any(line.startswith("::error file=") for line in result.outlines)


def test_the_help_names_every_kind(pytester: pytest.Pytester) -> None:
    text = " ".join(pytester.runpytest("--help").outlines)
    said = " ".join(text.split()).partition("--memray-report=KIND[:PATH]")[2][:400]
    assert all(kind in said for kind in KINDS)
