"""Which file that is gone an open one was."""

from __future__ import annotations

import pytest

from memlens_lsp.findings import read_findings
from memlens_lsp.moved_files import moved_file
from memlens_lsp.projects import real
from memlens_lsp.texts import OpenText

from .helpers import Project, result

TEXT = "".join(f"def test_{number}():\n    work({number})\n\n\n" for number in range(8))
OTHER = TEXT.replace("test_", "test_other_").replace("work", "rest")


@pytest.fixture(autouse=True)
def run(project: Project) -> None:
    project.write("test_a.py", TEXT)
    project.write("test_b.py", OTHER)
    project.run(result("test_a.py::test_0", 1, 9, 8), result("test_b.py::test_other_0", 1, 9, 8))


def was(project: Project, text: str, *gone: str, name: str = "test_new.py") -> str | None:
    """Return the name that the file with *text* had."""
    path = project.root / name
    opened = OpenText(project.uri(name), path, 1, text, real(path))
    findings = {project.root: read_findings(project.root)}
    found = moved_file(opened, [(project.root, each) for each in gone], findings)
    return None if found is None else found[1]


def test_a_file_is_known_by_its_text_also_when_some_of_it_was_edited(project: Project) -> None:
    assert was(project, TEXT, "test_a.py", "test_b.py") == "test_a.py"
    assert was(project, f"# first\n{TEXT}", "test_a.py", "test_b.py") == "test_a.py"
    assert was(project, OTHER, "test_a.py", "test_b.py") == "test_b.py"


def test_another_text_is_of_none_of_them(project: Project) -> None:
    assert was(project, OTHER, "test_a.py") is None
    assert was(project, TEXT[: len(TEXT) // 2], "test_a.py") is None
    assert was(project, "", "test_a.py") is None
    assert was(project, TEXT) is None


def test_what_could_be_several_files_is_none_of_them(project: Project) -> None:
    project.write("test_c.py", TEXT)
    project.run(result("test_c.py::test_0", 1, 9, 8))
    assert was(project, TEXT, "test_a.py", "test_c.py") is None
    assert was(project, TEXT, "test_c.py") == "test_c.py"


def test_a_file_with_results_of_its_own_was_no_other(project: Project) -> None:
    project.run(result("test_new.py::test_0", 1, 3, 8))
    assert was(project, TEXT, "test_a.py") is None
