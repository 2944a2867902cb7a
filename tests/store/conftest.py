"""A real database with verbs short enough for a test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasky.states import OPEN, State
from tasky.store import executions, tasks, workers
from tasky.store.executions import Claimed, Ended
from tasky.store.store import Store
from tasky.store.tasks import NewTask, Submission, Submitted
from tasky.store.writer import Transaction
from tests.helpers import FakeClock

ACTIVE_OR_ENDED = frozenset(State) - {State.NEW, State.QUEUED}


class Shelf:
    """An open store on a file, and the clock that it reads."""

    def __init__(self, path: Path, clock: FakeClock) -> None:
        self.path = path
        self.clock = clock
        self.store = Store.open(path, clock=clock)
        self.database = self.store.database
        self.writer = self.database.write()
        self._fence = 0
        self._uid = 0

    def close(self) -> None:
        self.store.close()

    def write(self, closure: Callable[[Transaction], Any]) -> Any:
        return self.writer.call(closure)

    def rows(self, statement: str, values: Any = ()) -> list[tuple[Any, ...]]:
        return self.database.rows(statement, values)

    def one(self, statement: str, values: Any = ()) -> Any:
        """Return the first column of the first row."""
        row = self.database.row(statement, values)
        return row[0] if row else None

    # -- what a database is filled with -----------------------------------------------------------

    def worker(self, name: str = "copy", *, idempotent: bool = False) -> int:
        row = self.write(lambda tx: workers.register(tx, name, "thread", idempotent, ""))
        return int(row.id)

    def new(self, **fields: Any) -> NewTask:
        self._uid += 1
        known = {"uid": f"{self._uid:032x}", "worker_id": 1, "config": "{}"}
        return NewTask(**{**known, **fields})

    def submit(self, *new: NewTask, **fields: Any) -> Submitted:
        done: Submitted = self.writer.call_batch(tasks.submit, Submission(list(new), **fields))
        return done

    def task(self, **fields: Any) -> int:
        """Submit one task; return its row id."""
        return self.submit(self.new(**fields)).first_id

    # -- the hot paths ----------------------------------------------------------------------------

    def start(self, worker_id: int = 1, limit: int = 100) -> list[Claimed]:
        """Claim and start what is queued."""

        def write(tx: Transaction) -> list[Claimed]:
            found = executions.heads(tx, worker_id, limit)
            for claimed in found:
                self._fence += 1
                claimed.fence = self._fence
            executions.start(tx, found)
            return found

        found: list[Claimed] = self.write(write)
        return found

    def started(self, **fields: Any) -> Claimed:
        """Submit one task and start it."""
        self.task(**fields)
        return self.start(fields.get("worker_id", 1))[0]

    def report(self, c: Claimed, state: State = State.SUCCEEDED, **fields: Any) -> Ended:
        known = {
            "execution_id": c.execution_id, "task_id": c.task_id, "result_id": c.result_id,
            "fence": c.fence, "state": state.value, "times": c.times, "attempt": c.attempt,
            "index": c.index, "worker_id": c.worker_id, "queued_at": c.queued_at,
            "started_at": c.started_at,
        }  # fmt: skip
        return Ended(**{**known, **fields})

    def end(self, c: Claimed, state: State = State.SUCCEEDED, **fields: Any) -> bool:
        return bool(self.writer.call_batch(executions.end, self.report(c, state, **fields)))

    # -- looking ----------------------------------------------------------------------------------

    def states(self) -> dict[int, str]:
        return dict(self.rows("SELECT id, state FROM execution ORDER BY id"))

    def task_state(self, task_id: int) -> str:
        return str(self.one("SELECT state FROM task WHERE id = ?", (task_id,)))

    def events(self, task_id: int | None = None) -> list[str]:
        return [
            row[0]
            for row in self.rows(
                "SELECT name FROM event WHERE ?1 IS NULL OR task_id = ?1 ORDER BY id", (task_id,)
            )
        ]

    def plan(self, statement: str, values: Any) -> str:
        """Return what SQLite says it does for a statement."""
        rows = self.database.write().call(
            lambda tx: tx.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
        )
        return "\n".join(row[3] for row in rows)

    def force(self, task_id: int, state: State, *, started: bool | None = None) -> None:
        """Bring a task of one execution into a state, whatever leads there."""
        started = state in ACTIVE_OR_ENDED if started is None else started
        start = self.clock.now() if started else None
        end = None if state in OPEN else self.clock.now()
        values = {"state": state.value, "start": start, "end": end, "id": task_id}

        def write(tx: Transaction) -> None:
            tx.execute(
                "UPDATE execution SET state = :state, started_at = :start, ended_at = :end,"
                " fence = CASE WHEN :start IS NULL THEN 0 ELSE 7 END WHERE task_id = :id",
                values,
            )
            tx.execute(
                "UPDATE task SET state = :state, started_at = :start, ended_at = :end"
                " WHERE id = :id",
                values,
            )

        self.write(write)


@pytest.fixture
def shelf(tmp_path: Path, clock: FakeClock) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path / "t.db", clock)
    shelf.worker()
    yield shelf
    shelf.close()


@pytest.fixture
def make_shelf(tmp_path: Path, clock: FakeClock) -> Iterator[Callable[..., Shelf]]:
    """Open databases in the test's folder, several of one file after each other if need be."""
    made: list[Shelf] = []

    def make(name: str = "t.db") -> Shelf:
        made.append(Shelf(tmp_path / name, clock))
        return made[-1]

    yield make
    for shelf in made:
        shelf.close()
