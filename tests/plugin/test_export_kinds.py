"""Each kind of report, made of results that are as awkward as results can be."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from markdown_it import MarkdownIt

from memlens.exports import KINDS, parse_request, render, render_test
from memlens.exports.document import document
from memlens.exports.github import workflow_commands
from memlens.exports.markdown import MARK
from memlens.exports.results import Results
from memlens.exports.text import file_name, markdown_code, markdown_text, printable, uri
from memlens.store import (
    CheckRecord,
    FrameRecord,
    PhaseRecord,
    RunRecord,
    StackRecord,
    TestRecord,
)
from memlens.store.reading import PastResult

REPOSITORY = Path(__file__).parents[2]
PUBLISHED = Path(__file__).parent / "published"

RUN = RunRecord(
    uuid="run-1",
    started="2026-01-02T03:04:05.000006+00:00",
    finished="2026-01-02T03:05:05.000006+00:00",
    status="finished",
    exit_status=1,
    command_line=("--memray", "tests/a [1].py"),
    rootdir="/project 1",
    versions={"memlens": "0.1.0", "python": "3.12.1"},
    git_commit=None,
    git_dirty=None,
    collected=2,
    id=1,
)
#: What a test may be called, and what would happen if it were not escaped.
NAMES = {
    "quotes": "test_a[\"'`x`'\"]",
    "lines": "test_a[one\ntwo\r\nthree\x1b[31m]",
    "markup": "test_a[</code></details><script>alert(1)</script>&amp;]",
    "table": "test_a[a|b\\|c||]",
    "markdown": "test_a[**b** _i_ [l](u) ![i](u) ``` ~~~ # @all]",
    "commands": "test_a[::error file=x,line=1::%0A,y]",
    "other scripts": "test_ä[漢字 \u202eright to left]",
    "surrogates": "test_a[\udc80\ud800]",
}
CHECK = CheckRecord("limit_memory", 1024, 2048, "exceeded", "Peak of 2.0 KiB is over 1.0 KiB")
CALL = PhaseRecord("call", 2048, 4096, 3, 0, (0, 1, 2))


def a_test(name: str = "test_a", **fields: Any) -> TestRecord:
    path = fields.get("path", "tests/test_a b#%.py")
    test = TestRecord(
        nodeid=f"{path}::{name}",
        path=path,
        line=4,
        outcome="failed",
        duration=0.1,
        worker=None,
        phases=(CALL,),
        checks=(CHECK,),
        stacks=(
            StackRecord(
                "peak",
                1500,
                2,
                (
                    FrameRecord("malloc|`", "", 0, "native"),
                    FrameRecord("<lambda>", "<string>", 1, "library"),
                    FrameRecord("load\n", "C:\\Users\\a b\\shop.py", 3, "library"),
                    FrameRecord("zeros", "/usr/lib/python3/n#m.py", 9, "library"),
                    FrameRecord(name, path, 5, "project"),
                ),
            ),
        ),
        id=7,
        run=1,
    )
    return test._replace(**{key: value for key, value in fields.items() if key != "path"})


def results(*tests: TestRecord, **fields: Any) -> Results:
    return Results(tests, runs=(RUN,), **fields)


def checked_json(text: str, schema: Path) -> Any:
    """Return what *text* says, once it is sure that it is as *schema* says."""
    rules = json.loads(schema.read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(rules)
    validator.check_schema(rules)
    value = json.loads(text)
    validator(rules, format_checker=validator.FORMAT_CHECKER).validate(value)
    return value


def rendered(markdown: str) -> str:
    """Return *markdown* as HTML, with tables and raw HTML as GitHub has them."""
    return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))


def the_leak(**fields: Any) -> TestRecord:
    site = FrameRecord("keep", "shop/cache.py", 2, "project")
    caller = FrameRecord("test_a", "tests/test_a.py", 5, "project")
    return a_test(
        path="tests/test_a.py",
        checks=(CheckRecord("limit_leaks", 1024, 2048, "exceeded", "Leaked 2.0 KiB"),),
        stacks=(
            StackRecord(
                "leak", 2048, 2, (FrameRecord("malloc", "libc", 0, "native"), site, caller)
            ),
            StackRecord("leak", 1024, 1, (site._replace(line=3), caller)),
        ),
        **fields,
    )


# json


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_json_is_as_its_schema_says_and_keeps_what_was_measured(name: str) -> None:
    test = a_test(name)
    text = render("json", results(test, past={7: (PastResultOf(1000),)}))
    whole = checked_json(text, REPOSITORY / "docs/schema/results-1.json")
    assert text.isascii()
    (told,) = whole["tests"]
    assert told["nodeid"] == test.nodeid
    assert (told["peak_bytes"], told["allocated_bytes"], told["allocations"]) == (2048, 4096, 3)
    assert told["phases"][0]["histogram"] == [0, 1, 2]
    assert told["limits"][0]["verdict"] == "exceeded"
    assert [frame["line"] for frame in told["stacks"][0]["frames"]] == [None, 1, 3, 9, 5]
    assert [frame["native"] for frame in told["stacks"][0]["frames"]] == [True] + 4 * [False]
    assert told["history"] == [{"run": "run-0", "outcome": "passed", "peak_bytes": 1000}]
    assert (told["run"], whole["runs"][0]["uuid"]) == ("run-1", "run-1")


def PastResultOf(peak: int) -> PastResult:  # noqa: N802 - reads as what it returns
    values: dict[str, Any] = dict.fromkeys(PastResult._fields)
    return PastResult(**(values | {"uuid": "run-0", "outcome": "passed", "peak_bytes": peak}))


def test_json_has_null_for_what_was_not_counted() -> None:
    phase = CALL._replace(allocated_bytes=None, allocations=None, histogram=())
    text = render("json", results(a_test(phases=(phase,)), a_test(phases=())))
    uncounted, unmeasured = checked_json(text, REPOSITORY / "docs/schema/results-1.json")["tests"]
    assert uncounted["peak_bytes"] == 2048
    assert uncounted["allocations"] is uncounted["allocated_bytes"] is None
    assert uncounted["phases"][0]["histogram"] is None
    assert unmeasured["peak_bytes"] is None


def test_json_tells_leaks_where_somebody_looked_for_them() -> None:
    objects = CheckRecord("limit_leaked_objects", 0, 77, "exceeded", "…")
    not_judged = the_leak().checks[0]._replace(verdict="not_judged")
    tests = (
        a_test(),
        the_leak(),
        a_test(checks=(objects,), stacks=()),
        a_test(checks=(not_judged,), stacks=()),
    )
    assert [test["leaked_bytes"] for test in document(results(*tests))["tests"]] == [
        None,
        3072,
        77,
        None,
    ]


def test_a_schema_says_of_each_property_what_it_must_be() -> None:
    schema = json.loads((REPOSITORY / "docs/schema/results-1.json").read_text(encoding="utf-8"))
    for definition in (schema, *schema["$defs"].values()):
        properties = definition.get("properties", {})
        assert sorted(definition.get("required", ())) == sorted(properties)
    whole = json.loads(render("json", results(a_test(), past={7: (PastResultOf(1),)})))
    whole["tests"][0]["peak_bytes"] = "2048"
    with pytest.raises(jsonschema.ValidationError, match="'2048' is not of type"):
        checked_json(json.dumps(whole), REPOSITORY / "docs/schema/results-1.json")


# sarif


def sarif_run(text: str) -> dict[str, Any]:
    (run,) = checked_json(text, PUBLISHED / "sarif-2.1.0.json")["runs"]
    assert isinstance(run, dict)
    return run


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_sarif_is_as_the_published_schema_says(name: str) -> None:
    test = a_test(name)
    run = sarif_run(render("sarif", results(test)))
    result, hotspot = run["results"]
    assert (result["ruleId"], hotspot["ruleId"]) == ("memory-limit-exceeded", "memory-hotspot")
    assert (hotspot["level"], hotspot["locations"][0]["physicalLocation"]["region"]) == (
        "note",
        {"startLine": 5},
    )
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert result["level"] == "error"
    assert result["message"]["text"] == f"{name}: {CHECK.message}"
    (location,) = result["locations"]
    assert location["physicalLocation"]["artifactLocation"] == {
        "uri": "tests/test_a%20b%23%25.py",
        "uriBaseId": "%SRCROOT%",
    }
    assert location["logicalLocations"][0]["fullyQualifiedName"] == test.nodeid


def test_sarif_has_a_code_flow_for_each_stack_in_the_order_of_the_calls() -> None:
    leak, *sites = sarif_run(render("sarif", results(the_leak())))["results"]
    flows = [
        [
            step["location"]["logicalLocations"][0]["name"]
            for step in flow["threadFlows"][0]["locations"]
        ]
        for flow in leak["codeFlows"]
    ]
    assert flows == [["test_a", "keep"], ["test_a", "keep"]]
    assert [related["message"]["text"] for related in leak["relatedLocations"]] == [
        "2.0 KiB leaked, 2 allocations, in keep",
        "1.0 KiB leaked, 1 allocation, in keep",
    ]
    assert [site["ruleId"] for site in sites] == ["leak-site", "leak-site"]


def test_sarif_names_files_of_other_places_by_absolute_uris() -> None:
    result = sarif_run(render("sarif", results(a_test())))["results"][0]
    steps = result["codeFlows"][0]["threadFlows"][0]["locations"]
    places = [
        step["location"].get("physicalLocation", {}).get("artifactLocation", {}).get("uri")
        for step in steps
    ]
    assert places == [
        "tests/test_a%20b%23%25.py",
        "file:///usr/lib/python3/n%23m.py",
        "file:///C:/Users/a%20b/shop.py",
        None,
    ]


def test_sarif_says_where_the_root_was_and_how_pytest_was_started() -> None:
    run = sarif_run(render("sarif", results(a_test())))
    assert run["originalUriBaseIds"]["%SRCROOT%"]["uri"] == "file:///project%201/"
    (invocation,) = run["invocations"]
    assert invocation["arguments"] == ["--memray", "tests/a [1].py"]
    assert invocation["startTimeUtc"] == "2026-01-02T03:04:05.000006Z"
    elsewhere = RUN._replace(id=2, uuid="run-2", rootdir="/other")
    both = results(a_test())._replace(runs=(RUN, elsewhere))
    assert "uri" not in sarif_run(render("sarif", both))["originalUriBaseIds"]["%SRCROOT%"]


def test_sarif_marks_the_name_in_the_text_that_was_measured() -> None:
    source = "\n\n\n    def test_a(): ...\n"
    test = a_test(path="tests/test_a.py")
    told = results(test, sources={(1, "tests/test_a.py"): source})
    result = sarif_run(render("sarif", told))["results"][0]
    region = result["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 4, "startColumn": 9, "endColumn": 15}


def test_sarif_fingerprints_stay_when_lines_move_and_tell_findings_apart() -> None:
    def fingerprints(test: TestRecord) -> list[str]:
        return [
            result["partialFingerprints"]["memlensFinding/v1"]
            for result in sarif_run(render("sarif", results(test)))["results"]
        ]

    before = fingerprints(the_leak())
    assert len(set(before)) == 3
    moved = tuple(
        stack._replace(
            frames=tuple(
                frame._replace(line=frame.line and frame.line + 10) for frame in stack.frames
            )
        )
        for stack in the_leak().stacks
    )
    assert fingerprints(the_leak()._replace(line=14, stacks=moved)) == before
    assert not set(fingerprints(the_leak(nodeid="tests/test_a.py::test_b"))) & set(before)


def test_sarif_suppresses_what_a_test_is_expected_to_do() -> None:
    told = sarif_run(render("sarif", results(a_test(outcome="xfailed"))))["results"]
    assert [result["suppressions"][0]["kind"] for result in told] == ["inSource", "inSource"]


def a_test_near_its_limit() -> TestRecord:
    kept = CheckRecord("limit_memory", 2100, 2048, "passed", "")
    return a_test(outcome="passed", checks=(kept,))


def test_sarif_has_a_note_for_a_test_that_is_near_its_limit() -> None:
    run = sarif_run(render("sarif", results(a_test_near_its_limit())))
    (result,) = run["results"]
    assert (result["ruleId"], result["level"]) == ("memory-near-limit", "note")
    assert "codeFlows" not in result


def test_sarif_of_nothing_is_valid_and_every_rule_has_a_page() -> None:
    run = sarif_run(render("sarif", Results()))
    assert run["results"] == []
    for rule in run["tool"]["driver"]["rules"]:
        assert rule["help"]["markdown"] in (REPOSITORY / "docs" / "diagnostics.md").read_text()
        assert rule["help"]["markdown"]


# github


def workflow_command(line: str) -> tuple[str, dict[str, str], str]:
    """Return kind, properties and message of *line*, read as GitHub's runner reads it."""
    match = re.fullmatch(r"::(\w+) ([^:\n]*?)::(.*)", line)
    assert match is not None, line
    properties = dict(given.split("=", 1) for given in match[2].split(","))

    def plain(text: str) -> str:
        for escaped, character in ("%0A", "\n"), ("%0D", "\r"), ("%3A", ":"), ("%2C", ","):
            text = text.replace(escaped, character)
        return text.replace("%25", "%")

    return match[1], {name: plain(value) for name, value in properties.items()}, plain(match[3])


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_annotations_are_one_line_each_whatever_a_test_is_called(name: str) -> None:
    text = workflow_commands(results(a_test(name, path="tests/a,b:c%.py")), {})
    line, hotspot = text.splitlines()
    text.encode("utf-8")
    kind, properties, message = workflow_command(hotspot)
    assert (kind, properties["line"]) == ("notice", "5")
    assert message.startswith("1.5 KiB allocated here was alive at the peak of ")
    kind, properties, message = workflow_command(line)
    assert (kind, properties["file"], properties["line"]) == ("error", "tests/a,b:c%.py", "4")
    assert properties["title"] == "memory-limit-exceeded in " + printable(
        f"tests/a,b:c%.py::{name}"
    )
    assert message.splitlines()[0] == CHECK.message


