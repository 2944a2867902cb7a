"""Executions: the queue, and the two hot paths of the store, starting and ending many at once.

Both paths run each statement over the whole set at once, and look at single rows only when a report
did not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tasky.model import Execution, Problem
from tasky.states import State
from tasky.store import logs, stats
from tasky.store.database import Database
from tasky.store.queries import Queries
from tasky.store.results import derive
from tasky.store.writer import Fact, Transaction

SQL = Queries("executions")
META = Queries("meta")
TASKS = Queries("tasks")

MAX_CRASHES = 2
"""Crashes of the server inside one execution after which only a person starts it again."""

# A plain string: SQLite's module looks for an adapter each time it is given an enum.
RUNNING = State.RUNNING.value

_encode = msgspec.json.encode


@dataclass(slots=True)
class Claimed:
    """An execution that a claim took, with all its start needs. `config` and `labels` are JSON."""

    execution_id: int
    priority: int
    task_id: int
    result_id: int
    index: int
    attempt: int
    crashes: int
    uid: str
    config: str
    labels: str | None
    timeout_us: int | None
    max_attempts: int
    times: int
    queued_at: int | None
    worker_id: int = 0
    pause_requested_at: int | None = None
    fence: int = 0
    started_at: int | None = None


@dataclass(slots=True)
class Ended:
    """The report that an execution came to an end.

    `output`, `error` and `progress` are JSON; a large output comes as `chunks` instead. `retry_at`
    (µs) asks for another attempt. `log` are the last lines, `log_cut` the sequence numbers (first,
    end) between head and tail that go.
    """

    execution_id: int
    task_id: int
    result_id: int
    fence: int
    state: str
    times: int = 1
    output: str | None = None
    output_kind: str | None = None
    output_size: int | None = None
    error: str | None = None
    exit_code: int | None = None
    progress: str | None = None
    chunks: Sequence[bytes] = ()
    retry_at: int | None = None
    log: Sequence[logs.Row] = ()
    log_cut: tuple[int, int] | None = None
    attempt: int = 1
    index: int = 1
    priority: int = 0
    worker_id: int = 0
    queued_at: int | None = None
    started_at: int | None = None
    actor: str = "engine"


@dataclass(slots=True)
class Recovered:
    """What start-up did with the last owner's tasks: queued again, lost, quarantined (ids)."""

    queued: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """Say what was found and what became of it; nothing when nothing was left."""
        counts = [
            (len(self.queued), "queued again"),
            (len(self.lost), "lost"),
            (len(self.quarantined), "quarantined"),
        ]
        total = sum(count for count, _ in counts)
        if not total:
            return ""
        what = ", ".join(f"{count} {word}" for count, word in counts if count)
        tasks = "1 task was" if total == 1 else f"{total} tasks were"
        return f"{tasks} open at the last stop: {what}"


# -- hot path 1: start ---------------------------------------------------------------------------


def heads(tx: Transaction, worker_id: int, limit: int, floor: int = 0) -> list[Claimed]:
    """Return the next executions of a worker in claim order, of tasks with an id above `floor`."""
    values = {"worker_id": worker_id, "limit": limit, "floor": floor}
    rows = tx.execute(SQL.heads, values).fetchall()
    return [Claimed(*row) for row in rows]


def next_boot(tx: Transaction) -> int:
    """Count a start of an engine; its fences grow from it."""
    return int(tx.execute(META.next_boot).fetchone()[0])


def note_all_ready(tx: Transaction) -> None:
    """Note every worker with something to claim, and when more becomes due; asked once at start."""
    tx.ready |= {row[0] for row in tx.execute(SQL.workers_with_ready).fetchall()}
    _note_next_due(tx)


def promote_due(tx: Transaction) -> None:
    """Queue what waited for its time, and note when to look again."""
    tx.ready |= {row[0] for row in tx.execute(SQL.promote_due, {"now": tx.now}).fetchall()}
    _note_next_due(tx)


