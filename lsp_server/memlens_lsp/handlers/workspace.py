"""Settings, watched files and folders change."""

from __future__ import annotations

from lsprotocol import types

from memlens_lsp.server import MemlensServer


def register(server: MemlensServer, _: types.ClientCapabilities) -> None:
    """Register the handlers."""
    server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)(_did_change_configuration)
    server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)(_did_change_watched_files)
    server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(_did_change_workspace_folders)


async def _did_change_configuration(
    ls: MemlensServer, params: types.DidChangeConfigurationParams
) -> None:
    await ls.settings_changed(params.settings)


def _did_change_watched_files(ls: MemlensServer, params: types.DidChangeWatchedFilesParams) -> None:
    for change in params.changes:
        ls.results_appeared(change.uri)


async def _did_change_workspace_folders(
    ls: MemlensServer, _: types.DidChangeWorkspaceFoldersParams
) -> None:
    await ls.folders_changed()
