"""Completion inside markers, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types
from pygls.workspace import PositionCodec

from memlens_lsp.features.completions import completions
from memlens_lsp.results import FileResults

from .conftest import OpenEditor
from .helpers import MIB, Editor, Project, full_capabilities, result

CODEC = PositionCodec()
PEAK = int(31.2 * MIB)
COMMON = ["1 MB", "10 MB", "24 MB", "100 MB", "500 MB", "1 GB"]
BEFORE = "import pytest\n\n\n"
AFTER = "\ndef test_a(): ...\n"


def offered(typed: str, *, peak: int | None = None, after: str = AFTER) -> dict[str, str]:
    """What is offered at the "|" in a text, by label, and the text's line after taking it."""
    text = f"{BEFORE}{typed}{after}"
    offset = text.index("|")
    text = text.replace("|", "", 1)
    before = text[:offset].split("\n")
    position = types.Position(len(before) - 1, len(before[-1]))
    tests = [result("test_a.py::test_a", 5, peak)] if peak is not None else []
    items = completions(text, position, FileResults(name="test_a.py", tests=tests), CODEC)
    assert [item.sort_text for item in items] == sorted(item.sort_text or "" for item in items)
    line = text.split("\n")[position.line]
    taken = {}
    for item in items:
        edit = item.text_edit
        assert isinstance(edit, types.TextEdit)
        start, end = edit.range.start, edit.range.end
        assert start.line == end.line == position.line
        assert start.character <= position.character <= end.character
        taken[item.label] = line[: start.character] + edit.new_text + line[end.character :]
    return taken


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("@pytest.mark.|", ["limit_memory", "limit_leaks", "limit_leaked_objects"]),
        ("@pytest.mark.limi|", ["limit_memory", "limit_leaks", "limit_leaked_objects"]),
        ("@pytest.mark.limit_le|", ["limit_leaks", "limit_leaked_objects"]),
        ("@pytest.mark.limit_m|em", ["limit_memory"]),
        ("pytestmark = [pytest.mark.limit_m|", ["limit_memory"]),
        ("@pytest.mark.par|", []),
        ("@pytest.limi|", []),
        ("@my.mark.limi|", []),
        ("# pytest.mark.limi|", []),
        ('"pytest.mark.limi|', []),
        ("limi|", []),
        ("x = 3.|", []),
    ],
)
def test_the_names_of_our_markers_are_offered(typed: str, names: list[str]) -> None:
    taken = offered(typed)
    assert list(taken) == names
    for name, line in taken.items():
        assert line.endswith(f"pytest.mark.{name}")


def test_names_are_documented_as_pytest_does() -> None:
    text = "@pytest.mark."
    items = completions(text, types.Position(0, 13), FileResults(), CODEC)
    assert items[0].detail == "(memory_limit, *, current_thread_only=False)"
    assert str(items[0].documentation).startswith("fail the test when its peak memory is at or")


def test_mark_is_known_by_other_names() -> None:
    assert "limit_memory" in offered("from pytest import mark as m\n@m.limi|")
    assert offered("@m.limi|") == {}


@pytest.mark.parametrize("after", [AFTER, f")\n{AFTER}", f'")\n{AFTER}'])
@pytest.mark.parametrize("quote", ['"', "'"])
def test_sizes_are_offered_inside_the_string(quote: str, after: str) -> None:
    after = after.replace('"', quote)
    taken = offered(f"@pytest.mark.limit_memory({quote}|", after=after)
    assert list(taken) == COMMON
    closing = after.partition("\n")[0]
    assert taken["24 MB"] == f"@pytest.mark.limit_memory({quote}24 MB{closing}"


def test_the_size_that_follows_from_the_peak_comes_first() -> None:
    assert list(offered('@pytest.mark.limit_memory("|")', peak=PEAK)) == ["35 MB", *COMMON]
    text = f'{BEFORE}@pytest.mark.limit_memory(""){AFTER}'
    tests = [result("test_a.py::test_a", 5, PEAK)]
    results = FileResults(name="test_a.py", tests=tests)
    first = completions(text, types.Position(3, 27), results, CODEC)[0]
    assert first.preselect
    assert first.detail == "the peak was 31.2 MiB, with head-room"


def test_a_size_replaces_the_one_that_is_there_in_its_unit() -> None:
    taken = offered('@pytest.mark.limit_memory("24| KB", current_thread_only=True)', peak=PEAK)
    assert taken["36000 KB"] == ('@pytest.mark.limit_memory("36000 KB", current_thread_only=True)')


def test_of_a_half_typed_marker_the_test_is_known() -> None:
    typed = '@pytest.mark.parametrize("x", [1])\n@pytest.mark.limit_memory("|'
    assert next(iter(offered(typed, peak=PEAK))) == "35 MB"


