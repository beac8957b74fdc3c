"""Command-line flags and ini keys, read once into one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Settings:
    """What the user asked for."""

    #: Measure every test, not only those with a marker.
    measure_all: bool

    @classmethod
    def from_config(cls, config: pytest.Config) -> Settings:
        """Read the flags, and the ini file where a flag is not given."""
        flag = config.getoption("memray")
        return cls(measure_all=bool(config.getini("memray") if flag is None else flag))


def add_options(parser: pytest.Parser) -> None:
    """Declare the flags and ini keys."""
    group = parser.getgroup("memlens", "memory limits and measurements, with memray")
    group.addoption(
        "--memray",
        action="store_true",
        default=None,
        help="measure the memory of every test and show the heaviest (without it, only tests with"
        " limit_memory or limit_leaks are measured)",
    )
    parser.addini("memray", "measure the memory of every test (as --memray)", "bool", False)
