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

EndedRow = tuple[int, int, int, str, int, int | None, int | None, str | None]
"""(execution, task, result, state, worker, queued_at, started_at, error JSON)"""


def record(tx: Transaction, ended: Sequence[EndedRow]) -> None:
    """Add ended executions to the rollups of this minute."""
    if not ended:
        return
    minute = tx.now // 1_000_000 // MINUTE * MINUTE
    sums: dict[tuple[int, str], _Sum] = defaultdict(_Sum)
    sketch: dict[tuple[int, str, int], int] = defaultdict(int)
    for _, task_id, _, state, worker_id, queued_at, started_at, error in ended:
        run = tx.now - started_at if started_at is not None else None
        wait = started_at - queued_at if started_at is not None and queued_at is not None else None
        sums[worker_id, state].add(run, wait)
        if run is not None:
            sketch[worker_id, "run", bucket_of(run)] += 1
        if wait is not None:
            sketch[worker_id, "wait", bucket_of(wait)] += 1
        if state in FAILURES and error:
            _record_error(tx, minute, worker_id, task_id, error)
    tx.executemany(SQL.add_stat, [(minute, *key, *total.row()) for key, total in sums.items()])
    tx.executemany(SQL.add_sketch, [(minute, *key, count) for key, count in sketch.items()])


class _Sum:
    """Count, sum, least and greatest of run and wait, in µs."""

    __slots__ = ("count", "run", "wait")

    def __init__(self) -> None:
        self.count = 0
        self.run: list[int] = []
        self.wait: list[int] = []

    def add(self, run: int | None, wait: int | None) -> None:
        self.count += 1
        if run is not None:
            self.run.append(max(0, run))
        if wait is not None:
            self.wait.append(max(0, wait))

    def row(self) -> tuple[int | None, ...]:
        return (self.count, *_spread(self.run), *_spread(self.wait))


def _spread(values: list[int]) -> tuple[int, int, int | None, int | None]:
    if not values:
        return 0, 0, None, None
    return len(values), sum(values), min(values), max(values)


def _record_error(tx: Transaction, minute: int, worker_id: int, task_id: int, error: str) -> None:
    problem = _problem.decode(error)
    mark = fingerprint(problem)
    message = problem.message[:500]
    tx.execute(SQL.add_error, (minute, worker_id, mark, problem.type, message, tx.now, task_id))


def fingerprint(problem: Problem) -> str:
    """Return what two errors of one kind have in common: the type and the message without numbers."""
    return f"{problem.type}: {_NUMBERS.sub('#', problem.message)[:200]}"


def fold(tx: Transaction) -> None:
    """Add old minutes up to hours and old hours to days; sums and sketches stay exact."""
    now = tx.now // 1_000_000
    for fine, coarse, keep in ((MINUTE, HOUR, KEEP_MINUTES_S), (HOUR, DAY, KEEP_HOURS_S)):
        values = {"from": fine, "to": coarse, "before": (now - keep) // coarse * coarse}
        for fold_one, drop in ((SQL.fold_stat, SQL.drop_stat), (SQL.fold_sketch, SQL.drop_sketch)):
            tx.execute(fold_one, values)
            tx.execute(drop, values)


class Figures:
    """Sums of one slice, as they come out of the tables."""

    def __init__(self) -> None:
        self.by_status: dict[str, int] = {}
        self._spreads: dict[str, list[tuple[int, int, int | None, int | None]]] = {
            "run": [],
            "wait": [],
        }
        self.sketches: dict[str, dict[int, int]] = {"run": {}, "wait": {}}

    def add(self, state: str, sums: Sequence[Any]) -> None:
        """Add one row: count, then (n, sum, min, max) of run and of wait."""
        self.by_status[state] = self.by_status.get(state, 0) + sums[0]
        self._spreads["run"].append((sums[1], sums[2], sums[3], sums[4]))
        self._spreads["wait"].append((sums[5], sums[6], sums[7], sums[8]))

    def add_bucket(self, kind: str, bucket: int, count: int) -> None:
        """Add one row of the sketch."""
        self.sketches[kind][bucket] = self.sketches[kind].get(bucket, 0) + count

    def merge(self, other: "Figures") -> None:
        """Add another slice to this one."""
        for state, count in other.by_status.items():
            self.by_status[state] = self.by_status.get(state, 0) + count
        for kind in ("run", "wait"):
            self._spreads[kind] += other._spreads[kind]
            for bucket, count in other.sketches[kind].items():
                self.add_bucket(kind, bucket, count)

    @property
    def total(self) -> int:
        """How many executions ended."""
        return sum(self.by_status.values())

    @property
    def failure_rate(self) -> float | None:
        """Failed, timed out, killed and lost ones over those and the succeeded; None without any."""
        bad = sum(self.by_status.get(state, 0) for state in FAILURES)
        all_of_them = bad + self.by_status.get(State.SUCCEEDED, 0)
        return round(bad / all_of_them, 4) if all_of_them else None

    def summary(self, kind: str) -> Summary:
        """Return mean, least, greatest and percentiles of "run" or "wait", in seconds."""
        spreads = [spread for spread in self._spreads[kind] if spread[0]]
        count = sum(spread[0] for spread in spreads)
        if not count:
            return Summary()
        least = min(spread[2] or 0 for spread in spreads)
        most = max(spread[3] or 0 for spread in spreads)
        return Summary(
            mean=_seconds(sum(spread[1] for spread in spreads) / count),
            min=_seconds(least),
            max=_seconds(most),
            **{
                f"p{q}": _within(percentile(self.sketches[kind], q / 100), least, most)
                for q in (50, 95, 99)
            },
        )


def _within(value: float | None, least: int, most: int) -> float | None:
    """An estimate never lies outside what was seen."""
    return None if value is None else _seconds(min(max(value, least), most))


def _seconds(us: float) -> float:
    return round(us / 1_000_000, 6)


class Statistics:
    """Reads the rollups."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def by_worker(self, since: int, until: int, worker: str | None = None) -> dict[str, Figures]:
        """Return figures per worker for `since` ≤ at < `until`, in seconds since the epoch."""
        return self._figures(SQL.totals, SQL.buckets, _window(since, until, worker))

    def series(
        self, since: int, until: int, step: int, worker: str | None = None
    ) -> dict[int, Figures]:
        """Return figures per slice of `step` seconds, by the start of the slice."""
        values = {**_window(since, until, worker), "step": step}
        return self._figures(SQL.series, SQL.series_buckets, values)

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

    def _figures(self, totals: str, buckets: str, values: dict[str, Any]) -> dict[Any, Figures]:
        figures: dict[Any, Figures] = defaultdict(Figures)
        for row in self._database.rows(totals, values):
            figures[row[0]].add(row[1], row[2:])
        for key, kind, bucket, count in self._database.rows(buckets, values):
            figures[key].add_bucket(kind, bucket, count)
        return dict(figures)


def merged(many: Iterable[Figures]) -> Figures:
    """Return the figures of all of them together."""
    whole = Figures()
    for figures in many:
        whole.merge(figures)
    return whole


def _window(since: int, until: int, worker: str | None) -> dict[str, Any]:
    return {"since": since, "until": until, "worker": worker}