def test_annotations_name_files_from_the_repositorys_root() -> None:
    run = RUN._replace(rootdir="/runner/work/app/backend")
    told = Results((the_leak(),), (run,))
    lines = workflow_commands(told, {"GITHUB_WORKSPACE": "/runner/work/app"}).splitlines()
    commands = [workflow_command(line) for line in lines]
    assert [(kind, properties["file"]) for kind, properties, _ in commands] == [
        ("error", "backend/tests/test_a.py"),
        ("warning", "backend/shop/cache.py"),
        ("warning", "backend/shop/cache.py"),
    ]
    (elsewhere, *_) = workflow_commands(told, {"GITHUB_WORKSPACE": "/other"}).splitlines()
    assert workflow_command(elsewhere)[1]["file"] == "tests/test_a.py"


def test_what_is_expected_to_fail_is_not_annotated() -> None:
    assert workflow_commands(results(a_test(outcome="xfailed")), {}) == ""


def test_what_passed_near_its_limit_is_not_annotated() -> None:
    assert workflow_commands(results(a_test_near_its_limit()), {}) == ""


def test_an_annotation_tells_of_the_projects_line_first_and_of_no_native_frames() -> None:
    leak, *_ = workflow_commands(results(the_leak()), {}).splitlines()
    assert workflow_command(leak)[2].splitlines()[1:] == [
        "  2.0 KiB leaked, 2 allocations, in keep (shop/cache.py:2)",
        "  called by test_a (tests/test_a.py:5)",
        "  1.0 KiB leaked, 1 allocation, in keep (shop/cache.py:3)",
        "  called by test_a (tests/test_a.py:5)",
    ]
    over, *_ = workflow_commands(results(a_test("test_b")), {}).splitlines()
    assert workflow_command(over)[2].splitlines()[1] == (
        "  1.5 KiB alive, 2 allocations, asked for by test_b (tests/test_a b#%.py:5)"
    )


