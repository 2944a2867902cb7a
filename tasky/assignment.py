"""What the runtime hands to an executor, and what it gets back. Both sides see only this."""

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from tasky.cancel import Cancelled, Reason, Token
from tasky.errors import ConfigInvalid, TaskyError
from tasky.model import Problem
from tasky.states import State
from tasky.worker import Context, Line, TaskInfo, WorkerSpec

INLINE_BYTES = 16 * 1024
"""Outputs up to this size lie in the row of their execution."""
CHUNK_BYTES = 256 * 1024
MAX_OUTPUT_BYTES = 256 * 1024 * 1024


def encodable(text: object) -> str:
    """Return a text that UTF-8 can carry: lone surrogates (odd bytes of file names) are escaped."""
    text = str(text)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


@dataclass(slots=True)
class Outcome:
    """How an execution ended.

    `output` is JSON unless it is large or bytes, then it comes in chunks.
    """

    state: State
    output: str | None = None
    kind: str | None = None
    size: int | None = None
    chunks: Sequence[bytes] = ()
    problem: Problem | None = None
    exit_code: int | None = None
    retryable: bool = False


class Reporter(Line, Protocol):
    """The line of a context, with the report that ends it."""

    def finish(self, outcome: Outcome) -> None:
        """Take the outcome; the first one counts."""


@dataclass(slots=True)
class Assignment:
    """One execution in the hands of an executor. `config` and `labels` are JSON as stored."""

    spec: WorkerSpec
    config: str
    task_id: str
    execution_id: int
    fence: int
    attempt: int
    index: int
    labels: str | None
    token: Token
    reporter: Reporter
    roots: Sequence[str] = field(default=())

    def context(self, params: Mapping[str, Any]) -> Context:
        """Make the context for the code."""
        info = TaskInfo(
            id=self.task_id,
            worker=self.spec.name,
            attempt=self.attempt,
            index=self.index,
            execution_id=self.execution_id,
            fence=self.fence,
            labels=msgspec.json.decode(self.labels) if self.labels else {},
        )
        return Context(
            task=info, params=params, token=self.token, line=self.reporter, roots=self.roots
        )

    def call(self) -> Outcome:
        """Run the code in this thread; whatever it does becomes an outcome."""
        try:
            params = self.spec.schema.validate(msgspec.json.decode(self.config), self.spec.name)
            if self.spec.takes_context:
                value = self.spec.function(self.context(params), **params)
            else:
                value = self.spec.function(**params)
            return succeeded(value)
        except Cancelled as stop:
            return stopped(stop)
        except BaseException as problem:  # noqa: BLE001  # SystemExit and the like must not end a pool thread
            return failed(problem, self.spec)


_END_OF = {Reason.TIMEOUT: State.TIMED_OUT, Reason.KILLED: State.KILLED}


def stopped(stop: Cancelled) -> Outcome:
    """Return the outcome of code that obeyed a wish to stop."""
    kind = _KIND.get(stop.reason, "Cancelled")
    problem = Problem(kind, encodable(stop.text or _WHY[stop.reason]))
    return Outcome(_END_OF.get(stop.reason, State.CANCELLED), problem=problem)


_KIND = {Reason.TIMEOUT: "TimedOut", Reason.KILLED: "Killed"}
_WHY = {
    Reason.USER: "stopped at a checkpoint because somebody cancelled it",
    Reason.TIMEOUT: "stopped at a checkpoint because its time was over",
    Reason.SHUTDOWN: "stopped at a checkpoint because the server was stopped",
    Reason.KILLED: "stopped at a checkpoint after it was killed",
}


def failed(problem: BaseException, spec: WorkerSpec) -> Outcome:
    """Return the outcome of code that raised."""
    code = getattr(problem, "returncode", None)
    return Outcome(
        State.FAILED,
        problem=Problem(type(problem).__name__, _message(problem), _traceback(problem)),
        exit_code=code if isinstance(code, int) else None,
        retryable=isinstance(problem, Exception)
        and not isinstance(problem, (ConfigInvalid, *spec.no_retry)),
    )


def _message(problem: BaseException) -> str:
    try:
        text = str(problem) or type(problem).__name__
    except Exception:  # noqa: BLE001  # the exception is somebody else's code too
        text = f"{type(problem).__name__}, and its message could not be made"
    errors = problem.errors if isinstance(problem, TaskyError) else ()
    return encodable(" ".join([text, *(f"{e.pointer}: {e.detail}" for e in errors)]))


def _traceback(problem: BaseException) -> str:
    # The first frame is ours; the author of a worker looks for his own.
    frames = problem.__traceback__.tb_next if problem.__traceback__ else None
    return encodable("".join(traceback.format_exception(type(problem), problem, frames))[-16_000:])


def succeeded(value: Any) -> Outcome:
    """Return the outcome of code that returned `value`: JSON, text or bytes.

    Raises TypeError when the value is none of these.
    """
    if value is None:
        return Outcome(State.SUCCEEDED)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _large(bytes(value), "bytes")
    if isinstance(value, str):
        return _text(value)
    try:
        data = msgspec.json.encode(value, enc_hook=str)
    except (TypeError, ValueError) as problem:
        raise TypeError(f"the output cannot be written as JSON: {problem}") from None
    if len(data) <= INLINE_BYTES:
        return Outcome(State.SUCCEEDED, data.decode(), "json", len(data))
    return _large(data, "json")


def _text(value: str) -> Outcome:
    data = value.encode("utf-8", "surrogateescape")
    try:
        inline = msgspec.json.encode(value).decode() if len(data) <= INLINE_BYTES else None
    except UnicodeEncodeError:
        return _large(data, "bytes")
    if inline is None:
        return _large(data, "text")
    return Outcome(State.SUCCEEDED, inline, "text", len(data))


def _large(data: bytes, kind: str) -> Outcome:
    if len(data) > MAX_OUTPUT_BYTES:
        raise ValueError(
            f"the output has {len(data)} bytes, more than {MAX_OUTPUT_BYTES}; "
            "write it to a file instead"
        )
    chunks = [data[n : n + CHUNK_BYTES] for n in range(0, len(data), CHUNK_BYTES)]
    return Outcome(State.SUCCEEDED, None, kind, len(data), chunks)
