"""Two states of the tests side by side: which grew, shrank, appeared, vanished. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from memlens.commands.common import peak_of
from memlens.store import TestRecord

Kind = Literal["grew", "shrank", "same", "appeared", "vanished"]


class Difference(NamedTuple):
    """How one test's peak differs. Sizes are bytes, None where the test was not measured."""

    kind: Kind
    nodeid: str
    base: int | None
    head: int | None
    #: Grown by more than is allowed.
    failed: bool
    #: How the test went where it did not pass, which may not be a whole test's peak. Else empty.
    outcomes: str

    @property
    def change(self) -> int:
        """The change in bytes, where there are two sides: 0 else."""
        return 0 if self.base is None or self.head is None else self.head - self.base

    @property
    def share(self) -> float | None:
        """The change as a share of the base: 0.05 is 5 % more. None where there is no such."""
        return self.change / self.base if self.base and self.head is not None else None


def compare(
    base: Sequence[TestRecord],
    head: Sequence[TestRecord],
    *,
    at_least: int,
    allowed: float | None = None,
) -> list[Difference]:
    """Return how each test of *base* and *head* differs, what failed first, then the largest.

    A change of less than *at_least* bytes is none. A test fails when its peak has grown by more
    than the share *allowed* (0.05 is 5 %; None: whatever it has grown by, none does).
    """
    # By path and name, as everywhere: a node id may depend on where pytest was started.
    old = {(test.path, test.name): test for test in base}
    new = {(test.path, test.name): test for test in head}
    differences = [
        _difference(old.get(key), new.get(key), at_least=at_least, allowed=allowed)
        for key in {**new, **old}
    ]
    return sorted(differences, key=_order)


def _order(difference: Difference) -> tuple[bool, int, str]:
    size = abs(difference.change) or difference.head or difference.base or 0
    return (not difference.failed, -size, difference.nodeid)


def _difference(
    base: TestRecord | None, head: TestRecord | None, *, at_least: int, allowed: float | None
) -> Difference:
    outcomes = _outcomes(base, head)
    if base is None:
        assert head is not None
        return Difference("appeared", head.nodeid, None, peak_of(head), False, outcomes)
    if head is None:
        return Difference("vanished", base.nodeid, peak_of(base), None, False, outcomes)
    before, now = peak_of(base), peak_of(head)
    change = now - before
    kind: Kind = "same"
    if change and abs(change) >= at_least:
        kind = "grew" if change > 0 else "shrank"
    failed = kind == "grew" and allowed is not None and change > before * allowed
    return Difference(kind, head.nodeid, before, now, failed, outcomes)


def _outcomes(base: TestRecord | None, head: TestRecord | None) -> str:
    """Return ``"failed before"``, ``"failed now"``, ``"failed"`` for both, such as that."""
    if base is not None and head is not None and base.outcome == head.outcome:
        return "" if head.outcome == "passed" else head.outcome
    return ", ".join(
        f"{test.outcome} {when}"
        for test, when in ((base, "before"), (head, "now"))
        if test is not None and test.outcome != "passed"
    )