# markdown


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_markdown_shows_a_tests_name_and_nothing_that_it_says(name: str) -> None:
    message = CHECK.message + name
    test = a_test(name, checks=(CHECK._replace(message=message),))
    text = render("markdown", results(test))
    text.encode("utf-8")
    page = rendered(text)
    # One row of failures and one of the heaviest: no name has broken a table.
    assert page.count("<tr>") == 4
    assert page.count("<td") == 4 + 3
    assert page.count("<details>") == page.count("</details>") == 2
    for tag in "<script", "<strong", "<em>", "<a ", "<img", "<h1":
        assert tag not in page
    # In the totals, both tables and above the call stacks.
    assert unescape(page).count(f"<code>{printable(test.nodeid)}</code>") == 4


def test_markdown_begins_with_what_finds_the_comment_again() -> None:
    text = render("markdown", results(a_test()))
    assert text.startswith(f"{MARK}\n### Memory: 1 of 1 test over the limit\n")
    assert "| 2.0 KiB | 1.0 KiB |" in text
    assert "200% of 1.0 KiB" in text


def test_markdown_says_that_all_is_well_and_that_nothing_was_measured() -> None:
    passed = a_test(outcome="passed", checks=(CHECK._replace(verdict="passed"),))
    assert "### Memory: every test is within its limits" in render("markdown", results(passed))
    assert "| problem |" not in render("markdown", results(passed))
    assert "no test was measured" in render("markdown", Results())


