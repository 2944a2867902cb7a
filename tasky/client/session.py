"""Tasky in Python: the verbs of every front end as methods, on a file or on a running server."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from tasky.client.base import Client
from tasky.clock import MICROSECONDS, SystemClock, from_datetime, from_iso
from tasky.errors import BadRequest, TaskyError, WaitedTooLong
from tasky.model import LogLine, Page, Problem, Stats, Submit, Task
from tasky.states import State

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class TaskHandle:
    """One task, as a thing to wait for and to steer. `id` is good for ever."""

    __slots__ = ("_client", "_last", "id")

    def __init__(self, client: Client, task: Task) -> None:
        self.id = task.id
        self._client = client
        self._last = task

    def __repr__(self) -> str:
        return f"<task {self.id[:8]} {self._last.worker} {self._last.status}>"

    def refresh(self) -> Task:
        """Return the task as it is now."""
        if not self._last.ended or self._last.execution_id is None:
            self._last = self._client.task(self.id)
        return self._last

    @property
    def status(self) -> State:
        """Its state now."""
        return self._client.task(self.id).status

    @property
    def output(self) -> Any:
        """What the code returned: JSON as Python values, str or bytes; None before the end."""
        found = self._client.output(self.id)
        if found.kind is None:
            return None
        data = found.read()
        if found.kind == "json":
            return msgspec.json.decode(data)
        return data.decode("utf-8", "replace") if found.kind == "text" else data

    @property
    def error(self) -> Problem | None:
        """What went wrong, None while nothing did."""
        return self._client.task(self.id).error

    def wait(self, timeout: float | None = None) -> Task:
        """Return the task once it ended. Raises `WaitedTooLong` after `timeout` seconds."""
        self._last = task = self._client.wait(self.id, timeout)
        if not task.ended:
            raise WaitedTooLong(id=self.id[:8], state=task.status, seconds=timeout)
        return task

    def log(self, after: int = 0) -> list[LogLine]:
        """Return the lines of its latest execution after a sequence number."""
        return self._client.log(self.id, after=after, limit=100_000)

    def cancel(self, reason: str = "") -> Task:
        """Ask it to stop."""
        return self._client.act(self.id, "cancel", reason=reason)

    def pause(self) -> Task:
        """Ask it to stand still at its next checkpoint."""
        return self._client.act(self.id, "pause")

    def resume(self) -> Task:
        """Let it go on."""
        return self._client.act(self.id, "resume")

    def kill(self, reason: str = "") -> Task:
        """End it without its consent."""
        return self._client.act(self.id, "kill", reason=reason)

    def release(self) -> Task:
        """Queue it after a hold."""
        return self._client.act(self.id, "release")

    def rerun(self, **changes: Any) -> Task:
        """Run it again, with changes to its config if given."""
        return self._client.act(self.id, "rerun", config=changes or None)


class Session:
    """The verbs, over any client."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the server, or stop the engine and close the database. Twice is fine."""
        self.client.close()

    def run(
        self,
        worker: str | Callable[..., Any],
        config: Mapping[str, Any] | None = None,
        /,
        **options: Any,
    ) -> TaskHandle:
        """Submit one task; it is durable when this returns.

        `options` are those of a submit: timeout_s, priority (−100..100), queue, labels, not_before
        (µs, datetime or ISO text), delay_s, times, hold, key, max_attempts, idempotency_key. Raises
        `WorkerUnknown`, `ConfigInvalid` with every wrong field, and the like.
        """
        request = _request({"worker": self._name(worker), "config": config or {}, **options})
        return TaskHandle(self.client, self.client.submit(request))

    def submit_many(self, requests: Iterable[Mapping[str, Any]]) -> list[TaskHandle]:
        """Submit up to 10,000 tasks in one transaction, all or none."""
        many = [_request(r) for r in requests]
        client = self.client
        return [TaskHandle(client, task) for task in client.submit_many(many)]

    def _name(self, worker: str | Callable[..., Any]) -> str:
        if isinstance(worker, str):
            return worker
        raise BadRequest(what="the worker", why="a running server takes workers by name only")

    def task(self, id: str) -> TaskHandle:  # noqa: A002
        """Return a handle for a task id or a unique prefix. Raises `TaskUnknown`."""
        return TaskHandle(self.client, self.client.task(id))

    def tasks(self, q: str = "", **options: Any) -> Page[Task]:
        """Return one page of tasks. `status=`, `worker=` narrow like the query language does."""
        terms = [f"{name}:{options.pop(name)}" for name in ("status", "worker") if name in options]
        return self.client.tasks(" ".join([q, *terms]).strip(), **options)

    def cancel(self, id: str, reason: str = "") -> Task:  # noqa: A002
        """Ask a task to stop."""
        return self.client.act(id, "cancel", reason=reason)

    def pause(self, id: str) -> Task:  # noqa: A002
        """Ask a task to stand still at its next checkpoint."""
        return self.client.act(id, "pause")

    def resume(self, id: str) -> Task:  # noqa: A002
        """Let a task go on."""
        return self.client.act(id, "resume")

    def kill(self, id: str, reason: str = "") -> Task:  # noqa: A002
        """End a task without its consent."""
        return self.client.act(id, "kill", reason=reason)

    def release(self, id: str) -> Task:  # noqa: A002
        """Queue a held task."""
        return self.client.act(id, "release")

    def rerun(self, id: str, **changes: Any) -> Task:  # noqa: A002
        """Run an ended task again, with changes to its config if given."""
        return self.client.act(id, "rerun", config=changes or None)

    def stats(self, since: str | float | None = None, **options: Any) -> Stats:
        """Return the report; `since` is a span back ("1h", "30m", seconds), 24 h unless given."""
        start = (
            None if since is None else SystemClock().now() - int(seconds_of(since) * MICROSECONDS)
        )
        return self.client.stats(start, **options)


