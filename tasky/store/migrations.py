"""The steps from each schema to the next, applied by sqlite-utils; all or nothing, after a copy.

One function per step, never edited after a release. `PRAGMA user_version` repeats the number of
steps, so that opening a current database needs no look into the record.
"""

import sqlite3
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tasky.errors import DatabaseForeign, DatabaseNewer
from tasky.store.queries import load

if TYPE_CHECKING:
    from sqlite_utils import Database as Tables

APPLICATION_ID = 0x7A5C7A5C
"""Says in the header of the file that it is Tasky's (https://sqlite.org/pragma.html#pragma_application_id)."""


def create_spine(db: "Tables") -> None:
    """Workers, tasks, results, executions, outputs, logs, events, statistics."""
    _run_all(db.conn, load("schema_1"))


STEPS: tuple[Callable[["Tables"], None], ...] = (create_spine,)
SCHEMA = len(STEPS)


def version_of(connection: sqlite3.Connection, path: str) -> int:
    """Return the schema of an open database, 0 for a new one.

    Raises `DatabaseForeign` when the tables are somebody else's, `DatabaseNewer` when they come
    from a later Tasky.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    mark = int(connection.execute("PRAGMA application_id").fetchone()[0])
    if mark != APPLICATION_ID and (version or connection.execute(_ANY_TABLE).fetchone()):
        raise DatabaseForeign(db=path, why="its tables are another program's")
    if version > SCHEMA:
        raise DatabaseNewer(db=path, theirs=version, ours=SCHEMA)
    return version


_ANY_TABLE = "SELECT 1 FROM sqlite_schema LIMIT 1"


def migrate(connection: sqlite3.Connection) -> list[str]:
    """Apply the missing steps in one transaction each; return their names."""
    from sqlite_utils import Database as Tables
    from sqlite_utils.migrations import Migrations

    tables = Tables(connection, execute_plugins=False)
    migrations = Migrations("tasky")
    for number, step in enumerate(STEPS, start=1):
        migrations(name=step.__name__)(_with_version(step, number))
    names = [migration.name for migration in migrations.pending(tables)]
    migrations.apply(tables)
    return names


def _with_version(step: Callable[["Tables"], None], number: int) -> Callable[["Tables"], None]:
    def run(db: "Tables") -> None:
        step(db)
        db.conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.conn.execute(f"PRAGMA user_version = {number}")

    run.__name__ = step.__name__
    return run


def _run_all(connection: sqlite3.Connection, statements: dict[str, str]) -> None:
    for statement in _in_order(statements):
        connection.execute(statement)


def _in_order(statements: dict[str, str]) -> Iterator[str]:
    yield from statements.values()
