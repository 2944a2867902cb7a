"""The state of a task is that of its executions: SEEDS 7, and the pause before a start."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasky.states import FINAL, OPEN, State
from tasky.store.results import derive, derived_state
from tasky.store.writer import Transaction
from tests.helpers import FakeClock
from tests.store.conftest import Shelf

N, Q, R, P, W = State.NEW, State.QUEUED, State.RUNNING, State.PAUSED, State.WAITING
OK, BAD, STOP = State.SUCCEEDED, State.FAILED, State.CANCELLED
LATE, DEAD, LOST = State.TIMED_OUT, State.KILLED, State.LOST

RULES = [
    ([N, N], N),
    ([Q, Q], Q),
    ([N, Q], Q),
    ([R], R),
    ([R, Q], R),
    ([R, P], R),
    ([P, P], P),
    ([W, W], W),
    ([P, W], R),
    ([P, OK], P),
    ([W, BAD], W),
    ([Q, OK], R),
    ([Q, LOST], R),
    ([P, Q], R),
    ([OK, OK], OK),
    ([OK, STOP], STOP),
    ([STOP, DEAD], DEAD),
    ([DEAD, LOST], LOST),
    ([LOST, LATE], LATE),
    ([LATE, BAD], BAD),
    ([BAD, OK, STOP, DEAD, LOST, LATE], BAD),
]


@pytest.mark.parametrize(("states", "expected"), RULES)
def test_the_first_rule_that_fits_decides(states: list[State], expected: State) -> None:
    census = [(str(s), int(s not in {N, Q}), 1, 1 if s in FINAL else None) for s in states]
    assert derived_state(census) is expected


@pytest.mark.parametrize(
    ("census", "expected"),
    [
        ([(P, 0)], P),
        ([(P, 0), (Q, 0)], Q),
        ([(N, 0), (STOP, 0)], Q),
        ([(Q, 0), (STOP, 0)], Q),
        ([(P, 0), (R, 1)], R),
    ],
)
def test_what_has_not_started_is_queued_or_stands_still(
    census: list[tuple[State, int]], expected: State
) -> None:
    assert derived_state([(str(s), started, 1, None) for s, started in census]) is expected


Attempt = tuple[State, bool]


def attempts() -> st.SearchStrategy[list[Attempt]]:
    """The attempts of one index: ended ones, then one that may be anywhere."""
    ended = st.sampled_from(sorted(FINAL)).map(lambda s: (s, True))
    last = st.one_of(
        st.sampled_from(sorted(State)).map(lambda s: (s, s not in {N, Q})),
        st.sampled_from([(P, False), (STOP, False)]),
    )
    return st.tuples(st.lists(ended, max_size=2), last).map(lambda pair: [*pair[0], pair[1]])


def naive(result: list[list[Attempt]]) -> State:
    """Say the rules in the words of the table."""
    last = [tries[-1] for tries in result]
    alive = {state for state, _ in last if state in OPEN}
    if alive:
        if all(state is N for state, _ in last):
            return N
        if alive == {P}:
            return P
        if alive == {W}:
            return W
        return R if any(started for _, started in last) else Q
    for bad in (BAD, LATE, LOST, DEAD, STOP):
        if any(state is bad for state, _ in last):
            return bad
    return OK


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path_factory.mktemp("derived") / "t.db", FakeClock())
    shelf.worker()
    yield shelf
    shelf.close()


def lay(tx: Transaction, task_id: int, result_id: int, result: list[list[Attempt]]) -> list[int]:
    """Write the executions of a result in place of those it has; return the starts."""
    tx.execute("DELETE FROM execution WHERE task_id = ?", (task_id,))
    starts = []
    for index, tries in enumerate(result, start=1):
        for n, (state, started) in enumerate(tries, start=1):
            number = tx.take_ids("execution")
            if started:
                starts.append(tx.now + number)
            tx.execute(
                "INSERT INTO execution (id, task_id, result_id, worker_id, state, idx, attempt,"
                " is_last, started_at, ended_at, since) VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, 0)",
                (number, task_id, result_id, state.value, index, n, n == len(tries),
                 starts[-1] if started else None, tx.now + number if state in FINAL else None),
            )  # fmt: skip
    return starts


@settings(max_examples=150, deadline=None)
@given(result=st.lists(attempts(), min_size=1, max_size=4))
def test_a_task_shows_what_its_last_attempts_say(
    shared: Shelf, result: list[list[Attempt]]
) -> None:
    task_id = shared.submit(shared.new(times=len(result))).first_id
    result_id = shared.one("SELECT result_id FROM task WHERE id = ?", (task_id,))
    starts = shared.write(lambda tx: lay(tx, task_id, result_id, result))

    shared.write(lambda tx: derive(tx, task_id, result_id))

    expected = naive(result)
    task = shared.store.tasks.by_number(task_id)
    shown = shared.store.results.of_task(task_id)[0]
    assert task.status is expected
    assert shown.status is expected
    assert task.started_at == min(starts, default=None) == shown.started_at
    assert (task.ended_at is None) == (expected in OPEN)
    assert shown.ended_at == task.ended_at
