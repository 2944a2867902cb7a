"""What code says with `logging` and `print` belongs to its execution, and to no other."""

import logging
import sys
from collections.abc import Callable

import pytest

from tasky.client.session import TaskHandle, Tasky
from tasky.executors.capture import Capture, LogHandler
from tasky.states import State
from tasky.worker import Context, worker
from tests.helpers import PATIENCE_S, Gate

library = logging.getLogger("some.library")


def lines(handle: TaskHandle) -> list[tuple[str, str, str]]:
    handle.wait(PATIENCE_S)
    return [(line.level, line.stream, line.text) for line in handle.log()]


def test_what_a_library_logs_is_in_the_log_of_the_task(tasky: Tasky) -> None:
    def code() -> None:
        library.debug("too much")
        library.info("reading %d files", 3)
        library.warning("slow")

    assert lines(tasky.run(code)) == [
        ("info", "log", "reading 3 files"),
        ("warning", "log", "slow"),
    ]


def test_the_logger_of_the_context_takes_every_level(tasky: Tasky) -> None:
    def code(ctx: Context) -> None:
        ctx.log.debug("a")
        ctx.log.error("b %s", 1)

    assert lines(tasky.run(code)) == [("debug", "log", "a"), ("error", "log", "b 1")]


def test_each_execution_gets_its_own_lines(tasky: Tasky, gate: Gate) -> None:
    def code(n: int) -> None:
        library.info("begin %d", n)
        gate.stand()
        library.info("end %d", n)

    handles = [tasky.run(code, {"n": n}) for n in range(4)]
    gate.visitors(4)
    gate.open()
    for n, handle in enumerate(handles):
        assert [text for _, _, text in lines(handle)] == [f"begin {n}", f"end {n}"]


def test_prints_are_captured_where_the_worker_asks_for_it(
    tasky: Tasky, capsys: pytest.CaptureFixture[str]
) -> None:
    @worker(capture_prints=True)
    def loud() -> None:
        print("hello")
        print("two", "words")
        sys.stdout.write("no end of line")

    def quiet() -> None:
        print("to the terminal")

    assert [text for _, _, text in lines(tasky.run(loud))] == [
        "hello", "two words", "no end of line",
    ]  # fmt: skip
    assert lines(tasky.run(quiet)) == []
    assert capsys.readouterr().out == "to the terminal\n"


def test_prints_of_two_executions_do_not_mix(tasky: Tasky, gate: Gate) -> None:
    @worker(capture_prints=True)
    def loud(n: int) -> None:
        print("begin", n)
        gate.stand()
        print("end", n)

    handles = [tasky.run(loud, {"n": n}) for n in range(3)]
    gate.visitors(3)
    gate.open()
    for n, handle in enumerate(handles):
        assert [text for _, _, text in lines(handle)] == [f"begin {n}", f"end {n}"]


def test_a_log_call_with_wrong_arguments_does_not_fail_the_task(
    tasky: Tasky, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the handlers of pytest, which turn such a call into an error of the test.
    root = logging.getLogger()
    ours = [handler for handler in root.handlers if isinstance(handler, LogHandler)]
    monkeypatch.setattr(root, "handlers", ours)

    def code() -> str:
        library.warning("%d files", "three")
        return "went on"

    handle = tasky.run(code)
    assert handle.wait(PATIENCE_S).status is State.SUCCEEDED
    assert handle.output == "went on"
    assert "Logging error" in capsys.readouterr().err


def test_what_is_logged_outside_goes_where_it_went(
    tasky: Tasky, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        library.info("from the program itself")
    assert caplog.messages == ["from the program itself"]
    assert tasky.client.events() == []


def test_the_root_logger_is_as_before_when_the_engine_ends(
    make_tasky: Callable[..., Tasky],
) -> None:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    one, other = make_tasky(), make_tasky(":memory:")
    assert sum(isinstance(h, LogHandler) for h in root.handlers) == 1
    one.close()
    assert sum(isinstance(h, LogHandler) for h in root.handlers) == 1
    other.close()
    assert (list(root.handlers), root.level) == before
    assert Capture._handler is None
