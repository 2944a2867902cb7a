import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from tasky.errors import DatabaseProblem, TaskUnknown
from tasky.store import writer as writer_module
from tasky.store.writer import Transaction, Writer
from tests.helpers import PATIENCE_S
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

# -- durable before the answer ---------------------------------------------------------------------


def test_an_answer_comes_after_the_commit(writer: Writer, path: Path) -> None:
    assert writer.call(put("a")) == "a"
    assert "a" in names(path)


def test_nobody_sees_a_group_before_its_commit(
    writer: Writer, path: Path, block: Callable[[], Blocked]
) -> None:
    blocked = block()
    waiting = writer.post(put("a"))
    assert "a" not in names(path)
    blocked.go_on.set()
    assert waiting.wait(PATIENCE_S) == "a"
    assert "a" in names(path)


def test_what_waits_together_is_committed_together(
    writer: Writer, block: Callable[[], Blocked]
) -> None:
    groups: list[int] = []
    blocked = block()
    # The group under way takes no more: it is past its look at the queue.
    waiting = [writer.post(put(f"n{n}")) for n in range(20)]
    writer.before_commit = lambda tx: groups.append(tx.connection.total_changes)
    blocked.go_on.set()
    for request in waiting:
        request.wait(PATIENCE_S)
    writer.before_commit = None
    assert len(groups) == 2


def test_a_group_has_its_bound(
    writer: Writer, block: Callable[[], Blocked], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "GROUP", 4)
    groups: list[int] = []
    blocked = block()
    waiting = [writer.post(put(f"n{n}")) for n in range(10)]
    writer.before_commit = lambda tx: groups.append(1)
    blocked.go_on.set()
    for request in waiting:
        request.wait(PATIENCE_S)
    writer.before_commit = None
    assert len(groups) == 1 + 3


# -- a failing request -----------------------------------------------------------------------------


def test_a_failing_request_fails_alone(
    writer: Writer, path: Path, block: Callable[[], Blocked]
) -> None:
    blocked = block()
    requests = [writer.post(w) for w in (put("a"), put_and_fail("bad"), put("b"))]
    blocked.go_on.set()
    assert requests[0].wait(PATIENCE_S) == "a"
    with pytest.raises(ValueError, match="bad"):
        requests[1].wait(PATIENCE_S)
    assert requests[2].wait(PATIENCE_S) == "b"
    assert names(path) == {"a", "b"}


def test_a_request_that_breaks_a_rule_of_the_schema_fails_alone(
    writer: Writer, path: Path, block: Callable[[], Blocked]
) -> None:
    blocked = block()
    requests = [writer.post(w) for w in (put("a"), put("a", "other"), put("b"))]
    blocked.go_on.set()
    requests[0].wait(PATIENCE_S)
    with pytest.raises(sqlite3.IntegrityError):
        requests[1].wait(PATIENCE_S)
    requests[2].wait(PATIENCE_S)
    assert names(path) == {"a", "b"}


def test_events_of_a_failed_request_vanish(
    writer: Writer, path: Path, block: Callable[[], Blocked]
) -> None:
    heard: list[str] = []
    writer.on_facts = lambda facts: heard.extend(fact.name for fact in facts)
    blocked = block()
    requests = [
        writer.post(w) for w in (lambda tx: tx.event("one"), put_and_fail("bad"), good_event("two"))
    ]
    blocked.go_on.set()
    requests[0].wait(PATIENCE_S)
    with pytest.raises(ValueError, match="bad"):
        requests[1].wait(PATIENCE_S)
    requests[2].wait(PATIENCE_S)
    assert [name for _, name in events(path)] == heard == ["one", "two"]


def test_a_request_that_fails_before_it_wrote_costs_the_group_no_second_run(
    writer: Writer, block: Callable[[], Blocked]
) -> None:
    runs: list[str] = []

    def good(tx: Transaction) -> None:
        runs.append("good")
        put("a")(tx)

    def refused(tx: Transaction) -> None:
        tx.event("never")
        raise TaskUnknown(id="x", db="y")

    blocked = block()
    requests = [writer.post(w) for w in (good, refused)]
    blocked.go_on.set()
    requests[0].wait(PATIENCE_S)
    with pytest.raises(TaskUnknown):
        requests[1].wait(PATIENCE_S)
    assert runs == ["good"]


def test_a_batch_that_fails_is_repeated_item_by_item(
    writer: Writer, path: Path, block: Callable[[], Blocked]
) -> None:
    def batch(tx: Transaction, items: list[Any]) -> list[str | Exception]:
        return [put(item)(tx) for item in items]

    blocked = block()
    requests = [writer.post_batch(batch, item) for item in ("a", "a", "b")]
    blocked.go_on.set()
    assert requests[0].wait(PATIENCE_S) == "a"
    with pytest.raises(sqlite3.IntegrityError):
        requests[1].wait(PATIENCE_S)
    assert requests[2].wait(PATIENCE_S) == "b"
    assert names(path) == {"a", "b"}


def test_an_item_that_a_batch_refuses_hears_why_and_the_others_are_written(
    writer: Writer, path: Path
) -> None:
    def batch(tx: Transaction, items: list[Any]) -> list[str | Exception]:
        return [KeyError(item) if item == "no" else put(item)(tx) for item in items]

    told: list[BaseException] = []
    good = writer.post_batch(batch, "a")
    bad = writer.post_batch(batch, "no", told.append)
    assert good.wait(PATIENCE_S) == "a"
    with pytest.raises(KeyError):
        bad.wait(PATIENCE_S)
    writer.call(lambda tx: None)
    assert [type(error) for error in told] == [KeyError]
    assert names(path) == {"a"}


def test_a_group_that_cannot_be_finished_leaves_nothing(writer: Writer, path: Path) -> None:
    def fail(tx: Transaction) -> None:
        raise ValueError("before the commit")

    writer.before_commit = fail
    with pytest.raises(DatabaseProblem, match="before the commit"):
        writer.call(put("a"))
    writer.before_commit = None
    assert writer.call(put("b")) == "b"
    assert names(path) == {"b"}


def test_a_request_that_python_itself_refuses_fails_alone(
    writer: Writer, path: Path, block: Callable[[], Blocked]
) -> None:
    def unbound(tx: Transaction) -> None:
        put("half")(tx)
        tx.execute("INSERT INTO meta (name, value) VALUES (:name, :value)", {"name": "x"})

    blocked = block()
    requests = [writer.post(w) for w in (put("a"), unbound)]
    blocked.go_on.set()
    assert requests[0].wait(PATIENCE_S) == "a"
    with pytest.raises(sqlite3.ProgrammingError):
        requests[1].wait(PATIENCE_S)
    assert names(path) == {"a"}


def test_what_was_posted_before_a_call_is_written_by_its_return(
    writer: Writer, path: Path, block: Callable[[], Blocked]
) -> None:
    """Also when the writer's own thread has taken it already and waits for its turn."""
    inside, go_on = Event(), Event()

    def slow(tx: Transaction) -> None:
        inside.set()
        assert go_on.wait(PATIENCE_S)

    busy = Thread(target=writer.call, args=(slow,))
    busy.start()
    assert inside.wait(PATIENCE_S)
    posted = writer.post(put("posted"))
    called = Thread(target=writer.call, args=(put("called"),))
    called.start()
    go_on.set()
    called.join()
    seen = names(path)
    busy.join()
    posted.wait(PATIENCE_S)
    assert seen == {"posted", "called"}
