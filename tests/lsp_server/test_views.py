"""What views are told beside the LSP, and what clients without views of their own are shown."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from memlens.store import FrameRecord, ResultsReader, StackRecord, database_path
from memlens_lsp.features import views
from memlens_lsp.uris import path_of, uri_of

from .conftest import OpenEditor
from .helpers import (
    MIB,
    Editor,
    Project,
    frame,
    full_capabilities,
    inserted,
    result,
    with_fixture,
)

TEST = """\
def test_a():
    load()


def test_b():
    load()


def load():
    return bytearray(3 << 20)
"""
#: What the two tests of `TEST` measured.
LOAD = (frame("load", "test_shop.py", 10), frame("test_a", "test_shop.py", 2))


def measured(peak: int = 3 * MIB) -> list[Any]:
    return [
        result("test_shop.py::test_a", 1, peak, 2 * MIB, stack=LOAD),
        result("test_shop.py::test_b", 5, MIB),
    ]


async def ask(editor: Editor, method: str, params: Mapping[str, Any] | None) -> Any:
    """The answer to a request that is none of the LSP's, as plain JSON."""
    return plain(await editor.protocol.send_request_async(method, params))  # type: ignore[no-untyped-call]


def plain(value: Any) -> Any:
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(item) for name, item in value._asdict().items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


async def until_known(editor: Editor, uri: str) -> None:
    """Wait until the results of the project with diagnostics in *uri* have been read."""
    await editor.until(lambda: editor.marks(uri))


def names(page: Mapping[str, Any]) -> list[str]:
    return [test["id"] for project in page["projects"] for test in project["tests"]]


# The tests of the workspace


@pytest.mark.asyncio
async def test_all_tests_are_told_with_what_they_took(project: Project, editor: Editor) -> None:
    project.write("test_shop.py", TEST)
    project.run(*measured())
    project.run(result("test_shop.py::test_a", 1, 4 * MIB, 2 * MIB, leak=MIB, leak_stack=LOAD))
    await until_known(editor, project.uri("test_shop.py"))
    page = await ask(editor, "memlens/tests", {})
    (told,) = page["projects"]
    assert (told["uri"], told["name"]) == (uri_of(project.root), project.root.name)
    assert (told["replaces"], told["problem"], page["next"]) == (True, None, None)
    assert told["tests"] == [
        {
            "uri": project.uri("test_shop.py"),
            "test": "test_a",
            "id": "test_shop.py::test_a",
            "line": 0,
            "outcome": "failed",
            "peakBytes": 4 * MIB,
            "previousPeakBytes": 3 * MIB,
            "limitBytes": 2 * MIB,
            "verdict": "exceeded",
            "exceeded": ["limit_leaks", "limit_memory"],
            "leakedBytes": MIB,
        },
        {
            "uri": project.uri("test_shop.py"),
            "test": "test_b",
            "id": "test_shop.py::test_b",
            "line": 4,
            "outcome": "passed",
            "peakBytes": MIB,
            "previousPeakBytes": None,
            "limitBytes": None,
            "verdict": None,
            "exceeded": [],
            "leakedBytes": None,
        },
    ]


@pytest.mark.asyncio
async def test_tests_come_in_pages_each_once(project: Project, editor: Editor) -> None:
    project.write("test_shop.py", TEST)
    tests = [result(f"test_{n % 3}.py::test_{n}", 1, MIB) for n in range(20)]
    project.run(*measured(), *tests)
    await until_known(editor, project.uri("test_shop.py"))
    found: list[str] = []
    replaces = []
    page = await ask(editor, "memlens/tests", {"limit": 7})
    while True:
        found += names(page)
        replaces += [project["replaces"] for project in page["projects"]]
        if page["next"] is None:
            break
        page = await ask(editor, "memlens/tests", {"limit": 7, "next": page["next"]})
    assert len(found) == len(set(found)) == 22
    assert found == sorted(found)
    assert replaces == [True, False, False, False]


