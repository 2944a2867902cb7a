"""What code says with `logging` and `print` belongs to its execution, and to no other."""

import io
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tasky.client.session import TaskHandle, Tasky
from tasky.executors.capture import LONGEST_BEGUN, Capture, LogHandler, _Prints, _SplitStream
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


class Terminal(io.TextIOWrapper):
    """A stdout that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_stdout_says_of_itself_what_the_real_one_says(
    tasky: Tasky, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "out").open("wb") as file:
        real = Terminal(file, encoding="latin-1", errors="replace", newline="\n")
        monkeypatch.setattr(sys, "stdout", real)
        seen: list[object] = []

        @worker(capture_prints=True)
        def looks() -> None:
            out = sys.stdout
            seen.extend([out is real, out.encoding, out.errors, out.newlines, out.fileno()])
            seen.extend([out.isatty(), out.buffer is file, out.writable(), out.line_buffering])

        assert tasky.run(looks).wait(PATIENCE_S).status is State.SUCCEEDED
        assert seen == [
            False, "latin-1", "replace", None, file.fileno(), True, True, True, False,
        ]  # fmt: skip
        monkeypatch.undo()


@worker(capture_prints=True)
def prints() -> None:
    print("hello")


def test_stdout_is_the_real_one_when_the_last_engine_ends(make_tasky: Callable[..., Tasky]) -> None:
    real = sys.stdout
    one, other = make_tasky(), make_tasky(":memory:")
    one.run(prints).wait(PATIENCE_S)
    one.close()
    assert sys.stdout is not real
    other.close()
    assert sys.stdout is real


def test_a_stdout_that_somebody_put_in_our_place_stays(
    make_tasky: Callable[..., Tasky], monkeypatch: pytest.MonkeyPatch
) -> None:
    tasky = make_tasky()
    tasky.run(prints).wait(PATIENCE_S)
    theirs = io.StringIO()
    ours = sys.stdout
    monkeypatch.setattr(sys, "stdout", theirs)
    tasky.close()
    assert sys.stdout is theirs
    assert isinstance(ours, _SplitStream)
    monkeypatch.setattr(sys, "stdout", ours.before)


class Kept:
    """A log of an execution, as a list."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def log(self, level: str, text: str, stream: str) -> None:
        assert (level, stream) == ("info", "out")
        self.texts.append(text)


def test_a_line_without_end_goes_to_the_log_in_pieces() -> None:
    kept = Kept()
    prints = _Prints(kept)  # type: ignore[arg-type]  # the one method that is called
    for _ in range(2 * LONGEST_BEGUN + 5):
        prints.write("x")
        assert prints._length < LONGEST_BEGUN
    prints.write("\n")
    assert [len(text) for text in kept.texts] == [LONGEST_BEGUN, LONGEST_BEGUN, 5]


def test_the_end_of_a_line_that_is_logged_already_is_no_empty_line() -> None:
    kept = Kept()
    prints = _Prints(kept)  # type: ignore[arg-type]  # the one method that is called
    prints.write("x" * LONGEST_BEGUN)
    prints.write("\n\nafter")
    prints.flush()
    assert [text[:5] for text in kept.texts] == ["xxxxx", "", "after"]
