"""Cold starts, idle cost and memory of real processes."""

import re
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.bench.engine import opened


def cold_start_s(command: list[str], runs: int = 20) -> float:
    """Return the median seconds of a command, after one run that warms the disk."""
    found = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found.append(time.perf_counter() - start)
    return sorted(found[1:])[runs // 2]


def python_s() -> float:
    """Return the median seconds of a Python that does nothing."""
    return cold_start_s([sys.executable, "-c", "pass"])


def tasky_s(*words: str) -> float:
    """Return the median seconds of a `tasky` command."""
    return cold_start_s([str(Path(sys.executable).with_name("tasky")), *words])


def memory_after(path: Path, count: int) -> int:
    """Return the bytes of RSS of an engine that has run `count` tasks."""
    with opened(path) as tasky:
        for first in range(0, count, 1000):
            handles = tasky.submit_many(
                {"worker": "noop", "config": {"n": n}} for n in range(first, first + 1000)
            )
            handles[-1].wait()
        return int(psutil.Process().memory_info().rss)


class Server:
    """A real `tasky serve` on a free port."""

    def __init__(self, database: Path) -> None:
        tasky = str(Path(sys.executable).with_name("tasky"))
        self.process = subprocess.Popen(
            [tasky, "--db", str(database), "serve", "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=database.parent,
        )
        self.url = self._address()

    def _address(self) -> str:
        for line in self.process.stdout or ():
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found:
                return found.group()
        raise RuntimeError("tasky serve printed no address")

    def idle_cpu(self, seconds: float) -> float:
        """Return the share of one core, in percent, that the server uses while nobody asks."""
        process = psutil.Process(self.process.pid)
        before = sum(process.cpu_times()[:2])
        time.sleep(seconds)
        return float(100 * (sum(process.cpu_times()[:2]) - before) / seconds)

    def rss(self) -> int:
        """Return its bytes of RSS."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def stop(self) -> None:
        """End it politely."""
        self.process.terminate()
        self.process.communicate(timeout=30)
