"""Inlay hints at the end of hot lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from lsprotocol import types
from pygls.workspace import PositionCodec

from memlens.store import SiteRecord
from memlens_lsp.features.hints import Client, hints, tooltip
from memlens_lsp.results import FileResults
from memlens_lsp.settings import Settings

from .conftest import OpenEditor
from .helpers import MIB, Editor, Project, frame, full_capabilities, inserted, result

SHOP = "def load(count):\n    return bytearray(count)\n\n\ndef keep(count):\n    load(count)\n"
CLIENT = Client(PositionCodec(), markdown=True, asks_for_tooltips=True)
ALL = types.Range(types.Position(0, 0), types.Position(2**31 - 1, 0))


def site(
    line: int,
    size: int,
    peak: int = 0,
    nodeid: str = "test_a.py::test_x",
    *,
    leak: bool = False,
    run: int = 1,
) -> SiteRecord:
    kind = "leak" if leak else "peak"
    return SiteRecord(line, kind, size, 1, nodeid, run, peak or size)  # type: ignore[arg-type]


def results_of(*sites: SiteRecord, text: str = SHOP) -> FileResults:
    return FileResults(sites=sites, sources={1: text})


def shown(
    text: str,
    *sites: SiteRecord,
    settings: Settings | None = None,
    wanted: types.Range = ALL,
    measured: str = SHOP,
) -> list[tuple[int, str]]:
    """The hints as (line from 1, label)."""
    results = results_of(*sites, text=measured)
    made = hints(text, results, settings or Settings(), wanted, CLIENT)
    assert all(isinstance(hint.label, str) for hint in made)
    return [(hint.position.line + 1, str(hint.label)) for hint in made]


def test_a_hot_line_says_what_the_heaviest_test_had_alive_there_and_its_share() -> None:
    lighter = site(2, 9 * MIB, 10 * MIB, "test_a.py::test_y")
    assert shown(SHOP, site(2, 18 * MIB, 31 * MIB), lighter) == [(2, "18.0 MiB · 58 % of a peak")]


def test_a_line_that_leaks_says_how_much_besides() -> None:
    leaks = [site(2, 2 * MIB, leak=True), site(6, 3 * MIB, leak=True)]
    assert shown(SHOP, site(2, 18 * MIB, 31 * MIB), *leaks) == [
        (2, "18.0 MiB · 58 % of a peak, leaks 2.0 MiB"),
        (6, "leaks 3.0 MiB"),
    ]


@pytest.mark.parametrize(
    ("size", "peak", "settings"),
    [
        (MIB - 1, MIB, Settings()),
        (2 * MIB, 21 * MIB, Settings()),
        (18 * MIB, 31 * MIB, replace(Settings(), hot_size=19 * MIB)),
        (18 * MIB, 31 * MIB, replace(Settings(), hot_share=60.0)),
    ],
    ids=["too small", "too small a share", "less than the setting", "less of it than the setting"],
)
def test_lines_that_are_not_hot_have_none(size: int, peak: int, settings: Settings) -> None:
    assert shown(SHOP, site(2, size, peak), settings=settings) == []


def test_the_heaviest_is_that_of_those_that_make_the_line_hot() -> None:
    large_but_little_of_it = site(2, 20 * MIB, 900 * MIB, "test_a.py::test_huge")
    assert shown(SHOP, large_but_little_of_it, site(2, 3 * MIB, 4 * MIB)) == [
        (2, "3.0 MiB · 75 % of a peak")
    ]


def test_shares_under_one_percent_are_no_zero() -> None:
    settings = replace(Settings(), hot_share=0.0)
    assert shown(SHOP, site(2, 2 * MIB, 900 * MIB), settings=settings) == [
        (2, "2.0 MiB · under 1 % of a peak")
    ]


def test_only_the_lines_asked_for_are_answered() -> None:
    sites = [site(2, 2 * MIB), site(6, 3 * MIB)]
    for first, last, lines in [(0, 9, [2, 6]), (1, 1, [2]), (2, 4, []), (5, 5, [6]), (9, 99, [])]:
        wanted = types.Range(types.Position(first, 0), types.Position(last, 0))
        assert [line for line, _ in shown(SHOP, *sites, wanted=wanted)] == lines


def test_hints_follow_their_lines_and_vanish_with_them() -> None:
    sites = [site(2, 2 * MIB), site(6, 3 * MIB)]
    moved = "# new\n\n" + SHOP.replace("return bytearray(count)", "return bytes(count)")
    assert [line for line, _ in shown(moved, *sites)] == [8]


def test_what_were_two_lines_counts_together() -> None:
    measured = "first_of_all()\nmore = load(\n    name(),\n    count(),\n)\nlast_of_all()\n"
    current = "first_of_all()\nmore = load(name(), count())\nlast_of_all()\n"
    sites = [
        site(3, 2 * MIB, 8 * MIB),
        site(4, 4 * MIB, 8 * MIB),
        site(4, 5 * MIB, 8 * MIB, "test_a.py::test_y"),
    ]
    assert shown(current, *sites, measured=measured) == [(2, "6.0 MiB · 75 % of a peak")]


def test_without_the_measured_text_nobody_knows_the_line() -> None:
    results = FileResults(sites=[site(2, 2 * MIB)])
    assert hints(SHOP, results, Settings(), ALL, CLIENT) == []


def test_lines_measured_in_several_texts_come_together() -> None:
    older = "\n" + SHOP
    results = FileResults(
        sites=[
            site(3, 5 * MIB, nodeid="test_a.py::test_y", run=1),
            site(2, 4 * MIB, nodeid="test_a.py::test_x", run=2),
        ],
        sources={1: older, 2: SHOP},
    )
    (hint,) = hints(SHOP, results, Settings(), ALL, CLIENT)
    assert hint.label == "5.0 MiB · 100 % of a peak"
    content = tooltip(2, SHOP, results, Settings(), CLIENT)
    assert content is not None
    assert "test_x" in content.value
    assert "2 tests" in content.value


@pytest.mark.parametrize(("encoding", "character"), [("utf-8", 24), ("utf-16", 20), ("utf-32", 19)])
def test_a_hint_stands_at_the_end_of_its_line_in_the_clients_units(
    encoding: str, character: int
) -> None:
    text = "x = '😀e\u0301é'; y = 1  \n"
    codec = PositionCodec(types.PositionEncodingKind(encoding))
    results = results_of(site(1, 2 * MIB), text=text)
    (hint,) = hints(text, results, Settings(), ALL, CLIENT._replace(codec=codec))
    assert hint.position == types.Position(0, character)
    assert hint.padding_left


def test_a_tooltip_names_the_tests_and_says_how_many_are_left_out() -> None:
    sites: Sequence[SiteRecord] = [
        site(2, size * MIB, 40 * MIB, f"test_a.py::test_x[{size}]") for size in range(30, 5, -1)
    ]
    content = tooltip(2, SHOP, results_of(*sites), Settings(), CLIENT)
    assert content is not None
    assert content.kind == types.MarkupKind.Markdown
    lines = content.value.splitlines()
    assert lines[0] == "Allocated here and alive at the peak of 25 tests:"
    assert lines[2] == "- **30.0 MiB**, 75 % of its peak, 1 allocation: `test_a.py::test_x[30]`"
    assert lines[-1] == "- and 17 more"
    assert tooltip(6, SHOP, results_of(*sites), Settings(), CLIENT) is None


def test_a_client_without_markdown_gets_plain_text_and_one_that_cannot_ask_gets_it_at_once() -> (
    None
):
    plain = CLIENT._replace(markdown=False, asks_for_tooltips=False)
    (hint,) = hints(SHOP, results_of(site(2, 2 * MIB, leak=True)), Settings(), ALL, plain)
    assert hint.tooltip == types.MarkupContent(
        types.MarkupKind.PlainText,
        "Allocated here and not freed by the end of one test:\n\n"
        "- 2.0 MiB, 1 allocation: test_a.py::test_x",
    )


# Through the server

TESTS = "from shop import load\n\n\ndef test_load():\n    load(31 << 20)\n"
STACK = (frame("load", "shop.py", 2), frame("test_load", "test_shop.py", 5))
MEASURED = result("test_shop.py::test_load", 4, 31 * MIB, stack=STACK)
LEAKING = result("test_shop.py::test_load", 4, 31 * MIB, leak=2 * MIB, leak_stack=STACK)


async def asked(editor: Editor, uri: str, wanted: types.Range = ALL) -> list[types.InlayHint]:
    found = await editor.text_document_inlay_hint_async(
        types.InlayHintParams(types.TextDocumentIdentifier(uri), wanted)
    )
    return list(found or ())


async def until_hints(editor: Editor, uri: str, expected: Sequence[tuple[int, str]]) -> None:
    """Ask again whenever the server says so, until there are these hints (line from 1, label)."""
    while True:
        before = editor.refreshes[types.WORKSPACE_INLAY_HINT_REFRESH]
        found = [(hint.position.line + 1, hint.label) for hint in await asked(editor, uri)]
        if found == list(expected):
            return
        await editor.until(
            lambda before=before: editor.refreshes[types.WORKSPACE_INLAY_HINT_REFRESH] > before  # type: ignore[misc]
        )


@pytest.mark.asyncio
async def test_hints_come_with_results_and_are_asked_for_again_when_they_change(
    project: Project, editor: Editor
) -> None:
    uri = project.uri("shop.py")
    project.write("shop.py", SHOP)
    editor.open(uri, SHOP)
    assert await asked(editor, uri) == []
    project.run(MEASURED)
    await until_hints(editor, uri, [(2, "31.0 MiB · 100 % of a peak")])
    project.run(LEAKING)
    await until_hints(editor, uri, [(2, "leaks 2.0 MiB")])
    editor.change(uri, 2, inserted(1, "# 😀\n\n"))
    (hint,) = await asked(editor, uri)
    assert hint.position.line == 3


@pytest.mark.asyncio
async def test_tooltips_are_made_when_they_are_asked_for_and_not_for_another_text(
    project: Project, editor: Editor
) -> None:
    project.write("shop.py", SHOP)
    project.run(MEASURED)
    uri = project.uri("shop.py")
    editor.open(uri, SHOP)
    (hint,) = await asked(editor, uri)
    assert hint.tooltip is None
    resolved = await editor.inlay_hint_resolve_async(hint)
    assert isinstance(resolved.tooltip, types.MarkupContent)
    assert "`test_shop.py::test_load`" in resolved.tooltip.value
    editor.change(uri, 2, inserted(1, "\n"))
    assert (await editor.inlay_hint_resolve_async(hint)).tooltip is None
    for data in (None, 5, {"uri": 5}, {"uri": "nonsense", "version": 1}):
        strange = types.InlayHint(types.Position(1, 0), "x", data=data)
        assert (await editor.inlay_hint_resolve_async(strange)).tooltip is None


@pytest.mark.asyncio
async def test_hints_obey_the_settings_and_are_asked_for_again_when_these_change(
    project: Project, editor: Editor
) -> None:
    project.write("shop.py", SHOP)
    project.run(MEASURED)
    uri = project.uri("shop.py")
    editor.open(uri, SHOP)
    hot = [(2, "31.0 MiB · 100 % of a peak")]
    for settings, expected in [
        ({"inlayHints": {"enabled": False}}, []),
        ({"hotLines": {"minimumSize": "2 MB"}}, hot),
        ({"hotLines": {"minimumSize": "32 MB"}}, []),
        ({"hotLines": {"minimumShare": 100}}, hot),
    ]:
        editor.set_configuration({"memlens": settings})
        editor.workspace_did_change_configuration(types.DidChangeConfigurationParams(None))
        await until_hints(editor, uri, expected)


@pytest.mark.asyncio
async def test_hints_are_offered_only_to_clients_that_show_them(
    project: Project, open_editor: OpenEditor
) -> None:
    bare = await open_editor(capabilities=types.ClientCapabilities())
    assert bare.server_capabilities.inlay_hint_provider is None
    full = await open_editor()
    assert full.server_capabilities.inlay_hint_provider == types.InlayHintOptions(
        resolve_provider=True
    )
    capabilities = full_capabilities()
    assert capabilities.text_document is not None
    capabilities.text_document.inlay_hint = types.InlayHintClientCapabilities()
    without = await open_editor(capabilities=capabilities)
    assert without.server_capabilities.inlay_hint_provider == types.InlayHintOptions(
        resolve_provider=False
    )
    project.write("shop.py", SHOP)
    project.run(MEASURED)
    uri = project.uri("shop.py")
    without.open(uri, SHOP)
    (hint,) = await asked(without, uri)
    assert isinstance(hint.tooltip, types.MarkupContent)


@pytest.mark.asyncio
async def test_unknown_and_untitled_documents_have_no_hints(editor: Editor) -> None:
    editor.open("untitled:Untitled-1", SHOP)
    for uri in ("untitled:Untitled-1", "file:///no/such/shop.py", "nonsense"):
        assert await asked(editor, uri) == []
