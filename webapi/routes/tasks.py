"""Tasks: lists, submits, bulk actions, and everything about one task."""

from typing import Any

from tasky.client import wire
from tasky.client.base import Output
from tasky.errors import BadRequest
from tasky.model import Outcome, Task
from webapi.answers import Answer, Header, etag, json
from webapi.asked import Asked
from webapi.auth import Role
from webapi.body import MAX_BYTES_TASKS
from webapi.forms import ActionForm, BulkForm, CancelForm, ConfigForm, TaskForm, fill, fill_many
from webapi.routes.workers import created, replay
from webapi.table import API, Table

MAX_LINES = 5_000
MAX_EVENTS = 1_000
NEWEST = 1 << 62
"""Larger than every ordinal, and still a number for the store."""

MEDIA_TYPES = {
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
    "bytes": "application/octet-stream",
}


def register(table: Table) -> None:
    view, do = Role.VIEWER, Role.OPERATOR
    table.add("GET", f"{API}/tasks", handler=some, role=view)
    table.add("POST", f"{API}/tasks", handler=submit, role=do)
    table.add("POST", f"{API}/tasks/actions", handler=act_many, role=do)
    # The document of go-tasky says task/{id}, its code tasks/{id}; both have users.
    for one in (f"{API}/task/<id>", f"{API}/tasks/<id>"):
        table.add("GET", one, handler=whole, role=view)
        table.add("PUT", one, handler=change, role=do)
        table.add("DELETE", one, handler=delete, role=do)
        table.add("POST", f"{one}/actions", handler=act, role=do)
        table.add("POST", f"{one}/cancel", handler=cancel, role=do)
        for name, handler in _PARTS.items():
            table.add("GET", f"{one}/{name}", handler=handler, role=view)


# -- many --------------------------------------------------------------------------------------


def some(asked: Asked) -> Answer:
    params = asked.params("q", "sort", "order", "limit", "cursor", "tz")
    page = asked.client.tasks(
        params.text("q"),
        sort=params.text("sort", "created"),
        order=params.text("order", "desc"),
        limit=params.number("limit", 50, 1, 500),
        cursor=params.maybe("cursor"),
        tz=params.maybe("tz"),
    )
    return json(wire.page(page, wire.task))


def submit(asked: Asked) -> Answer:
    """Take one task, or an array of them in one transaction; a dry run only checks."""
    dry_run = asked.params("dry_run").flag("dry_run")
    given, key = asked.json(MAX_BYTES_TASKS), asked.idempotency_key()
    if not isinstance(given, list):
        request = fill(TaskForm, given).submit(key)
        if dry_run:
            asked.client.check(request)
            return json({"valid": True})
        return created(asked.client.submit(request))
    requests = [form.submit(key) for form in fill_many(TaskForm, given)]
    if dry_run:
        for request in requests:
            asked.client.check(request)
        return json({"valid": True})
    tasks = asked.client.submit_many(requests)
    return json(
        {"items": [wire.task(task) for task in tasks]}, 201, *replay(tasks[0]) if tasks else ()
    )


def act_many(asked: Asked) -> Answer:
    asked.params()
    form = asked.form(BulkForm)
    found = asked.client.act_many(
        form.q, form.action, reason=form.reason, dry_run=form.dry_run, tz=form.tz
    )
    return json({"items": [wire.outcome(o) for o in found], "counts": _counts(found)})


def _counts(found: list[Outcome]) -> dict[str, int]:
    done = sum(outcome.done for outcome in found)
    return {"matched": len(found), "done": done, "refused": len(found) - done}


# -- one ---------------------------------------------------------------------------------------


def whole(asked: Asked, id: str) -> Answer:  # noqa: A002  # the word of the route
    asked.params()
    task = asked.client.task(id)
    if asked.has(task.version):
        return Answer(b"", 304, (etag(task.version),))
    return _task(task)


def change(asked: Asked, id: str) -> Answer:  # noqa: A002
    """Replace the config before the start; with an action instead, do that."""
    seconds = asked.params("wait").wait()
    given = asked.json()
    if isinstance(given, dict) and "action" in given:
        return _act(asked, id, fill(ActionForm, given), seconds)
    form = fill(ConfigForm, given)
    return _task(asked.client.set_config(id, form.config, version=asked.if_match()))


def delete(asked: Asked, id: str) -> Answer:  # noqa: A002
    asked.params()
    asked.client.delete(id, version=asked.if_match())
    return Answer(b"", 204)


def act(asked: Asked, id: str) -> Answer:  # noqa: A002
    seconds = asked.params("wait").wait()
    return _act(asked, id, asked.form(ActionForm), seconds)


def cancel(asked: Asked, id: str) -> Answer:  # noqa: A002
    seconds = asked.params("wait").wait()
    form = fill(CancelForm, asked.optional_object())
    return _act(asked, id, ActionForm(action="cancel", reason=form.reason), seconds)


