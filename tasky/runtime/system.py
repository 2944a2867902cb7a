"""Figures of host, process, pool and database, as they are now."""

import os
import platform
import sqlite3
import threading
from pathlib import Path
from typing import Any

from tasky._version import __version__
from tasky.store.database import Database
from tasky.store.queries import Queries

SQL = Queries("meta")


def figures(
    database: Database, *, slots: int, running: int, abandoned: int, verb: str
) -> dict[str, Any]:
    """Return host, process, pool and database figures; sizes in bytes, shares in percent."""
    import psutil

    memory = psutil.virtual_memory()
    process = psutil.Process()
    with process.oneshot():
        me = {
            "pid": process.pid,
            "rss": process.memory_info().rss,
            "threads": threading.active_count(),
            "cpu_s": round(sum(process.cpu_times()[:2]), 3),
            "open_files": process.num_fds(),
        }
    disk = psutil.disk_usage(str(database.path.parent))
    return {
        "version": __version__,
        "verb": verb,
        "host": {
            "name": platform.node(),
            "cores": os.cpu_count(),
            "load": list(os.getloadavg()),
            "memory": {"total": memory.total, "used_percent": memory.percent},
            "disk": {"total": disk.total, "free": disk.free, "used_percent": disk.percent},
        },
        "process": me,
        "pool": {"slots": slots, "running": running, "ignoring_cancel": abandoned},
        "database": database_figures(database),
    }


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
