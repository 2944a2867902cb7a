"""`tasky stats`: what ended in a window, as a report, a table for others, or JSON."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from tasky.cli.completion import complete_worker
from tasky.cli.groups import Command
from tasky.cli.options import Load, Setup, client, pass_setup
from tasky.cli.output import Output
from tasky.cli.tables import Cell, Column, Styled
from tasky.cli.texts import bar, duration, moment, number, share
from tasky.cli.types import SINCE, TEXT

if TYPE_CHECKING:
    from tasky.model import Bucket, Stats, WorkerStats

BY = ("worker", "status", "error", "hour", "day")
FORMATS = ("table", "json", "csv", "markdown")
BAR, SHORT_BAR = 30, 10
BAR_ROOM = 110
"""Columns from which on there is room for the long bar."""

Rows = list[list[str]]


@click.command(
    cls=Command,
    examples=(
        "tasky stats",
        "tasky stats --since 7d --by day",
        "tasky stats --worker copy_file --by hour --format csv > hours.csv",
        "tasky stats --by worker --format markdown",
    ),
)
@click.option("--since", type=SINCE, default="24h", show_default=True, help="Span back, or a time.")
@click.option("--by", type=click.Choice(BY), help="What the rows are.")
@click.option("--worker", type=TEXT, help="Only one worker.", shell_complete=complete_worker)
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True,
              help="How it is printed.")  # fmt: skip
@pass_setup
def stats(setup: Setup, since: int, by: str | None, worker: str | None, form: str) -> None:
    """Report counts, failure rate, throughput, run and wait times, top errors and the slowest."""
    out = Output(setup)
    link = client(setup, "look", Load())
    try:
        found = link.stats(since, worker=worker, by=by)
    finally:
        link.close()
    if out.json or out.jsonl or form == "json":
        _print_json(out, found)
    elif form == "csv":
        _print_csv(out, *plain_rows(found, by or "worker"))
    elif form == "markdown":
        _print_markdown(out, *plain_rows(found, by or "worker"))
    else:
        _print_report(out, found, by)


def _print_json(out: Output, found: "Stats") -> None:
    from tasky.client import wire

    if out.jsonl:
        out.record(wire.stats(found))
    else:
        out.document(wire.stats(found))


# -- for other programs ----------------------------------------------------------------------------

_FIGURES = [
    "total", "succeeded", "failed", "failure_rate", "run_p50_s", "run_p95_s", "run_p99_s",
    "wait_p50_s", "wait_p95_s", "wait_p99_s",
]  # fmt: skip


def plain_rows(found: "Stats", by: str) -> tuple[list[str], Rows]:
    """Return titles and rows with exact values, times in UTC."""
    if by == "status":
        return ["status", "count"], [[s, str(n)] for s, n in found.by_status.items()]
    if by == "error":
        rows = [[e.error, str(e.count), _utc(e.last_at)] for e in found.top_errors]
        return ["error", "count", "last_at"], rows
    if by == "worker":
        rows = [[w.worker, *_figures(w)] for w in found.workers]
        return ["worker", *_FIGURES], rows
    return ["from", *_FIGURES], [[b.key, *_figures(b)] for b in found.series]


def _figures(of: "WorkerStats | Bucket") -> list[str]:
    spreads = [
        summary for s in (of.run_s, of.wait_s) for summary in (s.p50, s.p95, s.p99)
    ]  # in the order of `_FIGURES`
    counts = [of.total, of.by_status.get("succeeded", 0), of.by_status.get("failed", 0)]
    values = [*counts, of.failure_rate, *spreads]
    return ["" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
            for value in values]  # fmt: skip


def _utc(at: int) -> str:
    from tasky.clock import iso

    return iso(at)


def _print_csv(out: Output, titles: list[str], rows: Rows) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows([[_harmless(cell) for cell in row] for row in rows])
    out.line(text.getvalue().rstrip("\n"))


def _harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def _print_markdown(out: Output, titles: list[str], rows: Rows) -> None:
    for row in (titles, ["---"] * len(titles), *rows):
        out.line("| " + " | ".join(out.safe(cell).replace("|", "\\|") for cell in row) + " |")


# -- for people ------------------------------------------------------------------------------------


def _print_report(out: Output, found: "Stats", by: str | None) -> None:
    out.fields([*_summary(found)])
    if not found.total and not found.by_status:
        out.note("Nothing ended in this time. A longer one: tasky stats --since 7d")
        return
    parts = [by] if by else ["status", "worker", "error", "slowest"]
    for part in parts:
        columns, rows = _TABLES[part](out, found)
        if rows:
            out.line()
            out.table(columns, rows)


def _summary(found: "Stats") -> Iterator[tuple[str, Cell]]:
    yield "Since", moment(found.since)
    yield "Ended", number(found.total)
    yield "Failure rate", share(found.failure_rate)
    if found.throughput_per_min is not None:
        yield "Per minute", number(found.throughput_per_min)
    for name, s in (("Run time", found.run_s), ("Waiting", found.wait_s)):
        if s.p50 is not None:
            tail = f"p99 {duration(s.p99)}, max {duration(s.max)}"
            yield name, f"p50 {duration(s.p50)}, p95 {duration(s.p95)}, {tail}"
    if found.oldest_queued_s is not None:
        yield "Oldest queued", duration(found.oldest_queued_s)


Table = tuple[Sequence[Column], list[list[Cell]]]


def _by_status(out: Output, found: "Stats") -> Table:
    most = max(found.by_status.values(), default=1)
    rows: list[list[Cell]] = []
    for state, count in found.by_status.items():
        status = out.status(state)
        rows.append([status, number(count), Styled(_bar(out, count, most), status.color)])
    return (Column("Status"), Column("Count", right=True), Column("", drop=9)), rows


def _by_worker(out: Output, found: "Stats") -> Table:
    most = max((w.total for w in found.workers), default=1)
    first = Column("Worker", text=True)
    return _slices(out, first, [(w.worker, w) for w in found.workers], most)


def _by_time(out: Output, found: "Stats") -> Table:
    from tasky.clock import from_iso

    most = max((b.total for b in found.series), default=1)
    slices = [(moment(from_iso(b.key)), b) for b in found.series]
    return _slices(out, Column("From"), slices, most)


def _slices(
    out: Output, first: Column, slices: "Sequence[tuple[str, WorkerStats | Bucket]]", most: int
) -> Table:
    columns = (
        first, Column("Ended", right=True), Column("Failed", right=True),
        Column("run p50", right=True), Column("p95", right=True), Column("p99", right=True, drop=3),
        Column("wait p95", right=True, drop=2), Column("", drop=9),
    )  # fmt: skip
    rows: list[list[Cell]] = [
        [
            name, number(of.total), share(of.failure_rate), duration(of.run_s.p50),
            duration(of.run_s.p95), duration(of.run_s.p99), duration(of.wait_s.p95),
            Styled(_bar(out, of.total, most), "cyan"),
        ]
        for name, of in slices
    ]  # fmt: skip
    return columns, rows


def _by_error(_: Output, found: "Stats") -> Table:
    columns = (Column("Count", right=True), Column("Last"), Column("Error", text=True))
    return columns, [[number(e.count), moment(e.last_at), e.error] for e in found.top_errors]


def _slowest(_: Output, found: "Stats") -> Table:
    columns = (Column("Slowest"), Column("Worker", text=True), Column("Run", right=True))
    return columns, [[s.task_id[:8], s.worker, duration(s.run_s)] for s in found.slowest]


def _bar(out: Output, count: int, most: int) -> str:
    columns = BAR if out.room is None or out.room >= BAR_ROOM else SHORT_BAR
    return bar(count / max(1, most), columns, ascii_only=out.ascii)


_TABLES = {
    "status": _by_status,
    "worker": _by_worker,
    "error": _by_error,
    "hour": _by_time,
    "day": _by_time,
    "slowest": _slowest,
}
