"""Running pytest once, with one of the plugins that are compared, and what that run took."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from environments import BenchmarkError, Environment
from scenarios import Scenario

NONE, PYTEST_MEMRAY, MEMLENS = "none", "pytest-memray", "memlens"
#: In the order in which the first round runs them.
CONTENDERS = (NONE, PYTEST_MEMRAY, MEMLENS)

#: ru_maxrss is in kibibytes, but in bytes on macOS.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
_PASSED = re.compile(r"\b(\d+) passed\b")
#: Lines of a failed run that are shown.
_TAIL = 40


@dataclass(frozen=True)
class Sample:
    """What one run of pytest took, with all the processes that it started and waited for."""

    wall_seconds: float
    #: User and system time.
    cpu_seconds: float
    #: Of the largest single process. What starts pytest has to stay small: the kernel counts its
    #: size at that moment too.
    peak_rss_bytes: int


@dataclass(frozen=True)
class Finished:
    """A run of pytest in which every test passed."""

    sample: Sample
    #: How many tests passed.
    tests: int
    #: pytest's rootdir.
    folder: Path


@dataclass(frozen=True)
class Runner:
    """Runs scenarios, each in a folder of its own that is deleted afterwards."""

    environment: Environment
    #: A temporary folder.
    scratch: Path
    #: Has modules that the arguments of a run name.
    extra: Path | None = None

    def sample(self, scenario: Scenario, contender: str) -> Finished:
        """Return what *contender* took for *scenario*.

        Raises:
            BenchmarkError: not every test passed.
        """
        with self.run(scenario, contender) as finished:
            return finished

    @contextmanager
    def run(self, scenario: Scenario, contender: str, *arguments: str) -> Iterator[Finished]:
        """Run *scenario* with more *arguments* for pytest; its folder is there in the context.

        Raises:
            BenchmarkError: not every test passed.
        """
        home = self.scratch / "run"
        folder, temporary, log = home / "suite", home / "tmp", home / "output.txt"
        try:
            temporary.mkdir(parents=True)
            folder.mkdir()
            # So that pytest looks no further for settings, and knows everybody's markers.
            for name, text in {"pytest.ini": _INI, **scenario.files}.items():
                (folder / name).write_text(text, encoding="utf-8")
            command = [
                *(str(self.environment.python), "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                *("-c", "pytest.ini", "--rootdir", "."),
                *(("--memray",) if scenario.measuring and contender != NONE else ()),
                *scenario.arguments,
                *arguments,
            ]
            plugins = (*self._plugins(contender), *((self.extra,) if self.extra else ()))
            variables = self.environment.variables(temporary, *plugins)
            variables["MEMLENS_PARTS"] = str(folder / "parts.json")
            sample, status = _timed(command, folder, variables, log)
            if scenario.again and status == 0:
                sample, status = _timed(command, folder, variables, log)
            output = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            passed = _PASSED.search(output[-1]) if output else None
            if status != 0 or passed is None:
                raise BenchmarkError(
                    f"{scenario.name}: pytest with {contender} ended with exit status {status}:\n"
                    + "\n".join(f"  {line}" for line in output[-_TAIL:])
                )
            yield Finished(sample, int(passed[1]), folder)
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def _plugins(self, contender: str) -> tuple[Path, ...]:
        # pytest finds and loads them by itself, as a user's; to be found is a part of their cost.
        # So PYTEST_DISABLE_PLUGIN_AUTOLOAD, which would keep the other one out too, is no use.
        return {
            # A folder more to look for modules in is no plugin's fault.
            NONE: (self.scratch,),
            PYTEST_MEMRAY: (self.environment.pytest_memray,),
            MEMLENS: (self.environment.memlens,),
        }[contender]


_INI = """\
[pytest]
markers =
    limit_memory(limit): known to pytest without a plugin too
    limit_leaks(limit): likewise
"""


def _timed(
    command: list[str], folder: Path, variables: Mapping[str, str], log: Path
) -> tuple[Sample, int]:
    """Run *command* and return what it took and its exit status. Its output goes to *log*."""
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # to end it with all that it started
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - started
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    process.returncode = os.waitstatus_to_exitcode(status)
    sample = Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _RSS_UNIT)
    return sample, process.returncode
