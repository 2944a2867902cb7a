"""The one shape of background services: `start`, `stop` (twice is fine), `run_once` for tests."""

import logging
import threading

LONGEST_S = 86_400.0
"""A service looks at least once a day; the platform's clock cannot wait for ever."""

log = logging.getLogger("tasky.runtime")


class Service:
    """A thread that sleeps until it is woken or its time comes, then does `run_once`."""

    def __init__(self, name: str) -> None:
        self._wake = threading.Condition(threading.Lock())
        self._woken = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"tasky-{name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after what it is doing."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def wake(self) -> None:
        """Let it look again now."""
        with self._wake:
            self._woken = True
            self._wake.notify()

    def run_once(self) -> float | None:
        """Do what is due; return seconds until the next look, None to sleep until woken."""
        raise TypeError(f"{type(self).__name__} does nothing")

    def _run(self) -> None:
        pause: float | None = 0.0
        while True:
            with self._wake:
                pause = None if pause is None else min(pause, LONGEST_S)
                self._wake.wait_for(lambda: self._woken or self._stopping, timeout=pause)
                if self._stopping:
                    return
                self._woken = False
            try:
                pause = self.run_once()
            except Exception:
                log.exception("%s failed, trying again in 1 s", self._thread.name)
                pause = 1.0
