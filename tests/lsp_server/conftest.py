"""Fixtures: a project and editors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from lsprotocol import types

from .helpers import SERVER, Editor, Project, full_capabilities, initialize_params

OpenEditor = Callable[..., Awaitable[Editor]]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "my project"
    root.mkdir()
    return Project(root)


@pytest.fixture
def by_command() -> None:
    """Have editors start their servers by command, for tests of what becomes of processes."""


@pytest_asyncio.fixture
async def open_editor(
    request: pytest.FixtureRequest, project: Project
) -> AsyncIterator[OpenEditor]:
    """Start editors on the project; at the end the servers must leave in order and in silence.

    A server is a copy of one that has everything imported unless a command is to start it.
    """
    usual = SERVER if "by_command" in request.fixturenames else None
    editors: list[Editor] = []

    async def start(
        *,
        folder: Path | None = project.root,
        capabilities: types.ClientCapabilities | None = None,
        options: Mapping[str, Any] | None = None,
        configuration: Mapping[str, Any] | None = None,
        process_id: int | None = None,
        command: Sequence[str] | None = usual,
    ) -> Editor:
        editor = Editor()
        await (editor.start_io(*command) if command else editor.start_copy())
        editors.append(editor)
        editor.set_configuration({"memlens": configuration})
        initialized = await editor.initialize_session(
            initialize_params(folder, capabilities or full_capabilities(), options, process_id)
        )
        editor.server_capabilities = initialized.capabilities
        return editor

    yield start
    for editor in editors:
        if editor.process.returncode is None:
            await editor.shutdown_session()
            assert editor.process.returncode == 0
        await editor.stop()
        assert editor.gives_reasons or editor.stderr == ""


@pytest_asyncio.fixture
async def editor(open_editor: OpenEditor) -> Editor:
    return await open_editor()
