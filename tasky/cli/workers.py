"""`tasky workers`: what can be run, how it is used, how it went."""

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from tasky.cli.completion import complete_worker
from tasky.cli.groups import Command
from tasky.cli.options import Load, Setup, client, pass_setup
from tasky.cli.output import Output
from tasky.cli.shared import load_options
from tasky.cli.tables import Cell, Column, Styled
from tasky.cli.texts import duration, number, share
from tasky.cli.types import TEXT

if TYPE_CHECKING:
    from tasky.client.base import Client
    from tasky.model import NotLoaded, Worker, WorkerStats

COLUMNS = (
    Column("Worker"),
    Column("Ended", right=True, drop=2),
    Column("Failed", right=True, drop=3),
    Column("p95", right=True, drop=4),
    Column("Limit", right=True, drop=1),
    Column("What it does", text=True),
)

FIELD_COLUMNS = (
    Column("Field"),
    Column("Type", text=True),
    Column("Default", text=True),
    Column("Description", text=True),
)


@click.command(
    cls=Command,
    examples=(
        "tasky workers",
        "tasky workers copy_file",
        "tasky workers copy_file --disable 'disk is being replaced'",
        "tasky workers copy_file --enable --max-running 2",
    ),
)
@click.argument("name", type=TEXT, required=False, shell_complete=complete_worker)
@click.option("--enable", is_flag=True, help="Let its tasks start again.")
@click.option("--disable", type=TEXT, metavar="REASON", help="Let none of its tasks start.")
@click.option("--max-running", type=click.IntRange(1, 10_000), help="So many at a time.")
@load_options()
@pass_setup
def workers(
    setup: Setup,
    name: str | None,
    enable: bool,
    disable: str | None,
    max_running: int | None,
    load: Load,
) -> None:
    """List workers; with NAME its usage, fields, a sample line and figures.

    The figures of the list are of the last 24 hours, those of one worker of all time.
    """
    changes = _changes(enable, disable, max_running)
    if changes and name is None:
        raise click.UsageError("Say which worker is meant: tasky workers NAME --enable")
    out = Output(setup)
    link = client(setup, "write" if changes else "look", load)
    try:
        if name is None:
            _print_all(link, out)
        elif changes:
            _print_changed(out, link.change_worker(name, **changes))
        else:
            _print_one(link, out, link.worker(name))
    finally:
        link.close()


def _changes(enable: bool, disable: str | None, max_running: int | None) -> dict[str, Any]:
    if enable and disable is not None:
        raise click.UsageError("--enable and --disable exclude each other.")
    changes: dict[str, Any] = {}
    if enable or disable is not None:
        changes |= {"enabled": enable, "reason": disable}
    if max_running is not None:
        changes["max_running"] = max_running
    return changes


# -- the list --------------------------------------------------------------------------------------


def _print_all(link: "Client", out: Output) -> None:
    from tasky.client import wire

    found, not_loaded = link.workers()
    forms = [wire.worker(worker) for worker in found]
    whole = wire.workers(found, not_loaded)
    if out.items(forms, whole, (worker.name for worker in found)):
        return
    figures = {figure.worker: figure for figure in link.stats().workers}
    out.table(COLUMNS, [_row(worker, figures.get(worker.name)) for worker in found])
    print_not_loaded(out, not_loaded)


def print_not_loaded(out: Output, not_loaded: "list[NotLoaded]") -> None:
    """Print modules that could not be loaded, and why."""
    if not not_loaded:
        return
    out.line()
    out.line("Not loaded", "red")
    for module in not_loaded:
        out.line(f"  {out.safe(module.module)}: {out.safe(module.error)}")


def _row(worker: "Worker", figures: "WorkerStats | None") -> list[Cell]:
    what: Cell = worker.title or worker.description
    if not worker.enabled:
        reason = f": {worker.disabled_reason}" if worker.disabled_reason else ""
        what = Styled(f"disabled{reason}", "yellow")
    return [
        worker.name,
        number(figures.total) if figures else "",
        share(figures.failure_rate) if figures and figures.failure_rate is not None else "",
        duration(figures.run_s.p95) if figures and figures.run_s.p95 is not None else "",
        str(worker.max_running or ""),
        what,
    ]


