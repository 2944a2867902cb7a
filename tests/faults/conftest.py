"""Real server processes; whatever happens, none outlives its test."""

import random
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.oracle import findings, read_ids, read_ledger

ROOT = Path(__file__).parents[2]
LIMIT_S = 60.0
"""Time that each fault has; who takes longer hangs."""


class Server:
    """One process of `tests.faults.serving`."""

    def __init__(self, mode: str, folder: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.serving", mode, str(folder), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def line(self) -> str:
        """Return the next line that it prints."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], LIMIT_S)
        assert ready, "the server says nothing"
        return self.process.stdout.readline().strip()

    def ready(self) -> "Server":
        assert self.line() == "ready", self.died()
        return self

    def died(self) -> str:
        """Return what it said on stderr before it ended."""
        return self.process.communicate(timeout=LIMIT_S)[1]

    def kill(self) -> None:
        """SIGKILL, as by the kernel."""
        self.process.kill()
        self.died()

    def leave(self) -> str:
        """Let it end by itself; return what it printed last."""
        out, err = self.process.communicate(timeout=LIMIT_S)
        assert self.process.returncode == 0, err
        assert "Traceback" not in err
        return str(out).strip()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start server processes on the test's folder."""
    made: list[Server] = []

    def start(mode: str, *arguments: str) -> Server:
        made.append(Server(mode, tmp_path, *arguments))
        return made[-1]

    yield start
    for server in made:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate()


@pytest.fixture
def oracle(tmp_path: Path) -> Callable[[], list[str]]:
    """Ask the oracle about the test's folder."""

    def ask() -> list[str]:
        return findings(
            tmp_path / "tasky.db",
            acknowledged=read_ids(tmp_path / "acknowledged"),
            ledger=read_ledger(tmp_path / "ledger"),
        )

    return ask


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> random.Random:
    """Chance whose seed is printed when the test fails."""
    number = random.SystemRandom().randrange(1 << 32)
    print(f"seed {number}")
    return random.Random(number)
