from dataclasses import replace
from itertools import pairwise
from threading import Barrier, Thread
from typing import Any

import msgspec
import pytest

from tasky.model import Problem
from tasky.states import State
from tasky.store import executions, tasks
from tasky.store.executions import Claimed
from tasky.store.writer import Transaction
from tests.store.conftest import Shelf

EX = executions.SQL
SECOND = 1_000_000
HEADS = {"worker_id": 1, "limit": 4, "floor": 0}


def order_of(claimed: list[Claimed]) -> list[int]:
    return [c.task_id for c in claimed]


def test_the_queue_of_a_worker_goes_by_priority_then_age(shelf: Shelf) -> None:
    low, first, second, high = (shelf.task(priority=p) for p in (-5, 0, 0, 9))
    assert order_of(shelf.start()) == [high, first, second, low]


def test_a_claim_takes_no_more_than_its_limit(shelf: Shelf) -> None:
    shelf.submit(*(shelf.new() for _ in range(5)))
    assert len(shelf.start(limit=2)) == 2
    assert sorted(shelf.states().values()) == ["queued"] * 3 + ["running"] * 2


def test_a_claim_takes_only_its_workers_work(shelf: Shelf) -> None:
    other = shelf.worker("zip")
    mine, theirs = shelf.task(), shelf.task(worker_id=other)
    assert order_of(shelf.start(other)) == [theirs]
    assert shelf.task_state(mine) == "queued"


@pytest.mark.parametrize(
    "fields",
    [{"state": "new"}, {"not_before": 2_000_000_000 * SECOND}],
    ids=["held", "not before"],
)
def test_a_claim_leaves_what_must_wait(shelf: Shelf, fields: dict[str, Any]) -> None:
    shelf.task(**fields)
    assert shelf.start() == []


def test_two_threads_that_claim_never_get_a_row_twice(shelf: Shelf) -> None:
    shelf.submit(*(shelf.new() for _ in range(300)))
    together = Barrier(4)
    got: list[list[int]] = [[] for _ in range(4)]

    def claim(mine: list[int]) -> None:
        together.wait()
        while found := shelf.start(limit=7):
            mine.extend(c.execution_id for c in found)

    threads = [Thread(target=claim, args=(mine,)) for mine in got]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    everything = [number for mine in got for number in mine]
    assert len(everything) == 300
    assert len(set(everything)) == 300


def test_a_task_shows_its_start(shelf: Shelf) -> None:
    shelf.clock.advance(5)
    c = shelf.started()
    task = shelf.store.tasks.by_number(c.task_id)
    assert (task.status, task.started_at, task.attempt) == (State.RUNNING, shelf.clock.now(), 1)
    assert task.execution_id == c.execution_id


# -- ends ------------------------------------------------------------------------------------------


def test_an_end_carries_output_error_and_log(shelf: Shelf) -> None:
    c = shelf.started()
    error = msgspec.json.encode(Problem("ValueError", "no")).decode()
    line = (c.execution_id, 1, shelf.clock.now(), "info", "log", "hello")

    assert shelf.end(
        c, State.FAILED, output='"x"', output_kind="text", output_size=1, error=error,
        exit_code=3, log=[line],
    )  # fmt: skip

    task = shelf.store.tasks.by_number(c.task_id)
    assert (task.status, task.exit_code, task.output_kind) == (State.FAILED, 3, "text")
    assert task.error == Problem("ValueError", "no")
    assert [line.text for line in shelf.store.logs.after(c.execution_id, 0, 10)] == ["hello"]


def test_of_two_ends_of_one_execution_the_first_counts(shelf: Shelf) -> None:
    c = shelf.started()
    assert shelf.end(c, State.KILLED)
    shelf.clock.advance(1)
    assert not shelf.end(c, State.SUCCEEDED)
    assert shelf.task_state(c.task_id) == "killed"


