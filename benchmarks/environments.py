"""The virtual environment that all contenders share, and the two plugins beside it.

There is one environment, so that nothing but the plugin differs between contenders. Either plugin
is installed, in the same way, into a folder of its own that goes onto PYTHONPATH for its contender
only. memlens is built and installed anew each time, as a user has it and as this checkout is then:
who goes on editing while a benchmark runs does not disturb it.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
HOME = REPOSITORY / "build" / "benchmarks"
#: What the suites need, and what builds memlens.
REQUIREMENTS = (
    "pytest-xdist",
    "networkx",
    "numpy",
    "pandas",
    "scipy",
    "pyarrow",
    "hatchling>=1.27",
)
PYTEST_MEMRAY = "pytest-memray==1.11.0"
_STAMP = HOME / "installed.json"
#: What the user's shell says to Python, pytest and terminals is no part of a benchmark.
_NOT_PASSED_ON = ("PYTHON", "PYTEST", "PY_COLORS", "COV_", "COVERAGE", "FORCE_COLOR", "COLUMNS")


class BenchmarkError(Exception):
    """A benchmark cannot go on."""


@dataclass(frozen=True)
class Environment:
    """Where the contenders' packages are."""

    python: Path
    #: The folders that have the plugins.
    pytest_memray: Path
    memlens: Path

    def variables(self, temporary: Path, *plugins: Path) -> dict[str, str]:
        """Return the environment variables of a run with *plugins*.

        Its temporary files go to *temporary*.
        """
        variables = {
            name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED_ON)
        }
        variables["TMPDIR"] = str(temporary)
        # Sets of strings are then walked in the same order by every contender.
        variables["PYTHONHASHSEED"] = "0"
        if plugins:
            variables["PYTHONPATH"] = os.pathsep.join(map(str, plugins))
        return variables

    def facts(self) -> dict[str, object]:
        """Return what was measured on: the machine, and the version of each package."""
        names = ("memray", "pytest", "pytest-memray", "pytest-memlens", "pytest-xdist", "networkx")
        code = (
            "import json, sys; from importlib import metadata;"
            "print(json.dumps({name: metadata.version(name) for name in sys.argv[1:]}))"
        )
        answer = subprocess.run(
            [self.python, "-c", code, *names],
            env=self.variables(HOME, self.pytest_memray, self.memlens),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "machine": platform.machine(),
            "cpu_count": os.cpu_count(),
            "versions": json.loads(answer.stdout),
            "memlens_commit": _commit(),
        }


def prepare() -> Environment:
    """Return the environment, made anew if what it has to contain has changed.

    Raises:
        BenchmarkError: it cannot be made.
    """
    environment = Environment(
        HOME / "venv" / "bin" / "python", HOME / "pytest-memray", HOME / "memlens"
    )
    if not _is_made():
        _make(environment)
    shutil.rmtree(environment.memlens, ignore_errors=True)
    # What builds it is in the environment already, so this needs no downloads.
    _install(environment, environment.memlens, "--no-build-isolation", str(REPOSITORY))
    return environment


def _is_made() -> bool:
    try:
        return bool(json.loads(_STAMP.read_text(encoding="utf-8")) == _wanted())
    except (OSError, ValueError):
        return False  # never made, or only half


def _make(environment: Environment) -> None:
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    try:
        _run(
            *(str(REPOSITORY / "scripts" / "make-venv.sh"), sys.executable, str(HOME / "venv")),
            *(*_requirements_of_memlens(), *REQUIREMENTS),
        )
        _install(environment, environment.pytest_memray, PYTEST_MEMRAY)
        _STAMP.write_text(json.dumps(_wanted(), indent=2), encoding="utf-8")
    except BaseException:
        shutil.rmtree(HOME, ignore_errors=True)
        raise


def _install(environment: Environment, target: Path, *what: str) -> None:
    """Install one plugin without what it requires: both shall find the same pytest and memray."""
    _run(
        *(str(environment.python), "-m", "pip", "install", "-qq", "--no-deps"),
        *("--disable-pip-version-check", "--target", str(target), *what),
    )


def _requirements_of_memlens() -> list[str]:
    """Return what pyproject.toml said when the Python that runs this got memlens."""
    return sorted(r for r in metadata.requires("pytest-memlens") or () if "extra ==" not in r)


def _wanted() -> dict[str, object]:
    return {
        "python": sys.version,
        "folder": str(HOME),
        "packages": [*_requirements_of_memlens(), *REQUIREMENTS, PYTEST_MEMRAY],
    }


def _run(*command: str) -> None:
    # What pip and venv say is no result: those alone go to stdout.
    finished = subprocess.run(command, cwd=REPOSITORY, stdout=sys.stderr, check=False)
    if finished.returncode:
        raise BenchmarkError(f"exit status {finished.returncode} from {' '.join(command)}")


def _commit() -> str | None:
    """Return which commit of memlens this is, with "-dirty" if there are changes; None if unknown.

    It may well be unknown: git may be missing, or this a plain copy.
    """
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
