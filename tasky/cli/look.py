"""The commands that look at tasks: `tasks show output wait why stack`."""

from typing import TYPE_CHECKING

import click

from tasky.cli.follow import check_end, wait_for
from tasky.cli.groups import Command
from tasky.cli.options import NOTHING, Load, Setup, client, is_server, pass_setup
from tasky.cli.output import Exit, Output, Stop, query_shown
from tasky.cli.run import print_output
from tasky.cli.shared import load_options, local_zone, task_argument, task_arguments
from tasky.cli.task_views import TASK_COLUMNS, show_task, task_row
from tasky.cli.types import SPAN, TEXT
from tasky.client import owner_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasky.client.base import Client
    from tasky.model import Page, Task

SORTS = [
    "created", "queued", "started", "ended", "duration", "wait", "priority", "status", "worker",
]  # fmt: skip
PAGE = 500
ACTIVE = ("running", "paused", "waiting")


@click.command(
    cls=Command,
    examples=(
        "tasky tasks",
        "tasky tasks 'status:failed created:<2h'",
        "tasky tasks 'worker:copy_* label.env:prod' --sort duration --json",
        "tasky tasks 'status:queued' -q --all",
    ),
)
@click.argument("query", type=TEXT, default="")
@click.option("--limit", type=click.IntRange(1, PAGE), default=50, show_default=True,
              help="Tasks of one page.")  # fmt: skip
@click.option("--sort", type=click.Choice(SORTS), default="created", show_default=True,
              help="What decides the order.")  # fmt: skip
@click.option("--order", type=click.Choice(["desc", "asc"]), default="desc", show_default=True,
              help="Direction.")  # fmt: skip
@click.option("--cursor", type=TEXT, help="Go on where a page ended (next_cursor).")
@click.option("--all", "everything", is_flag=True, help="All pages.")
@pass_setup
def tasks(
    setup: Setup,
    query: str,
    limit: int,
    sort: str,
    order: str,
    cursor: str | None,
    everything: bool,
) -> None:
    """List tasks, newest first, or those that fit QUERY.

    A query is made of terms like status:failed worker:copy_* created:<2h duration:>5s error:text;
    all of them have to fit, "-" before a term negates it.
    """
    out = Output(setup)
    link = client(setup, "look", NOTHING)
    try:
        with query_shown(query):
            pages = _pages(link, query, sort, order, PAGE if everything else limit, cursor)
            page = _all(out, pages) if everything else next(pages)
    finally:
        link.close()
    _print_page(setup, out, page, query)


def _pages(
    link: "Client", query: str, sort: str, order: str, limit: int, cursor: str | None
) -> "Iterator[Page[Task]]":
    while True:
        page = link.tasks(
            query, sort=sort, order=order, limit=limit, cursor=cursor, tz=local_zone()
        )
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return


def _all(out: Output, pages: "Iterator[Page[Task]]") -> "Page[Task]":
    """Return all pages as one; what is printed by lines leaves at once."""
    from tasky.model import Page

    items: list[Task] = []
    total = 0
    for page in pages:
        total += len(page.items)
        if out.quiet or out.jsonl:
            _print_tasks(out, page)
        else:
            items += page.items
    return Page(items=items, total=total)


def _print_tasks(out: Output, page: "Page[Task]") -> bool:
    from tasky.client import wire

    forms = [wire.task(task) for task in page.items] if out.json or out.jsonl else []
    whole = {**wire.page(page, wire.task)} if out.json and not out.jsonl else None
    return out.items(forms, whole, (task.id for task in page.items))


def _print_page(setup: Setup, out: Output, page: "Page[Task]", query: str) -> None:
    if _print_tasks(out, page):
        return
    if not page.items:
        _print_empty(setup, out, query)
        return
    out.table(TASK_COLUMNS, [task_row(out, task) for task in page.items])
    _tell_cut_off(setup, out, page.items)
    left = page.total - len(page.items)
    if page.next_cursor:
        more = "" if page.total_is_exact else "+"
        out.note(
            f"{page.total}{more} tasks; --all shows them, --cursor {page.next_cursor} goes on."
        )
    elif left > 0:
        out.note(f"{page.total} tasks in all.")


def _tell_cut_off(setup: Setup, out: Output, items: "list[Task]") -> None:
    """Say that what looks as if it ran does not: its owner is gone, the next one settles it."""
    if setup.url is not None or all(task.status not in ACTIVE for task in items):
        return
    if owner_of(setup.database) is None:
        out.note("tasky: nothing runs here now; what was running is settled at the next start.")


