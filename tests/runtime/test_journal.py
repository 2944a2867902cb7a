"""Progress and log on their way to the file: coalesced, bounded, complete at the end."""

from itertools import pairwise

import msgspec
import pytest

from tasky.client.session import TaskHandle, Tasky
from tasky.runtime import execution, journal
from tasky.states import State
from tasky.worker import Context
from tests.helpers import PATIENCE_S, Gate, names_of, settle


@pytest.fixture
def by_hand(tasky: Tasky, monkeypatch: pytest.MonkeyPatch) -> Tasky:
    """An engine whose journal writes when the test says so."""
    tasky.core.journal.stop()
    monkeypatch.setattr(journal, "PERIOD_S", 0.0)
    return tasky


def write_down(tasky: Tasky) -> None:
    tasky.core.journal.run_once()


def texts(handle: TaskHandle) -> list[str]:
    return [line.text for line in handle.log()]


def test_many_reports_in_one_period_are_one_event(by_hand: Tasky, gate: Gate) -> None:
    def code(ctx: Context) -> None:
        for n in range(1000):
            ctx.progress(n, 1000, unit="B", message="copying", stage="first")
        gate.stand()

    handle = by_hand.run(code)
    gate.visitor()
    write_down(by_hand)
    progress = handle.refresh().progress
    assert progress is not None
    assert (progress.done, progress.total, progress.percent) == (999.0, 1000.0, 99.9)
    assert (progress.unit, progress.message, progress.stage) == ("B", "copying", "first")
    assert names_of(by_hand, handle).count("execution.progress") == 1


def test_a_period_without_reports_writes_nothing(by_hand: Tasky, gate: Gate) -> None:
    def code(ctx: Context) -> None:
        ctx.progress(1, 2)
        gate.stand()

    handle = by_hand.run(code)
    gate.visitor()
    for _ in range(5):
        write_down(by_hand)
    assert names_of(by_hand, handle).count("execution.progress") == 1


def test_the_journal_waits_out_its_period(tasky: Tasky, gate: Gate) -> None:
    def code(ctx: Context) -> None:
        ctx.progress(1, 2)
        gate.stand()

    tasky.core.journal.stop()
    tasky.run(code)
    gate.visitor()
    write_down(tasky)
    left = tasky.core.journal.run_once()
    assert left is not None
    assert 0 < left <= journal.PERIOD_S


def test_a_period_is_a_quarter_of_a_second() -> None:
    assert journal.PERIOD_S == 0.25


def test_progress_raises_the_version_that_people_wait_for(by_hand: Tasky, gate: Gate) -> None:
    def code(ctx: Context) -> None:
        gate.stand()
        ctx.progress(5, 10)
        gate.come()

    handle = by_hand.run(code)
    gate.visitor()
    before = handle.refresh().version
    gate.open()
    gate.visitor()
    write_down(by_hand)
    assert by_hand.client.wait_change(handle.id, before, PATIENCE_S).version > before


def test_the_last_report_is_there_at_the_end(by_hand: Tasky) -> None:
    def code(ctx: Context) -> None:
        ctx.progress(3, 4)
        ctx.log.info("done %s", 3)

    handle = by_hand.run(code)
    task = handle.wait(PATIENCE_S)
    assert task.progress is not None
    assert task.progress.done == 3.0
    assert texts(handle) == ["done 3"]


def test_lines_written_down_under_way_come_once(by_hand: Tasky, gate: Gate) -> None:
    def code(ctx: Context) -> None:
        ctx.log.info("one")
        gate.stand()
        ctx.log.info("two")

    handle = by_hand.run(code)
    gate.visitor()
    write_down(by_hand)
    assert texts(handle) == ["one"]
    gate.open()
    handle.wait(PATIENCE_S)
    assert texts(handle) == ["one", "two"]
    assert [line.seq for line in handle.log()] == [1, 2]


def test_a_log_follower_gets_lines_as_they_come(tasky: Tasky, gate: Gate) -> None:
    def code(ctx: Context) -> None:
        ctx.log.warning("careful")
        gate.stand()

    handle = tasky.run(code)
    gate.visitor()
    (line,) = tasky.client.log(handle.id, wait_s=PATIENCE_S)
    assert (line.level, line.stream, line.text) == ("warning", "log", "careful")


def test_a_text_of_several_lines_is_several_lines(by_hand: Tasky) -> None:
    def code(ctx: Context) -> None:
        ctx.log.info("a\nb\r\nc")
        ctx.log.info("")
        ctx.write_line("err", stream="err", level="error")

    handle = by_hand.run(code)
    handle.wait(PATIENCE_S)
    assert texts(handle) == ["a", "b", "c", "", "err"]


