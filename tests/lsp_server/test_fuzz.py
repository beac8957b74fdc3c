"""A client that sends anything, to a server whose files change under it."""

from __future__ import annotations

import asyncio
import enum
import json
import os
import queue
import random
import subprocess
import threading
import types as python_types
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs
import pytest
from lsprotocol import types
from lsprotocol.converters import get_converter

from memlens.store import database_path
from memlens_lsp.handlers import register_handlers
from memlens_lsp.server import MemlensServer
from memlens_lsp.uris import uri_of

from .helpers import MIB, PATIENCE, SERVER, Project, frame, full_capabilities, locked, result
from .test_bad_input import OVER, TEST, message, notification, remove, request, spoil

#: How much is sent in one test.
STEPS = 500
#: How much more memory the server may take at the end than at the start, in bytes.
GROWTH = 120 * MIB

CONVERTER = get_converter()
TEXTS = (
    "",
    TEST,
    "\ufeffdef test_a():\r\n\tx = '😀e\u0301'\r\n\r",
    "import pytest\n\n@pytest.mark.limit_memory('1 MB', x=\ndef test_a(",
    "@pytest.mark.limit_leaks('1 XB')\nclass TestA:\n    def test_a(self): ...\n",
    "\x00\x0c\u2028" * 50,
    "def test_a():\n" * 300,
)
JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**31,
    2**80,
    1.5,
    "",
    "\ud800",
    "x" * 5000,
    [],
    {},
    [[]],
    {"uri": 1},
    "a\0b",
)
#: What could end the conversation, or is not a client's to send.
LEFT_OUT = (types.INITIALIZE, types.SHUTDOWN, types.EXIT)


def offered() -> tuple[dict[str, Any], list[str]]:
    """What a server has registered for a client that can do everything: methods and commands.

    With the type of each method's parameters, None of what is not the LSP's.
    """
    server = MemlensServer()
    register_handlers(server)
    sent: list[bytes] = []

    class Writer:
        def write(self, data: bytes) -> None:
            sent.append(data)

        def close(self) -> None:
            pass

    async def begin() -> None:
        server.protocol.set_writer(Writer())
        server.protocol.handle_message(json.loads(initialize(None).partition(b"\r\n\r\n")[2]))

    asyncio.run(begin())
    assert b"capabilities" in sent[-1]
    known = {*server.protocol.fm.features, *server.protocol.fm.builtin_features} - {*LEFT_OUT}
    return {method: parameters_of(method) for method in sorted(known)}, sorted(
        server.protocol.fm.commands
    )


def parameters_of(method: str) -> Any:
    of_method = types.METHOD_TO_TYPES.get(method)
    return of_method[2] if of_method else None


def initialize(root: Path | None) -> bytes:
    capabilities = CONVERTER.unstructure(full_capabilities())
    folders = [{"uri": uri_of(root), "name": "a"}] if root else None
    options = {
        "settings": {"interpreter": "/bin/false"},
        "notifications": ["memlens/resultsChanged"],
    }
    return request(
        "begin",
        "initialize",
        {
            "processId": None,
            "rootUri": None,
            "capabilities": capabilities,
            "workspaceFolders": folders,
            "initializationOptions": options,
        },
    )


def camel(name: str) -> str:
    first, *others = name.rstrip("_").split("_")
    return first + "".join(word.title() for word in others)