@pytest.mark.parametrize("second", [State.SUCCEEDED, State.KILLED])
def test_of_two_ends_in_one_transaction_the_first_counts(shelf: Shelf, second: State) -> None:
    c = shelf.started()
    reports = [shelf.report(c, State.KILLED), shelf.report(c, second)]

    counted = shelf.write(lambda tx: executions.end(tx, reports))

    assert counted == [True, False]
    assert shelf.events(c.task_id).count("execution.ended") == 1
    assert shelf.rows("SELECT kind, n FROM stat WHERE bucket = 0 AND kind = 'succeeded'") == []
    assert shelf.one("SELECT n FROM stat WHERE kind = 'killed'") == 1


def test_a_return_of_paused_code_is_refused_and_the_kill_beside_it_counts(shelf: Shelf) -> None:
    c = shelf.started()
    shelf.force(c.task_id, State.PAUSED)
    c = replace(c, fence=7)
    reports = [shelf.report(c, State.SUCCEEDED), shelf.report(c, State.KILLED)]

    assert shelf.write(lambda tx: executions.end(tx, reports)) == [False, True]
    assert shelf.task_state(c.task_id) == "killed"


def test_many_ends_in_one_transaction_are_told_apart(shelf: Shelf) -> None:
    shelf.submit(*(shelf.new() for _ in range(6)))
    claimed = shelf.start()
    for c in claimed[::2]:
        shelf.end(c, State.FAILED)
    shelf.clock.advance(1)

    counted = shelf.write(lambda tx: executions.end(tx, [shelf.report(c) for c in claimed]))

    assert counted == [False, True] * 3
    assert list(shelf.states().values()) == ["failed", "succeeded"] * 3


def test_the_ends_tell_the_claim_which_slots_are_free(shelf: Shelf) -> None:
    c = shelf.started()
    heard: list[list[int]] = []
    shelf.writer.before_commit = lambda tx: heard.append(list(tx.freed))
    shelf.end(c)
    shelf.clock.advance(1)
    shelf.end(c)
    shelf.writer.before_commit = None
    assert heard == [[c.execution_id], []]


def test_a_large_output_comes_back_in_pieces(shelf: Shelf) -> None:
    c = shelf.started()
    shelf.end(c, output_kind="bytes", output_size=6, chunks=[b"abc", b"def"])
    read = shelf.store.executions.chunk
    assert [read(c.execution_id, seq) for seq in range(3)] == [b"abc", b"def", None]
    assert shelf.store.executions.output_of(c.execution_id) == (None, "bytes", 6)


# -- retries ---------------------------------------------------------------------------------------


def test_a_retry_queues_the_next_attempt_and_keeps_the_failed_one(shelf: Shelf) -> None:
    c = shelf.started(max_attempts=3)
    due = shelf.clock.now() + 4 * SECOND
    shelf.end(c, State.FAILED, retry_at=due)

    first, second = shelf.store.executions.of_task(c.task_id)
    assert (first.status, first.attempt) == (State.FAILED, 1)
    assert (second.status, second.attempt) == (State.QUEUED, 2)
    assert shelf.task_state(c.task_id) == "queued"
    assert shelf.start() == []
    assert shelf.one("SELECT not_before FROM execution WHERE id = ?", (second.id,)) == due


def test_a_task_whose_cancel_came_first_is_not_tried_again(shelf: Shelf) -> None:
    c = shelf.started(max_attempts=3)
    shelf.write(lambda tx: tasks.wish(tx, c.task_id, "task.cancel_requested", "", ""))

    shelf.end(c, State.FAILED, retry_at=shelf.clock.now())

    assert shelf.task_state(c.task_id) == "failed"
    assert list(shelf.states().values()) == ["failed"]


def test_a_due_attempt_is_promoted_at_its_time(shelf: Shelf) -> None:
    shelf.task(not_before=shelf.clock.now() + 10 * SECOND)

    def promote(tx: Transaction) -> list[tuple[int]]:
        found: list[tuple[int]] = tx.execute(EX.promote_due, {"now": tx.now}).fetchall()
        return found

    assert shelf.write(promote) == []
    shelf.clock.advance(10)
    assert shelf.write(promote) == [(1,)]
    assert len(shelf.start()) == 1


