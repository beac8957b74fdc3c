"""When it goes wrong: the tests' own outcomes stand, one line says what was lost, and what was
finished before is kept.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from memlens.capture_folder import CaptureFolder, leftovers
from memlens.revision import RevisionQuestion
from memlens.store import ResultsReader, TestRecord, database_path

from .arenas import ARENA

MB = 1024**2


def near(size: float) -> tuple[object, object]:
    """Return what equals a size near *size*, also where another arena was taken in that time.

    When that happens varies with what processes and threads do.
    """
    return pytest.approx(size, abs=64 * 1024), pytest.approx(size + ARENA, abs=64 * 1024)


@pytest.fixture
def temporary(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only place where the inner run's captures can be."""
    folder = pytester.path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def results_at_once(pytester: pytest.Pytester) -> None:
    """Have the inner run write each result at the end of its test."""
    pytester.makeconftest("from memlens import pending; pending.LONGEST_WAIT = 0.0")


def results(folder: Path) -> dict[str, TestRecord]:
    with ResultsReader(database_path(folder)) as reader:
        return {test.name: test for test in reader.latest_tests()}


def peak(folder: Path, name: str) -> int:
    phase = results(folder)[name].phase("call")
    assert phase is not None
    return phase.peak_bytes


def capture_folders(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith("memlens-")]


def warnings(run: pytest.RunResult) -> list[str]:
    return [line for line in run.stdout.lines if line.startswith("memlens warning: ")]


# ---- captures


