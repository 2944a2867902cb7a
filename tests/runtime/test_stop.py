"""A polite stop: no new starts, a wish to what runs; what goes on is named, and settled later."""

from collections.abc import Callable
from threading import Event, Thread

import pytest

from tasky.client.session import Tasky
from tasky.errors import DatabaseOwned, DatabaseProblem, Stopping
from tasky.executors.capture import Capture
from tasky.states import State
from tasky.store import executions
from tasky.worker import Context, worker
from tests.helpers import PATIENCE_S, Gate, engine_of, obeying, pool_of, register, stubborn


def echo(n: int = 0) -> int:
    return n


def pool_threads(tasky: Tasky) -> list[Thread]:
    return list(pool_of(tasky)._threads)


def join(threads: list[Thread]) -> None:
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def test_code_that_obeys_is_cancelled_because_of_the_stop(
    make_tasky: Callable[..., Tasky], gate: Gate
) -> None:
    first = make_tasky()
    handle = first.run(obeying(gate))
    gate.visitor()
    assert first.core.close(PATIENCE_S) == []

    task = make_tasky().task(handle.id).refresh()
    assert task.status is State.CANCELLED
    assert task.error is not None
    assert task.error.message == "the server was stopped"


def test_queued_work_stays_queued(make_tasky: Callable[..., Tasky], gate: Gate) -> None:
    first = make_tasky(threads=1)
    first.run(obeying(gate))
    gate.visitor()
    waiting = first.run(echo)
    first.close()

    second = make_tasky()
    assert second.task(waiting.id).status is State.QUEUED
    register(second, echo)
    assert second.task(waiting.id).wait(PATIENCE_S).status is State.SUCCEEDED


def test_a_stop_does_not_try_again(make_tasky: Callable[..., Tasky], gate: Gate) -> None:
    first = make_tasky()

    def code(ctx: Context) -> None:
        gate.obey(ctx)

    handle = first.run(worker(name="again", max_attempts=5)(code))
    gate.visitor()
    first.close()
    assert make_tasky().task(handle.id).status is State.CANCELLED


@pytest.mark.parametrize(("idempotent", "state"), [(True, State.QUEUED), (False, State.LOST)])
def test_code_that_ignores_the_stop_is_named_and_settled_at_the_next_start(
    make_tasky: Callable[..., Tasky], gate: Gate, idempotent: bool, state: State
) -> None:
    first = make_tasky()
    code = worker(name="ignoring", idempotent=idempotent)(stubborn(gate))
    handle = first.run(code)
    gate.visitor()

    cut = first.core.close(0.05)

    assert [running.claimed.uid for running in cut] == [handle.id]
    second = make_tasky()
    assert second.task(handle.id).status is state
    assert len(second.core.recovered.queued) == int(idempotent)
    assert len(second.core.recovered.lost) == int(not idempotent)
    threads = pool_threads(first)
    gate.open()
    join(threads)


def test_code_that_ends_after_the_stop_harms_nobody(
    make_tasky: Callable[..., Tasky], gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    first = make_tasky()

    def code(ctx: Context) -> None:
        gate.stand()
        ctx.log.info("still here")
        ctx.progress(1, 2)

    first.run(code)
    gate.visitor()
    first.core.close(0.05)
    threads = pool_threads(first)
    gate.open()
    join(threads)
    assert "was not written" in caplog.text


def test_a_stopping_engine_takes_nothing(make_tasky: Callable[..., Tasky]) -> None:
    tasky = make_tasky()
    handle = tasky.run(echo, hold=True)
    tasky.core.stop(PATIENCE_S)
    with pytest.raises(Stopping):
        tasky.run(echo)
    handle.release()
    assert handle.status is State.QUEUED


def test_a_closed_engine_says_so(make_tasky: Callable[..., Tasky]) -> None:
    tasky = make_tasky()
    handle = tasky.run(echo)
    handle.wait(PATIENCE_S)
    tasky.close()
    tasky.close()
    with pytest.raises(DatabaseProblem, match="closed"):
        tasky.task(handle.id)


def test_a_start_under_way_hears_of_the_stop(
    make_tasky: Callable[..., Tasky], gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim is decided, the hand-over is not done yet: it must not wait for the whole grace."""
    tasky = make_tasky()
    dispatcher = engine_of(tasky)
    claiming, go_on = Event(), Event()
    start, drain = executions.start, dispatcher.drain

    def slow_start(*args: object) -> None:
        claiming.set()
        assert go_on.wait(PATIENCE_S)
        start(*args)  # type: ignore[arg-type]  # passed on as it came

    def drain_then_go_on() -> None:
        drain()
        go_on.set()

    monkeypatch.setattr(executions, "start", slow_start)
    monkeypatch.setattr(dispatcher, "drain", drain_then_go_on)
    submitting = Thread(target=tasky.run, args=(obeying(gate),))
    submitting.start()
    assert claiming.wait(PATIENCE_S)

    cut = tasky.core.close(10 * PATIENCE_S)

    submitting.join()
    assert cut == []


def test_a_file_has_one_engine(make_tasky: Callable[..., Tasky]) -> None:
    make_tasky()
    with pytest.raises(DatabaseOwned):
        make_tasky()


def test_a_start_that_fails_leaves_the_file_free(
    make_tasky: Callable[..., Tasky], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise ValueError("no recovery")

    before = Capture._users
    with monkeypatch.context() as patch:
        patch.setattr(executions, "recover", fail)
        with pytest.raises(ValueError, match="no recovery"):
            make_tasky()
    assert Capture._users == before
    assert make_tasky().run(echo).wait(PATIENCE_S).status is State.SUCCEEDED


def test_engines_of_two_files_live_side_by_side(
    make_tasky: Callable[..., Tasky], tmp_path: object
) -> None:
    one, other = make_tasky(), make_tasky(":memory:")
    assert one.run(echo, {"n": 1}).wait(PATIENCE_S).status is State.SUCCEEDED
    assert other.run(echo, {"n": 2}).wait(PATIENCE_S).status is State.SUCCEEDED
    assert one.client.stats().total == other.client.stats().total == 1
