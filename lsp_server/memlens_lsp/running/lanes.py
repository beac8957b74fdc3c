"""The runs that are on, and those that wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from memlens_lsp.running.planning import Plan
from memlens_lsp.running.runs import Display, Outcome, Run

#: How many runs may wait in one project.
_MOST_WAITING = 20


class RunRefusedError(Exception):
    """A run cannot be started now. The message says why."""


class Runs:
    """The runs that are on, one at a time in each project, and those that wait for them."""

    def __init__(self) -> None:
        #: By project; the first of each list is on.
        self._lanes: dict[Path, list[tuple[Run, asyncio.Task[Outcome]]]] = {}

    def start(self, plan: Plan, display: Display) -> tuple[Run, asyncio.Task[Outcome]]:
        """Start *plan*, or let it wait until those before it in its project have ended.

        Raises:
            RunRefusedError: the same waits already, or too many do.
        """
        lane = self._lanes.setdefault(plan.lane, [])
        if any(run.plan == plan for run, _ in lane[1:]):
            raise RunRefusedError(f"{plan.title} waits already until {self._title(lane)} has ended")
        if len(lane) > _MOST_WAITING:
            raise RunRefusedError(
                f"{len(lane) - 1} runs wait already until {self._title(lane)} has ended:"
                " wait too, or cancel some"
            )
        run = Run(plan, display)
        task = asyncio.ensure_future(self._take_turn(run, lane))
        lane.append((run, task))
        task.add_done_callback(lambda _: self._forget(run))
        return run, task

    def waits(self, run: Run) -> str | None:
        """Return what *run* waits for, None if it does not wait."""
        lane = self._lanes.get(run.plan.lane, [])
        return None if not lane or lane[0][0] is run else self._title(lane)

    @staticmethod
    def _title(lane: Sequence[tuple[Run, object]]) -> str:
        return lane[0][0].plan.title

    @staticmethod
    async def _take_turn(run: Run, lane: Sequence[tuple[Run, asyncio.Task[Outcome]]]) -> Outcome:
        while lane[0][0] is not run and not run.is_cancelled:
            await run.wait_for(lane[0][1], lane[0][0].plan.title)
            # What ends it is forgotten a turn of the event loop later.
            await asyncio.sleep(0)
        return await run.run()

    def _forget(self, run: Run) -> None:
        lane = self._lanes.get(run.plan.lane, [])
        lane[:] = [other for other in lane if other[0] is not run]
        if not lane:
            self._lanes.pop(run.plan.lane, None)

    @property
    def all(self) -> list[Run]:
        """The runs that are on or wait."""
        return [run for lane in self._lanes.values() for run, _ in lane]

    def results_changed(self) -> None:
        """Tell the runs that some results are new."""
        for run in self.all:
            run.results_changed()

    async def close(self) -> None:
        """End every run, and wait for that."""
        tasks = [task for lane in self._lanes.values() for _, task in lane]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
