"""Lines and characters of texts that change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsprotocol import types
from pygls.workspace import PositionCodec

from memlens_lsp.positions import (
    LineMap,
    apply_change,
    line_at,
    line_map,
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


@settings(deadline=None)
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


@settings(deadline=None)
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
    assert [mapped.nearest(line) for line in (-1, 0, 1, 3, 99)] == [2, 2, 2, 4, 4]


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_another_line_end_or_a_byte_order_mark_moves_nothing(end: str) -> None:
    mapped = LineMap("one\ntwo\n", f"\ufeffone{end}two{end}")
    assert [mapped.line(1), mapped.line(2)] == [1, 2]


LINES = st.lists(st.sampled_from(["", "a", "b", "    c", "d = load()", "d  = load()"]), max_size=12)


@settings(deadline=None)
@given(LINES, LINES)
def test_a_line_leads_to_a_line_that_says_the_same_and_no_two_lead_to_one(
    measured: list[str], current: list[str]
) -> None:
    mapped = LineMap("\n".join(measured), "\n".join(current))
    found = []
    for line, content in enumerate(measured, start=1):
        now = mapped.line(line)
        if now is not None:
            there = line_at("\n".join(current), now)
            assert there is not None
            assert there.replace(" ", "") == content.replace(" ", "")
            found.append(now)
        assert 1 <= mapped.nearest(line) <= max(len(current), 1)
    assert len(found) == len(set(found))
    assert mapped.line(0) is None
    assert mapped.line(len(measured) + 2) is None


@settings(deadline=None)
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


@dataclass(frozen=True)
class Line:
    """A line of a file that is edited at random: what it says, and which line it is."""

    identity: int
    text: str

    @property
    def bare(self) -> str:
        return "".join(self.text.split())


#: What any function may say, and a blank line.
COMMON = ("", "    return None", "    else:", "        pass")


class File:
    """The naive oracle: it edits lines that carry an invisible identity."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.made = 0
        self.lines = [self.new_line() for _ in range(data.draw(st.integers(4, 25)))]

    def new_line(self) -> Line:
        self.made += 1
        common = self.data.draw(st.sampled_from((None, None, None, *COMMON)))
        text = f"    total[{self.made}] = load('😀')" if common is None else common
        return Line(self.made, text)

    def edit(self) -> None:
        draw = self.data.draw
        start = draw(st.integers(0, len(self.lines)))
        end = draw(st.integers(start, min(start + 6, len(self.lines))))
        block = self.lines[start:end]
        edit = draw(st.sampled_from(["insert", "delete", "move", "indent", "space", "tabs"]))
        if edit == "insert":
            self.lines[start:start] = [self.new_line() for _ in range(draw(st.integers(1, 6)))]
        elif edit == "delete":
            del self.lines[start : start + 2]
        elif edit == "move":
            del self.lines[start:end]
            place = draw(st.integers(0, len(self.lines)))
            self.lines[place:place] = block
        else:
            change: Callable[[str], str] = {
                "indent": lambda text: f"    {text}" if text else text,
                "space": lambda text: f"{text}  ",
                "tabs": lambda text: text.replace("    ", "\t"),
            }[edit]
            self.lines[start:end] = [replace(line, text=change(line.text)) for line in block]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_marks_follow_their_lines_through_random_edits(data: st.DataObject) -> None:
    file = File(data)
    measured = file.lines[:]
    for _ in range(data.draw(st.integers(1, 5))):
        file.edit()
    current = file.lines or [Line(0, "")]
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    mark = data.draw(st.sampled_from(["", "\ufeff"]))
    mapped = LineMap(
        "\n".join(line.text for line in measured), mark + end.join(line.text for line in current)
    )
    places = {line.identity: number for number, line in enumerate(current, start=1)}
    left = {line.bare for line in current}
    found = [mapped.line(number) for number in range(1, len(measured) + 1)]
    assert len({place for place in found if place}) == sum(place is not None for place in found)
    survived = sum(len(line.bare) > 10 and line.identity in places for line in measured)
    for index, line in enumerate(measured):
        now = mapped.line(index + 1)
        if now is not None:
            assert current[now - 1].bare == line.bare
        elif line.bare not in left:
            assert line.identity not in places
        if survived * 3 < len(current) or line.identity not in places:
            continue
        if line.bare.startswith("total"):
            assert now == places[line.identity]
            continue
        # A common line is told by its neighbours.
        around = [other.identity for other in measured[max(index - 1, 0) : index + 2]]
        start = places[line.identity] - 2
        is_between = len(around) == 3 and start >= 0
        if is_between and around == [other.identity for other in current[start : start + 3]]:
            neighbours = (measured[index - 1], measured[index + 1])
            if all(other.bare.startswith("total") for other in neighbours):
                assert now == places[line.identity]


