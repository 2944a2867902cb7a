"""The event table as a feed: history of a task, and everything after an ordinal."""

from typing import Any

import msgspec

from tasky.model import Event
from tasky.states import State
from tasky.store.database import Database
from tasky.store.queries import Queries

SQL = Queries("events")


class Events:
    """Reads events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def after(self, after: int, limit: int) -> list[Event]:
        """Return up to `limit` events with an ordinal above `after`, oldest first."""
        rows = self._database.rows(SQL.after, {"after": after, "limit": limit})
        return [_event(row) for row in rows]

    def of_task(self, task_id: int, after: int = 0, limit: int = 500) -> list[Event]:
        """Return the history of a task, oldest first."""
        values = {"task_id": task_id, "after": after, "limit": limit}
        return [_event(row) for row in self._database.rows(SQL.of_task, values)]

    def bounds(self) -> tuple[int, int]:
        """Return the oldest and the newest ordinal there is, (0, 0) without any."""
        row = self._database.row(SQL.bounds)
        return (row[0], row[1]) if row else (0, 0)


def _event(row: tuple[Any, ...]) -> Event:
    return Event(
        id=row[0],
        at=row[1],
        name=row[2],
        actor=row[3],
        task_id=row[4],
        execution_id=row[5],
        object=row[6],
        state=State(row[7]) if row[7] else None,
        payload=msgspec.json.decode(row[8]) if row[8] else None,
    )
