"""The client over REST: the same verbs, the same values, the same errors as in process."""

import http.client
import random
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from tasky.client import wire
from tasky.client.base import MAX_WAIT_S, Output
from tasky.errors import BadRequest, OutcomeUnknown, ServerUnreachable, TaskyError
from tasky.model import (
    Event,
    Execution,
    LogLine,
    NotLoaded,
    Outcome,
    Page,
    Result,
    Stats,
    Submit,
    Task,
    TaskStats,
    Why,
    Worker,
    WorkerStats,
)
from tasky.states import FINAL

T = TypeVar("T")

API = "/tasky/v1"
PATIENCE_S = 10.0
CHUNK_BYTES = 256 * 1024
LINES = 5_000
EVENTS = 1_000
"""What one call may ask for; more is asked for piece by piece."""


class HttpClient:
    """All verbs, on a running server. One kept-alive connection per thread."""

    def __init__(self, url: str, token: str | None = None, *, retries: int = 1) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadRequest(what="the address", why=f'"{url}" is not like http://127.0.0.1:8888')
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._tls = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port or (443 if self._tls else 8888)
        self._token = token
        self._retries = retries
        self._local = threading.local()
        self._open: list[http.client.HTTPConnection] = []

    # -- transport --------------------------------------------------------------------------------

    def _connection(self) -> http.client.HTTPConnection:
        found: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if found is None:
            if self._tls:
                found = http.client.HTTPSConnection(
                    self._host, self._port, timeout=PATIENCE_S, context=ssl.create_default_context()
                )
            else:
                found = http.client.HTTPConnection(self._host, self._port, timeout=PATIENCE_S)
            self._local.connection = found
            self._open.append(found)
        return found

    def _send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], wait_s: float
    ) -> http.client.HTTPResponse:
        """Send one request; a kept-alive connection that the server closed is opened anew."""
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        for attempt in range(self._retries + 1):
            connection = self._connection()
            fresh, sent = connection.sock is None, False
            try:
                if fresh:
                    connection.connect()
                    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sock.settimeout(PATIENCE_S + wait_s)
                sent = True
                connection.request(method, path, body, headers)
                return connection.getresponse()
            except (OSError, http.client.HTTPException) as problem:
                connection.close()
                if sent and not _harmless(method, headers):
                    raise OutcomeUnknown(seconds=round(PATIENCE_S + wait_s)) from None
                # Only a kept-alive connection that never answered is worth another try.
                if fresh or attempt == self._retries or isinstance(problem, TimeoutError):
                    raise ServerUnreachable(url=self.url, reason=_reason(problem)) from None
        raise ServerUnreachable(url=self.url, reason="no answer")

    def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        wait_s: float = 0.0,
    ) -> Any:
        """Return the decoded answer, or raise the error that the server tells of."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = f"{path}?{urlencode(given)}" if given else path
        sent = {"Accept": "application/json", **(headers or {})}
        data = None if body is None else wire.dumps(body)
        if data is not None:
            sent["Content-Type"] = "application/json"
        response = self._send(method, target, data, sent, wait_s)
        content = self._read(response)
        if response.status >= 400:
            raise self._error(response.status, content)
        if wait_s > 0 and response.headers.get("Retry-After"):
            # No waiting place was free. Who asks again at once would only keep the server busy.
            time.sleep(min(wait_s, random.uniform(1.0, 2.0)))  # noqa: S311  # spreads load, hides nothing
        return msgspec.json.decode(content) if content else None

    def _read(self, response: http.client.HTTPResponse, size: int | None = None) -> bytes:
        """Read an answer, or a piece of it; a server that dies half-way is not there."""
        try:
            return response.read(size)
        except (OSError, http.client.HTTPException) as problem:
            self._connection().close()
            raise ServerUnreachable(url=self.url, reason=_reason(problem)) from None

    def _pieces(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        while piece := self._read(response, CHUNK_BYTES):
            yield piece

    def _error(self, status: int, content: bytes) -> TaskyError:
        try:
            return wire.to_error(msgspec.json.decode(content, type=dict[str, Any]))
        except msgspec.MsgspecError:
            return ServerUnreachable(url=self.url, reason=f"it answers {status}, but not as Tasky")

    def close(self) -> None:
        for connection in self._open:
            connection.close()

    # -- workers ----------------------------------------------------------------------------------

    def workers(self) -> tuple[list[Worker], list[NotLoaded]]:
        form = self._call("GET", f"{API}/workers")
        return (
            [wire.to_worker(entry) for entry in form["items"]],
            [wire.to_not_loaded(entry) for entry in form["not_loaded"]],
        )

    def worker(self, name: str) -> Worker:
        form = self._call("GET", f"{API}/workers/{_part(name)}")
        return wire.to_worker(form["worker"])

    def change_worker(
        self,
        name: str,
        *,
        enabled: bool | None = None,
        reason: str | None = None,
        max_running: int | None = None,
        queue: str | None = None,
        version: int | None = None,
    ) -> Worker:
        changes = {"enabled": enabled, "reason": reason, "max_running": max_running, "queue": queue}
        body = {key: value for key, value in changes.items() if value is not None}
        form = self._call("PATCH", f"{API}/workers/{_part(name)}", body, headers=_match(version))
        return wire.to_worker(form)

    def worker_stats(self, name: str, since: int | None = None) -> WorkerStats:
        query = {"since": wire.moment(since)}
        return wire.to_worker_stats(
            self._call("GET", f"{API}/workers/{_part(name)}/statistics", query=query)
        )

    # -- submit -----------------------------------------------------------------------------------

    def submit(self, request: Submit) -> Task:
        body = wire.submit(msgspec.structs.replace(request, idempotency_key=None))
        headers = _once(request.idempotency_key)
        return wire.to_task(self._call("POST", f"{API}/tasks", body, headers=headers))

    def submit_many(self, requests: Sequence[Submit]) -> list[Task]:
        headers = _once(requests[0].idempotency_key if requests else None)
        plain = [msgspec.structs.replace(r, idempotency_key=None) for r in requests]
        form = self._call("POST", f"{API}/tasks", [wire.submit(r) for r in plain], headers=headers)
        return [wire.to_task(entry) for entry in form["items"]]

    def check(self, request: Submit) -> None:
        self._call("POST", f"{API}/tasks", wire.submit(request), query={"dry_run": "true"})

    # -- look -------------------------------------------------------------------------------------

    def task(self, id: str) -> Task:  # noqa: A002
        return wire.to_task(self._call("GET", f"{API}/task/{_part(id)}"))

    def tasks(
        self,
        q: str = "",
        *,
        sort: str = "created",
        order: str = "desc",
        limit: int = 50,
        cursor: str | None = None,
        tz: str | None = None,
    ) -> Page[Task]:
        query = {
            "q": q or None, "sort": sort, "order": order, "limit": limit, "cursor": cursor,
            "tz": tz,
        }  # fmt: skip
        return wire.to_page(self._call("GET", f"{API}/tasks", query=query), wire.to_task)

    def wait(self, id: str, timeout_s: float | None = None) -> Task:  # noqa: A002
        return self._wait_until(id, lambda task: task.status in FINAL, timeout_s)

    def wait_change(self, id: str, version: int, timeout_s: float) -> Task:  # noqa: A002
        return self._wait_until(id, lambda task: task.version != version, timeout_s)

    def _wait_until(self, id: str, good: Any, timeout_s: float | None) -> Task:  # noqa: A002
        """Long-poll the status until the task is as wanted or the time is over."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        task = self.task(id)
        while not good(task):
            left = MAX_WAIT_S if until is None else until - time.monotonic()
            if left <= 0:
                return task
            step = min(left, 30.0)
            query = {"wait": f"{step:.3f}", "version": task.version}
            self._call("GET", f"{API}/task/{_part(task.id)}/status", query=query, wait_s=step)
            task = self.task(task.id)
        return task

    def output(self, id: str) -> Output:  # noqa: A002
        response = self._send("GET", f"{API}/task/{_part(id)}/output", None, {}, 0.0)
        if response.status >= 400:
            raise self._error(response.status, self._read(response))
        kind = response.headers.get("Tasky-Output-Kind")
        size = int(response.headers.get("Content-Length") or 0)
        if kind is None:
            self._read(response)
            return Output(None, 0, iter(()))
        return Output(kind, size, self._pieces(response))

    def log(
        self,
        id: str,  # noqa: A002
        *,
        after: int = 0,
        limit: int = 1000,
        tail: int | None = None,
        wait_s: float = 0.0,
    ) -> list[LogLine]:
        path = f"{API}/task/{_part(id)}/log"
        if tail is not None:
            form = self._call("GET", path, query={"tail": min(tail, LINES)})
            return [wire.to_log_line(entry) for entry in form["items"]]
        return self._feed(
            path, wire.to_log_line, lambda line: line.seq, after, limit, LINES, wait_s
        )

    def events(
        self,
        *,
        after: int = 0,
        task: str | None = None,
        limit: int = 500,
        wait_s: float = 0.0,
    ) -> list[Event]:
        path = f"{API}/events" if task is None else f"{API}/task/{_part(task)}/events"
        return self._feed(path, wire.to_event, lambda event: event.id, after, limit, EVENTS, wait_s)

    def _feed(
        self,
        path: str,
        made: Callable[[Mapping[str, Any]], T],
        place: Callable[[T], int],
        after: int,
        limit: int,
        at_once: int,
        wait_s: float,
    ) -> list[T]:
        """Return up to `limit` entries after an ordinal; only the first call waits."""
        found: list[T] = []
        while len(found) < limit:
            size = min(at_once, limit - len(found))
            wait = min(wait_s, MAX_WAIT_S) if not found else 0.0
            query = {"after": after, "limit": size, "wait": f"{wait:.3f}" if wait > 0 else None}
            form = self._call("GET", path, query=query, wait_s=wait)
            found += [made(entry) for entry in form["items"]]
            if len(form["items"]) < size:
                break
            after = place(found[-1])
        return found

    def newest_event(self) -> int:
        return int(
            self._call("GET", f"{API}/events", query={"limit": 1, "after": 1 << 62})["newest"]
        )

    def results(self, id: str) -> list[Result]:  # noqa: A002
        form = self._call("GET", f"{API}/task/{_part(id)}/results")
        return [wire.to_result(entry) for entry in form["items"]]

    def executions(self, id: str) -> list[Execution]:  # noqa: A002
        form = self._call("GET", f"{API}/task/{_part(id)}/executions")
        return [wire.to_execution(entry) for entry in form["items"]]

    def why(self, id: str) -> Why:  # noqa: A002
        return wire.to_why(self._call("GET", f"{API}/task/{_part(id)}/why"))

    def stack(self, id: str) -> list[str]:  # noqa: A002
        return list(self._call("GET", f"{API}/task/{_part(id)}/stack")["frames"])

    def task_stats(self, id: str) -> TaskStats:  # noqa: A002
        return wire.to_task_stats(self._call("GET", f"{API}/task/{_part(id)}/statistics"))

    # -- control ----------------------------------------------------------------------------------

    def act(
        self,
        id: str,  # noqa: A002
        action: str,
        *,
        times: int = 1,
        config: Mapping[str, Any] | None = None,
        reason: str = "",
        expect_status: str | None = None,
        version: int | None = None,
        wait_s: float = 0.0,
    ) -> Task:
        body: dict[str, Any] = {"action": action}
        if times != 1:
            body["times"] = times
        more = {"config": config, "reason": reason, "expect_status": expect_status}
        body |= {name: value for name, value in more.items() if value}
        wait_s = min(wait_s, MAX_WAIT_S)
        query = {"wait": f"{wait_s:.3f}"} if wait_s > 0 else {}
        path = f"{API}/task/{_part(id)}/actions"
        form = self._call("POST", path, body, query=query, headers=_match(version), wait_s=wait_s)
        return wire.to_task(form)

    def act_many(
        self,
        q: str,
        action: str,
        *,
        reason: str = "",
        dry_run: bool = False,
        tz: str | None = None,
    ) -> list[Outcome]:
        body: dict[str, Any] = {"q": q, "action": action, "dry_run": dry_run}
        body |= {name: text for name, text in (("reason", reason), ("tz", tz)) if text}
        form = self._call("POST", f"{API}/tasks/actions", body, wait_s=MAX_WAIT_S)
        return [wire.to_outcome(entry) for entry in form["items"]]

    def set_config(self, id: str, config: Mapping[str, Any], *, version: int | None = None) -> Task:  # noqa: A002
        body = {"config": dict(config)}
        path = f"{API}/task/{_part(id)}"
        return wire.to_task(self._call("PUT", path, body, headers=_match(version)))

    def delete(self, id: str, *, version: int | None = None) -> None:  # noqa: A002
        self._call("DELETE", f"{API}/task/{_part(id)}", headers=_match(version))

    # -- the whole --------------------------------------------------------------------------------

    def stats(
        self,
        since: int | None = None,
        *,
        worker: str | None = None,
        by: str | None = None,
        step_s: int | None = None,
    ) -> Stats:
        query = {"since": wire.moment(since), "worker": worker, "by": by, "step": step_s}
        return wire.to_stats(self._call("GET", f"{API}/statistics", query=query))

    def system(self) -> dict[str, Any]:
        found: dict[str, Any] = self._call("GET", f"{API}/system")
        return found


def _part(text: str) -> str:
    """Quote one part of a path; an empty one would ask for the list instead."""
    return quote(text, safe="") or "%20"


def _once(key: str | None) -> dict[str, str]:
    """Return the header that makes a repeat harmless; without a key of the caller, a fresh one."""
    return {"Idempotency-Key": key or secrets.token_hex(16)}


def _harmless(method: str, headers: Mapping[str, str]) -> bool:
    """Tell whether a request may be sent again when nobody knows whether it arrived."""
    return method in ("GET", "HEAD") or "Idempotency-Key" in headers


def _match(version: int | None) -> dict[str, str]:
    return {} if version is None else {"If-Match": f'"{version}"'}


def _reason(problem: Exception) -> str:
    if isinstance(problem, ConnectionRefusedError):
        return "connection refused"
    if isinstance(problem, TimeoutError):
        return "no answer in time"
    return str(problem).lower() or type(problem).__name__