@pytest.mark.asyncio
async def test_only_what_is_new_is_told_to_who_knows_the_rest(
    project: Project, editor: Editor
) -> None:
    project.write("test_shop.py", TEST)
    project.run(*measured())
    await until_known(editor, project.uri("test_shop.py"))
    page = await ask(editor, "memlens/tests", {})
    same = await ask(editor, "memlens/tests", {"since": page["state"]})
    assert (names(same), same["projects"][0]["replaces"]) == ([], False)
    project.run(result("test_shop.py::test_b", 5, 2 * MIB))
    page = await ask(editor, "memlens/tests", {"since": same["state"]})
    assert (names(page), page["projects"][0]["replaces"]) == (["test_shop.py::test_b"], False)
    # Another database in the place of the one that was known.
    shutil.rmtree(project.root / ".memlens")
    project.run(*measured(), *measured())
    page = await ask(editor, "memlens/tests", {"since": page["state"]})
    assert page["projects"][0]["replaces"]
    assert names(page) == ["test_shop.py::test_a", "test_shop.py::test_b"]


@pytest.mark.asyncio
async def test_tests_in_an_open_document_are_where_they_are_now(
    project: Project, editor: Editor
) -> None:
    project.write("test_shop.py", TEST)
    project.run(*measured())
    uri = project.uri("test_shop.py")
    editor.open(uri, TEST)
    await until_known(editor, uri)
    editor.change(uri, 2, inserted(1, "import os\n\n\n"))
    page = await ask(editor, "memlens/tests", {})
    assert [test["line"] for test in page["projects"][0]["tests"]] == [3, 7]


@pytest.mark.asyncio
async def test_a_project_whose_results_cannot_be_read_says_why(
    project: Project, editor: Editor
) -> None:
    project.write("test_shop.py", TEST)
    project.run(*measured())
    await until_known(editor, project.uri("test_shop.py"))
    path = database_path(project.root)
    path.write_bytes(b"no database at all")
    # Where the server has read in the moment in which the writer closed, all is in the log, too.
    path.with_name(f"{path.name}-wal").unlink(missing_ok=True)
    (told,) = (await ask(editor, "memlens/tests", {}))["projects"]
    assert told["tests"] == []
    assert "results.db" in told["problem"]
    await editor.until(lambda: editor.log_messages)


# Flame graph and history


@pytest.mark.asyncio
async def test_a_flame_graph_has_the_stacks_from_the_outside_in_where_the_lines_are_now(
    project: Project, editor: Editor
) -> None:
    project.write("test_shop.py", TEST)
    project.run(*measured())
    uri = project.uri("test_shop.py")
    await until_known(editor, uri)
    project.write("test_shop.py", f"import os\n{TEST}")
    graph = await ask(editor, "memlens/flameGraph", {"uri": uri, "test": "test_a"})
    assert (graph["id"], graph["kind"]) == ("test_shop.py::test_a", "peak")
    assert (graph["value"], graph["peakBytes"]) == (3 * MIB, 3 * MIB)
    (outer,) = graph["frames"]
    (inner,) = outer["children"]
    assert (outer["name"], outer["line"], outer["value"]) == ("test_a", 2, 3 * MIB)
    assert (inner["name"], inner["line"], inner["uri"]) == ("load", 10, uri)
    assert (inner["children"], inner["valueBefore"]) == ([], None)


@pytest.mark.asyncio
async def test_a_flame_graph_is_compared_with_an_earlier_run(
    project: Project, editor: Editor
) -> None:
    uri = project.uri("test_shop.py")
    project.write("test_shop.py", TEST)
    project.run(*measured(5 * MIB))
    project.run(*measured(4 * MIB))
    await until_known(editor, uri)
    told = await ask(editor, "memlens/history", {"uri": uri, "test": "test_a"})
    assert [(past["peakBytes"], past["limitBytes"]) for past in told["results"]] == [
        (4 * MIB, 2 * MIB),
        (5 * MIB, 2 * MIB),
    ]
    assert (
        len(
            (await ask(editor, "memlens/history", {"uri": uri, "test": "test_a", "limit": 1}))[
                "results"
            ]
        )
        == 1
    )
    before = told["results"][1]["run"]
    graph = await ask(
        editor, "memlens/flameGraph", {"uri": uri, "test": "test_a", "compareWith": before}
    )
    assert graph["comparedWith"]["run"] == before
    assert (graph["value"], graph["valueBefore"]) == (4 * MIB, 5 * MIB)
    assert graph["frames"][0]["valueBefore"] == 5 * MIB


