"""What start-up does with what a crash left."""

from collections.abc import Callable

import pytest

from tasky.states import State
from tasky.store import executions, tasks
from tasky.store.executions import Claimed, Recovered
from tests.store.conftest import Shelf


def recover(shelf: Shelf) -> Recovered:
    done = Recovered()
    while shelf.write(lambda tx: executions.recover(tx, done)):
        pass
    return done


@pytest.fixture
def crash(shelf: Shelf) -> Callable[..., Claimed]:
    """Start a task and forget it, as a server that is killed does."""

    def make(*, idempotent: bool, state: State = State.RUNNING, **fields: object) -> Claimed:
        worker = shelf.worker("again" if idempotent else "once", idempotent=idempotent)
        c = shelf.started(worker_id=worker, **fields)
        if state is not State.RUNNING:
            shelf.write(
                lambda tx: executions.move(
                    tx, c.execution_id, c.fence, State.RUNNING, state, "moved", ""
                )
            )
        return c

    return make


@pytest.mark.parametrize("state", [State.RUNNING, State.PAUSED, State.WAITING])
def test_idempotent_work_is_queued_again(
    shelf: Shelf, crash: Callable[..., Claimed], state: State
) -> None:
    c = crash(idempotent=True, state=state)

    done = recover(shelf)

    old, new = shelf.store.executions.of_task(c.task_id)
    assert (old.status, new.status, new.attempt) == (State.LOST, State.QUEUED, 2)
    assert shelf.task_state(c.task_id) == "queued"
    assert (len(done.queued), done.lost, done.quarantined) == (1, [], [])


@pytest.mark.parametrize("state", [State.RUNNING, State.PAUSED, State.WAITING])
def test_other_work_is_lost(shelf: Shelf, crash: Callable[..., Claimed], state: State) -> None:
    c = crash(idempotent=False, state=state)

    done = recover(shelf)

    task = shelf.store.tasks.by_number(c.task_id)
    assert task.status is State.LOST
    assert task.error is not None
    assert task.error.type == "Lost"
    assert (done.queued, len(done.lost)) == ([], 1)


def test_a_second_crash_in_a_row_is_a_quarantine(
    shelf: Shelf, crash: Callable[..., Claimed]
) -> None:
    c = crash(idempotent=True)
    recover(shelf)
    assert len(shelf.start(c.worker_id)) == 1

    done = recover(shelf)

    task = shelf.store.tasks.by_number(c.task_id)
    assert task.status is State.LOST
    assert task.error is not None
    assert task.error.type == "Quarantined"
    assert len(done.quarantined) == 1
    assert shelf.start(c.worker_id) == []


def test_only_a_person_starts_a_quarantined_task_again(
    shelf: Shelf, crash: Callable[..., Claimed]
) -> None:
    c = crash(idempotent=True)
    recover(shelf)
    shelf.start(c.worker_id)
    recover(shelf)

    shelf.write(lambda tx: tasks.rerun(tx, tasks.facts(tx, c.task_id), "{}", 1, "me"))
    shelf.start(c.worker_id)
    recover(shelf)

    assert shelf.task_state(c.task_id) == "queued"


def test_work_that_was_to_be_cancelled_is_not_started_again(
    shelf: Shelf, crash: Callable[..., Claimed]
) -> None:
    c = crash(idempotent=True)
    shelf.write(lambda tx: tasks.wish(tx, c.task_id, "task.cancel_requested", "", ""))
    assert recover(shelf).queued == []
    assert shelf.task_state(c.task_id) == "lost"


def test_what_had_not_started_stays_queued(shelf: Shelf) -> None:
    shelf.submit(shelf.new(), shelf.new(state="new"), shelf.new(not_before=2_000_000_000_000_000))
    before = shelf.states()
    assert recover(shelf) == Recovered()
    assert shelf.states() == before


def test_the_rest_of_a_result_goes_on(shelf: Shelf) -> None:
    shelf.submit(shelf.new(times=3))
    shelf.start(limit=1)

    recover(shelf)

    assert list(shelf.states().values()) == ["lost", "queued", "queued"]
    assert shelf.task_state(1) == "running"


def test_a_recovery_settles_more_than_one_slice(shelf: Shelf) -> None:
    shelf.submit(*(shelf.new() for _ in range(1100)))
    shelf.start(limit=2000)
    assert len(recover(shelf).lost) == 1100
    assert set(shelf.states().values()) == {"lost"}


def test_lost_work_counts_in_the_statistics(shelf: Shelf, crash: Callable[..., Claimed]) -> None:
    crash(idempotent=True)
    crash(idempotent=False)
    recover(shelf)
    assert shelf.one("SELECT sum(n) FROM stat WHERE kind = 'lost'") == 2


def test_each_lost_execution_has_one_end_in_the_history(
    shelf: Shelf, crash: Callable[..., Claimed]
) -> None:
    c = crash(idempotent=True)
    recover(shelf)
    assert shelf.events(c.task_id) == [
        "task.created", "execution.started", "execution.ended", "execution.queued",
    ]  # fmt: skip
