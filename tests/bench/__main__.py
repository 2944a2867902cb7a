"""Prints one JSON row per figure: its value, the limit it is compared with, the target."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.bench import engine, process
from tests.bench.limits import raw, store_alone

COUNT = 3_000
MANY = 10_000


def row(name: str, value: float, unit: str, **more: Any) -> dict[str, Any]:
    """Return a row; values keep four digits."""
    return {"figure": name, "value": float(f"{value:.4g}"), "unit": unit, **more}


def submits(folder: Path) -> Iterator[dict[str, Any]]:
    single = raw(folder, COUNT, 1)["inserts_per_s"]
    yield row("raw sqlite, one row a commit", single, "inserts/s")
    one = engine.submit_rate(folder / "one.db", COUNT, 1)
    yield row("submit, 1 producer", one, "tasks/s", ratio_to_raw=round(one / single, 2), target=0.7)
    eight = engine.submit_rate(folder / "eight.db", COUNT * 2, 8)
    yield row("submit, 8 producers", eight, "tasks/s", ratio_to_raw=round(eight / single, 2))


def submits_of_many(folder: Path) -> Iterator[dict[str, Any]]:
    batch = raw(folder, MANY, 1000)["inserts_per_s"]
    yield row("raw sqlite, 1000 rows a commit", batch, "inserts/s")
    alone = store_alone(folder, MANY, engine.SLOTS)["inserts_per_s"]
    yield row("store alone, 10 000 tasks a commit", alone, "tasks/s")
    many = engine.submit_many_rate(folder / "many.db", MANY)
    ratios = {"ratio_to_raw": round(many / batch, 2), "ratio_to_store": round(many / alone, 2)}
    yield row("submit_many of 10 000", many, "tasks/s", **ratios, target=0.5)


def end_to_end(folder: Path) -> Iterator[dict[str, Any]]:
    limit = raw(folder, MANY, engine.SLOTS)["tasks_per_s"]
    yield row("raw sqlite, three writes, 4 rows a commit", limit, "tasks/s")
    alone = store_alone(folder, MANY, engine.SLOTS)["tasks_per_s"]
    yield row("store alone, ends and claims, 4 tasks a commit", alone, "tasks/s")
    for producers in (1, 8):
        rate = engine.end_to_end_rate(folder / f"e2e{producers}.db", COUNT * 2, producers)
        yield row(f"end to end, {producers} producers", rate, "tasks/s")
    rate = engine.end_to_end_rate_many(folder / "e2emany.db", MANY * 2, 1000)
    ratios = {"ratio_to_raw": round(rate / limit, 2), "ratio_to_store": round(rate / alone, 2)}
    yield row("end to end, submit_many", rate, "tasks/s", **ratios, target=8000)


def latency(folder: Path) -> Iterator[dict[str, Any]]:
    found = engine.latencies(folder / "latency.db", 1000)
    yield row("submit to result, p50", 1000 * found[len(found) // 2], "ms", target=1.0)
    yield row("submit to result, p99", 1000 * found[len(found) * 99 // 100], "ms", target=3.0)


def cold_starts(folder: Path) -> Iterator[dict[str, Any]]:
    python = process.python_s()
    yield row("python -c pass", 1000 * python, "ms")
    version = process.tasky_s("--version")
    target = round(2.5 * 1000 * python + 60)
    yield row("tasky --version", 1000 * version, "ms", target=target)
    with engine.opened(folder / "cold.db"):
        pass
    tasks = process.tasky_s("--db", str(folder / "cold.db"), "tasks")
    yield row("tasky tasks, on a file", 1000 * tasks, "ms")


def memory(folder: Path) -> Iterator[dict[str, Any]]:
    rss = process.memory_after(folder / "memory.db", 100_000)
    yield row("RSS after 100 000 tasks", rss / 1e6, "MB", target=80)
    server = process.Server(folder / "server.db")
    try:
        yield row("idle CPU of tasky serve", server.idle_cpu(20), "%", target=0.5)
        yield row("RSS of an idle tasky serve", server.rss() / 1e6, "MB", target=80)
    finally:
        server.stop()


GROUPS: dict[str, Callable[[Path], Iterator[dict[str, Any]]]] = {
    "submit": submits,
    "many": submits_of_many,
    "end_to_end": end_to_end,
    "latency": latency,
    "cold": cold_starts,
    "memory": memory,
}


def run(group: str) -> None:
    """Print the rows of a group."""
    with tempfile.TemporaryDirectory(prefix="tasky-bench-", dir=Path.cwd()) as folder:
        for figure in GROUPS[group](Path(folder)):
            print(json.dumps(figure), flush=True)


def main() -> None:
    """Run the groups that are named; without a name all of them, each in a process of its own."""
    for group in sys.argv[1:]:
        run(group)
    for group in () if sys.argv[1:] else GROUPS:
        subprocess.run([sys.executable, "-m", "tests.bench", group], check=True)


if __name__ == "__main__":
    main()