def test_without_a_place_for_captures_tests_run_unmeasured(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import tempfile

        tempfile.tempdir = __file__  # a file where a folder should be
        """
    )
    pytester.makepyfile(
        test_it="""
        import pytest

        def test_passes():
            pass

        def test_fails():
            assert False

        @pytest.mark.limit_memory("1 KB")
        def test_limited():
            kept = bytearray(4096)
        """
    )
    run = pytester.runpytest_subprocess("--memray")
    run.assert_outcomes(passed=2, failed=1)
    (warning,) = warnings(run)
    assert warning.startswith("memlens warning: tests were not measured: ")


def test_a_disk_that_fills_during_a_test_costs_its_measurement_only(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        test_it="""
        import resource
        import pytest

        def test_before():
            kept = bytearray(1024 * 1024)

        # No file can grow beyond this, and memray says so on standard error only. What it has
        # written by then looks like a whole capture, of less memory.
        @pytest.mark.limit_memory("1 KB")
        def test_fills_the_disk():
            limit = 1024 * 1024
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            kept = [bytearray(1000 + number % 7) for number in range(300_000)]

        @pytest.mark.limit_memory("2 MB")
        def test_after():
            kept = bytearray(4 * 1024 * 1024)
        """
    )
    run = pytester.runpytest_subprocess("--memray")
    run.assert_outcomes(passed=2, failed=1)
    (warning,) = warnings(run)
    assert "test_it.py::test_fills_the_disk was not measured: " in warning
    assert warning.endswith("is the disk full?")
    assert list(results(pytester.path)) == ["test_before", "test_after"]


@pytest.mark.parametrize("damage", ["b''", "data[:10]", "data[:300]", "b'x' * len(data)"])
def test_a_capture_that_cannot_be_read_costs_its_measurement_only(
    pytester: pytest.Pytester, damage: str
) -> None:
    pytester.makeconftest(
        f"""
        from memlens import pending
        from memlens.recording import capture

        pending.LONGEST_WAIT = 0.0
        read_capture = capture.read_capture

        def read_damaged(path, **options):
            if len(damaged) == 1:
                data = path.read_bytes()
                path.write_bytes({damage})
            damaged.append(path)
            return read_capture(path, **options)

        damaged = []
        capture.read_capture = read_damaged
        """
    )
    pytester.makepyfile(
        test_it="""
        import pytest

        def test_before():
            pass

        @pytest.mark.limit_memory("1 KB")
        def test_damaged():
            kept = bytearray(4096)

        def test_after():
            pass
        """
    )
    run = pytester.runpytest_subprocess("--memray")
    run.assert_outcomes(passed=3)
    (warning,) = warnings(run)
    assert "test_it.py::test_damaged was not measured: memray's capture cannot be read: " in warning
    assert list(results(pytester.path)) == ["test_before", "test_after"]


def test_a_test_that_deletes_our_folder_costs_what_was_not_read_yet(
    pytester: pytest.Pytester, temporary: Path
) -> None:
    pytester.makepyfile(
        test_it="""
        import shutil
        import tempfile

        def test_before():
            pass

        def test_second():
            pass

        def test_tidies():
            shutil.rmtree(tempfile.gettempdir())

        def test_next(tmp_path_factory):
            kept = bytearray(1024 * 1024)
        """
    )
    temporary.joinpath("other").touch()
    run = pytester.runpytest_subprocess("--memray", "-p", "no:tmpdir", "-k", "not next")
    run.assert_outcomes(passed=3, deselected=1)
    (warning,) = warnings(run)
    assert "::test_second and 1 more were not measured: " in warning
    assert list(results(pytester.path)) == ["test_before"]  # a run's first result is kept at once


def test_a_deleted_capture_folder_is_made_again(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    folder = CaptureFolder()
    first = folder.path_of("capture.bin")
    for file in first.parent.iterdir():
        file.unlink()
    first.parent.rmdir()
    second = folder.path_of("capture.bin")
    assert second.parent.is_dir()
    folder.close()
    assert capture_folders(temporary) == []


# ---- results


def test_results_that_no_longer_fit_on_the_disk_are_a_warning(
    pytester: pytest.Pytester, results_at_once: None
) -> None:
    pytester.makepyfile(
        test_it="""
        import resource
        import pytest

        def test_before():
            pass

        def test_fills_the_disk(request):
            written = request.config.rootpath / ".memlens" / "results.db-wal"
            limit = written.stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

        def test_fails():
            assert False

        @pytest.mark.limit_memory("2 MB")
        def test_over():
            kept = bytearray(4 * 1024 * 1024)
        """
    )
    run = pytester.runpytest_subprocess("--memray", "-p", "no:cacheprovider")
    run.assert_outcomes(passed=2, failed=2)
    (warning,) = warnings(run)
    assert warning.startswith("memlens warning: results were not kept: cannot write the results in")
    run.stdout.fnmatch_lines(["4 tests measured, *"])
    assert list(results(pytester.path)) == ["test_before"]


def test_a_read_only_rootdir_is_a_warning(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest

        def test_passes():
            pass

        @pytest.mark.limit_memory("2 MB")
        def test_over():
            kept = bytearray(4 * 1024 * 1024)
        """
    )
    project = pytester.path
    with read_only(project):
        run = run_obeying_permissions(pytester, "--memray", "-p", "no:cacheprovider")
    run.assert_outcomes(passed=1, failed=1)
    (warning,) = warnings(run)
    assert "results were not kept: cannot write the results in" in warning
    assert "Permission denied" in warning
    run.stdout.fnmatch_lines(["2 tests measured, *"])
    run.stdout.no_fnmatch_line("Results:*")  # there are none to look into
    assert not (project / ".memlens").exists()


def test_results_of_a_read_only_project_can_be_read(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it="def test_it(): pass")
    pytester.runpytest("--memray").assert_outcomes(passed=1)
    pytester.makepyfile(
        test_it="""
        from pathlib import Path
        from memlens.store import ResultsReader, database_path

        def test_it():
            with ResultsReader(database_path(Path.cwd())) as reader:
                assert [test.name for test in reader.latest_tests()] == ["test_it"]
        """
    )
    with read_only(pytester.path), read_only(pytester.path / ".memlens"):
        run = run_obeying_permissions(pytester, "-p", "no:cacheprovider")
    run.assert_outcomes(passed=1)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(0o755)


