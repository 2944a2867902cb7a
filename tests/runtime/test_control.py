"""What people ask of a task, and what becomes of it."""

from collections.abc import Callable
from typing import Any

import pytest

from tasky.client.session import TaskHandle, Tasky
from tasky.errors import (
    BadRequest,
    ConfigInvalid,
    Conflict,
    StatusConflict,
    TaskUnknown,
    VersionConflict,
)
from tasky.states import State
from tasky.worker import Context, WorkerBase
from tests.helpers import (
    PATIENCE_S,
    Gate,
    obeying,
    register,
    settle,
    stubborn,
    until_status,
)


@pytest.fixture
def busy(make_tasky: Callable[..., Tasky], gates: Callable[[], Gate]) -> Tasky:
    """An engine whose one slot is taken, so that what is submitted stays in the queue."""
    tasky = make_tasky(threads=1)
    gate = gates()
    tasky.run(obeying(gate, "occupant"))
    gate.visitor()
    return tasky


def echo(n: int = 0) -> int:
    return n


# -- release ---------------------------------------------------------------------------------------


def test_a_held_task_waits_for_its_release(tasky: Tasky) -> None:
    handle = tasky.run(echo, {"n": 3}, hold=True)
    settle(tasky)
    assert handle.status is State.NEW
    assert handle.release().status in {State.QUEUED, State.RUNNING, State.SUCCEEDED}
    handle.wait(PATIENCE_S)
    assert handle.output == 3


def test_a_run_of_a_held_task_is_its_release(tasky: Tasky) -> None:
    handle = tasky.run(echo, hold=True)
    tasky.client.act(handle.id, "run")
    assert handle.wait(PATIENCE_S).status is State.SUCCEEDED
    assert len(tasky.client.results(handle.id)) == 1


def test_a_config_may_change_until_the_start(busy: Tasky) -> None:
    handle = busy.run(echo, {"n": 1})
    changed = busy.client.set_config(handle.id, {"n": 2})
    assert bytes(changed.config) == b'{"n":2}'
    with pytest.raises(ConfigInvalid):
        busy.client.set_config(handle.id, {"n": "two"})


