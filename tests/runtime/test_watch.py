from collections.abc import Callable
from queue import SimpleQueue
from threading import Event as Signal
from threading import Thread
from typing import Any

import pytest

from tasky.client.session import Tasky
from tasky.errors import WaitedTooLong
from tasky.runtime.watch import Watch
from tasky.states import State
from tasky.store.writer import Fact
from tests.helpers import PATIENCE_S, Gate, obeying


class Waiter:
    """A thread that waits; `looked` tells each time it looked."""

    def __init__(self, wait: Callable[[Callable[[], Any]], Any], find: Callable[[], Any]) -> None:
        self.looked: SimpleQueue[None] = SimpleQueue()
        self.found: Any = None
        self._find = find
        self.thread = Thread(target=self._run, args=(wait,))
        self.thread.start()

    def _run(self, wait: Callable[[Callable[[], Any]], Any]) -> None:
        self.found = wait(self._look)

    def _look(self) -> Any:
        found = self._find()
        self.looked.put(None)
        return found

    def join(self) -> Any:
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        return self.found


def fact(task_id: int | None = 1, state: str | None = None) -> Fact:
    return Fact(1, 0, "name", "", task_id, None, None, state, None)


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_who_finds_at_once_does_not_wait(watch: Watch) -> None:
    assert watch.wait_end(1, lambda: "here", None) == "here"
    assert watch.wait_any(lambda: "here", 0) == "here"


def test_an_end_wakes_who_waits_for_it(watch: Watch) -> None:
    ended = Signal()
    waiter = Waiter(
        lambda look: watch.wait_end(1, look, PATIENCE_S), lambda: ended.is_set() or None
    )
    waiter.looked.get(timeout=PATIENCE_S)
    watch.heard([fact(1, "running"), fact(2, "succeeded")])
    ended.set()
    watch.heard([fact(1, "succeeded")])
    assert waiter.join() is True


def test_other_facts_do_not_wake_who_waits_for_an_end(watch: Watch) -> None:
    ended = Signal()
    waiter = Waiter(
        lambda look: watch.wait_end(1, look, PATIENCE_S), lambda: ended.is_set() or None
    )
    waiter.looked.get(timeout=PATIENCE_S)
    for _ in range(20):
        watch.heard([fact(1, "running"), fact(None), fact(2, "failed")])
    assert waiter.looked.empty()
    ended.set()
    watch.heard([fact(1, "failed")])
    waiter.join()


def test_every_fact_of_a_task_wakes_who_waits_for_a_change(watch: Watch) -> None:
    changes = iter([None, None, "changed"])
    waiter = Waiter(lambda look: watch.wait_change(1, look, PATIENCE_S), lambda: next(changes))
    for _ in range(2):
        waiter.looked.get(timeout=PATIENCE_S)
        watch.heard([fact(1)])
    assert waiter.join() == "changed"


def test_any_fact_wakes_who_waits_for_all(watch: Watch) -> None:
    changes = iter([None, "changed"])
    waiter = Waiter(lambda look: watch.wait_any(look, PATIENCE_S), lambda: next(changes))
    waiter.looked.get(timeout=PATIENCE_S)
    watch.heard([fact(None)])
    assert waiter.join() == "changed"


def test_who_waits_long_enough_looks_once_more_and_goes(watch: Watch) -> None:
    looks: list[int] = []
    assert watch.wait_end(1, lambda: looks.append(1), 0.01) is None
    assert len(looks) == 2
    assert watch.wait_any(lambda: None, 0.01) is None


def test_nothing_is_kept_of_who_is_gone(watch: Watch) -> None:
    watch.wait_end(1, lambda: None, 0.0)
    watch.wait_change(1, lambda: None, 0.0)
    watch.wait_any(lambda: None, 0.0)
    assert (watch._ends, watch._changes, watch._anything) == ({}, {}, [])


# -- on an engine ----------------------------------------------------------------------------------


def test_many_wait_for_one_end(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(obeying(gate))
    gate.visitor()
    ends: SimpleQueue[State] = SimpleQueue()
    threads = [
        Thread(target=lambda: ends.put(tasky.task(handle.id).wait(PATIENCE_S).status))
        for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    gate.open()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert [ends.get_nowait() for _ in threads] == [State.SUCCEEDED] * 10


def test_a_wait_that_takes_too_long_says_so_and_changes_nothing(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(obeying(gate))
    gate.visitor()
    with pytest.raises(WaitedTooLong):
        handle.wait(0.01)
    assert handle.status is State.RUNNING


def test_a_follower_of_events_misses_none(tasky: Tasky) -> None:
    def echo() -> None: ...

    for _ in range(20):
        tasky.run(echo)
    seen: list[int] = []
    after = 0
    while len(seen) < 60:
        page = tasky.client.events(after=after, limit=7, wait_s=PATIENCE_S)
        assert page
        seen += [event.id for event in page]
        after = seen[-1]
    assert seen == list(range(seen[0], seen[0] + len(seen)))


@pytest.mark.parametrize("action", ["cancel", "kill", "pause"])
def test_an_action_waits_for_its_effect(tasky: Tasky, gate: Gate, action: str) -> None:
    handle = tasky.run(obeying(gate))
    gate.visitor()
    task = tasky.client.act(handle.id, action, wait_s=PATIENCE_S)
    expected = {"cancel": State.CANCELLED, "kill": State.KILLED, "pause": State.PAUSED}
    assert task.status is expected[action]