def run_obeying_permissions(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest as somebody whom file permissions stop, which they do not do with root."""
    obeying = (
        "import ctypes, os, sys\n"
        "if os.getuid() == 0 and sys.platform == 'linux':\n"
        "    libc = ctypes.CDLL(None)\n"
        "    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH\n"
        "        assert libc.prctl(24, capability, 0, 0, 0) == 0  # PR_CAPBSET_DROP\n"
        "os.execv(sys.executable, [sys.executable, '-B', '-m', 'pytest', *sys.argv[1:]])\n"
    )
    base = tempfile.mkdtemp(prefix="pytest-of-anyone-")
    try:
        return pytester.run(sys.executable, "-c", obeying, f"--basetemp={base}/run", *arguments)
    finally:
        shutil.rmtree(base)


# ---- tests that end the process


@pytest.mark.parametrize(
    "ending",
    [
        "os._exit(3)",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os.kill(os.getpid(), signal.SIGTERM)",
        "os.abort()",
        "ctypes.string_at(0)",
    ],
)
def test_what_was_finished_before_the_process_ended_is_kept(
    pytester: pytest.Pytester, temporary: Path, ending: str
) -> None:
    pytester.makepyfile(
        test_it=f"""
        import ctypes
        import os
        import signal
        import pytest

        def test_before():
            pass

        @pytest.mark.limit_memory("2 MB")
        def test_over():
            kept = bytearray(4 * 1024 * 1024)

        def test_ends():
            {ending}

        def test_after():
            pass
        """
    )
    run = pytester.runpytest_subprocess("--memray", "-p", "no:tmpdir")
    assert run.ret not in (0, 1)
    assert len(capture_folders(temporary)) == 1
    check = pytester.run(sys.executable, "-m", "memlens", "check")
    check.stdout.fnmatch_lines(["test_it.py:*: error memory-limit-exceeded *"])
    assert capture_folders(temporary) == []
    measured = {name: test.outcome for name, test in results(pytester.path).items()}
    assert measured == {"test_before": "passed", "test_over": "failed"}
    assert peak(pytester.path, "test_over") == pytest.approx(4 * MB, rel=0.01)
    # The next run works too.
    run = pytester.runpytest_subprocess("--memray", "-p", "no:tmpdir", "-k", "before or after")
    run.assert_outcomes(passed=2, deselected=2)
    assert list(results(pytester.path)) == ["test_over", "test_before", "test_after"]
    assert capture_folders(temporary) == []


def test_only_captures_of_the_dead_are_swept(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    alive = CaptureFolder()
    alive.path_of("capture.bin")
    dead = temporary / "memlens-1-dead"
    dead.mkdir()
    (dead / "lock").touch()
    (dead / "capture.bin").touch()
    for name in ("memlens-notes", "unrelated"):
        (temporary / name).mkdir()
    (temporary / "memlens-file").touch()
    elsewhere = temporary / "unrelated" / "lock"
    elsewhere.touch()
    (temporary / "memlens-link").symlink_to(elsewhere.parent)
    another = CaptureFolder()
    another.path_of("capture.bin")
    assert list(leftovers()) == [dead]
    left = {path.name for path in temporary.iterdir()}
    assert "memlens-1-dead" not in left
    assert {"memlens-notes", "memlens-file", "memlens-link", "unrelated"} < left
    assert elsewhere.exists()
    assert len(left) == 6  # and the folders of the two that live
    alive.close()
    another.close()
    assert len(list(temporary.iterdir())) == 4


def test_a_capture_folder_tells_whose_it_is(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    folder = CaptureFolder()
    path = folder.path_of("capture.bin").parent
    assert path.name.startswith(f"memlens-{os.getpid()}-")
    with (path / "lock").open() as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    folder.close()


# ---- processes and threads


def test_a_test_that_forks_is_measured(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import multiprocessing
        import os
        import pytest

        def wait_for(child):
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

        @pytest.mark.limit_memory("3 MB")
        def test_child_exits():
            kept = bytearray(2 * 1024 * 1024)
            child = os.fork()
            if child == 0:
                os._exit(0)
            wait_for(child)

        @pytest.mark.limit_memory("3 MB")
        @pytest.mark.limit_leaks("1 MB")
        def test_child_allocates():
            kept = bytearray(2 * 1024 * 1024)
            child = os.fork()
            if child == 0:
                more = [bytearray(1024 * 1024) for _ in range(50)]
                many = [str(number) * 100 for number in range(10_000)]
                os._exit(0)
            wait_for(child)
            after = bytearray(512 * 1024)

        def work(size):
            return len([bytearray(1024) for _ in range(size)])

        @pytest.mark.limit_memory("20 MB")
        def test_pool():
            kept = bytearray(2 * 1024 * 1024)
            with multiprocessing.get_context("fork").Pool(2) as pool:
                assert pool.map(work, [10_000, 20_000]) == [10_000, 20_000]

        def test_next():
            kept = bytearray(1024 * 1024)
        """
    )
    run = pytester.runpytest_subprocess("--memray")
    run.assert_outcomes(passed=4)
    assert warnings(run) == []
    folder = pytester.path
    assert peak(folder, "test_child_exits") in near(2 * MB)
    assert peak(folder, "test_child_allocates") in near(2.5 * MB)
    # The workers take more than that, and the pool itself a little.
    assert 2 * MB <= peak(folder, "test_pool") < 10 * MB
    assert peak(folder, "test_next") in near(MB)


