"""The results database: written, read, refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from memlens.store import (
    CheckRecord,
    FrameRecord,
    NewerSchemaError,
    PhaseRecord,
    ResultsError,
    ResultsReader,
    StackRecord,
    TestRecord,
    database_path,
)

from .stored import RUN, begin, measure, without_ids

SITE = FrameRecord("decode", "shop/catalog.py", 3, "project")
CALLER = FrameRecord("test_a", "tests/test_a.py", 9, "project")
TEST = TestRecord(
    nodeid="tests/test_a.py::test_a[é-1]",
    path="tests/test_a.py",
    line=8,
    outcome="failed",
    duration=0.25,
    worker="gw1",
    phases=(PhaseRecord("call", 31, 40, 5, 7),),
    checks=(CheckRecord("limit_memory", 24, 31, "exceeded", "too much"),),
    stacks=(
        StackRecord("peak", 20, 2, (SITE, CALLER)),
        StackRecord("peak", 11, 1, (CALLER,)),
        StackRecord("leak", 7, 1, (FrameRecord("malloc", "libc", 0, "native"), SITE, CALLER)),
    ),
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in (
        ("shop/catalog.py", "x = 'é'\n"),
        ("tests/test_a.py", "def test_a(): ...\n"),
    ):
        path = tmp_path / name
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_a_test_is_read_as_it_was_written(project: Path) -> None:
    writer = begin(project)
    writer.add_test(TEST)
    with ResultsReader(writer.path) as reader:
        (read,) = reader.latest_tests()
    writer.close()
    assert without_ids(read) == TEST
    assert read.run == writer.run_id


def test_results_are_there_while_the_run_goes_on(project: Path) -> None:
    writer = begin(project)
    with ResultsReader(writer.path) as reader:
        before = reader.data_version()
        assert reader.latest_tests() == []
        writer.add_test(TEST)
        assert reader.data_version() != before
        assert [test.nodeid for test in reader.latest_tests()] == [TEST.nodeid]
        assert reader.runs()[0].status == "running"
    writer.close()


def test_a_run_tells_how_it_ended(project: Path) -> None:
    writer = begin(project)
    writer.finish(1, git_commit="abc", git_dirty=True)
    writer.close()
    with ResultsReader(writer.path) as reader:
        (run,) = reader.runs()
    assert (run.status, run.exit_status, run.git_commit, run.git_dirty) == (
        "finished",
        1,
        "abc",
        True,
    )
    assert run.finished is not None
    assert run.finished > run.started
    assert run.command_line == RUN.command_line
    assert run.versions == RUN.versions


def test_the_newest_result_of_a_test_is_the_one_that_counts(project: Path) -> None:
    first = begin(project)
    first.add_test(TEST)
    first.add_test(TEST._replace(nodeid="tests/test_a.py::test_other"))
    first.close()
    second = begin(project, "run-2")
    second.add_test(TEST._replace(checks=(), outcome="passed"))
    second.close()
    with ResultsReader(second.path) as reader:
        assert [(t.nodeid, t.outcome) for t in reader.latest_tests("tests/test_a.py")] == [
            ("tests/test_a.py::test_other", "failed"),
            (TEST.nodeid, "passed"),
        ]
        assert [t.nodeid for t in reader.latest_exceeded()] == ["tests/test_a.py::test_other"]
        assert reader.latest_tests("tests/test_b.py") == []


def counted(allocations: int | None, name: str = "test_a") -> TestRecord:
    phase = PhaseRecord("call", 31, allocations, allocations, 7)
    return TEST._replace(nodeid=f"tests/test_a.py::{name}", phases=(phase,))


@pytest.mark.parametrize(
    ("counts", "is_heavy"),
    [
        ([], False),
        ([None], False),
        ([99_999], False),
        ([100_000], True),
        ([10, 100_000], True),
        ([100_000, 10], False),
        ([100_000, 10, None], False),
        ([100_000, *[None] * 19], True),
        ([100_000, *[None] * 20], False),
        ([100_000, *[None] * 20, 200_000, None], True),
    ],
)
def test_a_test_is_heavy_by_its_last_count_unless_that_is_old(
    project: Path, counts: list[int | None], is_heavy: bool
) -> None:
    for number, allocations in enumerate(counts):
        writer = begin(project, f"run-{number}")
        writer.add_test(counted(allocations))
        writer.add_test(counted(5, "test_other"))
        writer.close()
    begin(project, "run-last").close()
    with ResultsReader(database_path(project)) as reader:
        assert reader.heavy_tests() == ([("tests/test_a.py", "test_a")] if is_heavy else [])


def test_a_test_is_the_same_however_its_file_was_named_on_the_command_line(project: Path) -> None:
    writer = begin(project)
    outside = TEST._replace(path="/lib/test_a.py")
    writer.add_test(outside._replace(nodeid="../lib/test_a.py::test_a"))
    writer.add_test(outside._replace(nodeid="::test_a", outcome="passed", checks=()))
    writer.add_test(outside._replace(nodeid="::test_a", path="/lib/test_b.py"))
    writer.close()
    with ResultsReader(writer.path) as reader:
        assert [(test.path, test.outcome) for test in reader.latest_tests()] == [
            ("/lib/test_a.py", "passed"),
            ("/lib/test_b.py", "failed"),
        ]
        assert [test.path for test in reader.latest_exceeded()] == ["/lib/test_b.py"]


def test_a_database_that_is_just_being_made_has_no_results_yet(project: Path) -> None:
    path = database_path(project)
    path.parent.mkdir()
    path.touch()
    with pytest.raises(ResultsError, match="run 'pytest --memray' to make some"):
        ResultsReader(path)


def test_the_text_that_was_measured_is_kept(project: Path) -> None:
    first = begin(project)
    first.add_test(TEST)
    first.close()
    (project / "shop/catalog.py").write_text("y = 2\n")
    second = begin(project, "run-2")
    second.add_test(TEST)
    second.close()
    with ResultsReader(second.path) as reader:
        texts = []
        for run in (first.run_id, second.run_id):
            source = reader.source(run, "shop/catalog.py")
            assert source is not None
            texts.append(source.text)
        assert texts == ["x = 'é'\n", "y = 2\n"]
        assert reader.source(first.run_id, "tests/test_a.py") is not None
        assert reader.source(first.run_id, "libc") is None


def test_a_frame_is_stored_once_however_many_stacks_pass_it(project: Path) -> None:
    for uuid in ("run-1", "run-2"):
        writer = begin(project, uuid)
        writer.add_test(TEST)
        writer.add_test(TEST)
        writer.close()
    with sqlite3.connect(database_path(project)) as connection:
        assert connection.execute("SELECT count(*) FROM frame").fetchone() == (3,)
    connection.close()


def test_a_test_that_cannot_be_stored_leaves_no_half_behind(project: Path) -> None:
    writer = begin(project)
    wrong = TEST._replace(stacks=(TEST.stacks[0]._replace(kind="nonsense"),))  # type: ignore[arg-type]
    with pytest.raises(ResultsError, match=r"results\.db"):
        writer.add_test(wrong)
    writer.add_test(TEST)
    with ResultsReader(writer.path) as reader:
        assert [without_ids(test) for test in reader.latest_tests()] == [TEST]
    writer.close()


def test_a_name_that_is_no_utf_8_is_stored_as_escapes(project: Path) -> None:
    odd = TEST._replace(nodeid="test_\udcff.py::test_a", path="test_\udcff.py")
    writer = begin(project)
    writer.add_test(odd)
    writer.add_test(TEST)
    writer.close()
    with ResultsReader(writer.path) as reader:
        first, second = (without_ids(test) for test in reader.latest_tests())
    escaped = "test_\\udcff.py"
    assert first == odd._replace(nodeid=f"{escaped}::test_a", path=escaped)
    assert second == TEST


def test_a_project_whose_folder_is_no_utf_8_keeps_results(tmp_path: Path) -> None:
    project = tmp_path / "project \udcff"
    path = measure(project, "run-1", ["test_a"])
    with ResultsReader(path) as reader:
        (run,) = reader.runs()
        assert run.rootdir == f"{tmp_path}/project \\udcff"
        assert [test.name for test in reader.latest_tests()] == ["test_a"]


def test_the_folder_keeps_itself_out_of_git_and_backups(project: Path) -> None:
    begin(project).close()
    folder = project / ".memlens"
    assert (folder / ".gitignore").read_text() == "*\n"
    assert (folder / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886")


def test_without_results_it_says_how_to_make_some(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="run 'pytest --memray' to make some"):
        ResultsReader(database_path(tmp_path))


def test_a_newer_schema_is_refused_by_both_sides_naming_both_versions(project: Path) -> None:
    path = database_path(project)
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(NewerSchemaError, match="schema version 99; this memlens reads up to 1"):
        ResultsReader(path)
    with pytest.raises(NewerSchemaError, match="schema version 99"):
        begin(project)


def test_a_record_survives_the_way_between_processes() -> None:
    assert TestRecord.from_dict(TEST.to_dict()) == TEST
