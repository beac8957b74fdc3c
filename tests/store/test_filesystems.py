"""Where the write-ahead log is used, and what is used elsewhere."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from memlens.store import filesystems
from memlens.store.database import open_for_writing
from memlens.store.filesystems import is_shared_kind, kind_of

from .stored import a_test, begin, latest, measure, rows

MOUNTS = r"""
overlay / overlay rw,relatime 0 0
server:/export /home nfs4 rw,vers=4.2 0 0
//nas/files /home/nas\040files cifs rw 0 0
/dev/sdb1 /home/local ext4 rw 0 0
me@host:/ /home/me/far fuse.sshfs rw 0 0
tmpfs /work tmpfs rw 0 0
drive /work 9p rw 0 0
broken
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "overlay"),
        ("/srv/app", "overlay"),
        ("/home/app", "nfs4"),
        ("/homes/app", "overlay"),
        ("/home/nas files/app", "cifs"),
        ("/home/local", "ext4"),
        ("/home/local/app", "ext4"),
        ("/home/me/far/app", "fuse.sshfs"),
        ("/work/app", "9p"),
    ],
)
def test_the_innermost_and_last_mount_says_what_a_folder_is_on(path: str, kind: str) -> None:
    assert kind_of(Path(path), MOUNTS) == kind


def test_what_is_not_among_the_mounts_is_of_no_known_kind() -> None:
    assert kind_of(Path("/srv"), "") is None


@pytest.mark.parametrize(
    "kind",
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "lustre",
        "virtiofs",
        "fuse.sshfs",
        "fuse.rclone",
    ],
)
def test_network_file_systems_are_shared_between_machines(kind: str) -> None:
    assert is_shared_kind(kind)


@pytest.mark.parametrize(
    "kind",
    [
        "ext4",
        "xfs",
        "btrfs",
        "zfs",
        "overlay",
        "tmpfs",
        "apfs",
        "fuseblk",
        "fuse",
        "fuse.mergerfs",
        "fuse.nfsish",
    ],
)
def test_file_systems_of_one_machine_are_not_shared(kind: str) -> None:
    assert not is_shared_kind(kind)


def journal_mode(path: Path) -> str:
    return str(rows(path, "PRAGMA journal_mode")[0])


@pytest.fixture
def on_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project that is on a network file system, as far as anybody can tell."""
    mounts = tmp_path / "mounts"
    project = tmp_path / "project"
    mounts.write_text(f"overlay / overlay rw 0 0\nserver:/x {project} nfs4 rw 0 0\n")
    monkeypatch.setattr(filesystems, "_MOUNTS", mounts)
    project.mkdir()
    return project


def test_results_are_written_with_a_log_where_that_works(tmp_path: Path) -> None:
    path = measure(tmp_path, "run-1", ["test_a"])
    assert journal_mode(path) == "wal"


def test_results_are_written_without_a_log_on_a_network_file_system(on_a_network: Path) -> None:
    writer = begin(on_a_network, "run-1")
    writer.add_test(a_test())
    assert latest(writer.path) == [a_test()]
    assert not Path(f"{writer.path}-wal").exists()
    writer.add_test(a_test("test_b"))
    writer.finish(0)
    writer.close()
    assert journal_mode(writer.path) != "wal"
    assert [test.name for test in latest(writer.path)] == ["test_a", "test_b"]


def test_a_file_with_a_log_loses_it_when_it_is_moved_to_the_network(
    on_a_network: Path, tmp_path: Path
) -> None:
    there = measure(tmp_path / "local", "run-1", ["test_a"])
    assert journal_mode(there) == "wal"
    shutil.copytree(there.parent, on_a_network / ".memlens")
    path = measure(on_a_network, "run-2", ["test_b"])
    assert journal_mode(path) != "wal"
    assert [test.name for test in latest(path)] == ["test_a", "test_b"]


def test_where_there_is_no_list_of_mounts_the_log_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystems, "_MOUNTS", tmp_path / "none")
    assert journal_mode(measure(tmp_path, "run-1", ["test_a"])) == "wal"


def test_readers_see_what_was_committed_after_a_run_died_in_a_commit_without_a_log(
    on_a_network: Path, tmp_path: Path
) -> None:
    path = measure(on_a_network, "run-1", [a_test(f"test_{number}") for number in range(50)])
    with closing(open_for_writing(path)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE test SET outcome = 'nonsense'")
        connection.execute("UPDATE source SET text = 'nonsense'")
        connection.execute("UPDATE stack SET frames = 'nonsense'")
        dead = tmp_path / "dead" / ".memlens"
        dead.mkdir(parents=True)
        for file in path.parent.glob("results.db*"):
            if file.is_file():  # as the disk has it at this moment
                shutil.copy(file, dead)
        connection.execute("ROLLBACK")
    assert (dead / "results.db-journal").stat().st_size > 0
    assert (dead / "results.db").read_bytes() != path.read_bytes()
    assert [test.outcome for test in latest(dead / "results.db")] == ["failed"] * 50


def test_a_read_only_connection_cannot_change_anything(tmp_path: Path) -> None:
    from memlens.store.database import open_for_reading

    path = measure(tmp_path, "run-1", ["test_a"])
    with closing(open_for_reading(path)) as connection, pytest.raises(sqlite3.OperationalError):
        connection.execute("DELETE FROM run")