def _note_next_due(tx: Transaction) -> None:
    due = tx.execute(SQL.next_due).fetchone()[0]
    if due is not None:
        tx.due.append(due)


def start(tx: Transaction, claimed: Sequence[Claimed]) -> None:
    """Edge start for all of `claimed`; their fences are set by the caller."""
    now = tx.now
    tx.executemany(SQL.start_execution, [(now, now, c.fence, c.execution_id) for c in claimed])
    tx.executemany(TASKS.start_task, [(now, c.execution_id, c.attempt, c.task_id) for c in claimed])
    for number, c in enumerate(claimed, start=tx.take_ids("event", len(claimed))):
        c.started_at = now
        tx.facts.append(
            Fact(
                number, now, "execution.started", "engine", c.task_id, c.execution_id, None, RUNNING
            )
        )


# -- hot path 2: end -----------------------------------------------------------------------------


def end(tx: Transaction, reports: list[Ended]) -> list[bool]:
    """Every end of running code; tells for each report whether it counted."""
    now = tx.now
    moved = tx.executemany(
        SQL.end_execution,
        [
            (r.state, now, r.output, r.output_kind, r.output_size, r.error, r.exit_code, r.progress,
             r.execution_id, r.fence)
            for r in reports
        ],
    ).rowcount  # fmt: skip
    counted = reports if moved == len(reports) else _those_that_counted(tx, reports)
    stats.record(
        tx, [(r.worker_id, r.task_id, r.state, r.queued_at, r.started_at, r.error) for r in counted]
    )
    _end_singles(tx, [r for r in counted if r.times == 1 and r.retry_at is None])
    for report in counted:
        tx.freed.append(report.execution_id)
        _extras(tx, report)
        if report.times != 1 or report.retry_at is not None:
            _end_apart(tx, report)
    if counted is reports:
        return [True] * len(reports)
    kept = {id(report) for report in counted}
    return [id(report) in kept for report in reports]


def _those_that_counted(tx: Transaction, reports: list[Ended]) -> list[Ended]:
    """Return the reports whose end this transaction wrote; of two on one execution, the first."""
    counted: dict[int, Ended] = {}
    for r in reports:
        values = {"id": r.execution_id, "fence": r.fence, "state": r.state, "now": tx.now}
        if r.execution_id not in counted and tx.execute(SQL.ended_just_now, values).fetchone():
            counted[r.execution_id] = r
    return list(counted.values())


def _extras(tx: Transaction, report: Ended) -> None:
    if report.log:
        logs.append(tx, report.log)
    if report.log_cut:
        logs.drop_middle(tx, report.execution_id, *report.log_cut)
    if report.chunks:
        rows = [(report.execution_id, seq, data) for seq, data in enumerate(report.chunks)]
        tx.executemany(SQL.insert_chunk, rows)
    tx.facts.append(
        Fact(
            tx.take_ids("event"),
            tx.now,
            "execution.ended",
            report.actor,
            report.task_id,
            report.execution_id,
            None,
            report.state,
            report.error,
        )
    )


def _end_singles(tx: Transaction, reports: Sequence[Ended]) -> None:
    """End tasks as their one execution did."""
    tx.executemany(TASKS.end_task, [(r.state, tx.now, r.task_id) for r in reports])


def _end_apart(tx: Transaction, report: Ended) -> None:
    """One of several executions ended, or one that is tried again: the result is derived."""
    # A cancel that came while the code failed is older than the retry, and wins.
    if report.retry_at is not None and not _cancel_asked(tx, report.task_id):
        queue_again(tx, report, report.retry_at)
    derive(tx, report.task_id, report.result_id)


def _cancel_asked(tx: Transaction, task_id: int) -> bool:
    return tx.execute(TASKS.cancel_asked, {"id": task_id}).fetchone() is not None


