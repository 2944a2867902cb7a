"""D1 over REST: clients of `tasky serve` repeat what was not answered, with the same key."""

import random
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest

from tasky.client import connect
from tasky.errors import TaskyError
from tests.faults.conftest import LIMIT_S, ROOT
from tests.faults.oracle import copy_of, findings

CYCLES, CLIENTS = 6, 2

WORKERS = """
from tasky import worker

@worker(idempotent=True)
def echo(n: int) -> int:
    return n
"""


class Client:
    """Submits one task after the other; what was not answered is sent again to the next server."""

    def __init__(self, me: int) -> None:
        self.me = me
        self.sent = 0
        self.acknowledged: list[str] = []

    def run(self, url: str) -> None:
        try:
            with connect(url) as server:
                while True:
                    self.submit(server.run)
        except TaskyError:
            return

    def submit(self, run: Callable[..., object]) -> None:
        handle = run("echo", {"n": self.sent}, idempotency_key=f"{self.me}-{self.sent}")
        self.acknowledged.append(handle.id)  # type: ignore[attr-defined]  # a task handle
        self.sent += 1


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], tuple[subprocess.Popen[str], str]]]:
    """Start `tasky serve`; return the process and its address."""
    made: list[subprocess.Popen[str]] = []
    (tmp_path / "rest_workers.py").write_text(WORKERS)

    def serve() -> tuple[subprocess.Popen[str], str]:
        command = [
            sys.executable, "-m", "tasky", "--db", str(tmp_path / "tasky.db"),
            "serve", "--port", "0", "--no-auth", "--no-samples",
            "-w", str(tmp_path / "rest_workers.py"),
        ]  # fmt: skip
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
        made.append(process)
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], LIMIT_S)
        assert ready, "the server says nothing"
        return process, process.stdout.readline().strip()

    yield serve
    for process in made:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_d1_over_rest_nothing_acknowledged_is_lost_and_nothing_is_there_twice(
    start: Callable[[], tuple[subprocess.Popen[str], str]], seed: random.Random, tmp_path: Path
) -> None:
    clients = [Client(me) for me in range(CLIENTS)]
    for _ in range(CYCLES):
        process, url = start()
        threads = [Thread(target=client.run, args=(url,)) for client in clients]
        for thread in threads:
            thread.start()
        # The fault is a moment of the clock: this is no waiting for something.
        time.sleep(seed.uniform(0.05, 0.5))
        process.kill()
        process.communicate()
        for thread in threads:
            thread.join(LIMIT_S)
            assert not thread.is_alive()

    process, url = start()
    with connect(url) as server:
        for client in clients:
            client.submit(server.run)
    process.kill()
    process.communicate()

    acknowledged = [uid for client in clients for uid in client.acknowledged]
    assert len(acknowledged) == len(set(acknowledged)) > 2 * CLIENTS
    with copy_of(tmp_path / "tasky.db") as connection:
        found = {row[0] for row in connection.execute("SELECT uid FROM task")}
    assert found == set(acknowledged)
    assert findings(tmp_path / "tasky.db", acknowledged=acknowledged) == []