def test_markdown_fits_into_a_comment_however_much_there_is_to_tell() -> None:
    deep = tuple(FrameRecord("f" * 500, "p" * 500, line, "project") for line in range(1, 100))
    tests = [
        a_test(f"test_{number}[{'|' * 1000}]", stacks=3 * (StackRecord("peak", 1, 1, deep),))
        for number in range(1000)
    ]
    text = render("markdown", results(*tests))
    assert len(text) < 65_536
    assert "and 975 more." in text
    assert "The 10 heaviest tests" in text


def test_markdown_counts_allocations_where_they_were_counted() -> None:
    uncounted = a_test("test_b", phases=(CALL._replace(allocations=None, allocated_bytes=None),))
    assert "2 tests measured, 3 allocations in 1 of them" in render(
        "markdown", results(a_test(), uncounted)
    )
    assert "1 test measured, 1 with a limit" in render("markdown", results(uncounted))


# the others


def test_benchmark_is_a_list_of_peaks_of_which_smaller_is_better() -> None:
    name = NAMES["surrogates"]
    told = json.loads(render("github-benchmark", results(a_test(name), a_test(phases=()))))
    assert told == [
        {
            "name": a_test(name).nodeid,
            "unit": "bytes",
            "value": 2048,
            "extra": f"outcome: failed\n{CHECK.message}",
        }
    ]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_speedscope_is_as_the_published_schema_says(name: str) -> None:
    test = a_test(name)
    whole = checked_json(
        render_test("speedscope", results(test), test), PUBLISHED / "speedscope.json"
    )
    (profile,) = whole["profiles"]
    assert (whole["name"], profile["unit"], profile["endValue"]) == (test.nodeid, "bytes", 2048)
    frames = [frame["name"] for frame in whole["shared"]["frames"]]
    stacks = [[frames[index] for index in sample] for sample in profile["samples"]]
    assert stacks == [
        [name, "zeros", "load\n", "<lambda>", "malloc|`"],
        ["(smaller call stacks)"],
    ]
    assert profile["weights"] == [1500, 548]


