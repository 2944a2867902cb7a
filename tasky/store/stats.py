"""Statistics: written with each end, folded to coarser slices, read as sums over a window."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tasky.model import ErrorCount, Problem, Summary
from tasky.states import FAILURES, State
from tasky.store.database import Database
from tasky.store.queries import Queries
from tasky.store.sketch import bucket_of, percentile
from tasky.store.writer import Transaction

SQL = Queries("stats")

MINUTE, HOUR, DAY = 60, 3600, 86400
KEEP_MINUTES_S = 2 * DAY
KEEP_HOURS_S = 60 * DAY

_NUMBERS = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+", re.IGNORECASE)
_problem = msgspec.json.Decoder(Problem)

EndedRow = tuple[int, int, str, int | None, int | None, str | None]
"""(worker, task, state, queued_at, started_at, error JSON)"""


def record(tx: Transaction, ended: Sequence[EndedRow]) -> None:
    """Add ended executions to the rollups of this minute."""
    if not ended:
        return
    now = tx.now
    minute = now // 60_000_000 * MINUTE
    rows: dict[tuple[int, str, int], list[int]] = {}
    for worker_id, task_id, state, queued_at, started_at, error in ended:
        _add(rows, (worker_id, state, 0), 0)
        if started_at is not None:
            run = max(0, now - started_at)
            _add(rows, (worker_id, "run", bucket_of(run)), run)
            if queued_at is not None:
                wait = max(0, started_at - queued_at)
                _add(rows, (worker_id, "wait", bucket_of(wait)), wait)
        if error and state in FAILURES:
            _record_error(tx, minute, worker_id, task_id, error)
    tx.executemany(SQL.add, [(minute, *key, *sums) for key, sums in rows.items()])


def _add(rows: dict[tuple[int, str, int], list[int]], key: tuple[int, str, int], us: int) -> None:
    """Add one duration to (n, total, least, most) of a row."""
    sums = rows.get(key)
    if sums is None:
        rows[key] = [1, us, us, us]
        return
    sums[0] += 1
    sums[1] += us
    sums[2] = min(sums[2], us)
    sums[3] = max(sums[3], us)


def _record_error(tx: Transaction, minute: int, worker_id: int, task_id: int, error: str) -> None:
    problem = _problem.decode(error)
    mark = fingerprint(problem)
    message = problem.message[:500]
    tx.execute(SQL.add_error, (minute, worker_id, mark, problem.type, message, tx.now, task_id))


def fingerprint(problem: Problem) -> str:
    """Return what errors of one kind have in common: the type and the message without numbers."""
    return f"{problem.type}: {_NUMBERS.sub('#', problem.message)[:200]}"


def fold(tx: Transaction) -> None:
    """Add old minutes up to hours and old hours to days; sums and sketches stay exact."""
    now = tx.now // 1_000_000
    for fine, coarse, keep in ((MINUTE, HOUR, KEEP_MINUTES_S), (HOUR, DAY, KEEP_HOURS_S)):
        values = {"from": fine, "to": coarse, "before": (now - keep) // coarse * coarse}
        for statement in (SQL.fold, SQL.drop_fine, SQL.fold_errors, SQL.drop_fine_errors):
            tx.execute(statement, values)


class Figures:
    """Sums of one slice, as they come out of the table."""

    def __init__(self) -> None:
        self.by_status: dict[str, int] = {}
        self._buckets: dict[str, dict[int, tuple[int, int, int, int]]] = {"run": {}, "wait": {}}

    def add(self, kind: str, bucket: int, sums: tuple[int, int, int, int]) -> None:
        """Add one row: count, total, least and greatest of an end state or of a bucket."""
        if kind not in self._buckets:
            self.by_status[kind] = self.by_status.get(kind, 0) + sums[0]
            return
        n, total, least, most = self._buckets[kind].get(bucket, (0, 0, sums[2], sums[3]))
        self._buckets[kind][bucket] = (
            n + sums[0], total + sums[1], min(least, sums[2]), max(most, sums[3]),
        )  # fmt: skip

    def merge(self, other: "Figures") -> None:
        """Add another slice to this one."""
        for state, count in other.by_status.items():
            self.add(state, 0, (count, 0, 0, 0))
        for kind, buckets in other._buckets.items():  # noqa: SLF001  # the same class
            for bucket, sums in buckets.items():
                self.add(kind, bucket, sums)

    @property
    def total(self) -> int:
        """How many executions ended."""
        return sum(self.by_status.values())

    @property
    def failure_rate(self) -> float | None:
        """Failed, timed out, killed and lost over those and the succeeded; None without any."""
        bad = sum(self.by_status.get(state, 0) for state in FAILURES)
        all_of_them = bad + self.by_status.get(State.SUCCEEDED, 0)
        return round(bad / all_of_them, 4) if all_of_them else None

    def summary(self, kind: str) -> Summary:
        """Return mean, least, greatest and percentiles of "run" or "wait", in seconds."""
        buckets = self._buckets[kind]
        if not buckets:
            return Summary()
        least = min(sums[2] for sums in buckets.values())
        most = max(sums[3] for sums in buckets.values())
        counts = {bucket: sums[0] for bucket, sums in buckets.items()}
        mean = sum(sums[1] for sums in buckets.values()) / sum(counts.values())
        return Summary(
            mean=_seconds(mean),
            min=_seconds(least),
            max=_seconds(most),
            **{f"p{q}": _within(percentile(counts, q / 100), least, most) for q in (50, 95, 99)},
        )


def _within(value: float | None, least: int, most: int) -> float | None:
    """Return an estimate in seconds that lies within what was seen."""
    return None if value is None else _seconds(min(max(value, least), most))


def _seconds(us: float) -> float:
    return round(us / 1_000_000, 6)


class Statistics:
    """Reads the rollups."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def by_worker(self, since: int, until: int, worker: str | None = None) -> dict[str, Figures]:
        """Return figures per worker for `since` ≤ at < `until`, in seconds since the epoch."""
        return self._figures(SQL.by_worker, _window(since, until, worker))

    def series(
        self, since: int, until: int, step: int, worker: str | None = None
    ) -> dict[int, Figures]:
        """Return figures per slice of `step` seconds, by the start of the slice."""
        return self._figures(SQL.series, {**_window(since, until, worker), "step": step})

    def errors(
        self, since: int, until: int, worker: str | None, limit: int = 10
    ) -> list[ErrorCount]:
        """Return the most frequent errors of a window."""
        values = {**_window(since, until, worker), "limit": limit}
        return [
            ErrorCount(f"{row[0]}: {row[1]}", row[2], row[3])
            for row in self._database.rows(SQL.errors, values)
        ]

    def last_error(self, worker: str) -> str | None:
        """Return the newest error of a worker."""
        row = self._database.row(SQL.last_error, {"worker": worker})
        return f"{row[0]}: {row[1]}" if row else None

    def _figures(self, statement: str, values: dict[str, Any]) -> dict[Any, Figures]:
        figures: dict[Any, Figures] = defaultdict(Figures)
        for key, kind, bucket, *sums in self._database.rows(statement, values):
            figures[key].add(kind, bucket, (sums[0], sums[1], sums[2], sums[3]))
        return dict(figures)


def merged(many: Iterable[Figures]) -> Figures:
    """Return the figures of all of them together."""
    whole = Figures()
    for figures in many:
        whole.merge(figures)
    return whole


def _window(since: int, until: int, worker: str | None) -> dict[str, Any]:
    return {"since": since, "until": until, "worker": worker}
