"""The API of worker authors: `@worker`, the class form and the `Context` their code gets."""

import contextlib
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from tasky.cancel import Token
from tasky.schema import ConfigSchema

if TYPE_CHECKING:
    import subprocess

    from tasky.files import Files

F = TypeVar("F", bound=Callable[..., Any])

NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
RESERVED = frozenset(
    [
        "worker",
        "workers",
        "task",
        "tasks",
        "job",
        "jobs",
        "result",
        "results",
        "execution",
        "executions",
        "chain",
        "chains",
        "agent",
        "agents",
        "event",
        "events",
        "schedule",
        "schedules",
        "token",
        "tokens",
        "failures",
        "system",
        "statistics",
        "stats",
        "info",
        "register",
        "status",
        "health",
        "ui",
    ]
)
"""Words of the REST routes; a worker with such a name could not be reached."""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """Everything Tasky knows about one function or class that does work."""

    name: str
    function: Callable[..., Any]
    schema: ConfigSchema
    takes_context: bool
    executor: str = "thread"
    timeout_s: float | None = None
    idempotent: bool = False
    max_running: int | None = None
    max_attempts: int = 1
    backoff_s: float = 1.0
    backoff_max_s: float = 300.0
    no_retry: tuple[type[BaseException], ...] = ()
    queue: str = "default"
    capture_prints: bool = False
    module: str = ""
    instance: "WorkerBase | None" = None

    @property
    def supports(self) -> tuple[str, ...]:
        """Actions a running execution obeys; without a `ctx` there is no checkpoint to stop at."""
        return ("cancel", "pause", "kill") if self.takes_context else ("kill",)


class WorkerBase:
    """The class form of a worker: subclass it, give `run` a typed signature.

    The methods are the ones a worker has had since go-tasky; only `run` must be written. One
    instance serves all tasks of the worker, from several threads at once.
    """

    name: str = ""

    def info(self) -> str:
        """Return the description; the docstring of the class unless overridden."""
        return type(self).__doc__ or ""

    def create(self, config: dict[str, Any]) -> dict[str, Any]:
        """Check a config that has the right types; return it, changed if need be.

        Raise ValueError with a sentence to refuse it.
        """
        return config

    def run(self, ctx: "Context", **params: Any) -> Any:
        """Do the work; what it returns is the output."""
        raise TypeError(f"{type(self).__name__} has no run method of its own")

    def status(self) -> dict[str, Any]:
        """Return anything worth knowing about the worker itself, as JSON."""
        return {}

    def update(self, task_id: str, action: str) -> None:
        """Hear that somebody asked for `action` (cancel, pause, resume, kill) on a task."""

    def delete(self, task_id: str) -> None:
        """Clean up what the worker keeps of a task that is being removed."""


@overload
def worker(function: F, /) -> F: ...
@overload
def worker(
    *,
    name: str | None = None,
    timeout: float | None = None,
    idempotent: bool = False,
    max_running: int | None = None,
    max_attempts: int = 1,
    backoff: float = 1.0,
    backoff_max: float = 300.0,
    no_retry: Sequence[type[BaseException]] = (),
    queue: str = "default",
    capture_prints: bool = False,
) -> Callable[[F], F]: ...
def worker(
    function: F | None = None,
    /,
    *,
    name: str | None = None,
    timeout: float | None = None,
    idempotent: bool = False,
    max_running: int | None = None,
    max_attempts: int = 1,
    backoff: float = 1.0,
    backoff_max: float = 300.0,
    no_retry: Sequence[type[BaseException]] = (),
    queue: str = "default",
    capture_prints: bool = False,
) -> F | Callable[[F], F]:
    """Make a typed function (or a `WorkerBase` class) a worker; the signature is its config.

    `timeout`, `backoff` and `backoff_max` are seconds. `idempotent` says that running it twice does
    no harm: after a crash of the server it starts again by itself. A failed attempt is repeated up
    to `max_attempts` times in all, after backoff · 2ⁿ seconds with jitter, unless it raised one of
    `no_retry`. `capture_prints` puts what the code prints into the log.

    Raises ValueError for a name that is reserved or malformed, TypeError for a signature that
    cannot be a config.
    """

    def mark(target: F) -> F:
        spec = replace(
            spec_of(target, name=name),
            timeout_s=timeout,
            idempotent=idempotent,
            max_running=max_running,
            max_attempts=max_attempts,
            backoff_s=backoff,
            backoff_max_s=backoff_max,
            no_retry=tuple(no_retry),
            queue=queue,
            capture_prints=capture_prints,
        )
        target.__tasky_worker__ = spec  # type: ignore[attr-defined]  # a mark the registry looks for
        return target

    return mark if function is None else mark(function)


def spec_of(target: Callable[..., Any], *, name: str | None = None) -> WorkerSpec:
    """Return the spec of a marked or plain function or of a `WorkerBase` class.

    Raises ValueError for a bad name, TypeError for a signature that cannot be a config.
    """
    marked = getattr(target, "__tasky_worker__", None)
    if isinstance(marked, WorkerSpec) and name is None:
        return marked
    if isinstance(target, type) and issubclass(target, WorkerBase):
        instance = target()
        schema = ConfigSchema.of(instance.run, description=instance.info())
        function: Callable[..., Any] = instance.run
        wanted = str(name or target.name or _snake(target.__name__))
    else:
        instance, function = None, target
        schema = ConfigSchema.of(target)
        wanted = name or str(getattr(target, "__name__", ""))
    return WorkerSpec(
        name=checked_name(wanted),
        function=function,
        schema=schema,
        takes_context=schema.takes_context,
        module=target.__module__,
        instance=instance,
    )


