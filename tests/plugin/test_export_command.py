"""`memlens export`, on results of real runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from memlens.exports import KINDS

REPOSITORY = Path(__file__).parents[2]
THUMBNAILS = "tests/test_catalog.py::test_thumbnails_stay_small"


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if "GITHUB" not in name}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env=variables | environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def export(folder: Path, *arguments: str, **environment: str) -> str:
    result = run(folder, "memlens", "export", *arguments, **environment)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def refusal(folder: Path, *arguments: str) -> str:
    result = run(folder, "memlens", "export", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    return result.stderr


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the example project: run twice, the second time only its orders."""
    ignored = shutil.ignore_patterns(".memlens", "__pycache__", ".pytest_cache")
    project = tmp_path_factory.mktemp("export") / "examples"
    shutil.copytree(REPOSITORY / "examples", project, ignore=ignored)
    for arguments in ([], ["tests/test_orders.py"]):
        result = run(project, "pytest", "--memray", "-q", "-p", "no:randomly", *arguments)
        assert result.returncode == 1, result.stdout + result.stderr
    return project


def test_json_has_the_newest_result_of_each_test_and_what_was_before(measured: Path) -> None:
    whole = json.loads(export(measured, "--format", "json"))
    schema = json.loads((REPOSITORY / "docs/schema/results-1.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).validate(whole)
    first, second = (run["uuid"] for run in whole["runs"])
    tests = {test["nodeid"]: test for test in whole["tests"]}
    assert len(tests) == 10
    assert tests[THUMBNAILS]["run"] == first
    assert tests[THUMBNAILS]["history"] == []
    year = tests["tests/test_orders.py::test_report_of_a_year"]
    assert (year["run"], [past["run"] for past in year["history"]]) == (second, [first])
    assert year["limits"][0]["verdict"] == "exceeded"
    assert year["peak_bytes"] == year["limits"][0]["measured_bytes"]
    forgotten = tests["tests/test_sessions.py::test_sessions_are_forgotten"]
    assert forgotten["allocations"] is None
    assert forgotten["leaked_bytes"] == sum(
        stack["bytes"] for stack in forgotten["stacks"] if stack["kind"] == "leak"
    )


def test_a_run_can_be_chosen(measured: Path) -> None:
    def files(*arguments: str) -> set[str]:
        whole = json.loads(export(measured, "--format", "json", *arguments))
        return {test["path"] for test in whole["tests"]}

    assert files("--run", "last") == {"tests/test_orders.py"}
    assert len(files("--run", "last~1")) == 3
    whole = json.loads(export(measured, "--format", "json", "--run", "last~1"))
    assert all(test["history"] == [] for test in whole["tests"])
    assert "last~2" in refusal(measured, "--format", "json", "--run", "last~2")


def test_tests_can_be_chosen(measured: Path) -> None:
    for chosen, number in (("tests/test_orders.py", 2), (THUMBNAILS, 1), ("tests", 10)):
        told = json.loads(export(measured, "--format", "github-benchmark", chosen))
        assert len(told) == number
        assert all(entry["name"].startswith(chosen) for entry in told)
    assert "test_none" in refusal(measured, "--format", "json", "tests/test_none.py")


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.suffix])
def test_kinds_of_one_test_need_one(measured: Path, kind: str) -> None:
    said = refusal(measured, "--format", kind)
    assert f"a {kind} is of one test, and 10 tests were chosen: give the NODEID of one" in said
    profile = json.loads(export(measured, "--format", kind, THUMBNAILS))
    assert "decode_picture" in json.dumps(profile)


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if not kind.suffix])
def test_each_kind_is_written_to_a_file_or_to_standard_output(
    measured: Path, tmp_path: Path, kind: str
) -> None:
    printed = export(measured, "--format", kind)
    assert "test_report_of_a_year" in printed
    if kind != "github":
        path = tmp_path / "new folder" / "report"
        assert export(measured, "--format", kind, "-o", str(path)) == ""
        assert path.read_text(encoding="utf-8") == printed


@pytest.mark.parametrize(
    ("kind", "schema"), [("sarif", "sarif-2.1.0"), ("speedscope", "speedscope")]
)
def test_real_results_are_as_published_schemas_say(measured: Path, kind: str, schema: str) -> None:
    published = Path(__file__).parent / "published" / f"{schema}.json"
    rules = json.loads(published.read_text(encoding="utf-8"))
    chosen = [THUMBNAILS] if KINDS[kind].suffix else []
    told = json.loads(export(measured, "--format", kind, *chosen))
    jsonschema.validators.validator_for(rules)(rules).validate(told)
    assert "decode_picture" in json.dumps(told)


def test_github_prints_annotations_and_appends_a_summary(measured: Path, tmp_path: Path) -> None:
    for chosen, path in (
        ((), tmp_path / "a.md"),
        (("-o", str(tmp_path / "b.md")), tmp_path / "b.md"),
    ):
        path.write_text("before\n", encoding="utf-8")
        printed = export(
            measured,
            "--format",
            "github",
            *chosen,
            GITHUB_STEP_SUMMARY=str(tmp_path / "a.md"),
            GITHUB_WORKSPACE=str(measured.parent),
        )
        assert "::error file=examples/tests/test_catalog.py,line=10,col=5," in printed
        text = path.read_text(encoding="utf-8")
        assert text.startswith("before\n<!-- memlens -->\n### Memory: 3 of 10 tests over the limit")


def test_what_cannot_be_written_is_one_clear_line(measured: Path, tmp_path: Path) -> None:
    said = refusal(measured, "--format", "json", "-o", str(tmp_path))
    assert said.startswith("memlens: not written: ")
    assert str(tmp_path) in said
    assert len(said.splitlines()) == 1


def test_without_results_it_says_how_to_make_some(tmp_path: Path) -> None:
    assert "run 'pytest --memray' to make some" in refusal(tmp_path, "--format", "json")


def test_help_has_each_kind_and_an_example() -> None:
    said = export(REPOSITORY, "--help")
    assert all(f"  {kind} " in said for kind in KINDS)
    assert "memlens export --format html -o memory.html" in said
