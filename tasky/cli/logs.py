"""`tasky logs`: what the code of a task said."""

from typing import TYPE_CHECKING

import click

from tasky.cli.follow import log_form, log_lines
from tasky.cli.groups import Command
from tasky.cli.options import NOTHING, Setup, client, pass_setup
from tasky.cli.output import Output
from tasky.cli.shared import task_argument
from tasky.cli.texts import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasky.client.base import Client
    from tasky.model import LogLine, Task


@click.command(
    cls=Command, examples=("tasky logs 9b01", "tasky logs -f 9b01", "tasky logs --tail 20 9b01")
)
@task_argument
@click.option("-f", "--follow", is_flag=True, help="Go on until the task ends.")
@click.option("--tail", type=click.IntRange(0, 100_000), help="Only the last lines.")
@pass_setup
def logs(setup: Setup, id: str, follow: bool, tail: int | None) -> None:  # noqa: A002
    """Print the log of the latest execution."""
    out = Output(setup)
    link = client(setup, "look", NOTHING)
    try:
        task = link.task(id)
        if out.json and not out.jsonl:
            if follow:
                raise click.UsageError("One document has no end here; follow with --jsonl.")
            _print_log_document(out, list(_log(link, task, tail)))
            return
        after = 0
        for line in _log(link, task, tail):
            # What a tail leaves out before its first line is wanted.
            if after or tail is None:
                _print_gap(out, after, line)
            _print_log_line(out, line)
            after = line.seq
        out.flush()
        if follow and not task.ended:
            _follow(link, out, task, after)
    finally:
        link.close()


def _follow(link: "Client", out: Output, task: "Task", after: int) -> None:
    for line in log_lines(link, task, None, after):
        if line is not None:
            _print_gap(out, after, line)
            _print_log_line(out, line, at_once=True)
            after = line.seq


def _log(link: "Client", task: "Task", tail: int | None) -> "Iterator[LogLine]":
    if tail is not None:
        yield from link.log(task.id, tail=tail) if tail else ()
        return
    after = 0
    while lines := link.log(task.id, after=after):
        yield from lines
        after = lines[-1].seq


def _print_log_document(out: Output, lines: "list[LogLine]") -> None:
    from tasky.client import wire

    out.document({"items": [wire.log_line(line) for line in lines]})


def _print_gap(out: Output, after: int, line: "LogLine") -> None:
    """Say how many lines are missing before this one: a bounded log keeps its head and its tail.

    A new execution counts from 1 again, which is no gap.
    """
    missing = line.seq - after - 1
    if missing <= 0 or out.jsonl:
        return
    dash = "-" if out.ascii else "—"
    out.line(f"{dash} {number(missing)} {'line' if missing == 1 else 'lines'} not kept {dash}")


def _print_log_line(out: Output, line: "LogLine", *, at_once: bool = False) -> None:
    if out.jsonl:
        from tasky.client import wire

        out.record(wire.log_line(line))
        return
    out.line(log_form(line, out.terminal, out.color, out.ascii))
    if at_once:
        out.flush()
