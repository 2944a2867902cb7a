"""What the figures say: statistics over a window, where a task's time went, why it waits."""

import math
from collections.abc import Iterable

import msgspec

from tasky.clock import MICROSECONDS, Clock, iso
from tasky.errors import BadRequest, FieldError, nearest
from tasky.model import Bucket, Slow, Stats, Summary, Task, TaskStats, Why, WorkerStats
from tasky.runtime.dispatcher import DEFAULT_MAX_RUNNING, MAX_ABANDONED, Dispatcher
from tasky.runtime.registry import Registry
from tasky.states import FINAL, State
from tasky.store.stats import Figures, merged
from tasky.store.store import Store

STEPS = {"hour": 3600, "day": 86400}
BY = ("worker", "status", "error", "hour", "day")
OPEN_CAP = 10_000


class Reports:
    """Reads the store and the dispatcher; changes nothing."""

    def __init__(
        self, store: Store, registry: Registry, dispatcher: Dispatcher | None, clock: Clock
    ) -> None:
        self._store = store
        self._registry = registry
        self._dispatcher = dispatcher
        self._clock = clock

    # -- statistics --------------------------------------------------------------------------------

    def stats(
        self,
        since: int | None = None,
        *,
        worker: str | None = None,
        by: str | None = None,
        step_s: int | None = None,
    ) -> Stats:
        """Return what ended from `since` (µs) until now, 24 hours back unless given.

        Raises `BadRequest` for an unknown `by`, `WorkerUnknown` for a worker that never was.
        """
        now = self._clock.now()
        since = now - 24 * 3600 * MICROSECONDS if since is None else since
        if by is not None and by not in BY:
            why = f'"{by}" is none of {", ".join(BY)}.{nearest(by, BY)}'
            raise BadRequest(what="by", why=why, errors=[FieldError("/by", why)])
        name = self._registry.get(worker).spec.name if worker and self._unknown(worker) else worker
        window = (since // MICROSECONDS // 60 * 60, now // MICROSECONDS + 1)
        figures = self._store.statistics.by_worker(*window, name)
        whole = merged(figures.values())
        minutes = max((now - since) / MICROSECONDS / 60, 1 / 60)
        oldest = self._store.tasks.oldest_queued()
        step = step_s or STEPS.get(by or "")
        return Stats(
            since=since,
            until=now,
            total=whole.total,
            by_status=self._by_status(whole, name),
            failure_rate=whole.failure_rate,
            throughput_per_min=round(whole.total / minutes, 3) if whole.total else None,
            run_s=whole.summary("run"),
            wait_s=whole.summary("wait"),
            workers=[self._worker(n, f, since, minutes) for n, f in sorted(figures.items())],
            top_errors=self._store.statistics.errors(*window, name),
            slowest=self._slowest(since, name),
            oldest_queued_s=(now - oldest) / MICROSECONDS if oldest else None,
            series=self._series(window, step, name) if step else [],
        )

    def _unknown(self, worker: str) -> bool:
        return worker not in {row.name for row in self._store.workers.all()}

    def _by_status(self, whole: Figures, worker: str | None) -> dict[str, int]:
        counts = dict(whole.by_status)
        if worker is None:
            counts |= {s: n for s, n in self._store.tasks.count_open(OPEN_CAP).items() if n}
        order = [str(state) for state in State]
        return {state: counts[state] for state in order if state in counts}

    def _series(self, window: tuple[int, int], step: int, worker: str | None) -> list[Bucket]:
        figures = self._store.statistics.series(*window, step, worker)
        return [_bucket(iso(at * MICROSECONDS), f) for at, f in sorted(figures.items())]

    def _slowest(self, since: int, worker: str | None) -> list[Slow]:
        rows = {row.name: row.id for row in self._store.workers.all()}
        found = self._store.executions.slowest(since, rows.get(worker) if worker else None, 5)
        return [Slow(task_id, name, us / MICROSECONDS) for task_id, name, us in found]

    def _worker(self, name: str, f: Figures, since: int, minutes: float) -> WorkerStats:
        return WorkerStats(
            worker=name,
            total=f.total,
            by_status=f.by_status,
            failure_rate=f.failure_rate,
            throughput_per_min=round(f.total / minutes, 3) if f.total else None,
            run_s=f.summary("run"),
            wait_s=f.summary("wait"),
            last_error=self._store.statistics.last_error(name),
            since=since,
        )

    def worker(self, name: str, since: int | None = None) -> WorkerStats:
        """Return the figures of one worker; zero and null where there is no data yet."""
        known = self._registry.get(name).spec.name if self._unknown(name) else name
        now = self._clock.now()
        start = since or 0
        figures = self._store.statistics.by_worker(
            start // MICROSECONDS // 60 * 60, now // MICROSECONDS + 1, known
        )
        whole = merged(figures.values())
        minutes = max((now - start) / MICROSECONDS / 60, 1 / 60) if since else None
        stats = self._worker(known, whole, start, minutes or 1.0)
        if minutes is None:
            return _without_rate(stats)
        return stats

    def task(self, task_id: int, uid: str) -> TaskStats:
        """Return where the time of a task went."""
        rows = self._store.executions.times_of(task_id, self._clock.now())
        counts: dict[str, int] = {}
        for row in rows:
            counts[row[0]] = counts.get(row[0], 0) + 1
        runs = [row[2] for row in rows if row[0] in FINAL and row[2] > 0]
        return TaskStats(
            task_id=uid,
            queued_s=_sum(row[1] for row in rows),
            running_s=_sum(row[2] for row in rows),
            paused_s=_sum(row[3] for row in rows),
            waiting_s=_sum(row[4] for row in rows),
            executions=counts,
            run_s=_summary(runs),
        )

    # -- why ---------------------------------------------------------------------------------------

    def why(self, task: Task) -> Why:
        """Say why a task is where it is, and what would help."""
        if task.status in FINAL:
            return self._why_ended(task)
        if task.status == State.NEW:
            return _why("held", f'It is held. "tasky release {task.id[:8]}" queues it.')
        if task.status == State.QUEUED:
            return self._why_queued(task)
        return self._why_active(task)

    @staticmethod
    def _why_ended(task: Task) -> Why:
        text = task.error.message if task.error else "its code returned"
        return _why(task.status, f"{_ENDED[task.status]}: {text}.".replace("..", "."))

    def _why_active(self, task: Task) -> Why:
        at = self._last_checkpoint(task.number)
        if task.cancel_requested_at is not None:
            ago = _ago(self._clock.now() - task.cancel_requested_at)
            text = f"Cancel was asked {ago} ago; {at}. It stops at its next checkpoint."
            return _why("cancel_requested", text)
        if task.status == State.PAUSED:
            return _why("paused", f'It is paused. "tasky resume {task.id[:8]}" lets it go on.')
        if task.pause_requested_at is not None:
            ago = _ago(self._clock.now() - task.pause_requested_at)
            return _why("pause_requested", f"Pause was asked {ago} ago; {at}.")
        if task.status == State.WAITING:
            return _why("waiting", "Its code said that it waits for something outside.")
        return _why("running", f"Its code is running; {at}.")

    def _last_checkpoint(self, task_id: int) -> str:
        running = self._dispatcher.of_task(task_id) if self._dispatcher else []
        trails = [r.trail[-1] for r in running if r.trail]
        return (
            f'its last checkpoint was "{trails[-1][1]}"' if trails else "no named checkpoint so far"
        )

    def _why_queued(self, task: Task) -> Why:
        blockers = list(self._blockers(task))
        if not blockers:
            return _why("next", "Nothing is in its way: it starts with the next free slot.")
        return Why(reason=blockers[0][0], text=blockers[0][1], blockers=[b[1] for b in blockers])

    def _blockers(self, task: Task) -> Iterable[tuple[str, str]]:
        """Yield (code, sentence) for all that keeps a queued task from starting, hardest first."""
        registered = self._registry.workers.get(task.worker)
        if self._dispatcher is None:
            yield "no_engine", 'Nothing runs tasks on this database now. Start "tasky serve".'
        if registered is None:
            yield (
                "not_loaded",
                f"The worker {task.worker} is not loaded in this process. Load it with -w.",
            )
        elif not registered.enabled:
            why = f': "{registered.disabled_reason}"' if registered.disabled_reason else ""
            yield "disabled", f"The worker {task.worker} is disabled{why}. Enable it to go on."
        now = self._clock.now()
        if task.not_before and task.not_before > now:
            yield "not_before", f"Its time comes at {iso(task.not_before)}."
        if task.status == State.QUEUED and task.error is not None and task.error.type == "Lost":
            yield "crash", f"The server crashed in attempt {task.attempt}; the next one is queued."
        elif task.error is not None and task.attempt:
            yield "retry", f"Attempt {task.attempt} failed; the next one waits for its backoff."
        yield from self._full(task)

    def _full(self, task: Task) -> Iterable[tuple[str, str]]:
        if self._dispatcher is None:
            return
        registered = self._registry.workers.get(task.worker)
        running = list(self._dispatcher.running.values())
        if registered is not None:
            limit = registered.max_running or registered.spec.max_running or DEFAULT_MAX_RUNNING
            mine = [r for r in running if r.claimed.worker_id == registered.row_id]
            if len(mine) >= limit:
                yield (
                    "worker_limit",
                    f"{len(mine)} tasks of {task.worker} run, its limit is {limit}.",
                )
        if self._dispatcher.abandoned >= MAX_ABANDONED:
            yield (
                "threads_stuck",
                (
                    f"{self._dispatcher.abandoned} threads ignore cancel, the limit. "
                    "New starts wait until one ends or the server is restarted."
                ),
            )
        if len(running) >= self._dispatcher.slots:
            names = ", ".join(sorted({r.claimed.uid[:8] for r in running})[:8])
            yield "pool_full", f"All {self._dispatcher.slots} slots are taken: {names}."


_ENDED = {
    State.SUCCEEDED: "It succeeded",
    State.FAILED: "It failed",
    State.CANCELLED: "It was cancelled",
    State.TIMED_OUT: "It ran out of time",
    State.KILLED: "It was killed",
    State.LOST: "It is lost",
}


def _why(reason: str, text: str) -> Why:
    return Why(reason=reason, text=text, blockers=[])


def _ago(us: int) -> str:
    return f"{max(0, us) / MICROSECONDS:.0f} s"


def _sum(values: Iterable[float]) -> float:
    return round(sum(values), 6)


def _bucket(key: str, f: Figures) -> Bucket:
    return Bucket(
        key=key,
        by_status=f.by_status,
        total=f.total,
        failure_rate=f.failure_rate,
        run_s=f.summary("run"),
        wait_s=f.summary("wait"),
    )


def _without_rate(stats: WorkerStats) -> WorkerStats:
    """Since the beginning of time there is no rate; the count says more."""
    return msgspec.structs.replace(stats, throughput_per_min=None, since=None)


def _summary(values: list[float]) -> Summary:
    """Exact figures of a few values; percentiles by nearest rank."""
    if not values:
        return Summary()
    ordered = sorted(values)

    def rank(q: float) -> float:
        return round(ordered[max(1, math.ceil(q * len(ordered))) - 1], 6)

    return Summary(
        mean=round(sum(ordered) / len(ordered), 6),
        min=round(ordered[0], 6),
        max=round(ordered[-1], 6),
        p50=rank(0.5),
        p95=rank(0.95),
        p99=rank(0.99),
    )