def _print_empty(setup: Setup, out: Output, query: str) -> None:
    if query:
        out.note(f"No task fits {out.safe(query)}. Leave a term out to find more.")
        return
    if setup.url is None and not setup.database.exists():
        out.note(f"There is no database {setup.database} yet; the first task makes it.")
    out.note(
        "No tasks yet. Begin with: tasky run sleep seconds=3 --follow   (workers: tasky workers)"
    )


@click.command(cls=Command, examples=("tasky show 9b01", "tasky show 9b01 --json"))
@task_argument
@pass_setup
def show(setup: Setup, id: str) -> None:  # noqa: A002  # the word of the contract
    """Show one task with config, output and error. An id may be shortened."""
    from tasky.client import wire

    out = Output(setup)
    link = client(setup, "look", NOTHING)
    try:
        task = link.task(id)
        if not out.items([wire.task(task)], wire.task(task), [task.id]):
            show_task(out, task, link.executions(task.id))
    finally:
        link.close()


@click.command(cls=Command, examples=("tasky output 9b01", "tasky output 9b01 > answer.bin"))
@task_argument
@pass_setup
def output(setup: Setup, id: str) -> None:  # noqa: A002
    """Print what the latest execution returned: JSON, text or bytes."""
    out = Output(setup)
    link = client(setup, "look", NOTHING)
    try:
        task = link.task(id)
        print_output(link, out, task)
        if task.ended:
            check_end(task)
        if task.output_kind is None:
            out.note(f"{task.id[:8]} has no output; it is {task.status}.")
    finally:
        link.close()


@click.command(cls=Command, examples=("tasky wait 9b01 c90e", "tasky wait 9b01 --wait-timeout 5m"))
@task_arguments()
@click.option("--wait-timeout", type=SPAN, help="Wait at most so long (exit code 124).")
@pass_setup
def wait(setup: Setup, ids: tuple[str, ...], wait_timeout: float | None) -> None:
    """Wait until tasks have ended; exit code 1 if one ended otherwise than succeeded."""
    out = Output(setup)
    link = client(setup, "look", NOTHING)
    try:
        waited = [link.task(id) for id in ids]  # noqa: A001
        _warn_without_engine(setup, link, out, waited)
        ended = [_waited(setup, link, out, task, wait_timeout) for task in waited]
    finally:
        link.close()
    if out.json and not out.jsonl:
        from tasky.client import wire

        out.document({"items": [wire.task(task) for task in ended]})
    for task in ended:
        check_end(task)


def _warn_without_engine(setup: Setup, link: "Client", out: Output, waited: "list[Task]") -> None:
    if is_server(link) or all(task.ended for task in waited):
        return
    if owner_of(setup.database) is None:
        out.note('tasky: nothing runs tasks on this database now; "tasky serve" does.')


def _waited(
    setup: Setup, link: "Client", out: Output, task: "Task", timeout_s: float | None
) -> "Task":
    from tasky.client import wire
    from tasky.errors import WaitedTooLong

    try:
        task = wait_for(link, task.id, timeout_s)
    except KeyboardInterrupt:
        raise Stop(Exit.INTERRUPTED, f"interrupted; {task.id[:8]} goes on.") from None
    if not task.ended:
        raise WaitedTooLong(id=task.id[:8], state=task.status, seconds=f"{timeout_s:g}")
    if out.quiet:
        out.line(task.id)
    elif out.jsonl:
        out.record(wire.task(task))
    elif not out.json:
        status = out.status(task.status)
        out.line(f"{task.id[:8]}  {out.paint(*status)}  {out.safe(task.worker)}")
    out.flush()
    return task


@click.command(cls=Command, examples=("tasky why 9b01",))
@task_argument
@load_options()
@pass_setup
def why(setup: Setup, id: str, load: Load) -> None:  # noqa: A002
    """Say why a task is where it is, and what would help."""
    from tasky.client import wire

    out = Output(setup)
    link = client(setup, "look", load)
    try:
        found = link.why(id)
        if out.items([wire.why(found)], wire.why(found), [found.reason]):
            return
        out.line(out.safe(found.text))
        for blocker in found.blockers:
            if blocker != found.text:
                out.line(f"also: {out.safe(blocker)}")
    finally:
        link.close()


@click.command(cls=Command, examples=("tasky stack 9b01",))
@task_argument
@pass_setup
def stack(setup: Setup, id: str) -> None:  # noqa: A002
    """Show where the code of a running task stands. Needs the server that runs it."""
    out = Output(setup)
    link = client(setup, "look", NOTHING)
    try:
        frames = link.stack(id)
        if out.json or out.jsonl:
            out.document({"frames": frames})
        for frame in frames if out.plain else ():
            out.block(frame)
        if not frames:
            out.note("No code of this task is running now.")
    finally:
        link.close()
