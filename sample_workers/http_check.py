"""Teaches a deadline of one's own, and an error that says what is wrong without a secret in it."""

import base64
import http.client
import string
import time
from typing import Annotated, Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from tasky import Context, Param, worker

BLOCK = 64 * 1024
LARGEST = 64 * 1024 * 1024
CONNECTIONS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


class CheckFailedError(Exception):
    """The address does not answer as it should."""


@worker(idempotent=True)
def http_check(
    ctx: Context,
    url: Annotated[str, Param("Address.", examples=("https://example.com/",), max_length=4096)],
    timeout_s: Annotated[float, Param("Seconds for all of it.", gt=0, le=3600)] = 10,
    expect_status: Annotated[int, Param("Status of a good answer.", ge=100, le=599)] = 200,
) -> dict[str, Any]:
    """Ask a web server for a page; anything but the expected status is a failure.

    Redirects are not followed: a 301 is an answer. A login in the URL is sent, but never shown.
    """
    parts = _parts(url)
    shown = _shown(parts)
    start = time.monotonic()
    connection = CONNECTIONS[parts.scheme](parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", _target(parts), headers=_headers(parts))
        with connection.getresponse() as answer:
            size = _read(ctx, answer, start + timeout_s)
    except (OSError, UnicodeError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise CheckFailedError(f"{shown} gives no answer: {reason}. Is it up?") from None
    finally:
        connection.close()
    if answer.status != expect_status:
        told = f"{shown} answers {answer.status} {answer.reason}, not {expect_status}."
        raise CheckFailedError(f"{told} Look at the server, or expect another status.")
    elapsed = round(time.monotonic() - start, 3)
    return {"url": shown, "status": answer.status, "elapsed_s": elapsed, "bytes": size}


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in CONNECTIONS and parts.hostname and (parts.port or True)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("The URL cannot be used. Give one like https://host:port/path.")
    return parts


def _shown(parts: SplitResult) -> str:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()


def _target(parts: SplitResult) -> str:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return quote(target, safe=string.punctuation)


def _headers(parts: SplitResult) -> dict[str, str]:
    headers = {"User-Agent": "tasky http_check", "Accept": "*/*"}
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    return headers


def _read(ctx: Context, answer: http.client.HTTPResponse, until: float) -> int:
    size = 0
    while size < LARGEST and (chunk := answer.read1(BLOCK)):
        size += len(chunk)
        ctx.progress(size, unit="B")
        ctx.checkpoint()
        if time.monotonic() > until:
            raise TimeoutError("timed out")
    return size
