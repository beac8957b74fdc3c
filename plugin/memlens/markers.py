"""The markers' grammar: what may stand in `@pytest.mark.limit_memory(…)` and what it means.

One grammar for the plugin, which enforces it, and the language server, which checks it as it is
typed. Imports neither pytest nor memray.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from memlens.sizes import parse_size
from memlens.stacks import LeakedObjectsFilterFunction, LeaksFilterFunction

#: Stands for the value of an argument that only the running program knows.
UNKNOWN: Any = object()
#: How like one of our markers' names another must be to be it misspelt (see `difflib`). Projects
#: have markers of their own, which may begin like ours.
_MISSPELT = 0.9


class MarkerError(ValueError):
    """A marker cannot work as written. The message says what is wrong and what was expected."""

    def __init__(
        self,
        message: str,
        argument: str | int | None = None,
        *,
        is_name: bool = False,
        meant: str | None = None,
    ) -> None:
        """Say that *argument* is wrong: a keyword, a position from 0, or None for the whole."""
        super().__init__(message)
        self.argument = argument
        #: Whether it is the keyword that is wrong, whatever its value.
        self.is_name = is_name
        #: What a misspelt keyword was probably meant to be.
        self.meant = meant


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


class Argument(NamedTuple):
    """An argument that a marker takes."""

    #: Its keyword.
    name: str
    #: The field of the `Limit` that its value becomes.
    field: str
    #: Returns the field's value; raises ValueError with what is wrong and what was expected.
    read: Callable[[str, Any], Any]


class Signature(NamedTuple):
    """What a marker takes."""

    limit: Callable[..., Limit]
    #: Must be given, and may be given by position.
    required: Argument | None
    #: May be given, by keyword.
    optional: tuple[Argument, ...]

    @property
    def keywords(self) -> tuple[str, ...]:
        """All its arguments' keywords."""
        required = () if self.required is None else (self.required,)
        return tuple(argument.name for argument in (*required, *self.optional))


def parse_marker(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Limit:
    """Return what the marker called *name* with these arguments demands.

    Raises:
        MarkerError: an argument is missing, unknown, repeated or wrong.
        KeyError: *name* is not one of our markers.
    """
    for error in marker_errors(name, args, kwargs):
        raise error
    signature = SIGNATURES[name]
    fields = {}
    if signature.required is not None:
        value = args[0] if args else kwargs[signature.required.name]
        fields[signature.required.field] = signature.required.read(signature.required.name, value)
    for argument in signature.optional:
        if argument.name in kwargs:
            fields[argument.field] = argument.read(argument.name, kwargs[argument.name])
    return signature.limit(**fields)


def marker_errors(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any], *, complete: bool = True
) -> Iterator[MarkerError]:
    """Return all that is wrong with the marker called *name* with these arguments.

    An argument that is `UNKNOWN` may be anything. If the arguments are not *complete*, there may be
    more of them: ``*args``, or what is still to be typed.

    Raises:
        KeyError: *name* is not one of our markers.
    """
    signature = SIGNATURES[name]
    required = signature.required
    misnamed = list(_misnamed(name, signature, args, kwargs))
    yield from _misplaced(name, signature, args, kwargs)
    yield from misnamed
    if required is not None and args:
        yield from _wrong(name, required, args[0], 0)
    for argument in (*([required] if required is not None else []), *signature.optional):
        if argument.name in kwargs:
            yield from _wrong(name, argument, kwargs[argument.name], argument.name)
    given = args or (required is not None and required.name in kwargs)
    # A misspelt keyword may be the one that is missing.
    if required is not None and not given and not misnamed and complete:
        yield MarkerError(
            f"{name}: {required.name} is missing: expected a memory size such as '24 MB'"
        )


def meant_marker(name: str) -> str | None:
    """Return which of our markers *name* is, misspelt; None if it is one of them or another's."""
    if name in SIGNATURES:
        return None
    close = _close(name, SIGNATURES, _MISSPELT)
    # More words are another marker, not a misspelt one.
    return close if close is not None and name.count("_") <= close.count("_") else None


def _misplaced(
    marker: str, signature: Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Iterator[MarkerError]:
    required = signature.required
    if required is None:
        if args:
            yield MarkerError(
                f"{marker}: takes no positional arguments, but {len(args)} were given: expected"
                f" {', '.join(f'{name}=…' for name in signature.keywords)}",
                0,
            )
        return
    if len(args) > 1:
        yield MarkerError(
            f"{marker}: takes one positional argument, {required.name}, but {len(args)} were given",
            1,
        )
    if args and required.name in kwargs:
        message = f"{marker}: {required.name} is given twice"
        yield MarkerError(message, required.name, is_name=True)


def _misnamed(
    marker: str, signature: Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Iterator[MarkerError]:
    known = signature.keywords
    required = signature.required
    missing = None if required is None or args or required.name in kwargs else required
    for name, value in kwargs.items():
        if name not in known:
            meant = _close(name, known, 0.6)
            if meant is None and missing is not None and _may_be(missing, name, value):
                meant = missing.name
            hint = f"did you mean {meant}?" if meant else f"expected {', '.join(known)}"
            message = f"{marker}: unknown argument {name!r}: {hint}"
            yield MarkerError(message, name, is_name=True, meant=meant)


def _may_be(argument: Argument, name: str, value: Any) -> bool:
    """Return whether who wrote *name* = *value* may have meant *argument*."""
    if name in argument.name.split("_"):
        return True
    if value is UNKNOWN:
        return False
    try:
        argument.read(name, value)
    except ValueError:
        return False
    return True


def _close(name: str, names: Iterable[str], cutoff: float) -> str | None:
    from difflib import get_close_matches  # only where something is wrong

    return next(iter(get_close_matches(name, names, n=1, cutoff=cutoff)), None)


def _wrong(marker: str, argument: Argument, value: Any, place: str | int) -> Iterator[MarkerError]:
    if value is UNKNOWN:
        return
    try:
        argument.read(argument.name, value)
    except ValueError as error:
        yield MarkerError(f"{marker}: {error}", place)


def _size(_: str, value: object) -> int:
    return parse_size(value)


def _yes_or_no(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}: expected True or False")
    return value


def _count(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(
            f"{name} is {value!r}: expected how often the test runs unmeasured first, a whole"
            " number from 0"
        )
    return value


def _filter(takes: str) -> Callable[[str, Any], Callable[[Any], bool] | None]:
    def read(name: str, value: Any) -> Callable[[Any], bool] | None:
        if value is not None and not callable(value):
            raise ValueError(
                f"{name} is {value!r}: expected a function that takes {takes} and returns whether"
                " it counts"
            )
        return value  # type: ignore[no-any-return]

    return read


_CURRENT_THREAD_ONLY = Argument("current_thread_only", "current_thread_only", _yes_or_no)

#: Our markers.
SIGNATURES: Mapping[str, Signature] = {
    "limit_memory": Signature(
        LimitMemory, Argument("memory_limit", "limit", _size), (_CURRENT_THREAD_ONLY,)
    ),
    "limit_leaks": Signature(
        LimitLeaks,
        Argument("location_limit", "limit", _size),
        (
            Argument("filter_fn", "filter_fn", _filter("a Stack")),
            _CURRENT_THREAD_ONLY,
            Argument("warmups", "warmups", _count),
        ),
    ),
    "limit_leaked_objects": Signature(
        LimitLeakedObjects, None, (Argument("filter_fn", "filter_fn", _filter("an object")),)
    ),
}
