"""From "initialize" to "shutdown"."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from lsprotocol import types

from memlens_lsp.server import MemlensServer
from memlens_lsp.settings import SECTION

#: How many files and databases may be read at a time.
_THREADS = 32


def register(server: MemlensServer) -> None:
    """Register the handlers."""
    server.feature(types.INITIALIZED)(_initialized)
    server.feature(types.SHUTDOWN)(_shutdown)


def initialize(ls: MemlensServer, params: types.InitializeParams) -> None:
    """Take what the client says of itself."""
    # Python's own choice is a few threads more than processors. They mostly wait for disks, and one
    # that is slow must not keep the others' readers waiting.
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="memlens")
    asyncio.get_running_loop().set_default_executor(threads)
    options = params.initialization_options
    if isinstance(options, Mapping):
        ls.use_initial_settings(options.get("settings"))
        commands = options.get("commands")
        if isinstance(commands, list | tuple):
            ls.client_commands = frozenset(name for name in commands if isinstance(name, str))
        notifications = options.get("notifications")
        if isinstance(notifications, list | tuple):
            ls.client_notifications = frozenset(
                name for name in notifications if isinstance(name, str)
            )


async def _initialized(ls: MemlensServer, _: types.InitializedParams) -> None:
    if ls.is_watching:
        return  # said a second time
    ls.is_watching = True
    ls.watch()
    ls.spawn(ls.watcher.run())
    ls.spawn(ls.find_projects())
    ls.spawn(_register_with_client(ls))
    await ls.settings_changed(None)


async def _register_with_client(ls: MemlensServer) -> None:
    """Ask to be told of new results and settings, where the client offers it."""
    workspace = ls.client_capabilities.workspace
    if workspace is None:
        return
    registrations = []
    watching = workspace.did_change_watched_files
    if watching and watching.dynamic_registration:
        watchers = [types.FileSystemWatcher(glob_pattern="**/.memlens/results.db*")]
        registrations.append(
            types.Registration(
                id="memlens-results",
                method=types.WORKSPACE_DID_CHANGE_WATCHED_FILES,
                register_options=types.DidChangeWatchedFilesRegistrationOptions(watchers),
            )
        )
    configuration = workspace.did_change_configuration
    if configuration and configuration.dynamic_registration:
        registrations.append(
            types.Registration(
                id="memlens-settings",
                method=types.WORKSPACE_DID_CHANGE_CONFIGURATION,
                register_options=types.DidChangeConfigurationRegistrationOptions(section=SECTION),
            )
        )
    if registrations:
        await ls.client_register_capability_async(types.RegistrationParams(registrations))


async def _shutdown(ls: MemlensServer, _: None) -> None:
    ls.shutdown_requested = True
    await ls.runs.close()
    ls.protocol.end_requests()
