"""How requests for tasks come in: looked up, checked, written in one transaction."""

import hashlib
import os
from collections.abc import Iterator, Sequence

import msgspec

from tasky.clock import MICROSECONDS, Clock
from tasky.errors import (
    BadRequest,
    ConfigInvalid,
    FieldError,
    Stopping,
    TaskyError,
    WorkerDisabled,
    WorkerUnknown,
)
from tasky.model import Submit, Task
from tasky.runtime.registry import Registered, Registry
from tasky.states import State
from tasky.store import tasks
from tasky.store.database import Database
from tasky.store.tasks import NEW, QUEUED, NewTask, Submission, Submitted

MAX_AT_ONCE = 10_000
MAX_TIMES = 10_000
MAX_ERRORS = 1_000
NO_LABELS: dict[str, str] = {}
_encode = msgspec.json.encode


class Intake:
    """Checks requests against the registry and hands them to the writer."""

    def __init__(self, database: Database, registry: Registry, clock: Clock) -> None:
        self._database = database
        self._registry = registry
        self._clock = clock
        self.closed = False

    def submit(self, requests: Sequence[Submit]) -> tuple[list[NewTask], Submitted]:
        """Write all of `requests` or none; return the tasks as written, and where they went.

        Raises `WorkerUnknown`, `WorkerDisabled`, `ConfigInvalid`, `BadRequest`, `KeyTaken`,
        `IdempotencyMismatch`, `Stopping`, and what the writer raises.
        """
        if self.closed:
            raise Stopping
        if len(requests) > MAX_AT_ONCE:
            raise BadRequest(
                what="the list of tasks", why=f"it has more than {MAX_AT_ONCE} entries"
            )
        new = self._all_checked(requests)
        submission = Submission(new)
        key = requests[0].idempotency_key if requests else None
        if key:
            submission.key, submission.credential = key, requests[0].actor
            submission.request = _hash(requests)
        return new, self._database.write().call_batch(tasks.submit, submission)

    def _all_checked(self, requests: Sequence[Submit]) -> list[NewTask]:
        """Return the rows of all requests; of several, everything that is wrong is said at once."""
        if len(requests) == 1:
            return [self.checked(requests[0])]
        new: list[NewTask] = []
        refusals: list[TaskyError] = []
        for number, request in enumerate(requests):
            try:
                new.append(self.checked(request))
            except (BadRequest, WorkerUnknown) as refusal:
                refusal.errors = tuple(_placed(refusal, number))
                refusals.append(refusal)
        if len(refusals) == 1:
            raise refusals[0]
        if refusals:
            errors = [error for refusal in refusals for error in refusal.errors]
            why = f"{len(refusals)} of its entries are wrong"
            raise BadRequest(what="the list of tasks", why=why, errors=errors[:MAX_ERRORS])
        return new

    def checked(self, request: Submit) -> NewTask:
        """Return the row of a request, or raise what is wrong with it."""
        registered = self._registry.get(request.worker)
        if not registered.enabled:
            reason = registered.disabled_reason
            raise WorkerDisabled(name=registered.spec.name, why=f': "{reason}"' if reason else "")
        self._check_config(registered, request)
        spec = registered.spec
        if _has_options(request):
            _check_options(request)
        timeout_s = request.timeout_s
        return NewTask(
            uid=os.urandom(16).hex(),
            worker=spec.name,
            worker_id=registered.row_id,
            config=_encode(request.config).decode(),
            state=NEW if request.hold else QUEUED,
            priority=request.priority,
            queue=request.queue or registered.queue or spec.queue,
            labels=_encode(request.labels).decode() if request.labels else None,
            key=request.key,
            origin=request.origin,
            actor=request.actor,
            timeout_us=int(timeout_s * MICROSECONDS) if timeout_s else None,
            max_attempts=request.max_attempts or spec.max_attempts,
            not_before=self._not_before(request),
            times=request.times,
        )

    @staticmethod
    def _check_config(registered: Registered, request: Submit) -> None:
        spec = registered.spec
        params = spec.schema.validate(request.config, spec.name)
        if spec.instance is not None:
            try:
                spec.instance.create(params)
            except ValueError as problem:
                errors = [FieldError("", str(problem))]
                raise BadRequest(
                    what=f"the config of {spec.name}", why=str(problem), errors=errors
                ) from None

    def _not_before(self, request: Submit) -> int | None:
        if request.delay_s is not None:
            return self._clock.now() + int(request.delay_s * MICROSECONDS)
        return request.not_before


