"""Recognizing a file that was renamed since it was measured: its text stands in another file now.

Reads files and results: call it off the event loop.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from memlens.store import ResultsError
from memlens_lsp.findings import Findings
from memlens_lsp.positions import line_map, split_lines
from memlens_lsp.projects import names_in, nearest_root
from memlens_lsp.results import read_file
from memlens_lsp.texts import OpenText

#: How much of the lines two texts must have in common to be of one file.
_ALIKE = 0.75


def moved_file(
    opened: OpenText, gone: Collection[tuple[Path, str]], findings: Mapping[Path, Findings]
) -> tuple[Path, str] | None:
    """Return which of the *gone* files, by project and name, *opened* is under a new name.

    None if it is none of its project's, or could be several, or has results of its own.
    """
    root = nearest_root(opened.path, findings.keys()) or nearest_root(opened.file, findings.keys())
    if root is None or opened.path.suffix != ".py":
        return None
    texts = _measured(findings[root], {name for project, name in gone if project == root})
    found = [name for name, text in texts.items() if text == opened.text]
    found = found or [name for name, text in texts.items() if _are_alike(text, opened.text)]
    if len(found) != 1 or has_own_results(root, opened.file):
        return None
    return root, found[0]


def has_own_results(root: Path, file: Path) -> bool:
    """Return whether the project at *root* has results of *file* under the name that it has."""
    try:
        return read_file(root, names_in(root, file)) is not None
    except ResultsError:
        return True  # not known: nothing is claimed


def _measured(findings: Findings, names: Collection[str]) -> dict[str, str]:
    """Return the texts of the files *names* as the newest run saw them that has findings."""
    newest: dict[str, int] = {}
    for run, name in findings.sources:
        if name in names:
            newest[name] = max(run, newest.get(name, run))
    return {name: findings.sources[run, name].text for name, run in newest.items()}


def _are_alike(measured: str, text: str) -> bool:
    before, now = (split_lines(each) for each in (measured, text))
    # First what is cheap: there may be many files that are gone.
    if len({*before} & {*now}) < _ALIKE * max(len({*before}), len({*now})):
        return False
    lines = line_map(measured, text)
    same = sum(
        bool(content) and lines.line(line) is not None for line, content in enumerate(before, 1)
    )
    return same >= _ALIKE * max(sum(map(bool, before)), sum(map(bool, now)), 1)
