"""The client is asked to ask again."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcMethodNotFound

from memlens_lsp import refreshing
from memlens_lsp.refreshing import Refresher, refreshes

from .helpers import full_capabilities

pytestmark = pytest.mark.asyncio


class Client:
    """Counts how often it is asked, and answers when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.was_asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def ask(self) -> None:
        self.asked += 1
        self.was_asked.set()
        await self.may_answer.wait()


class Tasks:
    """Runs coroutines and waits for them."""

    def __init__(self) -> None:
        self.running: list[asyncio.Task[None]] = []

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.running.append(asyncio.ensure_future(work))

    async def done(self) -> None:
        await asyncio.gather(*self.running)


async def test_what_changes_while_the_client_is_asked_is_asked_once_more() -> None:
    client, tasks = Client(), Tasks()
    refresher = Refresher(tasks.spawn)
    refresher.refresh("code_lens", client.ask)
    await client.was_asked.wait()
    for _ in range(5):
        refresher.refresh("code_lens", client.ask)
    assert client.asked == 1
    client.may_answer.set()
    await tasks.done()
    assert client.asked == 2


async def test_one_kind_does_not_wait_for_another() -> None:
    slow, quick, tasks = Client(), Client(), Tasks()
    refresher = Refresher(tasks.spawn)
    refresher.refresh("code_lens", slow.ask)
    refresher.refresh("inlay_hint", quick.ask)
    await asyncio.gather(slow.was_asked.wait(), quick.was_asked.wait())
    slow.may_answer.set()
    quick.may_answer.set()
    await tasks.done()
    assert (slow.asked, quick.asked) == (1, 1)


async def test_a_client_that_refuses_is_asked_again_next_time() -> None:
    asked = 0

    async def refuse() -> None:
        nonlocal asked
        asked += 1
        raise JsonRpcMethodNotFound

    tasks = Tasks()
    refresher = Refresher(tasks.spawn)
    for times in (1, 2):
        refresher.refresh("code_lens", refuse)
        await tasks.done()
        assert asked == times


async def test_a_client_that_never_answers_is_asked_again_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refreshing, "_PATIENCE", 0.01)
    client, tasks = Client(), Tasks()
    refresher = Refresher(tasks.spawn)
    for times in (1, 2):
        refresher.refresh("code_lens", client.ask)
        await tasks.done()
        assert client.asked == times


async def test_only_what_the_client_refreshes_is_asked_for() -> None:
    assert refreshes(full_capabilities(), "inlay_hint")
    assert not refreshes(types.ClientCapabilities(), "inlay_hint")
    without = types.ClientCapabilities(
        workspace=types.WorkspaceClientCapabilities(
            inlay_hint=types.InlayHintWorkspaceClientCapabilities(refresh_support=False)
        )
    )
    assert not refreshes(without, "inlay_hint")
    assert not refreshes(without, "code_lens")