def queue_again(tx: Transaction, report: Ended, due: int | None, crashes: int = 0) -> None:
    """Open the next attempt of an index; the ended one stays as history."""
    tx.execute(SQL.retire, {"id": report.execution_id})
    number = tx.take_ids("execution")
    row = (
        number, report.task_id, report.result_id, report.worker_id, State.QUEUED, report.priority,
        report.index, report.attempt + 1, crashes, due, tx.now, tx.now,
    )  # fmt: skip
    tx.execute(SQL.insert_execution, row)
    if due is None:
        tx.ready.add(report.worker_id)
    else:
        tx.due.append(due)
    payload = _encode({"attempt": report.attempt + 1, "not_before": due}).decode()
    tx.event(
        "execution.queued",
        actor=report.actor,
        task_id=report.task_id,
        execution_id=number,
        state=State.QUEUED,
        payload=payload,
    )


# -- the other edges -----------------------------------------------------------------------------


def move(
    tx: Transaction, execution_id: int, fence: int, leaves: State, to: State, name: str, note: str
) -> bool:
    """Edges pause, resume, wait and go on of running code; return whether it counted."""
    found = tx.execute(
        SQL.move_execution,
        {"id": execution_id, "fence": fence, "leaves": leaves, "to": to, "now": tx.now},
    ).fetchone()
    if found is None:
        return False
    derive(tx, found[0], found[1])
    payload = _encode({"at": note}).decode() if note else None
    tx.event(
        name, actor="worker", task_id=found[0], execution_id=execution_id, state=to, payload=payload
    )
    return True


def cancel_unstarted(tx: Transaction, task_id: int, result_id: int, error: str, actor: str) -> int:
    """Edge cancel of what has not started; return how many ended."""
    values = {"task_id": task_id, "result_id": result_id, "error": error, "now": tx.now}
    ended = tx.execute(SQL.cancel_unstarted, values).fetchall()
    rows = [(row[1], task_id, State.CANCELLED, row[2], None, error) for row in ended]
    stats.record(tx, rows)
    for row in ended:
        tx.event(
            "execution.ended",
            actor=actor,
            task_id=task_id,
            execution_id=row[0],
            state=State.CANCELLED,
            payload=error,
        )
    if ended:
        derive(tx, task_id, result_id)
    return len(ended)


def is_known(tx: Transaction, execution_id: int, fence: int) -> bool:
    """Tell whether there is such a hand-out; its task may have been removed meanwhile."""
    return tx.execute(SQL.is_known, {"id": execution_id, "fence": fence}).fetchone() is not None


def progress(tx: Transaction, reports: list[tuple[int, int, str]]) -> list[bool]:
    """Write (execution, fence, progress JSON) reports; who waits for the task's version goes on."""
    return [_progress_one(tx, *report) for report in reports]


def _progress_one(tx: Transaction, execution_id: int, fence: int, text: str) -> bool:
    found = tx.execute(
        SQL.set_progress, {"id": execution_id, "fence": fence, "progress": text}
    ).fetchone()
    if found is None:
        return False
    tx.execute(TASKS.touch, {"id": found[0]})
    tx.event(
        "execution.progress",
        actor="worker",
        task_id=found[0],
        execution_id=execution_id,
        payload=text,
    )
    return True


def recover(tx: Transaction, done: Recovered) -> int:
    """Settle a slice of what a crash left: idempotent work is queued again, other work is lost.

    Adds to `done`; returns how many rows it settled, 0 when nothing is left.
    """
    rows = tx.execute(SQL.left_by_crash, {"limit": 500}).fetchall()
    for row in rows:
        _settle(tx, row, done)
    return len(rows)


