"""Code stands still at a checkpoint, or says that it waits; both are shown when they are so."""

from collections.abc import Callable

import pytest

from tasky.client.session import Tasky
from tasky.errors import NotSupported
from tasky.states import State
from tasky.worker import Context
from tests.helpers import PATIENCE_S, Gate, names_of, obeying, settle, until_status


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


# -- pause and resume ------------------------------------------------------------------------------


def test_queued_work_is_paused_at_once_and_goes_on_as_queued(busy: Tasky) -> None:
    handle = busy.run(echo)
    assert handle.pause().status is State.PAUSED
    assert busy.client.why(handle.id).reason == "paused"
    assert handle.resume().status is State.QUEUED


def test_work_that_is_paused_before_its_start_does_not_start(
    make_tasky: Callable[..., Tasky], gates: Callable[[], Gate]
) -> None:
    tasky = make_tasky(threads=1)
    gate = gates()
    occupant = tasky.run(obeying(gate))
    gate.visitor()
    paused, other = tasky.run(echo), tasky.run(echo)
    paused.pause()
    gate.open()
    occupant.wait(PATIENCE_S)
    other.wait(PATIENCE_S)
    settle(tasky)
    assert paused.status is State.PAUSED
    paused.resume()
    assert paused.wait(PATIENCE_S).status is State.SUCCEEDED


def test_running_code_is_paused_when_it_stands_still(
    tasky: Tasky, gates: Callable[[], Gate]
) -> None:
    entry, middle = gates(), gates()

    def code(ctx: Context) -> str:
        entry.stand()
        ctx.checkpoint("middle")
        middle.come()
        return "done"

    handle = tasky.run(code)
    entry.visitor()
    assert handle.pause().status is State.RUNNING
    assert tasky.client.why(handle.id).reason == "pause_requested"
    entry.open()
    until_status(tasky, handle, State.PAUSED)
    assert middle.nobody
    handle.resume()
    assert handle.wait(PATIENCE_S).status is State.SUCCEEDED
    assert [n for n in names_of(tasky, handle) if n.startswith("execution.")] == [
        "execution.started", "execution.paused", "execution.resumed", "execution.ended",
    ]  # fmt: skip


def test_a_pause_that_is_taken_back_before_the_checkpoint_stops_nobody(
    tasky: Tasky, gate: Gate
) -> None:
    def code(ctx: Context) -> None:
        gate.stand()
        ctx.checkpoint()

    handle = tasky.run(code)
    gate.visitor()
    handle.pause()
    assert handle.resume().pause_requested_at is None
    gate.open()
    handle.wait(PATIENCE_S)
    assert "execution.paused" not in names_of(tasky, handle)


def test_code_without_checkpoints_cannot_be_paused(tasky: Tasky, gate: Gate) -> None:
    def code() -> None:
        gate.stand()

    handle = tasky.run(code)
    gate.visitor()
    with pytest.raises(NotSupported, match="no checkpoints"):
        handle.pause()
    assert handle.refresh().pause_requested_at is None


def test_the_time_of_a_pause_is_no_time_of_sleep(tasky: Tasky, gate: Gate) -> None:
    def code(ctx: Context) -> None:
        gate.come()
        ctx.sleep(0.3)

    handle = tasky.run(code)
    gate.visitor()
    handle.pause()
    until_status(tasky, handle, State.PAUSED)
    handle.resume()
    handle.wait(PATIENCE_S)
    assert tasky.client.task_stats(handle.id).running_s >= 0.25


def test_a_pause_of_a_half_started_task_holds_its_other_half(
    make_tasky: Callable[..., Tasky], gate: Gate
) -> None:
    tasky = make_tasky(threads=1)
    handle = tasky.run(obeying(gate), times=2)
    gate.visitor()
    handle.pause()
    until_status(tasky, handle, State.PAUSED)
    handle.resume()
    gate.open()
    assert handle.wait(PATIENCE_S).status is State.SUCCEEDED


def test_a_resume_lets_go_what_was_paused_beside_running_code(
    make_tasky: Callable[..., Tasky], gates: Callable[[], Gate]
) -> None:
    """The running half ends without a checkpoint; the other half must not inherit its pause."""
    tasky = make_tasky(threads=1)
    gate = gates()

    def code(ctx: Context) -> int:
        if ctx.task.index == 1:
            gate.stand()
            return 0
        ctx.checkpoint()
        return 1

    handle = tasky.run(code, times=2)
    gate.visitor()
    handle.pause()
    gate.open()
    until_status(tasky, handle, State.PAUSED)
    handle.resume()
    assert handle.wait(PATIENCE_S).status is State.SUCCEEDED
    assert "execution.paused" not in names_of(tasky, handle)


# -- waiting ---------------------------------------------------------------------------------------


def test_code_that_waits_says_so(tasky: Tasky, gate: Gate) -> None:
    def code(ctx: Context) -> str:
        with ctx.waiting("a licence"):
            gate.stand()
        return "got it"

    handle = tasky.run(code)
    gate.visitor()
    assert handle.status is State.WAITING
    assert tasky.client.why(handle.id).reason == "waiting"
    gate.open()
    assert handle.wait(PATIENCE_S).status is State.SUCCEEDED
    events = tasky.client.events(task=handle.id)
    assert [e.payload for e in events if e.name == "execution.waiting"] == [{"at": "a licence"}]


def test_an_event_that_never_comes_is_told_as_such(tasky: Tasky, gate: Gate) -> None:
    def code(ctx: Context) -> bool:
        return ctx.wait(gate.door, timeout=0.05)

    handle = tasky.run(code)
    assert handle.wait(PATIENCE_S).status is State.SUCCEEDED
    assert handle.output is False


def test_the_history_of_a_resume_shows_the_state_that_it_led_to(
    make_tasky: Callable[..., Tasky], gates: Callable[[], Gate]
) -> None:
    """The pause of a half-started task is a wish and a state; the resume takes both back."""
    tasky = make_tasky(threads=1)
    first, rest = gates(), gates()

    def code(ctx: Context) -> None:
        (first if ctx.task.index == 1 else rest).stand()

    handle = tasky.run(code, times=2)
    first.visitor()
    handle.pause()
    first.open()
    until_status(tasky, handle, State.PAUSED)
    handle.resume()
    rest.visitor()
    events = tasky.client.events(task=handle.id)
    told = {e.name: e.state for e in events if e.name in {"task.resumed", "task.resume_requested"}}
    assert set(told.values()) == {State.RUNNING}
    assert len(told) == 2