def test_an_exception_in_a_log_call_brings_its_traceback(by_hand: Tasky) -> None:
    def code(ctx: Context) -> None:
        try:
            raise ValueError("inner")
        except ValueError:
            ctx.log.exception("it went wrong")

    handle = by_hand.run(code)
    handle.wait(PATIENCE_S)
    assert texts(handle)[0] == "it went wrong"
    assert texts(handle)[-1] == "ValueError: inner"


# -- the bound -------------------------------------------------------------------------------------


@pytest.mark.parametrize("flushes", [0, 7], ids=["at the end", "under way too"])
def test_a_log_keeps_its_head_and_its_tail(
    by_hand: Tasky, gate: Gate, monkeypatch: pytest.MonkeyPatch, flushes: int
) -> None:
    monkeypatch.setattr(execution, "LOG_BYTES", 2000)
    lines, size = 300, len("line 000") + 40

    def code(ctx: Context) -> None:
        for n in range(lines):
            ctx.log.info("line %03d", n)
            if flushes and n % (lines // flushes) == 0:
                write_down(by_hand)

    handle = by_hand.run(code)
    handle.wait(PATIENCE_S)
    seqs = [line.seq for line in handle.log()]
    gaps = [(a, b) for a, b in pairwise(seqs) if b != a + 1]
    assert len(gaps) == 1
    assert seqs[0] == 1
    assert seqs[-1] == lines
    assert len(seqs) * size <= 2000 + size
    head = gaps[0][0]
    assert abs(head * size - 1000) <= size


def test_a_long_line_is_cut(by_hand: Tasky, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "LINE_CHARACTERS", 10)

    def code(ctx: Context) -> None:
        ctx.log.info("x" * 100)

    handle = by_hand.run(code)
    handle.wait(PATIENCE_S)
    assert texts(handle) == ["x" * 10]


# -- what no file can carry ------------------------------------------------------------------------

ODD = "caf\udce9"
"""A file name with a byte that is no UTF-8, as `os.listdir` gives it."""


def test_odd_names_in_log_progress_and_checkpoints_are_written_readably(by_hand: Tasky) -> None:
    def code(ctx: Context) -> None:
        ctx.log.info("reading %s", ODD)
        ctx.progress(1, 2, message=ODD)
        ctx.checkpoint(ODD)

    handle = by_hand.run(code)
    task = handle.wait(PATIENCE_S)
    assert task.status is State.SUCCEEDED
    assert texts(handle) == [r"reading caf\udce9"]
    assert task.progress is not None
    assert task.progress.message == r"caf\udce9"


def test_an_odd_name_that_code_waits_for_is_written_readably(by_hand: Tasky) -> None:
    def code(ctx: Context) -> None:
        with ctx.waiting(ODD):
            pass

    handle = by_hand.run(code)
    assert handle.wait(PATIENCE_S).status is State.SUCCEEDED


def test_an_odd_name_in_an_error_is_written_readably(by_hand: Tasky) -> None:
    def code() -> None:
        raise FileNotFoundError(ODD)

    handle = by_hand.run(code)
    task = handle.wait(PATIENCE_S)
    assert task.error is not None
    assert task.error.message == r"caf\udce9"


def test_an_odd_name_at_a_checkpoint_harms_no_explanation(by_hand: Tasky, gate: Gate) -> None:
    def code(ctx: Context) -> None:
        ctx.checkpoint(ODD)
        gate.stand()

    handle = by_hand.run(code)
    gate.visitor()
    assert msgspec.json.encode(by_hand.client.why(handle.id))


@pytest.mark.parametrize("done", ["5", 5, True])
def test_progress_is_a_number_in_the_file(by_hand: Tasky, done: object) -> None:
    def code(ctx: Context) -> None:
        ctx.progress(done, 10, message=ValueError("no text"))  # type: ignore[arg-type]  # a careless author

    handle = by_hand.run(code)
    task = handle.wait(PATIENCE_S)
    assert task.progress is not None
    assert task.progress.done == float(done)  # type: ignore[arg-type]  # as above
    assert task.progress.message == "no text"


def test_progress_that_is_no_number_fails_the_code_that_says_it(by_hand: Tasky) -> None:
    def code(ctx: Context) -> None:
        ctx.progress("half")  # type: ignore[arg-type]  # a careless author

    task = by_hand.run(code).wait(PATIENCE_S)
    assert task.status is State.FAILED
    assert task.error is not None
    assert task.error.type == "ValueError"
    settle(by_hand)