@pytest.mark.parametrize("held", [State.NEW, State.PAUSED])
def test_work_that_goes_back_to_the_queue_is_due_at_its_time(shelf: Shelf, held: State) -> None:
    due = shelf.clock.now() + 10 * SECOND
    task_id = shelf.task(not_before=due)
    shelf.force(task_id, held, started=False)
    heard: list[list[int]] = []
    shelf.writer.before_commit = lambda tx: heard.append(list(tx.due))

    shelf.write(
        lambda tx: tasks.move_unstarted(
            tx, tasks.facts(tx, task_id), held, State.QUEUED, actor="", name="task.resumed"
        )
    )

    shelf.writer.before_commit = None
    assert heard == [[due]]


# -- times -----------------------------------------------------------------------------------------


def test_paused_and_waiting_time_is_added_up(shelf: Shelf) -> None:
    shelf.task()
    shelf.clock.advance(3)
    c = shelf.start()[0]
    plan = [
        (1, State.RUNNING, State.PAUSED), (10, State.PAUSED, State.RUNNING),
        (2, State.RUNNING, State.WAITING), (20, State.WAITING, State.RUNNING),
        (4, State.RUNNING, State.PAUSED), (40, State.PAUSED, State.RUNNING),
    ]  # fmt: skip
    for seconds, leaves, to in plan:
        shelf.clock.advance(seconds)
        assert move(shelf, c, leaves, to)
    shelf.clock.advance(8)
    shelf.end(c)

    times = shelf.store.executions.times_of(c.task_id, shelf.clock.now())
    assert times == [("succeeded", 3.0, 1 + 2 + 4 + 8, 50.0, 20.0)]


@pytest.mark.parametrize(
    ("leaves", "to"), list(pairwise([State.RUNNING, State.PAUSED])), ids=["paused"]
)
def test_the_time_of_a_pause_that_a_stop_ends_counts(
    shelf: Shelf, leaves: State, to: State
) -> None:
    c = shelf.started()
    move(shelf, c, leaves, to)
    shelf.clock.advance(7)
    shelf.end(c, State.CANCELLED)
    assert shelf.one("SELECT paused_us FROM execution") == 7 * SECOND


def test_a_pause_under_way_counts_up_to_now(shelf: Shelf) -> None:
    c = shelf.started()
    move(shelf, c, State.RUNNING, State.PAUSED)
    shelf.clock.advance(6)
    times = shelf.store.executions.times_of(c.task_id, shelf.clock.now())
    assert times == [("paused", 0.0, 0.0, 6.0, 0.0)]


def test_a_clock_that_goes_back_makes_no_negative_time(shelf: Shelf) -> None:
    c = shelf.started()
    move(shelf, c, State.RUNNING, State.PAUSED)
    shelf.clock.advance(-60)
    move(shelf, c, State.PAUSED, State.RUNNING)
    shelf.end(c)
    assert shelf.one("SELECT min(paused_us) FROM execution") == 0
    assert shelf.one("SELECT min(total) FROM stat") == 0


def move(shelf: Shelf, c: Claimed, leaves: State, to: State) -> bool:
    return bool(
        shelf.write(
            lambda tx: executions.move(tx, c.execution_id, c.fence, leaves, to, "moved", "")
        )
    )


# -- plans -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "values", "index"),
    [
        (EX.heads, HEADS, "execution_ready"),
        (EX.workers_with_ready, {}, "execution_ready"),
        (EX.promote_due, {"now": 1}, "execution_due"),
        (EX.next_due, {}, "execution_due"),
        (EX.of_task, {"task_id": 1, "limit": 4}, "execution_task"),
    ],
    ids=["heads", "workers_with_ready", "promote_due", "next_due", "of_task"],
)
def test_a_hot_statement_uses_its_index(
    shelf: Shelf, statement: str, values: dict[str, Any], index: str
) -> None:
    plan = shelf.plan(statement, values)
    assert f"INDEX {index}" in plan
    assert "SCAN execution\n" not in f"{plan}\n"


def test_the_claim_sorts_nothing(shelf: Shelf) -> None:
    assert "TEMP B-TREE" not in shelf.plan(EX.heads, HEADS)
