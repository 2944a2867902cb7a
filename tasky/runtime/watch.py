"""Who waits for a change is woken by the commit that made it; nobody polls."""

import threading
import time
from _thread import allocate_lock
from collections.abc import Callable
from typing import Any, TypeVar

from tasky.states import FINAL
from tasky.store.writer import Fact

T = TypeVar("T")


class Watch:
    """Wakes waiters from the facts of each commit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: dict[int, list[Any]] = {}
        self._changes: dict[int, list[Any]] = {}
        self._anything: list[Any] = []

    def heard(self, facts: list[Fact]) -> None:
        """Wake everybody whom one of `facts` concerns; runs where the group was written."""
        if self._ends or self._changes:
            for fact in facts:
                if fact.task_id is not None:
                    self._wake(fact.task_id, fact.state)
        if self._anything:
            with self._lock:
                waiting, self._anything = self._anything, []
            for bell in waiting:
                bell.release()

    def _wake(self, task_id: int, state: str | None) -> None:
        bells: list[Any] = []
        with self._lock:
            bells += self._changes.pop(task_id, ())
            if state in FINAL:
                bells += self._ends.pop(task_id, ())
        for bell in bells:
            bell.release()

    def wait_end(
        self, task_id: int, look: Callable[[], T | None], timeout_s: float | None
    ) -> T | None:
        """Return what `look` finds once the task ended; None after `timeout_s` without a find."""
        return self._wait(self._ends, task_id, look, timeout_s)

    def wait_change(
        self, task_id: int, look: Callable[[], T | None], timeout_s: float | None
    ) -> T | None:
        """As `wait_end`, woken by every fact of the task."""
        return self._wait(self._changes, task_id, look, timeout_s)

    def _wait(
        self,
        bells: dict[int, list[Any]],
        task_id: int,
        look: Callable[[], T | None],
        timeout_s: float | None,
    ) -> T | None:
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            bell = self._hang(bells, task_id)
            # Looking after the bell hangs: a change between the two rings it.
            try:
                found = look()
                if found is not None or not _listen(bell, until):
                    return found if found is not None else look()
            finally:
                self._take_down(bells, task_id, bell)

    def _hang(self, bells: dict[int, list[Any]], task_id: int) -> Any:
        bell = allocate_lock()
        bell.acquire()
        with self._lock:
            bells.setdefault(task_id, []).append(bell)
        return bell

    def _take_down(self, bells: dict[int, list[Any]], task_id: int, bell: Any) -> None:
        with self._lock:
            left = bells.get(task_id)
            if left and bell in left:
                left.remove(bell)
                if not left:
                    del bells[task_id]

    def wait_any(self, look: Callable[[], T | None], timeout_s: float) -> T | None:
        """Return what `look` finds, looking again after every commit with facts."""
        until = time.monotonic() + timeout_s
        while True:
            bell = allocate_lock()
            bell.acquire()
            with self._lock:
                self._anything.append(bell)
            try:
                found = look()
                if found is not None or not _listen(bell, until):
                    return found
            finally:
                with self._lock:
                    if bell in self._anything:
                        self._anything.remove(bell)


def _listen(bell: Any, until: float | None) -> bool:
    """Wait for a bell; return False when the time is over."""
    if until is None:
        return bool(bell.acquire())
    return bool(bell.acquire(timeout=max(0.0, until - time.monotonic())))