def test_forking_while_measured_is_no_warning_of_ours(pytester: pytest.Pytester) -> None:
    """Python 3.12 and newer warn of forking beside threads, and memray has one."""
    pytester.makepyfile(
        test_it="""
        import os

        def test_forks():
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
        """
    )
    plain = pytester.runpytest_subprocess("-W", "error")
    plain.assert_outcomes(passed=1)
    run = pytester.runpytest_subprocess("--memray", "-W", "error")
    run.assert_outcomes(passed=1)


def test_a_child_that_comes_back_from_the_test_spoils_nothing(
    pytester: pytest.Pytester, temporary: Path
) -> None:
    pytester.makepyfile(
        test_it="""
        import os
        import pytest

        def test_before():
            pass

        def test_forks():
            kept = bytearray(2 * 1024 * 1024)
            child = os.fork()
            if child != 0:
                os.waitpid(child, 0)
                more = bytearray(1024 * 1024)

        def test_next():
            kept = bytearray(1024 * 1024)
        """
    )
    run = pytester.runpytest_subprocess("--memray", "-p", "no:tmpdir")
    assert run.ret == 0
    folder = pytester.path
    assert peak(folder, "test_forks") in near(3 * MB)
    assert peak(folder, "test_next") in near(MB)
    with ResultsReader(database_path(folder)) as reader:
        (only,) = reader.runs(10)
        assert reader.outcomes(only.id or 0) == {"passed": 3}
    assert capture_folders(temporary) == []


