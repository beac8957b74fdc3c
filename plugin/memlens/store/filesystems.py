"""Which file systems SQLite's write-ahead log can be used on."""

from __future__ import annotations

import re
from pathlib import Path

_MOUNTS = Path("/proc/self/mounts")

#: Types of file systems that several machines can see, a virtual one and its host among them. The
#: log's index is memory that all processes share, and machines do not share memory
#: (https://www.sqlite.org/wal.html).
# fmt: off
_SHARED = frozenset((
    "9p", "acfs", "afs", "beegfs", "ceph", "cifs", "coda", "drvfs", "fakeowner", "fhgfs", "gfs",
    "gfs2", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "prl_fs",
    "pvfs2", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs",
))
#: Of those that are programs: `fuse.sshfs` and others.
_SHARED_PROGRAMS = frozenset((
    "beegfs", "ceph", "cephfs", "curlftpfs", "davfs", "gcsfuse", "glusterfs", "goofys",
    "grpcfuse", "gvfsd-fuse", "juicefs", "osxfs", "portal", "rclone", "s3fs", "seaweedfs",
    "smbnetfs", "sshfs", "vmhgfs-fuse",
))
# fmt: on


def is_shared(path: Path) -> bool:
    """Return whether the folder *path* is on a file system that other machines can see too.

    Only Linux tells. Elsewhere the answer is no.
    """
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
        kind = kind_of(path.resolve(), mounts)
    except OSError:
        return False
    return kind is not None and is_shared_kind(kind)


def is_shared_kind(kind: str) -> bool:
    """Return whether several machines can see a file system of this type."""
    family, _, program = kind.partition(".")
    return program in _SHARED_PROGRAMS if family == "fuse" else kind in _SHARED


def kind_of(path: Path, mounts: str) -> str | None:
    """Return the type of the file system that *path*, absolute, is on; None if it is not said.

    *mounts* is what Linux says in `/proc/self/mounts` (see `man 5 fstab`).
    """
    found: tuple[int, str] | None = None
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        # Spaces, tabs, newlines and backslashes are written as octal numbers.
        point = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[1]))
        depth = len(point.parts)
        # What is mounted later in the same place hides what was there.
        if path.is_relative_to(point) and (found is None or depth >= found[0]):
            found = (depth, fields[2])
    return found[1] if found else None
