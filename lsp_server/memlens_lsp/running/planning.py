"""How pytest is started for what was asked for. Starts nothing, and only follows symlinks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from os.path import commonpath, expanduser
from pathlib import Path
from typing import NamedTuple

from memlens_lsp.projects import real
from memlens_lsp.settings import Settings

#: Tests whose names take more bytes than this are passed in a file, of which pytest knows …
_MANY = 32 * 1024
#: … and never more than this as arguments. Systems allow 1 MiB, with the environment (macOS).
_MOST = 256 * 1024
#: How much of a command line people are shown, in characters.
_MOST_SHOWN = 4000


class Selection(NamedTuple):
    """Some tests of one project."""

    #: Files or folders, each with the id of a test in it, "" for all that is in it.
    chosen: tuple[tuple[Path, str], ...]
    #: What people call them.
    title: str


class Plan(NamedTuple):
    """A run that could be started."""

    #: The project.
    root: Path
    #: The folder to run in.
    folder: Path
    python: str
    environment: Mapping[str, str]
    #: pytest's arguments before those that name tests.
    options: tuple[str, ...]
    #: The arguments that name tests; none for all that the project's configuration names.
    tests: tuple[str, ...]
    #: The tests as people name them.
    title: str
    #: Where the results may be written, the likeliest first.
    result_roots: tuple[Path, ...]
    #: The project, symlinks followed; there is one run at a time in each.
    lane: Path


class Arguments(NamedTuple):
    """How the names of tests get to pytest."""

    #: On the command line.
    plain: tuple[str, ...]
    #: As the lines of a file, which is named on the command line after "@".
    lines: tuple[str, ...] = ()
    #: Whether there were too many, so that whole files are run instead.
    is_more: bool = False


def plan_run(tests: Selection, root: Path, settings: Settings, base: Path | None = None) -> Plan:
    """Return how to run *tests* of the project at *root*. Call it off the event loop.

    Relative paths in the *settings* start at *base*, the workspace folder; without one at *root*.
    """
    base = base or root
    folder = root
    if settings.working_folder.strip():
        folder = base / expanduser(settings.working_folder)  # noqa: PTH111 - as `Settings.python`
    elif any("[" in _name(path, folder) for path, _ in tests.chosen):
        # pytest takes what follows a bracket for parameters, in the names of folders too.
        folder = _common_folder([path for path, _ in tests.chosen])
    options = ["--memray", *settings.pytest_args]
    # For a file elsewhere, such as an installed library's test, pytest would put the results there.
    outside = any(not path.is_relative_to(root) for path, _ in tests.chosen)
    chosen_by_user = any(argument.startswith("--rootdir") for argument in settings.pytest_args)
    if (outside or folder != root) and not chosen_by_user:
        options.append(f"--rootdir={root}")
    lane = real(root)
    whole = tests.chosen == ((root, ""),) and folder == root
    around = [*tests.chosen[0][0].parents, *real(tests.chosen[0][0]).parents] if outside else []
    return Plan(
        root=root,
        folder=folder,
        python=python_in(settings, base),
        environment={**os.environ, **settings.environment},
        options=tuple(options),
        tests=() if whole else tuple(_argument(*one, folder) for one in tests.chosen),
        title=tests.title,
        result_roots=tuple(dict.fromkeys((root, *root.parents, *lane.parents, *around))),
        lane=lane,
    )


def title_of(path: Path, tests: Sequence[str], root: Path) -> str:
    """Return what people call *tests* of the file or folder *path*; none means all."""
    if len(tests) == 1:
        return tests[0]
    if tests:
        are_files = all(test.endswith(".py") for test in tests)
        return f"{len(tests)} {'files' if are_files else 'tests'}"
    return root.name or str(root) if path == root else _name(path, root)


def arrange(tests: Sequence[str], *, knows_files: bool) -> Arguments:
    """Return how to pass *tests* to a pytest that *knows_files* of arguments: 8.2 and newer do."""
    if _size(tests) <= (_MANY if knows_files else _MOST):
        return Arguments(tuple(tests))
    if not knows_files:
        return Arguments(_whole_files(tests), is_more=True)
    # A line is what str.splitlines makes of the file, in an encoding that depends on the Python.
    lines = [test for test in tests if test.isascii() and test.splitlines() == [test]]
    plain = [test for test in tests if not (test.isascii() and test.splitlines() == [test])]
    if _size(plain) <= _MOST:
        return Arguments(tuple(plain), tuple(lines))
    return Arguments(_whole_files(plain), tuple(lines), is_more=True)


def are_many(tests: Sequence[str]) -> bool:
    """Return whether it matters if pytest knows files of arguments."""
    return _size(tests) > _MANY


def shown_command(command: Sequence[str]) -> str:
    """Return *command* as a shell would take it, shortened if nobody would read it."""
    from shlex import join

    line = join(command)
    if len(line) <= _MOST_SHOWN:
        return line
    return f"{line[:_MOST_SHOWN]} … ({len(line) - _MOST_SHOWN} more characters)"


def _size(tests: Iterable[str]) -> int:
    """Return what *tests* take on a command line, in bytes: each has an end and a pointer."""
    return sum(len(os.fsencode(test)) + 9 for test in tests)


def _whole_files(tests: Iterable[str]) -> tuple[str, ...]:
    files = tuple(dict.fromkeys(test.partition("::")[0] for test in tests))
    return files if _size(files) <= _MOST else ()


def _name(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _argument(path: Path, test: str, folder: Path) -> str:
    name = _name(path, folder)
    if name.startswith(("-", "@")):
        name = str(path)  # pytest would read an option or a file of arguments
    return f"{name}::{test}" if test else name


def _common_folder(paths: Sequence[Path]) -> Path:
    return Path(commonpath([path.parent for path in paths]))


def python_in(settings: Settings, base: Path) -> str:
    """Return the command that starts the interpreter; a relative path starts at *base*."""
    command = settings.python
    if "/" not in command or command.startswith("/"):
        return command  # on the PATH, or where it says
    return os.path.join(base, command)  # noqa: PTH118 - "../venv" of a symlink is another folder
