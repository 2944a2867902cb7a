from collections.abc import Callable

import pytest

from tasky.client.session import Tasky
from tasky.runtime import dispatcher
from tasky.states import State
from tasky.worker import Context, worker
from tests.helpers import (
    PATIENCE_S,
    Gate,
    engine_of,
    let_go,
    names_of,
    obeying,
    settle,
    stubborn,
    until_event,
)

SHORT_S = 0.05


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "TIMEOUT_GRACE_S", SHORT_S)


def test_code_that_obeys_is_timed_out_at_a_checkpoint(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(obeying(gate), timeout_s=SHORT_S)
    task = handle.wait(PATIENCE_S)
    assert task.status is State.TIMED_OUT
    assert task.error is not None
    assert task.error.message == "its time of 0.05 s was over"
    assert "task.cancel_requested" in names_of(tasky, handle)


def test_the_time_of_a_worker_counts_and_that_of_a_task_wins(tasky: Tasky, gate: Gate) -> None:
    limited = worker(name="limited", timeout=SHORT_S)(obeying(gate))
    assert tasky.run(limited).wait(PATIENCE_S).status is State.TIMED_OUT

    longer = tasky.run(limited, timeout_s=3600)
    gate.visitors(2)
    gate.open()
    assert longer.wait(PATIENCE_S).status is State.SUCCEEDED


@pytest.mark.usefixtures("short_grace")
def test_code_that_goes_on_is_cut(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(stubborn(gate), timeout_s=SHORT_S)
    task = handle.wait(PATIENCE_S)
    assert task.status is State.TIMED_OUT
    assert task.error is not None
    assert task.error.message.endswith("and it went on")

    let_go(tasky, gate)
    assert handle.status is State.TIMED_OUT
    assert handle.output is None


@pytest.mark.usefixtures("short_grace")
def test_code_that_was_cut_does_not_keep_its_slot(
    make_tasky: Callable[..., Tasky], gates: Callable[[], Gate]
) -> None:
    tasky = make_tasky(threads=1)
    tasky.run(stubborn(gates()), timeout_s=SHORT_S).wait(PATIENCE_S)

    def echo() -> str:
        return "on we go"

    handle = tasky.run(echo)
    handle.wait(PATIENCE_S)
    assert handle.output == "on we go"


def test_code_that_ends_in_time_is_not_touched(tasky: Tasky) -> None:
    def quick() -> int:
        return 1

    handle = tasky.run(quick, timeout_s=3600)
    assert handle.wait(PATIENCE_S).status is State.SUCCEEDED
    assert "task.cancel_requested" not in names_of(tasky, handle)


def test_paused_code_is_timed_out_too(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(obeying(gate), timeout_s=0.4)
    gate.visitor()
    handle.pause()
    assert handle.wait(PATIENCE_S).status is State.TIMED_OUT


def test_a_cancel_that_came_first_is_the_reason(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(obeying(gate), timeout_s=3600)
    gate.visitor()
    handle.cancel("no longer needed")
    task = handle.wait(PATIENCE_S)
    assert task.status is State.CANCELLED
    assert task.error is not None
    assert task.error.message == "no longer needed"


def test_the_time_of_a_killed_attempt_does_not_reach_the_rerun(
    tasky: Tasky, gates: Callable[[], Gate]
) -> None:
    doors = [gates(), gates()]

    def code(ctx: Context) -> None:
        doors[ctx.task.execution_id - 1].stand(ctx.task)

    handle = tasky.run(code, timeout_s=3600)
    doors[0].visitor()
    handle.kill()
    handle.rerun()
    doors[1].visitor()
    killed, running = tasky.client.executions(handle.id)

    engine_of(tasky)._time_out(killed.id, 3600)
    settle(tasky)

    assert handle.refresh().cancel_requested_at is None
    assert (killed.status, running.status) == (State.KILLED, State.RUNNING)


def test_one_run_of_several_that_is_late_does_not_cancel_the_task(tasky: Tasky, gate: Gate) -> None:
    def code(ctx: Context) -> None:
        if ctx.task.index == 1:
            gate.obey(ctx)

    handle = tasky.run(code, times=3, timeout_s=SHORT_S)
    task = handle.wait(PATIENCE_S)
    assert task.status is State.TIMED_OUT
    assert task.cancel_requested_at is None
    states = sorted(e.status for e in tasky.client.executions(handle.id))
    assert states == [State.SUCCEEDED, State.SUCCEEDED, State.TIMED_OUT]


def test_a_timeout_is_no_reason_to_try_again(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(obeying(gate), timeout_s=SHORT_S, max_attempts=5)
    assert handle.wait(PATIENCE_S).attempt == 1


def test_a_wish_of_the_engine_is_told_as_the_engines(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(obeying(gate), timeout_s=SHORT_S)
    assert until_event(tasky, handle, "task.cancel_requested").actor == "engine"
    handle.wait(PATIENCE_S)
