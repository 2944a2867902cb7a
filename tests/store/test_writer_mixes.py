"""Random mixes of requests that succeed and that fail, from several threads at once."""

import contextlib
import sqlite3
from collections.abc import Iterator
from itertools import count
from threading import Barrier, Thread
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasky.store.database import Database
from tasky.store.writer import Transaction
from tests.helpers import PATIENCE_S

KINDS = ["write", "write_batch", "refuse", "write_and_fail", "break_a_rule", "batch_fails"]
GOOD = {"write", "write_batch"}


class Sent(NamedTuple):
    """One request as a thread sends it, and the name it writes."""

    kind: str
    name: str


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(tmp_path_factory.mktemp("mixes") / "t.db")
    database.write().call(lambda tx: write(tx, "taken"))
    yield database
    database.close()


def write(tx: Transaction, name: str) -> str:
    tx.execute("INSERT INTO meta (name, value) VALUES (?, '')", (name,))
    tx.event(name)
    return name


def batch(tx: Transaction, items: list[Any]) -> list[str | Exception]:
    return [write(tx, item) for item in items]


def batch_that_fails(tx: Transaction, items: list[Any]) -> list[str | Exception]:
    for item in items:
        write(tx, item)
    raise ValueError("the whole batch")


def closure(sent: Sent) -> Any:
    def run(tx: Transaction) -> str:
        if sent.kind == "refuse":
            raise ValueError("refused")
        write(tx, "taken" if sent.kind == "break_a_rule" else sent.name)
        if sent.kind == "write_and_fail":
            raise ValueError("after it wrote")
        return sent.name

    return run


def answer_of(database: Database, sent: Sent) -> str | None:
    """Send a request; return its answer, None when it failed."""
    writer = database.write()
    try:
        if sent.kind in {"write_batch", "batch_fails"}:
            which = batch if sent.kind == "write_batch" else batch_that_fails
            return writer.call_batch(which, sent.name, patience_s=PATIENCE_S)
        return str(writer.call(closure(sent), patience_s=PATIENCE_S))
    except (ValueError, sqlite3.IntegrityError):
        return None


run_number = count()


@settings(max_examples=40, deadline=None)
@given(plans=st.lists(st.lists(st.sampled_from(KINDS), max_size=12), min_size=1, max_size=4))
def test_what_succeeds_is_written_and_what_fails_is_not(
    database: Database, plans: list[list[str]]
) -> None:
    prefix = f"{next(run_number)}:"
    lots = [
        [Sent(kind, f"{prefix}{me}.{n}") for n, kind in enumerate(plan)]
        for me, plan in enumerate(plans)
    ]
    together = Barrier(len(lots))
    answers: dict[str, str | None] = {}

    def send(lot: list[Sent]) -> None:
        together.wait()
        for sent in lot:
            answers[sent.name] = answer_of(database, sent)

    threads = [Thread(target=send, args=(lot,)) for lot in lots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    good = {sent.name for lot in lots for sent in lot if sent.kind in GOOD}
    assert {name for name, answer in answers.items() if answer is not None} == good
    assert all(answers[name] == name for name in good)
    with contextlib.closing(sqlite3.connect(database.path)) as connection:
        rows = connection.execute("SELECT name FROM meta WHERE name LIKE ?", (f"{prefix}%",))
        assert {row[0] for row in rows} == good
        told = connection.execute("SELECT id, name FROM event ORDER BY id").fetchall()
    assert sorted(name for _, name in told if name.startswith(prefix)) == sorted(good)
    assert [number for number, _ in told] == sorted({number for number, _ in told})
