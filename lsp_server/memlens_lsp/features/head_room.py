"""From a measured peak to a limit that people would write."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal

from memlens.sizes import parse_size

#: A limit is at least this far above what was measured, so that another allocator, Python or
#: machine does not break it. Rounding up makes it at most a fifth.
HEAD_ROOM = Decimal("0.1")

_STEP = 1024
_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")
_WRITTEN = re.compile(r"(?P<before>\s*)[\d.]+(?P<space>\s*)(?P<unit>[A-Za-z]+)(?P<after>\s*)")


def limit_above(measured: int, like: str | None = None) -> str:
    """Return a limit for something that took *measured* bytes: ``"36 MB"`` for 31.2 MiB.

    A tenth of head-room, rounded up to two digits. In the unit of *like* and spaced as it is, if
    that is a size; else in the largest unit of which it is at least one.
    """
    needed = max(Decimal(measured) * (1 + HEAD_ROOM), Decimal(_STEP))
    written = None
    if like is not None and _is_size(like):
        written = _WRITTEN.fullmatch(like)
    if written is not None:
        unit, space = written["unit"], written["space"]
        before, after = written["before"], written["after"]
    else:
        exponent = max(e for e in range(len(_UNITS)) if needed >= _STEP**e)
        unit, space, before, after = _UNITS[exponent], " ", "", ""
    return f"{before}{_rounded_up(needed / parse_size(f'1{unit}'))}{space}{unit}{after}"


def common_limits() -> tuple[str, ...]:
    """Return limits that people often write, the smallest first."""
    return ("1 MB", "10 MB", "24 MB", "100 MB", "500 MB", "1 GB")


def _is_size(text: str) -> bool:
    try:
        parse_size(text)
    except ValueError:
        return False
    return True


def _rounded_up(number: Decimal) -> str:
    digit = Decimal(1).scaleb(number.adjusted() - 1)
    rounded = (number / digit).to_integral_value(ROUND_CEILING) * digit
    # Neither "3.0" nor "1.3E+2".
    return f"{rounded.normalize():f}"
