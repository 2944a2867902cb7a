"""One execution while it runs: what its code reports, coalesced on the way to the store."""

import threading
import time
from collections import deque
from collections.abc import Callable

import msgspec

from tasky.assignment import Outcome, encodable
from tasky.cancel import Token
from tasky.clock import Clock
from tasky.model import Progress
from tasky.states import State
from tasky.store import executions, logs
from tasky.store.executions import Claimed, Ended
from tasky.store.writer import Transaction, Writer
from tasky.worker import WorkerSpec

LOG_BYTES = 512 * 1024
"""How much log an execution keeps, half of it at the beginning and half at the end."""
LINE_CHARACTERS = 64 * 1024
SAMPLE_EVERY_S = 0.1
SAMPLES = 5
SAMPLE_SPAN_S = 10.0
"""A rate needs that many reports, an ETA besides that they span this long."""

_encode = msgspec.json.encode


class Running:
    """The line of one execution: takes progress and log, records pauses, makes the final report.

    The code calls it from its own thread (and from threads of its own), the journal collects from
    it.
    """

    __slots__ = (
        "_clock", "_cut_from", "_finish", "_head_full", "_kept", "_lines", "_lock", "_monotonic",
        "_progress", "_samples", "_seq", "_tail", "_wake_journal", "_writer", "claimed", "cut_to",
        "deadline", "finished", "last_checkpoint", "over", "spec", "started", "token", "trail",
    )  # fmt: skip

    def __init__(
        self,
        claimed: Claimed,
        spec: WorkerSpec,
        writer: Writer,
        clock: Clock,
        finish: Callable[["Running", Outcome], None],
        wake_journal: Callable[["Running"], None],
    ) -> None:
        self.claimed = claimed
        self.spec = spec
        self.token = Token()
        self.started = time.monotonic()
        self.finished = False
        # Set when it was ended against its will: what its code goes on to say is not written.
        self.over = False
        self.trail: deque[tuple[float, str]] | tuple[()] = ()
        self.last_checkpoint = 0.0
        self._writer = writer
        self._clock = clock
        self._finish = finish
        self._wake_journal = wake_journal
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._samples: deque[tuple[float, float]] | None = None
        self._lines: list[logs.Row] = []
        self._seq = 0
        self._kept = 0
        self._head_full = False
        self._cut_from = 0
        self._tail: deque[tuple[int, int]] | None = None
        self.cut_to = 0

    # -- reports of the code ----------------------------------------------------------------------

    def progress(
        self, done: float | None, total: float | None, unit: str, message: str, stage: str
    ) -> None:
        if self.over:
            return
        now = time.monotonic()
        # What has no number or text in it must fail in the code that says it, not in who reads it.
        done = None if done is None else float(done)
        total = None if total is None else float(total)
        unit, message, stage = encodable(unit), encodable(message), encodable(stage)
        with self._lock:
            if done is not None:
                self._add_sample(now, done)
            rate, eta = self._guess(total)
            self._progress = Progress(
                done=done, total=total, unit=unit, message=message, stage=stage,
                at=self._clock.now(), rate=rate, eta_s=eta,
            )  # fmt: skip
        self._wake_journal(self)

    def _add_sample(self, now: float, done: float) -> None:
        if self._samples is None or done < self._samples[-1][1]:
            self._samples = deque(maxlen=50)  # a new stage counts from the start
        elif now - self._samples[-1][0] < SAMPLE_EVERY_S:
            return
        self._samples.append((now, done))

    def _guess(self, total: float | None) -> tuple[float | None, float | None]:
        """Return (rate, ETA); None while there are too few samples to say it honestly."""
        if self._samples is None or len(self._samples) < SAMPLES:
            return None, None
        (first_at, first), (last_at, last) = self._samples[0], self._samples[-1]
        span = last_at - first_at
        if span <= 0 or last <= first:
            return None, None
        rate = (last - first) / span
        enough = last_at - self.started >= SAMPLE_SPAN_S and total is not None and total >= last
        return round(rate, 3), round((total - last) / rate, 1) if enough and total else None

    def log(self, level: str, text: str, stream: str) -> None:
        if self.over:
            return
        at = self._clock.now()
        text = encodable(text)
        with self._lock:
            for line in text.splitlines() or [""]:
                self._add_line(at, level, stream, line[:LINE_CHARACTERS])
        self._wake_journal(self)

    def _add_line(self, at: int, level: str, stream: str, line: str) -> None:
        self._seq += 1
        size = len(line) + 40
        self._lines.append((self.claimed.execution_id, self._seq, at, level, stream, line))
        if not self._head_full:
            self._kept += size
            self._head_full = self._kept > LOG_BYTES // 2
            self._cut_from = self.cut_to = self._seq + 1
            return
        if self._tail is None:
            self._tail = deque()
        self._tail.append((self._seq, size))
        self._kept += size
        while self._kept > LOG_BYTES and len(self._tail) > 1:
            seq, gone = self._tail.popleft()
            self._kept -= gone
            self.cut_to = seq + 1

    def checkpoint(self, name: str) -> None:
        name = encodable(name)
        self.last_checkpoint = time.monotonic()
        if not self.trail:
            self.trail = deque(maxlen=20)
        elif self.trail[-1][1] == name:
            return
        self.trail.append((self.last_checkpoint, name))

    def paused(self, name: str) -> None:
        self._move(State.RUNNING, State.PAUSED, "execution.paused", name)

    def resumed(self) -> None:
        self._samples = None  # the time of a pause is no time of work
        self._move(State.PAUSED, State.RUNNING, "execution.resumed", "")

    def waiting(self, what: str) -> None:
        self._move(State.RUNNING, State.WAITING, "execution.waiting", what)

    def went_on(self) -> None:
        self._move(State.WAITING, State.RUNNING, "execution.went_on", "")

    def _move(self, leaves: State, to: State, name: str, note: str) -> None:
        number, fence = self.claimed.execution_id, self.claimed.fence

        def write(tx: Transaction) -> bool:
            return executions.move(tx, number, fence, leaves, to, name, encodable(note))

        self._writer.call(write, patience_s=60.0)

    def finish(self, outcome: Outcome) -> None:
        with self._lock:
            if self.finished:
                return
            self.finished = True
        self._finish(self, outcome)

    # -- for the journal and the dispatcher --------------------------------------------------------

    def take_report(self) -> tuple[list[logs.Row], str | None, tuple[int, int] | None]:
        """Return (new log lines, progress JSON, range of lines to drop) and forget them here."""
        with self._lock:
            lines, self._lines = self._lines, []
            progress, self._progress = self._progress, None
            cut = (self._cut_from, self.cut_to) if self.cut_to > self._cut_from else None
            if cut:
                lines = [line for line in lines if not cut[0] <= line[1] < cut[1]]
        return lines, _encode(progress).decode() if progress else None, cut

    def report(self, outcome: Outcome) -> Ended:
        """Make the final report."""
        c = self.claimed
        lines, progress, cut = (
            self.take_report() if self._seq or self._progress else ([], None, None)
        )
        return Ended(
            execution_id=c.execution_id,
            task_id=c.task_id,
            result_id=c.result_id,
            fence=c.fence,
            state=outcome.state.value,
            times=c.times,
            output=outcome.output,
            output_kind=outcome.kind,
            output_size=outcome.size,
            error=_encode(outcome.problem).decode() if outcome.problem else None,
            exit_code=outcome.exit_code,
            progress=progress,
            chunks=outcome.chunks,
            log=lines,
            log_cut=cut,
            attempt=c.attempt,
            index=c.index,
            priority=c.priority,
            worker_id=c.worker_id,
            queued_at=c.queued_at,
            started_at=c.started_at,
        )
