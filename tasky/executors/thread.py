"""Functions in threads of our own. Not `ThreadPoolExecutor`: its exit hook joins for ever."""

import sys
import threading
import traceback
from queue import SimpleQueue

from tasky.assignment import Assignment
from tasky.executors import capture


class ThreadExecutor:
    """A pool of daemon threads; grows to `slots` as it is used.

    A thread cannot be killed. One that is abandoned goes on until its code returns, then ends; a
    fresh thread takes its slot, and whatever it reports is refused by the fence.
    """

    name = "thread"

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._work: SimpleQueue[Assignment | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._threads: set[threading.Thread] = set()
        self._current: dict[int, threading.Thread] = {}
        self._given_up: set[int] = set()
        self._stopped = False

    @property
    def abandoned(self) -> int:
        """Threads that were given up and still run."""
        return len(self._given_up)

    def start(self, assignment: Assignment) -> None:
        """Hand over to an idle thread, or to a new one."""
        with self._lock:
            if self._idle:
                self._idle -= 1
            else:
                self._add_thread()
        self._work.put(assignment)

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._run, name="tasky-slot", daemon=True)
        self._threads.add(thread)
        try:
            thread.start()
        except BaseException:
            self._threads.discard(thread)
            raise

    def abandon(self, execution_id: int) -> None:
        """Give the slot of a thread to a new one."""
        with self._lock:
            if execution_id in self._current:
                self._given_up.add(execution_id)

    def stack(self, execution_id: int) -> list[str]:
        """Return the frames of the code, outermost first, without the pool's own."""
        thread = self._current.get(execution_id)
        frame = sys._current_frames().get(thread.ident or 0) if thread else None  # noqa: SLF001  # the documented way
        if frame is None:
            return []
        frames = traceback.extract_stack(frame)
        own = next((n for n, f in enumerate(frames) if f.name == "call"), -1)
        return [f"{f.filename}:{f.lineno} in {f.name}: {f.line}" for f in frames[own + 1 :]]

    def stop(self) -> None:
        """Let idle threads end; those that run code end after it."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            threads = list(self._threads)
        for _ in threads:
            self._work.put(None)
        for thread in threads:
            if thread not in self._current.values():
                thread.join(timeout=1.0)

    def _run(self) -> None:
        me = threading.current_thread()
        try:
            while (assignment := self._work.get()) is not None:
                if not self._serve(assignment, me):
                    return
        finally:
            self._threads.discard(me)

    def _serve(self, assignment: Assignment, me: threading.Thread) -> bool:
        """Run one assignment; return whether the thread still has its slot."""
        number = assignment.execution_id
        self._current[number] = me
        with capture.line(assignment.reporter, prints=assignment.spec.capture_prints):
            outcome = assignment.call()
        del self._current[number]
        with self._lock:
            if number in self._given_up:
                self._given_up.discard(number)
                kept = False
            else:
                # Idle before the report: the claim that the report allows finds this thread.
                self._idle += 1
                kept = True
        assignment.reporter.finish(outcome)
        return kept
