"""Tasks: how they come in, what people ask of them, how they are read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tasky.clock import iso
from tasky.errors import IdAmbiguous, IdempotencyMismatch, KeyTaken, StatusConflict, TaskUnknown
from tasky.model import Problem, Progress, Task
from tasky.states import ACTIONS, FINAL, State, actions_for
from tasky.store.database import Database
from tasky.store.queries import Queries
from tasky.store.results import derive
from tasky.store.writer import Transaction

SQL = Queries("tasks")
RESULTS = Queries("results")
EXECUTIONS = Queries("executions")
META = Queries("meta")

# Plain strings: SQLite's module looks for an adapter each time it is given an enum.
NEW, QUEUED = State.NEW.value, State.QUEUED.value

KEY_LIFE_US = 24 * 3600 * 1_000_000
SHORT = 2_000
"""Characters of a config or an output that a list shows."""


@dataclass(slots=True)
class NewTask:
    """A checked request on its way into the database. `config` and `labels` are JSON."""

    uid: str
    worker_id: int
    config: str
    state: str = QUEUED
    priority: int = 0
    queue: str = "default"
    labels: str | None = None
    key: str | None = None
    origin: str = "native"
    actor: str = ""
    timeout_us: int | None = None
    max_attempts: int = 1
    not_before: int | None = None
    times: int = 1
    worker: str = ""


@dataclass(slots=True)
class Submission:
    """One call that submits: its tasks, and the idempotency key that makes a repeat harmless.

    `request` is a hash of the whole request; a key that comes again with another one is refused.
    """

    tasks: Sequence[NewTask]
    credential: str = ""
    key: str | None = None
    request: str = ""


@dataclass(slots=True)
class Submitted:
    """Where the tasks of a submission went: ids run from `first_id`, `first_execution` on."""

    uids: Sequence[str]
    at: int
    first_id: int = 0
    first_result: int = 0
    first_execution: int = 0
    replayed: bool = False


@dataclass(slots=True)
class Facts:
    """What a control verb must know of a task."""

    id: int
    uid: str
    state: State
    worker_id: int
    worker: str
    result_id: int
    config: str
    max_attempts: int
    priority: int
    version: int
    queued_at: int | None
    started_at: int | None
    ended_at: int | None
    created_at: int
    pause_requested_at: int | None
    since: int = field(init=False)

    def __post_init__(self) -> None:
        self.state = State(self.state)
        self.since = self.ended_at or self.started_at or self.queued_at or self.created_at


def submit(tx: Transaction, submissions: list[Submission]) -> list[Submitted | Exception]:
    """Write submissions, each all or none; one answer each: where it went, or what refused it."""
    return [_submit_one(tx, submission) for submission in submissions]


def _submit_one(tx: Transaction, submission: Submission) -> Submitted | Exception:
    try:
        replay = _replay(tx, submission) if submission.key else None
        if replay is not None:
            return replay
        _check_keys(tx, submission.tasks)
    except (IdempotencyMismatch, KeyTaken) as refusal:
        return refusal
    return _insert(tx, submission)


def _replay(tx: Transaction, submission: Submission) -> Submitted | None:
    found = tx.execute(
        SQL.replayed,
        {
            "credential": submission.credential,
            "key": submission.key,
            "oldest": tx.now - KEY_LIFE_US,
        },
    ).fetchone()
    if found is None:
        return None
    if found[0] != submission.request:
        raise IdempotencyMismatch(key=submission.key)
    return Submitted(uids=msgspec.json.decode(found[1]), at=tx.now, replayed=True)


def _check_keys(tx: Transaction, tasks: Sequence[NewTask]) -> None:
    seen: dict[str, str] = {}
    for task in tasks:
        if task.key is None:
            continue
        holder = tx.execute(SQL.open_with_key, {"key": task.key}).fetchone()
        if holder or task.key in seen:
            raise KeyTaken(key=task.key, id=holder[0] if holder else seen[task.key])
        seen[task.key] = task.uid


def _insert(tx: Transaction, submission: Submission) -> Submitted:
    """Write the rows of all tasks, statement by statement; rows are made as SQLite takes them."""
    tasks, now = submission.tasks, tx.now
    first = tx.take_ids("task", len(tasks))
    result = tx.take_ids("result", len(tasks))
    execution = tx.take_ids("execution", sum(task.times for task in tasks))
    for number, task in enumerate(tasks, start=first):
        _note_queue(tx, task)
        tx.event("task.created", actor=task.actor, task_id=number, state=task.state)
    tx.executemany(SQL.insert_task, _task_rows(tasks, now, first, result, execution))
    tx.executemany(
        RESULTS.insert_result,
        ((result + n, first + n, task.times, now) for n, task in enumerate(tasks)),
    )
    tx.executemany(
        EXECUTIONS.insert_execution, _execution_rows(tasks, now, first, result, execution)
    )
    if submission.key:
        _remember(tx, submission)
    return Submitted([task.uid for task in tasks], now, first, result, execution)


def _note_queue(tx: Transaction, task: NewTask) -> None:
    """Let the claim at the end of the transaction know what this task adds to a queue."""
    if task.state == NEW:
        return
    if task.not_before is not None and task.not_before > tx.now:
        tx.due.append(task.not_before)
    else:
        tx.ready.add(task.worker_id)


def _task_rows(
    tasks: Sequence[NewTask], now: int, task_id: int, result_id: int, execution_id: int
) -> Iterator[tuple[Any, ...]]:
    for task in tasks:
        yield (
            task_id, task.uid, task.worker_id, task.state, task.config, task.priority, task.queue,
            task.labels, task.key, task.origin, task.actor, task.timeout_us, task.max_attempts,
            task.not_before, now, None if task.state == NEW else now, result_id, execution_id,
        )  # fmt: skip
        task_id += 1
        result_id += 1
        execution_id += task.times


def _execution_rows(
    tasks: Sequence[NewTask], now: int, task_id: int, result_id: int, execution_id: int
) -> Iterator[tuple[Any, ...]]:
    for task in tasks:
        due = task.not_before if task.not_before and task.not_before > now else None
        queued_at = None if task.state == NEW else now
        for index in range(1, task.times + 1):
            yield (
                execution_id, task_id, result_id, task.worker_id, task.state, task.priority, index,
                1, 0, due, queued_at, now,
            )  # fmt: skip
            execution_id += 1
        task_id += 1
        result_id += 1


def _remember(tx: Transaction, submission: Submission) -> None:
    uids = msgspec.json.encode([task.uid for task in submission.tasks]).decode()
    values = {
        "credential": submission.credential,
        "key": submission.key,
        "request": submission.request,
        "uids": uids,
        "now": tx.now,
    }
    tx.execute(SQL.remember_key, values)


# -- control -------------------------------------------------------------------------------------


def facts(tx: Transaction, task_id: int, db: str = "") -> Facts:
    """Read what a control verb needs, inside its transaction. Raises `TaskUnknown`."""
    row = tx.execute(SQL.facts, {"id": task_id}).fetchone()
    if row is None:
        raise TaskUnknown(id=task_id, db=db)
    return Facts(*row)


def refuse(task: Facts, action: str) -> StatusConflict:
    """Make the error for an action that the task's state does not allow."""
    return StatusConflict(
        id=task.uid[:8],
        state=task.state,
        since=iso(task.since),
        action=action,
        states=", ".join(sorted(ACTIONS[action])),
        actions=actions_for(task.state),
    )


