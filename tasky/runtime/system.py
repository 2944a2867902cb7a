"""Figures of host, process, pool and database, as they are now."""

import os
import platform
import threading
from typing import Any

from tasky._version import __version__
from tasky.store.database import Database
from tasky.store.figures import database_figures


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
