"""Command-line flags and ini keys, read once into one frozen value."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from memlens.exports import Request

#: memray has no build for Windows: there nothing can be measured.
MEMRAY_RUNS_HERE = sys.platform != "win32"
_HISTORY_SIZE = "500 MB"
_HISTORY_BYTES = 500 * 1024**2


# A named tuple: a data class would take pytest three times as long to start with.
class Settings(NamedTuple):
    """What the user asked for."""

    #: Measure every test, not only those with a marker.
    measure_all: bool
    #: Show the heaviest tests at the end; how many, 0 for all.
    show_summary: bool
    most_allocations: int
    #: Keep each test's capture here, in files that begin with the prefix (None: one is made up).
    bin_path: Path | None
    bin_prefix: str | None
    #: How many frames of a call stack are shown; None for what the verbosity says.
    stacks: int | None
    #: Record and show native frames.
    native: bool
    #: Record what Python's own allocators hand out, not the arenas they take from the system.
    trace_python_allocators: bool
    #: Fail a limited test whose peak is over that of its last passing run, and by which share.
    fail_on_increase: bool
    increase_tolerance: float
    #: Bytes; the limit of tests that have no `limit_memory` of their own.
    default_limit: int | None
    #: How many results of each test are kept, and how many bytes of all.
    history: int
    history_size: int
    #: As pytest's -q and -v, or what verbosity_memray says.
    verbosity: int
    #: Reports to write at the end of the run.
    reports: tuple[Request, ...]
    #: Write one for GitHub Actions there, when a limit failed, without being asked.
    github: bool

    @classmethod
    def from_config(cls, config: pytest.Config) -> Settings:
        """Read the flags, and the ini file where a flag is not given.

        Raises:
            pytest.UsageError: a value cannot be understood.
        """
        default_limit = _value(config, "memray_default_limit", "")
        bin_path = config.getoption("memray_bin_path")
        verbosity = str(config.getini("verbosity_memray") or "auto")
        stacks = _value(config, "stacks", "")
        history_size = str(config.getini("memray_history_size"))
        return cls(
            measure_all=_switch(config, "memray"),
            show_summary=not _switch(config, "hide_memray_summary"),
            most_allocations=_number(
                "most_allocations", _value(config, "most_allocations", 5), least=0
            ),
            bin_path=(config.invocation_params.dir / bin_path).absolute() if bin_path else None,
            bin_prefix=config.getoption("memray_bin_prefix") or None,
            stacks=_number("stacks", stacks, least=1) if stacks != "" else None,
            native=_switch(config, "native"),
            trace_python_allocators=_switch(config, "trace_python_allocators"),
            fail_on_increase=_switch(config, "fail_on_increase", ini="fail-on-increase"),
            increase_tolerance=_share(
                "memray_increase_tolerance", str(config.getini("memray_increase_tolerance"))
            ),
            default_limit=_size("memray_default_limit", default_limit) if default_limit else None,
            history=_number("memray_history", config.getini("memray_history"), least=1),
            history_size=_HISTORY_BYTES
            if history_size == _HISTORY_SIZE  # not parsed: that costs an import
            else _size("memray_history_size", history_size),
            verbosity=config.get_verbosity()
            if verbosity == "auto"
            else _number("verbosity_memray", verbosity, least=-100),
            reports=_reports(config),
            github=bool(config.getini("memray_github")),
        )

    @property
    def measures_unmarked(self) -> bool:
        """Whether tests without a marker are measured."""
        return self.measure_all or self.default_limit is not None


def results_name(config: pytest.Config) -> str:
    """Return the results file as one would name it in the folder that pytest was started in."""
    from memlens.store.folder import database_path

    path = database_path(config.rootpath)
    here = config.invocation_params.dir
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


#: Flag, what pytest calls its value, and what it is for. The ini key is the same name.
_SWITCHES = (
    (
        "--memray",
        "memray",
        "measure the memory of every test and show the heaviest (without it, only tests with a"
        " limit are measured)",
    ),
    (
        "--hide-memray-summary",
        "hide_memray_summary",
        "do not show the heaviest tests at the end of the run",
    ),
    ("--native", "native", "record and show native frames too (slower)"),
    (
        "--trace-python-allocators",
        "trace_python_allocators",
        "record each block that Python's own allocators hand out (slower)",
    ),
    (
        "--fail-on-increase",
        "fail_on_increase",
        "fail a test with a limit_memory when its peak is over that of its last passing run",
    ),
)


def add_options(parser: pytest.Parser) -> None:
    """Declare the flags and ini keys."""
    group = parser.getgroup("memlens", "memory limits and measurements, with memray")
    for flag, name, text in _SWITCHES:
        _add(group, flag, dest=name, action="store_true", default=False, help=text)
        key = "fail-on-increase" if name == "fail_on_increase" else name
        parser.addini(key, f"{text} (as {flag})", "bool", default=False)
    for flag, name, metavar, text in (
        ("--most-allocations", "most_allocations", "N", "show the N heaviest tests, 0 for all"),
        ("--stacks", "stacks", "N", "show the N innermost frames of each call stack"),
        (
            "--memray-default-limit",
            "memray_default_limit",
            "SIZE",
            "the limit_memory of each test that has none of its own, such as '100 MB'",
        ),
    ):
        _add(group, flag, dest=name, metavar=metavar, default=None, help=text)
        parser.addini(name, f"{text} (as {flag})", default=None)
    _add(
        group,
        "--memray-bin-path",
        metavar="DIR",
        default=None,
        help="keep each test's capture in DIR, for the memray command to read",
    )
    _add(
        group,
        "--memray-bin-prefix",
        metavar="PREFIX",
        default=None,
        help="what the captures' names begin with (default: the run's own hexadecimal number)",
    )
    kinds = "json, sarif, html, markdown, github, github-benchmark, heapprofile or speedscope"
    _add(
        group,
        "--memray-report",
        action="append",
        metavar="KIND[:PATH]",
        default=[],
        help=f"write a report at the end of the run, also several times. KIND is {kinds}",
    )
    parser.addini(
        "memray_report",
        "reports to write, one KIND[:PATH] a line (as --memray-report, which replaces them)",
        "linelist",
        default=[],
    )
    parser.addini(
        "memray_github",
        "annotate the code and sum the run up when a limit fails in GitHub Actions",
        "bool",
        default=True,
    )
    parser.addini(
        "memray_increase_tolerance",
        "by how much a peak may grow before --fail-on-increase fails the test, such as '5%'",
        default="0%",
    )
    parser.addini(
        "memray_history",
        "how many results of each test are kept, from 1",
        default="50",
    )
    parser.addini(
        "memray_history_size",
        "how large the results file may grow before the oldest runs are dropped",
        default=_HISTORY_SIZE,
    )
    parser.addini(
        "verbosity_memray",
        "how much reports of memory tell, as a number of -v (default: as pytest's -q and -v)",
        default="auto",
    )


def _add(group: pytest.OptionGroup, *names: str, **attributes: Any) -> None:
    group.addoption(*names, **attributes)


def _switch(config: pytest.Config, name: str, *, ini: str | None = None) -> bool:
    return bool(config.getoption(name)) or bool(config.getini(ini or name))


def _value(config: pytest.Config, name: str, default: Any) -> Any:
    flag = config.getoption(name)
    if flag is not None:
        return flag
    key = config.getini(name)
    return default if key in (None, "") else key


def _reports(config: pytest.Config) -> tuple[Request, ...]:
    texts, name = config.getoption("memray_report"), "--memray-report"
    folder = config.invocation_params.dir
    if not texts:
        texts, name, folder = config.getini("memray_report"), "memray_report", config.rootpath
    if not texts:
        return ()
    from memlens.exports import parse_request

    try:
        requests = tuple(parse_request(text, folder) for text in texts)
    except ValueError as error:
        raise pytest.UsageError(f"{name}: {error}") from None
    paths = [request.path for request in requests if request.path is not None]
    for path in paths:
        if paths.count(path) > 1:
            raise pytest.UsageError(f"{name}: several reports are to be written to {path}")
    return requests


def _number(name: str, value: object, *, least: int) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = least - 1
    if number < least:
        raise pytest.UsageError(f"{name}: {value!r} is not a whole number from {least}")
    return number


def _size(name: str, value: str) -> int:
    from memlens.sizes import parse_size

    try:
        return parse_size(value)
    except ValueError as error:
        raise pytest.UsageError(f"{name}: {error}") from None


def _share(name: str, value: str) -> float:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value)
    if match is None:
        raise pytest.UsageError(f"{name}: {value!r} is not a percentage such as '5%'")
    return float(match[1]) / 100
