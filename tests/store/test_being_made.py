"""Looking at a database while another process makes it."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from memlens.store.database import SCHEMA_VERSION, open_for_writing, version_of


def test_a_database_that_is_just_made_is_never_taken_for_a_foreign_one(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    makers: list[threading.Thread] = []

    class Looking(sqlite3.Connection):
        def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
            cursor = super().execute(sql, *values)  # type: ignore[arg-type]
            if not makers and sql.startswith(("PRAGMA", "SELECT")):
                makers.append(threading.Thread(target=lambda: open_for_writing(path).close()))
                makers[0].start()
                # It may be held up by our look, so not for ever.
                makers[0].join(0.5)
            return cursor

    with closing(sqlite3.connect(path, factory=Looking, isolation_level=None)) as connection:
        assert version_of(connection, path) in (None, SCHEMA_VERSION)
    (maker,) = makers
    maker.join()
    with closing(sqlite3.connect(path, isolation_level=None)) as made:
        assert version_of(made, path) == SCHEMA_VERSION
