"""What the user should know and do about a run that did not run its tests."""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from memlens_lsp.running.planning import Plan

#: The oldest Python that memlens runs on.
OLDEST_PYTHON = (3, 10)
SEE_LOG = "What pytest said is in the log of memlens"
_CHOOSE = "choose another interpreter (the setting memlens.interpreter)"
#: https://docs.pytest.org/en/stable/reference/exit-codes.html
_EXIT_CODES = {
    2: "pytest was interrupted",
    3: "pytest had an internal error",
    4: "pytest did not accept its arguments",
    5: "pytest found no tests",
}
#: What only pytest writes, however little it is told to say. Other programs have exit codes too.
_PYTEST = re.compile(
    r"^(?:=+ (?:test session starts|ERRORS|FAILURES|short test summary)|rootdir: |!+ |ERROR:? \S"
    r"|FAILED |INTERNALERROR> |ImportError while loading conftest|(?:=+ )?(?:no tests |\d+"
    r" (?:passed|failed|skipped|deselected|xfailed|xpassed|warning|error|tests? collected)))"
    r"|\[100%\]$",
    re.MULTILINE,
)
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
#: Of what another program says, this many characters are told.
_MOST_TOLD = 200


class Interpreter(NamedTuple):
    """What an interpreter says of itself."""

    #: Such as "cpython".
    implementation: str
    version: tuple[int, int]
    #: The installed versions of pytest and of pytest-memlens, None where there is none.
    pytest: str | None
    memlens: str | None

    @property
    def knows_argument_files(self) -> bool:
        """Whether its pytest takes "@file": 8.2 and newer."""
        numbers = [int(number) for number in re.findall(r"\d+", self.pytest or "")[:2]]
        return numbers >= [8, 2]


class Ended(NamedTuple):
    """How a run ended."""

    #: The process's; negative for the signal that killed it.
    exit_code: int
    output: str
    wrote_results: bool


def cannot_start(plan: Plan, reason: str, others: Sequence[Path] = ()) -> str:
    """Return what to say of a run that the system does not start, for *reason*."""
    if not plan.folder.is_dir():
        setting = "" if plan.folder == plan.root else " (the setting memlens.workingFolder)"
        return f"Tests cannot be run in {plan.folder}{setting}: there is no such folder"
    return f"The interpreter {plan.python} cannot be started ({reason}): {_choose(plan, others)}"


def needs_interpreter(ended: Ended) -> bool:
    """Return whether `problem_with` can say more when it knows the interpreter."""
    return (
        _lacks_pytest(ended)
        or _lacks_plugin(ended)
        or _lacks_results(ended)
        or not _shows_pytest(ended)
    )


def problem_with(
    plan: Plan,
    ended: Ended,
    interpreter: Interpreter | None = None,
    others: Sequence[Path] = (),
) -> str | None:
    """Return what the user should know and do about a run, or None if it ran its tests.

    *interpreter* is what was found out of `plan.python`, None if nothing was; *others* are
    interpreters that may be a better choice.
    """
    if needs_interpreter(ended):
        wrong = _not_fit(plan, interpreter, others) or _missing(plan, ended, interpreter, others)
        if wrong is not None:
            return wrong
    if ended.exit_code == 0 or (ended.exit_code == 1 and _shows_pytest(ended)):
        return None
    why, details = _reason(ended.exit_code, ended.output)
    return f"{': '.join([why, *details])}. {SEE_LOG}"


def missing_package(
    ended: Ended, interpreter: Interpreter | None
) -> Literal["pytest", "pytest-memlens"] | None:
    """Return what is to be installed for a run like the one that *ended*; None if nothing is."""
    if interpreter is not None and (
        interpreter.version < OLDEST_PYTHON or interpreter.implementation != "cpython"
    ):
        return None  # there it could not be installed
    if _lacks_pytest(ended):
        return "pytest"
    lacks = _lacks_plugin(ended) or _lacks_results(ended)
    if lacks and interpreter is not None and interpreter.pytest and not interpreter.memlens:
        return "pytest-memlens"
    return None


def _lacks_pytest(ended: Ended) -> bool:
    return ended.exit_code == 1 and bool(
        re.search(r": No module named '?pytest'?\s*\Z", ended.output)
    )


def _lacks_plugin(ended: Ended) -> bool:
    return ended.exit_code == 4 and bool(
        re.search(r"unrecognized arguments:.* --memray\b", ended.output)
    )


def _lacks_results(ended: Ended) -> bool:
    """Return whether tests ran and left no results, or something else than pytest ran."""
    if ended.exit_code not in (0, 1) or ended.wrote_results:
        return False
    return not ended.output.strip() or bool(re.search(r"\b\d+ (passed|failed)\b", ended.output))


