"""Everything that happens at a time: one thread that sleeps until the next alarm."""

import heapq
import itertools
import time
from collections.abc import Callable

from tasky.runtime.service import Service, log


class Alarms(Service):
    """Calls back at monotonic times; no alarm, no wake-up."""

    def __init__(self) -> None:
        super().__init__("alarms")
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, moment: float, callback: Callable[[], None]) -> None:
        """Call `callback` at `moment` (`time.monotonic()`), in the alarms' thread."""
        with self._wake:
            first = not self._heap or moment < self._heap[0][0]
            heapq.heappush(self._heap, (moment, next(self._order), callback))
            if first:
                self._woken = True
                self._wake.notify()

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call `callback` in `seconds`."""
        self.at(time.monotonic() + seconds, callback)

    def run_once(self) -> float | None:
        while True:
            with self._wake:
                now = time.monotonic()
                if not self._heap:
                    return None
                if self._heap[0][0] > now:
                    return self._heap[0][0] - now
                _, _, callback = heapq.heappop(self._heap)
            try:
                callback()
            except Exception:  # noqa: BLE001  # the next alarm has nothing to do with this one
                log.exception("an alarm failed")
