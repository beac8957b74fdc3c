"""Markers are found in text as it is typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memlens.markers import UNKNOWN
from memlens_lsp.markers_in_source import Marker, find_markers


def only(text: str) -> Marker:
    (marker,) = find_markers(text)
    return marker


def written(text: str, marker: Marker) -> list[str]:
    return [text[slice(*given.span)] for given in marker.arguments]


@pytest.mark.parametrize(
    ("text", "owner", "line"),
    [
        ('@pytest.mark.limit_memory("1 MB")\ndef test_a(): ...\n', "test_a", 2),
        ('@pytest.mark.limit_memory("1 MB")\nasync def test_a(): ...\n', "test_a", 2),
        ('@pytest.mark.limit_memory("1 MB")\n# why\n\n@other\ndef test_a(): ...\n', "test_a", 5),
        ('@pytest.mark.limit_memory("1 MB")\nclass TestA:\n    x = 1\n', "TestA", 2),
        (
            'class TestA:\n    class TestB:\n        @pytest.mark.limit_memory("1 MB")\n'
            "        def test_c(self): ...\n",
            "TestA::TestB::test_c",
            4,
        ),
        (
            "class TestA:\n    def test_a(self): ...\n"
            '@pytest.mark.limit_memory("1 MB")\ndef test_b(): ...\n',
            "test_b",
            4,
        ),
        ('pytestmark = pytest.mark.limit_memory("1 MB")\n', "", 0),
        ('pytestmark: list = [\n    pytest.mark.limit_memory("1 MB"),\n]\n', "", 0),
        (
            'class TestA:\n    pytestmark = [pytest.mark.limit_memory("1 MB")]\n'
            "    def test_a(self): ...\n",
            "TestA",
            1,
        ),
    ],
)
def test_a_marker_is_about_what_it_decorates_or_is_in(text: str, owner: str, line: int) -> None:
    marker = only(text)
    assert marker.owner is not None
    assert (marker.owner.id, marker.owner.line) == (owner, line)
    assert marker.complete


@pytest.mark.parametrize(
    "text",
    [
        'import pytest as pt\n@pt.mark.limit_memory("1 MB")\ndef test_a(): ...\n',
        'from pytest import mark\n@mark.limit_memory("1 MB")\ndef test_a(): ...\n',
        'from pytest import (\n    a,\n    mark as m\n)\n@m.limit_memory("1 MB")\ndef t(): ...',
        '@pytest . mark . limit_memory ("1 MB")\ndef test_a(): ...\n',
        '\ufeff@pytest.mark.limit_memory("1 MB")\ndef test_a(): ...\n',
        '@pytest.mark.limit_memory("1 MB")\r\ndef test_a(): ...\r\n',
        '@pytest.mark.limit_memory("1 MB")\rdef test_a(): ...\r',
    ],
)
def test_a_marker_is_known_whatever_pytest_is_imported_as(text: str) -> None:
    marker = only(text)
    assert marker.name == "limit_memory"
    assert marker.place == "decorator"
    assert marker.owner is not None
    assert written(text, marker) == ['"1 MB"']


@pytest.mark.parametrize(
    "text",
    [
        '"""\n@pytest.mark.limit_memory("1 XB")\n"""\n',
        '# @pytest.mark.limit_memory("1 XB")\n',
        'x = "pytest.mark.limit_memory(3)"\n',
        '@mark.limit_memory("1 MB")\ndef test_a(): ...\n',
        '@my.pytest.mark.limit_memory("1 MB")\ndef test_a(): ...\n',
        '@bookmark.limit_memory("1 MB")\ndef test_a(): ...\n',
        '@pytest.mark.parametrize("limit_memory", [1])\ndef test_a(): ...\n',
        '@pytest.mark.limit_memory_of_gpu("1 MB")\ndef test_a(): ...\n',
    ],
)
def test_what_is_no_marker_of_ours_is_left_alone(text: str) -> None:
    assert find_markers(text) == ()


def test_arguments_have_their_places_and_what_literals_stand_for() -> None:
    text = (
        "@pytest.mark.limit_leaks(  # a limit\n"
        '    "1"\n'
        '    " MB",\n'
        "    filter_fn=lambda stack, deep={1: (2, 3)}: f(stack, deep),\n"
        "    current_thread_only = True,\n"
        "    warmups=WARMUPS,\n"
        ")\n"
        "def test_a(): ...\n"
    )
    marker = only(text)
    assert [(given.keyword, given.value) for given in marker.arguments] == [
        (None, "1 MB"),
        ("filter_fn", UNKNOWN),
        ("current_thread_only", True),
        ("warmups", UNKNOWN),
    ]
    assert written(text, marker)[1:] == [
        "filter_fn=lambda stack, deep={1: (2, 3)}: f(stack, deep)",
        "current_thread_only = True",
        "warmups=WARMUPS",
    ]
    assert text[slice(*marker.arguments[2].value_span)] == "True"
    assert marker.closed is not None
    assert text[marker.closed] == ")"


@pytest.mark.parametrize(
    ("typed", "arguments"),
    [
        ("(", []),
        ('("24', ['"24']),
        ('("24 MB", curr', ['"24 MB"', "curr"]),
        ('("24 MB", warmups=', ['"24 MB"', "warmups="]),
        ('("24 MB",\n    current_thread_only=', ['"24 MB"', "current_thread_only="]),
    ],
)
def test_a_call_that_is_half_typed_does_not_swallow_what_follows(
    typed: str, arguments: list[str]
) -> None:
    before = 'import pytest\n\n\n@pytest.mark.limit_memory("1 MB")\ndef test_a(): ...\n\n\n'
    after = '\ndef test_b(): ...\n\n\n@pytest.mark.limit_leaks("1 MB")\ndef test_c(): ...\n'
    text = f"{before}@pytest.mark.limit_memory{typed}{after}"
    first, torn, last = find_markers(text)
    assert written(text, torn) == arguments
    assert (torn.closed, torn.complete) == (None, False)
    owners = [marker.owner.id for marker in (first, torn, last) if marker.owner]
    assert owners == ["test_a", "test_b", "test_c"]


def test_a_marker_inside_another_decorator_is_no_decorator() -> None:
    text = (
        '@pytest.mark.parametrize("x", [\n'
        '    pytest.param(1, marks=pytest.mark.limit_memory("1 MB")),\n'
        "])\n"
        "def test_a(x): ...\n"
    )
    marker = only(text)
    assert (marker.place, marker.owner, marker.complete) == ("elsewhere", None, True)


def test_ten_thousand_markers_take_time_in_proportion() -> None:
    # One regular expression that goes back would take minutes.
    case = '    pytest.param(1, marks=pytest.mark.limit_memory("1 MB")),\n'
    text = f'@pytest.mark.parametrize("x", [\n{case * 10_000}])\ndef test_a(x): ...\n'
    assert len(find_markers(text)) == 10_000


_PIECES = st.sampled_from(
    [
        '@pytest.mark.limit_memory("24 MB")',
        "@pytest.mark.limit_leaks(",
        '"1 MB"',
        "warmups=2",
        ",",
        ")",
        '"',
        '"""',
        "'",
        "\\",
        "\r\n",
        "\n",
        "    ",
        "\t",
        "def test_a():",
        "class TestA:",
        "pytestmark = [",
        "lambda x: ",
        "# ",
        "é",
        "🎈",
        "\x00",
        "\x0c",
    ]
)


@given(st.lists(_PIECES, max_size=30).map("".join))
def test_any_text_is_read_and_places_are_in_it(text: str) -> None:
    for marker in find_markers(text):
        assert text[slice(*marker.name_span)] == marker.name
        end = marker.span.start
        for argument in marker.arguments:
            assert end <= argument.span.start <= argument.value_span.start
            assert argument.value_span.end == argument.span.end <= marker.span.end
            end = argument.span.end
