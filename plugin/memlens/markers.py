"""The markers' grammar: what may stand in `@pytest.mark.limit_memory(…)` and what it means.

One grammar for the plugin, which enforces it, and the language server, which checks it as it is
typed. Imports neither pytest nor memray.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar

from memlens.sizes import parse_size
from memlens.stacks import LeaksFilterFunction

#: What `pytest --markers` shows.
DESCRIPTIONS = {
    "limit_memory": (
        "limit_memory(memory_limit): fail the test when its peak memory is at or above"
        " memory_limit, such as '24 MB'."
    ),
    "limit_leaks": (
        "limit_leaks(location_limit, *, filter_fn=None): fail the test when any one call stack"
        " leaves location_limit or more memory, such as '1 MB', behind when the test returns;"
        " filter_fn(stack) may ignore stacks by returning a false value."
    ),
}


class MarkerError(ValueError):
    """A marker cannot work as written. The message says what is wrong and what was expected."""


@dataclass(frozen=True)
class LimitMemory:
    """`limit_memory`: a limit for the peak."""

    marker: ClassVar[str] = "limit_memory"
    #: Bytes.
    limit: int


@dataclass(frozen=True)
class LimitLeaks:
    """`limit_leaks`: a limit for what any one call stack leaves behind."""

    marker: ClassVar[str] = "limit_leaks"
    #: Bytes.
    limit: int
    #: Keeps the stacks that count; None keeps all.
    filter_fn: LeaksFilterFunction | None = None


Limit = LimitMemory | LimitLeaks


def parse_marker(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Limit:
    """Return what the marker called *name* with these arguments demands.

    Raises:
        MarkerError: an argument is missing, unknown, repeated or wrong.
        KeyError: *name* is not one of our markers.
    """
    return _PARSERS[name](args, kwargs)


def _limit_memory(args: Sequence[Any], kwargs: Mapping[str, Any]) -> LimitMemory:
    values = _bind("limit_memory", "memory_limit", (), args, kwargs)
    return LimitMemory(_size("limit_memory", values["memory_limit"]))


def _limit_leaks(args: Sequence[Any], kwargs: Mapping[str, Any]) -> LimitLeaks:
    values = _bind("limit_leaks", "location_limit", ("filter_fn",), args, kwargs)
    filter_fn = values.get("filter_fn")
    if filter_fn is not None and not callable(filter_fn):
        raise MarkerError(
            f"limit_leaks: filter_fn is {filter_fn!r}: expected a function that takes a Stack and"
            " returns whether it counts"
        )
    return LimitLeaks(_size("limit_leaks", values["location_limit"]), filter_fn)


_PARSERS: dict[str, Callable[[Sequence[Any], Mapping[str, Any]], Limit]] = {
    "limit_memory": _limit_memory,
    "limit_leaks": _limit_leaks,
}


def _size(marker: str, value: object) -> int:
    try:
        return parse_size(value)
    except ValueError as error:
        raise MarkerError(f"{marker}: {error}") from None


def _bind(
    marker: str,
    positional: str,
    keywords: Sequence[str],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> dict[str, Any]:
    values = dict(kwargs)
    if len(args) > 1:
        raise MarkerError(
            f"{marker}: takes one positional argument, {positional}, but {len(args)} were given"
        )
    if args:
        if positional in values:
            raise MarkerError(f"{marker}: {positional} is given twice")
        values[positional] = args[0]
    known = (positional, *keywords)
    for name in values:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"expected {', '.join(known)}"
            raise MarkerError(f"{marker}: unknown argument {name!r}: {hint}")
    if positional not in values:
        raise MarkerError(
            f"{marker}: {positional} is missing: expected a memory size such as '24 MB'"
        )
    return values
