from collections.abc import Callable

import pytest

from tasky.client.session import TaskHandle, Tasky
from tasky.runtime.dispatcher import Dispatcher
from tasky.runtime.execution import Running
from tasky.states import State
from tasky.worker import Context, worker
from tests.helpers import PATIENCE_S, Gate, engine_of, names_of, register, until, until_status


def failing(times: int, error: type[BaseException] = ValueError) -> Callable[..., int]:
    """Return code that fails that many times, then returns its attempt."""

    def code(ctx: Context) -> int:
        if ctx.task.attempt <= times:
            raise error(f"attempt {ctx.task.attempt}")
        return ctx.task.attempt

    code.__name__ = "failing"
    return code


def attempts(tasky: Tasky, handle: TaskHandle) -> list[tuple[int, State]]:
    return [(e.attempt, e.status) for e in tasky.client.executions(handle.id)]


def test_a_failed_attempt_is_repeated_until_it_succeeds(tasky: Tasky) -> None:
    handle = tasky.run(worker(max_attempts=5, backoff=0.01)(failing(2)))
    assert handle.wait(PATIENCE_S).status is State.SUCCEEDED
    assert handle.output == 3
    assert attempts(tasky, handle) == [
        (1, State.FAILED), (2, State.FAILED), (3, State.SUCCEEDED),
    ]  # fmt: skip


def test_the_history_tells_of_every_attempt(tasky: Tasky) -> None:
    handle = tasky.run(worker(max_attempts=2, backoff=0.01)(failing(1)))
    handle.wait(PATIENCE_S)
    assert names_of(tasky, handle) == [
        "task.created",
        "execution.started", "execution.ended", "execution.queued",
        "execution.started", "execution.ended",
    ]  # fmt: skip


def test_the_last_allowed_attempt_decides(tasky: Tasky) -> None:
    handle = tasky.run(worker(max_attempts=3, backoff=0.01)(failing(99)))
    task = handle.wait(PATIENCE_S)
    assert (task.status, task.attempt) == (State.FAILED, 3)
    assert task.error is not None
    assert task.error.message == "attempt 3"
    assert len(attempts(tasky, handle)) == 3


def test_the_attempts_of_a_task_win_over_those_of_its_worker(tasky: Tasky) -> None:
    code = worker(max_attempts=9, backoff=0.01)(failing(99))
    assert tasky.run(code, max_attempts=2).wait(PATIENCE_S).attempt == 2


def test_without_attempts_nothing_is_repeated(tasky: Tasky) -> None:
    handle = tasky.run(failing(1))
    assert handle.wait(PATIENCE_S).status is State.FAILED
    assert len(attempts(tasky, handle)) == 1


@pytest.mark.parametrize("error", [KeyError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_needs_no_second_try_gets_none(tasky: Tasky, error: type[BaseException]) -> None:
    code = worker(max_attempts=5, backoff=0.01, no_retry=[KeyError])(failing(1, error))
    assert tasky.run(code).wait(PATIENCE_S).attempt == 1


def test_a_subclass_of_an_error_that_needs_no_second_try_gets_none(tasky: Tasky) -> None:
    code = worker(max_attempts=5, backoff=0.01, no_retry=[LookupError])(failing(1, IndexError))
    assert tasky.run(code).wait(PATIENCE_S).attempt == 1


def test_a_waiting_attempt_is_queued_and_says_why(tasky: Tasky) -> None:
    handle = tasky.run(worker(max_attempts=2, backoff=3600, backoff_max=3600)(failing(9)))
    task = until(tasky, handle, lambda task: task.status is State.QUEUED and task.attempt == 1)
    assert tasky.client.why(handle.id).reason == "retry"
    assert task.error is not None
    assert handle.cancel().status is State.CANCELLED


def test_each_run_of_several_has_attempts_of_its_own(tasky: Tasky) -> None:
    code = worker(max_attempts=2, backoff=0.01)(failing(1))
    handle = tasky.run(code, times=3)
    assert handle.wait(PATIENCE_S).status is State.SUCCEEDED
    assert sorted(attempts(tasky, handle)) == sorted(
        [(1, State.FAILED)] * 3 + [(2, State.SUCCEEDED)] * 3
    )


def test_a_cancel_while_code_fails_ends_it(tasky: Tasky, gate: Gate) -> None:
    def code(ctx: Context) -> None:
        gate.stand(ctx.task)
        raise ValueError("too late")

    handle = tasky.run(worker(name="late", max_attempts=5, backoff=0.01)(code))
    gate.visitor()
    handle.cancel()
    gate.open()
    task = handle.wait(PATIENCE_S)
    assert (task.status, task.attempt) == (State.FAILED, 1)


def test_a_pause_is_obeyed_by_the_next_attempt(tasky: Tasky, gates: Callable[[], Gate]) -> None:
    first, second = gates(), gates()

    def code(ctx: Context) -> int:
        if ctx.task.attempt == 1:
            first.stand(ctx.task)
            raise ValueError("once")
        second.come()
        ctx.checkpoint("here")
        return ctx.task.attempt

    handle = tasky.run(worker(name="twice", max_attempts=2, backoff=0.01)(code))
    first.visitor()
    handle.pause()
    first.open()
    second.visitor()
    until_status(tasky, handle, State.PAUSED)
    handle.resume()
    handle.wait(PATIENCE_S)
    assert handle.output == 2


def test_a_pause_is_taken_back_while_the_next_attempt_waits(tasky: Tasky, gate: Gate) -> None:
    def code(ctx: Context) -> int:
        if ctx.task.attempt == 1:
            gate.stand(ctx.task)
            raise ValueError("once")
        ctx.checkpoint("here")
        return ctx.task.attempt

    handle = tasky.run(worker(name="twice", max_attempts=2, backoff=0.5)(code))
    gate.visitor()
    handle.pause()
    gate.open()
    until(tasky, handle, lambda task: task.status is State.QUEUED and task.attempt == 1)
    assert handle.resume().pause_requested_at is None
    handle.wait(PATIENCE_S)
    assert handle.output == 2


@pytest.mark.parametrize("attempt", [1, 2, 5, 40, 5000])
def test_the_backoff_grows_up_to_its_bound(tasky: Tasky, gate: Gate, attempt: int) -> None:
    def code(ctx: Context) -> None:
        gate.stand(ctx.task)

    tasky.run(worker(name="slow", backoff=2.0, backoff_max=100.0)(code))
    gate.visitor()
    (running,) = engine_of(tasky).running.values()
    running.claimed.attempt = attempt
    full = min(100.0, 2.0 * 2.0 ** min(attempt - 1, 100))
    assert all(full / 2 <= seconds(running) <= full for _ in range(50))


def seconds(running: Running) -> float:
    return Dispatcher._backoff_s(running)


def test_a_config_that_is_wrong_by_now_is_not_tried_again(
    make_tasky: Callable[..., Tasky],
) -> None:
    """As after a new release of the worker, while the task lay in the queue."""
    first = make_tasky()

    def old(n: str) -> None: ...

    handle = first.run(worker(name="changed", max_attempts=5)(old), {"n": "x"}, hold=True)
    first.close()

    def new(n: int) -> None: ...

    second = make_tasky()
    register(second, worker(name="changed", max_attempts=5)(new))
    second.release(handle.id)
    task = second.task(handle.id).wait(PATIENCE_S)
    assert (task.status, task.attempt) == (State.FAILED, 1)
    assert task.error is not None
    assert "/n" in task.error.message