@pytest.mark.asyncio
async def test_what_fixtures_held_is_seen_and_compared_by_itself(
    project: Project, editor: Editor
) -> None:
    uri = project.uri("test_shop.py")
    project.write("test_shop.py", TEST)
    project.write("conftest.py", "def stock():\n    return load()\n")
    test = measured()[0]
    made = frame("stock", "conftest.py", 2)
    project.run(test)
    project.run(with_fixture(test, 1000))
    project.run(with_fixture(with_fixture(test, 9 * MIB, made), 2 * MIB, made, kind="teardown"))
    await until_known(editor, uri)
    asked = {"uri": uri, "test": "test_a"}
    history = await ask(editor, "memlens/history", asked)
    _, light, unmeasured = (past["run"] for past in history["results"])

    async def graph(**more: str) -> dict[str, Any]:
        found = await ask(editor, "memlens/flameGraph", {**asked, **more})
        assert isinstance(found, dict)
        return found

    peak = await graph()
    assert (peak["kind"], peak["kinds"]) == ("peak", ["peak", "setup", "teardown"])
    assert (peak["value"], peak["totalBytes"], peak["totalBytesBefore"]) == (3 * MIB, 3 * MIB, None)
    set_up = await graph(kind="setup", compareWith=light)
    assert (set_up["kind"], set_up["peakBytes"]) == ("setup", 3 * MIB)
    assert (set_up["totalBytes"], set_up["totalBytesBefore"]) == (9 * MIB, 1000)
    assert (set_up["value"], set_up["valueBefore"]) == (9 * MIB, 0)
    (fixture,) = set_up["frames"]
    assert (fixture["name"], fixture["uri"]) == ("stock", project.uri("conftest.py"))
    assert (fixture["line"], fixture["value"]) == (1, 9 * MIB)
    teardown = await graph(kind="teardown", compareWith=unmeasured)
    assert (teardown["totalBytes"], teardown["totalBytesBefore"]) == (2 * MIB, None)
    before = await graph(kind="setup", run=unmeasured)
    assert (before["kinds"], before["totalBytes"], before["frames"]) == (["peak"], None, [])


@pytest.mark.asyncio
async def test_a_leak_that_is_gone_can_be_looked_at_in_a_comparison(
    project: Project, editor: Editor
) -> None:
    uri = project.uri("test_shop.py")
    project.write("test_shop.py", TEST)
    project.run(result("test_shop.py::test_a", 1, 3 * MIB, leak=MIB, leak_stack=LOAD))
    project.run(*measured())
    await until_known(editor, uri)
    asked = {"uri": uri, "test": "test_a"}
    before = (await ask(editor, "memlens/history", asked))["results"][1]["run"]
    graph = await ask(editor, "memlens/flameGraph", asked)
    assert graph["kinds"] == ["peak"]
    graph = await ask(editor, "memlens/flameGraph", {**asked, "compareWith": before})
    assert graph["kinds"] == ["peak", "leak"]


@pytest.mark.asyncio
async def test_a_parametrized_test_stands_for_its_heaviest_case(
    project: Project, editor: Editor
) -> None:
    uri = project.uri("test_shop.py")
    project.write("test_shop.py", TEST)
    cases = [result(f"test_shop.py::test_a[{n}]", 1, n * MIB, MIB) for n in (2, 9, 4)]
    project.run(*cases)
    await until_known(editor, uri)
    told = await ask(editor, "memlens/history", {"uri": uri, "test": "test_a"})
    assert told["test"] == "test_a[9]"


@pytest.mark.asyncio
async def test_a_test_that_nobody_measured_has_neither(project: Project, editor: Editor) -> None:
    params = {"uri": project.uri("test_shop.py"), "test": "test_a"}
    assert await ask(editor, "memlens/flameGraph", params) is None
    assert await ask(editor, "memlens/history", params) is None


