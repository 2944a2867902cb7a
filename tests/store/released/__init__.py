"""Databases of released schemas as SQL dumps, and the helper that makes the newest one.

`python -m tests.store.released` writes the dump of this Tasky's schema; run it once per release.
"""

import contextlib
import re
import sqlite3
import tempfile
from pathlib import Path

from tasky.states import FINAL, State
from tasky.store import executions, logs, stats, tasks, workers
from tasky.store.executions import Claimed, Ended
from tasky.store.migrations import APPLICATION_ID, SCHEMA
from tasky.store.store import Store
from tasky.store.tasks import NewTask, Submission
from tasky.store.writer import Transaction

RELEASED = Path(__file__).parent
NOW = 1_800_000_000_000_000
PROBLEM = '{"type":"ValueError","message":"no file 17"}'


class StillClock:
    """A clock that makes every dump the same."""

    def now(self) -> int:
        return NOW

    def monotonic(self) -> float:
        return 0.0


def fill(tx: Transaction) -> None:
    """Write something into every table: a task in each state, logs, outputs, keys, figures."""
    worker = workers.register(tx, "copy_file", "thread", True, "Copy a file.").id
    for number, state in enumerate(State):
        new = NewTask(f"{number:032x}", worker, '{"n":1}', labels='{"env":"prod"}')
        new.state = "new" if state is State.NEW else "queued"
        tasks.submit(tx, [Submission([new], key=f"key-{number}", request="hash")])
    found = executions.heads(tx, worker, 100)
    ends = [state for state in State if state not in {State.NEW, State.QUEUED}]
    for c, state in zip(found[1:], ends, strict=True):
        bring(tx, c, state)
    tx.execute("INSERT INTO meta (name, value) VALUES ('epoch', 'e')")
    stats.record(tx, [(worker, 1, "failed", NOW, NOW, PROBLEM)])


def bring(tx: Transaction, c: Claimed, state: State) -> None:
    c.fence = c.execution_id
    executions.start(tx, [c])
    logs.append(tx, [(c.execution_id, 1, tx.now, "info", "log", "hello")])
    if state in FINAL:
        report = Ended(
            c.execution_id, c.task_id, c.result_id, c.fence, state.value, output_kind="bytes",
            output_size=3, chunks=[b"abc"], worker_id=c.worker_id, started_at=c.started_at,
        )  # fmt: skip
        executions.end(tx, [report])
    elif state is not State.RUNNING:
        executions.move(tx, c.execution_id, c.fence, State.RUNNING, state, f"to.{state}", "")


def dump_of(number: int) -> str:
    """Return the dump of a filled database of this Tasky's schema."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.db"
        store = Store.open(path, clock=StillClock())
        store.database.write().call(fill)
        store.close()
        with contextlib.closing(sqlite3.connect(path)) as connection:
            text = "\n".join(connection.iterdump())
    # The only time of the machine in it is sqlite-utils' own.
    text = re.sub(r"'\d{4}-\d\d-\d\d[T ][\d:.+]+'", "'then'", text)
    return f"-- A database of schema {number}.\n{text}\n"


def load_dump(dump: Path, path: Path, number: int) -> None:
    """Make a database of a dump; a dump says nothing of the marks in the header."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(dump.read_text())
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {number}")
        connection.commit()


def main() -> None:
    target = RELEASED / f"schema_{SCHEMA}.sql"
    target.write_text(dump_of(SCHEMA))
    print(target)
