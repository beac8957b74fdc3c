"""What is measured: suites of tests, made as text, and what memlens may cost on each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Budget:
    """What memlens may cost at most, in wall time."""

    limit: float
    #: Of pytest-memray's overhead, or in seconds.
    kind: Literal["ratio", "seconds"] = "ratio"
    #: It orients; nobody is held to it.
    indicative: bool = False

    def __str__(self) -> str:
        text = f"{self.limit:.2f}" if self.kind == "ratio" else f"{self.limit * 1000:.0f} ms"
        return f"≤ {text}{' (indicative)' if self.indicative else ''}"


@dataclass(frozen=True)
class Scenario:
    """One suite and how it is run."""

    name: str
    summary: str
    #: The suite's files, by name.
    files: Mapping[str, str] = field(default_factory=dict)
    #: More arguments for pytest.
    arguments: tuple[str, ...] = ()
    #: Whether the plugins are asked to measure, by --memray.
    measuring: bool = True
    #: How often each contender runs it, if the command line does not say.
    rounds: int = 5
    #: What is measured is the second run in the same folder.
    again: bool = False
    budget: Budget | None = None


_LIGHT_TESTS = (
    "assert sum([n * n for n in range(100 + number)]) > 0",
    "assert len({str(n): n for n in range(100 + number)}) == 100 + number",
    "assert sorted({n % 7 for n in range(100 + number)}) == list(range(7))",
    "assert len(','.join(str(n) for n in range(100 + number)).split(',')) == 100 + number",
    "assert [row for row in [{'id': n, 'tags': [n] * 9} for n in range(50)] if row['id'] > number]"
    " or number >= 49",
)

_ALLOCATIONS = """
def test_many_allocations():
    kept = [b""] * 64
    for number in range({count}):
        kept[number % 64] = bytes(600 + number % 1000)
    assert len(kept) == 64
"""

_LEAKS = """
import pytest

KEPT = []

@pytest.mark.limit_leaks("1 MB")
@pytest.mark.parametrize("number", range(30))
def test_keeps_a_little(number):
    KEPT.append(bytearray(1000 + number))
    rows = [{"id": n, "name": str(n)} for n in range(2000)]
    assert len(rows) == 2000
"""

_EMPTY = """
import pytest

@pytest.mark.parametrize("number", range(10_000))
def test_nothing(number):
    pass
"""


def light_tests(count: int, *, imports: str = "", marker: str = "") -> Mapping[str, str]:
    """Return a suite of *count* small tests, all with *marker*, in a module that has *imports*."""
    each, rest = divmod(count, len(_LIGHT_TESTS))
    assert not rest
    functions = [
        f'{marker}\n@pytest.mark.parametrize("number", range({each}))\n'
        f"def test_{index}(number):\n    {body}\n"
        for index, body in enumerate(_LIGHT_TESTS)
    ]
    return {"test_light.py": "\n".join(["import pytest", imports, "", *functions])}


def _allocations(count: int) -> Mapping[str, str]:
    return {"test_allocations.py": _ALLOCATIONS.format(count=count)}


NETWORKX = Scenario(
    "networkx",
    "networkx's own tests of networkx.classes, over a thousand light ones",
    arguments=("--pyargs", "networkx.classes"),
    budget=Budget(0.15),
)

START_UP = Scenario(
    "start-up",
    "one empty test, with the plugin installed and not asked for anything",
    {"test_empty.py": "def test_nothing():\n    pass\n"},
    measuring=False,
    rounds=20,
    budget=Budget(0.005, "seconds"),
)

_ALL = (
    NETWORKX,
    Scenario("light", "500 light tests", light_tests(500), budget=Budget(0.15)),
    Scenario(
        "light-scientific",
        "500 light tests beside numpy, pandas, scipy and pyarrow",
        light_tests(500, imports="import numpy, pandas, pyarrow, scipy.stats"),
        budget=Budget(0.03),
    ),
    Scenario(
        "million",
        "one test that allocates a million times, above 512 bytes",
        _allocations(1_000_000),
        budget=Budget(1.0),
    ),
    Scenario(
        "million-again",
        "the same when it has been run once: memlens then knows how many they are",
        _allocations(1_000_000),
        again=True,
        budget=Budget(1.0),
    ),
    Scenario(
        "ten-million",
        "one test that allocates ten million times, above 512 bytes",
        _allocations(10_000_000),
        rounds=1,
        budget=Budget(1.0),
    ),
    Scenario(
        "ten-million-again",
        "the same when it has been run once",
        _allocations(10_000_000),
        rounds=1,
        again=True,
        budget=Budget(1.0),
    ),
    Scenario(
        "limit-memory",
        "300 light tests that have a limit_memory",
        light_tests(300, marker='@pytest.mark.limit_memory("100 MB")'),
        budget=Budget(1.0),
    ),
    Scenario(
        "limit-memory-scientific",
        "the same beside numpy, pandas, scipy and pyarrow",
        light_tests(
            300,
            imports="import numpy, pandas, pyarrow, scipy.stats",
            marker='@pytest.mark.limit_memory("100 MB")',
        ),
        rounds=3,
        budget=Budget(1.0),
    ),
    Scenario(
        "leaks",
        "30 tests that have a limit_leaks and stay below it",
        {"test_leaks.py": _LEAKS},
        budget=Budget(1.0),
    ),
    Scenario("empty", "10,000 empty tests", {"test_empty.py": _EMPTY}, rounds=2),
    START_UP,
    Scenario(
        "xdist",
        "500 light tests on two workers of pytest-xdist",
        light_tests(500),
        arguments=("-n", "2"),
        budget=Budget(0.15, indicative=True),
    ),
)
#: By name, in the order in which they run.
SCENARIOS: Mapping[str, Scenario] = {scenario.name: scenario for scenario in _ALL}
