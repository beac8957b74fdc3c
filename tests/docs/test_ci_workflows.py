"""The workflows of docs/ci.md: valid for GitHub, and what they run does what the page says."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from memlens.store import ResultsReader

from .workflows import GitHub, Step, run_workflow

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "ci.md"
TITLES = ("One machine", "A sharded matrix", "A comment on a pull request")
#: The shards of the page, and the example's tests that play their part.
SHARDS = {"api": "sessions", "billing": "orders", "catalog": "catalog"}

#: Stands in for GitHub's `gh`: keeps comments in a file, and finds them as `--jq` asks.
GH = """#!{python}
import json, re, sys
from pathlib import Path
store = Path({store!r})
comments = json.loads(store.read_text())
command = sys.argv[1:]
assert command.pop(0) == "api"
[target] = [word for word in command if word.startswith("repos/")]
if "--jq" in command:
    start = re.search(r'startswith[(]"(.*?)"[)]', command[command.index("--jq") + 1])[1]
    print(*[one["id"] for one in comments if one["body"].startswith(start)], sep="\\n")
else:
    body = Path(command[command.index("-F") + 1].removeprefix("body=@")).read_text()
    if "--method" in command:
        assert command[command.index("--method") + 1] == "PATCH"
        folder, _, number = target.rpartition("/")
        assert folder == "repos/kim/shop/issues/comments"
        [comment] = [one for one in comments if str(one["id"]) == number]
        comment["body"] = body
    else:
        assert target == "repos/kim/shop/issues/7/comments"
        comments.append({{"id": 100 + len(comments), "body": body}})
    store.write_text(json.dumps(comments))
"""


def workflows() -> dict[str, str]:
    """Return the text of each workflow on the page by its heading."""
    sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = {}
    for section in sections:
        blocks = re.findall(r"^```yaml\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
        if blocks:
            [found[section.partition("\n")[0]]] = blocks
    return found


def workflow(title: str) -> Mapping[str, Any]:
    parsed: Mapping[str, Any] = YAML(typ="safe", pure=True).load(workflows()[title])
    return parsed


@pytest.fixture
def github(tmp_path: Path) -> GitHub:
    """A repository with the example project, tests in a folder a shard."""
    repository = tmp_path / "repository"
    shutil.copytree(
        REPOSITORY / "examples", repository, ignore=shutil.ignore_patterns(".*", "__pycache__")
    )
    for shard, name in SHARDS.items():
        folder = repository / "tests" / shard
        folder.mkdir()
        (repository / "tests" / f"test_{name}.py").rename(folder / f"test_{name}.py")
    programs = tmp_path / "programs"
    programs.mkdir()
    comments = tmp_path / "comments.json"
    comments.write_text("[]", encoding="utf-8")
    gh = programs / "gh"
    gh.write_text(GH.format(python=sys.executable, store=str(comments)), encoding="utf-8")
    gh.chmod(0o755)
    event = {"event_name": "push", "repository": "kim/shop", "run_id": "1", "run_attempt": "1"}
    return GitHub(repository, tmp_path / "github", programs, event)


def cure(github: GitHub) -> None:
    """Raise the limits that the example's tests break."""
    for path in github.repository.glob("tests/*/test_*.py"):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r'"\d+ MB"', '"64 MB"', text), encoding="utf-8")


def grow(github: GitHub) -> None:
    """Let a year have more days, so that the report of it takes more."""
    path = github.repository / "tests" / "billing" / "test_orders.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("365", "500"), encoding="utf-8")


def comments_of(github: GitHub) -> list[str]:
    stored = json.loads((github.folder.parent / "comments.json").read_text(encoding="utf-8"))
    return [html.unescape(comment["body"]) for comment in stored]


def failed(steps: list[Step]) -> list[str]:
    return [step.what for step in steps if step.outcome == "failure"]


def told(steps: list[Step]) -> str:
    """Return what the steps wrote, for the message of an assertion."""
    return "\n".join(f"{step.outcome}: {step.what}\n{step.output}" for step in steps)


def test_the_page_has_three_workflows() -> None:
    assert tuple(workflows()) == TITLES


