"""Size and rows of a database, for people who look after it."""

import sqlite3
from pathlib import Path
from typing import Any

from tasky.store.database import Database
from tasky.store.queries import Queries

SQL = Queries("meta")


def database_figures(database: Database) -> dict[str, Any]:
    """Return size and rows of a database."""
    names = ("bytes", "free_bytes", "tasks", "executions", "events", "log_lines")
    row = database.row(SQL.sizes) or (0,) * len(names)
    wal = Path(f"{database.path}-wal")
    schema = (database.row("PRAGMA user_version") or (0,))[0]
    return {
        "path": str(database.path),
        "schema": schema,
        **dict(zip(names, row, strict=True)),
        "wal_bytes": wal.stat().st_size if wal.exists() else 0,
        "sqlite": sqlite3.sqlite_version,
        "writes_waiting": database.writer.waiting if database.writer else 0,
    }
