"""Code actions for one client: what it can take, and where the files are that they change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.workspace import PositionCodec

from memlens.store import ResultsError, TestRecord
from memlens_lsp.features.actions import (
    Asked,
    Document,
    Proposal,
    limit_from_peak,
    proposal,
    proposals,
)
from memlens_lsp.features.edits import text_edits
from memlens_lsp.known_results import KnownResults
from memlens_lsp.projects import file_named
from memlens_lsp.results import read_database
from memlens_lsp.texts import DiskTexts, OpenText, Texts
from memlens_lsp.uris import path_of, uri_of

logger = logging.getLogger(__name__)

#: Sets the limit of a test from its peak. Its argument is ``{"uri": …, "test": …}``, where the test
#: is its node id after the file.
SET_LIMIT_COMMAND = "memlens.setLimitFromPeak"


class Host(Protocol):
    """What actions need of the server."""

    results: KnownResults

    @property
    def client_capabilities(self) -> types.ClientCapabilities:
        """What the client can do."""

    async def open_text(self, uri: str) -> OpenText | None:
        """Return the open document *uri*."""

    def open_texts(self) -> list[OpenText]:
        """Return the open documents."""


@dataclass(frozen=True)
class ActionClient:
    """What a client makes of code actions."""

    codec: PositionCodec
    #: Whether it knows more than commands.
    literals: bool
    #: Whether it asks for an action's changes when somebody has chosen it.
    resolves: bool
    #: Whether it can tell that a file has another version by now.
    versions: bool
    #: Whether the server may change files.
    applies: bool


def action_client(client: types.ClientCapabilities, codec: PositionCodec) -> ActionClient:
    """Return what *client* makes of code actions."""
    document = client.text_document or types.TextDocumentClientCapabilities()
    actions = document.code_action or types.CodeActionClientCapabilities()
    workspace = client.workspace or types.WorkspaceClientCapabilities()
    edit = workspace.workspace_edit
    resolved = actions.resolve_support.properties if actions.resolve_support else ()
    return ActionClient(
        codec=codec,
        literals=actions.code_action_literal_support is not None,
        resolves="edit" in resolved and bool(actions.data_support),
        versions=bool(edit and edit.document_changes),
        applies=bool(workspace.apply_edit),
    )


@dataclass(frozen=True)
class _ProjectNow:
    """A project's results and files at one moment. Implements `features.actions.Project`."""

    root: Path | None
    texts: Texts

    def leaking_test(self, nodeid: str) -> TestRecord | None:
        """Return the newest result of the test *nodeid*, with its call stacks."""
        if self.root is None:
            return None
        path, _, name = nodeid.partition("::")
        try:
            return read_database(self.root, lambda reader: reader.latest_test(path, name))
        except ResultsError as error:
            logger.info("%s", error)  # `KnownResults.read` has the user told
            return None

    def test_module(self, nodeid: str) -> Document | None:
        """Return the file that the test *nodeid* is in."""
        if self.root is None:
            return None
        path = file_named(self.root, nodeid.partition("::")[0])
        return _document(self.texts, path, uri_of(path))


def _document(texts: Texts, path: Path, uri: str) -> Document | None:
    opened = texts.opened(path)
    if opened:
        return Document(opened[0].uri, opened[0].version, opened[0].text)
    text = texts.now(path)
    return None if text is None else Document(uri, None, text)