def move_unstarted(
    tx: Transaction, task: Facts, leaves: State, to: State, *, actor: str, name: str
) -> bool:
    """Move what has not started from `leaves` to `to`; return whether anything moved."""
    moved = tx.execute(
        EXECUTIONS.move_unstarted,
        {
            "task_id": task.id,
            "result_id": task.result_id,
            "leaves": leaves,
            "to": to,
            "now": tx.now,
        },
    ).fetchall()
    if not moved:
        return False
    if to == State.QUEUED:
        tx.ready.add(task.worker_id)
        tx.due += [row[0] for row in moved if row[0] is not None]
    queued_at = tx.now if leaves == State.NEW else None
    state = derive(tx, task.id, task.result_id, queued_at)
    tx.event(name, actor=actor, task_id=task.id, state=state)
    return True


def rerun(tx: Transaction, task: Facts, config: str, times: int, actor: str) -> None:
    """Edge rerun: a new result with fresh executions; the task opens again under its id.

    Raises `StatusConflict` unless the task has ended, `KeyTaken` when its key went to another one.
    """
    if task.state not in FINAL:
        raise refuse(task, "rerun")
    holder = tx.execute(SQL.key_of, {"id": task.id}).fetchone()
    if holder is not None:
        raise KeyTaken(key=holder[0], id=holder[1])
    result_id = tx.take_ids("result")
    first = tx.take_ids("execution", times)
    tx.execute(RESULTS.insert_result, (result_id, task.id, times, tx.now))
    rows = [
        (first + n, task.id, result_id, task.worker_id, State.QUEUED, task.priority, n + 1, 1, 0,
         None, tx.now, tx.now)
        for n in range(times)
    ]  # fmt: skip
    tx.executemany(EXECUTIONS.insert_execution, rows)
    values = {
        "id": task.id,
        "config": config,
        "result_id": result_id,
        "execution_id": first,
        "now": tx.now,
    }
    tx.execute(SQL.rerun, values).fetchall()
    tx.ready.add(task.worker_id)
    payload = msgspec.json.encode({"result_id": result_id}).decode()
    tx.event("task.rerun", actor=actor, task_id=task.id, state=State.QUEUED, payload=payload)