# -- one worker ------------------------------------------------------------------------------------


def _print_changed(out: Output, worker: "Worker") -> None:
    from tasky.client import wire

    form = wire.worker(worker)
    if not out.items([form], form, [worker.name]):
        state = (
            "enabled" if worker.enabled else f"disabled: {worker.disabled_reason or 'no reason'}"
        )
        limit = f", at most {worker.max_running} at a time" if worker.max_running else ""
        out.line(f"{worker.name} is {out.safe(state)}{limit}.")


def _print_one(link: "Client", out: Output, worker: "Worker") -> None:
    from tasky.client import wire

    figures = link.worker_stats(worker.name)
    form = {"worker": wire.worker(worker), "statistics": wire.worker_stats(figures)}
    if out.items([form], form, [worker.name]):
        return
    out.line(out.safe(worker.usage.partition(":")[0] or worker.name))
    out.line()
    out.block(worker.description)
    out.line()
    rows = [*_field_rows(worker.config_schema)]
    if rows:
        out.table(FIELD_COLUMNS, rows)
        out.line()
    out.fields([*_facts(worker), *_figures(figures)])
    out.line()
    out.line("Try it", "bright_black")
    out.line(f"  {out.safe(sample_line(worker))}")


def _facts(worker: "Worker") -> Iterator[tuple[str, Cell]]:
    yield "Runs on", worker.executor
    yield "Can be", ", ".join(_PARTICIPLES.get(name, name) for name in worker.supports)
    yield "Limit", f"{worker.max_running} at a time" if worker.max_running else ""
    yield "Time limit", duration(worker.timeout_s)
    yield "Attempts", str(worker.max_attempts) if worker.max_attempts > 1 else ""
    if not worker.enabled:
        yield "Disabled", Styled(worker.disabled_reason or "yes", "yellow")


_PARTICIPLES = {"cancel": "cancelled", "pause": "paused", "kill": "killed"}


def _figures(figures: "WorkerStats") -> Iterator[tuple[str, Cell]]:
    if not figures.total:
        yield "Figures", "none has ended yet"
        return
    counts = ", ".join(f"{number(count)} {state}" for state, count in figures.by_status.items())
    yield "Ended", f"{number(figures.total)}: {counts}"
    yield "Failure rate", share(figures.failure_rate)
    run, wait = figures.run_s, figures.wait_s
    yield "Run time", _spread(run.p50, run.p95, run.p99)
    yield "Waiting", _spread(wait.p50, wait.p95, wait.p99)
    yield "Last error", figures.last_error or ""


def _spread(*values: float | None) -> str:
    if values[0] is None:
        return ""
    names = ("p50", "p95", "p99")
    return ", ".join(f"{n} {duration(v)}" for n, v in zip(names, values, strict=True))


def _field_rows(schema: Mapping[str, Any]) -> Iterator[list[Cell]]:
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        default = "required" if name in required else _json(field.get("default"))
        yield [name, type_text(field), default, str(field.get("description", ""))]


def type_text(field: Mapping[str, Any]) -> str:
    """Return the type of a field in words: `integer 1..100`, `cpu|memory`, `string or null`."""
    options = field.get("anyOf") or field.get("oneOf")
    if options:
        return " or ".join(type_text(option) for option in options)
    if "enum" in field:
        return "|".join(str(value) for value in field["enum"])
    kind = str(field.get("format") or field.get("type") or "anything")
    if kind == "array":
        return f"list of {type_text(field.get('items') or {})}"
    low = field.get("minimum", field.get("exclusiveMinimum"))
    high = field.get("maximum", field.get("exclusiveMaximum"))
    bounds = "" if low is None and high is None else f" {_end(low)}..{_end(high)}"
    return kind + bounds


def _end(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _json(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


def sample_line(worker: "Worker") -> str:
    """Return a command line that runs a worker with its sample config."""
    parts = ["tasky", "run", worker.name]
    for name, value in worker.sample_config.items():
        if isinstance(value, str):
            pair = f"{name}={value}"
        else:
            sign = ":=" if isinstance(value, (list, dict)) or value is None else "="
            pair = f"{name}{sign}{_json(value)}"
        parts.append(shlex.quote(pair))
    return " ".join([*parts, "--wait"])
