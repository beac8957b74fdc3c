"""A session in a real Neovim, with the configuration that docs/editors.md gives."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .conftest import RunEditor, documented, is_missing

SESSION = Path(__file__).with_name("session.lua")

pytestmark = pytest.mark.skipif(is_missing("nvim"), reason="Neovim is not installed")


def version() -> tuple[int, int]:
    said = subprocess.run(["nvim", "--version"], capture_output=True, text=True, check=True)
    major, minor = re.findall(r"v(\d+)\.(\d+)", said.stdout)[0]
    return int(major), int(minor)


@pytest.fixture
def seen(tmp_path: Path, run_editor: RunEditor) -> dict[str, Any]:
    configuration = "neovim-0.8" if version() >= (0, 8) else "neovim-0.7"
    init = tmp_path / "init.lua"
    init.write_text(documented("neovim") + documented(configuration), encoding="utf-8")
    output = tmp_path / "seen.json"
    run_editor(
        ["nvim", "--headless", "-u", str(init), "-c", f"luafile {SESSION}"],
        {"MEMLENS_TEST_OUTPUT": str(output)},
    )
    seen: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    assert seen.get("failure") in (None, ""), seen["failure"]
    return seen


def test_a_lens_runs_its_test_and_what_is_wrong_is_marked(
    seen: dict[str, Any], project: Path
) -> None:
    assert not seen["modified"]
    saved = (project / "tests" / "test_catalog.py").read_text(encoding="utf-8")
    assert saved.endswith("# typed and not saved\n")
    assert not any("peak" in lens["title"] for lens in seen["lenses_before"])
    over = [mark for mark in seen["diagnostics"] if mark["code"] == "memory-limit-exceeded"]
    assert [mark["line"] for mark in over] == [seen["line"]]
    assert over[0]["severity"] == 1
    assert over[0]["source"] == "memlens"
    assert "24.0 MiB" in over[0]["message"]
    took = [lens["title"] for lens in seen["lenses"] if lens["line"] == seen["line"]]
    assert any(re.search(r"peak [\d.]+ MiB of 24\.0 MiB", title) for title in took), took
    if version() >= (0, 10):
        assert any("MiB" in hint for hint in seen["hints"])
