"""A real core with workers that tests steer by events, and REST over it."""

import io
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from tasky.client.local import LocalClient, own
from tasky.worker import Context, spec_of, worker
from webapi.app import App, make_app
from webapi.auth import Auth
from webapi.gates import Origins
from webapi.places import Places
from webapi.server import Server

TOKEN = "tsk_test"
PORT = 8888
PATIENCE_S = 10.0
"""How long a test waits for a signal that comes at once if the code is right."""


class Stage:
    """One database with an engine. `gate` lets the worker `held` go on, `entered` tells it runs."""

    def __init__(self, folder: Path) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.client: LocalClient = own(
            folder / "work.db", verb="test", engine=True, samples=False, threads=2,
            roots=[str(folder)],
        )  # fmt: skip
        for target in (echo, boom, give, chat, self._held()):
            self.client.core.register(spec_of(target))

    def _held(self) -> Any:
        @worker(name="held")
        def held(ctx: Context, words: str = "") -> str:
            """Wait until the test lets it go on; obeys cancel and pause."""
            ctx.log.info("begun")
            self.entered.set()
            while not self.gate.is_set():
                ctx.sleep(0.01)
            return "gone on"

        return held

    def close(self) -> None:
        self.gate.set()
        self.client.core.close(PATIENCE_S)


@worker
def echo(text: str = "hello", times: int = 1) -> dict[str, Any]:
    """Return the text, some times over."""
    return {"text": text * times}


@worker
def boom(ctx: Context) -> None:
    """Fail at once."""
    raise RuntimeError("boom")


@worker
def give(kind: Literal["text", "bytes", "array", "nothing", "much"] = "text") -> Any:
    """Return something of a kind."""
    return {
        "text": "grüße\n",
        "bytes": b"\x00\xff",
        "array": [1, "zwei", None],
        "nothing": None,
        "much": b"0123456789" * 100_000,
    }[kind]


@worker
def chat(ctx: Context, lines: int = 3) -> None:
    """Log some lines."""
    for number in range(lines):
        ctx.log.info("line %d", number)


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        """The code of a problem document, which every error must be."""
        assert self.headers["content-type"] == "application/problem+json", self
        form = self.json
        assert form["status"] == self.status
        return str(form["code"])


class Web:
    """The application called as a WSGI server would call it."""

    def __init__(self, app: App) -> None:
        self.app = app

    def __call__(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        token: str | None = TOKEN,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        data = (
            body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        )
        environ = _environ(method, target, data)
        if token is not None:
            environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        for name, value in (headers or {}).items():
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
        return self._send({name: value for name, value in environ.items() if value is not None})

    def _send(self, environ: dict[str, Any]) -> Reply:
        begun: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            begun.append((status, headers))

        pieces = self.app(environ, start)
        body = b"".join(pieces)
        status, headers = begun[-1]
        return Reply(int(status[:3]), {n.lower(): v for n, v in headers}, body)


def _environ(method: str, target: str, data: bytes) -> dict[str, Any]:
    path, _, query = target.partition("?")
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SCRIPT_NAME": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": str(PORT),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": f"127.0.0.1:{PORT}",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(data)),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(data),
        "wsgi.errors": io.StringIO(),
    }


def app_of(
    client: LocalClient, *, token: str | None = TOKEN, port: int = PORT, places: int = 4
) -> App:
    return make_app(
        client.acting_as, auth=Auth(token), origins=Origins(port), places=Places(places)
    )


@contextmanager
def served(
    client: LocalClient, *, token: str | None = TOKEN, places: int = 4, port: int = 0
) -> Iterator[Server]:
    """A server, on a free port unless told, stopped at the end."""
    server = Server(port=port, threads=8)
    with ExitStack() as stack:
        stack.callback(server.stop)
        server.start(app_of(client, token=token, port=server.port, places=places))
        yield server


def nothing_left() -> list[str]:
    """Return the names of our threads that outlive a test, after giving them time to end."""
    until = time.monotonic() + PATIENCE_S
    ours = [t for t in threading.enumerate() if t.name.startswith(("tasky-", "waitress-"))]
    for thread in ours:
        thread.join(max(0.0, until - time.monotonic()))
    return [thread.name for thread in ours if thread.is_alive()]
