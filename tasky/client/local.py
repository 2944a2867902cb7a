"""The client over a core in this process."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tasky.assignment import CHUNK_BYTES
from tasky.client.base import EFFECTS, Output
from tasky.core import Core, Options
from tasky.errors import BadRequest, FieldError, TaskyError
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
from tasky.runtime.control import Wanted
from tasky.runtime.intake import as_written
from tasky.states import ACTIONS, FINAL, State
from tasky.store.tasks import task_of


class LocalClient:
    """All verbs, on an open core. `actor` is who asks, for history and idempotency keys."""

    def __init__(self, core: Core, actor: str = "", *, owns_core: bool = True) -> None:
        self.core = core
        self.actor = actor
        self._owns_core = owns_core

    def acting_as(self, actor: str) -> "LocalClient":
        """Return a client of the same core for somebody else."""
        return LocalClient(self.core, actor, owns_core=False)

    # -- workers -----------------------------------------------------------------------------------

    def workers(self) -> tuple[list[Worker], list[NotLoaded]]:
        registered = sorted(self.core.registry.workers.items())
        return [r.described() for _, r in registered], list(self.core.registry.not_loaded)

    def worker(self, name: str) -> Worker:
        return self.core.registry.get(name).described()

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
        if max_running is not None and max_running < 1:
            errors = [FieldError("/max_running", "must be 1 or more")]
            raise BadRequest(what="max_running", why="it must be 1 or more", errors=errors)
        self.core.change_worker(
            name, enabled=enabled, reason=reason, max_running=max_running, queue=queue,
            actor=self.actor,
            version=version,
        )  # fmt: skip
        return self.worker(name)

    def worker_stats(self, name: str, since: int | None = None) -> WorkerStats:
        return self.core.reports.worker(name, since)

    # -- submit ------------------------------------------------------------------------------------

    def submit(self, request: Submit) -> Task:
        return self.submit_many([request])[0]

    def submit_many(self, requests: Sequence[Submit]) -> list[Task]:
        if self.actor:
            requests = [msgspec.structs.replace(r, actor=self.actor) for r in requests]
        new, done = self.core.intake.submit(requests)
        if done.replayed:
            return [msgspec.structs.replace(self.task(uid), replayed=True) for uid in done.uids]
        return [self._shown(as_written(task, done, n)) for n, task in enumerate(new)]

    def check(self, request: Submit) -> None:
        self.core.intake.checked(request)

    def _shown(self, task: Task) -> Task:
        """Return a task without the values that its worker marks secret."""
        registered = self.core.registry.workers.get(task.worker)
        if registered is None or not registered.secrets:
            return task
        config = msgspec.json.decode(task.config)
        if not isinstance(config, dict):  # shortened for a list
            return msgspec.structs.replace(task, config=msgspec.Raw(b'"***"'))
        masked = {k: "***" if k in registered.secrets else v for k, v in config.items()}
        return msgspec.structs.replace(task, config=msgspec.Raw(msgspec.json.encode(masked)))

    # -- look --------------------------------------------------------------------------------------

    def _number(self, id: str) -> int:  # noqa: A002
        return self.core.store.tasks.resolve(id)[0]

    def task(self, id: str) -> Task:  # noqa: A002
        return self._shown(self.core.store.tasks.get(id))

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
        page = self.core.store.lists.page(
            q, sort=sort, order=order, limit=limit, cursor=cursor, now=self.core.clock.now(), tz=tz
        )
        return Page(
            items=[self._shown(task_of(row, short=True)) for row in page.rows],
            next_cursor=page.next_cursor,
            total=page.total,
            total_is_exact=page.total_is_exact,
        )

    def wait(self, id: str, timeout_s: float | None = None) -> Task:  # noqa: A002
        number = self._number(id)

        def ended() -> bool | None:
            return True if self.core.store.tasks.state_of(number)[0] in FINAL else None

        self.core.watch.wait_end(number, ended, timeout_s)
        return self._shown(self.core.store.tasks.by_number(number))

    def wait_change(self, id: str, version: int, timeout_s: float) -> Task:  # noqa: A002
        number = self._number(id)

        def changed() -> bool | None:
            return True if self.core.store.tasks.state_of(number)[1] != version else None

        self.core.watch.wait_change(number, changed, timeout_s)
        return self._shown(self.core.store.tasks.by_number(number))

    def output(self, id: str) -> Output:  # noqa: A002
        task = self.task(id)
        if task.output is not None:
            data = bytes(task.output)
            if task.output_kind == "text":
                data = msgspec.json.decode(data, type=str).encode("utf-8", "surrogatepass")
            return Output(task.output_kind, len(data), iter([data]))
        execution_id = task.execution_id
        if task.output_kind is None or execution_id is None:
            return Output(None, 0, iter(()))
        return Output(task.output_kind, task.output_size or 0, self._chunks(execution_id))

    def _chunks(self, execution_id: int) -> Iterator[bytes]:
        seq = 0
        while (chunk := self.core.store.executions.chunk(execution_id, seq)) is not None:
            yield chunk
            seq += 1
            if len(chunk) < CHUNK_BYTES:
                return

    def log(
        self,
        id: str,  # noqa: A002
        *,
        after: int = 0,
        limit: int = 1000,
        tail: int | None = None,
        wait_s: float = 0.0,
    ) -> list[LogLine]:
        task = self.task(id)
        if task.execution_id is None:
            return []
        if tail is not None:
            return self.core.store.logs.tail(task.execution_id, tail)
        number = task.number

        def look() -> list[LogLine] | None:
            now = self.core.store.tasks.by_number(number)
            lines = self.core.store.logs.after(now.execution_id or 0, after, limit)
            return lines if lines or now.ended else None

        if wait_s <= 0:
            return self.core.store.logs.after(task.execution_id, after, limit)
        return self.core.watch.wait_change(number, look, wait_s) or []

    def events(
        self,
        *,
        after: int = 0,
        task: str | None = None,
        limit: int = 500,
        wait_s: float = 0.0,
    ) -> list[Event]:
        number = self._number(task) if task is not None else None

        def look() -> list[Event] | None:
            if number is not None:
                return self.core.store.events.of_task(number, after, limit) or None
            return self.core.store.events.after(after, limit) or None

        if wait_s <= 0:
            return look() or []
        return self.core.watch.wait_any(look, wait_s) or []

    def newest_event(self) -> int:
        return self.core.store.events.bounds()[1]

    def results(self, id: str) -> list[Result]:  # noqa: A002
        return self.core.store.results.of_task(self._number(id))

    def executions(self, id: str) -> list[Execution]:  # noqa: A002
        return self.core.store.executions.of_task(self._number(id))

    def why(self, id: str) -> Why:  # noqa: A002
        return self.core.reports.why(self.task(id))

    def stack(self, id: str) -> list[str]:  # noqa: A002
        return self.core.stack(self._number(id))

    def task_stats(self, id: str) -> TaskStats:  # noqa: A002
        return self.core.reports.task(*self.core.store.tasks.resolve(id))

    # -- control -----------------------------------------------------------------------------------

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
        number = self._number(id)
        wanted = Wanted(
            action=action, times=times, config=dict(config) if config else None, reason=reason,
            actor=self.actor, expect_status=expect_status, version=version,
        )  # fmt: skip
        self.core.control.act(number, wanted)
        if wait_s > 0:
            self._wait_effect(number, action, wait_s)
        return self._shown(self.core.store.tasks.by_number(number))

    def _wait_effect(self, number: int, action: str, wait_s: float) -> None:
        effect = EFFECTS.get(action)
        if effect is None:
            return

        def there() -> bool | None:
            return True if effect(self.core.store.tasks.by_number(number)) else None

        self.core.watch.wait_change(number, there, wait_s)

    def act_many(
        self,
        q: str,
        action: str,
        *,
        reason: str = "",
        dry_run: bool = False,
        tz: str | None = None,
    ) -> list[Outcome]:
        if action not in ACTIONS:
            why = f'"{action}" is none of {", ".join(ACTIONS)}'
            raise BadRequest(what="the action", why=why, errors=[FieldError("/action", why)])
        found = self.core.store.lists.ids(q, now=self.core.clock.now(), tz=tz)
        return [self._act_one(uid, state, action, reason, dry_run) for _, uid, state in found]

    def _act_one(self, uid: str, state: str, action: str, reason: str, dry_run: bool) -> Outcome:
        status = State(state)
        if dry_run:
            allowed = status in ACTIONS[action]
            detail = "" if allowed else f"{action} is not possible when {status}"
            return Outcome(task_id=uid, done=allowed, status=status, detail=detail)
        try:
            task = self.act(uid, action, reason=reason)
        except TaskyError as refusal:
            return Outcome(task_id=uid, done=False, status=status, detail=str(refusal))
        return Outcome(task_id=uid, done=True, status=task.status)

    def set_config(self, id: str, config: Mapping[str, Any], *, version: int | None = None) -> Task:  # noqa: A002
        number = self._number(id)
        self.core.control.set_config(number, dict(config), self.actor, version)
        return self._shown(self.core.store.tasks.by_number(number))

    def delete(self, id: str, *, version: int | None = None) -> None:  # noqa: A002
        self.core.control.delete(self._number(id), self.actor, version)

    # -- the whole ---------------------------------------------------------------------------------

    def stats(
        self,
        since: int | None = None,
        *,
        worker: str | None = None,
        by: str | None = None,
        step_s: int | None = None,
    ) -> Stats:
        return self.core.reports.stats(since, worker=worker, by=by, step_s=step_s)

    def system(self) -> dict[str, Any]:
        return self.core.system()

    def close(self) -> None:
        if self._owns_core:
            self.core.close()


def look_at(path: Path, workers: Sequence[str] = (), *, samples: bool = True) -> LocalClient:
    """Return a client that only reads a database file, whoever owns it.

    A missing file reads as empty.
    """
    shown: Path | str = path if path.exists() else ":memory:"
    writable = shown == ":memory:"
    return _opened(
        Options(
            path=shown,
            workers=workers,
            samples=samples,
            engine=False,
            writable=writable,
            verb="look",
        )
    )


def own(
    path: Path,
    workers: Sequence[str] = (),
    *,
    verb: str,
    engine: bool,
    samples: bool = True,
    threads: int = 4,
    roots: Sequence[str] = (),
    only_new: bool = False,
    start: bool = True,
) -> LocalClient:
    """Return a client that owns a database file; with `engine`, tasks run in this process.

    With `only_new`, only tasks that are submitted through it. Without `start`, the caller starts
    the core when it is ready. Raises `DatabaseOwned` and the other errors of opening.
    """
    options = Options(
        path=path,
        workers=workers,
        samples=samples,
        engine=engine,
        verb=verb,
        threads=threads,
        roots=roots,
        only_new=only_new,
    )
    return _opened(options, start=start)


def _opened(options: Options, *, start: bool = True) -> LocalClient:
    core = Core(options)
    try:
        if start:
            core.start()
    except BaseException:
        core.close(0)
        raise
    return LocalClient(core, "cli")