class Tasky(Session):
    """An engine in this process on a database file, or on ":memory:".

    Loads the sample workers, the entry points and `workers` (modules, folders, `.py` files); starts
    at once, stops with `close()` or at the end of a `with` block. File workers keep to `roots`.
    Raises `DatabaseOwned` when another process has the file.
    """

    def __init__(
        self,
        path: str | Path = "tasky.db",
        *,
        workers: Sequence[str] = (),
        threads: int = 4,
        roots: Sequence[str | Path] | None = None,
        samples: bool = True,
        grace_s: float = 10.0,
    ) -> None:
        from tasky.client.local import LocalClient
        from tasky.core import Core, Options

        self._grace_s = grace_s
        options = Options(
            path=path,
            workers=tuple(workers),
            samples=samples,
            threads=threads,
            roots=[str(Path.cwd())] if roots is None else [str(root) for root in roots],
        )
        self.core = Core(options)
        try:
            self.core.start()
        except BaseException:
            self.core.close(0)
            raise
        super().__init__(LocalClient(self.core, "python"))

    def __enter__(self) -> "Tasky":
        return self

    def close(self) -> None:
        """Ask what runs to stop, wait up to `grace_s`, close the database."""
        self.core.close(self._grace_s)

    def _name(self, worker: str | Callable[..., Any]) -> str:
        if isinstance(worker, str):
            return worker
        from tasky.worker import spec_of

        return self.core.register(spec_of(worker)).spec.name

    def on(
        self, event: str, handler: Callable[..., None], params: Mapping[str, Any] | None = None
    ) -> None:
        """Call `handler(event, params)` after each commit with that event (GoWork's id or Tasky's).

        Raises `Conflict` when the event has a handler already; what a handler raises is logged.
        """
        self.core.hooks.on(event, handler, params)


def _request(fields: Mapping[str, Any]) -> Submit:
    """Make a submit of a mapping. Raises `BadRequest` for an unknown or wrong option."""
    try:
        moment = fields.get("not_before")
        if moment is not None and not isinstance(moment, int):
            fields = {**fields, "not_before": _moment(moment)}
        return msgspec.convert(fields, Submit)
    except (TypeError, AttributeError, ValueError, OverflowError) as problem:
        raise BadRequest(what="the request", why=str(problem)) from None


def _moment(given: Any) -> int:
    return from_iso(given) if isinstance(given, str) else from_datetime(given)


def seconds_of(span: str | float) -> float:
    """Return the seconds of "90s", "5m", "2h", "3d" or of a number. Raises `BadRequest`."""
    if isinstance(span, (int, float)):
        return float(span)
    text = span.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = _SPAN.findall(text)
    if not parts or _SPAN.sub("", text).strip():
        raise BadRequest(what="the span", why=f'"{span}" is not like 90s, 5m, 2h or 3d')
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


__all__ = ["Session", "TaskHandle", "Tasky", "TaskyError", "seconds_of"]
