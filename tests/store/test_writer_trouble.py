import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Event, Thread

import pytest

from tasky.errors import Busy, DatabaseDamaged, DatabaseProblem, DiskFull, OutcomeUnknown
from tasky.store import writer as writer_module
from tasky.store.database import Database
from tasky.store.writer import Fact, Transaction, Writer
from tests.helpers import PATIENCE_S, FakeClock
from tests.store.writing import (
    Blocked,
    block,
    database,
    events,
    good_event,
    names,
    path,
    put,
    put_and_fail,
    writer,
)

__all__ = ["block", "database", "path", "writer"]

# -- ids -------------------------------------------------------------------------------------------


def test_ids_only_rise(writer: Writer, path: Path) -> None:
    for n in range(5):
        writer.call(good_event(f"e{n}"))
        with pytest.raises(ValueError, match="bad"):
            writer.call(put_and_fail("bad"))
    numbers = [number for number, _ in events(path)]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 5


def test_ids_go_on_rising_after_a_new_start(path: Path, clock: FakeClock) -> None:
    first = []
    for _ in range(3):
        database = Database(path, clock=clock)
        first.append(database.write().call(lambda tx: tx.take_ids("event", 2)))
        database.write().call(good_event("e"))
        database.close()
    assert first == sorted(first)
    assert [number for number, _ in events(path)] == sorted({n for n, _ in events(path)})


# -- a full queue, a caller who gives up -----------------------------------------------------------


def test_a_full_queue_refuses(
    writer: Writer, block: Callable[[], Blocked], monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    monkeypatch.setattr(writer_module, "WAITING", 3)
    blocked = block()
    waiting = [writer.post(put(f"n{n}")) for n in range(3)]
    with pytest.raises(Busy):
        writer.call(put("late"))
    blocked.go_on.set()
    for request in waiting:
        request.wait(PATIENCE_S)
    assert "late" not in names(path)


def test_reports_of_running_code_are_never_refused(
    writer: Writer, block: Callable[[], Blocked], monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    monkeypatch.setattr(writer_module, "WAITING", 3)
    blocked = block()
    waiting = [writer.post(put(f"n{n}")) for n in range(9)]
    blocked.go_on.set()
    for request in waiting:
        request.wait(PATIENCE_S)
    assert len(names(path)) == 9


def test_a_withdrawn_request_is_never_written(
    writer: Writer, block: Callable[[], Blocked], path: Path
) -> None:
    blocked = block()
    with pytest.raises(Busy):
        writer.call(put("gone"), patience_s=0.01)
    blocked.go_on.set()
    writer.call(put("next"))
    assert names(path) == {"next"}


def test_a_caller_who_gives_up_under_way_does_not_know_the_outcome(
    writer: Writer, path: Path
) -> None:
    inside, go_on = Event(), Event()

    def slow(tx: Transaction) -> None:
        inside.set()
        put("slow")(tx)
        assert go_on.wait(PATIENCE_S)

    request = writer.post(slow)
    assert inside.wait(PATIENCE_S)
    with pytest.raises(OutcomeUnknown):
        request.wait(0.01)
    go_on.set()
    request.wait(PATIENCE_S)
    assert "slow" in names(path)


# -- trouble with the file -------------------------------------------------------------------------


def test_a_full_disk_is_said_and_passes(writer: Writer, path: Path) -> None:
    pages = writer.call(lambda tx: tx.execute("PRAGMA page_count").fetchone()[0])
    writer.call(lambda tx: tx.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    with pytest.raises(DiskFull):
        writer.call(put("big", "x" * 1_000_000))
    assert names(path) == set()

    writer.call(lambda tx: tx.execute("PRAGMA max_page_count = 1000000").fetchone())
    writer.call(put("big", "x" * 1_000_000))
    assert names(path) == {"big"}


def test_a_foreign_writer_is_named_as_such(
    writer: Writer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.call(lambda tx: tx.execute("PRAGMA busy_timeout = 1").fetchone())
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseProblem, match="another program holds it locked"):
            writer.call(put("a"))
        foreign.execute("ROLLBACK")
    assert writer.call(put("b")) == "b"
    assert names(path) == {"b"}


def test_a_damaged_page_ends_the_writer(database: Database) -> None:
    writer = database.write()
    told: list[Exception] = []
    writer.on_fatal = told.append

    def damaged(tx: Transaction) -> None:
        problem = sqlite3.DatabaseError("database disk image is malformed")
        problem.sqlite_errorname = "SQLITE_CORRUPT"
        raise problem

    with pytest.raises(DatabaseDamaged):
        writer.call(damaged)
    with pytest.raises(DatabaseDamaged):
        writer.call(put("never"))
    assert [type(error) for error in told] == [DatabaseDamaged]
    assert names(database.path) == set()


# -- the end ---------------------------------------------------------------------------------------


def test_close_writes_what_waits(writer: Writer, path: Path, block: Callable[[], Blocked]) -> None:
    blocked = block()
    for n in range(300):
        writer.post(put(f"n{n}"))
    closing = Thread(target=writer.close)
    closing.start()
    blocked.go_on.set()
    closing.join()
    assert len(names(path)) == 300


def test_a_closed_writer_refuses(writer: Writer) -> None:
    writer.close()
    writer.close()
    with pytest.raises(DatabaseProblem, match="closed"):
        writer.call(put("a"))


# -- callbacks -------------------------------------------------------------------------------------


def test_callbacks_run_after_the_commit(writer: Writer, path: Path) -> None:
    seen: list[set[str]] = []

    def write(tx: Transaction) -> None:
        put("a")(tx)
        tx.after(lambda: seen.append(names(path)))

    writer.call(write)
    assert seen == [{"a"}]


@pytest.mark.parametrize("place", ["after", "on_facts"])
def test_a_raising_callback_stops_nothing(writer: Writer, path: Path, place: str) -> None:
    def fail(facts: list[Fact] | None = None) -> None:
        raise ValueError("a callback")

    if place == "on_facts":
        writer.on_facts = fail

    def write(tx: Transaction) -> str:
        tx.event("e")
        if place == "after":
            tx.after(fail)
        return put("a")(tx)

    assert writer.call(write) == "a"
    assert writer.call(put("b")) == "b"
    assert names(path) == {"a", "b"}


def test_many_threads_share_one_writer(writer: Writer, path: Path) -> None:
    together = Barrier(8)

    def run(me: int) -> None:
        together.wait()
        for n in range(25):
            writer.call(put(f"{me}.{n}"), patience_s=PATIENCE_S)

    threads = [Thread(target=run, args=(me,)) for me in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(path)) == 200
