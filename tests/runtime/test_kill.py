"""A thread cannot be killed: what is shown, what is refused, what waits."""

from collections.abc import Callable

import pytest

from tasky.client.session import Tasky
from tasky.runtime.dispatcher import MAX_ABANDONED
from tasky.states import State
from tasky.worker import Context
from tests.helpers import (
    PATIENCE_S,
    Gate,
    engine_of,
    let_go,
    names_of,
    obeying,
    pool_of,
    settle,
    stubborn,
    until_status,
)


def echo(n: int = 0) -> int:
    return n


def test_a_kill_ends_the_task_at_once_and_frees_its_slot(
    make_tasky: Callable[..., Tasky], gate: Gate
) -> None:
    tasky = make_tasky(threads=1)
    handle = tasky.run(stubborn(gate))
    gate.visitor()
    task = tasky.client.act(handle.id, "kill", reason="stuck", wait_s=PATIENCE_S)
    assert task.status is State.KILLED
    assert task.error is not None
    assert task.error.message == "stuck"
    assert tasky.run(echo).wait(PATIENCE_S).status is State.SUCCEEDED
    assert tasky.client.system()["pool"]["ignoring_cancel"] == 1


def test_the_late_result_of_killed_code_is_refused(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(stubborn(gate), {"n": 9})
    gate.visitor()
    handle.kill()
    let_go(tasky, gate)
    assert handle.status is State.KILLED
    assert handle.output is None
    assert names_of(tasky, handle).count("execution.ended") == 1
    assert tasky.client.stats().by_status == {"killed": 1}
    assert engine_of(tasky).abandoned == 0


def test_killed_code_that_obeys_is_gone_soon(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(obeying(gate))
    gate.visitor()
    handle.kill()
    assert handle.wait(PATIENCE_S).status is State.KILLED
    let_go(tasky, gate)
    assert engine_of(tasky).abandoned == 0


def test_what_killed_code_goes_on_to_say_is_not_written(tasky: Tasky, gate: Gate) -> None:
    def code(ctx: Context) -> None:
        ctx.log.info("before")
        gate.stand()
        ctx.log.info("after")
        ctx.progress(1, 2)

    handle = tasky.run(code)
    gate.visitor()
    handle.kill()
    let_go(tasky, gate)
    tasky.core.journal.stop()
    tasky.core.journal._last = 0.0
    tasky.core.journal.run_once()
    assert [line.text for line in handle.log()] == ["before"]
    assert handle.refresh().progress is None
    assert names_of(tasky, handle)[-1] == "execution.ended"


def test_what_code_of_a_removed_task_says_harms_no_other_log(
    tasky: Tasky, gates: Callable[[], Gate]
) -> None:
    gone, here = gates(), gates()

    def code(ctx: Context, n: int) -> None:
        gate = gone if n else here
        gate.stand()
        ctx.log.info("a word")
        if not n:
            here.come("said")
            gone.door.wait(PATIENCE_S)

    removed, kept = tasky.run(code, {"n": 1}), tasky.run(code, {"n": 0})
    gone.visitor()
    here.visitor()
    (running,) = engine_of(tasky).of_task(tasky.client.task(removed.id).number)
    removed.kill()
    tasky.client.delete(removed.id)
    running.over = False  # as if its last words were under way when the kill came
    running.log("info", "too late", "log")
    here.open()
    here.visitor()
    assert tasky.client.log(kept.id, wait_s=PATIENCE_S)[0].text == "a word"


def test_paused_code_can_be_killed(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(obeying(gate))
    gate.visitor()
    handle.pause()
    until_status(tasky, handle, State.PAUSED)
    handle.kill()
    assert handle.wait(PATIENCE_S).status is State.KILLED


def test_a_kill_reaches_every_run_of_a_task(make_tasky: Callable[..., Tasky], gate: Gate) -> None:
    tasky = make_tasky(threads=2)
    handle = tasky.run(stubborn(gate), times=4)
    gate.visitors(2)
    handle.kill()
    assert handle.wait(PATIENCE_S).status is State.KILLED
    states = sorted(e.status for e in tasky.client.executions(handle.id))
    assert states == [State.CANCELLED] * 2 + [State.KILLED] * 2


def test_a_killed_task_can_run_again_beside_its_stuck_thread(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(stubborn(gate), {"n": 4})
    gate.visitor()
    handle.kill()
    handle.rerun()
    gate.visitor()
    let_go(tasky, gate)
    assert handle.wait(PATIENCE_S).status is State.SUCCEEDED
    assert names_of(tasky, handle).count("execution.ended") == 2


@pytest.fixture
def stuck(make_tasky: Callable[..., Tasky], gate: Gate) -> Tasky:
    """An engine in which as many threads ignore their kill as it bears."""
    tasky = make_tasky(threads=MAX_ABANDONED)
    handles = [tasky.run(stubborn(gate)) for _ in range(MAX_ABANDONED)]
    gate.visitors(MAX_ABANDONED)
    for handle in handles:
        handle.kill()
    assert engine_of(tasky).abandoned == MAX_ABANDONED
    return tasky


def test_past_eight_stuck_threads_new_starts_wait_and_say_why(stuck: Tasky, gate: Gate) -> None:
    waiting = stuck.run(echo)
    settle(stuck)
    assert waiting.status is State.QUEUED
    why = stuck.client.why(waiting.id)
    assert why.reason == "threads_stuck"
    assert "8 threads ignore cancel" in why.text


def test_new_starts_go_on_when_a_stuck_thread_ends(stuck: Tasky, gate: Gate) -> None:
    waiting = stuck.run(echo)
    settle(stuck)
    let_go(stuck, gate)
    assert waiting.wait(PATIENCE_S).status is State.SUCCEEDED


def test_the_pool_is_whole_after_kills(make_tasky: Callable[..., Tasky], gate: Gate) -> None:
    tasky = make_tasky(threads=2)
    for _ in range(4):
        handle = tasky.run(stubborn(gate))
        gate.visitor()
        handle.kill()
    let_go(tasky, gate)
    handles = [tasky.run(echo, {"n": n}) for n in range(10)]
    assert {h.wait(PATIENCE_S).status for h in handles} == {State.SUCCEEDED}
    assert len(pool_of(tasky)._threads) <= 2


def test_the_stack_of_stuck_code_is_shown(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(stubborn(gate))
    gate.visitor()
    frames = tasky.client.stack(handle.id)
    assert "in code" in frames[0]
    assert "in stand" in frames[1]
    gate.open()
    handle.wait(PATIENCE_S)
    assert tasky.client.stack(handle.id) == []