def test_speedscope_has_a_second_profile_of_what_leaked() -> None:
    test = the_leak()
    whole = json.loads(render_test("speedscope", results(test), test))
    assert [(profile["name"], profile["endValue"]) for profile in whole["profiles"]] == [
        ("peak", 2048),
        ("leaked", 3072),
    ]


def test_speedscope_has_profiles_of_what_set_up_and_teardown_held() -> None:
    test = with_fixtures(a_test())
    whole = json.loads(render_test("speedscope", results(test), test))
    assert [(each["name"], each["weights"]) for each in whole["profiles"]] == [
        ("peak", [1500, 548]),
        ("set-up", [9000, 1000]),
        ("teardown", [8000]),
    ]


def with_fixtures(test: TestRecord) -> TestRecord:
    """Return *test* with a heavy set-up and teardown, whose code is the project's."""
    frame = FrameRecord("stock", "conftest.py", 3, "project")
    return test._replace(
        phases=(
            PhaseRecord("setup", 10_000, 10_000, 1, 0),
            *test.phases,
            PhaseRecord("teardown", 8000, 8000, 1, 0),
        ),
        stacks=(
            StackRecord("setup", 9000, 1, (frame,)),
            StackRecord("teardown", 8000, 1, (frame,)),
            *test.stacks,
        ),
    )


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"html", "json", "speedscope"}))
def test_what_fixtures_held_changes_no_other_report(kind: str) -> None:
    for test in (a_test(), the_leak()):
        of_tests = KINDS[kind].suffix is not None
        before, now = (
            render_test(kind, results(each), each) if of_tests else render(kind, results(each))
            for each in (test, with_fixtures(test))
        )
        assert now == before


