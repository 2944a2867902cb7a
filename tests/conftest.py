"""What every test gets: factories for real engines, and the check that nothing of them is left."""

import gc
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tasky.client.session import Tasky
from tests.helpers import FakeClock, Gate

LEAVING_S = 5.0
"""Threads on their way out may take that long; they are joined, nobody sleeps."""

_DATABASE_FILE = re.compile(r"(.*\.db)(?:-wal|-shm|-journal|\.lock|\.ballast)?(?: \(deleted\))?$")


def _tasky_threads() -> set[threading.Thread]:
    return {t for t in threading.enumerate() if t.name.startswith("tasky")}


def _open_databases() -> set[str]:
    found = set()
    for entry in os.scandir("/proc/self/fd"):
        try:
            match = _DATABASE_FILE.match(os.readlink(entry.path))  # noqa: PTH115  # the text, also of a deleted one
        except OSError:
            continue
        if match:
            found.add(match[1])
    return found


def _children() -> set[int]:
    try:
        # The cheap question: without any child there is nothing to look through.
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()
    return {child.pid for child in psutil.Process().children(recursive=True)}


def _threads_left(before: set[threading.Thread]) -> list[str]:
    # An engine that outlives the test (a fixture of the module) may grow threads as it likes.
    shared = any(t.name == "tasky-writer" for t in before)
    left = [t for t in _tasky_threads() - before if not shared or t.name == "tasky-writer"]
    for thread in left:
        thread.join(LEAVING_S)
    return [thread.name for thread in left if thread.is_alive()]


def _databases_left(before: set[str]) -> list[str]:
    if _open_databases() - before:
        gc.collect()
    return sorted(_open_databases() - before)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Fail a test that leaves a thread of Tasky, a child process or an open database behind."""
    threads, databases, children = _tasky_threads(), _open_databases(), _children()
    yield
    assert _threads_left(threads) == []
    assert _databases_left(databases) == []
    assert _children() - children == set()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def gates() -> Iterator[Callable[[], Gate]]:
    """Make gates; all are open at the end, so that no code of a test waits for ever."""
    made: list[Gate] = []

    def make() -> Gate:
        made.append(Gate())
        return made[-1]

    yield make
    for gate in made:
        gate.open()


@pytest.fixture
def gate(gates: Callable[[], Gate]) -> Gate:
    return gates()


@pytest.fixture
def make_tasky(tmp_path: Path, gates: Callable[[], Gate]) -> Iterator[Callable[..., Tasky]]:
    """Start engines in the test's folder; all are closed at the end, with open gates."""
    made: list[Tasky] = []
    gate = gates()

    def make(path: Path | str | None = None, **options: Any) -> Tasky:
        options = {"samples": False, "grace_s": 5.0, "roots": [tmp_path], **options}
        made.append(Tasky(path or tmp_path / "tasky.db", **options))
        return made[-1]

    yield make
    gate.open_all()
    for tasky in made:
        tasky.close()


@pytest.fixture
def tasky(make_tasky: Callable[..., Tasky]) -> Tasky:
    """An engine with four slots."""
    return make_tasky()