def checked_name(name: str) -> str:
    """Return `name` in lower case; raise ValueError if a route could not carry it."""
    lower = name.lower()
    if not NAME.fullmatch(lower):
        raise ValueError(f"{name!r} is no worker name; use a letter, then up to 63 of a-z 0-9 _ -")
    if lower in RESERVED:
        raise ValueError(f"{name!r} is a word of the REST routes; give the worker another name")
    return lower


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


class Line(Protocol):
    """What a `Context` needs from the runtime: a line on which it reports."""

    def progress(
        self, done: float | None, total: float | None, unit: str, message: str, stage: str
    ) -> None:
        """Take a progress report; cheap, coalesced on the other side."""

    def log(self, level: str, text: str, stream: str) -> None:
        """Take one or more lines of log."""

    def checkpoint(self, name: str) -> None:
        """Take note that the code reached a checkpoint."""

    def paused(self, name: str) -> None:
        """Record that the code stands still; returns once that is durable."""

    def resumed(self) -> None:
        """Record that the code goes on; returns once that is durable."""

    def waiting(self, what: str) -> None:
        """Record that the code waits for `what`; returns once that is durable."""

    def went_on(self) -> None:
        """Record that the wait is over; returns once that is durable."""


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """What the code may know about the task it runs for."""

    id: str
    worker: str
    attempt: int
    index: int
    execution_id: int
    fence: int
    labels: Mapping[str, str] = field(default_factory=dict)


class Context:
    """The first argument of a worker: its checkpoints, progress, log and files."""

    __slots__ = ("_line", "_logger", "_roots", "params", "task", "token")

    def __init__(
        self,
        *,
        task: TaskInfo,
        params: Mapping[str, Any],
        token: Token,
        line: Line,
        roots: Sequence[str] = (),
    ) -> None:
        self.task = task
        self.params = params
        self.token = token
        self._line = line
        self._roots = roots
        self._logger: ContextLogger | None = None

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked this task to stop; the next checkpoint raises `Cancelled`."""
        return self.token.cancelled

    @property
    def log(self) -> "ContextLogger":
        """A `logging.Logger` look-alike that writes into this execution's log."""
        if self._logger is None:
            self._logger = ContextLogger(self._line)
        return self._logger

    @property
    def files(self) -> "Files":
        """Files below the roots the server was started with; see `tasky.files`."""
        from tasky.files import Files

        return Files(self._roots)

    def checkpoint(self, name: str = "") -> None:
        """Obey a wish, if there is one: stand still while paused, raise `Cancelled` on a cancel.

        Costs well under a microsecond without a wish, so call it in every loop. `name` tells people
        how far the code is.
        """
        if name:
            self._line.checkpoint(name)
        if not self.token.quiet:
            self._obey(name)

    def _obey(self, name: str) -> None:
        self.token.raise_if_cancelled()
        while self.token.paused:
            self._line.paused(name)
            self.token.wait_while_paused()
            self.token.raise_if_cancelled()
            self._line.resumed()

    def sleep(self, seconds: float) -> None:
        """Sleep, but obey a cancel or a pause at once. The time of a pause does not count."""
        left = seconds
        while left > 0:
            self.checkpoint()
            start = time.monotonic()
            self.token.sleep(left)
            left -= time.monotonic() - start
        self.checkpoint()

    def wait(self, event: threading.Event, timeout: float | None = None, what: str = "") -> bool:
        """Wait until `event` is set, shown as `waiting` for `what`; return whether it was.

        Obeys cancel. Returns False after `timeout` seconds.
        """
        until = None if timeout is None else time.monotonic() + timeout
        with self.waiting(what or "an event"):
            while not event.is_set():
                self.token.raise_if_cancelled()
                rest = 0.05 if until is None else min(0.05, until - time.monotonic())
                if rest <= 0:
                    return False
                event.wait(rest)
        return True

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Show the task as `waiting` for `what` while the block runs."""
        self.checkpoint()
        self._line.waiting(what)
        try:
            yield
        finally:
            self._line.went_on()

    def progress(
        self,
        done: float | None = None,
        total: float | None = None,
        *,
        unit: str = "",
        message: str = "",
        stage: str = "",
    ) -> None:
        """Report how far the work is: `done` of `total` in `unit` ("B" is shown as KB, MB, …)."""
        self._line.progress(done, total, unit, message, stage)

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        grace: float = 5.0,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program that dies with the task; its lines go to the log, stdout is returned too.

        No shell. A cancel sends SIGTERM to its process group, SIGKILL after `grace` seconds. Raises
        `Cancelled` then, and `subprocess.CalledProcessError` for an exit code other than 0 if
        `check`.
        """
        from tasky.subprocesses import run

        return run(self, [str(part) for part in argv], cwd=cwd, env=env, check=check, grace=grace)

    def write_line(self, text: str, stream: str = "out", level: str = "info") -> None:
        """Put a line of a stream (out, err) into the log."""
        self._line.log(level, text, stream)


class ContextLogger(logging.LoggerAdapter[logging.Logger]):
    """Gives `debug … exception` with the usual `%` arguments; every line goes to the task's log."""

    def __init__(self, line: Line) -> None:
        super().__init__(logging.getLogger("tasky.task"), {})
        self._line = line

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # the name logging gives it
        return level >= logging.DEBUG

    def log(self, level: int, msg: object, *args: Any, **kwargs: Any) -> None:
        record = self.logger.makeRecord(
            self.logger.name, level, "", 0, msg, args, _exc_info(kwargs.get("exc_info"))
        )
        self._line.log(record.levelname.lower(), _FORMAT.format(record), "log")


_FORMAT = logging.Formatter("%(message)s")


def _exc_info(given: Any) -> Any:
    if isinstance(given, BaseException):
        return (type(given), given, given.__traceback__)
    return sys.exc_info() if given else None
