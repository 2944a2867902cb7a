"""The limit: what SQLite itself does on this disk for the writes that a durable task needs."""

import json
import os
import sqlite3
import time
from functools import partial
from pathlib import Path

from tasky.store import executions, tasks, workers
from tasky.store.database import Database
from tasky.store.executions import Claimed, Ended
from tasky.store.tasks import NewTask, Submission
from tasky.store.writer import Transaction

STATEMENTS = (
    "INSERT INTO t (worker, config, status, created) VALUES ('noop', ?, 'queued', ?)",
    "UPDATE t SET status = 'running', started = ? WHERE id = ?",
    "UPDATE t SET status = 'complete', ended = ?, result = '{}' WHERE id = ?",
)


def raw(folder: Path, count: int, batch: int) -> dict[str, float]:
    """Return inserts per second and whole tasks per second in transactions of `batch` rows."""
    path = folder / f"raw-{batch}.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, worker TEXT, config TEXT, status TEXT,"
        " created REAL, started REAL, ended REAL, result TEXT)"
    )
    connection.execute("CREATE INDEX q ON t (id) WHERE status = 'queued'")
    start = time.perf_counter()
    _write(connection, 0, count, batch)
    inserted = time.perf_counter()
    _write(connection, 1, count, batch)
    _write(connection, 2, count, batch)
    ended = time.perf_counter()
    connection.close()
    return {
        "inserts_per_s": count / (inserted - start),
        "tasks_per_s": count / (ended - start),
    }


def _write(connection: sqlite3.Connection, phase: int, count: int, batch: int) -> None:
    for first in range(0, count, batch):
        if batch > 1:
            connection.execute("BEGIN IMMEDIATE")
        for number in range(first, min(count, first + batch)):
            values = (
                (json.dumps({"n": number}), time.time())
                if phase == 0
                else (time.time(), number + 1)
            )
            connection.execute(STATEMENTS[phase], values)
        if batch > 1:
            connection.execute("COMMIT")


def store_alone(folder: Path, count: int, slots: int) -> dict[str, float]:
    """Return what the store does in one thread with its own rows: the limit of the engine above it.

    Inserts per second of `count` tasks in one commit; then tasks per second that are ended and
    claimed, `slots` a commit, with nothing run in between.
    """
    database = Database(folder / "store.db")
    writer = database.write()
    writer.call(lambda tx: workers.register(tx, "noop", "thread", False, ""))
    new = [NewTask(uid=os.urandom(16).hex(), worker_id=1, config='{"n":1}') for _ in range(count)]
    start = time.perf_counter()
    writer.call(lambda tx: tasks.submit(tx, [Submission(new)]))
    inserted = time.perf_counter()
    running: list[Claimed] = []
    while running := writer.call(partial(_turn, running, slots)):
        pass
    ended = time.perf_counter()
    database.close()
    return {
        "inserts_per_s": count / (inserted - start),
        "tasks_per_s": count / (ended - inserted),
    }


def _turn(running: list[Claimed], slots: int, tx: Transaction) -> list[Claimed]:
    """End what was claimed, and claim the next, in one transaction."""
    if running:
        executions.end(tx, [_report(claimed) for claimed in running])
    found = executions.heads(tx, 1, slots)
    for claimed in found:
        claimed.fence = claimed.execution_id
    if found:
        executions.start(tx, found)
    return found


def _report(c: Claimed) -> Ended:
    return Ended(
        execution_id=c.execution_id,
        task_id=c.task_id,
        result_id=c.result_id,
        fence=c.fence,
        state="succeeded",
        output='{"n":1}',
        output_kind="json",
        output_size=7,
        worker_id=c.worker_id,
        queued_at=c.queued_at,
        started_at=c.started_at,
    )
