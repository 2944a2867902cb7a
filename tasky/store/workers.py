"""The rows that workers leave: identity for tasks and statistics, limits, the switch."""

from dataclasses import dataclass

from tasky.store.database import Database
from tasky.store.queries import Queries
from tasky.store.writer import Transaction

SQL = Queries("workers")


@dataclass(slots=True)
class WorkerRow:
    """What the database knows of a worker; the rest is in its code."""

    id: int
    name: str
    executor: str
    idempotent: bool
    enabled: bool
    disabled_reason: str | None
    max_running: int | None
    queue: str | None
    description: str
    version: int


def register(
    tx: Transaction, name: str, executor: str, idempotent: bool, description: str
) -> WorkerRow:
    """Write a loaded worker; return its row, with what people set for it."""
    values = {
        "name": name,
        "executor": executor,
        "idempotent": int(idempotent),
        "description": description,
        "now": tx.now,
    }
    return WorkerRow(*tx.execute(SQL.upsert, values).fetchone())


def read(tx: Transaction, row_id: int) -> WorkerRow:
    """Return a worker inside the transaction that changes it."""
    return WorkerRow(*tx.execute(SQL.one, {"id": row_id}).fetchone())


def change(tx: Transaction, row: WorkerRow, actor: str) -> int:
    """Write switch and limits of a worker; return its new version."""
    values = {
        "id": row.id,
        "enabled": int(row.enabled),
        "disabled_reason": row.disabled_reason,
        "max_running": row.max_running,
        "queue": row.queue,
        "now": tx.now,
    }
    version = int(tx.execute(SQL.change, values).fetchone()[0])
    tx.event("worker.changed", actor=actor, object=row.name)
    return version


class Workers:
    """Reads worker rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[WorkerRow]:
        """Return every worker that ever left a row, by name."""
        return [WorkerRow(*row) for row in self._database.rows(SQL.all)]
