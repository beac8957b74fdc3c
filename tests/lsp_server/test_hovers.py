"""Hovers on tests, markers and hot lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsprotocol import types
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pygls.workspace import PositionCodec

from memlens.store import (
    CheckRecord,
    FrameRecord,
    PastResult,
    PhaseRecord,
    SiteRecord,
    StackRecord,
    TestRecord,
)
from memlens_lsp.features.hovers import Asked, Client, hover, sparkline
from memlens_lsp.features.lenses import FileNow, overview
from memlens_lsp.features.markup import Page, Place
from memlens_lsp.features.spans_of_time import ago
from memlens_lsp.results import FileResults, TestDetails
from memlens_lsp.settings import Settings
from memlens_lsp.tests_in_source import CollectionRules

from .conftest import OpenEditor
from .helpers import MIB, Editor, Project, frame, full_capabilities, result

NOW = datetime(2026, 5, 4, 12, tzinfo=timezone.utc)
TEXT = """\
import pytest
from shop import load


@pytest.mark.limit_memory("24 MiB", current_thread_only=True)
def test_load():
    load(31 << 20)


class TestCart:
    @pytest.mark.parametrize("size", [1, 2])
    def test_total(self, size):
        pass
"""
SHOP = "def load(count):\n    return bytearray(count)\n"
STACK = (
    FrameRecord("PyByteArray_Resize", "Objects/bytearrayobject.c", 0, "native"),
    frame("load", "shop.py", 2),
    frame("test_load", "test_shop.py", 7),
)


@dataclass
class Files:
    """Files in memory."""

    texts: Mapping[str, str] = field(default_factory=dict)

    def uri(self, name: str) -> str | None:
        return None if name.startswith("<") else f"file:///{name}"

    def now(self, name: str) -> str | None:
        return self.texts.get(name)


def past(peak: int, limit: int | None = None, days: float = 3) -> PastResult:
    return PastResult(
        uuid="",
        started=(NOW - timedelta(days=days)).isoformat(timespec="microseconds"),
        git_commit=None,
        git_dirty=None,
        outcome="passed",
        peak_bytes=peak,
        limit_bytes=limit,
    )


def hovered(
    line: int,
    character: int,
    *tests: TestRecord,
    text: str = TEXT,
    measured: str = TEXT,
    name: str = "test_shop.py",
    sites: Sequence[SiteRecord] = (),
    history: Sequence[PastResult] = (),
    files: Mapping[str, str] | None = None,
    sources: Mapping[str, str] | None = None,
    markdown: bool = True,
    encoding: types.PositionEncodingKind = types.PositionEncodingKind.Utf16,
) -> types.Hover | None:
    """The hover at *line* (from 1) and *character*; tests have their place here as id."""
    tests = tuple(test._replace(id=number, run=1) for number, test in enumerate(tests, start=1))
    path = Path("/p", name)
    results = FileResults(Path("/p"), name, tests, sites=sites, sources={1: measured})
    known = overview(FileNow(path.as_uri(), path, text, results, CollectionRules()))
    details = {test.id: TestDetails(test, history or [past(1)], sources or {}) for test in tests}

    def read(result: int, nodeid: str) -> TestDetails | None:
        found = details.get(result)
        assert found is None or found.test.nodeid == nodeid
        return found

    client = Client(PositionCodec(encoding), markdown)
    asked = Asked(known, Settings(), client, read, Files(files or {}), NOW)
    return hover(asked, types.Position(line - 1, character))


def words(found: types.Hover | None) -> str:
    """What the hover says."""
    assert found is not None
    assert isinstance(found.contents, types.MarkupContent)
    return found.contents.value


OVER = result("test_shop.py::test_load", 6, 31 * MIB, 24 * MIB, stack=STACK)


def test_a_test_has_a_table_of_its_phases() -> None:
    test = OVER._replace(
        phases=(
            PhaseRecord("setup", 2 * MIB, 3 * MIB, 1234, 0),
            PhaseRecord("call", 31 * MIB, None, None, 0),
            PhaseRecord("teardown", 100, 100, 1, 0),
        )
    )
    lines = words(hovered(6, 5, test)).splitlines()
    assert lines[0] == "**`test_load`**"
    assert lines[2:7] == [
        "|  | peak | limit | allocations | allocated |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| set-up | 2.0 MiB |  | 1,234 | 3.0 MiB |",
        "| call | 31.0 MiB | 24.0 MiB | not counted | not counted |",
        "| teardown | 100 B |  | 1 | 100 B |",
    ]
    assert "- `limit_memory`: the peak, 31.0 MiB, is **over 24.0 MiB**" in lines


def test_each_limit_says_how_the_test_did() -> None:
    checks = [
        CheckRecord("limit_memory", 24 * MIB, 3 * MIB, "passed", ""),
        CheckRecord("limit_leaks", MIB, 2 * MIB, "exceeded", ""),
        CheckRecord("limit_leaked_objects", 0, 0, "passed", ""),
        CheckRecord("limit_leaked_objects", 0, 512, "exceeded", ""),
        CheckRecord("fail_on_increase", 2 * MIB, 3 * MIB, "exceeded", ""),
        CheckRecord("limit_leaks", 0, 0, "not_judged", "no <b>trace</b>"),
    ]
    test = result("test_shop.py::test_load", 6, 3 * MIB)._replace(checks=tuple(checks))
    assert [line for line in words(hovered(6, 5, test)).splitlines() if line.startswith("- ")] == [
        "- `limit_memory`: the peak, 3.0 MiB, is within 24.0 MiB",
        "- `limit_leaks`: the largest leak, 2.0 MiB, is **over 1.0 MiB**",
        "- `limit_leaked_objects`: none outlived it",
        "- `limit_leaked_objects`: objects of 512 B outlived it",
        "- `fail_on_increase`: the peak, 3.0 MiB, is **over 2.0 MiB**",
        "- `limit_leaks`: `no <b>trace</b>`",
    ]


def test_the_last_runs_are_a_sparkline_the_oldest_first() -> None:
    history = [past(peak * MIB, 24 * MIB) for peak in (31, 20, 10)]
    assert "Last 3 runs: ▁▄█ 10.0 MiB → 31.0 MiB, limit 24.0 MiB" in words(
        hovered(6, 5, OVER, history=history)
    )
    assert "Last" not in words(hovered(6, 5, OVER))


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([5], "▁"),
        ([0, 0], "▁▁"),
        ([100, 101, 100], "▁▂▁"),
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([900, 100], "█▁"),
    ],
)
def test_bars_go_from_the_smallest_to_the_largest_but_noise_stays_small(
    values: list[int], bars: str
) -> None:
    assert sparkline(values) == bars


def test_stacks_lead_to_their_frames_and_native_ones_are_named_as_such() -> None:
    text = words(hovered(6, 5, OVER))
    assert (
        "- **31.0 MiB**: `PyByteArray_Resize` (native) ← [`load`](file:///shop.py#L2)"
        " ← [`test_load`](file:///test_shop.py#L7)" in text.splitlines()
    )


def test_frames_lead_to_where_their_lines_are_now() -> None:
    text = words(
        hovered(
            6,
            5,
            OVER,
            sources={"shop.py": SHOP, "test_shop.py": TEXT},
            files={"shop.py": f"# new\n\n{SHOP}", "test_shop.py": TEXT},
        )
    )
    assert "[`load`](file:///shop.py#L4)" in text
    assert "[`test_load`](file:///test_shop.py#L7)" in text


def test_deep_stacks_show_the_projects_own_line_and_say_what_they_leave_out() -> None:
    deep = [frame(f"inner{depth}", f"/lib/a{depth}.py", 9) for depth in range(10)]
    stack = (*deep, *STACK[1:], frame("main", "<string>", 1))
    test = result("test_shop.py::test_load", 6, 31 * MIB, stack=stack)
    (line,) = [line for line in words(hovered(6, 5, test)).splitlines() if "inner0" in line]
    assert "[`inner4`](file:////lib/a4.py#L9) ← … ← [`load`](file:///shop.py#L2) ← … 2 more" in line
    assert "inner5" not in line


def test_only_the_biggest_stacks_are_shown() -> None:
    stacks = [StackRecord("peak", size * MIB, size, STACK[1:]) for size in range(9, 4, -1)]
    stacks.append(StackRecord("leak", MIB, 2, STACK[1:]))
    lines = words(hovered(6, 5, OVER._replace(stacks=tuple(stacks)))).splitlines()
    shown = [line.partition(":")[0] for line in lines if line.startswith("- **")]
    assert shown == [
        "- **9.0 MiB** in 9 allocations",
        "- **8.0 MiB** in 8 allocations",
        "- **7.0 MiB** in 7 allocations",
        "- **1.0 MiB** in 2 allocations",
    ]
    assert "- and 2 more call stacks" in lines


def test_a_parametrized_test_shows_its_heaviest_case_first_and_a_few_more() -> None:
    cases = [
        result(f"test_shop.py::TestCart::test_total[{size}]", 12, size * MIB, 6 * MIB)
        for size in (1, 8, 3, 7, 2, 5, 4)
    ]
    lines = words(hovered(12, 9, *cases)).splitlines()
    assert lines[0] == ("**`TestCart::test_total[8]`**, the heaviest of 7 cases, 2 over the limit")
    start = lines.index("The others:") + 2
    assert lines[start : start + 5] == [
        "- `TestCart::test_total[7]`: peak 7.0 MiB of 6.0 MiB",
        "- `TestCart::test_total[5]`: peak 5.0 MiB of 6.0 MiB",
        "- `TestCart::test_total[4]`: peak 4.0 MiB of 6.0 MiB",
        "- `TestCart::test_total[3]`: peak 3.0 MiB of 6.0 MiB",
        "- and 2 more",
    ]


def test_a_class_shows_the_heaviest_of_its_tests() -> None:
    case = result("test_shop.py::TestCart::test_total[1]", 12, MIB)
    other = result("test_shop.py::TestCart::test_total[2]", 12, 9 * MIB, 8 * MIB)
    text = words(hovered(10, 7, case, other))
    assert text.startswith(
        "**`TestCart::test_total[2]`**, the heaviest of 2 tests, 1 over the limit\n\n"
        "- peak 9.0 MiB of 8.0 MiB"
    )


@pytest.mark.parametrize(
    ("before", "after", "edited"),
    [
        ("load(31 << 20)", "load(31 << 20)  # a comment", False),
        ("import pytest", "# new\nimport pytest", False),
        ("load(31 << 20)", "load(32 << 20)", True),
        ("24 MiB", "25 MiB", True),
    ],
)
def test_a_test_says_when_it_was_measured_and_if_it_was_edited_since(
    before: str, after: str, edited: bool
) -> None:
    text = TEXT.replace(before, after)
    line = text.split("\n").index("def test_load():") + 1
    found = words(hovered(line, 5, OVER, text=text)).splitlines()[-1]
    assert found == "Measured 3 days ago" + (", edited since" if edited else "")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-3600, "at an unknown time"),
        (-5, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (3599, "59 minutes ago"),
        (3600, "1 hour ago"),
        (47 * 3600, "47 hours ago"),
        (48 * 3600, "2 days ago"),
        (60 * 86400, "on 2026-03-05"),
    ],
)
def test_ages_are_told_in_the_largest_unit_that_says_enough(seconds: int, expected: str) -> None:
    assert ago((NOW - timedelta(seconds=seconds)).isoformat(), NOW) == expected


def test_what_is_no_time_is_an_unknown_one() -> None:
    assert ago("yesterday", NOW) == "at an unknown time"
    assert ago("2026-05-04T11:00:00", NOW) == "1 hour ago"


@pytest.mark.parametrize(
    ("line", "character"),
    [(6, 2), (6, 13), (7, 5), (1, 0), (3, 0), (8, 0), (99, 0), (12, 9)],
    ids=["def", "after it", "body", "import", "blank", "blank too", "past the end", "not measured"],
)
def test_elsewhere_there_is_nothing_to_say(line: int, character: int) -> None:
    assert hovered(line, character, OVER) is None


def test_a_test_that_was_not_measured_has_no_hover() -> None:
    assert hovered(6, 5) is None


@pytest.mark.parametrize(("encoding", "length"), [("utf-8", 26), ("utf-16", 23), ("utf-32", 22)])
def test_hovers_know_the_clients_units(encoding: str, length: int) -> None:
    text = "x = '😀e\u0301'; test_load()\n"
    site = SiteRecord(1, "peak", 2 * MIB, 1, "test_shop.py::test_load", 1, 2 * MIB)
    kind = types.PositionEncodingKind(encoding)
    for character, is_there in [(length - 1, True), (length, False)]:
        found = hovered(1, character, text=text, measured=text, sites=[site], encoding=kind)
        assert (found is not None) == is_there
        if found is not None:
            place = types.Range(types.Position(0, 0), types.Position(0, length))
            assert found.range == place


# Markers


def test_a_marker_says_what_it_means_its_arguments_and_what_was_measured() -> None:
    found = hovered(5, 20, OVER)
    assert words(found).splitlines() == [
        "**`limit_memory`** fails the test if its peak is at or above the limit: the most that was"
        " alive at once of what the test's body allocated.",
        "",
        '- `memory_limit` = `"24 MiB"`: a number and one of B, KB, MB, GB, TB, PB, in steps of'
        " 1024",
        "- `current_thread_only` = `True`: count only what the thread that runs the test allocates",
        "",
        "The peak was 31.0 MiB, over this limit of 24.0 MiB",
        "",
        "Measured 3 days ago",
    ]
    assert found is not None
    assert found.range == types.Range(types.Position(4, 1), types.Position(4, 61))


def test_the_limit_counts_as_it_is_written_now() -> None:
    text = TEXT.replace('"24 MiB"', '"62 MiB"')
    lines = words(hovered(5, 20, OVER, text=text)).splitlines()
    assert "The peak was 31.0 MiB, 50 % of this limit" in lines
    assert lines[-1] == "Measured 3 days ago, edited since"


def test_markers_of_classes_and_modules_say_what_their_heaviest_test_took() -> None:
    text = TEXT.replace("class TestCart:", '@pytest.mark.limit_memory("9 MiB")\nclass TestCart:')
    text = text.replace(
        "import load\n", 'import load\npytestmark = pytest.mark.limit_memory("4 MiB")\n'
    )
    cases = [
        result(f"test_shop.py::TestCart::test_total[{size}]", 14, size * MIB) for size in (1, 3)
    ]
    lines = text.split("\n")
    on_class, on_module = (
        words(
            hovered(
                lines.index(line) + 1,
                lines[lines.index(line)].index("limit"),
                *cases,
                text=text,
                measured=text,
            )
        )
        for line in ('@pytest.mark.limit_memory("9 MiB")', lines[2])
    )
    assert "The largest peak was 3.0 MiB, 33 % of this limit" in on_class
    # A nearer marker counts for those tests.
    assert "peak was" not in on_module
    assert on_class.endswith("Measured 3 days ago")


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ('limit_leaks("1 MB", filter_fn=keep)', ["`filter_fn` = `keep`", "(default 0)"]),
        ("limit_leaked_objects()", ["`filter_fn` (default None)", "CPython 3.13.3"]),
        ("limit_memory(", ["`memory_limit`: a number"]),
        ("limit_memory(<b>`|*", ["`<b>", "fails the test"]),
    ],
)
def test_every_marker_is_explained_also_half_typed(marker: str, expected: list[str]) -> None:
    text = TEXT.replace('limit_memory("24 MiB", current_thread_only=True)', marker)
    text_found = words(hovered(5, 20, text=text))
    for part in expected:
        assert part in text_found


def test_what_outlived_the_tests_of_a_marker_is_told() -> None:
    text = TEXT.replace(
        'limit_memory("24 MiB", current_thread_only=True)', "limit_leaked_objects()"
    )
    for size, expected in [(512, "Objects of 512 B outlived it"), (0, "None outlived it")]:
        verdict = "exceeded" if size else "passed"
        check = CheckRecord("limit_leaked_objects", 0, size, verdict, "")  # type: ignore[arg-type]
        assert expected in words(hovered(5, 20, OVER._replace(checks=(check,)), text=text))


# Hot lines

SITE = SiteRecord(2, "peak", 31 * MIB, 3, "test_shop.py::test_load", 1, 62 * MIB, result=1)


def test_a_hot_line_says_who_allocates_there_and_by_which_calls() -> None:
    found = hovered(
        4,
        10,
        OVER,
        name="shop.py",
        text=f"# new\n\n{SHOP}",
        measured=SHOP,
        sites=[SITE],
    )
    assert words(found).splitlines() == [
        "Allocated here and alive at the peak of one test:",
        "",
        "- **31.0 MiB**, 50 % of its peak, 3 allocations: `test_shop.py::test_load`",
        "",
        "Of `test_load`, the most recent call first:",
        "",
        "- **31.0 MiB**: `PyByteArray_Resize` (native) ← [`load`](file:///shop.py#L2)"
        " ← [`test_load`](file:///test_shop.py#L7)",
        "",
        "Measured 3 days ago, the file was edited since",
    ]
    assert found is not None
    assert found.range == types.Range(types.Position(3, 4), types.Position(3, 27))


def test_a_hot_line_shows_only_the_stacks_that_pass_it() -> None:
    elsewhere = StackRecord("peak", 40 * MIB, 1, (frame("other", "shop.py", 9),))
    under_another = StackRecord("peak", 39 * MIB, 1, (frame("inner", "shop.py", 8), *STACK[1:]))
    here = StackRecord("peak", 31 * MIB, 1, STACK)
    test = OVER._replace(stacks=(elsewhere, under_another, here))
    text = words(hovered(2, 10, test, name="shop.py", text=SHOP, measured=SHOP, sites=[SITE]))
    assert [line for line in text.splitlines() if "←" in line] == [
        "- **31.0 MiB**: `PyByteArray_Resize` (native) ← [`load`](file:///shop.py#L2)"
        " ← [`test_load`](file:///test_shop.py#L7)"
    ]


def test_a_line_that_leaks_says_so_and_one_that_is_neither_says_nothing() -> None:
    leak = SITE._replace(kind="leak")
    text = words(hovered(2, 10, name="shop.py", text=SHOP, measured=SHOP, sites=[leak]))
    assert text.startswith("Allocated here and not freed by the end of one test:")
    little = SITE._replace(bytes=MIB // 2)
    assert hovered(2, 10, name="shop.py", text=SHOP, measured=SHOP, sites=[little]) is None
    assert hovered(1, 4, name="shop.py", text=SHOP, measured=SHOP, sites=[SITE]) is None


# What users' files say

#: What Markdown and HTML take for theirs, and what cannot be printed.
NASTY = st.text(alphabet="a`|[]()<>*_~#!&;:/\\\n\r\t\0\u2028\u202e\ud800 -=$😀", max_size=30)
MARKDOWN = MarkdownIt("gfm-like", {"html": True, "linkify": False})


def inline(markdown: str) -> list[Token]:
    """The tokens in the only block of *markdown*."""
    blocks = [token for token in MARKDOWN.parse(markdown) if token.type == "inline"]
    assert len(blocks) == 1, markdown
    return blocks[0].children or []


@settings(deadline=None)
@given(NASTY, st.booleans())
def test_names_stay_text_in_markdown(name: str, in_list: bool) -> None:
    page = Page(markdown=True)
    if in_list:
        page.bullets([f"{page.code(name)} and more"])
    else:
        page.paragraph(f"{page.strong(page.code(name))}, and more")
    tokens = inline(str(page))
    code = [token for token in tokens if token.type == "code_inline"]
    assert [token.content.strip() for token in code] == [plain(name).strip()]
    kinds = {token.type for token in tokens if token.content or token.type != "text"}
    assert kinds <= {"strong_open", "code_inline", "strong_close", "text"}
    assert [token.content for token in tokens if token.type == "text"][-1].endswith("and more")


@settings(deadline=None)
@given(NASTY, NASTY)
def test_links_lead_where_they_should_whatever_the_names(function: str, folder: str) -> None:
    page = Page(markdown=True)
    uri = Path("/p", folder.replace("\0", "").replace("\ud800", ""), "a.py").as_uri()
    uri = uri.replace("file:", "http:")  # this renderer has no links to files
    page.paragraph(f"{page.link(function, Place(uri, 'a.py', 7))} and more")
    tokens = inline(str(page))
    opened = [token for token in tokens if token.type == "link_open"]
    assert [str(token.attrs["href"]) for token in opened] == [
        f"{uri.replace('(', '%28').replace(')', '%29')}#L7"
    ]
    (code,) = [token for token in tokens if token.type == "code_inline"]
    assert code.content.strip() == plain(function).translate({91: "(", 93: ")"}).strip()
    assert not [token for token in tokens if token.type == "html_inline"]


def plain(name: str) -> str:
    page = Page(markdown=False)
    text = page.code(name)
    assert "\n" not in text
    assert text.isprintable()
    return text


@settings(deadline=None)
@given(NASTY.filter(lambda name: "\0" not in name))
def test_a_hover_of_any_test_is_one_table_and_no_html(parameters: str) -> None:
    name = f"test_shop.py::TestCart::test_total[{parameters}]"
    text = words(hovered(12, 9, result(name, 12, 9 * MIB, 8 * MIB, stack=STACK)))
    tokens = MARKDOWN.parse(text)
    assert [token.type for token in tokens].count("table_open") == 1
    everything = [child for token in tokens for child in (token, *(token.children or ()))]
    assert not [token for token in everything if token.type.startswith("html")]
    assert tokens[0].type == "paragraph_open"


def test_long_parameters_are_cut() -> None:
    case = result(f"test_shop.py::TestCart::test_total[{'x' * 5000}]", 12, MIB)
    assert len(words(hovered(12, 9, case))) < 600


def test_clients_without_markdown_get_plain_text() -> None:
    found = hovered(6, 5, OVER, markdown=False)
    assert found is not None
    assert isinstance(found.contents, types.MarkupContent)
    assert found.contents.kind == types.MarkupKind.PlainText
    assert found.contents.value.splitlines() == [
        "test_load",
        "",
        "          peak     limit  allocations  allocated",
        "call  31.0 MiB  24.0 MiB            1   31.0 MiB",
        "",
        "- limit_memory: the peak, 31.0 MiB, is over 24.0 MiB",
        "",
        "At the peak:",
        "",
        "- 31.0 MiB: PyByteArray_Resize (native) ← load (shop.py:2) ← test_load (test_shop.py:7)",
        "",
        "Measured 3 days ago",
    ]


# Through the server


async def asked_at(editor: Editor, uri: str, line: int, character: int) -> types.Hover | None:
    return await editor.text_document_hover_async(
        types.HoverParams(types.TextDocumentIdentifier(uri), types.Position(line - 1, character))
    )


@pytest.mark.asyncio
async def test_an_editor_shows_hovers_of_the_newest_results(
    project: Project, editor: Editor
) -> None:
    project.write("shop.py", SHOP)
    project.write("test_shop.py", TEXT)
    uri, shop = project.uri("test_shop.py"), project.uri("shop.py")
    editor.open(uri, TEXT)
    editor.open(shop, SHOP)
    assert await asked_at(editor, uri, 6, 5) is None
    for size in (3, 31):
        project.run(result("test_shop.py::test_load", 6, size * MIB, 24 * MIB, stack=STACK))
    while True:
        before = editor.lens_refreshes
        found = await asked_at(editor, uri, 6, 5)
        if found is not None and "2 runs" in words(found):
            break
        await editor.until(lambda before=before: editor.lens_refreshes > before)  # type: ignore[misc]
    text = words(found)
    assert "Last 2 runs: ▁█ 3.0 MiB → 31.0 MiB, limit 24.0 MiB" in text
    assert f"[`load`]({shop}#L2)" in text
    assert "Measured just now" in text
    assert "`test_shop.py::test_load`" in words(await asked_at(editor, shop, 2, 10))
    assert "over this limit of 24.0 MiB" in words(await asked_at(editor, uri, 5, 20))


@pytest.mark.asyncio
async def test_hovers_are_offered_to_clients_that_show_them_as_they_show_them(
    project: Project, open_editor: OpenEditor
) -> None:
    bare = await open_editor(capabilities=types.ClientCapabilities())
    assert not bare.server_capabilities.hover_provider
    capabilities = full_capabilities()
    assert capabilities.text_document is not None
    capabilities.text_document.hover = types.HoverClientCapabilities()
    plain_editor = await open_editor(capabilities=capabilities)
    assert plain_editor.server_capabilities.hover_provider
    project.write("test_shop.py", TEXT)
    project.run(OVER)
    uri = project.uri("test_shop.py")
    plain_editor.open(uri, TEXT)
    found = await asked_at(plain_editor, uri, 6, 5)
    assert found is not None
    assert isinstance(found.contents, types.MarkupContent)
    assert found.contents.kind == types.MarkupKind.PlainText


@pytest.mark.asyncio
async def test_unknown_and_untitled_documents_and_places_past_the_end_have_no_hovers(
    project: Project, editor: Editor
) -> None:
    editor.open("untitled:Untitled-1", TEXT)
    editor.open(project.uri("test_shop.py"), TEXT)
    for uri in ("untitled:Untitled-1", "file:///no/such/shop.py", "nonsense"):
        assert await asked_at(editor, uri, 5, 20) is None
    assert await asked_at(editor, project.uri("test_shop.py"), 9999, 9999) is None