#: Wrong parameters, by method, and what is said of them.
WRONG: tuple[tuple[str, Any, str], ...] = (
    ("tests", {"limit": "x"}, "memlens/tests: limit is 'x': expected a whole number"),
    ("tests", {"limit": 0}, "limit is 0: expected a whole number from 1 to 5000"),
    ("tests", {"limit": True}, "limit is True: expected a whole number"),
    ("tests", {"since": "{}x"}, "since is '{}x': not what an answer had as its 'state'"),
    ("tests", {"next": '[{},{"a":[1,"b",2]},"",["",""]]'}, "not what an answer had"),
    ("tests", {"since": '{"a": [1e999, ""]}'}, "not what an answer had"),
    ("tests", [], "memlens/tests: the parameters are []: expected an object"),
    ("history", None, "memlens/history: uri is None: expected a string"),
    ("history", {"uri": "untitled:a", "test": "b"}, "expected the URI of a file"),
    ("history", {"uri": "file:///a", "test": "b\0"}, "test is 'b\\x00': expected a string"),
    ("flameGraph", {"uri": "file:///a", "test": "b", "kind": "x"}, "one of peak, leak, setup"),
    ("flameGraph", {"uri": "file:///a"}, "test is None: expected a string"),
)


@pytest.mark.asyncio
async def test_wrong_parameters_are_refused_with_what_was_expected(editor: Editor) -> None:
    for method, params, said in WRONG:
        with pytest.raises(JsonRpcInvalidParams) as refused:
            await ask(editor, f"memlens/{method}", params)
        assert said in refused.value.message


@pytest.mark.asyncio
async def test_a_comparison_knows_lines_again_that_have_moved_between_the_runs(
    project: Project, editor: Editor
) -> None:
    uri = project.uri("test_shop.py")

    def held(peak: int, line: int) -> Any:
        two = [
            StackRecord("peak", size, 1, (frame("test_a", "test_shop.py", at),))
            for size, at in ((peak, line), (MIB, line + 1))
        ]
        return result("test_shop.py::test_a", 1, peak)._replace(stacks=tuple(two))

    project.write("test_shop.py", "def test_a():\n    load()\n    keep()\n")
    project.run(held(5 * MIB, 2))
    project.write("test_shop.py", "def test_a():\n    start()\n    load()\n    keep()\n")
    project.run(held(4 * MIB, 3))
    asked = {"uri": uri, "test": "test_a"}
    before = (await ask(editor, "memlens/history", asked))["results"][1]["run"]
    graph = await ask(editor, "memlens/flameGraph", {**asked, "compareWith": before})
    assert [(each["line"], each["value"], each["valueBefore"]) for each in graph["frames"]] == [
        (2, 4 * MIB, 5 * MIB),
        (3, MIB, MIB),
    ]


@pytest.mark.asyncio
async def test_a_flame_graph_of_an_earlier_run_is_as_that_run_measured_it(
    project: Project, editor: Editor
) -> None:
    uri = project.uri("test_shop.py")
    project.write("test_shop.py", TEST)
    for peak in (5 * MIB, 4 * MIB, 3 * MIB):
        project.run(*measured(peak))
    await until_known(editor, uri)
    asked = {"uri": uri, "test": "test_a"}
    told = await ask(editor, "memlens/history", asked)
    _, middle, first = (past["run"] for past in told["results"])
    # Lines are where they are now, whichever run is shown.
    project.write("test_shop.py", f"import os\n{TEST}")

    graph = await ask(editor, "memlens/flameGraph", {**asked, "run": middle})
    assert (graph["run"]["run"], graph["comparedWith"]) == (middle, None)
    assert (graph["peakBytes"], graph["value"]) == (4 * MIB, 4 * MIB)
    assert (graph["frames"][0]["value"], graph["frames"][0]["line"]) == (4 * MIB, 2)

    graph = await ask(editor, "memlens/flameGraph", {**asked, "run": middle, "compareWith": first})
    assert (graph["run"]["run"], graph["comparedWith"]["run"]) == (middle, first)
    assert (graph["value"], graph["valueBefore"]) == (4 * MIB, 5 * MIB)


@pytest.mark.asyncio
@pytest.mark.parametrize("parameter", ["run", "compareWith"])
async def test_a_run_that_did_not_measure_the_test_is_refused(
    project: Project, editor: Editor, parameter: str
) -> None:
    project.write("test_shop.py", TEST)
    project.run(*measured())
    await until_known(editor, project.uri("test_shop.py"))
    params = {"uri": project.uri("test_shop.py"), "test": "test_a", parameter: "x"}
    with pytest.raises(
        JsonRpcInvalidParams,
        match=f"{parameter} is 'x': no run 'x' has measured test_shop.py::test_a",
    ):
        await ask(editor, "memlens/flameGraph", params)