MODULE = """\
import pytest
from shop import load


def helper(count):
    data = load(count)
    return data


def test_one():
    data = load(1 << 20)
    if data:
        return None
    return None


def test_two():
    other = load(2 << 20)
    return None
"""


def where(measured: str, current: str, wanted: str) -> str | None:
    """What the line of *measured* that has *wanted* says in *current*, None if it is gone."""
    lines = split_lines(measured)
    (line,) = [number for number, content in enumerate(lines, start=1) if wanted in content]
    now = LineMap(measured, current).line(line)
    return None if now is None else line_at(current, now)


def test_a_moved_function_takes_its_lines_along_even_the_common_ones() -> None:
    head, one, two = MODULE.partition("def test_one")[0], *MODULE.split("\n\n\n")[2:]
    current = f"{head}{two}\n\n{one}\n"
    mapped = LineMap(MODULE, current)
    lines, now = split_lines(MODULE), split_lines(current)
    for name in ("def test_one", "def test_two"):
        (start,) = [number for number, line in enumerate(lines, 1) if line.startswith(name)]
        (place,) = [number for number, line in enumerate(now, 1) if line.startswith(name)]
        length = 5 if "one" in name else 3
        assert [mapped.line(start + step) for step in range(length)] == [
            place + step for step in range(length)
        ]


def test_a_moved_function_may_be_edited_too() -> None:
    head, one, two = MODULE.partition("def test_one")[0], *MODULE.split("\n\n\n")[2:]
    current = f"{head}{two}\n\n{one}\n".replace("    if data:", "    if not data:")
    mapped = LineMap(MODULE, current)
    lines, now = split_lines(MODULE), split_lines(current)
    assert mapped.line(lines.index("def test_one():") + 1) == now.index("def test_one():") + 1
    assert where(MODULE, current, "1 << 20") == "    data = load(1 << 20)"
    assert where(MODULE, current, "    if data:") is None


def mapped_lines(measured: list[str], current: list[str]) -> list[int | None]:
    """Where each line of *measured* is in *current*, both counted from 0."""
    mapped = LineMap("\n".join(measured), "\n".join(current))
    found = [mapped.line(number) for number in range(1, len(measured) + 1)]
    return [None if place is None else place - 1 for place in found]


def statements(count: int, name: str = "total") -> list[str]:
    """Lines that are unlike any others."""
    return [f"{name}[{number}] = load({number})" for number in range(count)]


RETURN = "    return None"


def test_a_common_line_goes_with_what_it_moved_with_not_with_what_is_where_it_was() -> None:
    one, two, three, four, five, six = statements(6)
    measured = [one, RETURN, two, three, four, five, RETURN, six]
    current = [five, RETURN, six, two, three, four]
    assert mapped_lines(measured, current) == [None, None, 3, 4, 5, 0, 1, 2]


def test_a_moved_function_takes_its_decorators_along() -> None:
    lines = statements(8)
    decorated = ["@slow", "def test_a():", "    data = load(1)"]
    other = ["@slow", "def test_b():", "    data = load(2)"]
    measured = [*decorated, *lines, *other]
    current = [*other, *decorated, *lines]
    assert mapped_lines(measured, current) == [*range(3, 14), 0, 1, 2]


def test_common_lines_between_edits_of_a_moved_function_are_followed() -> None:
    lines = statements(8)
    function = ["def test_a():", "    one()", RETURN, "    two()", "    data = load(1)"]
    edited = ["def test_a():", "    uno()", RETURN, "    dos()", "    data = load(1)"]
    assert mapped_lines([*function, *lines, RETURN], [*lines, RETURN, *edited]) == [
        *(9, None, 11, None, 13),
        *range(9),
    ]


