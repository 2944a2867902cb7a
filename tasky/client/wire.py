"""The one JSON form of everything: what REST sends, what `--json` prints, what a REST client reads.

Names are snake_case, times ISO 8601 UTC with milliseconds, durations seconds. Models use µs inside,
so a value that went over the wire comes back rounded to the millisecond.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tasky.clock import MICROSECONDS, from_iso, iso
from tasky.errors import FieldError, TaskyError
from tasky.model import (
    Bucket,
    ErrorCount,
    Event,
    Execution,
    LogLine,
    NotLoaded,
    Outcome,
    Page,
    Problem,
    Progress,
    Result,
    Slow,
    Stats,
    Submit,
    Summary,
    Task,
    TaskStats,
    Why,
    Worker,
    WorkerStats,
)
from tasky.states import State

Json = dict[str, Any]


def dumps(value: Any, *, indent: bool = False) -> bytes:
    """Return JSON bytes of a wire form; `indent` for people."""
    data = msgspec.json.encode(value)
    return msgspec.json.format(data, indent=2) if indent else data


# -- to the wire -----------------------------------------------------------------------------------


def task(t: Task) -> Json:
    """Return a task, whole or shortened."""
    form: Json = {
        "task_id": t.id,
        "worker": t.worker,
        "status": t.status,
        "config": t.config,
        "output": t.output,
        "output_kind": t.output_kind,
        "output_size": t.output_size,
        "error": problem(t.error),
        "exit_code": t.exit_code,
        "progress": progress(t.progress),
        "cancel_requested_at": moment(t.cancel_requested_at),
        "pause_requested_at": moment(t.pause_requested_at),
        "attempt": t.attempt,
        "max_attempts": t.max_attempts,
        "priority": t.priority,
        "queue": t.queue,
        "labels": t.labels,
        "key": t.key,
        "timeout_s": t.timeout_s,
        "not_before": moment(t.not_before),
        "created_at": moment(t.created_at),
        "queued_at": moment(t.queued_at),
        "started_at": moment(t.started_at),
        "ended_at": moment(t.ended_at),
        "run_s": t.run_s,
        "wait_s": t.wait_s,
        "result_id": t.result_id,
        "execution_id": t.execution_id,
        "job_id": t.job_id,
        "chain_id": t.chain_id,
        "parent_id": t.parent_id,
        "origin": t.origin,
        "number": t.number,
        "links": {
            "self": f"/tasky/v1/task/{t.id}",
            "output": f"/tasky/v1/task/{t.id}/output",
            "log": f"/tasky/v1/task/{t.id}/log",
            "worker": f"/tasky/v1/workers/{t.worker}",
        },
        "version": t.version,
    }
    if t.truncated:
        form["truncated"] = True
    return form


def status(t: Task) -> Json:
    """Return the short form of a task for who polls."""
    return {
        "task_id": t.id,
        "status": t.status,
        "progress": progress(t.progress),
        "cancel_requested_at": moment(t.cancel_requested_at),
        "pause_requested_at": moment(t.pause_requested_at),
        "version": t.version,
    }


def problem(p: Problem | None) -> Json | None:
    return None if p is None else {"type": p.type, "message": p.message, "traceback": p.traceback}


def progress(p: Progress | None) -> Json | None:
    if p is None:
        return None
    return {
        "done": p.done,
        "total": p.total,
        "unit": p.unit,
        "percent": p.percent,
        "message": p.message,
        "stage": p.stage,
        "at": moment(p.at),
        "rate": p.rate,
        "eta_s": p.eta_s,
    }


def worker(w: Worker) -> Json:
    return {
        "name": w.name,
        "title": w.title,
        "description": w.description,
        "usage": w.usage,
        "executor": w.executor,
        "enabled": w.enabled,
        "disabled_reason": w.disabled_reason,
        "max_running": w.max_running,
        "queue": w.queue,
        "supports": list(w.supports),
        "config_schema": w.config_schema,
        "sample_config": w.sample_config,
        "timeout_s": w.timeout_s,
        "max_attempts": w.max_attempts,
        "idempotent": w.idempotent,
        "version": w.version,
    }


def worker_info(w: Worker) -> Json:
    return {
        "name": w.name,
        "description": w.description,
        "usage": w.usage,
        "config_schema": w.config_schema,
        "sample_config": w.sample_config,
        "examples": [w.sample_config, *w.examples],
    }


def workers(found: Sequence[Worker], not_loaded: Sequence[NotLoaded]) -> Json:
    return {
        "items": [worker(w) for w in found],
        "not_loaded": [{"module": n.module, "error": n.error} for n in not_loaded],
    }


def result(r: Result) -> Json:
    return {
        "result_id": r.id,
        "task_id": r.task_id,
        "times": r.times,
        "status": r.status,
        "submitted_at": moment(r.submitted_at),
        "started_at": moment(r.started_at),
        "ended_at": moment(r.ended_at),
    }


def execution(e: Execution) -> Json:
    return {
        "execution_id": e.id,
        "result_id": e.result_id,
        "task_id": e.task_id,
        "index": e.index,
        "attempt": e.attempt,
        "status": e.status,
        "queued_at": moment(e.queued_at),
        "started_at": moment(e.started_at),
        "ended_at": moment(e.ended_at),
        "error": problem(e.error),
        "exit_code": e.exit_code,
        "place": e.place,
    }


def event(e: Event) -> Json:
    return {
        "id": e.id,
        "at": moment(e.at),
        "name": e.name,
        "actor": e.actor,
        "task_id": e.task_id,
        "execution_id": e.execution_id,
        "object": e.object,
        "state": e.state,
        "payload": e.payload,
    }


def log_line(line: LogLine) -> Json:
    return {
        "seq": line.seq,
        "at": moment(line.at),
        "level": line.level,
        "stream": line.stream,
        "text": line.text,
    }


def why(w: Why) -> Json:
    return {"reason": w.reason, "text": w.text, "blockers": w.blockers}


def page(p: Page[Any], form: Callable[[Any], Json]) -> Json:
    return {
        "items": [form(item) for item in p.items],
        "next_cursor": p.next_cursor,
        "total": p.total,
        "total_is_exact": p.total_is_exact,
    }


def summary(s: Summary) -> Json:
    return {"mean": s.mean, "min": s.min, "max": s.max, "p50": s.p50, "p95": s.p95, "p99": s.p99}


def worker_stats(s: WorkerStats) -> Json:
    return {
        "worker": s.worker,
        "total": s.total,
        "by_status": s.by_status,
        "failure_rate": s.failure_rate,
        "run_s": summary(s.run_s),
        "wait_s": summary(s.wait_s),
        "throughput_per_min": s.throughput_per_min,
        "last_error": s.last_error,
        "since": moment(s.since),
    }


def task_stats(s: TaskStats) -> Json:
    return {
        "task_id": s.task_id,
        "queued_s": s.queued_s,
        "running_s": s.running_s,
        "paused_s": s.paused_s,
        "waiting_s": s.waiting_s,
        "executions": s.executions,
        "run_s": summary(s.run_s),
    }


def stats(s: Stats) -> Json:
    form: Json = {
        "since": moment(s.since),
        "until": moment(s.until),
        "total": s.total,
        "by_status": s.by_status,
        "failure_rate": s.failure_rate,
        "throughput_per_min": s.throughput_per_min,
        "run_s": summary(s.run_s),
        "wait_s": summary(s.wait_s),
        "workers": [worker_stats(w) for w in s.workers],
        "top_errors": [
            {"error": e.error, "count": e.count, "last_at": moment(e.last_at)} for e in s.top_errors
        ],
        "slowest": [
            {"task_id": slow.task_id, "worker": slow.worker, "run_s": slow.run_s}
            for slow in s.slowest
        ],
        "oldest_queued_s": s.oldest_queued_s,
    }
    if s.series:
        form["series"] = [_bucket(b) for b in s.series]
    return form


def _bucket(b: Bucket) -> Json:
    return {
        "at": b.key,
        "total": b.total,
        "by_status": b.by_status,
        "failure_rate": b.failure_rate,
        "run_s": summary(b.run_s),
        "wait_s": summary(b.wait_s),
    }


def outcome(o: Outcome) -> Json:
    return {"task_id": o.task_id, "done": o.done, "status": o.status, "detail": o.detail}


def error(e: TaskyError) -> Json:
    """Return a problem document. Source: RFC 9457."""
    form: Json = {
        "type": f"urn:tasky:error:{e.code}",
        "title": e.code.replace("_", " "),
        "status": e.status,
        "code": e.code,
        "detail": str(e),
    }
    form["errors"] = [{"pointer": f.pointer, "detail": f.detail} for f in e.errors]
    if "actions" in e.fields:
        form["actions"] = list(e.fields["actions"])
    return form


def submit(s: Submit) -> Json:
    """Return a request for a task; options that have their default are left out."""
    form: Json = {"worker": s.worker, "config": s.config}
    for name in _OPTIONS:
        value = getattr(s, name)
        if value != _DEFAULTS[name]:
            form[name] = moment(value) if name == "not_before" else value
    return form


_OPTIONS = [
    "timeout_s",
    "priority",
    "queue",
    "labels",
    "not_before",
    "delay_s",
    "times",
    "hold",
    "key",
    "max_attempts",
    "idempotency_key",
]
_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Submit)} | {"labels": {}}


def moment(at: int | None) -> str | None:
    """Return µs as ISO text, null for null."""
    return None if at is None else iso(at)


# -- from the wire ---------------------------------------------------------------------------------


def to_task(form: Mapping[str, Any]) -> Task:
    """Make a task of its JSON form."""
    rest: Json = {name: form.get(name) for name in _TASK_PLAIN}
    rest |= {name: to_moment(form[name]) for name in _TASK_TIMES}
    return Task(
        id=form["task_id"],
        number=form.get("number", 0),
        worker=form["worker"],
        status=State(form["status"]),
        config=_raw(form["config"]),
        output=None if form["output"] is None else _raw(form["output"]),
        output_kind=form.get("output_kind"),
        output_size=form.get("output_size"),
        error=to_problem(form["error"]),
        exit_code=form["exit_code"],
        progress=to_progress(form["progress"]),
        labels=form["labels"],
        truncated=form.get("truncated", False),
        **rest,
    )


_TASK_TIMES = [
    "cancel_requested_at",
    "pause_requested_at",
    "not_before",
    "created_at",
    "queued_at",
    "started_at",
    "ended_at",
]
_TASK_PLAIN = [
    "attempt",
    "max_attempts",
    "priority",
    "queue",
    "key",
    "timeout_s",
    "result_id",
    "execution_id",
    "job_id",
    "chain_id",
    "parent_id",
    "origin",
    "version",
]


def to_problem(form: Mapping[str, Any] | None) -> Problem | None:
    return (
        None if form is None else Problem(form["type"], form["message"], form.get("traceback", ""))
    )


def to_progress(form: Mapping[str, Any] | None) -> Progress | None:
    if form is None:
        return None
    return Progress(
        done=form["done"],
        total=form["total"],
        unit=form["unit"],
        message=form["message"],
        stage=form["stage"],
        at=to_moment(form["at"]) or 0,
        rate=form["rate"],
        eta_s=form["eta_s"],
    )


def to_worker(form: Mapping[str, Any]) -> Worker:
    plain = {f.name: form[f.name] for f in msgspec.structs.fields(Worker) if f.name in form}
    return Worker(**{**plain, "supports": tuple(form["supports"])})


def to_not_loaded(form: Mapping[str, Any]) -> NotLoaded:
    return NotLoaded(form["module"], form["error"])


def to_result(form: Mapping[str, Any]) -> Result:
    return Result(
        id=form["result_id"],
        task_id=form["task_id"],
        times=form["times"],
        status=State(form["status"]),
        submitted_at=to_moment(form["submitted_at"]) or 0,
        started_at=to_moment(form["started_at"]),
        ended_at=to_moment(form["ended_at"]),
    )


def to_execution(form: Mapping[str, Any]) -> Execution:
    return Execution(
        id=form["execution_id"],
        result_id=form["result_id"],
        task_id=form["task_id"],
        index=form["index"],
        attempt=form["attempt"],
        status=State(form["status"]),
        queued_at=to_moment(form["queued_at"]),
        started_at=to_moment(form["started_at"]),
        ended_at=to_moment(form["ended_at"]),
        error=to_problem(form["error"]),
        exit_code=form["exit_code"],
        place=form["place"],
    )


def to_event(form: Mapping[str, Any]) -> Event:
    return Event(
        id=form["id"],
        at=to_moment(form["at"]) or 0,
        name=form["name"],
        actor=form["actor"],
        task_id=form["task_id"],
        execution_id=form["execution_id"],
        object=form["object"],
        state=State(form["state"]) if form["state"] else None,
        payload=form["payload"],
    )


def to_log_line(form: Mapping[str, Any]) -> LogLine:
    return LogLine(
        seq=form["seq"],
        at=to_moment(form["at"]) or 0,
        level=form["level"],
        stream=form["stream"],
        text=form["text"],
    )


def to_why(form: Mapping[str, Any]) -> Why:
    return Why(reason=form["reason"], text=form["text"], blockers=form["blockers"])


def to_page(form: Mapping[str, Any], item: Callable[[Any], Any]) -> Page[Any]:
    return Page(
        items=[item(entry) for entry in form["items"]],
        next_cursor=form["next_cursor"],
        total=form["total"],
        total_is_exact=form["total_is_exact"],
    )


def to_summary(form: Mapping[str, Any]) -> Summary:
    return Summary(**form)


def to_worker_stats(form: Mapping[str, Any]) -> WorkerStats:
    return WorkerStats(
        worker=form["worker"],
        total=form["total"],
        by_status=form["by_status"],
        failure_rate=form["failure_rate"],
        throughput_per_min=form["throughput_per_min"],
        run_s=to_summary(form["run_s"]),
        wait_s=to_summary(form["wait_s"]),
        last_error=form["last_error"],
        since=to_moment(form["since"]),
    )


def to_task_stats(form: Mapping[str, Any]) -> TaskStats:
    return TaskStats(**{**form, "run_s": to_summary(form["run_s"])})


def to_stats(form: Mapping[str, Any]) -> Stats:
    return Stats(
        since=to_moment(form["since"]) or 0,
        until=to_moment(form["until"]) or 0,
        total=form["total"],
        by_status=form["by_status"],
        failure_rate=form["failure_rate"],
        throughput_per_min=form["throughput_per_min"],
        run_s=to_summary(form["run_s"]),
        wait_s=to_summary(form["wait_s"]),
        workers=[to_worker_stats(entry) for entry in form["workers"]],
        top_errors=[
            ErrorCount(e["error"], e["count"], to_moment(e["last_at"]) or 0)
            for e in form["top_errors"]
        ],
        slowest=[Slow(e["task_id"], e["worker"], e["run_s"]) for e in form["slowest"]],
        oldest_queued_s=form["oldest_queued_s"],
        series=[_to_bucket(entry) for entry in form.get("series", ())],
    )


def _to_bucket(form: Mapping[str, Any]) -> Bucket:
    return Bucket(
        key=form["at"],
        by_status=form["by_status"],
        total=form["total"],
        failure_rate=form["failure_rate"],
        run_s=to_summary(form["run_s"]),
        wait_s=to_summary(form["wait_s"]),
    )


def to_outcome(form: Mapping[str, Any]) -> Outcome:
    return Outcome(
        task_id=form["task_id"],
        done=form["done"],
        status=State(form["status"]),
        detail=form["detail"],
    )


def to_error(form: Mapping[str, Any]) -> TaskyError:
    """Make the error again that a problem document tells of."""
    errors = [FieldError(e["pointer"], e["detail"]) for e in form.get("errors", ())]
    return TaskyError.from_wire(str(form.get("code", "")), str(form.get("detail", "")), errors)


def to_moment(text: str | None) -> int | None:
    """Return ISO text as µs, null for null."""
    return None if text is None else from_iso(text)


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def seconds(us: int) -> float:
    """Return µs as seconds."""
    return us / MICROSECONDS
