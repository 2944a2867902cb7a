"""Logs of executions: written in batches, bounded to head and tail, read by sequence number."""

from collections.abc import Iterable

from tasky.model import LogLine
from tasky.store.database import Database
from tasky.store.queries import Queries
from tasky.store.writer import Transaction

SQL = Queries("logs")

Row = tuple[int, int, int, str, str, str]
"""(execution, seq, at, level, stream, text)"""


def append(tx: Transaction, rows: Iterable[Row]) -> None:
    """Write lines; a line that is there already stays as it is."""
    tx.executemany(SQL.insert_line, rows)


def drop_middle(tx: Transaction, execution_id: int, first: int, end: int) -> None:
    """Remove the lines first ≤ seq < end, so that a bounded log keeps head and tail."""
    tx.execute(SQL.drop_middle, (execution_id, first, end))


class Logs:
    """Reads logs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def after(self, execution_id: int, after: int, limit: int) -> list[LogLine]:
        """Return up to `limit` lines with a sequence number above `after`."""
        values = {"execution_id": execution_id, "after": after, "limit": limit}
        return [_line(row) for row in self._database.rows(SQL.after, values)]

    def tail(self, execution_id: int, limit: int) -> list[LogLine]:
        """Return the last `limit` lines, oldest first."""
        values = {"execution_id": execution_id, "limit": limit}
        return [_line(row) for row in reversed(self._database.rows(SQL.tail, values))]


def _line(row: tuple[int, int, str, str, str]) -> LogLine:
    return LogLine(seq=row[0], at=row[1], level=row[2], stream=row[3], text=row[4])
