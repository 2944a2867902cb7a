"""Whatever code does becomes an outcome."""

import subprocess
from typing import Any

import msgspec
import pytest

from tasky.assignment import Outcome, encodable, failed, stopped, succeeded
from tasky.cancel import Cancelled, Reason
from tasky.errors import BadRequest, ConfigInvalid, FieldError
from tasky.model import Problem
from tasky.states import State
from tasky.worker import WorkerSpec, spec_of


@pytest.fixture
def spec() -> WorkerSpec:
    return spec_of(lambda: None, name="code")


def outcome_of(problem: BaseException, spec: WorkerSpec) -> tuple[Outcome, Problem]:
    outcome = failed(problem, spec)
    assert outcome.state is State.FAILED
    assert outcome.problem is not None
    return outcome, outcome.problem


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (Reason.USER, State.CANCELLED),
        (Reason.SHUTDOWN, State.CANCELLED),
        (Reason.TIMEOUT, State.TIMED_OUT),
        (Reason.KILLED, State.KILLED),
    ],
)
def test_the_reason_of_a_stop_decides_the_end(reason: Reason, state: State) -> None:
    outcome = stopped(Cancelled(reason))
    assert outcome.state is state
    assert outcome.problem is not None
    assert outcome.problem.message.startswith("stopped at a checkpoint")
    assert not outcome.retryable


def test_a_failure_carries_type_message_and_the_frames_of_the_code(spec: WorkerSpec) -> None:
    def code() -> None:
        raise KeyError("x")

    def call() -> None:
        code()

    with pytest.raises(KeyError) as caught:
        call()
    outcome, problem = outcome_of(caught.value, spec)
    assert (problem.type, problem.message) == ("KeyError", "'x'")
    assert "in code" in problem.traceback
    assert outcome.retryable


@pytest.mark.parametrize(
    "problem", [SystemExit(1), KeyboardInterrupt(), ConfigInvalid(n=1, m=1, worker="x")]
)
def test_some_failures_come_back_whatever_is_tried(
    spec: WorkerSpec, problem: BaseException
) -> None:
    assert not failed(problem, spec).retryable


def test_a_failure_without_a_message_says_its_type(spec: WorkerSpec) -> None:
    assert outcome_of(ValueError(), spec)[1].message == "ValueError"


def test_the_exit_code_of_a_program_is_kept(spec: WorkerSpec) -> None:
    assert failed(subprocess.CalledProcessError(3, ["false"]), spec).exit_code == 3


@pytest.mark.parametrize("code", ["3", None, 2.5])
def test_what_is_no_exit_code_is_none(spec: WorkerSpec, code: Any) -> None:
    problem = ValueError("x")
    problem.returncode = code  # type: ignore[attr-defined]  # as a careless library
    assert failed(problem, spec).exit_code is None


def test_wrong_fields_are_named(spec: WorkerSpec) -> None:
    problem = BadRequest(what="it", why="so", errors=[FieldError("/n", "must be 1 or more")])
    assert outcome_of(problem, spec)[1].message.endswith("/n: must be 1 or more")


def test_a_long_traceback_keeps_its_end(spec: WorkerSpec) -> None:
    problem = ValueError("x" * 100_000)
    assert len(outcome_of(problem, spec)[1].traceback) <= 16_000


@pytest.mark.parametrize("text", ["plain", "ä\U0001f600", "caf\udce9", "\ud800", ""])
def test_every_text_can_be_written_after_encodable(text: str) -> None:
    encodable(text).encode()
    assert msgspec.json.encode(encodable(text))


def test_a_good_text_stays_as_it_is() -> None:
    assert encodable("ä\n\U0001f600") == "ä\n\U0001f600"


@pytest.mark.parametrize(
    ("value", "kind"), [(None, None), ({"a": 1}, "json"), ("x", "text"), (b"x", "bytes")]
)
def test_an_output_has_its_kind(value: Any, kind: str | None) -> None:
    assert succeeded(value).kind == kind
