"""Captures of the process that runs the tests: what each records, where its file is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memlens.limits import has_limit, needs_own_capture
from memlens.markers import LimitLeakedObjects, LimitLeaks
from memlens.settings import Settings

if TYPE_CHECKING:
    from memlens.attempts import Attempt
    from memlens.capture_folder import CaptureFolder
    from memlens.markers import Limit
    from memlens.recording import Capture, Followers
    from memlens.recording.guard import Guard


class NothingMeasuredError(Exception):
    """Nothing can be measured here, this test or another. Says why."""


@dataclass(eq=False, repr=False)
class Captures:
    """Makes captures, one at a time, as the settings and a test's limits demand."""

    settings: Settings
    #: What the names of kept captures begin with: the same in all processes of a run.
    bin_prefix: str
    #: Called with the folder of the captures when it is made.
    describe: Callable[[Path], None] = lambda _: None
    #: Holds them; None until the first.
    _folder: CaptureFolder | None = None
    #: None until the first.
    _guard: Guard | None = None
    _count: int = 0

    @property
    def folder(self) -> Path | None:
        """Where captures are, if there have been any."""
        return self._folder.path if self._folder is not None else None

    def must_be_own(self, limits: tuple[Limit, ...], *, is_heavy: bool) -> bool:
        """Return whether a test with these limits cannot share its capture with others.

        A heavy one could, but makes so many allocations that reading them takes longer than
        a tracker of its own.
        """
        return (
            is_heavy
            or self.settings.trace_python_allocators
            or self.settings.bin_path is not None
            or needs_own_capture(limits)
        )

    def start_shared(self, followers: Followers | None = None) -> Capture:
        """Start a capture for many tests, which leaves calls to *followers*.

        Raises:
            NothingMeasuredError: memray or the file system does not let us.
            CaptureError: memray is recording already.
        """
        return self._start(None, followers, native=self.settings.native)

    def start_own(self, attempt: Attempt, *, is_heavy: bool) -> Capture:
        """Start a capture for one body, and note in *attempt* where it will be kept, if it is.

        Raises:
            NothingMeasuredError: memray or the file system does not let us.
            CaptureError: memray is recording already.
        """
        settings = self.settings
        leaks = has_limit(attempt.limits, LimitLeaks)
        if settings.bin_path is not None:
            from memlens.captures import capture_path

            attempt.kept = capture_path(settings.bin_path, self.bin_prefix, attempt.nodeid)
        python_allocators = leaks or settings.trace_python_allocators
        return self._start(
            attempt.kept,
            None,
            native=leaks or settings.native,
            native_peaks=settings.native,
            python_allocators=python_allocators,
            objects=has_limit(attempt.limits, LimitLeakedObjects),
            # A kept capture is for the user, who may want to know of each allocation.
            aggregated=(python_allocators or is_heavy) and attempt.kept is None,
        )

    def close(self) -> None:
        """Delete all files but those that are to be kept."""
        if self._guard is not None:
            self._guard.close()
        if self._folder is not None:
            self._folder.close()

    def _start(self, kept: Path | None, followers: Followers | None, **options: bool) -> Capture:
        try:
            # Only now: a run in which nothing is measured never imports memray.
            from memlens.recording import Capture
            from memlens.recording.guard import Guard

            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
            self._count += 1
            path = kept or self._made_folder().path_of(f"{self._count}.bin")
            capture = Capture(path, keep=kept is not None, **options)
            if followers is not None:
                capture.followers = followers
            if self._guard is None:
                self._guard = Guard()
            self._guard.watch(capture if _may_grow(options) else None)
            capture.start()
        except (ImportError, OSError) as error:
            raise NothingMeasuredError(f"tests were not measured: {error}") from error
        return capture

    def _made_folder(self) -> CaptureFolder:
        if self._folder is None:
            from memlens.capture_folder import CaptureFolder

            self._folder = CaptureFolder(self.describe)
        return self._folder


def _may_grow(options: dict[str, Any]) -> bool:
    """Return whether a capture with these options is to be guarded against getting too large.

    What records Python's own allocators or objects would record the guard's too, and what
    aggregates stays small.
    """
    return not any(options.get(name) for name in ("python_allocators", "objects", "aggregated"))
