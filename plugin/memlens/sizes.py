"""Sizes as people write them ("24 MB") and as bytes, in both directions."""

from __future__ import annotations

import re
from decimal import Decimal

#: One step between units. pytest-memray, memray and this project read K as 1024.
_STEP = 1024
_UNITS = "BKMGTP"
_SIZE = re.compile(
    r"\s*(?P<number>\d+(?:\.\d+)?)\s*(?:(?P<unit>[KMGTP])I?)?B\s*",
    re.IGNORECASE | re.ASCII,
)


def parse_size(text: object) -> int:
    """Return the number of bytes that *text* names, such as ``"24 MB"`` or ``"1.5KiB"``.

    Units are B, KB, MB, GB, TB and PB (KiB… mean the same) and each step is 1024. Case and the
    space before the unit are free; the whole text must match. A fraction of a byte is cut off.

    Raises:
        ValueError: *text* is not a string or not such a size.
    """
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(
            f"{text!r} is not a memory size: expected a string such as '24 MB', a number and"
            " one of B, KB, MB, GB, TB, PB"
        )
    exponent = _UNITS.index((match["unit"] or "B").upper())
    # Decimal is exact where float is not: "0.1 PB" and integers of any length.
    return int(Decimal(match["number"]) * Decimal(_STEP) ** exponent)


def format_size(size: int) -> str:
    """Return *size*, in bytes, as people read it: ``"512 B"``, ``"31.2 MiB"``.

    Units are binary (1 KiB = 1024 B) and named so, whatever unit a limit was written in.
    """
    if abs(size) < _STEP:
        return f"{size} B"
    exponent = 1
    # 1023.95 and more would be shown as 1024.0: that is 1.0 of the next unit.
    while abs(size) >= (_STEP - 0.05) * _STEP**exponent and exponent < len(_UNITS) - 1:
        exponent += 1
    return f"{size / _STEP**exponent:.1f} {_UNITS[exponent]}iB"
