import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sample_workers import tail_file as module
from sample_workers.tail_file import BLOCK, tail_file
from tasky.cancel import Cancelled, Reason, Token
from tasky.errors import FileProblem
from tasky.worker import Context

if TYPE_CHECKING:
    from tests.samples.conftest import RecordingLine


class Follower:
    """`tail_file` in a thread of its own, until the test ends."""

    def __init__(self, ctx: Context, line: "RecordingLine", token: Token) -> None:
        self._ctx, self._line, self._token = ctx, line, token
        self._thread: threading.Thread | None = None
        self.cancelled = False

    def start(self, lines: int = 10) -> None:
        self._thread = threading.Thread(target=self._run, args=(lines,))
        self._thread.start()

    def _run(self, lines: int) -> None:
        try:
            tail_file(self._ctx, Path("log"), lines)
        except Cancelled:
            self.cancelled = True

    def prints(self, *texts: str) -> bool:
        return self._line.wait_for(
            lambda: [t for t in self._line.lines if "log was" not in t] == list(texts)
        )

    def stop(self) -> None:
        self._token.cancel(Reason.USER)
        if self._thread is not None:
            self._thread.join()
            assert self.cancelled


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.write_text("one\ntwo\nthree\n")
    return path


@pytest.fixture
def follower(
    ctx: Context, line: "RecordingLine", token: Token, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Follower]:
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    follower = Follower(ctx, line, token)
    yield follower
    follower.stop()


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("lines", "printed"),
    [(0, []), (1, ["three"]), (2, ["two", "three"]), (9, ["one", "two", "three"])],
)
def test_the_last_lines_come_first(follower: Follower, lines: int, printed: list[str]) -> None:
    follower.start(lines)

    assert follower.prints(*printed)


def test_the_last_lines_of_a_file_with_long_lines_are_whole(follower: Follower, log: Path) -> None:
    log.write_text("a\n" + "b" * (2 * BLOCK) + "\nc\n")
    follower.start(2)

    assert follower.prints("b" * (2 * BLOCK), "c")


def test_a_new_line_is_printed_once_it_is_whole(follower: Follower, log: Path) -> None:
    follower.start(1)
    assert follower.prints("three")

    _append(log, "four\nfi")
    assert follower.prints("three", "four")
    _append(log, "ve\n")
    assert follower.prints("three", "four", "five")


def test_a_truncated_file_is_read_from_its_start(follower: Follower, log: Path) -> None:
    follower.start(1)
    assert follower.prints("three")

    os.truncate(log, 0)
    _append(log, "new\n")
    assert follower.prints("three", "new")


def test_a_rotated_file_is_followed_under_its_name(follower: Follower, log: Path) -> None:
    follower.start(1)
    assert follower.prints("three")

    old = log.rename(log.with_name("log.1"))
    _append(old, "last of the old\nno end")
    assert follower.prints("three", "last of the old")
    log.write_text("first of the new\n")
    assert follower.prints("three", "last of the old", "no end", "first of the new")


def test_a_missing_file_is_a_problem(ctx: Context) -> None:
    with pytest.raises(FileProblem, match="does not exist"):
        tail_file(ctx, Path("nothing"))
