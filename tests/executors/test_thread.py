"""The pool: it grows as it is used, bears what code does to it, and is whole afterwards."""

import sys
from collections.abc import Callable, Iterator

import pytest

from tasky.assignment import Assignment, Outcome
from tasky.cancel import Reason, Token
from tasky.client.session import Tasky
from tasky.executors.thread import ThreadExecutor
from tasky.states import State
from tasky.worker import Context, spec_of
from tests.helpers import PATIENCE_S, Gate, pool_of, settle, stubborn


class Reporter:
    """The other end of the line: keeps the outcome for the test."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.lines: list[str] = []

    def finish(self, outcome: Outcome) -> None:
        self.gate.come(outcome)

    def log(self, level: str, text: str, stream: str) -> None:
        self.lines.append(text)

    def progress(
        self, done: float | None, total: float | None, unit: str, message: str, stage: str
    ) -> None: ...

    def checkpoint(self, name: str) -> None: ...

    def paused(self, name: str) -> None: ...

    def resumed(self) -> None: ...

    def waiting(self, what: str) -> None: ...

    def went_on(self) -> None: ...


@pytest.fixture
def outcomes(gates: Callable[[], Gate]) -> Gate:
    return gates()


@pytest.fixture
def pool() -> Iterator[ThreadExecutor]:
    pool = ThreadExecutor(4)
    yield pool
    Gate.open_all()
    pool.stop()


@pytest.fixture
def assign(pool: ThreadExecutor, outcomes: Gate) -> Callable[..., Token]:
    """Hand code to the pool; return its token."""
    count = iter(range(1, 1000))

    def hand_over(code: Callable[..., object], config: str = "{}") -> Token:
        token = Token()
        number = next(count)
        pool.start(
            Assignment(
                spec_of(code, name="code"), config, "t", number, number, 1, 1, None, token,
                Reporter(outcomes),
            )
        )  # fmt: skip
        return token

    return hand_over


def nothing() -> None: ...


def test_a_thread_is_used_again(
    pool: ThreadExecutor, assign: Callable[..., Token], outcomes: Gate
) -> None:
    for _ in range(20):
        assign(nothing)
        assert outcomes.visitor().state is State.SUCCEEDED
    assert len(pool._threads) == 1


def test_the_pool_grows_as_it_is_used(
    pool: ThreadExecutor, assign: Callable[..., Token], outcomes: Gate, gate: Gate
) -> None:
    for _ in range(4):
        assign(stubborn(gate))
    gate.visitors(4)
    assert len(pool._threads) == 4
    gate.open()
    outcomes.visitors(4)


@pytest.mark.parametrize(
    "error", [ValueError, SystemExit, KeyboardInterrupt, MemoryError, GeneratorExit, RecursionError]
)
def test_whatever_code_raises_ends_the_execution_and_not_the_thread(
    pool: ThreadExecutor,
    assign: Callable[..., Token],
    outcomes: Gate,
    error: type[BaseException],
) -> None:
    def code() -> None:
        raise error("out")

    assign(code)
    outcome = outcomes.visitor()
    assert outcome.state is State.FAILED
    assert outcome.problem.type == error.__name__
    assign(nothing)
    assert outcomes.visitor().state is State.SUCCEEDED
    assert len(pool._threads) == 1


def test_code_that_recurses_without_end_fails(assign: Callable[..., Token], outcomes: Gate) -> None:
    def code() -> None:
        code()

    assign(code)
    assert outcomes.visitor().problem.type == "RecursionError"


def test_an_abandoned_thread_leaves_and_counts_until_then(
    pool: ThreadExecutor, assign: Callable[..., Token], outcomes: Gate, gate: Gate
) -> None:
    assign(stubborn(gate))
    gate.visitor()
    (thread,) = pool._threads
    pool.abandon(1)
    pool.abandon(1)
    assert pool.abandoned == 1
    assign(nothing)
    outcomes.visitor()
    gate.open()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert (pool.abandoned, thread in pool._threads) == (0, False)


def test_what_has_ended_cannot_be_abandoned(
    pool: ThreadExecutor, assign: Callable[..., Token], outcomes: Gate
) -> None:
    assign(nothing)
    outcomes.visitor()
    pool.abandon(1)
    assert pool.abandoned == 0


def test_a_stopped_pool_has_no_threads(
    pool: ThreadExecutor, assign: Callable[..., Token], outcomes: Gate
) -> None:
    for _ in range(4):
        assign(nothing)
    outcomes.visitors(4)
    threads = list(pool._threads)
    pool.stop()
    pool.stop()
    assert not any(thread.is_alive() for thread in threads)


def test_a_stop_does_not_wait_for_code_that_goes_on(
    pool: ThreadExecutor, assign: Callable[..., Token], outcomes: Gate, gate: Gate
) -> None:
    assign(stubborn(gate))
    gate.visitor()
    pool.stop()
    gate.open()
    assert outcomes.visitor().state is State.SUCCEEDED


def test_a_token_reaches_the_code(assign: Callable[..., Token], outcomes: Gate, gate: Gate) -> None:
    def code(ctx: Context) -> None:
        gate.come()
        ctx.sleep(3600)

    token = assign(code)
    gate.visitor()
    token.cancel(Reason.USER, "enough")
    outcome = outcomes.visitor()
    assert (outcome.state, outcome.problem.message) == (State.CANCELLED, "enough")


def test_a_wrong_config_is_a_failure_that_says_where(
    assign: Callable[..., Token], outcomes: Gate
) -> None:
    def code(n: int) -> None: ...

    assign(code, '{"n": "x"}')
    outcome = outcomes.visitor()
    assert outcome.state is State.FAILED
    assert "/n" in outcome.problem.message
    assert not outcome.retryable


def test_the_stack_shows_the_frames_of_the_code_alone(
    pool: ThreadExecutor, assign: Callable[..., Token], gate: Gate
) -> None:
    def inner() -> None:
        gate.stand()

    def code() -> None:
        inner()

    assign(code)
    gate.visitor()
    frames = pool.stack(1)
    assert [f"in {name}" in frame for name, frame in zip(("code", "inner"), frames, strict=False)]
    assert "in code" in frames[0]
    assert "in inner" in frames[1]
    assert pool.stack(99) == []


# -- on an engine ----------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [SystemExit, MemoryError, KeyboardInterrupt])
def test_an_engine_bears_what_ends_a_program(tasky: Tasky, error: type[BaseException]) -> None:
    def code(n: int) -> None:
        if n:
            raise error

    bad = [tasky.run(code, {"n": 1}) for _ in range(8)]
    assert {h.wait(PATIENCE_S).status for h in bad} == {State.FAILED}
    good = [tasky.run(code, {"n": 0}) for _ in range(8)]
    assert {h.wait(PATIENCE_S).status for h in good} == {State.SUCCEEDED}
    assert len(pool_of(tasky)._threads) <= 4


class Unspeakable(Exception):
    """Its message cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("no message")


class Detailed(Exception):
    """As those of pydantic: `errors` is a method."""

    def errors(self) -> list[str]:
        return ["a", "b"]


class Pointless(Exception):
    errors = 5


@pytest.mark.parametrize("error", [Unspeakable, Detailed, Pointless])
def test_odd_exceptions_are_failures_like_others(tasky: Tasky, error: type[Exception]) -> None:
    def code() -> None:
        raise error("text")

    task = tasky.run(code).wait(PATIENCE_S)
    assert task.status is State.FAILED
    assert task.error is not None
    assert task.error.type == error.__name__
    settle(tasky)
    assert tasky.core.dispatcher is not None
    assert tasky.core.dispatcher.running == {}


def test_the_threads_of_an_engine_do_not_keep_the_program_alive(tasky: Tasky, gate: Gate) -> None:
    tasky.run(stubborn(gate))
    gate.visitor()
    assert all(thread.daemon for thread in pool_of(tasky)._threads)
    assert sys.getrecursionlimit() > 0
