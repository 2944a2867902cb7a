"""Every edge moves exactly one row, every pair of state and step that is no edge moves none."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest

from tasky.errors import StatusConflict
from tasky.states import ACTIVE, EDGES, EDGES_UNSTARTED, FINAL, OPEN, State, Step
from tasky.store import executions, tasks
from tasky.store.executions import Claimed
from tasky.store.writer import Transaction
from tests.helpers import FakeClock
from tests.store.conftest import Shelf

FENCE = 7
"""The fence that `Shelf.force` gives to what has started."""

Move = Callable[[Transaction, int], object]
Situation = tuple[State, bool]

SITUATIONS: list[Situation] = [(state, state not in {State.NEW, State.QUEUED}) for state in State]
SITUATIONS.append((State.PAUSED, False))

DEADLINES: set[tuple[State, Step]] = {
    (State.NEW, Step.TIME_OUT),
    (State.QUEUED, Step.TIME_OUT),
    (State.PAUSED, Step.TIME_OUT),
}
"""Edges of work that never started, which nothing takes yet: there are no deadlines."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """One database for all pairs: each brings tasks of its own."""
    shelf = Shelf(tmp_path_factory.mktemp("edges") / "t.db", FakeClock())
    shelf.worker()
    yield shelf
    shelf.close()


def claimed(tx: Transaction, task_id: int, fence: int = FENCE) -> Claimed:
    row = tx.execute(
        "SELECT id, result_id, started_at FROM execution WHERE task_id = ?", (task_id,)
    ).fetchone()
    return Claimed(
        row[0], 0, task_id, row[1], 1, 1, 0, "", "{}", None, None, 1, 1, None,
        worker_id=1, fence=fence, started_at=row[2],
    )  # fmt: skip


def facts(tx: Transaction, task_id: int) -> tasks.Facts:
    return tasks.facts(tx, task_id)


def start(tx: Transaction, task_id: int) -> None:
    executions.start(tx, [claimed(tx, task_id)])


def end(to: State, fence: int = FENCE) -> Move:
    def move(tx: Transaction, task_id: int) -> None:
        c = claimed(tx, task_id, fence)
        report = executions.Ended(
            c.execution_id, task_id, c.result_id, fence, to.value, worker_id=1,
            started_at=c.started_at,
        )  # fmt: skip
        executions.end(tx, [report])

    return move


def moving(leaves: State, to: State, fence: int = FENCE) -> Move:
    def move(tx: Transaction, task_id: int) -> None:
        executions.move(tx, claimed(tx, task_id).execution_id, fence, leaves, to, "moved", "")

    return move


def unstarted(leaves: State, to: State) -> Move:
    def move(tx: Transaction, task_id: int) -> None:
        tasks.move_unstarted(tx, facts(tx, task_id), leaves, to, actor="", name="moved")

    return move


def cancel(tx: Transaction, task_id: int) -> None:
    executions.cancel_unstarted(tx, task_id, facts(tx, task_id).result_id, "{}", "")


def lose(tx: Transaction, task_id: int) -> None:
    number = claimed(tx, task_id).execution_id
    tx.execute(executions.SQL.lose, {"id": number, "error": "{}", "now": tx.now}).fetchall()


MOVES: list[tuple[Step, str, Move, bool | None]] = [
    # step, its name, what does it, whether it is for started or for unstarted work alone
    (Step.RELEASE, "move_unstarted", unstarted(State.NEW, State.QUEUED), None),
    (Step.CANCEL, "cancel_unstarted", cancel, None),
    (Step.PAUSE, "move_unstarted", unstarted(State.QUEUED, State.PAUSED), False),
    (Step.PAUSE, "move", moving(State.RUNNING, State.PAUSED), True),
    (Step.RESUME, "move_unstarted", unstarted(State.PAUSED, State.QUEUED), False),
    (Step.RESUME, "move", moving(State.PAUSED, State.RUNNING), True),
    (Step.START, "start", start, None),
    (Step.WAIT, "move", moving(State.RUNNING, State.WAITING), None),
    (Step.GO_ON, "move", moving(State.WAITING, State.RUNNING), None),
    (Step.SUCCEED, "end", end(State.SUCCEEDED), None),
    (Step.FAIL, "end", end(State.FAILED), None),
    (Step.STOP, "end", end(State.CANCELLED), None),
    (Step.TIME_OUT, "end", end(State.TIMED_OUT), None),
    (Step.KILL, "end", end(State.KILLED), None),
    (Step.LOSE, "end", end(State.LOST), None),
    (Step.LOSE, "lose", lose, None),
]


def edge(situation: Situation, step: Step) -> State | None:
    """Return where the machine says that a step leads; None where there is no edge."""
    state, started = situation
    if started or state is not State.PAUSED:
        return EDGES.get((state, step))
    return EDGES_UNSTARTED.get((state, step))


def whole(shelf: Shelf) -> dict[int, str]:
    return shelf.states()


@pytest.mark.parametrize(
    ("situation", "step", "function", "move", "only_started"),
    [(situation, *move) for situation, move in product(SITUATIONS, MOVES)],
    ids=lambda value: str(value) if isinstance(value, (tuple, str)) else "",
)
def test_a_step_moves_one_row_along_its_edge_and_none_elsewhere(
    shared: Shelf,
    situation: Situation,
    step: Step,
    function: str,
    move: Move,
    only_started: bool | None,
) -> None:
    state, started = situation
    target, _ = shared.task(), shared.task()
    for task_id in (target, target + 1):
        shared.force(task_id, state, started=started)
    before = whole(shared)

    shared.write(lambda tx: move(tx, target))

    after = whole(shared)
    to = edge(situation, step)
    if only_started is not None and only_started != started:
        to = None
    if not started and (state, step) in DEADLINES:
        to = None
    changed = {number for number in before if after[number] != before[number]}
    expected = {} if to is None else {shared_execution(shared, target): str(to)}
    assert {number: after[number] for number in changed} == expected
    assert shared.task_state(target + 1) == state


def shared_execution(shelf: Shelf, task_id: int) -> int:
    return int(shelf.one("SELECT id FROM execution WHERE task_id = ?", (task_id,)))


@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
def test_a_rerun_opens_an_ended_task_and_no_other(shared: Shelf, situation: Situation) -> None:
    state, started = situation
    target = shared.task()
    shared.force(target, state, started=started)
    before = whole(shared)

    def again() -> Any:
        return shared.write(lambda tx: tasks.rerun(tx, facts(tx, target), "{}", 1, ""))

    if edge(situation, Step.RERUN) is None:
        with pytest.raises(StatusConflict):
            again()
        assert whole(shared) == before
        return
    again()
    fresh = whole(shared).keys() - before.keys()
    assert [whole(shared)[number] for number in fresh] == ["queued"]
    assert shared.task_state(target) == "queued"
    assert {n: s for n, s in whole(shared).items() if n in before} == before


STALE: list[tuple[State, Move]] = [
    *((leaves, end(to, FENCE - 1)) for leaves, to in product(sorted(ACTIVE), sorted(FINAL))),
    (State.RUNNING, moving(State.RUNNING, State.PAUSED, FENCE - 1)),
    (State.PAUSED, moving(State.PAUSED, State.RUNNING, FENCE - 1)),
    (State.RUNNING, moving(State.RUNNING, State.WAITING, FENCE - 1)),
    (State.WAITING, moving(State.WAITING, State.RUNNING, FENCE - 1)),
]


@pytest.mark.parametrize(("state", "move"), STALE)
def test_a_stale_fence_moves_nothing(shared: Shelf, state: State, move: Move) -> None:
    target = shared.task()
    shared.force(target, state)
    before = whole(shared), len(shared.events())

    shared.write(lambda tx: move(tx, target))

    assert (whole(shared), len(shared.events())) == before


@pytest.mark.parametrize("state", sorted(OPEN | FINAL))
def test_progress_of_a_stale_fence_is_dropped(shared: Shelf, state: State) -> None:
    target = shared.task()
    shared.force(target, state)
    number = shared_execution(shared, target)

    done = shared.write(lambda tx: executions.progress(tx, [(number, FENCE - 1, '{"done": 1}')]))

    assert done == [False]
    assert shared.one("SELECT progress FROM execution WHERE id = ?", (number,)) is None
