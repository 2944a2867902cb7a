"""Wake, claim, hand over: gives every free slot the next execution in the commit that made it free.

All of its state belongs to whoever writes: the claim runs at the end of each transaction, the
hand-over after its commit, one writer at a time. Others read `running` and ask.
"""

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Mapping, Sequence

from tasky.assignment import Assignment, Outcome
from tasky.cancel import Reason
from tasky.clock import MICROSECONDS, Clock
from tasky.errors import DatabaseProblem, TaskyError
from tasky.model import Problem
from tasky.runtime.alarms import Alarms
from tasky.runtime.execution import Running
from tasky.runtime.journal import Journal
from tasky.runtime.ports import Executor
from tasky.runtime.registry import Registered, Registry
from tasky.runtime.service import log
from tasky.states import State
from tasky.store import executions, tasks
from tasky.store.executions import Claimed, Ended
from tasky.store.writer import Transaction, Writer

DEFAULT_MAX_RUNNING = 10
MAX_ABANDONED = 8
TIMEOUT_GRACE_S = 5.0
FENCES_PER_BOOT = 1 << 32


class Dispatcher:
    """Knows which slots are free and which workers have something to do."""

    def __init__(
        self,
        writer: Writer,
        executors: Mapping[str, Executor],
        registry: Registry,
        journal: Journal,
        alarms: Alarms,
        *,
        slots: int,
        boot: int,
        roots: Sequence[str] = (),
        clock: Clock,
        floor: int = 0,
    ) -> None:
        self.slots = slots
        self._floor = floor
        self.running: dict[int, Running] = {}
        self._writer = writer
        self._executors = executors
        self._registry = registry
        self._journal = journal
        self._alarms = alarms
        self._roots = roots
        self._now = clock.now
        self._clock = clock
        self._fence = boot * FENCES_PER_BOOT
        self._ready: set[int] = set()
        self._busy: Counter[int] = Counter()
        self._stopping = False
        self._quiet = threading.Event()
        self._quiet.set()

    # -- start and stop ----------------------------------------------------------------------------

    def start(self) -> None:
        """Take up what is queued; from here on every commit may claim."""
        self._writer.before_commit = self.claim
        self._writer.call(executions.note_all_ready)

    def drain(self) -> None:
        """Claim nothing more."""
        self._stopping = True

    def wake(self, worker_id: int) -> None:
        """Look at the queue of a worker again, after its limits changed."""
        self._writer.post(lambda tx: tx.ready.add(worker_id))

    # -- the claim: at the end of each transaction -------------------------------------------------

    def claim(self, tx: Transaction) -> None:
        """Fill the free slots within `tx`; they are handed over once it is durable."""
        freed = [self.running[number] for number in tx.freed if number in self.running]
        ready = self._ready | tx.ready
        free = self._free() + len(freed)
        taken: list[Claimed] = []
        spent: set[int] = set()
        if ready and free > 0:
            taken, spent = self._take(tx, ready, free, Counter(r.claimed.worker_id for r in freed))
        if taken:
            executions.start(tx, taken)
        if taken or freed or tx.ready or tx.due or spent:
            due = min(tx.due, default=None)
            tx.after(lambda: self._settle(freed, taken, ready - spent, due))

    def _free(self) -> int:
        if self._stopping or self.abandoned >= MAX_ABANDONED:
            return -len(self.running) - self.slots
        return self.slots - len(self.running)

    @property
    def abandoned(self) -> int:
        """Threads that ignore every wish and were given up."""
        return sum(executor.abandoned for executor in self._executors.values())

    def _take(
        self, tx: Transaction, ready: set[int], free: int, freed: Counter[int]
    ) -> tuple[list[Claimed], set[int]]:
        """Return what to start, best first, and the workers whose queue that empties."""
        candidates: list[Claimed] = []
        spent: set[int] = set()
        for worker_id in ready:
            room = min(free, self._room(worker_id) + freed[worker_id])
            if room <= 0:
                continue
            found = executions.heads(tx, worker_id, room, self._floor)
            if len(found) < room:
                spent.add(worker_id)
            candidates += found
        if len(candidates) > free:
            candidates.sort(key=lambda c: (-c.priority, c.execution_id))
            spent -= {c.worker_id for c in candidates[free:]}
            del candidates[free:]
        for c in candidates:
            self._fence += 1
            c.fence = self._fence
        return candidates, spent

    def _room(self, worker_id: int) -> int:
        """Return how many more executions a worker may have; none while it is off or not loaded."""
        registered = self._registry.by_row(worker_id)
        if registered is None or not registered.enabled:
            return 0
        limit = registered.max_running or registered.spec.max_running or DEFAULT_MAX_RUNNING
        return limit - self._busy[worker_id]

    # -- after the commit --------------------------------------------------------------------------

    def _settle(
        self, freed: list[Running], taken: list[Claimed], ready: set[int], due: int | None
    ) -> None:
        self._ready = ready
        for running in freed:
            self.running.pop(running.claimed.execution_id, None)
            self._busy[running.claimed.worker_id] -= 1
        for claimed in taken:
            self._hand_over(claimed)
        if self.running:
            self._quiet.clear()
        else:
            self._quiet.set()
        if due is not None:
            self._alarms.after(max(0.0, (due - self._now()) / MICROSECONDS), self._promote)

    def _hand_over(self, claimed: Claimed) -> None:
        registered = self._registry.by_row(claimed.worker_id)
        if registered is None:
            raise LookupError(f"worker row {claimed.worker_id} vanished between claim and start")
        running = Running(
            claimed, registered.spec, self._writer, self._clock, self._finished, self._journal.note
        )
        self.running[claimed.execution_id] = running
        self._busy[claimed.worker_id] += 1
        if claimed.pause_requested_at is not None:
            # The wish was for the attempt before; this one obeys it at its first checkpoint.
            running.token.pause()
        self._arm_timeout(running, registered)
        try:
            self._executors[registered.spec.executor].start(self._assignment(running))
        except Exception as problem:  # noqa: BLE001  # no thread to be had: it fails, others start
            why = f"nothing could run it: {problem}"
            running.finish(
                Outcome(State.FAILED, problem=Problem("NotStarted", why), retryable=True)
            )

    def _assignment(self, running: Running) -> Assignment:
        claimed = running.claimed
        return Assignment(
            spec=running.spec,
            config=claimed.config,
            task_id=claimed.uid,
            execution_id=claimed.execution_id,
            fence=claimed.fence,
            attempt=claimed.attempt,
            index=claimed.index,
            labels=claimed.labels,
            token=running.token,
            reporter=running,
            roots=self._roots,
        )

    def _promote(self) -> None:
        """Queue what had to wait for its time."""
        self._writer.post(executions.promote_due, self._not_promoted)

    def _not_promoted(self, error: BaseException) -> None:
        log.warning("what is due was not queued, trying again: %s", error)
        if self._writer.broken is None:
            self._alarms.after(1.0, self._promote)

    # -- ends --------------------------------------------------------------------------------------

    def _finished(self, running: Running, outcome: Outcome) -> None:
        """Report an outcome; runs in the thread of the code."""
        report = running.report(outcome)
        if outcome.retryable and self._may_retry(running):
            report.retry_at = self._now() + int(self._backoff_s(running) * MICROSECONDS)
        self._record(report)

    def _record(self, report: Ended) -> None:
        try:
            self._writer.post_batch(
                executions.end, report, lambda error: self._failed(report, error)
            )
        except DatabaseProblem as problem:
            # Closed or broken: the next start settles what this one cannot record.
            log.warning("the end of execution %d was not written: %s", report.execution_id, problem)

    def _failed(self, report: Ended, error: BaseException) -> None:
        """Try again: an end is never lost while we live."""
        log.error("the end of execution %d was not written: %s", report.execution_id, error)
        if self._writer.broken is None:
            self._alarms.after(1.0, lambda: self._record(report))

    def _may_retry(self, running: Running) -> bool:
        c = running.claimed
        return c.attempt < c.max_attempts and not running.token.cancelled and not self._stopping

    @staticmethod
    def _backoff_s(running: Running) -> float:
        """Return backoff · 2ⁿ with full jitter in its upper half.

        Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog (2015), equal
        jitter.
        """
        spec = running.spec
        full = min(spec.backoff_max_s, spec.backoff_s * 2.0 ** min(running.claimed.attempt - 1, 64))
        return full / 2 + random.uniform(0, full / 2)  # noqa: S311  # spreads load, hides nothing

    # -- wishes ------------------------------------------------------------------------------------

    def of_task(self, task_id: int) -> list[Running]:
        """Return what runs for a task."""
        return [r for r in list(self.running.values()) if r.claimed.task_id == task_id]

    def cut(self, running: Running, state: State, why: str, reason: Reason) -> bool:
        """End an execution against its will; return whether it was not ended before.

        The end is recorded first, so its late report is refused; then the executor gives it up.
        """
        running.token.cancel(reason, why)
        problem = Problem("Killed" if reason is Reason.KILLED else "TimedOut", why)
        report = running.report(Outcome(state, problem=problem))
        counted = self._writer.call_batch(executions.end, report)
        if counted:
            running.over = True
            self._executors[running.spec.executor].abandon(running.claimed.execution_id)
        return counted

    def _arm_timeout(self, running: Running, registered: Registered) -> None:
        timeout_us = running.claimed.timeout_us
        timeout_s = timeout_us / MICROSECONDS if timeout_us else registered.spec.timeout_s
        if timeout_s is not None:
            # Alarms hold numbers, not executions: most have ended long before their time is over.
            number = running.claimed.execution_id
            self._alarms.after(timeout_s, lambda: self._time_out(number, timeout_s))

    def _time_out(self, number: int, timeout_s: float) -> None:
        running = self.running.get(number)
        if running is None or running.finished:
            return
        why = f"its time of {timeout_s:g} s was over"
        running.token.cancel(Reason.TIMEOUT, why)
        if running.claimed.times == 1:
            self._writer.post(lambda tx: self._note_timeout(tx, running, why))
        self._alarms.after(TIMEOUT_GRACE_S, lambda: self._cut_late(number, why))

    @staticmethod
    def _note_timeout(tx: Transaction, running: Running, why: str) -> None:
        tasks.wish(tx, running.claimed.task_id, "task.cancel_requested", "engine", why)

    def _cut_late(self, number: int, why: str) -> None:
        running = self.running.get(number)
        if running is None or running.finished:
            return
        try:
            self.cut(running, State.TIMED_OUT, f"{why}, and it went on", Reason.TIMEOUT)
        except TaskyError as problem:
            log.warning("execution %d was not cut, trying again: %s", number, problem)
            self._alarms.after(1.0, lambda: self._cut_late(number, why))

    def shut_down(self, grace_s: float) -> list[Running]:
        """Ask all code to stop and wait for it; return what went on after `grace_s`."""
        self.drain()
        with contextlib.suppress(TaskyError):
            # A claim under way is handed over before this returns, so it hears of the stop too.
            self._writer.call(lambda tx: None)
        for running in list(self.running.values()):
            running.token.cancel(Reason.SHUTDOWN, "the server was stopped")
        self._quiet.wait(grace_s)
        return list(self.running.values())
