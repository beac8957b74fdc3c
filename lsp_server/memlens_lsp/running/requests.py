"""What the commands `memlens.run` and `memlens.cancel` ask for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from memlens_lsp.uris import path_of

_EXPECTED = (
    'expected one argument such as {"uri": "file:///…/test_shop.py", "test": "test_a"},'
    ' {"uri": "file:///…/tests"}, {"workspace": true}, {"failed": true} or {"last": true}'
)
#: What can be asked for without naming tests.
_Whole = Literal["workspace", "failed", "last"]
_WHOLE: tuple[_Whole, ...] = ("workspace", "failed", "last")


class Request(NamedTuple):
    """What to run."""

    what: Literal["path"] | _Whole
    #: A file or a folder. Of "failed": somewhere in the project, None for all projects.
    path: Path | None = None
    #: Of a file the ids in it, such as "TestCart::test_total[2]"; of a folder node ids with paths
    #: from there. Empty for all tests.
    tests: tuple[str, ...] = ()


def read_run_request(arguments: Sequence[object], name: str = "memlens.run") -> Request:
    """Return what the *arguments* of `memlens.run` ask for, or of another *name* that takes them.

    Raises:
        ValueError: they do not. The message says what was expected.
    """
    argument = _only_argument(name, arguments, _EXPECTED)
    wrong = f"{name} got {argument!r}: {_EXPECTED}"
    chosen = [what for what in _WHOLE if argument.get(what)]
    if len(chosen) > 1 or any(argument[what] is not True for what in chosen):
        raise ValueError(wrong)
    path = None
    if argument.get("uri") is not None:
        path = _path(f"{name} cannot run", argument["uri"], wrong)
    tests = _tests(argument, wrong)
    if chosen:
        if tests or (path is not None and chosen != ["failed"]):
            raise ValueError(wrong)
        return Request(chosen[0], path)
    if path is None:
        raise ValueError(wrong)
    return Request("path", path, tests)


def read_cancel_request(arguments: Sequence[object]) -> Path | None:
    """Return the path whose project's runs the *arguments* of `memlens.cancel` name; None for all.

    Raises:
        ValueError: they are wrong. The message says what was expected.
    """
    expected = 'expected no argument, or one such as {"uri": "file:///…/test_shop.py"}'
    if not arguments:
        return None
    argument = _only_argument("memlens.cancel", arguments, expected)
    uri = argument.get("uri")
    if uri is None:
        return None
    wrong = f"memlens.cancel got {argument!r}: {expected}"
    return _path("memlens.cancel knows no runs in", uri, wrong)


def _only_argument(
    command: str, arguments: Sequence[object], expected: str
) -> Mapping[str, object]:
    if len(arguments) != 1:
        raise ValueError(f"{command} got {len(arguments)} arguments: {expected}")
    argument = arguments[0]
    if not isinstance(argument, Mapping):
        raise ValueError(f"{command} got {argument!r}: {expected}")
    return dict(argument)


def _path(cannot: str, uri: object, wrong: str) -> Path:
    if not isinstance(uri, str):
        raise ValueError(wrong)
    path = path_of(uri)
    if path is None:
        raise ValueError(f"{cannot} {uri}: it is not a file on this machine")
    return path


def _tests(argument: Mapping[str, object], wrong: str) -> tuple[str, ...]:
    one, many = argument.get("test"), argument.get("tests")
    if many is None:
        many = [] if one in (None, "") else [one]
    elif one is not None or not many:
        # An empty list is no wish for all tests.
        raise ValueError(wrong)
    if not isinstance(many, list | tuple):
        raise ValueError(wrong)
    tests: dict[str, None] = {}
    for test in many:
        if not isinstance(test, str) or not test or "\0" in test:
            raise ValueError(wrong)
        try:
            os.fsencode(test)
        except UnicodeEncodeError:
            raise ValueError(
                f"memlens.run cannot pass {test!r} to pytest: it has what is no character"
            ) from None
        tests[test] = None
    return tuple(tests)
