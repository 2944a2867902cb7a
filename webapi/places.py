"""Waiting places: how many requests may wait for something at once.

Each holds a thread of the server; the rest of the threads always serve short requests.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

PLACES = 48
SLICE_S = 1.0
"""Who waits looks up that often: to see that the client went away or the server stops."""


class Places:
    """Counts who waits. Past the limit, and once closed, nobody waits: the answer comes at once."""

    def __init__(self, total: int = PLACES) -> None:
        self._free = threading.BoundedSemaphore(total)
        self._closed = threading.Event()

    def close(self) -> None:
        """Let all who wait answer with what there is."""
        self._closed.set()

    @contextmanager
    def taken(self, seconds: float) -> Iterator[float]:
        """Give the seconds that may be waited: all of `seconds`, or none."""
        if seconds <= 0 or self._closed.is_set() or not self._free.acquire(blocking=False):
            yield 0.0
            return
        try:
            yield seconds
        finally:
            self._free.release()

    def look(
        self,
        seconds: float,
        look: Callable[[float], T],
        good: Callable[[T], bool],
        gone: Callable[[], bool],
    ) -> T:
        """Return what `look(up to so many seconds)` finds: something good, or the last it found.

        Takes no place; call it within `taken`.
        """
        until = time.monotonic() + seconds
        while True:
            left = max(0.0, until - time.monotonic())
            found = look(min(left, SLICE_S))
            if good(found) or left <= SLICE_S or self._closed.is_set() or gone():
                return found