def _act(asked: Asked, id: str, form: ActionForm, seconds: float) -> Answer:  # noqa: A002
    version = asked.if_match()

    def call(wait_s: float) -> Task:
        return asked.client.act(
            id, form.action, times=form.times, config=form.config, reason=form.reason,
            expect_status=form.expect_status, version=version, wait_s=wait_s,
        )  # fmt: skip

    return _task(asked.act(seconds, call))


def _task(task: Task) -> Answer:
    return json(wire.task(task), 200, etag(task.version))


# -- parts of one ------------------------------------------------------------------------------


def status(asked: Asked, id: str) -> Answer:  # noqa: A002
    """Say how the task is; with `wait` and `version`, once it is another version."""
    params = asked.params("wait", "version")
    version = params.number("version", -1, 0, NEWEST)
    seconds = params.wait()
    if seconds and version < 0:
        version = asked.client.task(id).version
    if not seconds:
        task = asked.client.task(id)
    else:
        client = asked.client
        task = asked.wait(
            seconds, lambda s: client.wait_change(id, version, s), lambda t: t.version != version
        )
    if not seconds and asked.has(task.version):
        return Answer(b"", 304, (etag(task.version),))
    return json(wire.status(task), 200, etag(task.version))


def statistics(asked: Asked, id: str) -> Answer:  # noqa: A002
    asked.params()
    return json(wire.task_stats(asked.client.task_stats(id)))


def output(asked: Asked, id: str) -> Answer:  # noqa: A002
    """Send the output as what it is; 204 while there is none."""
    asked.params()
    found = asked.client.output(id)
    if found.kind is None:
        return Answer(b"", 204)
    return Answer(found.chunks, 200, _output_headers(found, id), MEDIA_TYPES[found.kind])


def _output_headers(found: Output, id: str) -> tuple[Header, ...]:  # noqa: A002
    headers = (("Content-Length", str(found.size)), ("Tasky-Output-Kind", str(found.kind)))
    if found.kind != "bytes":
        return headers
    # The client found the task, so the id is hexadecimal and safe in a header.
    return (*headers, ("Content-Disposition", f'attachment; filename="{id}.bin"'))


def result(asked: Asked, id: str) -> Answer:  # noqa: A002
    """Tell how the task came out, whatever came of it."""
    asked.params()
    form = wire.task(asked.client.task(id))
    return json({name: form[name] for name in _RESULT})


_RESULT = ("task_id", "status", "output", "output_kind", "output_size", "error", "exit_code")


def log(asked: Asked, id: str) -> Answer:  # noqa: A002
    params = asked.params("after", "limit", "tail", "wait")
    limit = params.number("limit", 1_000, 1, MAX_LINES)
    client, seconds = asked.client, params.wait()
    if "tail" in params:
        if seconds or "after" in params:
            raise BadRequest(what="the query", why="tail goes with neither after nor wait")
        lines = client.log(id, tail=params.number("tail", 0, 1, MAX_LINES))
    else:
        after = params.number("after", 0, 0, NEWEST)
        lines = asked.wait(
            seconds,
            lambda s: client.log(id, after=after, limit=limit, wait_s=s),
            lambda found: bool(found) or client.task(id).ended,
        )
    return json({"items": [wire.log_line(line) for line in lines]})


def events(asked: Asked, id: str) -> Answer:  # noqa: A002
    params = asked.params("after", "limit", "wait")
    return history(asked, params.number("after", 0, 0, NEWEST), params, task=id)


def history(asked: Asked, after: int, params: Any, task: str | None = None) -> Answer:
    """Answer with the events after an ordinal, and with the newest there is."""
    client, limit = asked.client, params.number("limit", 500, 1, MAX_EVENTS)
    found = asked.wait(
        params.wait(),
        lambda s: client.events(after=after, task=task, limit=limit, wait_s=s),
        bool,
    )
    return json({"items": [wire.event(event) for event in found], "newest": client.newest_event()})


def results(asked: Asked, id: str) -> Answer:  # noqa: A002
    asked.params()
    return json({"items": [wire.result(r) for r in asked.client.results(id)]})


def executions(asked: Asked, id: str) -> Answer:  # noqa: A002
    asked.params()
    return json({"items": [wire.execution(e) for e in asked.client.executions(id)]})


def why(asked: Asked, id: str) -> Answer:  # noqa: A002
    asked.params()
    return json(wire.why(asked.client.why(id)))


def stack(asked: Asked, id: str) -> Answer:  # noqa: A002
    asked.params()
    return json({"frames": asked.client.stack(id)})


_PARTS = {
    "status": status,
    "statistics": statistics,
    "output": output,
    "result": result,
    "log": log,
    "events": events,
    "results": results,
    "executions": executions,
    "why": why,
    "stack": stack,
}
"""What there is below a task."""
