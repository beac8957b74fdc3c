"""Noticing that files change, in any editor: a look at their stamps, a few times a second."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

from memlens.store import DATABASE_NAME

logger = logging.getLogger(__name__)

#: Seconds between looks.
_INTERVAL = 0.15
#: Looks at databases for one at all files: there may be thousands, and people write these.
_FILES_EVERY = 5
#: Seconds for the looks at all files; one that is still being looked at then is not waited for.
_PATIENCE = 1.0
#: A file written less than this many nanoseconds ago may be written again without a new time:
#: file systems count time in steps of up to some milliseconds.
_UNSETTLED = 50_000_000


class Stamp(NamedTuple):
    """What tells one content of a file from another."""

    inode: int
    size: int
    #: Nanoseconds.
    modified: int


#: A file's stamp, and that of a database's write-ahead log. None for what is not there.
Look = tuple[Stamp | None, ...]
#: Unlike every look: a file that has never been looked at, or that may have changed unseen.
_NEVER: Look = ()


def look_at(path: Path) -> Look:
    """Return what *path* looks like now."""
    if path.name != DATABASE_NAME:
        return (_stamp(path),)
    log = _stamp(path.with_name(f"{DATABASE_NAME}-wal"))
    # Readers leave an empty log behind. That changes nothing, and would make us read for ever.
    return (_stamp(path), log if log and log.size else None)


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return Stamp(status.st_ino, status.st_size, status.st_mtime_ns)


def _nothing(path: Path) -> Look:
    """Return what *path* looks like if it does not exist."""
    return (None, None) if path.name == DATABASE_NAME else (None,)


def has_settled(look: Look) -> bool:
    """Return whether what is written from now on makes a file look otherwise than *look*."""
    newest = max((stamp.modified for stamp in look if stamp), default=0)
    return not 0 <= time.time_ns() - newest < _UNSETTLED


class _Looking:
    """Looks at one path after the other, off the event loop."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = paths
        #: What has been seen up to now, and what is being looked at.
        self.looks: dict[Path, Look] = {}
        self.at: Path | None = None
        self.is_given_up = False

    def look(self) -> None:
        for path in self._paths:
            if self.is_given_up:
                return
            self.at = path
            look = look_at(path)
            if not self.is_given_up:
                self.looks[path] = look
        self.at = None


class Watcher:
    """Looks at files and tells which have changed. To be used from the event loop only."""

    def __init__(self, on_change: Callable[[set[Path]], Awaitable[None]]) -> None:
        """*on_change* gets the paths that changed; no further look is taken until it is done."""
        self._on_change = on_change
        self._seen: dict[Path, Look] = {}
        self._wake = asyncio.Event()
        #: Folders on disks that do not answer, and the looks that wait for them.
        self._stuck: dict[Path, asyncio.Future[None]] = {}

    def watch(self, paths: Mapping[Path, Look | None]) -> None:
        """Look at *paths* from now on, and at nothing else.

        New ones count as changed if they do not look as given. Without a look given, which is None,
        they do if there is something.
        """
        self._seen = {
            path: self._seen.get(path, _nothing(path) if look is None else look)
            for path, look in paths.items()
        }

    def look_now(self) -> None:
        """Take the next look at once: something is known to have changed."""
        self._wake.set()

    def look_again(self, path: Path) -> None:
        """Count *path* as changed at the next look: what it holds could not be read."""
        if path in self._seen:
            self._seen[path] = _NEVER

    async def run(self) -> None:
        """Look until cancelled."""
        for number in count():
            try:
                changed = await self._changed(whole=number % _FILES_EVERY == 0)
                if changed:
                    await self._on_change(changed)
            except Exception:
                # Whatever went wrong once must not stop results from arriving later.
                logger.exception("looking at the results failed")
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _INTERVAL)
            self._wake.clear()

    async def _changed(self, *, whole: bool) -> set[Path]:
        before = self._seen
        paths = [path for path in before if whole or path.name == DATABASE_NAME]
        looks = await self._look_at(paths)
        changed = {path for path, look in looks.items() if look != before[path]}
        for path in changed:
            # What is read now may already be older than a write that leaves the same stamp.
            settled = has_settled(looks[path])
            if path in self._seen:
                self._seen[path] = looks[path] if settled else _NEVER
        return changed

    async def _look_at(self, paths: Iterable[Path]) -> dict[Path, Look]:
        """Return what *paths* look like, but for those on disks that do not answer."""
        looks: dict[Path, Look] = {}
        while left := [path for path in paths if path not in looks and not self._is_stuck(path)]:
            looking = _Looking(left)
            ended = asyncio.ensure_future(asyncio.to_thread(looking.look))
            await asyncio.wait((ended,), timeout=_PATIENCE)
            looking.is_given_up = True
            looks |= looking.looks.copy()  # it may still see one more
            place = looking.at
            if ended.done() or place is None:
                await ended
                break
            folder = place.parent.parent if place.name == DATABASE_NAME else place.parent
            self._stuck[folder] = ended
            ended.add_done_callback(partial(self._answers, folder))
        return looks

    def _is_stuck(self, path: Path) -> bool:
        return bool(self._stuck) and any(path.is_relative_to(folder) for folder in self._stuck)

    def _answers(self, folder: Path, _: object) -> None:
        self._stuck.pop(folder, None)
