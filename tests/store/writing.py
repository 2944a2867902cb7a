"""Requests for tests of the writer, and a look at the file that Tasky knows nothing of."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tasky.store.database import Database
from tasky.store.writer import Request, Transaction, Writer
from tests.helpers import PATIENCE_S, FakeClock


class Blocked:
    """A request that holds the writer until the test lets it go on."""

    def __init__(self, writer: Writer) -> None:
        self.inside = Event()
        self.go_on = Event()
        self.request: Request[Any] = writer.post(self._run)
        assert self.inside.wait(PATIENCE_S)

    def _run(self, tx: Transaction) -> None:
        self.inside.set()
        assert self.go_on.wait(PATIENCE_S)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.db"


@pytest.fixture
def database(path: Path, clock: FakeClock) -> Iterator[Database]:
    database = Database(path, clock=clock)
    yield database
    database.close()


@pytest.fixture
def writer(database: Database) -> Writer:
    return database.write()


@pytest.fixture
def block(writer: Writer) -> Iterator[Callable[[], Blocked]]:
    made: list[Blocked] = []

    def make() -> Blocked:
        made.append(Blocked(writer))
        return made[-1]

    yield make
    for blocked in made:
        blocked.go_on.set()


def put(name: str, value: str = "x") -> Callable[[Transaction], str]:
    """Return a request that writes one row, and fails if it is there already."""

    def write(tx: Transaction) -> str:
        tx.execute("INSERT INTO meta (name, value) VALUES (?, ?)", (name, value))
        return name

    return write


def put_and_fail(name: str) -> Callable[[Transaction], None]:
    def write(tx: Transaction) -> None:
        put(name)(tx)
        tx.event(f"event.{name}")
        tx.after(lambda: pytest.fail("a callback of a failed request ran"))
        raise ValueError(name)

    return write


def names(path: Path) -> set[str]:
    """Read with a connection that Tasky knows nothing of."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM meta WHERE name <> 'boot'")}


def events(path: Path) -> list[tuple[int, str]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT id, name FROM event ORDER BY id").fetchall()


def good_event(name: str) -> Callable[[Transaction], None]:
    return lambda tx: tx.event(name)