def _settle(tx: Transaction, row: tuple[Any, ...], done: Recovered) -> None:
    (execution_id, task_id, result_id, worker_id, _, index, attempt, crashes, priority, queued_at,
     started_at, idempotent, _, uid, times, cancel_at) = row  # fmt: skip
    quarantined = crashes + 1 >= MAX_CRASHES
    again = bool(idempotent) and not quarantined and cancel_at is None
    error = _encode(_crash_problem(quarantined)).decode()
    tx.execute(SQL.lose, {"id": execution_id, "error": error, "now": tx.now}).fetchall()
    report = Ended(
        execution_id, task_id, result_id, 0, State.LOST, times,
        attempt=attempt, index=index, priority=priority, worker_id=worker_id, actor="recovery",
    )  # fmt: skip
    tx.event(
        "execution.ended",
        actor="recovery",
        task_id=task_id,
        execution_id=execution_id,
        state=State.LOST,
        payload=error,
    )
    if again:
        queue_again(tx, report, None, crashes + 1)
        done.queued.append(uid)
    else:
        (done.quarantined if quarantined else done.lost).append(uid)
    stats.record(tx, [(worker_id, task_id, State.LOST, queued_at, started_at, error)])
    derive(tx, task_id, result_id)


def _crash_problem(quarantined: bool) -> Problem:
    if quarantined:
        return Problem(
            "Quarantined",
            f"the server crashed {MAX_CRASHES} times while this ran; only a rerun starts it again",
        )
    return Problem("Lost", "the server crashed while this ran; nobody knows how far it came")


# -- reading -------------------------------------------------------------------------------------


class Executions:
    """Reads executions and their outputs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_task(self, task_id: int, limit: int = 1000) -> list[Execution]:
        """Return the executions of a task, oldest first."""
        rows = self._database.rows(SQL.of_task, {"task_id": task_id, "limit": limit})
        return [_execution(row) for row in rows]

    def times_of(self, task_id: int, now: int) -> list[tuple[str, float, float, float, float]]:
        """Return (state, queued, running, paused, waiting) of each execution, seconds up to now."""
        rows = self._database.rows(SQL.of_task, {"task_id": task_id, "limit": 10_000})
        return [_times(row, now) for row in rows]

    def output_of(self, execution_id: int) -> tuple[str | None, str | None, int | None]:
        """Return (inline output JSON, kind, size in bytes)."""
        row = self._database.row(SQL.output_of, {"id": execution_id})
        return (row[0], row[1], row[2]) if row else (None, None, None)

    def chunk(self, execution_id: int, seq: int) -> bytes | None:
        """Return one piece of a large output, None past the end."""
        row = self._database.row(SQL.chunk, {"id": execution_id, "seq": seq})
        return bytes(row[0]) if row else None

    def slowest(
        self, since: int, worker_id: int | None, limit: int, newest: int = 100_000
    ) -> list[tuple[str, str, int]]:
        """Return (task id, worker, µs) of the longest runs among the `newest` executions."""
        values = {"since": since, "worker_id": worker_id, "limit": limit, "newest": newest}
        return [(row[0], row[1], row[2]) for row in self._database.rows(SQL.slowest, values)]


_problem = msgspec.json.Decoder(Problem)


def _execution(row: tuple[Any, ...]) -> Execution:
    return Execution(
        id=row[0],
        result_id=row[1],
        task_id=row[2],
        index=row[3],
        attempt=row[4],
        status=State(row[5]),
        fence=row[6],
        queued_at=row[7],
        started_at=row[8],
        ended_at=row[9],
        error=_problem.decode(row[10]) if row[10] else None,
        exit_code=row[11],
        place=row[12],
    )


def _times(row: tuple[Any, ...], now: int) -> tuple[str, float, float, float, float]:
    state, queued_at, started_at, ended_at = row[5], row[7], row[8], row[9]
    paused, waiting, since = row[13], row[14], row[15]
    if ended_at is None and started_at is not None:
        paused += now - since if state == State.PAUSED else 0
        waiting += now - since if state == State.WAITING else 0
    queued = (started_at or ended_at or now) - queued_at if queued_at else 0
    under_way = (ended_at or now) - started_at if started_at else 0
    running = max(0, under_way - paused - waiting)
    return state, queued / 1e6, running / 1e6, paused / 1e6, waiting / 1e6
