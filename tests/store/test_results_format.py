"""docs/results-format.md is true of the schema."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from memlens.store.database import APPLICATION_ID, SCHEMA_VERSION

from .stored import a_test, measure, rows

PAGE = Path(__file__).parents[2] / "docs" / "results-format.md"


@pytest.fixture
def text() -> str:
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    test = a_test("test_total", "tests/test_cart.py")
    return measure(tmp_path, "run-1", [test._replace(nodeid="tests/test_cart.py::test_total")])


def columns(path: Path) -> dict[str, list[tuple[str, str]]]:
    tables = rows(path, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")
    return {
        table: rows(path, f"SELECT name, lower(type) FROM pragma_table_info('{table}')")
        for table in tables
    }


def described(text: str) -> dict[str, list[tuple[str, str]]]:
    sections = re.split(r"^### ", text.partition("\n## Questions")[0], flags=re.MULTILINE)[1:]
    return {
        section.partition("\n")[0]: re.findall(
            r"^\| `(\w+)` \| (\w+) \|", section, flags=re.MULTILINE
        )
        for section in sections
    }


def test_every_table_and_column_is_described_with_its_type_and_no_other(
    text: str, path: Path
) -> None:
    assert described(text) == columns(path)


def test_every_value_that_a_column_allows_is_named(text: str, path: Path) -> None:
    schema = "\n".join(rows(path, "SELECT sql FROM sqlite_master WHERE type = 'table'"))
    checks = re.findall(r"CHECK \((\w+) IN \(([^)]*)\)\)", schema)
    assert len(checks) == 5
    for column, values in checks:
        lines = [line for line in text.splitlines() if line.startswith(f"| `{column}` |")]
        names = re.findall(r"'(\w+)'", values)
        assert any(all(f"`{name}`" in line for name in names) for line in lines), column


def test_the_numbers_by_which_the_file_is_known_are_there(text: str, path: Path) -> None:
    assert rows(path, "PRAGMA application_id") == [APPLICATION_ID]
    assert rows(path, "PRAGMA user_version") == [SCHEMA_VERSION]
    assert f"`0x{APPLICATION_ID:X}`" in text
    assert f"the schema's version, now\n  {SCHEMA_VERSION}." in text


def test_every_query_on_the_page_finds_something(text: str, path: Path) -> None:
    queries = re.findall(r"```sql\n(.*?)```", text, flags=re.DOTALL)
    assert len(queries) == 4
    queries += re.findall(r'sqlite3 -readonly \S+ "(.*)"', text)
    with closing(sqlite3.connect(path)) as connection:
        for query in queries:
            assert connection.execute(query).fetchall(), query