def stack(size: int, *frames: FrameRecord) -> StackRecord:
    """A stack whose calls are given from the outside in."""
    return StackRecord("peak", size, 1, tuple(reversed(frames)))


def tree(*stacks: StackRecord, before: list[StackRecord] | None = None) -> list[views.Frame]:
    return views.frames(stacks, before, lambda name: f"file:///{name}", lambda _, line: line)


A, B, C = (frame(name, "a.py", line) for line, name in enumerate("abc", start=1))


def test_calls_are_shared_and_the_largest_comes_first() -> None:
    (root,) = tree(stack(1, A, B), stack(5, A, C), stack(2, A))
    assert (root["name"], root["value"]) == ("a", 8)
    assert [(child["name"], child["value"]) for child in root["children"]] == [("c", 5), ("b", 1)]


def test_a_call_that_moved_with_the_code_is_still_the_same_when_compared() -> None:
    moved = A._replace(line=40)
    (root,) = tree(stack(1, A), before=[stack(3, moved)])
    assert (root["line"], root["value"], root["valueBefore"]) == (0, 1, 3)


def test_of_two_lines_of_a_function_the_one_that_calls_the_same_is_compared() -> None:
    edited = A._replace(line=40)
    nodes = tree(stack(5, A, B), stack(2, edited, C), before=[stack(3, A, C)])
    assert [(node["line"], node["value"], node["valueBefore"]) for node in nodes] == [
        (0, 5, 0),
        (39, 2, 3),
    ]


def test_what_is_called_no_more_is_shown_when_compared() -> None:
    (root,) = tree(stack(1, A, B), before=[stack(3, A, C)])
    assert [
        (child["name"], child["value"], child["valueBefore"]) for child in root["children"]
    ] == [
        ("b", 1, 0),
        ("c", 0, 3),
    ]


def test_a_call_of_native_code_is_no_place_to_go_to() -> None:
    native = FrameRecord("malloc", "src/malloc.c", 0, "native")
    (root,) = tree(stack(1, native))
    assert (root["uri"], root["line"], root["kind"]) == (None, None, "native")


def test_deep_recursion_is_cut_in_the_middle_and_says_so() -> None:
    (node,) = tree(stack(1, A, *[B] * 3000, C))
    depth, omitted = 1, []
    while node["children"]:
        (node,) = node["children"]
        depth += 1
        if node["kind"] == "omitted":
            omitted.append(node["name"])
    assert node["name"] == "c"
    assert depth == 201
    assert omitted == ["2802 more calls"]


# The notification


@pytest.mark.asyncio
async def test_changed_results_are_told_to_who_wants_to_know(
    project: Project, open_editor: OpenEditor
) -> None:
    editor = await open_editor(options={"notifications": ["memlens/resultsChanged"]})
    told: list[Any] = []
    editor.feature("memlens/resultsChanged")(lambda params: told.append(plain(params)))
    project.run(*measured())
    await editor.until(lambda: told)
    assert told == [{"projects": [{"uri": uri_of(project.root)}]}]


# Commands for clients without views


def showing(*, support: bool = True) -> types.ClientCapabilities:
    capabilities = full_capabilities()
    assert capabilities.window is not None
    capabilities.window.show_document = types.ShowDocumentClientCapabilities(support=support)
    return capabilities


async def command(editor: Editor, name: str, *arguments: Any) -> None:
    params = types.ExecuteCommandParams(name, list(arguments))
    await editor.workspace_execute_command_async(params)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["memlens.showFlameGraph", "memlens.showHistory"])
async def test_a_test_is_shown_in_a_browser(
    project: Project, open_editor: OpenEditor, name: str
) -> None:
    editor = await open_editor(capabilities=showing())
    uri = project.uri("test_shop.py")
    project.write("test_shop.py", TEST)
    project.run(*measured())
    await until_known(editor, uri)
    await command(editor, name, {"uri": uri, "test": "test_a"})
    (shown,) = editor.shown_documents
    assert shown.external
    report, _, fragment = shown.uri.partition("#")
    assert fragment == "test=test_shop.py%3A%3Atest_a"
    path = path_of(report)
    assert path is not None
    page = path.read_text(encoding="ascii")
    assert "test_shop.py::test_a" in page
    assert "test_shop.py::test_b" not in page
    assert not editor.messages


