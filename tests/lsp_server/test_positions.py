"""Lines and characters of texts that change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types
from pygls.workspace import PositionCodec

from memlens_lsp.positions import (
    LineMap,
    apply_change,
    line_at,
    range_on_line,
    split_lines,
)

#: Characters of every width, all line ends, and what only `str.splitlines` takes for one.
TEXT = st.text(alphabet="ab é\u20ac😀\u0301\t\n\r\x0c\x85\u2028", max_size=40)
ENCODINGS = st.sampled_from(types.PositionEncodingKind)
BYTES = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}


def units(text: str, encoding: types.PositionEncodingKind) -> int:
    codec, width = BYTES[encoding.value]
    return len(text.encode(codec)) // width


def test_only_the_line_ends_of_the_lsp_end_lines() -> None:
    assert split_lines("a\nb\r\nc\rd\x0ce\u2028f\x85g\vh") == [
        "a",
        "b",
        "c",
        "d\x0ce\u2028f\x85g\vh",
    ]
    assert split_lines("") == [""]
    assert split_lines("a\n") == ["a", ""]


@pytest.mark.parametrize("line", [-1, 0, 3])
def test_there_is_no_line_outside_the_text(line: int) -> None:
    assert line_at("a\nb", line) is None


@given(TEXT, ENCODINGS, st.data())
def test_a_range_counts_the_units_of_the_encoding(
    text: str, encoding: types.PositionEncodingKind, data: st.DataObject
) -> None:
    lines = split_lines(text)
    line = data.draw(st.integers(1, len(lines)))
    content = lines[line - 1]
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(content))] * 2)))
    found = range_on_line(text, line, (start, end), PositionCodec(encoding))
    assert found.start == types.Position(line - 1, units(content[:start], encoding))
    assert found.end == types.Position(line - 1, units(content[:end], encoding))


@given(TEXT, TEXT, ENCODINGS, st.data())
def test_an_edit_replaces_what_is_between_its_positions(
    text: str, new: str, encoding: types.PositionEncodingKind, data: st.DataObject
) -> None:
    places = []
    for _ in range(2):
        lines = split_lines(text)
        line = data.draw(st.integers(0, len(lines) - 1))
        character = data.draw(st.integers(0, len(lines[line])))
        # A naive oracle: walk through the text, line end by line end.
        rest, offset = text, 0
        for before in lines[:line]:
            end = 2 if rest[len(before) :].startswith("\r\n") else 1
            offset += len(before) + end
            rest = rest[len(before) + end :]
        position = types.Position(line, units(lines[line][:character], encoding))
        places.append((offset + character, position))
    (start, first), (end, last) = sorted(places, key=lambda place: place[0])
    change = types.TextDocumentContentChangePartial(types.Range(first, last), new)
    assert apply_change(text, change, PositionCodec(encoding)) == text[:start] + new + text[end:]


def test_positions_past_the_end_mean_the_end() -> None:
    codec = PositionCodec(types.PositionEncodingKind.Utf16)

    def insert(line: int, character: int) -> str:
        place = types.Position(line, character)
        change = types.TextDocumentContentChangePartial(types.Range(place, place), "X")
        return apply_change("ab\nc😀", change, codec)

    assert insert(0, 99) == "abX\nc😀"
    assert insert(1, 99) == "ab\nc😀X"
    assert insert(99, 0) == "ab\nc😀X"


def test_a_change_without_a_range_is_the_whole_text() -> None:
    change = types.TextDocumentContentChangeWholeDocument("new")
    assert apply_change("old", change, PositionCodec()) == "new"


def test_lines_are_followed_through_insertions_and_deletions() -> None:
    measured = "one\ntwo\nthree\nfour\nfive\n"
    current = "zero\none\nthree\n\nfour!\nfive\n"
    mapped = LineMap(measured, current)
    assert [mapped.line(line) for line in range(1, 6)] == [2, None, 3, None, 6]


def test_an_edited_line_is_nearest_to_what_was_before_it() -> None:
    mapped = LineMap("one\ntwo\nthree", "zero\none\n2\nthree")
    assert mapped.nearest(2) == 2
    assert LineMap("one", "two").nearest(1) == 1


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_another_line_end_or_a_byte_order_mark_moves_nothing(end: str) -> None:
    mapped = LineMap("one\ntwo\n", f"\ufeffone{end}two{end}")
    assert [mapped.line(1), mapped.line(2)] == [1, 2]


LINES = st.lists(st.sampled_from(["", "a", "b", "    c", "d"]), max_size=12)


@given(LINES, LINES)
def test_a_line_leads_to_the_same_line_and_the_order_stays(
    measured: list[str], current: list[str]
) -> None:
    mapped = LineMap("\n".join(measured), "\n".join(current))
    found = []
    for line, content in enumerate(measured, start=1):
        now = mapped.line(line)
        if now is not None:
            assert line_at("\n".join(current), now) == content
            found.append(now)
        assert 1 <= mapped.nearest(line) <= max(len(current), 1)
    assert found == sorted(set(found))


@given(st.data())
def test_unique_lines_are_followed_through_any_edit_that_keeps_their_order(
    data: st.DataObject,
) -> None:
    """The naive oracle: in texts without repeated lines, a line is where its text is."""
    measured = [f"line {number}" for number in range(data.draw(st.integers(1, 12)))]
    kept = data.draw(st.lists(st.sampled_from(measured), unique=True))
    current: list[str] = []
    for number, line in enumerate(sorted(kept, key=measured.index)):
        current += [f"new {number}.{new}" for new in range(data.draw(st.integers(0, 2)))]
        current.append(line)
    mapped = LineMap("\n".join(measured), "\n".join(current))
    for number, line in enumerate(measured, start=1):
        assert mapped.line(number) == (current.index(line) + 1 if line in kept else None)


def test_an_edit_in_a_long_text_of_equal_lines_is_mapped() -> None:
    body = ["    return None", ""] * 5_000
    measured = "\n".join(["first", *body, "last"])
    current = "\n".join(["first", "inserted", *body, "last"])
    assert LineMap(measured, current).line(10_002) == 10_003
