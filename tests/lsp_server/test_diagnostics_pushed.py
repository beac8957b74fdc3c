"""Diagnostics that the client is pushed: markers as typed, settings, over the real protocol."""

from __future__ import annotations

from typing import Any

import pytest
from lsprotocol import types

from .conftest import OpenEditor
from .helpers import MIB, Editor, Project, frame, full_capabilities, inserted, result

pytestmark = pytest.mark.asyncio

TEST = """\
import pytest


@pytest.mark.limit_memory("24 MiB")
def test_load():
    bytearray(31 << 20)
"""
OVER = result(
    "test_shop.py::test_load",
    5,
    31 * MIB,
    24 * MIB,
    stack=[frame("test_load", "test_shop.py", 6)],
)
NEAR = result("test_shop.py::test_load", 5, 23 * MIB, 24 * MIB)
BOTH = [(5, "memory-limit-exceeded"), (6, "memory-hotspot")]


@pytest.fixture
def uri(project: Project) -> str:
    project.write("test_shop.py", TEST)
    return project.uri("test_shop.py")


def change_settings(editor: Editor, settings: dict[str, Any]) -> None:
    editor.set_configuration({"memlens": settings})
    editor.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings=None))


async def test_a_marker_that_cannot_work_is_marked_as_it_is_typed_and_not_twice(
    uri: str, project: Project, editor: Editor
) -> None:
    editor.open(uri, TEST)
    editor.change(uri, 2, inserted(5, '@pytest.mark.limit_leaks("many")\n'))
    await editor.until(lambda: editor.marks(uri) == [(5, "invalid-marker")])
    assert editor.published[-1].version == 2
    project.run(OVER)
    await editor.until(
        lambda: (
            sorted(editor.marks(uri))
            == [(5, "invalid-marker"), (6, "memory-limit-exceeded"), (7, "memory-hotspot")]
        )
    )
    line = types.Range(types.Position(4, 0), types.Position(5, 0))
    editor.change(uri, 3, types.TextDocumentContentChangePartial(line, ""))
    await editor.until(lambda: editor.marks(uri) == BOTH)


async def test_a_file_that_is_not_open_or_no_python_has_no_markers_checked(
    project: Project, editor: Editor
) -> None:
    wrong = 'import pytest\n\n\n@pytest.mark.limit_leaks("many")\ndef test_a(): ...\n'
    uri = project.uri("test_a.py")
    project.write("test_a.py", wrong)
    editor.open(project.uri("notes.md"), wrong)
    editor.open(uri, wrong)
    await editor.until(lambda: editor.marks(uri) == [(4, "invalid-marker")])
    editor.text_document_did_close(
        types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri))
    )
    await editor.until(lambda: editor.marks(uri) == [])
    assert {params.uri for params in editor.published} == {uri}


async def test_a_test_near_its_limit_is_marked_for_information(
    uri: str, project: Project, editor: Editor
) -> None:
    project.run(NEAR)
    await editor.until(lambda: editor.marks(uri) == [(5, "memory-near-limit")])
    (mark,) = editor.diagnostics[uri]
    assert mark.severity == types.DiagnosticSeverity.Information
    assert mark.message == "Peak memory of 23.0 MiB is 96 % of the limit of 24.0 MiB"
    assert mark.range == types.Range(types.Position(4, 4), types.Position(4, 13))


async def test_settings_are_obeyed_at_once(uri: str, project: Project, editor: Editor) -> None:
    project.run(OVER)
    await editor.until(lambda: editor.marks(uri) == BOTH)
    change_settings(editor, {"diagnostics": {"enabled": False}})
    await editor.until(lambda: editor.marks(uri) == [])
    change_settings(editor, {"diagnostics.severity": {"memory-hotspot": "off"}})
    await editor.until(lambda: editor.marks(uri) == BOTH[:1])
    change_settings(editor, {"diagnostics.severity": {"memory-limit-exceeded": "hint"}})
    await editor.until(
        lambda: (
            [mark.severity for mark in editor.diagnostics[uri]]
            == [types.DiagnosticSeverity.Hint, types.DiagnosticSeverity.Information]
        )
    )


async def test_thresholds_are_settings(uri: str, project: Project, open_editor: OpenEditor) -> None:
    project.run(NEAR)
    editor = await open_editor(configuration={"diagnostics": {"nearLimit": 1}})
    near = [(5, "memory-near-limit")]
    project.run(result("test_shop.py::test_other", 5, 9 * MIB, 8 * MIB))
    await editor.until(lambda: editor.marks(uri) == [(5, "memory-limit-exceeded")])
    change_settings(editor, {"diagnostics": {"nearLimit": 5}})
    await editor.until(lambda: near[0] in editor.marks(uri))
    project.run(OVER)
    await editor.until(lambda: BOTH[1] in editor.marks(uri))
    change_settings(editor, {"diagnostics": {"hotspot": 100}})
    held = OVER._replace(stacks=(OVER.stacks[0]._replace(bytes=20 * MIB),))
    project.run(held)
    await editor.until(lambda: BOTH[1] not in editor.marks(uri))


async def test_each_code_links_to_what_explains_it_where_the_client_shows_links(
    uri: str, project: Project, open_editor: OpenEditor
) -> None:
    project.run(OVER)
    capabilities = full_capabilities()
    assert capabilities.text_document is not None
    capabilities.text_document.publish_diagnostics = types.PublishDiagnosticsClientCapabilities(
        code_description_support=True
    )
    editor = await open_editor(capabilities=capabilities)
    await editor.until(lambda: editor.marks(uri) == BOTH)
    for mark in editor.diagnostics[uri]:
        assert mark.code_description is not None
        assert mark.code_description.href.endswith(f"docs/diagnostics.md#{mark.code}")
    plain = await open_editor()
    await plain.until(lambda: plain.marks(uri) == BOTH)
    assert not any(mark.code_description for mark in plain.diagnostics[uri])
