"""`tasky events`: who did what to which object when."""

from typing import TYPE_CHECKING

import click

from tasky.cli.completion import complete_task
from tasky.cli.groups import Command
from tasky.cli.options import NOTHING, Setup, client, is_server, pass_setup, patience_s
from tasky.cli.output import Output
from tasky.cli.tables import Cell, Column
from tasky.cli.texts import moment
from tasky.cli.types import TEXT
from tasky.client import owner_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasky.client.base import Client
    from tasky.model import Event

BATCH = 500

COLUMNS = (
    Column("Event", right=True),
    Column("Time"),
    Column("Name"),
    Column("Task"),
    Column("State"),
    Column("Who", drop=1),
    Column("What", text=True, drop=2),
)


@click.command(
    cls=Command,
    examples=(
        "tasky events",
        "tasky events -f",
        "tasky events --task 9b01",
        "tasky events -f --jsonl",
    ),
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens.")
@click.option("--task", type=TEXT, metavar="ID", help="Only events of one task.",
              shell_complete=complete_task)  # fmt: skip
@click.option("--after", type=click.IntRange(0), help="Only events with a larger number.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True,
              help="The newest so many, or the first ones after --after.")  # fmt: skip
@pass_setup
def events(setup: Setup, follow: bool, task: str | None, after: int | None, limit: int) -> None:
    """Show events, oldest first: the newest 50 unless told otherwise."""
    out = Output(setup)
    if follow and out.json and not out.jsonl:
        raise click.UsageError("One document has no end here; follow with --jsonl.")
    link = client(setup, "look", NOTHING)
    try:
        found = _first(link, task, after, limit)
        _print(out, found, follow=follow)
        if follow:
            if not is_server(link) and owner_of(setup.database) is None:
                out.note('tasky: nothing runs on this database now; "tasky serve" does.')
            last = found[-1].id if found else (after or link.newest_event())
            for batch in _new(link, task, last):
                _print(out, batch, follow=True)
    finally:
        link.close()


def _first(link: "Client", task: str | None, after: int | None, limit: int) -> "list[Event]":
    if after is not None:
        return _read(link, task, after, limit)
    if task is not None:
        return _read(link, task, 0, 1 << 62)[-limit:]
    return _read(link, None, max(0, link.newest_event() - limit), limit)


def _read(link: "Client", task: str | None, after: int, limit: int) -> "list[Event]":
    found: list[Event] = []
    while len(found) < limit:
        asked = min(BATCH, limit - len(found))
        batch = link.events(after=after, task=task, limit=asked)
        found += batch
        if len(batch) < asked:
            break
        after = batch[-1].id
    return found


def _new(link: "Client", task: str | None, after: int) -> "Iterator[list[Event]]":
    while True:
        batch = link.events(after=after, task=task, limit=BATCH, wait_s=patience_s(link))
        if batch:
            after = batch[-1].id
            yield batch


def _print(out: Output, found: "list[Event]", *, follow: bool) -> None:
    from tasky.client import wire

    forms = [wire.event(event) for event in found] if out.json or out.jsonl else []
    if out.items(forms, {"items": forms}, (str(event.id) for event in found)):
        out.flush()
    elif follow:
        for event in found:
            row = _row(out, event)
            out.line("  ".join(_text(out, cell) for cell in row if cell))
        out.flush()
    elif found:
        out.table(COLUMNS, [_row(out, event) for event in found])
    else:
        out.note("No events yet.")


def _text(out: Output, cell: Cell) -> str:
    return out.safe(cell) if isinstance(cell, str) else out.paint(out.safe(cell.text), cell.color)


def _row(out: Output, event: "Event") -> list[Cell]:
    return [
        str(event.id),
        moment(event.at),
        event.name,
        (event.task_id or event.object or "")[:8] if event.task_id else event.object or "",
        out.status(event.state) if event.state else "",
        event.actor,
        _what(event),
    ]


def _what(event: "Event") -> str:
    payload = event.payload or {}
    return " ".join(f"{name}={value}" for name, value in payload.items() if value not in (None, ""))