@pytest.mark.asyncio
async def test_a_client_that_cannot_open_files_is_told_where_the_report_is(
    project: Project, open_editor: OpenEditor
) -> None:
    editor = await open_editor(capabilities=showing(support=False))
    uri = project.uri("test_shop.py")
    project.write("test_shop.py", TEST)
    project.run(*measured())
    await until_known(editor, uri)
    await command(editor, "memlens.showFlameGraph", {"uri": uri, "test": "test_a"})
    (said,) = editor.messages
    assert str(project.root / ".memlens" / "report-of-a-test.html") in said.message


@pytest.mark.asyncio
async def test_an_interpreter_without_memlens_is_named_with_what_to_do(
    project: Project, open_editor: OpenEditor
) -> None:
    python = project.write("python", '#!/bin/sh\nexec python3 -S -I "$@"\n')
    python.chmod(0o755)
    editor = await open_editor(configuration={"interpreter": str(python)})
    uri = project.uri("test_shop.py")
    project.write("test_shop.py", TEST)
    project.run(*measured())
    await until_known(editor, uri)
    await command(editor, "memlens.showFlameGraph", {"uri": uri, "test": "test_a"})
    (said,) = editor.messages
    assert f"{python} has no pytest-memlens" in said.message
    assert "-m pip install pytest-memlens" in said.message


@pytest.mark.asyncio
async def test_commands_that_the_client_has_are_not_registered_a_second_time(
    project: Project, open_editor: OpenEditor
) -> None:
    editor = await open_editor(options={"commands": ["memlens.showFlameGraph"]})
    argument = {"uri": project.uri("test_shop.py"), "test": "test_a"}
    with pytest.raises(JsonRpcInvalidParams, match="not defined"):
        await command(editor, "memlens.showFlameGraph", argument)
    await command(editor, "memlens.showHistory", argument)
    assert "has not been measured yet" in editor.messages[0].message


async def cleared(editor: Editor, answer: str | None, *arguments: Any) -> str:
    """Answer what `memlens.clearResults` asks; return its question."""
    asked: list[types.ShowMessageRequestParams] = []

    def choose(params: types.ShowMessageRequestParams) -> types.MessageActionItem | None:
        asked.append(params)
        return next((item for item in params.actions or () if item.title == answer), None)

    editor.protocol.fm.features.pop(types.WINDOW_SHOW_MESSAGE_REQUEST, None)
    editor.feature(types.WINDOW_SHOW_MESSAGE_REQUEST)(choose)
    await command(editor, "memlens.clearResults", *arguments)
    return asked[0].message


@pytest.mark.asyncio
async def test_results_are_deleted_only_if_the_user_agrees(
    project: Project, editor: Editor
) -> None:
    uri = project.uri("test_shop.py")
    project.write("test_shop.py", TEST)
    project.run(*measured())
    await until_known(editor, uri)
    question = await cleared(editor, None)
    assert f"the results of {project.root.name} (1 run)" in question
    with ResultsReader(database_path(project.root)) as reader:
        assert len(reader.runs()) == 1
    await cleared(editor, "Delete", {"uri": uri})
    assert not database_path(project.root).exists()
    await editor.until(lambda: not editor.marks(uri))


@pytest.mark.asyncio
async def test_where_there_are_no_results_nothing_is_deleted(editor: Editor) -> None:
    await command(editor, "memlens.clearResults")
    assert "no results to delete" in editor.messages[0].message


# How quick it is


@pytest.mark.asyncio
async def test_the_message_loop_is_free_while_a_test_is_looked_for(
    project: Project, editor: Editor
) -> None:
    project.write("test_shop.py", TEST)
    project.run(*measured())
    uri = project.uri("test_shop.py")
    await until_known(editor, uri)
    asked = {"uri": uri, "test": "test_a"}
    answers = await asyncio.gather(*(ask(editor, "memlens/history", asked) for _ in range(50)))
    assert all(answer == answers[0] for answer in answers)
