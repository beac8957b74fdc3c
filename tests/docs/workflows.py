"""Runs the jobs of a GitHub workflow on this machine, as far as docs/ci.md needs it.

Shell steps run for real. Of the actions between them, the few that docs/ci.md names do here with
folders what they do on GitHub with its storage. Any other action, and any name in an expression
that is not known here, is an error.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

Values = Mapping[str, Any]

#: What installs the project: it is installed here already.
INSTALL = "pip install -r requirements-dev.txt"


class Step(NamedTuple):
    """What became of one step of a job."""

    #: Its command, or the action that it uses.
    what: str
    #: `success`, `failure` or `skipped`.
    outcome: str
    #: What a shell step wrote to its output and to the summary.
    output: str = ""
    summary: str = ""


@dataclass
class GitHub:
    """What outlives a job: the repository, artifacts and caches."""

    #: What `actions/checkout` gets.
    repository: Path
    #: Everything that is written is in here.
    folder: Path
    #: Programs that are found before all others, such as `gh`.
    programs: Path
    #: The context `github` of expressions.
    event: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.artifacts = self.folder / "artifacts"
        self.caches = self.folder / "caches"
        self.artifacts.mkdir(parents=True)
        self.caches.mkdir()
        self._machines = 0

    def machine(self) -> Path:
        """Return the empty folder of a new machine."""
        self._machines += 1
        folder = self.folder / f"machine-{self._machines}"
        (folder / "workspace").mkdir(parents=True)
        return folder

    @property
    def last_workspace(self) -> Path:
        """Where the last job ran."""
        return self.folder / f"machine-{self._machines}" / "workspace"


def run_workflow(workflow: Values, github: GitHub) -> dict[str, list[Step]]:
    """Run each job in turn, whatever became of those before; return the steps of each.

    A job with a matrix is one for each value, named as GitHub names it: `tests (api)`.
    """
    done = {}
    for name, job in workflow["jobs"].items():
        for matrix in _matrix(job):
            full_name = f"{name} ({', '.join(matrix.values())})" if matrix else name
            done[full_name] = _Job(job, matrix, github).run()
    return done


def _matrix(job: Values) -> Iterator[dict[str, str]]:
    matrix = job.get("strategy", {}).get("matrix", {})
    if not matrix:
        yield {}
        return
    [(name, values)] = matrix.items()
    for value in values:
        yield {name: value}


class _Job:
    """One job on a machine of its own."""

    def __init__(self, job: Values, matrix: Values, github: GitHub) -> None:
        self._job = job
        self._github = github
        self._machine = github.machine()
        self._workspace = self._machine / "workspace"
        self._failed = False
        self._context: dict[str, Any] = {"github": github.event, "matrix": matrix, "steps": {}}

    def run(self) -> list[Step]:
        """Run the steps."""
        done = []
        for step in self._job["steps"]:
            what = step.get("run") or step["uses"]
            if not self._is_wanted(step.get("if", "success()")):
                done.append(Step(what, "skipped"))
                continue
            result = self._shell(step) if "run" in step else self._action(step)
            self._failed |= result.outcome == "failure"
            done.append(result)
        return done

    def _is_wanted(self, condition: str) -> bool:
        if not re.search(r"\b(always|success|failure|cancelled)\(\)", condition):
            condition = f"success() && {condition}"
        return all(self._is_true(term.strip()) for term in condition.split("&&"))

    def _is_true(self, term: str) -> bool:
        if term in ("always()", "success()"):
            return term == "always()" or not self._failed
        one, equals, other = term.partition(" == ")
        if equals:
            text = re.fullmatch(r"'([^']*)'", other)
            return bool(self._value(one) == (text[1] if text else self._value(other)))
        return self._value(term) not in (None, "", "false")

    def _value(self, path: str) -> Any:
        """Return what a path such as `github.event.number` leads to.

        Raises:
            KeyError: Nothing here has that name. GitHub would take it for an empty text.
        """
        value: Any = self._context
        names = path.split(".")
        if names[0] == "steps" and self._context["steps"].get(names[1]) is None:
            return None  # a step that was skipped has no outputs
        for name in names:
            value = value[name]
        return value

    def _filled(self, text: str) -> str:
        """Return *text* with its `${{ }}` replaced."""
        return re.sub(r"\$\{\{ *(\S+) *\}\}", lambda found: str(self._value(found[1])), text)

    def _shell(self, step: Values) -> Step:
        command = self._filled(step["run"])
        if command == INSTALL:
            return Step(command, "success")
        summary = self._machine / "summary.md"
        summary.unlink(missing_ok=True)
        summary.touch()
        given = {name: self._filled(value) for name, value in step.get("env", {}).items()}
        finished = subprocess.run(
            ["bash", "-e", "-c", command],  # as GitHub's default shell on Linux is
            cwd=self._workspace,
            env={**self._environment(summary), **given},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        outcome = "failure" if finished.returncode else "success"
        return Step(command, outcome, finished.stdout, summary.read_text(encoding="utf-8"))

    def _environment(self, summary: Path) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if "GITHUB" not in name}
        programs = [self._github.programs, Path(sys.executable).parent, os.environ["PATH"]]
        return {
            **inherited,
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": self._github.event["repository"],
            "GITHUB_RUN_ID": self._github.event["run_id"],
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_WORKSPACE": str(self._workspace),
            "PATH": os.pathsep.join(map(str, programs)),
        }

    def _action(self, step: Values) -> Step:
        name, _, _ = step["uses"].partition("@")
        given = {
            key: self._filled(value) if isinstance(value, str) else value
            for key, value in step.get("with", {}).items()
        }
        actions: dict[str, Callable[[Values], dict[str, str] | None]] = {
            "actions/checkout": self._checkout,
            "actions/setup-python": lambda _: {},
            "actions/upload-artifact": self._upload,
            "actions/download-artifact": self._download,
            "actions/cache/save": self._save,
            "actions/cache/restore": self._restore,
            "github/codeql-action/upload-sarif": self._sarif,
        }
        outputs = actions[name](given)
        if outputs is not None and "id" in step:
            self._context["steps"][step["id"]] = {"outputs": outputs}
        return Step(step["uses"], "failure" if outputs is None else "success")

    # Each action returns its outputs, or None if it fails.

    def _checkout(self, _given: Values) -> dict[str, str]:
        shutil.copytree(self._github.repository, self._workspace, dirs_exist_ok=True)
        return {}

    def _upload(self, given: Values) -> dict[str, str] | None:
        source = self._workspace / given["path"]
        hidden = given.get("include-hidden-files", False)
        target = self._github.artifacts / given["name"]
        if target.exists() or not source.exists():
            return None
        parts = Path(given["path"]).parts
        if not hidden and any(part.startswith(".") for part in parts):
            return None  # GitHub finds no files, which is a warning: here it is a fault
        if source.is_dir():  # the folder's own name is not kept
            shutil.copytree(source, target, ignore=None if hidden else shutil.ignore_patterns(".*"))
        else:
            target.mkdir()
            shutil.copy2(source, target)
        return {}

    def _download(self, given: Values) -> dict[str, str]:
        for artifact in self._github.artifacts.iterdir():
            if fnmatch.fnmatchcase(artifact.name, given["pattern"]):
                shutil.copytree(artifact, self._workspace / given["path"] / artifact.name)
        return {}

    def _save(self, given: Values) -> dict[str, str] | None:
        source, target = self._workspace / given["path"], self._github.caches / given["key"]
        if target.exists() or not source.exists():
            return None
        shutil.copytree(source, target / given["path"])
        return {}

    def _restore(self, given: Values) -> dict[str, str]:
        def age(cache: Path) -> int:
            return cache.stat().st_mtime_ns

        caches = sorted(self._github.caches.iterdir(), key=age, reverse=True)
        for wanted in (given["key"], *given["restore-keys"].split()):
            for cache in caches:
                if cache.name.startswith(wanted) and (cache / given["path"]).exists():
                    shutil.copytree(cache, self._workspace, dirs_exist_ok=True)
                    return {"cache-matched-key": cache.name}
        return {"cache-matched-key": ""}

    def _sarif(self, given: Values) -> dict[str, str] | None:
        try:
            log = json.loads((self._workspace / given["sarif_file"]).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return {} if log["version"] == "2.1.0" else None