@pytest.mark.parametrize("after", [AFTER, f")\n{AFTER}"])
def test_sizes_and_arguments_are_offered_after_the_bracket(after: str) -> None:
    taken = offered("@pytest.mark.limit_leaks(|", after=after)
    arguments = ["location_limit=", "filter_fn=", "current_thread_only=", "warmups="]
    assert list(taken) == [*COMMON, *arguments]
    assert taken["24 MB"].startswith('@pytest.mark.limit_leaks("24 MB"')


@pytest.mark.parametrize(
    ("typed", "labels"),
    [
        ('limit_leaks("1 MB", |)', ["filter_fn=", "current_thread_only=", "warmups="]),
        ('limit_leaks("1 MB", warmups=1, |)', ["filter_fn=", "current_thread_only="]),
        ('limit_leaks("1 MB",\n    fil|\n)', ["filter_fn=", "current_thread_only=", "warmups="]),
        ('limit_leaks("1 MB",\n    |', ["filter_fn=", "current_thread_only=", "warmups="]),
        ('limit_leaks("1 MB", curr|, warmups=1)', ["filter_fn=", "current_thread_only="]),
        (
            "limit_leaks(loc|)",
            ["location_limit=", "filter_fn=", "current_thread_only=", "warmups="],
        ),
        ("limit_leaks(location_limit=|)", COMMON),
        ('limit_leaks(location_limit="|")', COMMON),
        ('limit_leaks("1 MB", current_thread_only=|)', ["True", "False"]),
        ('limit_leaks("1 MB", current_thread_only=Tr|)', ["True", "False"]),
        ('limit_leaks("1 MB", warmups=|)', ["1", "2", "3"]),
        ("limit_leaked_objects(|)", ["filter_fn="]),
        ('limit_leaks("1 MB"|)', COMMON),
        ('limit_leaks("1 MB" |)', []),
        ('limit_leaks("1 MB", war|mups=1)', []),
        ('limit_leaks("1 MB", filter_fn="|")', []),
        ('limit_leaks("1 MB", filter_fn=lambda stack: "|")', []),
        ('limit_leaks("1 MB")|', []),
        ('limit_leaks("1 MB")\n@other(|)', []),
        ('limit_memroy("|")', []),
        ('slow("|")', []),
    ],
)
def test_what_may_stand_there_is_offered(typed: str, labels: list[str]) -> None:
    if labels is COMMON and '"1 MB"|' in typed:
        labels = []  # after the string there is nothing but a comma
    assert list(offered(f"@pytest.mark.{typed}")) == labels


@given(st.text(alphabet='@pytest.mark.limit_leaks("1 MB", =)\n\'🎈\r|', max_size=80), st.data())
def test_any_place_in_any_text_is_asked_about_in_peace(text: str, data: st.DataObject) -> None:
    text = f"@pytest.mark.limit_leaks({text}"
    position = types.Position(data.draw(st.integers(0, 5)), data.draw(st.integers(0, 90)))
    for item in completions(text, position, FileResults(), CODEC):
        assert isinstance(item.text_edit, types.TextEdit)


@pytest.mark.asyncio
async def test_an_editor_gets_what_was_measured(editor: Editor, project: Project) -> None:
    provider = editor.server_capabilities.completion_provider
    assert provider is not None
    assert set("\"'(,.") <= set(provider.trigger_characters or ())
    text = f'{BEFORE}@pytest.mark.limit_memory("🎈", ""){AFTER}'.replace('"🎈", ', "")
    project.write("test_a.py", text)
    project.run(result("test_a.py::test_a", 5, PEAK))
    uri = project.uri("test_a.py")
    editor.open(uri, text)

    async def labels(uri: str, character: int) -> list[str]:
        answer = await editor.text_document_completion_async(
            types.CompletionParams(types.TextDocumentIdentifier(uri), types.Position(3, character))
        )
        assert not isinstance(answer, types.CompletionList)
        return [item.label for item in answer or ()]

    assert (await labels(uri, 27))[0] == "35 MB"
    assert await labels(uri, 5) == []
    assert await labels(uri, 5000) == []
    assert await labels(project.uri("never_opened.py"), 27) == []


@pytest.mark.asyncio
async def test_a_client_without_completion_is_offered_none(open_editor: OpenEditor) -> None:
    capabilities = full_capabilities()
    assert capabilities.text_document is not None
    capabilities.text_document.completion = None
    capabilities.text_document.code_action = None
    editor = await open_editor(capabilities=capabilities)
    assert editor.server_capabilities.completion_provider is None
    assert editor.server_capabilities.code_action_provider is None
