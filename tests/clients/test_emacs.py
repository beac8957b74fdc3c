"""A session in a real Emacs with eglot, with the configuration that docs/editors.md gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import RunEditor, documented, is_missing

SESSION = Path(__file__).with_name("session.el")


@pytest.mark.skipif(is_missing("emacs"), reason="Emacs is not installed")
def test_a_test_is_run_and_what_is_wrong_is_marked(tmp_path: Path, run_editor: RunEditor) -> None:
    init = tmp_path / "init.el"
    init.write_text(documented("emacs"), encoding="utf-8")
    output = tmp_path / "seen.json"
    run_editor(
        ["emacs", "--batch", "--load", str(init), "--load", str(SESSION)],
        {"MEMLENS_TEST_OUTPUT": str(output)},
    )
    (mark,) = json.loads(output.read_text(encoding="utf-8"))
    assert mark["marked"] == "test_thumbnails_stay_small"
    assert mark["type"] == "eglot-error"
    assert "24.0 MiB" in mark["message"]