def _placed(refusal: TaskyError, number: int) -> Iterator[FieldError]:
    """Yield what is wrong with one request of several, with pointers into their list."""
    if isinstance(refusal, WorkerUnknown):
        yield FieldError(f"/{number}/worker", str(refusal))
        return
    inside = "/config" if isinstance(refusal, ConfigInvalid) else ""
    for error in refusal.errors:
        yield FieldError(f"/{number}{inside}{error.pointer}", error.detail)


def _has_options(request: Submit) -> bool:
    """Tell whether anything but worker and config was given; most requests have nothing else."""
    return bool(
        request.labels
        or request.priority
        or request.times != 1
        or request.timeout_s is not None
        or request.delay_s is not None
        or request.not_before is not None
        or request.max_attempts is not None
        or request.key is not None
        or request.queue is not None
        or request.idempotency_key is not None
    )


def _check_options(request: Submit) -> None:
    """Raise `BadRequest` with every option that is out of its bounds."""
    errors = [
        FieldError(f"/{name}", f"must be between {least} and {most}")
        for name, least, most in _BOUNDS
        if (value := getattr(request, name)) is not None and not least <= value <= most
    ]
    errors += [
        FieldError(f"/{name}", f"must have 1 to {most} characters")
        for name, most in _LENGTHS
        if (text := getattr(request, name)) is not None and not 1 <= len(text) <= most
    ]
    if len(request.labels) > 64 or not all(_good_label(*pair) for pair in request.labels.items()):
        limits = "at most 64 labels, keys of 1 to 64, values up to 256 characters of UTF-8"
        errors.append(FieldError("/labels", limits))
    if errors:
        why = "; ".join(f"{e.pointer[1:]} {e.detail}" for e in errors)
        raise BadRequest(what="the request", why=why, errors=errors)


def _good_label(key: str, value: str) -> bool:
    try:
        f"{key}{value}".encode()
    except UnicodeEncodeError:
        return False
    return 1 <= len(key) <= 64 and len(value) <= 256


_YEAR_S = 366 * 86_400
_BOUNDS: tuple[tuple[str, float, float], ...] = (
    ("priority", -100, 100),
    ("times", 1, MAX_TIMES),
    ("timeout_s", 0.001, _YEAR_S),
    ("delay_s", 0, _YEAR_S),
    ("max_attempts", 1, 1_000),
    ("not_before", 0, 1 << 53),
)
_LENGTHS = (("key", 255), ("queue", 64), ("idempotency_key", 255))


def _hash(requests: Sequence[Submit]) -> str:
    return hashlib.sha256(_encode(requests)).hexdigest()


def as_written(new: NewTask, done: Submitted, number: int) -> Task:
    """Return the task that a submission wrote, without reading it back."""
    return Task(
        id=new.uid,
        number=done.first_id + number,
        worker=new.worker,
        status=State(new.state),
        config=msgspec.Raw(new.config),
        max_attempts=new.max_attempts,
        priority=new.priority,
        queue=new.queue,
        labels=msgspec.json.decode(new.labels) if new.labels else NO_LABELS,
        key=new.key,
        timeout_s=new.timeout_us / MICROSECONDS if new.timeout_us else None,
        not_before=new.not_before,
        created_at=done.at,
        queued_at=None if new.state == NEW else done.at,
        result_id=done.first_result + number,
        origin=new.origin,
    )
