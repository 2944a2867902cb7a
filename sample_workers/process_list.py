"""Teaches bounds and choices of parameters, and a measurement that takes a moment."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from tasky import Context, Param, worker

MEASURE_S = 0.3
ORDER = {
    "cpu": lambda row: -row["cpu_percent"],
    "memory": lambda row: -row["memory_bytes"],
    "name": lambda row: row["name"].lower(),
    "pid": lambda row: row["pid"],
}


@worker(idempotent=True)
def process_list(
    ctx: Context,
    sort: Annotated[Literal["cpu", "memory", "name", "pid"], Param("What comes first.")] = "cpu",
    limit: Annotated[int, Param("How many at most.", ge=1, le=10_000)] = 20,
) -> list[dict[str, Any]]:
    """List the processes of this server, the busiest, largest or first ones.

    Without their arguments, which may hold secrets.
    """
    import psutil

    processes = list(psutil.process_iter())
    # The first look at a process only starts the measurement of its CPU time.
    for process in processes:
        _row(process, psutil.Error)
    ctx.sleep(MEASURE_S)
    return sorted(_rows(processes, psutil.Error), key=ORDER[sort])[:limit]


def _rows(processes: list[Any], gone: type[Exception]) -> Iterator[dict[str, Any]]:
    for process in processes:
        row = _row(process, gone)
        if row is not None:
            yield row


def _row(process: Any, gone: type[Exception]) -> dict[str, Any] | None:
    try:
        with process.oneshot():
            return {
                "pid": process.pid,
                "name": process.name(),
                "user": process.username(),
                "status": process.status(),
                "cpu_percent": process.cpu_percent(),
                "memory_bytes": process.memory_info().rss,
            }
    except gone:  # it has ended, or is not for us to see
        return None
