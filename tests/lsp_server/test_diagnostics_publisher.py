"""What is told to the client, and what is looked at again for that, without a client."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from lsprotocol import types
from pygls.workspace import PositionCodec

from memlens_lsp.features.diagnostics import Client
from memlens_lsp.findings import Findings, read_findings
from memlens_lsp.projects import real
from memlens_lsp.publishing import Publisher
from memlens_lsp.settings import Settings
from memlens_lsp.texts import OpenText
from memlens_lsp.watching import Watcher, look_at

from .helpers import Project, frame, result

pytestmark = pytest.mark.asyncio

TEXT = "def test_a():\n    pass\n"
A_OVER = result("test_a.py::test_a", 1, 9, 8, stack=[frame("test_a", "test_a.py", 2)])
B_OVER = result("test_b.py::test_a", 1, 9, 8)

CLIENT = Client(PositionCodec(), related_information=True)


@dataclass
class Host:
    """What the server is to a publisher."""

    project: Project
    findings: Mapping[Path, Findings] = field(default_factory=dict)
    pulls_diagnostics: bool = False
    opened: list[OpenText] = field(default_factory=list)
    #: What was published, as (name of the file, version, codes).
    published: list[tuple[str, int | None, list[str]]] = field(default_factory=list)
    refreshes: int = 0
    diagnostics_client: Client = CLIENT

    def read(self) -> None:
        root = self.project.root
        self.findings = {root: read_findings(root, self.findings.get(root))}

    def open(self, name: str, version: int, text: str) -> None:
        path = self.project.root / name
        self.opened = [OpenText(self.project.uri(name), path, version, text, real(path))]

    def settings_for(self, path: Path) -> Settings:
        return Settings()

    def open_texts(self) -> list[OpenText]:
        return self.opened

    async def open_text(self, uri: str) -> OpenText | None:
        return next((opened for opened in self.opened if opened.uri == uri), None)

    def publish(
        self, uri: str, version: int | None, diagnostics: Sequence[types.Diagnostic]
    ) -> None:
        codes = [str(diagnostic.code) for diagnostic in diagnostics]
        self.published.append((uri.rpartition("/")[2], version, codes))

    def refresh(self) -> None:
        pass

    def refresh_diagnostics(self) -> None:
        self.refreshes += 1


@pytest.fixture
def host(project: Project) -> Host:
    for name in ("test_a.py", "test_b.py"):
        project.write(name, TEXT)
    return Host(project)


OVER = ["memory-limit-exceeded"]


async def test_only_files_whose_findings_changed_are_told_of_again(host: Host) -> None:
    publisher = Publisher(host)
    host.project.run(A_OVER)
    host.read()
    await publisher.publish_results()
    assert host.published == [("test_a.py", None, [*OVER, "memory-hotspot"])]
    host.project.run(B_OVER)
    host.read()
    await publisher.publish_results()
    assert host.published[1:] == [("test_b.py", None, OVER)]
    await publisher.publish_results()
    assert len(host.published) == 2


async def test_an_edit_while_results_come_in_does_not_hide_them(host: Host) -> None:
    publisher = Publisher(host)
    host.project.run(A_OVER)
    host.read()
    await publisher.publish_results()
    host.project.run(B_OVER)
    host.read()
    host.open("test_a.py", 1, TEXT)
    await publisher.publish_text_changes({real(host.project.root / "test_a.py")})
    await publisher.publish_results()
    assert ("test_b.py", None, OVER) in host.published


async def test_what_is_open_is_told_with_its_version_and_again_after_each_edit(host: Host) -> None:
    publisher = Publisher(host)
    host.project.run(B_OVER)
    host.read()
    file = real(host.project.root / "test_b.py")
    for version in (1, 2):
        host.open("test_b.py", version, TEXT)
        await publisher.publish_text_changes({file})
        await publisher.publish_text_changes({file})
    assert host.published == [("test_b.py", 1, OVER), ("test_b.py", 2, OVER)]


async def test_a_client_is_asked_once_to_pull_what_it_does_not_show(host: Host) -> None:
    host.pulls_diagnostics = True
    publisher = Publisher(host)
    file = real(host.project.root / "test_b.py")
    host.open("test_b.py", 1, TEXT)
    await publisher.publish_text_changes({file})
    assert host.refreshes == 0  # there is nothing to show
    host.project.run(B_OVER)
    host.read()
    for _ in range(3):
        await publisher.publish_results()
        await publisher.publish_text_changes({file})
    assert host.refreshes == 1
    report = await publisher.pull(host.project.uri("test_b.py"))
    assert report is not None
    assert report.version == 1
    host.open("test_b.py", 2, TEXT)
    assert await publisher.pull(host.project.uri("test_b.py")) != report
    await publisher.publish_text_changes({file})
    assert host.refreshes == 1
    assert host.published == []


async def test_requests_for_the_workspace_do_not_hinder_each_other(host: Host) -> None:
    host.pulls_diagnostics = True
    publisher = Publisher(host)
    chunks: list[int] = []
    streaming = asyncio.ensure_future(
        publisher.pull_workspace([], lambda reports: chunks.append(len(reports)))
    )
    assert await publisher.pull_workspace([], None) == []
    waiting = asyncio.ensure_future(publisher.pull_workspace([], None))
    host.project.run(A_OVER, B_OVER)
    host.read()
    await publisher.publish_results()
    assert len(await waiting) == 2
    streaming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await streaming
    assert chunks == [2]
    assert host.refreshes == 0
    host.project.run(result("test_b.py::test_a", 1, 3, 8))
    host.read()
    await publisher.publish_results()
    assert host.refreshes == 1  # nobody waits for it


async def test_what_was_pulled_of_a_document_is_not_told_of_the_workspace_too(host: Host) -> None:
    host.pulls_diagnostics = True
    publisher = Publisher(host)
    host.project.run(A_OVER, B_OVER)
    host.read()
    host.open("test_b.py", 1, TEXT)
    await publisher.publish_results()
    await publisher.pull(host.project.uri("test_b.py"))
    told = await publisher.pull_workspace([], None)
    assert [report.uri for report in told] == [host.project.uri("test_a.py")]
    host.opened = []
    await publisher.publish_text_changes({real(host.project.root / "test_b.py")})
    known = [types.PreviousResultId(report.uri, str(report.result_id)) for report in told]
    _, closed = await publisher.pull_workspace(known, None)
    assert isinstance(closed, types.WorkspaceFullDocumentDiagnosticReport)
    assert (closed.uri, closed.version) == (host.project.uri("test_b.py"), None)


async def test_a_file_that_has_marks_now_is_watched_as_it_was_when_they_were_made(
    host: Host,
) -> None:
    publisher = Publisher(host)
    host.project.run(B_OVER)
    host.read()
    await publisher.publish_results()
    file = real(host.project.root / "test_b.py")
    looks = publisher.marked_files()
    assert looks == {file: look_at(file)}
    changes: asyncio.Queue[set[Path]] = asyncio.Queue()
    watcher = Watcher(changes.put)
    watcher.watch(looks)
    watching = asyncio.ensure_future(watcher.run())
    host.project.write("test_c.py", TEXT)
    watcher.watch({**looks, host.project.root / "test_c.py": None})
    # Only what nobody had looked at counts as changed.
    assert await changes.get() == {host.project.root / "test_c.py"}
    host.project.write("test_b.py", f"{TEXT}# more\n")
    changed: set[Path] = set()
    while file not in changed:
        changed = await changes.get()
    watching.cancel()
