"""Workers: what there is, what it takes, what it did; and the short way to a task."""

from typing import Any

from msgspec import UNSET

from tasky.client import wire
from tasky.model import Submit, Task
from webapi.answers import Answer, etag, json
from webapi.asked import Asked
from webapi.auth import Role
from webapi.forms import WorkerForm
from webapi.params import Params
from webapi.table import API, Table

LATEST = 20
"""Tasks that the page of a worker shows."""

OPTIONS = (
    "wait", "hold", "times", "priority", "timeout", "not_before", "delay", "queue", "key",
    "max_attempts", "dry_run",
)  # fmt: skip
LABEL = "label."


def register(table: Table) -> None:
    one = f"{API}/workers/<name>"
    table.add("GET", f"{API}/workers", handler=all_workers, role=Role.VIEWER)
    table.add("GET", one, handler=one_worker, role=Role.VIEWER)
    table.add("POST", one, handler=run, role=Role.OPERATOR)
    table.add("PATCH", one, handler=change, role=Role.ADMIN)
    table.add("GET", f"{one}/info", handler=info, role=Role.VIEWER)
    table.add("GET", f"{one}/statistics", handler=statistics, role=Role.VIEWER)


def register_alias(table: Table) -> None:
    """Add go-tasky's spelling; it fits most two-part paths, so it must come last."""
    table.add("GET", f"{API}/<name>/statistics", handler=statistics, role=Role.VIEWER)


def all_workers(asked: Asked) -> Answer:
    asked.params()
    return json(wire.workers(*asked.client.workers()))


def one_worker(asked: Asked, name: str) -> Answer:
    asked.params()
    worker = asked.client.worker(name)
    latest = asked.client.tasks(f"worker:{worker.name}", limit=LATEST)
    # No 304 here: the tag is the worker's, the tasks beside it change without it.
    return json(
        {"worker": wire.worker(worker), "tasks": [wire.task(task) for task in latest.items]},
        200,
        etag(worker.version),
    )


def info(asked: Asked, name: str) -> Answer:
    asked.params()
    return json(wire.worker_info(asked.client.worker(name)))


def statistics(asked: Asked, name: str) -> Answer:
    since = asked.params("since").moment("since")
    return json(wire.worker_stats(asked.client.worker_stats(name, since)))


def change(asked: Asked, name: str) -> Answer:
    asked.params()
    form = asked.form(WorkerForm)
    given: dict[str, Any] = {
        field: value
        for field in form.__struct_fields__
        if (value := getattr(form, field)) is not UNSET
    }
    worker = asked.client.change_worker(name, **given, version=asked.if_match())
    return json(wire.worker(worker), 200, etag(worker.version))


def run(asked: Asked, name: str) -> Answer:
    """Make a task of the config in the body; with `wait`, answer with its end."""
    params = asked.params(*OPTIONS, prefix=LABEL)
    seconds = params.wait()
    request = _request(name, asked.optional_object(), params, asked.idempotency_key())
    if params.flag("dry_run"):
        asked.client.check(request)
        return json({"valid": True})
    client = asked.client
    submitted = client.submit(request)
    if not seconds:
        return created(submitted)
    task = asked.wait(seconds, lambda s: client.wait(submitted.id, s), lambda now: now.ended)
    headers = (location(task), etag(task.version), *replay(submitted))
    return json(wire.task(task), 200 if task.ended else 202, *headers)


def _request(name: str, config: dict[str, Any], params: Params, key: str | None) -> Submit:
    attempts = params.number("max_attempts", 0, 1, 1_000)
    return Submit(
        worker=name,
        config=config,
        timeout_s=params.seconds("timeout", low=0.001),
        priority=params.number("priority", 0, -100, 100),
        queue=params.maybe("queue") or None,
        labels=params.labels(LABEL),
        not_before=params.time("not_before"),
        delay_s=params.seconds("delay"),
        times=params.number("times", 1, 1, 10_000),
        hold=params.flag("hold"),
        key=params.maybe("key") or None,
        max_attempts=attempts or None,
        idempotency_key=key,
    )


def location(task: Task) -> tuple[str, str]:
    return ("Location", f"{API}/task/{task.id}")


def replay(task: Task) -> tuple[tuple[str, str], ...]:
    """Return the header that says that nothing new was made."""
    return (("Idempotency-Replayed", "true"),) if task.replayed else ()


def created(task: Task) -> Answer:
    return json(wire.task(task), 201, location(task), etag(task.version), *replay(task))
