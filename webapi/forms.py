"""The shapes of JSON bodies; every wrong field is named, not only the first."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from tasky.errors import FieldError, nearest
from tasky.model import Submit
from webapi.body import MAX_SHOWN, escape, refusal
from webapi.params import iso_moment

F = TypeVar("F", bound=Struct)

_YEAR_S = 366 * 86_400

Key = Annotated[str, Meta(min_length=1, max_length=255)]
Times = Annotated[int, Meta(ge=1, le=10_000)]
Attempts = Annotated[int, Meta(ge=1, le=1_000)]
Priority = Annotated[int, Meta(ge=-100, le=100)]
Queue = Annotated[str, Meta(min_length=1, max_length=64)]
Timeout = Annotated[float, Meta(gt=0, le=_YEAR_S)]
Delay = Annotated[float, Meta(ge=0, le=_YEAR_S)]


class TaskForm(Struct, forbid_unknown_fields=True, kw_only=True):
    """A request for a task."""

    worker: str
    config: dict[str, Any] = {}
    timeout_s: Timeout | None = None
    priority: Priority = 0
    queue: Queue | None = None
    labels: dict[str, str] = {}
    not_before: str | None = None
    delay_s: Delay | None = None
    times: Times = 1
    hold: bool = False
    key: Key | None = None
    max_attempts: Attempts | None = None
    idempotency_key: Key | None = None

    def submit(self, idempotency_key: str | None = None) -> Submit:
        """Return what the client takes; the key of the header counts before the one of the body."""
        moment = self.not_before
        return Submit(
            worker=self.worker,
            config=self.config,
            timeout_s=self.timeout_s,
            priority=self.priority,
            queue=self.queue,
            labels=self.labels,
            not_before=None if moment is None else iso_moment(moment, "not_before"),
            delay_s=self.delay_s,
            times=self.times,
            hold=self.hold,
            key=self.key,
            max_attempts=self.max_attempts,
            idempotency_key=idempotency_key or self.idempotency_key,
        )


class ActionForm(Struct, forbid_unknown_fields=True, kw_only=True):
    """An action on one task."""

    action: str
    times: Times = 1
    config: dict[str, Any] | None = None
    reason: Annotated[str, Meta(max_length=2_000)] = ""
    expect_status: str | None = None


class CancelForm(Struct, forbid_unknown_fields=True, kw_only=True):
    """The optional body of the short way to cancel."""

    reason: Annotated[str, Meta(max_length=2_000)] = ""


class BulkForm(Struct, forbid_unknown_fields=True, kw_only=True):
    """An action on all tasks that fit a query."""

    q: str
    action: str
    dry_run: bool = False
    reason: Annotated[str, Meta(max_length=2_000)] = ""
    tz: str | None = None


class ConfigForm(Struct, forbid_unknown_fields=True, kw_only=True):
    """A new config for a task that has not started."""

    config: dict[str, Any]


class WorkerForm(Struct, forbid_unknown_fields=True, kw_only=True):
    """What can be changed of a worker while it works."""

    enabled: bool | UnsetType = UNSET
    reason: Annotated[str, Meta(max_length=2_000)] | UnsetType = UNSET
    max_running: Annotated[int, Meta(ge=1, le=100_000)] | UnsetType = UNSET
    queue: Queue | UnsetType = UNSET


def fill(form: type[F], value: Any, pointer: str = "") -> F:
    """Return `value` as a `form`. Raises `BadRequest` with every wrong field."""
    try:
        return msgspec.convert(value, form)
    except msgspec.ValidationError:
        raise refusal(flaws(form, value, pointer)) from None


def fill_many(form: type[F], values: list[Any]) -> list[F]:
    """Return all of `values` as forms. Raises `BadRequest` with the wrong fields of all."""
    try:
        return msgspec.convert(values, list[form])  # type: ignore[valid-type]  # known at run time only
    except msgspec.ValidationError:
        errors: list[FieldError] = []
        for number, value in enumerate(values):
            errors += flaws(form, value, f"/{number}")
            if len(errors) >= MAX_SHOWN:
                break
        raise refusal(errors[:MAX_SHOWN]) from None


def flaws(form: type[Struct], value: Any, pointer: str) -> Iterator[FieldError]:
    """Yield what keeps `value` from being a `form`."""
    if not isinstance(value, dict):
        yield FieldError(pointer, "Must be an object.")
        return
    fields = {field.name: field for field in msgspec.structs.fields(form)}
    for name in value:
        if name not in fields:
            yield FieldError(
                f"{pointer}/{escape(name)}",
                f"There is no field {name[:64]}.{nearest(name, fields)}",
            )
    for name, field in fields.items():
        if name in value:
            yield from _flaw(field.type, value[name], f"{pointer}/{name}")
        elif field.required:
            yield FieldError(f"{pointer}/{name}", "Is missing.")


def _flaw(kind: Any, value: Any, pointer: str) -> Iterator[FieldError]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as problem:
        sentence, _, where = str(problem).partition(" - at ")
        detail = sentence.replace("Expected", "Must be").replace("`", "")
        yield FieldError(pointer + _pointer(where), f"{detail}.")


def _pointer(where: str) -> str:
    """Return msgspec's path (`$.a[0]`) as a JSON pointer; `[...]` is some key of an object."""
    return "".join(f"/{escape(part)}" for part in re.findall(r"[^\]\[.$`]+", where))
