"""Throughput and latency of the engine with no-op tasks, four slots, every answer durable."""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tasky import Tasky

SLOTS = 4


def noop(n: int = 0) -> dict[str, int]:
    """Return what came in."""
    return {"n": n}


def opened(path: Path, *, idle: bool = False) -> Tasky:
    """Return an engine on a new file; an idle one has a worker, but runs nothing held."""
    tasky = Tasky(path, samples=False, threads=SLOTS)
    tasky.run(noop, {"n": 0}).wait()
    return tasky


def submit_rate(path: Path, count: int, producers: int) -> float:
    """Return acknowledged submits per second; the tasks are held, so nothing else runs."""
    with opened(path) as tasky:
        return count / _together(
            producers,
            lambda: _repeat(count // producers, lambda n: tasky.run("noop", {"n": n}, hold=True)),
        )


def submit_many_rate(path: Path, count: int) -> float:
    """Return tasks per second of one `submit_many` of `count`."""
    with opened(path) as tasky:
        requests = [{"worker": "noop", "config": {"n": n}, "hold": True} for n in range(count)]
        start = time.perf_counter()
        tasky.submit_many(requests)
        return count / (time.perf_counter() - start)


def end_to_end_rate(path: Path, count: int, producers: int) -> float:
    """Return tasks per second from the first submit to the last result."""
    with opened(path) as tasky:
        done = _Ends(tasky, count)
        start = time.perf_counter()
        _together(
            producers, lambda: _repeat(count // producers, lambda n: tasky.run("noop", {"n": n}))
        )
        done.all.wait()
        return count / (time.perf_counter() - start)


def end_to_end_rate_many(path: Path, count: int, slice_of: int) -> float:
    """As `end_to_end_rate`, submitted in slices of `submit_many`."""
    with opened(path) as tasky:
        done = _Ends(tasky, count)
        start = time.perf_counter()
        for first in range(0, count, slice_of):
            tasky.submit_many(
                {"worker": "noop", "config": {"n": n}} for n in range(first, first + slice_of)
            )
        done.all.wait()
        return count / (time.perf_counter() - start)


def latencies(path: Path, count: int) -> list[float]:
    """Return the sorted seconds from submit to a visible result on an idle system."""
    with opened(path) as tasky:
        found = []
        for n in range(count):
            start = time.perf_counter()
            tasky.run("noop", {"n": n}).wait()
            found.append(time.perf_counter() - start)
        return sorted(found)


class _Ends:
    """Hears the commits and knows when all tasks have ended, without asking for it."""

    def __init__(self, tasky: Tasky, count: int) -> None:
        self.all = threading.Event()
        self._left = count
        watch = tasky.core.watch
        heard = watch.heard

        def count_ends(facts: list[Any]) -> None:
            self._left -= sum(fact.name == "execution.ended" for fact in facts)
            heard(facts)
            if self._left <= 0:
                self.all.set()

        watch.heard = count_ends  # type: ignore[method-assign]  # the cheapest place to count commits


def _repeat(count: int, do: Callable[[int], Any]) -> None:
    for n in range(count):
        do(n)


def _together(producers: int, do: Callable[[], None]) -> float:
    """Return the seconds until that many threads are through."""
    threads: Iterable[threading.Thread] = [threading.Thread(target=do) for _ in range(producers)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start
