"""Keeps a results file of the schema version that is now, for the tests of later versions.

    python tests/store/keep_file.py

Runs pytest on a small project and writes what it measured to `files/schema-N.sql`, as SQL text. Do
that before a release whose schema version has no file yet; a file that is there stays. As long as
the version is not released and its schema changes, delete the file first.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from memlens.store import database_path
from memlens.store.database import APPLICATION_ID, SCHEMA_VERSION

FILES = Path(__file__).with_name("files")

_PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--memray")
_PROJECT = {
    "pytest.ini": "[pytest]\nmemray_history = 20\n",
    "shop.py": """\
KEPT = []

def load(size):
    return bytearray(size)

def remember(size):
    KEPT.append(bytearray(size))
""",
    "test_shop.py": """\
import pytest
from shop import load, remember

@pytest.fixture
def stock():
    return load(3_000_000)

@pytest.mark.limit_memory("1 MB")
def test_within(stock):
    load(100_000)

@pytest.mark.limit_memory("1 MB")
def test_exceeds():
    load(2_000_000)

@pytest.mark.limit_leaks("100 KB")
def test_leaks():
    remember(300_000)

@pytest.mark.parametrize("size", [1, 2], ids=["one", "tw\\u00f6"])
def test_plain(size):
    assert load(size * 1000) is not None

def test_skips():
    pytest.skip("not today")
""",
}


def main() -> int:
    """Write the file, unless it is there."""
    target = FILES / f"schema-{SCHEMA_VERSION}.sql"
    if target.exists():
        print(f"{target} is kept already")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder).resolve() / "shop"
        project.mkdir()
        for name, text in _PROJECT.items():
            (project / name).write_text(text, encoding="utf-8")
        for more in ([], ["-k", "plain or within"]):
            subprocess.run(
                [sys.executable, *_PYTEST, *more],
                cwd=project,
                check=False,  # two tests are over their limits
            )
        text = dump(database_path(project))
        # Of whose machine this was nobody needs to know.
        for here, there in (
            (str(project), "/home/me/shop"),
            (sys.prefix, "/home/me/venv"),
            (sys.base_prefix, "/usr"),
        ):
            text = text.replace(here, there)
    target.write_text(text, encoding="utf-8")
    print(f"{target}: {target.stat().st_size:,} bytes")
    return 0


def dump(path: Path) -> str:
    """Return the whole database *path* as SQL, with the numbers by which it is known."""
    with closing(sqlite3.connect(path)) as connection:
        lines = "\n".join(connection.iterdump())
    return (
        f"PRAGMA application_id = {APPLICATION_ID};\n"
        f"PRAGMA user_version = {SCHEMA_VERSION};\n{lines}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
