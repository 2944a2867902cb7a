"""What tests steer code and time with; nothing here stands in for the store."""

import threading
import time
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, ClassVar

from tasky.client.session import TaskHandle, Tasky
from tasky.executors.thread import ThreadExecutor
from tasky.model import Event, Task
from tasky.runtime.dispatcher import Dispatcher
from tasky.states import State
from tasky.worker import Context, spec_of

PATIENCE_S = 20.0
"""How long a test waits for what must come; a slow machine needs less, a bug takes all of it."""

START = 1_800_000_000_000_000


class FakeClock:
    """Wall time that passes when the test says so."""

    def __init__(self, now: int = START) -> None:
        self.at = now

    def now(self) -> int:
        return self.at

    def monotonic(self) -> float:
        return time.monotonic()

    def advance(self, seconds: float) -> None:
        self.at += int(seconds * 1_000_000)


class Gate:
    """A door that code stands before until the test opens it, and a bell that tells who came."""

    every: ClassVar["weakref.WeakSet[Gate]"] = weakref.WeakSet()

    def __init__(self) -> None:
        self.door = threading.Event()
        self._came: SimpleQueue[Any] = SimpleQueue()
        Gate.every.add(self)

    def come(self, who: Any = None) -> None:
        """Ring, without standing still."""
        self._came.put(who)

    def stand(self, who: Any = None) -> None:
        """Ring and stand still until the door is open; obeys nothing else."""
        self.come(who)
        assert self.door.wait(4 * PATIENCE_S), "nobody opened the gate"

    def obey(self, ctx: Context) -> None:
        """Ring and stand before the door, but obey cancel and pause."""
        self.come(ctx.task)
        while not self.door.is_set():
            ctx.sleep(0.01)

    def visitor(self) -> Any:
        """Return who came next."""
        return self._came.get(timeout=PATIENCE_S)

    def visitors(self, count: int) -> list[Any]:
        return [self.visitor() for _ in range(count)]

    @property
    def nobody(self) -> bool:
        """Whether nobody came whom the test has not asked for yet."""
        return self._came.empty()

    def open(self) -> None:
        self.door.set()

    @classmethod
    def open_all(cls) -> None:
        for gate in list(cls.every):
            gate.open()


def obeying(gate: Gate, name: str = "obeying") -> Callable[..., Any]:
    """Return code that waits for a gate and obeys every wish."""

    def code(ctx: Context, n: int = 0) -> int:
        gate.obey(ctx)
        return n

    code.__name__ = name
    return code


def stubborn(gate: Gate, name: str = "stubborn") -> Callable[..., Any]:
    """Return code that waits for a gate and obeys nothing."""

    def code(ctx: Context, n: int = 0) -> int:
        gate.stand(ctx.task)
        return n

    code.__name__ = name
    return code


def until(tasky: Tasky, handle: TaskHandle, good: Callable[[Task], bool]) -> Task:
    """Return the task once `good`; woken by each change of it, no polling."""
    deadline = time.monotonic() + PATIENCE_S
    task = tasky.client.task(handle.id)
    while not good(task):
        left = deadline - time.monotonic()
        assert left > 0, f"it never came to that: {task}"
        task = tasky.client.wait_change(handle.id, task.version, left)
    return task


def until_status(tasky: Tasky, handle: TaskHandle, state: State) -> Task:
    return until(tasky, handle, lambda task: task.status is state)


def until_event(tasky: Tasky, handle: TaskHandle, name: str) -> Event:
    """Return the first event of that name in the history of a task."""
    core = tasky.core
    number = tasky.client.task(handle.id).number

    def look() -> Event | None:
        history = core.store.events.of_task(number)
        return next((event for event in history if event.name == name), None)

    found = core.watch.wait_any(look, PATIENCE_S)
    assert found is not None, f"no event {name}"
    return found


def names_of(tasky: Tasky, handle: TaskHandle) -> list[str]:
    """Return the names of a task's history."""
    return [event.name for event in tasky.client.events(task=handle.id)]


def settle(tasky: Tasky) -> None:
    """Return once everything that was posted to the writer before is written and handed over."""
    tasky.core.writer.call(lambda tx: None)
    tasky.core.writer.call(lambda tx: None)


def pool_of(tasky: Tasky) -> ThreadExecutor:
    pool = tasky.core.executors["thread"]
    assert isinstance(pool, ThreadExecutor)
    return pool


def let_go(tasky: Tasky, gate: Gate) -> None:
    """Open a gate; return once every abandoned thread came back and its report was dropped."""
    pool = pool_of(tasky)
    late = [pool._current[number] for number in list(pool._given_up)]
    gate.open()
    for thread in late:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    settle(tasky)


def engine_of(tasky: Tasky) -> Dispatcher:
    dispatcher = tasky.core.dispatcher
    assert dispatcher is not None
    return dispatcher


def register(tasky: Tasky, *targets: Callable[..., Any]) -> None:
    """Hand workers over as code, so that they can be named."""
    for target in targets:
        tasky.core.register(spec_of(target))