class Actions:
    """Answers what a client asks about code actions. For the event loop only."""

    def __init__(self, host: Host, client: ActionClient) -> None:
        self._host = host
        self._client = client
        self._disk = DiskTexts()

    async def offered(
        self, params: types.CodeActionParams
    ) -> list[types.CodeAction | types.Command]:
        """Return the actions for a range."""
        wanted = params.context.only
        opened = await self._host.open_text(params.text_document.uri)
        if opened is None or not any(_is_wanted(kind, wanted) for kind in KINDS):
            return []
        results = await self._host.results.of_file(opened.path)
        texts = self._texts()

        def make() -> list[types.CodeAction | types.Command]:
            document = Document(opened.uri, opened.version, opened.text)
            asked = Asked(params.range, tuple(params.context.diagnostics))
            project = _ProjectNow(results.root, texts)
            found = proposals(document, results, asked, self._client.codec, project)
            if not self._client.literals:
                return self._commands(document, found)
            return [self._action(document, each) for each in found if _is_wanted(each.kind, wanted)]

        return await asyncio.to_thread(make)

    async def resolved(self, action: types.CodeAction) -> types.CodeAction:
        """Return *action* with its changes; without them if it makes no sense any more."""
        data = action.data
        if not isinstance(data, Mapping) or not isinstance(data.get("uri"), str):
            return action
        opened = await self._host.open_text(data["uri"])
        if opened is None:
            return action
        key = data.get("key")
        # Which of several faults is meant is only certain in the same text.
        if isinstance(key, list) and key[:1] == ["fix"] and data.get("version") != opened.version:
            return action
        results = await self._host.results.of_file(opened.path)
        texts = self._texts()

        def make() -> types.WorkspaceEdit | None:
            document = Document(opened.uri, opened.version, opened.text)
            found = proposal(document, results, key, _ProjectNow(results.root, texts))
            # Somebody chose what the title said, not what would be right by now.
            if found is None or found.title != action.title:
                return None
            return self._edit(found)

        action.edit = await asyncio.to_thread(make)
        return action

    async def limit_from_peak(self, arguments: Sequence[object]) -> Proposal | str:
        """Return what the arguments of `memlens.setLimitFromPeak` ask for, or why it cannot be.

        Raises:
            JsonRpcInvalidParams: they are wrong.
        """
        uri, test = _read_arguments(arguments)
        path = path_of(uri)
        if path is None:
            raise JsonRpcInvalidParams(f"{SET_LIMIT_COMMAND}: {uri!r} is not the URI of a file")
        results = await self._host.results.of_file(path)
        texts = self._texts()

        def make() -> Proposal | str:
            document = _document(texts, path, uri)
            if document is None:
                return f"{path} cannot be read"
            return limit_from_peak(document, results, test)

        return await asyncio.to_thread(make)

    async def edit(self, chosen: Proposal) -> types.WorkspaceEdit:
        """Return the changes of *chosen*."""
        return await asyncio.to_thread(self._edit, chosen)

    def _texts(self) -> Texts:
        return Texts(self._host.open_texts(), self._disk)

    def _action(self, document: Document, offered: Proposal) -> types.CodeAction:
        action = types.CodeAction(
            title=offered.title,
            kind=offered.kind,
            diagnostics=list(offered.diagnostics) or None,
            is_preferred=offered.is_preferred or None,
        )
        if self._client.resolves:
            action.data = {
                "uri": document.uri,
                "version": document.version,
                "key": list(offered.key),
            }
        else:
            action.edit = self._edit(offered)
        return action

    def _commands(
        self, document: Document, found: Sequence[Proposal]
    ) -> list[types.CodeAction | types.Command]:
        """Return those of *found* that a command does too."""
        return [
            types.Command(
                each.title,
                SET_LIMIT_COMMAND,
                arguments=[{"uri": document.uri, "test": each.key[2]}],
            )
            for each in found
            if self._client.applies and each.key[:2] == ("limit", "limit_memory")
        ]

    def _edit(self, chosen: Proposal) -> types.WorkspaceEdit:
        document = chosen.document
        edits = text_edits(document.text, chosen.changes(), self._client.codec)
        if not self._client.versions:
            return types.WorkspaceEdit(changes={document.uri: edits})
        place = types.OptionalVersionedTextDocumentIdentifier(document.uri, document.version)
        return types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(place, list(edits))])


#: What actions are to the client.
KINDS = (types.CodeActionKind.QuickFix, types.CodeActionKind.RefactorRewrite)


def _is_wanted(kind: str, wanted: Sequence[str] | None) -> bool:
    """Return whether a client that asks *only* for the kinds *wanted* wants *kind*."""
    # "refactor" means "refactor.rewrite" too (LSP 3.17, "CodeActionKind").
    return not wanted or any(
        each in ("", kind) or kind.startswith(f"{each}.") for each in map(_name, wanted)
    )


def _name(kind: types.CodeActionKind | str) -> str:
    return kind.value if isinstance(kind, types.CodeActionKind) else kind


def _read_arguments(arguments: Sequence[object]) -> tuple[str, str]:
    target: Any = arguments[0] if len(arguments) == 1 else None
    if isinstance(target, Mapping):
        uri, test = target.get("uri"), target.get("test")
        if isinstance(uri, str) and isinstance(test, str):
            return uri, test.partition("[")[0]
    raise JsonRpcInvalidParams(
        f"{SET_LIMIT_COMMAND} takes one argument, an object with uri and test, which is a node id"
        " after the file"
    )
