"""The guesses of progress: honest or not there."""

import pytest

from tasky.model import Progress
from tasky.runtime import execution
from tasky.runtime.execution import Running
from tasky.store.executions import Claimed
from tasky.worker import spec_of
from tests.helpers import FakeClock


class Seconds:
    """The monotonic time of the module under test."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    seconds = Seconds()
    monkeypatch.setattr(execution, "time", seconds)
    return seconds


@pytest.fixture
def running(seconds: Seconds, clock: FakeClock) -> Running:
    """An execution that writes nothing: only what it guesses is looked at."""
    claimed = Claimed(1, 0, 1, 1, 1, 1, 0, "u", "{}", None, None, 1, 1, None)
    spec = spec_of(lambda: None, name="silent")
    return Running(claimed, spec, None, clock, ignore, ignore)  # type: ignore[arg-type]  # no writer


def ignore(*_: object) -> None:
    """Nobody listens."""


def report(
    running: Running, seconds: Seconds, steps: int, every_s: float, total: float | None = 1000.0
) -> Progress:
    """Let the code report `steps` more units, one after each interval."""
    start = running._progress.done if running._progress and running._progress.done else 0.0
    for n in range(1, steps + 1):
        seconds.now += every_s
        running.progress(start + n, total, "", "", "")
    assert running._progress is not None
    return running._progress


def test_a_rate_needs_enough_reports(running: Running, seconds: Seconds) -> None:
    assert report(running, seconds, 4, 5.0).rate is None
    assert report(running, seconds, 1, 5.0).rate == 0.2


def test_an_eta_needs_time_besides(running: Running, seconds: Seconds) -> None:
    early = report(running, seconds, 9, 1.0)
    assert (early.rate, early.eta_s) == (1.0, None)
    late = report(running, seconds, 1, 1.0)
    assert late.eta_s == 990.0


@pytest.mark.parametrize("total", [None, 5.0], ids=["none", "passed already"])
def test_without_an_end_in_sight_there_is_no_eta(
    running: Running, seconds: Seconds, total: float | None
) -> None:
    found = report(running, seconds, 30, 1.0, total)
    assert found.rate == 1.0
    assert found.eta_s is None


def test_at_the_end_nothing_is_left(running: Running, seconds: Seconds) -> None:
    assert report(running, seconds, 20, 1.0, total=20.0).eta_s == 0.0


def test_work_that_begins_again_is_measured_anew(running: Running, seconds: Seconds) -> None:
    report(running, seconds, 20, 1.0)
    running.progress(0, 1000, "", "", "second stage")
    assert running._progress is not None
    assert (running._progress.rate, running._progress.eta_s) == (None, None)


def test_work_that_stands_still_has_no_rate(running: Running, seconds: Seconds) -> None:
    for _ in range(20):
        seconds.now += 1
        running.progress(5, 10, "", "", "")
    assert running._progress is not None
    assert running._progress.rate is None


def test_a_report_without_a_number_is_a_message(running: Running, seconds: Seconds) -> None:
    running.progress(None, None, "", "looking around", "")
    assert running._progress is not None
    assert running._progress.message == "looking around"
    assert running._progress.percent is None


def test_the_trail_keeps_the_last_checkpoints(running: Running) -> None:
    for n in range(50):
        running.checkpoint(f"step {n}")
        running.checkpoint(f"step {n}")
    assert [name for _, name in running.trail] == [f"step {n}" for n in range(30, 50)]
