"""Results and the one rule for derived states: a result shows what its executions came to."""

import sqlite3
from collections.abc import Callable
from typing import Any

from tasky.model import Result
from tasky.states import FINAL, OPEN, TROUBLE, State
from tasky.store.database import Database
from tasky.store.queries import Queries
from tasky.store.writer import Transaction

SQL = Queries("results")
TASKS = Queries("tasks")

Census = list[tuple[str, int, int, int | None]]
"""Rows (state, has started, count, greatest end) over the last attempt of each index."""


class Results:
    """Reads results; their state is derived as they are read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_task(self, task_id: int, limit: int = 100) -> list[Result]:
        """Return the results of a task, newest first."""
        rows = self._database.rows(SQL.of_task, {"task_id": task_id, "limit": limit})
        return [self._result(task_id, row) for row in rows]

    def _result(self, task_id: int, row: tuple[Any, ...]) -> Result:
        number, uid, times, submitted_at = row
        state, started_at, ended_at = _derived(self._database.reader().execute, task_id, number)
        return Result(
            id=number,
            task_id=uid,
            times=times,
            status=state,
            submitted_at=submitted_at,
            started_at=started_at,
            ended_at=ended_at,
        )


def derived_state(census: Census) -> State:
    """Return the state of a result, the first rule that fits.

    Something open: `new` if all are new, `queued` if nothing has started, `paused` or `waiting` if
    all open ones are, else `running`. All ended: the worst that occurs, else `succeeded`.
    """
    states = {State(row[0]) for row in census}
    open_ones = states & OPEN
    if not open_ones:
        return next((bad for bad in TROUBLE if bad in states), State.SUCCEEDED)
    if states == {State.NEW}:
        return State.NEW
    if len(open_ones) == 1 and open_ones <= {State.PAUSED, State.WAITING}:
        return next(iter(open_ones))
    return State.RUNNING if any(row[1] for row in census) else State.QUEUED


def derive(tx: Transaction, task_id: int, result_id: int, queued_at: int | None = None) -> State:
    """Let a task show what its current result came to; return that state."""
    state, started_at, ended_at = _derived(tx.execute, task_id, result_id)
    values = {"state": state, "started_at": started_at, "ended_at": ended_at}
    tx.execute(TASKS.follow_result, {**values, "queued_at": queued_at, "id": task_id})
    return state


def _derived(
    execute: Callable[..., sqlite3.Cursor], task_id: int, result_id: int
) -> tuple[State, int | None, int | None]:
    """Return (state, first start, last end) of a result."""
    ids = {"task_id": task_id, "result_id": result_id}
    census: Census = execute(SQL.census, ids).fetchall()
    state = derived_state(census)
    started_at = execute(SQL.first_start, ids).fetchone()[0]
    ended_at = max((row[3] for row in census if row[3]), default=None) if state in FINAL else None
    return state, started_at, ended_at
