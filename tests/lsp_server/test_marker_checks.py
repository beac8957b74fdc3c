"""Wrong markers are told of before anything runs, in the plugin's words."""

from __future__ import annotations

import pytest
from lsprotocol import types
from pygls.workspace import PositionCodec

from memlens.markers import MarkerError, parse_marker
from memlens_lsp.features.marker_checks import marker_diagnostics

CODEC = PositionCodec()
SIZES = "expected a string such as '24 MB', a number and one of B, KB, MB, GB, TB, PB"


def complaints(marker: str) -> list[tuple[str, str]]:
    """What is underlined in a decorator, and why."""
    text = f"import pytest\n\n\n@pytest.mark.{marker}\ndef test_a(): ...\n"
    found = []
    for diagnostic in marker_diagnostics(text, CODEC):
        start, end = diagnostic.range.start, diagnostic.range.end
        lines = text.split("\n")[start.line : end.line + 1]
        lines[-1] = lines[-1][: end.character]
        lines[0] = lines[0][start.character :]
        found.append(("\n".join(lines), diagnostic.message))
        assert diagnostic.severity is types.DiagnosticSeverity.Error
        assert (diagnostic.code, diagnostic.source) == ("invalid-marker", "memlens")
    return found


@pytest.mark.parametrize(
    ("marker", "underlined", "message"),
    [
        ('limit_memory("24 XB")', '"24 XB"', f"'24 XB' is not a memory size: {SIZES}"),
        ("limit_memory(24)", "24", f"24 is not a memory size: {SIZES}"),
        ("limit_memory(memory_limit=None)", "None", f"None is not a memory size: {SIZES}"),
        (
            "limit_memory()",
            "pytest.mark.limit_memory()",
            "memory_limit is missing: expected a memory size such as '24 MB'",
        ),
        (
            "limit_memory",
            "pytest.mark.limit_memory",
            "memory_limit is missing: expected a memory size such as '24 MB'",
        ),
        (
            'limit_memory("1 MB", memory_limit="1 MB")',
            "memory_limit",
            "memory_limit is given twice",
        ),
        (
            'limit_memory("1 MB", "2 MB")',
            '"2 MB"',
            "takes one positional argument, memory_limit, but 2 were given",
        ),
        (
            'limit_memory("1 MB", curent_thread_only=True)',
            "curent_thread_only",
            "unknown argument 'curent_thread_only': did you mean current_thread_only?",
        ),
        (
            'limit_memory(limit="24 MB")',
            "limit",
            "unknown argument 'limit': did you mean memory_limit?",
        ),
        ('limit_leaks(at="1 MB")', "at", "unknown argument 'at': did you mean location_limit?"),
        (
            "limit_memory(xyz=1)",
            "xyz",
            "unknown argument 'xyz': expected memory_limit, current_thread_only",
        ),
        (
            'limit_leaks("1 MB", xyz=1)',
            "xyz",
            "unknown argument 'xyz': expected location_limit, filter_fn, current_thread_only,"
            " warmups",
        ),
        (
            'limit_leaks("1 MB", warmups=-1)',
            "-1",
            "warmups is -1: expected how often the test runs unmeasured first, a whole number"
            " from 0",
        ),
        (
            'limit_leaks("1 MB", current_thread_only=1)',
            "1",
            "current_thread_only is 1: expected True or False",
        ),
        (
            'limit_leaks("1 MB", filter_fn="all")',
            '"all"',
            "filter_fn is 'all': expected a function that takes a Stack and returns whether it"
            " counts",
        ),
        (
            "limit_leaked_objects(3)",
            "3",
            "takes no positional arguments, but 1 were given: expected filter_fn=…",
        ),
    ],
)
def test_a_wrong_marker_is_told_of_in_the_plugins_words_at_the_wrong_argument(
    marker: str, underlined: str, message: str
) -> None:
    name = marker.partition("(")[0]
    assert complaints(marker) == [(underlined, f"{name}: {message}")]
    # The same as the plugin says when the test runs.
    args, kwargs = eval(f"(lambda *a, **k: (a, k)){marker[len(name) :] or '()'}")
    with pytest.raises(MarkerError) as caught:
        parse_marker(name, args, kwargs)
    assert str(caught.value) == f"{name}: {message}"


