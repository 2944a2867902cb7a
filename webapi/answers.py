"""What a handler returns, and how errors become problem documents."""

import logging
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, NamedTuple

from tasky.client import wire
from tasky.errors import Internal, MethodNotAllowed, TaskyError, TooManyAttempts, Unauthorized

JSON = "application/json"
PROBLEM = "application/problem+json"
BUSY_RETRY_S = 1

SECURITY_HEADERS = [
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
]
"""On every answer, whoever makes it."""

log = logging.getLogger("tasky.web")

Header = tuple[str, str]


class Answer(NamedTuple):
    """Body, status and headers. A body in pieces must come with its Content-Length."""

    body: bytes | Iterator[bytes] = b""
    status: int = 200
    headers: tuple[Header, ...] = ()
    media_type: str = JSON


def json(form: Any, status: int = 200, *headers: Header) -> Answer:
    """Return a wire form as an answer."""
    return Answer(wire.dumps(form), status, headers)


def etag(version: int) -> Header:
    return ("ETag", f'"{version}"')


def problem(error: TaskyError) -> Answer:
    """Return an error as a problem document with the headers its status asks for."""
    return Answer(wire.dumps(wire.error(error)), error.status, _headers_of(error), PROBLEM)


def internal(error: BaseException, request_id: str) -> Answer:
    """Log an error that is ours with its traceback; tell the client only where to look."""
    log.error("request %s failed", request_id, exc_info=error)
    return problem(Internal(kind=type(error).__name__, id=request_id))


def _headers_of(error: TaskyError) -> tuple[Header, ...]:
    if isinstance(error, Unauthorized):
        return (("WWW-Authenticate", 'Bearer realm="tasky"'),)
    if isinstance(error, MethodNotAllowed):
        return (("Allow", error.fields["allowed"]),)
    if isinstance(error, TooManyAttempts):
        return (("Retry-After", str(error.fields["n"])),)
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return (("Retry-After", str(BUSY_RETRY_S)),)
    return ()


def status_line(status: int) -> str:
    return _LINES[status]


_LINES = {int(status): f"{int(status)} {status.phrase}" for status in HTTPStatus}
