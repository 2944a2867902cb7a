import logging
from collections.abc import Mapping
from queue import SimpleQueue
from typing import Any

import pytest

from tasky.client.session import Tasky
from tasky.errors import Conflict
from tasky.model import Event
from tasky.runtime.hooks import GOWORK
from tasky.states import State
from tests.helpers import PATIENCE_S, Gate, obeying


class Heard:
    """A handler that keeps what it hears."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Event, Mapping[str, Any]]] = SimpleQueue()

    def __call__(self, event: Event, params: Mapping[str, Any]) -> None:
        self._queue.put((event, params))

    def next(self) -> tuple[Event, Mapping[str, Any]]:
        return self._queue.get(timeout=PATIENCE_S)

    @property
    def nothing(self) -> bool:
        return self._queue.empty()


@pytest.fixture
def heard() -> Heard:
    return Heard()


def echo(n: int = 0) -> int:
    if n < 0:
        raise ValueError("negative")
    return n


def test_a_handler_hears_once_and_after_the_commit(tasky: Tasky) -> None:
    seen: SimpleQueue[State] = SimpleQueue()

    def look(event: Event, params: Mapping[str, Any]) -> None:
        assert event.task_id is not None
        seen.put(tasky.task(event.task_id).status)

    tasky.on("execution.ended", look)
    tasky.run(echo).wait(PATIENCE_S)
    tasky.core.hooks.stop()
    assert seen.get(timeout=PATIENCE_S) is State.SUCCEEDED
    assert seen.empty()


def test_a_handler_gets_its_parameters_and_the_event(tasky: Tasky, heard: Heard) -> None:
    tasky.on("task.created", heard, {"room": 7})
    handle = tasky.run(echo)
    event, params = heard.next()
    assert (event.name, event.task_id, event.state) == ("task.created", handle.id, State.QUEUED)
    assert params == {"room": 7}


def test_the_ids_of_gowork_are_understood(tasky: Tasky) -> None:
    names = ("add_work", "get_work", "work_complete")
    handlers = {name: Heard() for name in names}
    for name, handler in handlers.items():
        tasky.on(name, handler)
    handle = tasky.run(echo)
    assert [handlers[name].next()[0].task_id for name in names] == [handle.id] * 3


def test_a_timeout_is_no_completion(tasky: Tasky, gate: Gate) -> None:
    complete, late = Heard(), Heard()
    tasky.on("work_complete", complete)
    tasky.on("work_timeout", late)
    tasky.run(obeying(gate), timeout_s=0.05)
    event, _ = late.next()
    assert event.state is State.TIMED_OUT
    tasky.core.hooks.stop()
    assert complete.nothing


def test_every_event_of_gowork_has_a_name_of_ours() -> None:
    assert len(GOWORK) == 11
    assert all("." in ours for ours, _ in GOWORK.values())


def test_a_second_handler_of_an_event_is_refused(tasky: Tasky, heard: Heard) -> None:
    tasky.on("task.created", heard)
    with pytest.raises(Conflict):
        tasky.on("task.created", heard)


def test_gowork_and_native_names_of_one_event_are_two_places(tasky: Tasky) -> None:
    ours, theirs = Heard(), Heard()
    tasky.on("task.created", ours)
    tasky.on("add_work", theirs)
    tasky.run(echo)
    assert ours.next()[0] == theirs.next()[0]


def test_a_raising_handler_harms_nobody(
    tasky: Tasky, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: Event, params: Mapping[str, Any]) -> None:
        raise ValueError("a handler")

    tasky.on("task.created", fail)
    tasky.on("execution.ended", heard)
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            assert tasky.run(echo).wait(PATIENCE_S).status is State.SUCCEEDED
            heard.next()
    assert caplog.text.count("the handler of task.created failed") == 2


def test_a_handler_may_submit(tasky: Tasky, heard: Heard) -> None:
    def again(event: Event, params: Mapping[str, Any]) -> None:
        if event.state is State.FAILED:
            tasky.run(echo, {"n": 1})
        else:
            heard(event, params)

    tasky.on("execution.ended", again)
    tasky.run(echo, {"n": -1})
    assert heard.next()[0].state is State.SUCCEEDED


def test_what_waits_is_heard_before_the_end(tasky: Tasky, gate: Gate, heard: Heard) -> None:
    def slow(event: Event, params: Mapping[str, Any]) -> None:
        gate.stand()
        heard(event, params)

    tasky.on("task.created", slow)
    for _ in range(5):
        tasky.run(echo)
    gate.visitor()
    gate.open()
    tasky.core.hooks.stop()
    assert [heard.next()[0].name for _ in range(5)] == ["task.created"] * 5