def test_heapprofile_is_a_tree_whose_sizes_add_up_to_the_peak() -> None:
    top = FrameRecord("test_a", "tests/test_a.py", 5, "project")
    stacks = (
        StackRecord("peak", 1000, 1, (FrameRecord("load", "a b.py", 3, "project"), top)),
        StackRecord("peak", 500, 1, (FrameRecord("save", "/lib/x.py", 8, "library"), top)),
        StackRecord("peak", 24, 1, (top,)),
    )
    test = a_test(stacks=stacks)
    profile = json.loads(render_test("heapprofile", results(test), test))
    shown = []

    def walk(node: dict[str, Any], depth: int) -> None:
        frame = node["callFrame"]
        shown.append(
            (depth, frame["functionName"], frame["url"], frame["lineNumber"], node["selfSize"])
        )
        for child in node["children"]:
            walk(child, depth + 1)

    walk(profile["head"], 0)
    assert shown == [
        (0, "(root)", "", -1, 0),
        (1, "test_a", "file:///project%201/tests/test_a.py", 4, 24),
        (2, "load", "file:///project%201/a%20b.py", 2, 1000),
        (2, "save", "file:///lib/x.py", 7, 500),
        (1, "(smaller call stacks)", "", -1, 524),
    ]
    assert sum(sample["size"] for sample in profile["samples"]) == 2048


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "html"])
def test_every_kind_can_be_written_whatever_a_test_is_called(kind: str, name: str) -> None:
    test = a_test(name)
    one_a_test = KINDS[kind].suffix is not None
    text = render_test(kind, results(test), test) if one_a_test else render(kind, results(test))
    assert text.encode("utf-8")


# names and places


@pytest.mark.parametrize(
    ("path", "reference"),
    [
        ("shop/a b.py", "shop/a%20b.py"),
        ("a:b/c.py", "a%3Ab/c.py"),
        ("/lib/ä.py", "file:///lib/%C3%A4.py"),
        ("C:\\lib\\a.py", "file:///C:/lib/a.py"),
        ("D:/lib/a.py", "file:///D:/lib/a.py"),
        ("\\\\server\\share\\a.py", "file://server/share/a.py"),
        ("bad\udc80.py", "bad%80.py"),
        ("worse\ud800.py", "worse%ED%A0%80.py"),
        ("<frozen importlib._bootstrap>", None),
        ("", None),
    ],
)
def test_a_path_becomes_a_uri(path: str, reference: str | None) -> None:
    assert uri(path) == reference


def test_each_test_has_a_file_name_of_its_own_that_every_file_system_takes() -> None:
    nodeids = [
        "tests/test_a.py::test_a[x]",
        "tests/test_a.py::test_a[X]",
        "tests/test_a.py::test_a[ä]",
        "tests/test_a.py::test_a/../..",
        f"tests/test_a.py::test_a[{'x' * 1000}]",
        "\udc80",
        "..",
    ]
    names = [file_name(nodeid) for nodeid in nodeids]
    assert len({name.lower() for name in names}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9][\w.-]{0,100}", name, re.ASCII) for name in names)
    assert names[0].startswith("tests-test_a.py-test_a-x-")


def test_long_names_lose_their_middle() -> None:
    assert printable("a" * 50 + "b" * 50, 11) == "aaaaa…bbbbb"
    assert printable("short", 11) == "short"


@pytest.mark.parametrize("text", ["a|b", "`", "``", "a\\|b", " padded ", "*x*", "<b>", "plain"])
def test_code_and_words_mean_themselves_in_a_table(text: str) -> None:
    page = rendered(f"| {markdown_code(text)} | {markdown_text(text)} |\n|---|---|\n")
    cells = re.findall(r"<th>(.*?)</th>", page)
    escaped = text.replace("<", "&lt;").replace(">", "&gt;")
    assert cells == [f"<code>{escaped}</code>", escaped.strip()]


@pytest.mark.parametrize(
    ("text", "kind", "path"),
    [
        ("json", "json", "memlens.json"),
        ("sarif:out/x.sarif", "sarif", "out/x.sarif"),
        ("markdown:a:b.md", "markdown", "a:b.md"),
        ("speedscope", "speedscope", "memlens-speedscope"),
    ],
)
def test_a_request_names_a_kind_and_perhaps_a_path(
    tmp_path: Path, text: str, kind: str, path: str
) -> None:
    assert parse_request(text, tmp_path) == (kind, tmp_path / path)


def test_a_request_of_github_has_a_place_of_its_own(tmp_path: Path) -> None:
    assert parse_request("github", tmp_path) == ("github", None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("xml", "'xml' is no kind of report: expected one of json, sarif, html"),
        ("", "'' is no kind of report"),
        ("json:", "'json:' has no path after the colon"),
        ("json:folder", "folder is a folder, and this report is one file"),
        ("speedscope:file", "file is a file, and this report is a folder of files"),
        ("json:file/x.json", "file is no folder"),
    ],
)
def test_a_request_that_cannot_work_says_why(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_request(text, tmp_path)
