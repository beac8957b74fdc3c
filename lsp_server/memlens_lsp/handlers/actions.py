"""`textDocument/codeAction`, `codeAction/resolve` and the command that sets a limit."""

from __future__ import annotations

from typing import Any

from lsprotocol import types

from memlens_lsp.acting import KINDS, SET_LIMIT_COMMAND, Actions, action_client
from memlens_lsp.server import MemlensServer


def register(server: MemlensServer, client: types.ClientCapabilities) -> None:
    """Register the handlers."""
    able = action_client(client, server.workspace.position_codec)
    actions = Actions(server, able)

    # pygls keeps notes on the functions that it calls: methods have no place for them.
    async def offered(params: types.CodeActionParams) -> list[types.CodeAction | types.Command]:
        return await actions.offered(params)

    async def resolved(action: types.CodeAction) -> types.CodeAction:
        return await actions.resolved(action)

    # pygls looks at the first parameter, and in Python 3.10 cannot bear that it is Any.
    async def set_limit(ls: MemlensServer, *arguments: Any) -> None:
        await _set_limit(ls, actions, arguments)

    if client.text_document and client.text_document.code_action:
        options = types.CodeActionOptions(
            code_action_kinds=list(KINDS), resolve_provider=able.resolves or None
        )
        server.feature(types.TEXT_DOCUMENT_CODE_ACTION, options)(offered)
        if able.resolves:
            server.feature(types.CODE_ACTION_RESOLVE)(resolved)
    if able.applies and SET_LIMIT_COMMAND not in server.client_commands:
        server.command(SET_LIMIT_COMMAND)(set_limit)


async def _set_limit(ls: MemlensServer, actions: Actions, arguments: tuple[Any, ...]) -> None:
    chosen = await actions.limit_from_peak(arguments)
    if isinstance(chosen, str):
        ls.show(chosen, types.MessageType.Info)
        return
    edit = await actions.edit(chosen)
    answer = await ls.workspace_apply_edit_async(
        types.ApplyWorkspaceEditParams(edit=edit, label=chosen.title)
    )
    if not answer.applied:
        reason = answer.failure_reason or "the editor did not change the file"
        ls.show(f"{chosen.title}: {reason}", types.MessageType.Warning)
