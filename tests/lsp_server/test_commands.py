"""Commands reach their handlers, whatever Python the server runs on."""

from __future__ import annotations

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from .conftest import OpenEditor


@pytest.mark.asyncio
async def test_each_command_says_itself_what_is_wrong_with_its_arguments(
    open_editor: OpenEditor,
) -> None:
    editor = await open_editor()
    provider = editor.server_capabilities.execute_command_provider
    assert provider is not None
    assert set(provider.commands) == {
        "memlens.run",
        "memlens.cancel",
        "memlens.setLimitFromPeak",
        "memlens.showFlameGraph",
        "memlens.showHistory",
        "memlens.clearResults",
    }
    for command in provider.commands:
        params = types.ExecuteCommandParams(command, [1, 2, 3])
        with pytest.raises(JsonRpcInvalidParams, match=command):
            await editor.workspace_execute_command_async(params)