def _shows_pytest(ended: Ended) -> bool:
    """Return whether pytest was seen to start, or a signal ended whatever it was."""
    if ended.exit_code < 0 or ended.wrote_results:
        return True
    return bool(_PYTEST.search(_COLOUR.sub("", ended.output)))


def _not_fit(plan: Plan, interpreter: Interpreter | None, others: Sequence[Path]) -> str | None:
    if interpreter is None:
        return None
    if interpreter.version < OLDEST_PYTHON:
        version, oldest = (".".join(map(str, v)) for v in (interpreter.version, OLDEST_PYTHON))
        return (
            f"{plan.python} is Python {version}, and memlens needs {oldest} or newer:"
            f" {_choose(plan, others)}"
        )
    if interpreter.implementation != "cpython":
        return (
            f"{plan.python} is {interpreter.implementation}, and memlens measures CPython only:"
            f" {_choose(plan, others)}"
        )
    return None


def _missing(
    plan: Plan, ended: Ended, interpreter: Interpreter | None, others: Sequence[Path]
) -> str | None:
    is_installed = interpreter is not None and interpreter.memlens is not None
    if _lacks_pytest(ended):
        return f"pytest is not installed for {plan.python}: {_install(plan, others)}"
    if _lacks_plugin(ended):
        return (
            f"pytest-memlens is not installed for {plan.python}: {_install(plan, others)}"
            if not is_installed
            else "pytest does not load pytest-memlens, though it is installed: look for"
            " '-p no:memlens' or PYTEST_DISABLE_PLUGIN_AUTOLOAD in pytest's configuration and in"
            " the settings memlens.pytestArgs and memlens.environment"
        )
    if not _shows_pytest(ended):
        return _not_run(plan, ended, interpreter, others)
    why = "The tests ran, but no memory results were written"
    said = re.search(r"^memlens warning: (.+)$", ended.output, re.MULTILINE)
    if said is not None:
        return f"{why}: {said[1]}"
    if is_installed:
        return f"{why}. {SEE_LOG}"
    return f"{why}. If pytest-memlens is not installed for {plan.python}, {_install(plan, others)}"


def _not_run(
    plan: Plan, ended: Ended, interpreter: Interpreter | None, others: Sequence[Path]
) -> str | None:
    has_pytest = interpreter is not None and interpreter.pytest is not None
    if has_pytest and (ended.output.strip() or ended.exit_code > 1):
        return None  # it was pytest, whatever it was told to say
    code = f" with exit code {ended.exit_code}" if ended.exit_code else ""
    told = f" ({words})" if (words := _gist(ended.output)) else ""
    return f"{plan.python} ended{code} without running pytest{told}: {_choose(plan, others)}"


def _reason(code: int, output: str) -> tuple[str, list[str]]:
    """Return what happened, and what pytest says of it."""
    raised = re.findall(r"^E {2,}(\S.*)$", output, re.MULTILINE)
    refused = re.findall(r"^(?:\S.*: error|ERROR): (?!usage: )(.+)$", output, re.MULTILINE)
    summed_up = re.findall(r"^ERROR \S.*? - (\S.+)$", output, re.MULTILINE)
    if re.search(r"ERROR collecting|while loading conftest|^ERROR \S+\.py\b", output, re.MULTILINE):
        return "The tests cannot be imported", (raised or summed_up or refused)[-1:]
    if code == 4 and re.search(r"^\(no match in any of|^ERROR: file or", output, re.MULTILINE):
        return "pytest does not find the test: save the file if it is new", []
    if code == -signal.SIGKILL:
        return "pytest was killed by SIGKILL, perhaps because there was no memory left", []
    if code < 0:
        return f"pytest was killed by {_signal_name(-code)}", []
    if code == 3:
        refused = re.findall(r"^INTERNALERROR> (\w\S*(?:: .+|))$", output, re.MULTILINE)[-1:]
    elif code not in _EXIT_CODES and not refused:
        refused = [words for words in [_gist(output)] if words]
    return _EXIT_CODES.get(code, f"pytest ended with exit code {code}"), refused[:1]


def _gist(output: str) -> str:
    """Return the line that says most: the last of a traceback, else the first."""
    lines = output.strip().split("\n")
    line = lines[-1 if "Traceback" in output else 0].strip()
    return line if len(line) <= _MOST_TOLD else f"{line[: _MOST_TOLD - 1]}…"


def _install(plan: Plan, others: Sequence[Path]) -> str:
    return (
        f"install it with '{shlex.quote(plan.python)} -m pip install pytest-memlens', or"
        f" {_choose(plan, others)}"
    )


def _choose(plan: Plan, others: Sequence[Path]) -> str:
    other = next((str(path) for path in others if str(path) != plan.python), None)
    return _CHOOSE if other is None else f"{_CHOOSE}, such as {other}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
