"""What starts when: slots, order, limits, times, switches."""

from collections.abc import Callable
from typing import Any

import pytest

from tasky.client.session import Tasky
from tasky.states import State
from tasky.worker import Context, worker
from tests.helpers import PATIENCE_S, Gate, obeying, register, settle, stubborn


def echo(n: int = 0) -> int:
    return n


def test_a_task_starts_at_once_when_a_slot_is_free(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(obeying(gate), {"n": 7})
    assert gate.visitor().id == handle.id
    assert handle.status is State.RUNNING
    gate.open()
    assert handle.wait(PATIENCE_S).status is State.SUCCEEDED
    assert handle.output == 7


def test_no_more_run_than_there_are_slots(make_tasky: Callable[..., Tasky], gate: Gate) -> None:
    tasky = make_tasky(threads=2)
    handles = [tasky.run(obeying(gate)) for _ in range(5)]
    gate.visitors(2)
    settle(tasky)
    assert gate.nobody
    assert [h.status for h in handles[2:]] == [State.QUEUED] * 3
    gate.open()
    gate.visitors(3)
    assert all(h.wait(PATIENCE_S).status is State.SUCCEEDED for h in handles)


def test_the_next_one_starts_when_a_slot_becomes_free(
    make_tasky: Callable[..., Tasky], gates: Callable[[], Gate]
) -> None:
    tasky = make_tasky(threads=1)
    first, second = gates(), gates()
    tasky.run(stubborn(first, "first"))
    waiting = tasky.run(stubborn(second, "second"))
    first.visitor()
    assert waiting.status is State.QUEUED
    first.open()
    assert second.visitor().id == waiting.id


def test_the_highest_priority_goes_first_and_age_decides_among_equals(
    make_tasky: Callable[..., Tasky], gates: Callable[[], Gate]
) -> None:
    tasky = make_tasky(threads=1)
    door, seen = gates(), gates()
    tasky.run(stubborn(door))
    door.visitor()

    def note(n: int) -> None:
        seen.come(n)

    handles = [
        tasky.run(note, {"n": n}, priority=priority)
        for n, priority in enumerate((0, -5, 9, 0, 9, 100, -100))
    ]
    door.open()
    for handle in handles:
        handle.wait(PATIENCE_S)
    assert seen.visitors(7) == [5, 2, 4, 0, 3, 1, 6]


def test_priority_counts_across_workers(
    make_tasky: Callable[..., Tasky], gates: Callable[[], Gate]
) -> None:
    tasky = make_tasky(threads=1)
    door, seen = gates(), gates()
    tasky.run(stubborn(door))
    door.visitor()

    def low() -> None:
        seen.come("low")

    def high() -> None:
        seen.come("high")

    handles = [tasky.run(low, priority=1), tasky.run(high, priority=2)]
    door.open()
    for handle in handles:
        handle.wait(PATIENCE_S)
    assert seen.visitors(2) == ["high", "low"]


def test_a_worker_runs_no_more_than_its_limit(tasky: Tasky, gate: Gate) -> None:
    limited = worker(name="limited", max_running=2)(obeying(gate))
    handles = [tasky.run(limited) for _ in range(4)]
    other = tasky.run(echo)
    assert other.wait(PATIENCE_S).status is State.SUCCEEDED
    gate.visitors(2)
    settle(tasky)
    assert gate.nobody
    assert [h.status for h in handles].count(State.QUEUED) == 2
    gate.open()
    for handle in handles:
        handle.wait(PATIENCE_S)


def test_a_raised_limit_is_felt_at_once(tasky: Tasky, gate: Gate) -> None:
    limited = worker(name="limited", max_running=1)(obeying(gate))
    for _ in range(3):
        tasky.run(limited)
    gate.visitor()
    tasky.client.change_worker("limited", max_running=3)
    assert len(gate.visitors(2)) == 2


def test_a_disabled_worker_waits_and_goes_on_when_it_is_enabled(tasky: Tasky, gate: Gate) -> None:
    register(tasky, obeying(gate, "switched"))
    held = tasky.run("switched", hold=True)
    tasky.client.change_worker("switched", enabled=False, reason="night")
    held.release()
    settle(tasky)
    assert gate.nobody
    assert held.status is State.QUEUED
    assert tasky.client.why(held.id).reason == "disabled"

    tasky.client.change_worker("switched", enabled=True)
    assert gate.visitor().id == held.id


def test_running_work_of_a_disabled_worker_goes_on(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(obeying(gate))
    gate.visitor()
    tasky.client.change_worker("obeying", enabled=False)
    gate.open()
    assert handle.wait(PATIENCE_S).status is State.SUCCEEDED


# -- times -----------------------------------------------------------------------------------------


def now(tasky: Tasky) -> int:
    return tasky.core.clock.now()


def test_a_task_does_not_start_before_its_time(tasky: Tasky, gate: Gate) -> None:
    later = tasky.run(obeying(gate), not_before=now(tasky) + 3600 * 1_000_000)
    tasky.run(echo).wait(PATIENCE_S)
    settle(tasky)
    assert gate.nobody
    assert later.status is State.QUEUED
    assert tasky.client.why(later.id).reason == "not_before"


def test_a_delayed_task_starts_when_its_time_comes(tasky: Tasky) -> None:
    before = now(tasky)
    handle = tasky.run(echo, delay_s=0.2)
    task = handle.wait(PATIENCE_S)
    assert task.started_at is not None
    assert task.started_at >= before + 200_000


def test_a_time_in_the_past_means_now(tasky: Tasky) -> None:
    assert tasky.run(echo, not_before=1).wait(PATIENCE_S).status is State.SUCCEEDED


def test_an_earlier_time_is_not_kept_waiting_by_a_later_one(tasky: Tasky) -> None:
    tasky.run(echo, delay_s=3600)
    assert tasky.run(echo, delay_s=0.05).wait(PATIENCE_S).status is State.SUCCEEDED


@pytest.mark.parametrize("way", ["held", "paused"])
def test_what_goes_back_to_the_queue_starts_at_its_time(tasky: Tasky, way: str) -> None:
    handle = tasky.run(echo, delay_s=0.2, hold=way == "held")
    if way == "paused":
        handle.pause()
        handle.resume()
    else:
        handle.release()
    assert handle.wait(PATIENCE_S).status is State.SUCCEEDED


def test_what_is_released_after_its_time_starts_at_once(tasky: Tasky) -> None:
    handle = tasky.run(echo, delay_s=0.01, hold=True)
    tasky.run(echo, delay_s=0.1).wait(PATIENCE_S)
    handle.release()
    assert handle.wait(PATIENCE_S).status is State.SUCCEEDED


def test_times_of_a_file_are_kept_over_a_new_start(make_tasky: Callable[..., Tasky]) -> None:
    first = make_tasky()
    handle = first.run(echo, delay_s=0.5)
    queued = first.run(echo, delay_s=3600)
    first.close()

    second = make_tasky()
    register(second, echo)
    assert second.task(handle.id).wait(PATIENCE_S).status is State.SUCCEEDED
    assert second.task(queued.id).status is State.QUEUED


# -- several runs ----------------------------------------------------------------------------------


def test_several_runs_of_a_task_know_which_they_are(tasky: Tasky, gate: Gate) -> None:
    def code(ctx: Context) -> None:
        gate.come(ctx.task.index)

    handle = tasky.run(code, times=5)
    assert handle.wait(PATIENCE_S).status is State.SUCCEEDED
    assert sorted(gate.visitors(5)) == [1, 2, 3, 4, 5]
    (result,) = tasky.client.results(handle.id)
    assert (result.times, result.status) == (5, State.SUCCEEDED)


def test_one_bad_run_of_several_decides(tasky: Tasky) -> None:
    def code(ctx: Context) -> None:
        if ctx.task.index == 2:
            raise ValueError("the second")

    handle = tasky.run(code, times=3)
    assert handle.wait(PATIENCE_S).status is State.FAILED
    states = [e.status for e in tasky.client.executions(handle.id)]
    assert states.count(State.SUCCEEDED) == 2


def test_every_hand_out_has_a_fence_of_its_own(tasky: Tasky, gate: Gate) -> None:
    def code(ctx: Context) -> None:
        gate.come(ctx.task.fence)

    handles = [tasky.run(code) for _ in range(20)]
    for handle in handles:
        handle.wait(PATIENCE_S)
    fences: list[Any] = gate.visitors(20)
    assert len(set(fences)) == 20


def test_fences_rise_over_a_new_start(make_tasky: Callable[..., Tasky], gate: Gate) -> None:
    def code(ctx: Context) -> None:
        gate.come(ctx.task.fence)

    for _ in range(3):
        tasky = make_tasky()
        tasky.run(code).wait(PATIENCE_S)
        tasky.close()
    fences: list[Any] = gate.visitors(3)
    assert fences == sorted(set(fences))


def test_a_burst_of_tasks_all_end(make_tasky: Callable[..., Tasky]) -> None:
    tasky = make_tasky(threads=8)
    register(tasky, echo)
    handles = tasky.submit_many([{"worker": "echo"}] * 500)
    assert {h.wait(PATIENCE_S).status for h in handles} == {State.SUCCEEDED}
    stats = tasky.client.stats()
    assert stats.by_status == {"succeeded": 500}