def test_a_config_of_running_code_stays(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(obeying(gate))
    gate.visitor()
    with pytest.raises(StatusConflict):
        tasky.client.set_config(handle.id, {"n": 2})


# -- cancel ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("hold", [True, False], ids=["held", "queued"])
def test_what_has_not_started_is_cancelled_at_once(busy: Tasky, hold: bool) -> None:
    handle = busy.run(echo, hold=hold)
    task = handle.cancel("not today")
    assert task.status is State.CANCELLED
    assert task.error is not None
    assert task.error.message == "not today"
    assert task.started_at is None


def test_code_that_obeys_stops_at_its_next_checkpoint(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(obeying(gate))
    gate.visitor()
    handle.cancel("enough")
    task = handle.wait(PATIENCE_S)
    assert task.status is State.CANCELLED
    assert task.cancel_requested_at is not None
    assert task.error is not None
    assert task.error.message == "enough"


def test_a_wish_is_no_state(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(stubborn(gate))
    gate.visitor()
    task = handle.cancel()
    assert task.status is State.RUNNING
    assert task.cancel_requested_at is not None
    assert tasky.client.why(handle.id).reason == "cancel_requested"


def test_code_that_ignores_a_cancel_and_returns_has_succeeded(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(stubborn(gate), {"n": 5})
    gate.visitor()
    handle.cancel()
    gate.open()
    assert handle.wait(PATIENCE_S).status is State.SUCCEEDED
    assert handle.output == 5


def test_a_cancel_cannot_be_swallowed_by_accident(tasky: Tasky, gate: Gate) -> None:
    def code(ctx: Context) -> str:
        gate.stand()
        try:
            ctx.checkpoint()
        except Exception:  # noqa: BLE001  # what a careless author writes
            return "swallowed"
        return "not stopped"

    handle = tasky.run(code)
    gate.visitor()
    handle.cancel()
    gate.open()
    assert handle.wait(PATIENCE_S).status is State.CANCELLED


def test_a_cancel_wakes_code_that_sleeps_or_waits(tasky: Tasky, gate: Gate) -> None:
    def sleeping(ctx: Context) -> None:
        gate.come()
        ctx.sleep(3600)

    def waiting(ctx: Context) -> None:
        gate.come()
        ctx.wait(gate.door, what="a door")

    handles = [tasky.run(sleeping), tasky.run(waiting)]
    gate.visitors(2)
    for handle in handles:
        handle.cancel()
    assert {h.wait(PATIENCE_S).status for h in handles} == {State.CANCELLED}


def test_a_cancel_of_paused_code_ends_it(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(obeying(gate))
    gate.visitor()
    handle.pause()
    until_status(tasky, handle, State.PAUSED)
    handle.cancel()
    assert handle.wait(PATIENCE_S).status is State.CANCELLED


def test_a_cancel_reaches_every_run_of_a_task(make_tasky: Callable[..., Tasky], gate: Gate) -> None:
    tasky = make_tasky(threads=2)
    handle = tasky.run(obeying(gate), times=5)
    gate.visitors(2)
    handle.cancel()
    assert handle.wait(PATIENCE_S).status is State.CANCELLED
    assert {e.status for e in tasky.client.executions(handle.id)} == {State.CANCELLED}


# -- rerun, delete, conditions ---------------------------------------------------------------------


def test_a_rerun_keeps_the_id_and_the_history(tasky: Tasky) -> None:
    handle = tasky.run(echo, {"n": 1})
    handle.wait(PATIENCE_S)
    handle.rerun(n=2)
    handle.wait(PATIENCE_S)
    assert handle.output == 2
    assert [r.status for r in tasky.client.results(handle.id)] == [State.SUCCEEDED] * 2
    with pytest.raises(ConfigInvalid):
        handle.rerun(n="three")


def test_a_rerun_may_run_several_times(tasky: Tasky) -> None:
    handle = tasky.run(echo)
    handle.wait(PATIENCE_S)
    tasky.client.act(handle.id, "rerun", times=3)
    handle.wait(PATIENCE_S)
    assert [r.times for r in tasky.client.results(handle.id)] == [3, 1]


def test_an_ended_task_can_be_removed(tasky: Tasky) -> None:
    handle = tasky.run(echo)
    handle.wait(PATIENCE_S)
    tasky.client.delete(handle.id)
    with pytest.raises(TaskUnknown):
        tasky.task(handle.id)
    assert tasky.client.stats().by_status == {"succeeded": 1}


def test_a_running_task_cannot_be_removed(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(obeying(gate))
    gate.visitor()
    with pytest.raises(StatusConflict):
        tasky.client.delete(handle.id)


def test_ids_of_removed_tasks_are_not_given_out_again(make_tasky: Callable[..., Tasky]) -> None:
    numbers = []
    for _ in range(3):
        tasky = make_tasky()
        handle = tasky.run(echo)
        numbers.append(handle.wait(PATIENCE_S).number)
        tasky.client.delete(handle.id)
        tasky.close()
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("condition", [{"expect_status": "running"}, {"version": 99}], ids=str)
def test_an_action_on_another_state_than_expected_does_nothing(
    busy: Tasky, condition: dict[str, Any]
) -> None:
    handle = busy.run(echo)
    with pytest.raises((Conflict, VersionConflict)):
        busy.client.act(handle.id, "cancel", **condition)
    assert handle.status is State.QUEUED


@pytest.mark.parametrize("action", ["release", "resume", "pause", "kill", "cancel"])
def test_an_ended_task_refuses_what_means_nothing(tasky: Tasky, action: str) -> None:
    handle = tasky.run(echo)
    handle.wait(PATIENCE_S)
    before = tasky.client.task(handle.id)
    with pytest.raises(StatusConflict, match="Nothing was changed"):
        tasky.client.act(handle.id, action)
    assert tasky.client.task(handle.id) == before


@pytest.mark.parametrize(
    "wanted", [{"action": "explode"}, {"action": "rerun", "times": 0}], ids=str
)
def test_an_action_that_is_none_is_refused(tasky: Tasky, wanted: dict[str, Any]) -> None:
    handle = tasky.run(echo)
    handle.wait(PATIENCE_S)
    with pytest.raises(BadRequest):
        tasky.client.act(handle.id, **wanted)


# -- the class form --------------------------------------------------------------------------------


def test_a_class_hears_of_actions_on_its_tasks(tasky: Tasky, gate: Gate) -> None:
    heard: list[tuple[str, str]] = []

    class Listener(WorkerBase):
        """Listen."""

        def run(self, ctx: Context) -> None:  # type: ignore[override]  # the signature is the config
            gate.obey(ctx)

        def update(self, task_id: str, action: str) -> None:
            heard.append((task_id, action))

        def delete(self, task_id: str) -> None:
            heard.append((task_id, "deleted"))

    handle = tasky.run(Listener)
    gate.visitor()
    handle.cancel()
    handle.wait(PATIENCE_S)
    tasky.client.delete(handle.id)
    assert heard == [(handle.id, "cancel"), (handle.id, "deleted")]


def test_a_class_that_raises_while_it_hears_keeps_nobody_from_acting(
    tasky: Tasky, gate: Gate
) -> None:
    class Deaf(WorkerBase):
        """Do not listen."""

        def run(self, ctx: Context) -> None:  # type: ignore[override]  # the signature is the config
            gate.obey(ctx)

        def update(self, task_id: str, action: str) -> None:
            raise RuntimeError("what?")

    handle: TaskHandle = tasky.run(Deaf)
    gate.visitor()
    handle.cancel()
    assert handle.wait(PATIENCE_S).status is State.CANCELLED


def test_actions_on_many_tasks_tell_what_became_of_each(busy: Tasky) -> None:
    register(busy, echo)
    handles = [busy.run(echo) for _ in range(3)]
    handles[0].cancel()
    found = busy.client.act_many("worker:echo", "cancel")
    done = {outcome.task_id: outcome.done for outcome in found}
    assert done == {handles[0].id: False, handles[1].id: True, handles[2].id: True}
