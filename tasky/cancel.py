"""Cooperative control of one execution: a token that carries wishes into the code.

The code meets the token at its checkpoints. `Cancelled` is a `BaseException`, so that a worker's
`except Exception` cannot swallow it.
"""

import logging
import threading
from collections.abc import Callable
from enum import StrEnum

log = logging.getLogger("tasky.cancel")


class Reason(StrEnum):
    """Why an execution is asked to stop."""

    USER = "user"
    TIMEOUT = "timeout"
    SHUTDOWN = "shutdown"
    KILLED = "killed"


class Cancelled(BaseException):
    """Raised inside a worker at a checkpoint once somebody asked it to stop."""

    def __init__(self, reason: Reason, text: str = "") -> None:
        super().__init__(text or f"stopped: {reason}")
        self.reason = reason
        self.text = text


class Token:
    """Wishes for one execution. Any thread may ask; the execution's own thread obeys.

    `on_cancel` callbacks run in the thread that asks: they end what a checkpoint cannot reach,
    such as a subprocess the worker waits for.
    """

    __slots__ = ("_callbacks", "_lock", "_waiting", "paused", "reason", "text")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Made when somebody waits; most executions end before anybody does.
        self._waiting: threading.Condition | None = None
        self._callbacks: tuple[Callable[[], None], ...] = ()
        self.reason: Reason | None = None
        self.text = ""
        self.paused = False

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked the code to stop."""
        return self.reason is not None

    @property
    def quiet(self) -> bool:
        """Whether there is no wish at all; what a checkpoint looks at first."""
        return self.reason is None and not self.paused

    def cancel(self, reason: Reason, text: str = "") -> bool:
        """Ask the code to stop; the first reason stays. Return whether this call was the first."""
        with self._lock:
            if self.reason is not None:
                return False
            self.reason, self.text = reason, text
            callbacks = self._callbacks
            self._notify()
        for callback in callbacks:
            try:
                callback()
            except Exception:
                log.exception("a callback of a cancel failed")
        return True

    def _notify(self) -> None:
        if self._waiting is not None:
            self._waiting.notify_all()

    def _wait_for(self, good: Callable[[], bool], timeout: float | None = None) -> bool:
        with self._lock:
            if self._waiting is None:
                self._waiting = threading.Condition(self._lock)
            return self._waiting.wait_for(good, timeout)

    def pause(self) -> None:
        """Ask the code to stand still at its next checkpoint."""
        with self._lock:
            self.paused = True
            self._notify()

    def resume(self) -> None:
        """Let the code go on."""
        with self._lock:
            self.paused = False
            self._notify()

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` when a cancel comes (at once if it came); return its removal."""
        with self._lock:
            self._callbacks += (callback,)
            late = self.cancelled
        if late:
            callback()
        return lambda: self._forget(callback)

    def _forget(self, callback: Callable[[], None]) -> None:
        with self._lock:
            self._callbacks = tuple(known for known in self._callbacks if known is not callback)

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` if somebody asked the code to stop."""
        if self.reason is not None:
            raise Cancelled(self.reason, self.text)

    def wait_while_paused(self) -> None:
        """Block until the pause is taken back or a cancel comes."""
        self._wait_for(lambda: not self.paused or self.cancelled)

    def sleep(self, seconds: float) -> bool:
        """Block for `seconds`, less if any wish comes; return whether one came."""
        return self._wait_for(lambda: not self.quiet, timeout=max(0.0, seconds))
