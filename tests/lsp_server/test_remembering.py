"""Remembering what was worked out of texts."""

from __future__ import annotations

import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

from memlens_lsp.remembering import remembered


class Made:
    """Something that can be seen to go."""


def test_what_is_asked_for_again_is_not_made_again() -> None:
    made = []

    @remembered
    def size(text: str, factor: int = 1) -> int:
        made.append((text, factor))
        return len(text) * factor

    assert [size("ab"), size("ab"), size("ab", 2), size("ab", 2), size("c")] == [2, 2, 4, 4, 1]
    assert made == [("ab", 1), ("ab", 2), ("c", 1)]


def test_what_was_not_asked_for_lately_is_forgotten() -> None:
    @remembered
    def make(text: str) -> Made:
        return Made()

    for texts in ([f"text {n}" for n in range(100)], [str(n) * 500_000 for n in range(10)]):
        kept = [weakref.ref(make(text)) for text in texts]
        alive = [ref() is not None for ref in kept]
        assert alive[-1]
        assert not alive[0]
    assert sum(alive) == 4


def test_a_text_of_any_size_is_remembered_until_the_next() -> None:
    @remembered
    def make(text: str) -> Made:
        return Made()

    large = "x" * 3_000_000
    kept = weakref.ref(make(large))
    assert make(large) is kept()
    make("small")
    assert kept() is None


def test_many_threads_may_ask() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:

        @remembered
        def double(text: str) -> str:
            return text * 2

        texts = [str(number % 80) for number in range(4000)]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(double, texts)) == [text * 2 for text in texts]
    finally:
        sys.setswitchinterval(interval)
