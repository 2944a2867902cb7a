"""The WSGI application: gates, routes, and JSON for every answer there is."""

import itertools
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import bottle

from tasky.client.base import Client
from tasky.errors import BadRequest, MethodNotAllowed, NotFound, TaskyError
from webapi import answers
from webapi.answers import SECURITY_HEADERS, Answer
from webapi.asked import Asked
from webapi.auth import Auth
from webapi.gates import Gates, Origins, require
from webapi.places import Places
from webapi.routes import events, health, statistics, system, tasks, workers
from webapi.table import Route, Table

StartResponse = Callable[..., Any]
Environ = dict[str, Any]

log = logging.getLogger("tasky.web")


def make_app(
    clients: Callable[[str], Client], *, auth: Auth, origins: Origins, places: Places | None = None
) -> "App":
    """Return the application over `clients`, which gives a client that acts for a name."""
    table = Table()
    for noun in (health, workers, tasks, events, statistics, system):
        noun.register(table)
    workers.register_alias(table)
    return App(table, clients, auth, origins, places or Places())


class App:
    """The routes of a table behind their gates."""

    def __init__(
        self,
        table: Table,
        clients: Callable[[str], Client],
        auth: Auth,
        origins: Origins,
        places: Places,
    ) -> None:
        self.table = table
        self.places = places
        self._gates = Gates(origins, auth, table.open_paths)
        self._run = os.urandom(4).hex()
        self._count = itertools.count(1)
        self._bottle = _Bottle()
        known = _Clients(clients)
        for route in table:
            self._bottle.route(route.path, route.method, _Endpoint(route, known, places), skip=True)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["tasky.request_id"] = request_id = f"{self._run}-{next(self._count)}"

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            everywhere = [*SECURITY_HEADERS, ("X-Request-Id", request_id)]
            return start_response(status, [*headers, *everywhere], exc_info)

        try:
            environ["PATH_INFO"] = _path(environ)
            environ["tasky.identity"] = self._gates.enter(environ)
        except TaskyError as refusal:
            log.debug("refused %s: %s", request_id, refusal)
            return _send(answers.problem(refusal), environ, start)
        except Exception as error:  # noqa: BLE001  # a defect of a gate keeps it closed
            return _send(answers.internal(error, request_id), environ, start)
        return self._bottle(environ, start)  # type: ignore[no-any-return]  # Bottle has no types


def _path(environ: Environ) -> str:
    """Return the path without slashes at its end. Raises `BadRequest` for one that is no UTF-8."""
    path: str = environ.get("PATH_INFO", "")
    if not path.isascii():
        try:
            # Bottle would leave the wrong bytes out, and find something else.
            path.encode("latin-1").decode("utf-8")
        except UnicodeError:
            raise BadRequest(what="the path", why="it is no UTF-8") from None
    return path.rstrip("/") or "/"


def _send(answer: Answer, environ: Environ, start_response: StartResponse) -> list[bytes]:
    body = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
    headers = [
        ("Content-Type", answer.media_type),
        ("Content-Length", str(len(body))),
        *answer.headers,
    ]
    start_response(answers.status_line(answer.status), headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


class _Clients:
    """One client per name, made when first asked for."""

    def __init__(self, make: Callable[[str], Client]) -> None:
        self._make = make
        self._made: dict[str, Client] = {}

    def get(self, name: str) -> Client:
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = self._make(name)
        return found


class _Endpoint:
    """A handler as Bottle calls it: with the role checked, with all errors as answers."""

    def __init__(self, route: Route, clients: _Clients, places: Places) -> None:
        self._handler = route.handler
        self._role = route.role
        self._clients = clients
        self._places = places

    def __call__(self, **parts: str) -> bytes | Iterator[bytes]:
        environ = bottle.request.environ
        identity = environ["tasky.identity"]
        asked = Asked(environ, self._clients.get(identity.name), identity, self._places)
        try:
            require(self._role, identity)
            answer = self._handler(asked, **parts)
        except TaskyError as refusal:
            answer = answers.problem(refusal)
        except Exception as error:  # noqa: BLE001  # whatever a handler raises is an answer too
            answer = answers.internal(error, environ["tasky.request_id"])
        return _tell(answer, asked.headers)


def _tell(answer: Answer, more: Iterable[tuple[str, str]] = ()) -> bytes | Iterator[bytes]:
    """Set status and headers of Bottle's response; return the body."""
    response = bottle.response
    response.status = answer.status
    response.content_type = answer.media_type
    for name, value in answer.headers:
        response.set_header(name, value)
    for name, value in more:
        response.set_header(name, value)
    return answer.body


class _Bottle(bottle.Bottle):  # type: ignore[misc]  # Bottle has no types
    """Bottle whose own errors are problem documents."""

    def default_error_handler(self, res: Any) -> Any:
        environ = bottle.request.environ
        asked = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"[:200]
        if res.status_code == 404:
            return _tell(answers.problem(NotFound(what="route", name=asked)))
        if res.status_code == 405:
            allowed = _allowed(res.headers.get("Allow", ""))
            refusal = MethodNotAllowed(
                path=environ["PATH_INFO"][:200], method=environ["REQUEST_METHOD"], allowed=allowed
            )
            return _tell(answers.problem(refusal))
        error = res.exception or RuntimeError(f"status {res.status_code}")
        return _tell(answers.internal(error, environ["tasky.request_id"]))


def _allowed(methods: str) -> str:
    names = methods.split(",")
    return ", ".join([*names, "HEAD"] if "GET" in names else names)