class Client:
    """A server, and a client that answers it at random."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._process = subprocess.Popen(
            SERVER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._lock = threading.Lock()
        self._arrived: queue.Queue[Any] = queue.Queue()
        self.stderr = ""
        self._threads = [threading.Thread(target=self._read), threading.Thread(target=self._log)]
        for thread in self._threads:
            thread.start()
        #: The answers by id.
        self.answers: dict[Any, Any] = {}

    def send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(data)
            self._process.stdin.flush()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while True:
            length = 0
            while (line := stream.readline()) not in (b"\r\n", b""):
                if line.startswith(b"Content-Length: "):
                    length = int(line[16:])
            if not line:
                self._arrived.put(None)
                return
            self._arrived.put(json.loads(stream.read(length)))

    def _log(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.stderr += line.decode()

    def take(self, *, wait: bool) -> bool:
        """Take one message of the server's; False if there is none, or none comes."""
        try:
            arrived = self._arrived.get(timeout=PATIENCE) if wait else self._arrived.get_nowait()
        except queue.Empty:
            return False
        assert arrived is not None, f"the server has ended:\n{self.stderr}"
        if "method" not in arrived:
            self.answers[arrived["id"]] = arrived
        elif "id" in arrived:
            self._answer(arrived)
        return True

    def _answer(self, asked: Mapping[str, Any]) -> None:
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": asked["id"]}
        kind = self._chance.randrange(6)
        if kind == 0:
            return  # never
        if kind == 1:
            answer["error"] = {"code": -32603, "message": "no"}
        elif kind == 2:
            answer["result"] = self._chance.choice(JUNK)
        elif asked["method"] == types.WORKSPACE_CONFIGURATION:
            answer["result"] = [
                self._chance.choice((None, {"interpreter": "/bin/false"}))
                for _ in asked["params"]["items"]
            ]
        else:
            answer["result"] = None
        self.send(message(answer))
        if kind == 3:
            self.send(message(answer))

    def until_answered(self, numbers: Collection[Any]) -> None:
        while not {*numbers} <= self.answers.keys():
            missing = {*numbers} - self.answers.keys()
            assert self.take(wait=True), f"no answer to {missing}\n{self.stderr}"

    def memory(self) -> int:
        """The server's resident memory, in bytes."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def end(self) -> int:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            return self._process.wait(PATIENCE)
        finally:
            self.close()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()


class Fuzz:
    """What one seed makes happen."""

    def __init__(self, seed: int, project: Project) -> None:
        self.chance = random.Random(seed)
        self.project = project
        self.client = Client(self.chance)
        self.methods, self.commands = offered()
        self.uris = [
            *(project.uri(f"test_{name}.py") for name in "abc"),
            project.uri("é 100%.py"),
            uri_of(project.root),
            "untitled:a",
            "file:///",
            "vscode-notebook-cell:/a#b",
            "http://[",
        ]
        self.versions: dict[str, int] = {}
        self.asked: list[int] = []

    # What is sent

    def step(self) -> None:
        chosen = self.chance.choices(
            (self.ask, self.tell, self.edit, self.cancel, self.nonsense, self.disturb),
            (40, 10, 25, 10, 5, 10),
        )
        chosen[0]()
        while self.client.take(wait=False):
            pass

    def ask(self) -> None:
        method = self.chance.choice([*self.methods, types.WORKSPACE_EXECUTE_COMMAND])
        if types.METHOD_TO_TYPES.get(method, (None, 1))[1] is None:
            self.client.send(notification(method, self.params(method)))
            return
        self.asked.append(len(self.asked))
        self.client.send(request(self.asked[-1], method, self.params(method)))

    def tell(self) -> None:
        settings = self.chance.choice(
            ({"interpreter": "/bin/false"}, {"memlens": {"codeLens": 3}}, *JUNK)
        )
        self.client.send(
            notification(types.WORKSPACE_DID_CHANGE_CONFIGURATION, {"settings": settings})
        )

    def edit(self) -> None:
        uri = self.chance.choice(self.uris)
        version = self.versions[uri] = self.versions.get(uri, 0) + self.chance.choice((1, 1, -1))
        document = {"uri": uri, "version": version}
        kind = self.chance.randrange(5)
        if kind == 0:
            item = {**document, "languageId": "python", "text": self.chance.choice(TEXTS)}
            self.client.send(notification(types.TEXT_DOCUMENT_DID_OPEN, {"textDocument": item}))
        elif kind == 1:
            closed = {"textDocument": {"uri": uri}}
            self.client.send(notification(types.TEXT_DOCUMENT_DID_CLOSE, closed))
        else:
            change: dict[str, Any] = {"text": self.chance.choice(TEXTS)}
            if self.chance.random() < 0.7:
                change["range"] = {"start": self.position(), "end": self.position()}
            params = {"textDocument": document, "contentChanges": [change]}
            self.client.send(notification(types.TEXT_DOCUMENT_DID_CHANGE, params))

    def cancel(self) -> None:
        number = self.chance.choice((*self.asked[-3:], *JUNK[:6]))
        self.client.send(notification(types.CANCEL_REQUEST, {"id": number}))

    def nonsense(self) -> None:
        self.client.send(
            self.chance.choice(
                (
                    message(b"{"),
                    message(self.chance.choice(JUNK)),
                    message({"jsonrpc": "2.0", "id": self.chance.choice(JUNK), "result": 1}),
                    message({"jsonrpc": "2.0", "method": self.chance.choice(JUNK)}),
                    b"Content-Length: 7\r\n\r\n{}",
                    b"\r\n\r\nnonsense\r\n",
                )
            )
        )
        # What comes after a broken header may be lost with it.
        for _ in range(2):
            self.client.send(notification("$/x", None))

    def disturb(self) -> None:
        """Change files under the server."""
        path = database_path(self.project.root)
        kind = self.chance.randrange(7)
        if kind in (0, 1, 2, 3, 6):
            remove(path.parent)
            self.run()
        if kind in (2, 3):
            spoil(
                path, self.chance.choice(("deleted", "emptied", "newer", "no database", "corrupt"))
            )
        elif kind == 4:
            remove(path.parent)
            path.mkdir(parents=True)
        elif kind == 5:
            name = f"test_{self.chance.choice('abc')}.py"
            self.project.write(name, self.chance.choice(TEXTS[:5]))
        elif kind == 6:
            with locked(self.project):
                for _ in range(3):
                    self.ask()

    def run(self) -> None:
        stack = (frame("load", "test_b.py", 1), frame("test_a", "test_a.py", 1))
        self.project.run(
            OVER,
            result("test_b.py::test_a[1]", 1, 5 * MIB, 2 * MIB, stack=stack),
            result("test_c.py::TestA::test_a", 3, MIB, leak=MIB, leak_stack=stack),
        )

    # Parameters

    def params(self, method: str) -> Any:
        if method == types.WORKSPACE_EXECUTE_COMMAND:
            made: Any = {
                "command": self.chance.choice(self.commands),
                "arguments": [self.test()] * self.chance.choice((1, 1, 1, 0, 2)),
            }
        elif self.methods.get(method) is None:
            made = {**self.test(), "limit": self.chance.choice((1, 5, 10**9))}
        else:
            made = self.value(self.methods[method], "")
        return self.broken(made) if self.chance.random() < 0.3 else made

    def test(self) -> dict[str, Any]:
        test = self.chance.choice(("test_a", "test_a[1]", "TestA::test_a", ""))
        return {"uri": self.chance.choice(self.uris), "test": test}

    def position(self) -> dict[str, int]:
        numbers = (0, 0, 1, 2, 3, 17, 10**6, 2**31 - 1)
        return {"line": self.chance.choice(numbers), "character": self.chance.choice(numbers)}

    def value(self, kind: Any, name: str) -> Any:
        """The JSON of a value of the type *kind*, of a field called *name*."""
        origin, arguments = get_origin(kind), get_args(kind)
        simple: dict[Any, Any] = {
            bool: self.chance.random() < 0.5,
            int: self.chance.choice((0, 1, 2, 17, 2**31 - 1)),
            float: 0.5,
            str: self.chance.choice(self.uris if "uri" in name else ("", "a", "quickfix")),
            type(None): None,
        }
        if kind in simple:
            made = simple[kind]
        elif origin in (Union, python_types.UnionType):
            made = self.value(self.chance.choice(arguments), name)
        elif origin is Literal:
            made = self.chance.choice(arguments)
        elif isinstance(origin, type) and issubclass(origin, Mapping):
            made = {}
        elif isinstance(origin, type) and issubclass(origin, Sequence):
            made = [self.value(arguments[0], name) for _ in range(self.chance.randrange(3))]
        elif isinstance(kind, type) and attrs.has(kind):
            fields = {each: self.value(hint, each) for each, hint in get_type_hints(kind).items()}
            made = {camel(each): value for each, value in fields.items() if value is not None}
        elif isinstance(kind, type) and issubclass(kind, enum.Enum):
            made = self.chance.choice([member.value for member in kind])
        else:
            made = self.chance.choice(JUNK[:6])
        return made

    def broken(self, made: Any) -> Any:
        """The JSON *made* with some part of it replaced or left out."""
        if isinstance(made, dict) and made and self.chance.random() < 0.8:
            key = self.chance.choice([*made])
            changed = dict(made)
            if self.chance.random() < 0.3:
                del changed[key]
            else:
                changed[key] = self.broken(changed[key])
            return changed
        return self.chance.choice(JUNK)


def fuzz(seed: int, project: Project) -> None:
    print(f"MEMLENS_FUZZ_SEED={seed}")
    made = Fuzz(seed, project)
    client = made.client
    try:
        client.send(initialize(project.root))
        client.until_answered(["begin"])
        client.send(notification("initialized", {}))
        made.run()
        before = client.memory()
        for _ in range(STEPS):
            made.step()
        # All is well again, and so is the server.
        remove(database_path(project.root).parent)
        project.write("test_a.py", TEST)
        made.run()
        for number in made.asked:
            client.send(notification(types.CANCEL_REQUEST, {"id": number}))
        uri = project.uri("test_a.py")
        client.send(notification(types.TEXT_DOCUMENT_DID_CLOSE, {"textDocument": {"uri": uri}}))
        item = {"uri": uri, "version": 1, "languageId": "python", "text": TEST}
        client.send(notification(types.TEXT_DOCUMENT_DID_OPEN, {"textDocument": item}))
        client.send(request("last", "memlens/history", {"uri": uri, "test": "test_a"}))
        client.until_answered([*made.asked, "last"])
        (past,) = client.answers["last"]["result"]["results"]
        assert past["peakBytes"] == 3 * MIB
        after = client.memory()
        client.send(request("end", "shutdown"))
        client.until_answered(["end"])
        client.send(notification("exit"))
        assert client.end() == 0
    finally:
        client.close()
    assert "Traceback" not in client.stderr, client.stderr
    faults = [line for line in client.stderr.splitlines() if " ERROR " in line]
    assert faults == []
    assert after - before < GROWTH


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_sent_the_server_works_on(project: Project, seed: int) -> None:
    fuzz(seed, project)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_whatever_else_is_sent_the_server_works_on(project: Project) -> None:
    fuzz(int(os.environ.get("MEMLENS_FUZZ_SEED") or random.randrange(2**32)), project)


def test_everything_that_the_server_has_is_sent() -> None:
    methods, commands = offered()
    assert {"textDocument/codeLens", "memlens/tests", "textDocument/didOpen"} <= methods.keys()
    assert "memlens.run" in commands
