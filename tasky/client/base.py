"""The one interface all front ends hold. REST, TUI and CLI show what it offers, and nothing else.

Every method raises the errors of `tasky.errors`; a REST client raises the same classes. Times are
µs, waits seconds; `id` may be a unique prefix.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from tasky.model import (
    Event,
    Execution,
    LogLine,
    NotLoaded,
    Outcome,
    Page,
    Result,
    Stats,
    Submit,
    Task,
    TaskStats,
    Why,
    Worker,
    WorkerStats,
)
from tasky.states import ACTIVE, State

MAX_WAIT_S = 60.0
"""Longest single wait of a REST call; clients ask again."""


EFFECTS: dict[str, Callable[[Task], bool]] = {
    "cancel": lambda task: task.ended,
    "kill": lambda task: task.ended,
    "pause": lambda task: task.status == State.PAUSED or task.ended,
    "resume": lambda task: task.status != State.PAUSED,
    "run": lambda task: task.status in ACTIVE or task.ended,
}
"""When an action is in effect; one that is not here is in effect as soon as it is written."""


class Output(NamedTuple):
    """What an execution gave: `kind` is json, text, bytes or None (nothing); `chunks` its bytes."""

    kind: str | None
    size: int
    chunks: Iterator[bytes]

    def read(self) -> bytes:
        """Return all of it."""
        return b"".join(self.chunks)


class Client(Protocol):
    """Verbs on workers, tasks and what belongs to them."""

    # -- workers --

    def workers(self) -> tuple[list[Worker], list[NotLoaded]]:
        """Return all workers by name, and the modules that could not be loaded."""

    def worker(self, name: str) -> Worker:
        """Return one worker. Raises `WorkerUnknown` with the closest name."""

    def change_worker(
        self,
        name: str,
        *,
        enabled: bool | None = None,
        reason: str | None = None,
        max_running: int | None = None,
        queue: str | None = None,
        version: int | None = None,
    ) -> Worker:
        """Switch a worker or change its limits, live. Raises `WorkerUnknown`, `VersionConflict`."""

    def worker_stats(self, name: str, since: int | None = None) -> WorkerStats:
        """Return what the executions of a worker came to."""

    # -- submit --

    def submit(self, request: Submit) -> Task:
        """Write one task durably and return it. See `Intake.submit` for what it raises."""

    def submit_many(self, requests: Sequence[Submit]) -> list[Task]:
        """Write up to 10,000 tasks in one transaction, all or none."""

    def check(self, request: Submit) -> None:
        """Raise what a submit would raise, and write nothing."""

    # -- look --

    def task(self, id: str) -> Task:  # noqa: A002  # the word of the contract
        """Return a whole task. Raises `TaskUnknown`, `IdAmbiguous`."""

    def tasks(
        self,
        q: str = "",
        *,
        sort: str = "created",
        order: str = "desc",
        limit: int = 50,
        cursor: str | None = None,
        tz: str | None = None,
    ) -> Page[Task]:
        """Return one page of the tasks that fit a query; config and output are shortened."""

    def wait(self, id: str, timeout_s: float | None = None) -> Task:  # noqa: A002
        """Return the task once it ended, or as it is after `timeout_s`."""

    def wait_change(self, id: str, version: int, timeout_s: float) -> Task:  # noqa: A002
        """Return the task once its version is not `version`, or as it is after `timeout_s`."""

    def output(self, id: str) -> Output:  # noqa: A002
        """Return the output of the latest execution, streamed."""

    def log(
        self,
        id: str,  # noqa: A002
        *,
        after: int = 0,
        limit: int = 1000,
        tail: int | None = None,
        wait_s: float = 0.0,
    ) -> list[LogLine]:
        """Return log lines of the latest execution after a sequence number, or the last `tail`.

        With `wait_s`, waits for the first new line, but not past the end of the execution.
        """

    def events(
        self,
        *,
        after: int = 0,
        task: str | None = None,
        limit: int = 500,
        wait_s: float = 0.0,
    ) -> list[Event]:
        """Return events with an ordinal above `after`, of one task or of everything."""

    def newest_event(self) -> int:
        """Return the newest ordinal there is."""

    def results(self, id: str) -> list[Result]:  # noqa: A002
        """Return the results of a task, newest first."""

    def executions(self, id: str) -> list[Execution]:  # noqa: A002
        """Return the executions of a task, oldest first."""

    def why(self, id: str) -> Why:  # noqa: A002
        """Say why the task is where it is."""

    def stack(self, id: str) -> list[str]:  # noqa: A002
        """Return the frames of the task's running code."""

    def task_stats(self, id: str) -> TaskStats:  # noqa: A002
        """Return where the time of the task went."""

    # -- control --

    def act(
        self,
        id: str,  # noqa: A002
        action: str,
        *,
        times: int = 1,
        config: Mapping[str, Any] | None = None,
        reason: str = "",
        expect_status: str | None = None,
        version: int | None = None,
        wait_s: float = 0.0,
    ) -> Task:
        """Ask for an action, wait up to `wait_s` for its effect, return the task as it is then.

        Raises `StatusConflict` with the states that allow it, `NotSupported`, `BadRequest`.
        """

    def act_many(
        self,
        q: str,
        action: str,
        *,
        reason: str = "",
        dry_run: bool = False,
        tz: str | None = None,
    ) -> list[Outcome]:
        """Ask for an action on every task that fits a query; a dry run only tells what would be."""

    def set_config(self, id: str, config: Mapping[str, Any], *, version: int | None = None) -> Task:  # noqa: A002
        """Replace the config of a task that has not started. Raises `StatusConflict` after."""

    def delete(self, id: str, *, version: int | None = None) -> None:  # noqa: A002
        """Remove an ended task with its results and logs; events and statistics stay."""

    # -- the whole --

    def stats(
        self,
        since: int | None = None,
        *,
        worker: str | None = None,
        by: str | None = None,
        step_s: int | None = None,
    ) -> Stats:
        """Return the report over a window, 24 hours unless given."""

    def system(self) -> dict[str, Any]:
        """Return figures of host, process, pool and database."""

    def close(self) -> None:
        """Let go of connections and, for an embedded core, of the database. Twice is fine."""