def test_a_line_that_there_are_others_of_far_away_is_not_taken_for_a_moved_one() -> None:
    far, near, after = statements(80, "far"), statements(8, "near"), statements(80, "after")
    measured = ["data = load()", *far, "data = load()", *near, *after]
    current = ["data = load()", *far, *near, "data = load()", *after]
    found = mapped_lines(measured, current)
    assert found[81] is None
    assert found[:81] == [*range(81)]
    assert found[82:] == [*range(81, 89), *range(90, 170)]


def test_where_no_line_is_unique_its_neighbours_tell() -> None:
    chosen = Random(2)
    measured = [f"    step_{chosen.randrange(12)}()" for _ in range(400)]
    current = list(measured)
    for place in range(360, 0, -40):
        current.insert(place, "    inserted()")
    found = mapped_lines(measured, current)
    right = [place for place, line in enumerate(found) if line == place + place // 40]
    assert len(right) > 380


def test_a_function_that_moved_into_a_class_is_followed() -> None:
    head, one, two = MODULE.partition("def test_one")[0], *MODULE.split("\n\n\n")[2:]
    inside = "\n".join(f"    {line}" for line in two.replace("()", "(self)", 1).splitlines())
    current = f"class TestShop:\n{inside}\n\n\n{head}{one}\n"
    assert where(MODULE, current, "2 << 20") == "        other = load(2 << 20)"
    assert where(MODULE, current, "1 << 20") == "    data = load(1 << 20)"


@pytest.mark.parametrize("change", ["    {}", "\t{}", "{}  ", "{}\r"])
def test_a_reformatted_file_keeps_all_its_marks(change: str) -> None:
    lines = split_lines(MODULE)
    current = "\n".join(change.format(line) if line else line for line in lines)
    mapped = LineMap(MODULE, current)
    assert [mapped.line(line) for line in range(1, len(lines) + 1)] == [*range(1, len(lines) + 1)]


def test_lines_that_a_formatter_split_joined_or_quoted_anew_are_followed() -> None:
    assert LineMap("x = load(a, b,)", "x = load(a,b)").line(1) == 1
    measured = (
        "first = 1\ndata = load('a',  count)\nsecond = 2\n"
        "more = load(\n    name,\n    count,\n)\nlast = 3\n"
    )
    current = (
        'first = 1\ndata = load(\n    "a",\n    count,\n)\nsecond = 2\n'
        "more = load(name, count)\nlast = 3\n"
    )
    mapped = LineMap(measured, current)
    assert [mapped.line(line) for line in range(1, 9)] == [1, 2, 6, 7, 7, 7, 7, 8]


def test_a_copied_function_leaves_the_mark_at_the_original() -> None:
    copied = MODULE.split("\n\n\n")[2]
    for current in (f"{MODULE}\n\n{copied}\n", f"{copied}\n\n\n{MODULE}"):
        mapped = LineMap(MODULE, current)
        shift = split_lines(current).index("import pytest")
        assert mapped.line(11) == 11 + shift


def test_what_moved_where_is_not_guessed() -> None:
    measured = "one = load(1)\nx = load()\ntwo = load(2)\nx = load()\nthree = load(3)\n"
    current = "one = load(1)\ntwo = load(2)\nthree = load(3)\nx = load()\n"
    mapped = LineMap(measured, current)
    assert [mapped.line(line) for line in range(1, 6)] == [1, None, 2, None, 3]


def test_a_replaced_file_keeps_no_marks() -> None:
    """Two modules of tests that share what such modules share."""
    names = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")
    one, other = (
        "import pytest\n\n\n"
        + "\n\n\n".join(
            f"def test_{name}({kind}):\n    {kind}_{name} = {kind}.make()\n"
            f"    if {kind}.failed_{name}:\n        return None\n    assert {kind}_{name}"
            for name in names
        )
        + "\n\n\ndef helper():\n    return None\n"
        for kind in ("cart", "order")
    )
    mapped = LineMap(one, other)
    code = [number for number, line in enumerate(split_lines(one), 1) if line and number > 1]
    assert [mapped.line(line) for line in code[:-2]] == [None] * (len(code) - 2)


def test_a_text_half_typed_keeps_the_marks_around_it() -> None:
    current = MODULE.replace("    if data:\n", "    if (data[\n    x = '\n")
    assert where(MODULE, current, "1 << 20") == "    data = load(1 << 20)"
    assert where(MODULE, current, "2 << 20") == "    other = load(2 << 20)"
    assert where(MODULE, current, "    if data:") is None


def test_an_edit_in_a_long_text_of_equal_lines_is_mapped() -> None:
    body = ["    return None", ""] * 5_000
    measured = "\n".join(["first", *body, "last"])
    current = "\n".join(["first", "inserted", *body, "last"])
    assert LineMap(measured, current).line(10_002) == 10_003


def long_text() -> list[str]:
    return [
        line
        for number in range(2_500)
        for line in (
            f"def test_{number}(shop):",
            f"    data = shop.load({number})",
            "    if data:",
            "        return None",
            "    else:",
            f"        assert data == {number * 7}",
            "",
            "",
        )
    ]


def shuffled(lines: list[str], size: int) -> list[str]:
    blocks = [lines[start : start + size] for start in range(0, len(lines), size)]
    Random(1).shuffle(blocks)
    return [line for block in blocks for line in block]


@pytest.mark.parametrize(
    "edit",
    [
        lambda lines: [f"other = {number}" for number in range(len(lines))],
        lambda lines: ["        return None"] * len(lines),
        lambda lines: [f"    {line}" for line in lines],
        lambda lines: shuffled(lines, 8),
        lambda lines: shuffled(lines, 1),
        lambda lines: lines[::-1],
        lambda lines: [line for line in lines if len(line) % 2],
        lambda lines: [
            f"{line}{number}" if number % 3 else line for number, line in enumerate(lines)
        ],
        lambda lines: [line[:9] for line in lines],
    ],
    ids=[
        "replaced",
        "one line again and again",
        "indented",
        "tests shuffled",
        "lines shuffled",
        "reversed",
        "thinned out",
        "two of three lines edited",
        "few different lines left",
    ],
)
def test_heavy_edits_of_20000_lines_are_mapped_in_time(
    edit: Callable[[list[str]], list[str]],
) -> None:
    lines = long_text()
    measured, current = "\n".join(lines), "\n".join(edit(lines))
    start = process_time()
    LineMap(measured, current)
    # A fifth of a second where nothing else runs. `difflib` takes minutes for some of these.
    assert process_time() - start < 3


def test_a_text_of_which_each_line_is_unique_only_beside_the_next_is_mapped_in_time() -> None:
    measured: list[str] = []
    current: list[str] = []
    for number in range(10_000):
        for line in (f"total = load({number + 1})", f"total = load({number})"):
            measured.append(line)
            current += [line, f"new[{len(current)}] = 1"]
    start = process_time()
    LineMap("\n".join(measured), "\n".join(current))
    assert process_time() - start < 6


def test_a_long_text_of_which_the_first_and_the_last_line_change_keeps_all_others() -> None:
    lines = long_text()
    mapped = LineMap("\n".join(lines), "\n".join(["new", *lines[1:-3], "newer"]))
    assert [mapped.line(line) for line in range(2, len(lines) - 2)] == [*range(2, len(lines) - 2)]


def test_the_last_map_of_a_measured_text_is_kept_and_no_older_ones() -> None:
    measured = "one\ntwo\n"
    first = line_map(measured, "zero\none\ntwo\n")
    assert line_map(measured, "zero\none\ntwo\n") is first
    assert line_map(measured, "one\ntwo\nthree\n").line(1) == 1
    assert line_map(measured, "zero\none\ntwo\n") is not first


def test_maps_of_many_or_of_long_texts_are_not_all_kept() -> None:
    first = line_map("first text\n", "\nfirst text\n")
    kept = line_map("second text\n", "\nsecond text\n")
    assert line_map("first text\n", "\nfirst text\n") is first
    for number in range(63):
        line_map(f"other text {number}\n", "")
    assert line_map("first text\n", "\nfirst text\n") is first
    assert line_map("second text\n", "\nsecond text\n") is not kept
    long = "x" * 9_000_000
    assert line_map(long, "") is line_map(long, "")
    assert line_map("first text\n", "\nfirst text\n") is not first