@pytest.mark.parametrize("title", TITLES)
def test_workflows_are_what_github_takes(title: str, tmp_path: Path) -> None:
    """Their schema is the one that SchemaStore keeps, as check-jsonschema ships it."""
    path = tmp_path / "workflow.yml"
    path.write_text(workflows()[title], encoding="utf-8")
    checked = subprocess.run(
        [
            *(sys.executable, "-m", "check_jsonschema"),
            *("--builtin-schema", "vendor.github-workflows", path),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_one_machine_writes_the_page_and_the_findings_whatever_its_tests_do(
    github: GitHub,
) -> None:
    [steps] = run_workflow(workflow("One machine"), github).values()
    [pytest_step] = [step for step in steps if step.what.startswith("pytest")]
    assert failed(steps) == [pytest_step.what], told(steps)
    assert "::error " in pytest_step.output
    assert "test_report_of_a_year" in pytest_step.summary
    page = (github.artifacts / "memory" / "memlens.html").read_text(encoding="utf-8")
    assert "test_report_of_a_year" in page


@pytest.mark.parametrize("title", TITLES[:2])
def test_a_workflow_succeeds_when_no_limit_is_broken(title: str, github: GitHub) -> None:
    cure(github)
    for job, steps in run_workflow(workflow(title), github).items():
        assert failed(steps) == [], f"{job}: {told(steps)}"


def test_shards_are_joined_annotated_and_judged_in_the_last_job(github: GitHub) -> None:
    jobs = run_workflow(workflow("A sharded matrix"), github)
    last = jobs.pop("memory")
    assert list(jobs) == [f"tests ({shard})" for shard in SHARDS]
    for shard, steps in zip(SHARDS, jobs.values(), strict=True):
        assert failed(steps) == [f"pytest --memray tests/{shard}"], told(steps)
    assert failed(last) == ["memlens check"], told(last)
    with ResultsReader(github.last_workspace / ".memlens" / "results.db") as reader:
        tests = reader.latest_tests()
    assert len(tests) == 10
    assert {test.path.split("/")[1] for test in tests} == set(SHARDS)
    [annotated] = [step for step in last if "--format github" in step.what]
    broken = ("test_thumbnails_stay_small", "test_report_of_a_year", "test_sessions_are_forgotten")
    for name in broken:
        assert name in annotated.output
        assert name in annotated.summary
    assert (github.artifacts / "memory" / "memory.html").stat().st_size > 0


def pull_request(github: GitHub, *, of: str = "kim/shop") -> list[Step]:
    github.event.update(
        event_name="pull_request",
        token="secret",
        event={"number": 7, "pull_request": {"head": {"repo": {"full_name": of}}}},
    )
    [steps] = run_workflow(workflow("A comment on a pull request"), github).values()
    return steps


def test_a_pull_request_is_compared_with_the_main_branch_in_one_comment(github: GitHub) -> None:
    cure(github)
    [steps] = run_workflow(workflow("A comment on a pull request"), github).values()
    assert [path.name for path in github.caches.iterdir()] == ["memlens-1-1"], told(steps)
    assert comments_of(github) == []

    steps = pull_request(github)
    assert failed(steps) == [], told(steps)
    [before] = comments_of(github)
    assert "test_report_of_a_year" not in before

    grow(github)
    steps = pull_request(github)
    assert failed(steps) == ["memlens compare memlens-base/results.db --fail-on 5%"], told(steps)
    [after] = comments_of(github)
    assert "test_report_of_a_year" in after
    assert after in [html.unescape(step.summary) for step in steps]


def test_a_pull_request_before_the_main_branch_was_measured_is_not_compared(
    github: GitHub,
) -> None:
    cure(github)
    steps = pull_request(github)
    assert failed(steps) == [], told(steps)
    assert not [step for step in steps if "compare" in step.what and step.outcome != "skipped"]
    assert comments_of(github) == []


def test_a_pull_request_from_a_fork_is_compared_in_the_summary_only(github: GitHub) -> None:
    cure(github)
    run_workflow(workflow("A comment on a pull request"), github)
    steps = pull_request(github, of="lee/shop")
    assert failed(steps) == [], told(steps)
    assert any("memlens compare" in step.summary for step in steps)
    assert comments_of(github) == []
