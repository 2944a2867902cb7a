"""Progress and log lines of running code, written in batches: at most four times a second."""

import logging
import threading
import time

from tasky.errors import TaskyError
from tasky.runtime.execution import Running
from tasky.runtime.service import Service
from tasky.store import executions, logs
from tasky.store.database import Database
from tasky.store.writer import Transaction

PERIOD_S = 0.25

log = logging.getLogger("tasky.runtime")


class Journal(Service):
    """Collects from the executions that reported something; silent ones cost nothing."""

    def __init__(self, database: Database) -> None:
        super().__init__("journal")
        self._database = database
        self._dirty: set[Running] = set()
        self._dirty_lock = threading.Lock()
        self._last = 0.0

    def note(self, running: Running) -> None:
        """Remember that `running` has something to write."""
        if running in self._dirty:
            return
        with self._dirty_lock:
            self._dirty.add(running)
        self.wake()

    def run_once(self) -> float | None:
        left = self._last + PERIOD_S - time.monotonic()
        if left > 0:
            return left
        with self._dirty_lock:
            dirty, self._dirty = self._dirty, set()
        if dirty:
            self._last = time.monotonic()
            self._write([running for running in dirty if not running.finished])
        return None

    def _write(self, dirty: list[Running]) -> None:
        reports = [(running, *running.take_report()) for running in dirty]

        def write(tx: Transaction) -> None:
            for running, lines, progress, cut in reports:
                number, fence = running.claimed.execution_id, running.claimed.fence
                if not executions.is_known(tx, number, fence):
                    continue
                if lines:
                    logs.append(tx, lines)
                if cut:
                    logs.drop_middle(tx, number, *cut)
                if progress:
                    executions.progress(tx, [(number, fence, progress)])
                elif lines:
                    tx.event(
                        "execution.log", actor="worker", task_id=running.claimed.task_id,
                        execution_id=number,
                    )  # fmt: skip

        try:
            self._database.write().call(write)
        except TaskyError:
            # Lines of the last second may be lost while the disk is full; the state is not.
            return
