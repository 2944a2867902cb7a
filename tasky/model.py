"""The values that pass between the layers: frozen, without behaviour beyond a question or two.

Times are integer µs since the epoch, UTC; durations carry their unit in the name. The JSON form is
`tasky.client.wire`'s business, the rows are the store's.
"""

from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from tasky.states import FINAL, State

T = TypeVar("T")


class Worker(Struct, frozen=True, kw_only=True):
    """A kind of work: name, what it takes, how it runs."""

    name: str
    title: str = ""
    description: str = ""
    usage: str = ""
    executor: str = "thread"
    enabled: bool = True
    disabled_reason: str | None = None
    max_running: int | None = None
    queue: str = "default"
    supports: tuple[str, ...] = ("cancel", "kill")
    config_schema: dict[str, Any] = {}
    sample_config: dict[str, Any] = {}
    examples: tuple[dict[str, Any], ...] = ()
    timeout_s: float | None = None
    max_attempts: int = 1
    idempotent: bool = False
    loaded: bool = True
    version: int = 1


class NotLoaded(Struct, frozen=True):
    """A worker module that could not be loaded, and why."""

    module: str
    error: str


class Problem(Struct, frozen=True):
    """What went wrong in an execution.

    `traceback` is for the author of the worker, may be empty.
    """

    type: str
    message: str
    traceback: str = ""


class Progress(Struct, frozen=True, kw_only=True):
    """The last report of the code. `rate` is units per second; both guesses need enough samples."""

    done: float | None = None
    total: float | None = None
    unit: str = ""
    message: str = ""
    stage: str = ""
    at: int = 0
    rate: float | None = None
    eta_s: float | None = None

    @property
    def percent(self) -> float | None:
        """Share done, 0..100, null without a total."""
        if self.done is None or not self.total:
            return None
        return round(min(100.0, max(0.0, 100.0 * self.done / self.total)), 1)


class Task(Struct, frozen=True, kw_only=True):
    """One configured unit of work for a worker, as its current result and execution show it."""

    id: str
    number: int
    worker: str
    status: State
    config: msgspec.Raw
    output: msgspec.Raw | None = None
    output_kind: str | None = None
    output_size: int | None = None
    error: Problem | None = None
    exit_code: int | None = None
    progress: Progress | None = None
    cancel_requested_at: int | None = None
    pause_requested_at: int | None = None
    attempt: int = 0
    max_attempts: int = 1
    priority: int = 0
    queue: str = "default"
    labels: dict[str, str] = {}
    key: str | None = None
    timeout_s: float | None = None
    not_before: int | None = None
    created_at: int
    queued_at: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    result_id: int | None = None
    execution_id: int | None = None
    job_id: str | None = None
    chain_id: str | None = None
    parent_id: str | None = None
    origin: str = "native"
    version: int = 1
    truncated: bool = False
    # Tells only whoever submitted: the idempotency key had made this task before.
    replayed: bool = False

    @property
    def ended(self) -> bool:
        """Whether the task has come to an end."""
        return self.status in FINAL

    @property
    def run_s(self) -> float | None:
        """Seconds from the first start to the end, null before the end or without a start."""
        return _seconds(self.started_at, self.ended_at)

    @property
    def wait_s(self) -> float | None:
        """Seconds from being queued to the first start."""
        return _seconds(self.queued_at, self.started_at)


class Result(Struct, frozen=True, kw_only=True):
    """One RUN request of a task: `times` executions and the status derived from them."""

    id: int
    task_id: str
    times: int
    status: State
    submitted_at: int
    started_at: int | None = None
    ended_at: int | None = None


class Execution(Struct, frozen=True, kw_only=True):
    """One attempt on one thread, process, container or agent."""

    id: int
    result_id: int
    task_id: str
    index: int
    attempt: int
    status: State
    fence: int = 0
    queued_at: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    error: Problem | None = None
    exit_code: int | None = None
    place: str | None = None


class Event(Struct, frozen=True, kw_only=True):
    """One line of history: who did what to which object when. `id` is the ordinal."""

    id: int
    at: int
    name: str
    actor: str = ""
    task_id: str | None = None
    execution_id: int | None = None
    object: str | None = None
    state: State | None = None
    payload: dict[str, Any] | None = None


class LogLine(Struct, frozen=True, kw_only=True):
    """One line of an execution's log. `seq` rises by one; a gap is a cut in the middle."""

    seq: int
    at: int
    level: str
    stream: str
    text: str


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list. `total` stops counting at a cap; `total_is_exact` says whether it did."""

    items: list[T]
    next_cursor: str | None = None
    total: int = 0
    total_is_exact: bool = True


class Summary(Struct, frozen=True, kw_only=True):
    """Seconds over a set of executions; all null without data. Percentiles are right to 2 %."""

    mean: float | None = None
    min: float | None = None
    max: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class WorkerStats(Struct, frozen=True, kw_only=True):
    """What the executions of a worker came to."""

    worker: str
    total: int = 0
    by_status: dict[str, int] = {}
    failure_rate: float | None = None
    throughput_per_min: float | None = None
    run_s: Summary = Summary()
    wait_s: Summary = Summary()
    last_error: str | None = None
    since: int | None = None


class ErrorCount(Struct, frozen=True):
    """How often one kind of error came, and when last."""

    error: str
    count: int
    last_at: int


class Slow(Struct, frozen=True):
    """One of the slowest executions."""

    task_id: str
    worker: str
    run_s: float


class Bucket(Struct, frozen=True, kw_only=True):
    """Statistics of one slice: of time, of a status, of an error; `key` names the slice."""

    key: str
    by_status: dict[str, int] = {}
    total: int = 0
    failure_rate: float | None = None
    run_s: Summary = Summary()
    wait_s: Summary = Summary()


class Stats(Struct, frozen=True, kw_only=True):
    """The report of `tasky stats`: everything that ended between `since` and `until`."""

    since: int
    until: int
    total: int = 0
    by_status: dict[str, int] = {}
    failure_rate: float | None = None
    throughput_per_min: float | None = None
    run_s: Summary = Summary()
    wait_s: Summary = Summary()
    workers: list[WorkerStats] = []
    top_errors: list[ErrorCount] = []
    slowest: list[Slow] = []
    oldest_queued_s: float | None = None
    series: list[Bucket] = []


class TaskStats(Struct, frozen=True, kw_only=True):
    """Where the time of one task went, in seconds, and how its executions ended."""

    task_id: str
    queued_s: float = 0.0
    running_s: float = 0.0
    paused_s: float = 0.0
    waiting_s: float = 0.0
    executions: dict[str, int] = {}
    run_s: Summary = Summary()


class Why(Struct, frozen=True, kw_only=True):
    """Why a task is where it is: one main reason as a code, a sentence, and every blocker."""

    reason: str
    text: str
    blockers: list[str] = []


class Submit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request for a task: the worker, its config and the options of the contract."""

    worker: str
    config: dict[str, Any] = {}
    timeout_s: float | None = None
    priority: int = 0
    queue: str | None = None
    labels: dict[str, str] = {}
    not_before: int | None = None
    delay_s: float | None = None
    times: int = 1
    hold: bool = False
    key: str | None = None
    max_attempts: int | None = None
    idempotency_key: str | None = None
    origin: str = "native"
    actor: str = ""


class Outcome(Struct, frozen=True, kw_only=True):
    """What a bulk action did to one task."""

    task_id: str
    done: bool
    status: State
    detail: str = ""


def _seconds(start: int | None, end: int | None) -> float | None:
    if start is None or end is None:
        return None
    return max(0, end - start) / 1_000_000
