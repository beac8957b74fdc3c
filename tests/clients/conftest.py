"""Fixtures: the example project, and the configuration that docs/editors.md gives."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "editors.md"
#: Seconds that an editor's whole session may take.
_PATIENCE = 180.0

RunEditor = Callable[..., None]


def is_missing(editor: str) -> bool:
    """Return whether to do without an *editor* that is not installed: not in CI."""
    return shutil.which(editor) is None and not os.environ.get("CI")


def documented(name: str) -> str:
    """Return the code of docs/editors.md that is marked as tested by *name*."""
    match = re.search(
        rf"<!-- tested: {re.escape(name)} -->\n```\w+\n(.*?)^```$",
        PAGE.read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    assert match, f"docs/editors.md has no code that is tested as {name}"
    return match[1]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the example project, never run."""
    ignored = shutil.ignore_patterns(".memlens", ".pytest_cache", ".venv", "__pycache__")
    return shutil.copytree(ROOT / "examples", tmp_path / "my shop", ignore=ignored)


@pytest.fixture
def run_editor(tmp_path: Path, project: Path) -> RunEditor:
    """Run an editor in the project, with nothing of the user's and our server on PATH."""

    def run(command: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        scripts = Path(sys.executable).parent
        env = {
            **os.environ,
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "TMPDIR": str(tmp_path),
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            **(variables or {}),
        }
        # Its output to a file: what it says is wanted also when it does not end.
        output = tmp_path / "output.txt"
        with output.open("wb") as file:
            try:
                code = subprocess.run(
                    command,
                    cwd=project,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    timeout=_PATIENCE,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                code = None
        assert code == 0, output.read_text(encoding="utf-8", errors="replace")

    return run