def test_thousands_of_threads_are_measured(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import threading
        import pytest

        @pytest.mark.limit_memory("20 MB")
        def test_threads():
            done = []
            kept = bytearray(4 * 1024 * 1024)
            for _ in range(20):
                threads = [
                    threading.Thread(target=lambda: done.append(len(bytearray(10_000))))
                    for _ in range(100)
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            assert len(done) == 2000

        def test_next():
            kept = bytearray(1024 * 1024)
        """
    )
    run = pytester.runpytest_subprocess("--memray")
    run.assert_outcomes(passed=2)
    assert warnings(run) == []
    assert 4 * MB <= peak(pytester.path, "test_threads") < 20 * MB
    assert peak(pytester.path, "test_next") in near(MB)


# ---- tests that use memray themselves


def test_a_test_that_starts_a_tracker_learns_why_it_cannot(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import memray
        import pytest

        def test_own(tmp_path):
            with memray.Tracker(tmp_path / "own.bin"):
                pass

        @pytest.mark.limit_memory("2 MB")
        def test_next():
            kept = bytearray(4 * 1024 * 1024)
        """
    )
    run = pytester.runpytest("--memray")
    run.assert_outcomes(failed=2)
    run.stdout.fnmatch_lines(
        [
            "E *RuntimeError: *Tracker*",
            "*- memlens -*",
            "This test starts a memray.Tracker of its own while memlens measures it, *",
            "*'-p no:memlens'*",
            "MEMORY PROBLEMS *::test_next - *",
        ]
    )
    assert list(results(pytester.path)) == ["test_own", "test_next"]
    pytester.runpytest("-k", "own").assert_outcomes(passed=1, deselected=1)


def test_a_tracker_left_on_by_a_test_is_a_warning(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import memray
        import pytest

        @pytest.fixture(scope="session")
        def tracker(tmp_path_factory):
            with memray.Tracker(tmp_path_factory.mktemp("own") / "own.bin"):
                yield

        def test_before():
            pass

        def test_own(tracker):
            pass

        @pytest.mark.limit_memory("1 KB")
        def test_next():
            kept = bytearray(4 * 1024 * 1024)
        """
    )
    run = pytester.runpytest()
    run.assert_outcomes(passed=3)
    (warning,) = warnings(run)
    assert "tests were not measured: memray " in warning


def test_without_a_terminal_the_warning_goes_to_standard_error(pytester: pytest.Pytester) -> None:
    (pytester.path / ".memlens").write_text("in the way", encoding="utf-8")
    pytester.makepyfile(test_it="def test_a(): pass")
    run = pytester.runpytest_subprocess("--memray", "-p", "no:terminal")
    assert run.ret == 0
    run.stderr.fnmatch_lines(["memlens warning: results were not kept: *"])


def test_a_test_that_fills_its_capture_costs_its_own_measurement_only(
    pytester: pytest.Pytester, temporary: Path
) -> None:
    pytester.makeconftest(
        """
        from memlens.recording import guard

        guard.LARGEST = 512 * 1024
        """
    )
    pytester.makepyfile(
        test_it="""
        from pathlib import Path
        import pytest

        def test_before():
            kept = bytearray(1024 * 1024)

        @pytest.mark.limit_memory("100 B")
        def test_huge(request):
            (folder,) = Path(__file__).parent.glob("temporary/memlens-*")
            captures = {path.name for path in folder.glob("*.bin")}
            size, before = 0, -1
            while size > before:  # until nothing more is written
                before = size
                for _ in range(300_000):
                    bytearray(1000)
                size = sum((folder / name).stat().st_size for name in captures)

        def test_after():
            kept = bytearray(2 * 1024 * 1024)
        """
    )
    run = pytester.runpytest_subprocess("--memray", "-p", "no:tmpdir")
    run.assert_outcomes(passed=3)
    (warning,) = warnings(run)
    assert "test_it.py::test_huge was not measured: it made so many allocations" in warning
    assert list(results(pytester.path)) == ["test_before", "test_after"]
    assert peak(pytester.path, "test_before") == pytest.approx(MB, rel=0.05)


def test_git_is_not_left_behind_when_results_cannot_be_written(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []
    answer = RevisionQuestion.answer

    def noted(question: RevisionQuestion) -> object:
        answers.append(answer(question))
        return answers[-1]

    monkeypatch.setattr(RevisionQuestion, "answer", noted)
    (pytester.path / ".memlens").write_text("in the way", encoding="utf-8")
    pytester.makepyfile(test_it="def test_a(): pass")
    pytester.runpytest("--memray").assert_outcomes(passed=1)
    assert len(answers) == 1
