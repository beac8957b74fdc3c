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
from memlens.stacks import LeakedObjectsFilterFunction, LeaksFilterFunction


class MarkerError(ValueError):
    """A marker cannot work as written. The message says what is wrong and what was expected."""


@dataclass(frozen=True)
class LimitMemory:
    """`limit_memory`: a limit for the peak."""

    marker: ClassVar[str] = "limit_memory"
    #: Bytes.
    limit: int
    #: Count only what the thread that runs the test allocated.
    current_thread_only: bool = False


@dataclass(frozen=True)
class LimitLeaks:
    """`limit_leaks`: a limit for what any one call stack leaves behind."""

    marker: ClassVar[str] = "limit_leaks"
    #: Bytes.
    limit: int
    #: Keeps the stacks that count; None keeps all.
    filter_fn: LeaksFilterFunction | None = None
    #: Count only what the thread that runs the test allocated.
    current_thread_only: bool = False
    #: How often the test runs unmeasured first.
    warmups: int = 0


@dataclass(frozen=True)
class LimitLeakedObjects:
    """`limit_leaked_objects`: no object that the test made may outlive it."""

    marker: ClassVar[str] = "limit_leaked_objects"
    #: Keeps the objects that count; None keeps all.
    filter_fn: LeakedObjectsFilterFunction | None = None


Limit = LimitMemory | LimitLeaks | LimitLeakedObjects


def parse_marker(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Limit:
    """Return what the marker called *name* with these arguments demands.

    Raises:
        MarkerError: an argument is missing, unknown, repeated or wrong.
        KeyError: *name* is not one of our markers.
    """
    return _PARSERS[name](args, kwargs)


def _limit_memory(args: Sequence[Any], kwargs: Mapping[str, Any]) -> LimitMemory:
    marker = "limit_memory"
    values = _bind(marker, "memory_limit", ("current_thread_only",), args, kwargs)
    return LimitMemory(_size(marker, values["memory_limit"]), _current_thread_only(marker, values))


def _limit_leaks(args: Sequence[Any], kwargs: Mapping[str, Any]) -> LimitLeaks:
    marker = "limit_leaks"
    keywords = ("filter_fn", "current_thread_only", "warmups")
    values = _bind(marker, "location_limit", keywords, args, kwargs)
    warmups = values.get("warmups", 0)
    if not isinstance(warmups, int) or isinstance(warmups, bool) or warmups < 0:
        raise MarkerError(
            f"{marker}: warmups is {warmups!r}: expected how often the test runs unmeasured first,"
            " a whole number from 0"
        )
    return LimitLeaks(
        _size(marker, values["location_limit"]),
        _filter_fn(marker, values, "a Stack"),
        _current_thread_only(marker, values),
        warmups,
    )


def _limit_leaked_objects(args: Sequence[Any], kwargs: Mapping[str, Any]) -> LimitLeakedObjects:
    marker = "limit_leaked_objects"
    values = _bind(marker, None, ("filter_fn",), args, kwargs)
    return LimitLeakedObjects(_filter_fn(marker, values, "an object"))


_PARSERS: dict[str, Callable[[Sequence[Any], Mapping[str, Any]], Limit]] = {
    "limit_memory": _limit_memory,
    "limit_leaks": _limit_leaks,
    "limit_leaked_objects": _limit_leaked_objects,
}


def _filter_fn(marker: str, values: Mapping[str, Any], takes: str) -> Callable[[Any], bool] | None:
    filter_fn: Callable[[Any], bool] | None = values.get("filter_fn")
    if filter_fn is not None and not callable(filter_fn):
        raise MarkerError(
            f"{marker}: filter_fn is {filter_fn!r}: expected a function that takes {takes} and"
            " returns whether it counts"
        )
    return filter_fn


def _current_thread_only(marker: str, values: Mapping[str, Any]) -> bool:
    value = values.get("current_thread_only", False)
    if not isinstance(value, bool):
        raise MarkerError(f"{marker}: current_thread_only is {value!r}: expected True or False")
    return value


def _size(marker: str, value: object) -> int:
    try:
        return parse_size(value)
    except ValueError as error:
        raise MarkerError(f"{marker}: {error}") from None


def _bind(
    marker: str,
    positional: str | None,
    keywords: Sequence[str],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> dict[str, Any]:
    values = dict(kwargs)
    if positional is None and args:
        raise MarkerError(
            f"{marker}: takes no positional arguments, but {len(args)} were given: expected"
            f" {', '.join(f'{name}=…' for name in keywords)}"
        )
    if len(args) > 1:
        raise MarkerError(
            f"{marker}: takes one positional argument, {positional}, but {len(args)} were given"
        )
    if positional is not None and args:
        if positional in values:
            raise MarkerError(f"{marker}: {positional} is given twice")
        values[positional] = args[0]
    known = (*([positional] if positional is not None else []), *keywords)
    for name in values:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"expected {', '.join(known)}"
            raise MarkerError(f"{marker}: unknown argument {name!r}: {hint}")
    if positional is not None and positional not in values:
        raise MarkerError(
            f"{marker}: {positional} is missing: expected a memory size such as '24 MB'"
        )
    return values
