"""What code returns comes back as it was: JSON, text or bytes, however large."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tasky import assignment
from tasky.assignment import CHUNK_BYTES, INLINE_BYTES
from tasky.client.session import TaskHandle, Tasky
from tasky.states import State
from tests.helpers import PATIENCE_S

ODD = "caf\udce9"


@pytest.fixture
def returning(tasky: Tasky) -> Callable[[Any], TaskHandle]:
    """Run code that returns a value."""

    def run(value: Any) -> TaskHandle:
        def code() -> Any:
            return value

        handle = tasky.run(code)
        handle.wait(PATIENCE_S)
        return handle

    return run


@dataclass
class Point:
    x: int
    y: int


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"n": 1, "list": [1.5, None, True]}, {"n": 1, "list": [1.5, None, True]}),
        ([], []),
        (0, 0),
        (False, False),
        (Point(1, 2), {"x": 1, "y": 2}),
        (Path("/tmp/x"), "/tmp/x"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        ({1, 2}, [1, 2]),
        ((1, "two"), [1, "two"]),
        (2**70, 2**70),
        ({(1, 2): int}, {"(1, 2)": "<class 'int'>"}),
        ("text", "text"),
        ("", ""),
        ("ä\n\x00\U0001f600", "ä\n\x00\U0001f600"),
        (b"\x00\xff", b"\x00\xff"),
        (b"", b""),
        (bytearray(b"abc"), b"abc"),
        (memoryview(b"abc"), b"abc"),
    ],
    ids=repr,
)
def test_an_output_comes_back(
    returning: Callable[[Any], TaskHandle], value: Any, expected: Any
) -> None:
    handle = returning(value)
    assert handle.refresh().status is State.SUCCEEDED
    assert handle.output == expected
    assert type(handle.output) is type(expected)


def test_no_output_is_none(returning: Callable[[Any], TaskHandle]) -> None:
    handle = returning(None)
    assert handle.output is None
    assert handle.refresh().output_kind is None


@pytest.mark.parametrize("size", [INLINE_BYTES - 2, INLINE_BYTES + 1, CHUNK_BYTES, 3 * CHUNK_BYTES])
@pytest.mark.parametrize("kind", ["text", "bytes", "json"])
def test_a_large_output_comes_back_whole(
    tasky: Tasky, returning: Callable[[Any], TaskHandle], kind: str, size: int
) -> None:
    text = ("0123456789" * (size // 10 + 1))[:size]
    value = {"text": text, "bytes": text.encode(), "json": [text]}[kind]
    handle = returning(value)
    assert handle.output == value
    task = handle.refresh()
    assert task.output_kind == kind
    found = tasky.client.output(handle.id)
    assert found.size == len(found.read())


def test_a_large_output_is_streamed_in_pieces(
    tasky: Tasky, returning: Callable[[Any], TaskHandle]
) -> None:
    handle = returning(b"x" * (2 * CHUNK_BYTES + 7))
    pieces = [len(piece) for piece in tasky.client.output(handle.id).chunks]
    assert pieces == [CHUNK_BYTES, CHUNK_BYTES, 7]


def test_a_list_shows_no_large_output(tasky: Tasky, returning: Callable[[Any], TaskHandle]) -> None:
    returning("x" * 10_000)
    (task,) = tasky.tasks().items
    assert task.truncated
    assert len(bytes(task.output or b"")) < 2100


def test_what_is_no_json_fails(returning: Callable[[Any], TaskHandle]) -> None:
    task = returning({"name": ODD}).refresh()
    assert task.status is State.FAILED
    assert task.error is not None
    assert task.error.type == "TypeError"
    assert "cannot be written as JSON" in task.error.message


def test_a_value_that_cannot_be_said_fails(returning: Callable[[Any], TaskHandle]) -> None:
    class Mute:
        def __str__(self) -> str:
            raise RuntimeError("no")

    task = returning({"x": Mute()}).refresh()
    assert task.status is State.FAILED


def test_a_text_with_odd_bytes_comes_back_as_bytes(
    returning: Callable[[Any], TaskHandle],
) -> None:
    handle = returning(ODD)
    assert handle.refresh().status is State.SUCCEEDED
    assert handle.output == b"caf\xe9"


def test_an_output_past_the_limit_is_refused(
    returning: Callable[[Any], TaskHandle], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assignment, "MAX_OUTPUT_BYTES", 100_000)
    task = returning(b"x" * 100_001).refresh()
    assert task.status is State.FAILED
    assert task.error is not None
    assert "write it to a file instead" in task.error.message


def test_each_rerun_has_an_output_of_its_own(tasky: Tasky) -> None:
    def code(n: int) -> str:
        return "x" * n

    handle = tasky.run(code, {"n": INLINE_BYTES + 1})
    handle.wait(PATIENCE_S)
    handle.rerun(n=3)
    handle.wait(PATIENCE_S)
    assert handle.output == "xxx"
