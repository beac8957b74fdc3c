"""Taking what a database says as it is meant, or not at all.

SQLite keeps any value in any column, and damage that its own checks do not find makes a number a
text or a list half a list. Whoever shows results must not stumble over that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

#: What a column holds, in a letter; a capital one may be NULL.
_KINDS: Mapping[str, frozenset[type]] = {
    "i": frozenset((int,)),
    "I": frozenset((int, type(None))),
    "f": frozenset((float,)),
    "s": frozenset((str,)),
    "S": frozenset((str, type(None))),
}


class UnreadableError(ValueError):
    """A column does not hold what the schema says."""


def check_kinds(rows: Sequence[Sequence[object]], kinds: str) -> None:
    """See that the columns of *rows* are of these *kinds*, a letter each.

    Raises:
        UnreadableError: one is not.
    """
    if not rows:
        return
    # By columns, which takes a fraction of the time.
    for number, (column, kind) in enumerate(zip(zip(*rows, strict=True), kinds, strict=True)):
        wrong = set(map(type, column)) - _KINDS[kind]
        if wrong:
            found = ", ".join(sorted(each.__name__ for each in wrong))
            raise UnreadableError(f"column {number + 1} of {len(kinds)} holds {found}")


def json_lists(texts: Sequence[str]) -> list[list[int]]:
    """Parse JSON lists of whole numbers, all at once: one by one takes several times as long.

    Raises:
        UnreadableError: they are none.
    """
    try:
        joined = ",".join(texts)
    except TypeError as error:
        raise UnreadableError("a list of whole numbers is none") from error
    parsed = _parsed(f"[{joined}]")
    if (
        len(parsed) != len(texts)
        or not set(map(type, parsed)) <= {list}
        or not set(map(type, chain.from_iterable(parsed))) <= {int}
    ):
        raise UnreadableError("a list of whole numbers is none")
    return list(parsed)


def json_list_of_texts(text: str) -> tuple[str, ...]:
    """Parse a JSON list of texts.

    Raises:
        UnreadableError: it is none.
    """
    parsed = _parsed(text)
    if not isinstance(parsed, list) or not all(isinstance(each, str) for each in parsed):
        raise UnreadableError("a list of texts is none")
    return tuple(parsed)


def json_texts_by_name(text: str) -> dict[str, str]:
    """Parse a JSON object of texts.

    Raises:
        UnreadableError: it is none.
    """
    parsed = _parsed(text)
    if not isinstance(parsed, dict) or not all(isinstance(each, str) for each in parsed.values()):
        raise UnreadableError("an object of texts is none")
    return parsed


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"what should be JSON is none ({error})") from error
