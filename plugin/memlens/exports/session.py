"""Writes the reports of a pytest run at its end, from what the run has put into the database."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from memlens.exports import KINDS, Request, render, render_test
from memlens.exports.results import Results, is_told, read_results
from memlens.exports.text import file_name
from memlens.store import ResultsError, ResultsReader, TestRecord

#: Where GitHub Actions takes a step's summary from, and the size that it takes, in bytes.
SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
_LARGEST_SUMMARY = 1024 * 1024


class Written(NamedTuple):
    """What became of the reports."""

    #: What to print as it is: the annotations of a workflow.
    commands: tuple[str, ...]
    #: Where each report was written, and its kind.
    places: tuple[str, ...]
    #: What went wrong, in words.
    faults: tuple[str, ...]


def with_github(requests: tuple[Request, ...], tests: Iterable[TestRecord]) -> tuple[Request, ...]:
    """Return *requests* with GitHub's own report, if one of *tests* has failed by a limit."""
    failed = any(
        check.verdict == "exceeded" for test in tests if is_told(test) for check in test.checks
    )
    if not failed or any(request.kind == "github" for request in requests):
        return requests
    return (*requests, Request("github", None))


def write_reports(
    requests: Sequence[Request],
    database: Path | None,
    run: str | None,
    folder: Path,
    environment: Mapping[str, str] = os.environ,
) -> Written:
    """Write the reports on the run whose uuid is *run*; None if it has measured nothing.

    *database* has its results; None if there was no place for them. Places are named as one would
    type them in *folder*. Nothing is raised: a report is no reason to fail.
    """
    try:
        results = _read(requests, database, run) if run is not None else Results()
    except ResultsError as error:
        kinds = ", ".join(request.kind for request in requests)
        return Written((), (), (f"no report was written ({kinds}): {error}",))
    commands: list[str] = []
    places: list[str] = []
    faults: list[str] = []
    for request in requests:
        try:
            if request.kind == "github":
                commands += render("github", results).splitlines()
                place = append_summary(results, request.path, environment)
            else:
                place = _write(request, results)
        except Exception as error:  # noqa: BLE001 - the tests' outcomes stand
            what = error if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
            faults.append(f"the {request.kind} report was not written: {what}")
        else:
            if place is not None:
                places.append(f"{_shown(place, folder)} ({request.kind})")
    return Written(tuple(commands), tuple(places), tuple(faults))


def _read(requests: Sequence[Request], database: Path | None, run: str) -> Results:
    if database is None:
        raise ResultsError("there is no place for results")
    with ResultsReader(database) as reader:
        ids = [each.id for each in reader.runs(None) if each.uuid == run and each.id is not None]
        if not ids:
            raise ResultsError(f"{database} does not have the results of this run")
        tests = reader.tests_of(*ids)
        history = any(KINDS[request.kind].has_history for request in requests)
        return read_results(reader, tests, history=history)


def _write(request: Request, results: Results) -> Path | None:
    kind, path = KINDS[request.kind], request.path
    if path is None:
        return None
    if kind.suffix is None:
        write_text(path, render(request.kind, results))
        return path
    path.mkdir(parents=True, exist_ok=True)
    for test in results.tests:
        text = render_test(request.kind, results, test)
        write_text(path / f"{file_name(test.nodeid)}{kind.suffix}", text)
    return path


def append_summary(
    results: Results, path: Path | None, environment: Mapping[str, str] = os.environ
) -> Path | None:
    """Append the step summary to the file *path*, or to the one that GitHub Actions names.

    Return that file; None if there is neither.

    Raises:
        OSError: the file cannot be written, or would have more than GitHub takes.
    """
    named = environment.get(SUMMARY_VARIABLE)
    file = path or (Path(named) if named else None)
    if file is None:
        return None
    text = f"{render('markdown', results)}\n".encode("utf-8", "backslashreplace")
    if file.exists() and file.stat().st_size + len(text) > _LARGEST_SUMMARY:
        raise OSError(f"{file} would have more than the 1 MiB that GitHub takes")
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as summary:
        summary.write(text)
    return file


def write_text(path: Path, text: str) -> None:
    """Write *text* as UTF-8, in place of what was there; folders are made.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8", "backslashreplace"))


def _shown(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)
