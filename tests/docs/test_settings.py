"""Settings have one name and default, in the server, in VS Code and in docs/editors.md."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from memlens_lsp.settings import SECTION, Settings, read_settings

REPOSITORY = Path(__file__).parents[2]
#: What VS Code's client does by itself.
_CLIENTS_OWN = {"memlens.trace.server"}


def of_vscode() -> dict[str, Any]:
    package = REPOSITORY / "vscode-extension" / "package.json"
    manifest = json.loads(package.read_text(encoding="utf-8"))
    properties: dict[str, Any] = manifest["contributes"]["configuration"]["properties"]
    return {name: value for name, value in properties.items() if name not in _CLIENTS_OWN}


def test_vscode_has_the_servers_settings_with_their_defaults() -> None:
    names = {f"{SECTION}.{setting.metadata['name']}" for setting in fields(Settings)}
    assert of_vscode().keys() == names
    defaults = {
        name.removeprefix(f"{SECTION}."): value["default"] for name, value in of_vscode().items()
    }
    assert read_settings(defaults) == (Settings(), [])


def test_the_page_on_editors_lists_all_settings() -> None:
    page = (REPOSITORY / "docs" / "editors.md").read_text(encoding="utf-8")
    table = page.partition("## Settings")[2]
    assert set(re.findall(r"^\| `(memlens\.[\w.]+)` \|", table, re.MULTILINE)) == set(of_vscode())
