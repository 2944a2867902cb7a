"""`tasky db`: look after the database file. The only command that reaches the store itself."""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tasky.cli.groups import Command, Group
from tasky.cli.options import NOTHING, Setup, client, pass_setup
from tasky.cli.output import Exit, Output, Stop
from tasky.cli.tables import Cell
from tasky.cli.texts import moment, number, size
from tasky.client import owner_of

USER_VERSION_AT = 60
"""Where a SQLite file keeps `user_version`. Source: https://www.sqlite.org/fileformat.html#section_1_3"""


@click.group(cls=Group, name="db")
def db() -> None:
    """Look after the database file."""


@db.command(cls=Command, examples=("tasky db info", "tasky db info --json"))
@pass_setup
def info(setup: Setup) -> None:
    """Show size, rows, schema and owner of the database."""
    out = Output(setup)
    _require_file(setup)
    link = client(setup, "look", NOTHING)
    try:
        found: dict[str, Any] = link.system()["database"]
    finally:
        link.close()
    owner = None if setup.url else owner_of(setup.database)
    if out.json or out.jsonl:
        form = {**found, "owner": _owner_form(owner)}
        out.items([form], form)
        return
    if out.quiet:
        out.line(found["path"])
        return
    out.fields([*_figures(found), ("Owner", _owner_text(owner))])


def _owner_form(owner: Any) -> dict[str, Any] | None:
    """Return what may be shown of an owner; its token is not."""
    if owner is None:
        return None
    return {"pid": owner.pid, "verb": owner.verb, "address": owner.address}


def _owner_text(owner: Any) -> str:
    if owner is None:
        return "nobody"
    where = f", {owner.address}" if owner.address else ""
    return f"pid {owner.pid}, tasky {owner.verb} since {moment(owner.since)}{where}"


def _figures(found: dict[str, Any]) -> Iterator[tuple[str, Cell]]:
    yield "File", found["path"]
    yield "Size", f"{size(found['bytes'])}, {size(found['free_bytes'])} of it free"
    yield "WAL", size(found["wal_bytes"])
    yield "Schema", str(found["schema"])
    for name in ("tasks", "executions", "events", "log_lines"):
        yield name.replace("_", " ").capitalize(), number(found[name])
    yield "SQLite", found["sqlite"]


@db.command(cls=Command, examples=("tasky db check", "tasky db check && tasky db backup"))
@pass_setup
def check(setup: Setup) -> None:
    """Look at every page, cell, index and reference; a server may be running."""
    from tasky.store.backup import check as check_file

    _require_file(setup)
    check_file(setup.database)
    Output(setup).line(f"{setup.database} is sound.")


@db.command(cls=Command, examples=("tasky db backup", "tasky db backup /backup/tasky-monday.db"))
@click.argument("file", type=click.Path(path_type=Path), required=False)
@pass_setup
def backup(setup: Setup, file: Path | None) -> None:
    """Copy the database to FILE and check the copy; a server may be running. Prints the path.

    Without FILE the copy gets the time in its name and lies beside the database.
    """
    from tasky.store.backup import backup as copy

    _require_file(setup)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    beside = setup.database.with_name(f"{setup.database.stem}.backup-{stamp}.db")
    target = beside if file is None else file.expanduser().absolute()
    if target.is_dir():
        target = target / beside.name
    out = Output(setup)
    out.line(str(copy(setup.database, target)))
    out.note(f"{size(target.stat().st_size)}, checked. Back with: tasky db restore {target}")


@db.command(cls=Command, examples=("tasky db restore /backup/tasky-monday.db",))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_setup
def restore(setup: Setup, file: Path, yes: bool) -> None:
    """Put a checked backup in the place of the database; the replaced file is kept."""
    from tasky.store.backup import check as check_file
    from tasky.store.backup import restore as put_back

    source = file.expanduser().absolute()
    out = Output(setup)
    check_file(source)
    _refuse_owner(setup)
    _confirm_restore(setup, source, yes)
    with _owned(setup, "db restore"):
        kept = put_back(source, setup.database)
    out.line(f"{setup.database} is now {source}.")
    if kept is not None:
        out.note(f"The replaced file is {kept}.")


def _refuse_owner(setup: Setup) -> None:
    """Say at once that it cannot be done, before a question is asked."""
    if owner_of(setup.database) is not None:
        from tasky.client import owned_error

        raise owned_error(setup.database)


def _confirm_restore(setup: Setup, source: Path, yes: bool) -> None:
    if yes or not setup.database.exists():
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("Nobody can be asked here: add --yes to replace the database.")
    question = f"Replace {setup.database} by {source}? What was written since then is set aside."
    if not click.confirm(question, default=False, err=True):
        raise Stop(Exit.REFUSED, "nothing was changed.")


@db.command(cls=Command, examples=("tasky db migrate",))
@pass_setup
def migrate(setup: Setup) -> None:
    """Bring the database to the schema of this Tasky; a copy of the old file is kept."""
    from tasky.store.database import Database
    from tasky.store.migrations import SCHEMA, STEPS

    out = Output(setup)
    _require_file(setup)
    with _owned(setup, "db migrate"):
        before = _schema_of(setup.database)
        Database(setup.database).close()
    for step in STEPS[before:]:
        out.line(f"{step.__name__}: {(step.__doc__ or '').strip()}")
    if before >= SCHEMA:
        out.line(f"{setup.database} has schema {SCHEMA} already; there is nothing to do.")


def _schema_of(path: Path) -> int:
    """Return the schema before it is opened, which migrates it. Only for a file that we own."""
    with path.open("rb") as file:
        head = file.read(USER_VERSION_AT + 4)
    return int.from_bytes(head[USER_VERSION_AT:], "big")


@contextlib.contextmanager
def _owned(setup: Setup, verb: str) -> Iterator[None]:
    """Own the database for a moment. Raises `DatabaseOwned` when somebody else does."""
    from tasky.clock import SystemClock
    from tasky.store.owner import Owner

    owner = Owner(setup.database, verb, SystemClock())
    owner.take()
    try:
        yield
    finally:
        owner.release()


def _require_file(setup: Setup) -> None:
    from tasky.errors import DatabaseProblem

    if setup.url is None and not setup.database.exists():
        raise DatabaseProblem(
            db=setup.database, why="there is no such file", hint='The first "tasky run" makes it.'
        )
