"""The limit: what SQLite itself does on this disk for the writes that a durable task needs."""

import json
import sqlite3
import time
from pathlib import Path

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
