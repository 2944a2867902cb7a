"""How a task looks: a row of a table, and all of it on one page."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tasky.cli.tables import Cell, Column, Styled
from tasky.cli.texts import duration, moment, moment_with_zone, number, rate, size

if TYPE_CHECKING:
    from tasky.cli.output import Output
    from tasky.model import Execution, Task

TASK_COLUMNS = (
    Column("Status"),
    Column("Worker", text=True),
    Column("Id"),
    Column("Labels", text=True, drop=5),
    Column("Created", drop=2),
    Column("Wait", right=True, drop=4),
    Column("Run", right=True, drop=1),
    Column("Att", right=True, drop=3),
    Column("Progress or error", text=True),
)


def task_row(out: "Output", task: "Task") -> list[Cell]:
    """Return a task as a row of `TASK_COLUMNS`."""
    labels = " ".join(f"{name}={value}" for name, value in task.labels.items())
    attempts = f"{task.attempt}/{task.max_attempts}" if task.max_attempts > 1 else ""
    waited = duration(task.wait_s) if task.wait_s is not None else ""
    ran = duration(task.run_s) if task.run_s is not None else ""
    return [
        out.status(task.status),
        task.worker,
        task.id[:8],
        labels,
        moment(task.created_at),
        waited,
        ran,
        attempts,
        note_of(task),
    ]


def note_of(task: "Task") -> str:
    """Return what is to be said about a task now: a wish, progress, an error."""
    parts = list(_wishes(task))
    if task.ended:
        parts += [f"{task.error.type}: {task.error.message}"] if task.error else []
    elif task.progress is not None:
        parts += _progress(task)
    elif task.error is not None:
        parts.append(f"attempt {task.attempt} failed: {task.error.message}")
    return " · ".join(parts)


def _wishes(task: "Task") -> Iterator[str]:
    """Yield wishes that the code has not obeyed yet; they stand beside the status."""
    if task.ended:
        return
    if task.cancel_requested_at is not None:
        yield f"cancel asked {moment(task.cancel_requested_at)}"
    if task.pause_requested_at is not None and task.status != "paused":
        yield f"pause asked {moment(task.pause_requested_at)}"


def _progress(task: "Task") -> Iterator[str]:
    progress = task.progress
    if progress is None:
        return
    if progress.percent is not None:
        yield f"{progress.percent:.0f} %"
    if progress.rate:
        yield rate(progress.rate, progress.unit)
    if progress.eta_s is not None:
        yield f"ETA {duration(progress.eta_s)}"
    if progress.message:
        yield progress.message


def show_task(out: "Output", task: "Task", executions: "Sequence[Execution]") -> None:
    """Print all of a task."""
    out.fields([*_facts(out, task), *_times(task)])
    _show_json(out, "Config", bytes(task.config))
    if task.output_kind is not None:
        _show_output(out, task)
    if task.error is not None:
        out.line()
        out.line("Error", "bright_black")
        out.block(f"  {task.error.type}: {task.error.message}")
        out.block(task.error.traceback)
    if len(executions) > 1:
        _show_executions(out, executions)


def _facts(out: "Output", task: "Task") -> Iterator[tuple[str, Cell]]:
    yield "Task", task.id
    yield "Worker", task.worker
    yield "Status", out.status(task.status)
    yield "Now", note_of(task) if not task.ended else ""
    yield "Labels", " ".join(f"{name}={value}" for name, value in task.labels.items())
    yield "Key", task.key or ""
    yield "Queue", f"{task.queue}, priority {task.priority}"
    yield "Attempt", f"{task.attempt} of {task.max_attempts}"
    yield "Exit code", "" if task.exit_code is None else str(task.exit_code)
    yield "Time limit", duration(task.timeout_s)


def _times(task: "Task") -> Iterator[tuple[str, Cell]]:
    yield "Created", moment_with_zone(task.created_at)
    yield "Not before", moment_with_zone(task.not_before)
    yield "Started", moment_with_zone(task.started_at)
    yield "Ended", moment_with_zone(task.ended_at)
    yield "Waited", duration(task.wait_s)
    yield "Ran", duration(task.run_s)


def _show_json(out: "Output", title: str, data: bytes) -> None:
    import msgspec

    out.line()
    out.line(title, "bright_black")
    text = msgspec.json.format(data, indent=2).decode("utf-8", "backslashreplace")
    for line in text.splitlines():
        out.block(f"  {line}")


def _show_output(out: "Output", task: "Task") -> None:
    if task.output is not None:
        _show_json(out, "Output", bytes(task.output))
        return
    out.line()
    what = f"{size(task.output_size or 0)} of {task.output_kind}"
    out.fields([("Output", f"{what}: tasky output {task.id[:8]}")])


def _show_executions(out: "Output", executions: "Sequence[Execution]") -> None:
    out.line()
    out.table(
        [Column("Execution", right=True), Column("Attempt", right=True), Column("Status"),
         Column("Started"), Column("Ended"), Column("Error", text=True)],
        [_execution_row(out, e) for e in executions],
    )  # fmt: skip


def _execution_row(out: "Output", e: "Execution") -> list[Cell]:
    status: Styled = out.status(e.status)
    error = f"{e.error.type}: {e.error.message}" if e.error else ""
    return [
        number(e.index + 1), str(e.attempt), status, moment(e.started_at), moment(e.ended_at),
        error,
    ]  # fmt: skip