@pytest.mark.parametrize(
    "marker",
    [
        'limit_memory("24 MB")',
        'limit_memory(memory_limit="24 MB", current_thread_only=True)',
        "limit_memory(SIZE)",
        'limit_memory("24 " + UNIT)',
        'limit_memory(f"{SIZE} MB")',
        "limit_memory(*SIZES)",
        "limit_memory(**LIMITS)",
        "limit_memory(current_thread_only=THREADS)('24 MB')",
        'limit_memory.with_args("24 MB")',
        'limit_leaks("1 MB", filter_fn=keep, warmups=1 + 1)',
        'limit_leaks("1 MB", filter_fn=lambda stack, deep=3: True)',
        "limit_leaked_objects()",
        "limit_leaked_objects",
        "limit_leaked_objects(filter_fn=None)",
    ],
)
def test_what_is_right_or_not_known_before_it_runs_is_not_complained_of(marker: str) -> None:
    assert complaints(marker) == []


def test_all_that_is_wrong_with_a_marker_is_told() -> None:
    assert [what for what, _ in complaints('limit_leaks("1 XB", warmups="2", filter=f)')] == [
        "filter",
        '"1 XB"',
        '"2"',
    ]


def test_a_misspelt_keyword_is_not_missing_too() -> None:
    (complaint,) = complaints('limit_memory(memory_limt="1 MB")')
    assert complaint[1].endswith("did you mean memory_limit?")


@pytest.mark.parametrize("name", ["limit_memroy", "limit_memor", "limitmemory", "limits_memory"])
def test_a_misspelt_marker_is_told_of(name: str) -> None:
    message = f"{name}: unknown marker: did you mean limit_memory?"
    assert complaints(f'{name}("24 MB")') == [(name, message)]


@pytest.mark.parametrize("name", ["limit_time", "memory", "limit_memory_of_gpu", "slow", "limit"])
def test_another_projects_marker_is_not_taken_for_ours(name: str) -> None:
    assert complaints(f"{name}(3)") == []


@pytest.mark.parametrize("typed", ["(", '("24', '("24 MB"', '("24 MB", warmups', "(current"])
def test_what_is_still_to_be_typed_is_not_missing(typed: str) -> None:
    assert complaints(f"limit_leaks{typed}") == []


def test_markers_that_are_kept_under_a_name_may_get_their_arguments_later() -> None:
    text = (
        "import pytest\n\nlimited = pytest.mark.limit_memory()\nother = pytest.mark.limit_leaks\n"
    )
    assert marker_diagnostics(text, CODEC) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pytest\npytestmark = [pytest.mark.limit_memory('1 XB')]\n",
        "import pytest\nx = [pytest.param(1, marks=pytest.mark.limit_memory('1 XB'))]\n",
        "import pytest\ndef f(r):\n    r.applymarker(pytest.mark.limit_memory('1 XB'))\n",
        "import pytest\n@pytest.mark.limit_memory('1 XB')\ndef test_a(: syntax error\n",
    ],
)
def test_markers_are_checked_wherever_they_stand(text: str) -> None:
    (diagnostic,) = marker_diagnostics(text, CODEC)
    assert "'1 XB' is not a memory size" in diagnostic.message


@pytest.mark.parametrize(
    ("encoding", "column"),
    [
        (types.PositionEncodingKind.Utf8, 59),
        (types.PositionEncodingKind.Utf16, 57),
        (types.PositionEncodingKind.Utf32, 56),
    ],
)
def test_places_are_in_the_clients_encoding(
    encoding: types.PositionEncodingKind, column: int
) -> None:
    text = '@pytest.mark.limit_leaks("🎈 MB", warmups=ONE, filter_fn=3)\ndef test_a(): ...\n'
    last = marker_diagnostics(text, PositionCodec(encoding))[-1]
    assert last.range.start == types.Position(0, column)