WISHES = {
    "task.cancel_requested": SQL.wish_cancel,
    "task.pause_requested": SQL.wish_pause,
    "task.resume_requested": SQL.forget_pause,
}
"""What people wish of running code: the event that tells of it, and the statement that keeps it."""


def wish(tx: Transaction, task_id: int, name: str, actor: str, reason: str) -> None:
    """Set or take back a wish column and say so in the history."""
    found = tx.execute(WISHES[name], {"id": task_id, "now": tx.now}).fetchall()
    payload = msgspec.json.encode({"reason": reason}).decode() if reason else None
    # The state as it is by now: what had not started may have moved in this transaction.
    for (state,) in found:
        tx.event(name, actor=actor, task_id=task_id, state=state, payload=payload)


def set_config(tx: Transaction, task: Facts, config: str) -> bool:
    """Replace the config of what has not started; return whether it had not."""
    return bool(tx.execute(SQL.set_config, {"id": task.id, "config": config}).fetchall())


def delete(tx: Transaction, task: Facts) -> None:
    """Remove an ended task with its results; their ids are never given out again."""
    for table in ("task", "result", "execution"):
        tx.execute(META.keep_mark, {"table": table, "id": tx.ids[table] - 1})
    tx.execute(SQL.delete_results, {"id": task.id})
    tx.execute(SQL.delete_task, {"id": task.id}).fetchall()


def forget_keys(tx: Transaction) -> None:
    """Forget the idempotency keys that are a day old."""
    tx.execute(SQL.forget_keys, {"oldest": tx.now - KEY_LIFE_US})


# -- reading -------------------------------------------------------------------------------------


