"""The talk with the client, which goes on whatever the client sends.

pygls leaves a request that it cannot read without an answer, and an answer that it cannot read
waited for. Here every request is answered and every wait ends, as JSON-RPC 2.0 and "Base Protocol"
and "Lifecycle Messages" of LSP 3.17 say; what cannot be answered is logged, once for each kind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote, urlsplit

from cattrs import transform_error
from lsprotocol import types
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInvalidParams,
    JsonRpcInvalidRequest,
    JsonRpcServerNotInitialized,
)
from pygls.protocol import (
    JsonRPCNotification,
    JsonRPCRequestMessage,
    JsonRPCResponseMessage,
    LanguageServerProtocol,
    lsp_method,
)

logger = logging.getLogger(__name__)

_JSON_RPC = "2.0"
#: How many different mistakes of a client are logged.
_MOST_COMPLAINTS = 200

_Id = str | int

#: The token by which the client wants to see the progress of the command that is being executed.
work_done_token: ContextVar[types.ProgressToken | None] = ContextVar(
    "work_done_token", default=None
)


class Protocol(LanguageServerProtocol):
    """LSP with one client."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._initialized = False
        self._complaints: set[str] = set()
        #: What this server offers beside the protocol, told as an experimental capability.
        self.experimental: Mapping[str, Any] = {}

    # What arrives

    def structure_message(self, data: Any) -> Any:
        """Return *data* as it is: called for every object in a message, not for messages."""
        return data

    def handle_message(self, message: Any) -> None:
        """Read and handle *message*, any JSON value. Never raises for what the client did."""
        if not isinstance(message, Mapping) or message.get("jsonrpc") != _JSON_RPC:
            self._refuse(_id_of(message), JsonRpcInvalidRequest('expected a "jsonrpc" of "2.0"'))
        elif "method" not in message:
            self._take_answer(message)
        elif not isinstance(message["method"], str):
            self._refuse(_id_of(message), JsonRpcInvalidRequest("expected a method's name"))
        elif "id" in message:
            self._take_request(message, message["method"])
        else:
            self._take_notification(message, message["method"])

    def cannot_read(self, error: Exception) -> None:
        """Say that what arrived was no JSON."""
        self.complain(f"a message that is no JSON: {error}")

    def complain(self, message: str) -> None:
        """Log *message* of something that the client should not have sent, once."""
        if message not in self._complaints and len(self._complaints) < _MOST_COMPLAINTS:
            self._complaints.add(message)
            logger.warning("%s", message)

    def _take_request(self, message: Mapping[str, Any], method: str) -> None:
        number = _id_of(message)
        refusal: JsonRpcException | None = None
        if number is None:
            refusal = JsonRpcInvalidRequest(f"{method}: expected an id, a string or an integer")
        elif number in self._request_futures:
            refusal = JsonRpcInvalidRequest(f"{method}: its id is that of another request")
        elif self._shutdown:
            refusal = JsonRpcInvalidRequest(f"{method}: the server has been shut down")
        elif method == types.INITIALIZE and self._initialized:
            refusal = JsonRpcInvalidRequest(f"{method}: may be sent only once")
        elif method != types.INITIALIZE and not self._initialized:
            refusal = JsonRpcServerNotInitialized(f'{method}: expected "initialize" first')
        if refusal is not None:
            self._refuse(number, refusal)
            return
        try:
            request = self._structured(message, JsonRPCRequestMessage)
        except ValueError as error:
            self._refuse(number, JsonRpcInvalidParams(str(error)))
            return
        self._initialized = True
        super().handle_message(request)

    def _take_notification(self, message: Mapping[str, Any], method: str) -> None:
        if not self._initialized and method != types.EXIT:
            return
        try:
            notification = self._structured(message, JsonRPCNotification)
        except ValueError as error:
            self.complain(str(error))
            return
        super().handle_message(notification)

    def _take_answer(self, message: Mapping[str, Any]) -> None:
        number = _id_of(message)
        # Only of requests of ours: the numbers of the client's requests are its own.
        if number is None or number not in self._result_types:
            self.complain("an answer to a request that was never made, or a second one")
            return
        result_type = self._result_types.pop(number) or JsonRPCResponseMessage
        future = self._request_futures.pop(number, None)
        if future is None or future.done():
            return  # nobody waits for it any more
        try:
            if message.get("error") is not None:
                refused = self._converter.structure(message["error"], types.ResponseError)
                # Not as an error of that code of ours, which the log would tell as a fault.
                error = JsonRpcException(refused.message, refused.code, refused.data)
                future.set_exception(error)
            elif result_type is JsonRPCResponseMessage:
                future.set_result(message.get("result"))
            else:
                whole = {"result": None, **message}
                future.set_result(self._converter.structure(whole, result_type).result)
        except Exception as problem:  # noqa: BLE001 - whatever converters raise
            reason = f"an answer that cannot be read: {_explained(problem)}"
            future.set_exception(JsonRpcException(reason))

    def _structured(self, message: Mapping[str, Any], other: Callable[..., Any]) -> Any:
        """Return *message* as the LSP's type of it, as *other* if it is none of the LSP's.

        Raises:
            ValueError: it has not the form that it should have.
        """
        kind = self.get_message_type(message["method"])
        if kind is None:
            known = ("id", "method", "jsonrpc")
            parts = {key: message[key] for key in known if key in message}
            return other(**parts, params=message.get("params"))
        try:
            return self._converter.structure(message, kind)
        except Exception as error:
            raise ValueError(f"{message['method']}: {_explained(error)}") from error

    def _refuse(self, number: _Id | None, error: JsonRpcException) -> None:
        self.complain(error.message)
        # JSON-RPC would answer what has no number, too: clients make nothing of that.
        if number is not None:
            self._send_response(number, error=error.to_response_error())

    # How it is handled

    def _execute_handler(
        self,
        msg_id: _Id,
        handler: Callable[..., Any],
        callback: Callable[[Future[Any]], None],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        def finished(future: Future[Any]) -> None:
            # pygls forgets requests. It would keep every notification, each key that is typed.
            self._request_futures.pop(msg_id, None)
            callback(future)

        super()._execute_handler(msg_id, handler, finished, args, kwargs)

    def _handle_cancel_notification(self, msg_id: Any) -> None:
        # Requests of ours are not the client's to cancel.
        if isinstance(msg_id, str | int) and msg_id not in self._result_types:
            super()._handle_cancel_notification(msg_id)

    def end_requests(self) -> None:
        """Cancel all requests that are under way, the client's and ours, but the one in hand.

        pygls does so at the end, and stumbles over those that are gone as soon as it does.
        """
        own: object = asyncio.current_task()
        for number, future in list(self._request_futures.items()):
            if number != self.msg_id and future is not own:
                future.cancel()

    def _serialize_message(self, data: Any) -> Any:
        if isinstance(data, JsonRPCResponseMessage):
            # The result is taken apart as far as it has to be: what is plain already, and may be
            # thousands of objects, is not walked through.
            return {"id": data.id, "jsonrpc": data.jsonrpc, "result": data.result}
        return super()._serialize_message(data)

    @lsp_method(types.INITIALIZE)
    def lsp_initialize(
        self, params: types.InitializeParams
    ) -> Generator[Any, Any, types.InitializeResult]:
        """Say what this server can do."""
        if params.root_uri is not None and not _is_uri(params.root_uri):
            self.complain(f"initialize: the rootUri {params.root_uri!r} is no URI")
            params.root_uri = None
        result = yield from super().lsp_initialize(params)
        if self.experimental:
            result.capabilities.experimental = self.experimental
        commands = result.capabilities.execute_command_provider
        if commands is not None:
            commands.work_done_progress = True
        return result

    @lsp_method(types.WINDOW_WORK_DONE_PROGRESS_CANCEL)
    def lsp_work_done_progress_cancel(
        self, params: types.WorkDoneProgressCancelParams
    ) -> Generator[Any, Any, None]:
        """Cancel what a progress is of."""
        if isinstance(params.token, str | int):  # the converter does not look
            yield from super().lsp_work_done_progress_cancel(params)

    @lsp_method(types.WORKSPACE_EXECUTE_COMMAND)
    def lsp_workspace__execute_command(
        self, params: types.ExecuteCommandParams
    ) -> Generator[Any, Any, Any]:
        """Execute a command."""
        # Each command sets it, and its handler's task begins with what it is then.
        work_done_token.set(params.work_done_token)
        return (yield from super().lsp_workspace__execute_command(params))

    @property
    def is_cancelled(self) -> bool:
        """Whether the client has cancelled the request that is being handled."""
        number = self.msg_id
        return number is not None and number not in self._request_futures

    def when_cancelled(self, callback: Callable[[], None]) -> None:
        """Call *callback* if the client cancels the request that is being handled.

        pygls ends the handlers of features, but not those of commands.
        """
        number = self.msg_id
        request = None if number is None else self._request_futures.get(number)
        if request is not None:
            request.add_done_callback(lambda done: callback() if done.cancelled() else None)

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(
        self, params: types.DidOpenTextDocumentParams
    ) -> Generator[Any, Any, None]:
        """Keep an opened document."""
        if _is_uri(params.text_document.uri):
            yield from super().lsp_text_document__did_open(params)
        else:
            self.complain(f"a document is opened whose URI is none: {params.text_document.uri!r}")

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(
        self, params: types.DidChangeTextDocumentParams
    ) -> Generator[Any, Any, None]:
        """Apply edits, in the order in which they arrive: that is the order of the protocol."""
        edited = params.text_document
        document = self.workspace.text_documents.get(unquote(edited.uri))
        if document is None:
            self.complain(f"a document is edited that is not open: {edited.uri}")
            return
        if document.version is not None and edited.version < document.version:
            self.complain(f"an older version follows a newer one of {edited.uri}")
        yield from super().lsp_text_document__did_change(params)

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_OPEN)
    def lsp_notebook_document__did_open(self, *_: object) -> None:
        """Ignore notebooks: pytest finds no tests in them."""

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_CHANGE)
    def lsp_notebook_document__did_change(self, *_: object) -> None:
        """Ignore notebooks."""

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_CLOSE)
    def lsp_notebook_document__did_close(self, *_: object) -> None:
        """Ignore notebooks."""


def _id_of(message: object) -> _Id | None:
    number = message.get("id") if isinstance(message, Mapping) else None
    return number if isinstance(number, str | int) and not isinstance(number, bool) else None


def _is_uri(text: str) -> bool:
    try:
        urlsplit(text)
    except ValueError:
        return False
    return True


def _explained(error: Exception) -> str:
    """Return what a converter found wrong, in one line."""
    try:
        found = transform_error(error, path="message")
    except Exception:  # noqa: BLE001 - it knows cattrs' own errors only
        found = []
    return "; ".join(found[:3]) or str(error) or type(error).__name__
