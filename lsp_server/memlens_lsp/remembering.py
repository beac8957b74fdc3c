"""Remembering what was worked out of texts, as long as they are not too much."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import update_wrapper
from threading import Lock
from typing import Concatenate, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

#: How many texts a function remembers what it made of, and how many characters they have together.
#: With every key that is typed there is a new one.
_MOST_TEXTS = 64
_MOST_CHARACTERS = 2_000_000


def remembered(
    function: Callable[Concatenate[str, _P], _T],
) -> Callable[Concatenate[str, _P], _T]:
    """Have *function* of a text, and of other values, work only once for those asked for last.

    For several threads at once. Only the last text may be larger than all should be.
    """
    known: OrderedDict[tuple[str, object, object], _T] = OrderedDict()
    lock = Lock()
    characters = 0

    def remembering(text: str, /, *arguments: _P.args, **named: _P.kwargs) -> _T:
        nonlocal characters
        key = (text, arguments, tuple(named.items()))
        with lock:
            if key in known:
                known.move_to_end(key)
                return known[key]
        # Two threads may both do it: that costs less than to wait for somebody else's long text.
        made = function(text, *arguments, **named)
        with lock:
            if key not in known:
                known[key] = made
                characters += len(text)
            while len(known) > 1 and (len(known) > _MOST_TEXTS or characters > _MOST_CHARACTERS):
                (oldest, _, _), _ = known.popitem(last=False)
                characters -= len(oldest)
        return made

    update_wrapper(remembering, function)
    return remembering