class Tasks:
    """Reads tasks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def resolve(self, given: str | int) -> tuple[int, str]:
        """Return (row id, id) of a task from its id or a unique prefix.

        Raises `TaskUnknown`, or `IdAmbiguous` with some of the ids that fit.
        """
        prefix = str(given).strip().lower().replace("-", "")
        known = prefix.isalnum() and prefix.isascii() and len(prefix) <= 32
        # "g" follows the last hex digit, so the range holds all ids that begin with the prefix.
        bounds = {"prefix": prefix, "end": prefix + "g", "limit": 4}
        found = self._database.rows(SQL.by_uid_prefix, bounds) if known else []
        if not found:
            raise TaskUnknown(id=str(given)[:64], db=self._database.path.name)
        if len(found) > 1:
            some = ", ".join(uid[: len(prefix) + 4] for _, uid in found[:3])
            count = f"{len(found)}" if len(found) < 4 else "several"
            raise IdAmbiguous(id=prefix, n=count, some=some)
        return int(found[0][0]), str(found[0][1])

    def get(self, given: str) -> Task:
        """Return a whole task. Raises `TaskUnknown`, `IdAmbiguous`."""
        task_id, _ = self.resolve(given)
        return self.by_number(task_id)

    def by_number(self, task_id: int) -> Task:
        """Return a whole task by its row id. Raises `TaskUnknown`."""
        row = self._database.row(f"{SQL.select_task} WHERE task.id = ?", (task_id,))
        if row is None:
            raise TaskUnknown(id=task_id, db=self._database.path.name)
        return task_of(row)

    def by_numbers(self, ids: Sequence[int]) -> list[Task]:
        """Return whole tasks by row id, in that order; unknown ones are left out."""
        marks = ", ".join("?" * len(ids))
        rows = self._database.rows(f"{SQL.select_task} WHERE task.id IN ({marks})", ids)
        tasks = {row[0]: task_of(row) for row in rows}
        return [tasks[number] for number in ids if number in tasks]

    def state_of(self, task_id: int) -> tuple[State, int]:
        """Return (state, version). Raises `TaskUnknown`."""
        row = self._database.row(SQL.state_of, {"id": task_id})
        if row is None:
            raise TaskUnknown(id=task_id, db=self._database.path.name)
        return State(row[0]), int(row[1])

    def count_open(self, cap: int) -> dict[str, int]:
        """Return how many tasks stand in each open state, counted up to `cap`."""
        return dict(self._database.rows(SQL.count_open, {"cap": cap}))

    def oldest_queued(self) -> int | None:
        """Return when the oldest queued task was queued."""
        row = self._database.row(SQL.oldest_queued)
        return row[0] if row else None


_problem = msgspec.json.Decoder(Problem)
_progress = msgspec.json.Decoder(Progress)
_labels = msgspec.json.Decoder(dict[str, str])


def task_of(row: tuple[Any, ...], *, short: bool = False) -> Task:
    """Make a task of a `select_task` row; `short` cuts config and output as lists do."""
    (number, uid, worker, state, config, output, kind, size, error, exit_code, progress, cancel_at,
     pause_at, attempt, max_attempts, priority, queue, labels, key, timeout_us, not_before,
     created_at, queued_at, started_at, ended_at, result_id, execution_id, origin,
     version) = row  # fmt: skip
    ended = ended_at is not None
    truncated = short and (len(config) > SHORT or len(output or "") > SHORT)
    return Task(
        id=uid,
        number=number,
        worker=worker,
        status=State(state),
        config=_raw(config, short),
        output=_raw(output, short) if output is not None else None,
        output_kind=kind,
        output_size=size,
        error=_problem.decode(error) if error else None,
        exit_code=exit_code,
        progress=_progress.decode(progress) if progress else None,
        cancel_requested_at=cancel_at,
        pause_requested_at=None if ended else pause_at,
        attempt=attempt,
        max_attempts=max_attempts,
        priority=priority,
        queue=queue,
        labels=_labels.decode(labels) if labels else {},
        key=key,
        timeout_s=timeout_us / 1_000_000 if timeout_us else None,
        not_before=not_before,
        created_at=created_at,
        queued_at=queued_at,
        started_at=started_at,
        ended_at=ended_at,
        result_id=result_id,
        execution_id=execution_id,
        origin=origin,
        version=version,
        truncated=truncated,
    )


def _raw(text: str, short: bool) -> msgspec.Raw:
    if short and len(text) > SHORT:
        return msgspec.Raw(msgspec.json.encode(text[:SHORT] + "…"))
    return msgspec.Raw(text)
