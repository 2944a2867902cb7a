"""`tasky doctor`: one look at everything that keeps tasks from running."""

import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tasky._version import __version__
from tasky.cli.groups import Command
from tasky.cli.options import Load, Setup, client, pass_setup, roots_of
from tasky.cli.output import Exit, Output, Stop
from tasky.cli.shared import load_options
from tasky.cli.tables import Styled
from tasky.client import owner_of

if TYPE_CHECKING:
    from tasky.client.base import Client


class Finding(NamedTuple):
    """One thing that was looked at: `level` is ok, note or problem."""

    level: str
    subject: str
    text: str


MARKS = {"ok": ("✓", "+", "green"), "note": ("·", ".", "yellow"), "problem": ("✗", "x", "red")}


@click.command(
    cls=Command, examples=("tasky doctor", "tasky doctor --json", "tasky doctor -w my.py")
)
@load_options()
@pass_setup
def doctor(setup: Setup, load: Load) -> None:
    """Check versions, settings, database, workers and file roots.

    The exit code is 5 if something is wrong.
    """
    out = Output(setup)
    findings = [*_look(setup, load)]
    forms = [finding._asdict() for finding in findings]
    if not out.items(
        forms, {"items": forms}, (f.subject for f in findings if f.level == "problem")
    ):
        for finding in findings:
            mark = out.paint(*_mark(out, finding.level))
            out.line(f"{mark} {finding.subject.ljust(10)}  {out.safe(finding.text)}")
    if any(finding.level == "problem" for finding in findings):
        raise Stop(Exit.UNAVAILABLE)


def _mark(out: Output, level: str) -> Styled:
    glyph, plain, color = MARKS[level]
    return Styled(plain if out.ascii else glyph, color)


def _look(setup: Setup, load: Load) -> Iterator[Finding]:
    yield Finding("ok", "Tasky", __version__)
    yield Finding("ok", "Python", f"{platform.python_version()} on {platform.platform(terse=True)}")
    settings = [*_tried("Settings", lambda: _settings(setup))]
    yield from settings
    if setup.url is None:
        yield from _tried("Database", lambda: _database(setup))
    if any(finding.level == "problem" for finding in settings):
        return  # workers and roots depend on them
    yield from _tried("Client", lambda: _through_client(setup, load))
    yield from _tried("File roots", lambda: _roots(setup))


def _tried(subject: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """One thing that fails must not hide the others."""
    from tasky.errors import TaskyError

    try:
        yield from look()
    except TaskyError as error:
        details = "; ".join(f"{e.pointer}: {e.detail}" for e in error.errors)
        yield Finding("problem", subject, f"{error} {details}".strip())


def _settings(setup: Setup) -> Iterator[Finding]:
    path = setup.config
    if path is None:
        yield Finding("ok", "Settings", 'none; "tasky init" writes a file to begin with')
        return
    _ = setup.settings
    yield Finding("ok", "Settings", str(path))


def _database(setup: Setup) -> Iterator[Finding]:
    path = setup.database
    if not path.exists():
        yield Finding("note", "Database", f"{path} does not exist yet; the first task makes it")
        return
    yield Finding("ok", "Database", str(path))
    owner = owner_of(path)
    if owner is None:
        yield Finding("note", "Owner", 'nobody: tasks wait until "tasky serve" runs')
        return
    where = f" at {owner.address}" if owner.address else ", without an address"
    yield Finding("ok", "Owner", f"pid {owner.pid}, tasky {owner.verb}{where}")


def _through_client(setup: Setup, load: Load) -> Iterator[Finding]:
    link = client(setup, "look", load)
    try:
        system = link.system()
        if setup.url is not None:
            yield Finding("ok", "Server", f"{setup.url} runs Tasky {system['version']}")
        yield _sqlite(system["database"]["sqlite"])
        yield _disk(system)
        yield from _workers(link)
    finally:
        link.close()


def _sqlite(version: str) -> Finding:
    if has_wal_reset_bug(version):
        text = (
            "no foreign program may write to or checkpoint the database (WAL-reset bug of SQLite)"
        )
        return Finding("note", "SQLite", f"{version}: {text}")
    return Finding("ok", "SQLite", version)


def has_wal_reset_bug(version: str) -> bool:
    """Tell whether a SQLite can damage a WAL that a second program resets.

    Source: SQLite 3.51.3 release notes; fixed in 3.44.6 and 3.50.7 too.
    """
    parts = tuple(int(part) for part in version.split(".")[:3])
    fixed = parts[:2] in ((3, 44), (3, 50)) and parts >= {44: (3, 44, 6), 50: (3, 50, 7)}[parts[1]]
    return (3, 7, 0) <= parts <= (3, 51, 2) and not fixed


def _disk(system: dict[str, Any]) -> Finding:
    from tasky.cli.texts import size

    disk = system["host"]["disk"]
    low = disk["free"] < disk["total"] * 0.05
    return Finding("note" if low else "ok", "Disk", f"{size(disk['free'])} free")


def _workers(link: "Client") -> Iterator[Finding]:
    found, not_loaded = link.workers()
    off = [worker.name for worker in found if not worker.enabled]
    more = f"; disabled: {', '.join(off)}" if off else ""
    yield Finding("note" if off else "ok", "Workers", f"{len(found)} loaded{more}")
    for module in not_loaded:
        yield Finding("problem", "Not loaded", f"{module.module}: {module.error}")


def _roots(setup: Setup) -> Iterator[Finding]:
    if setup.url is not None:
        return
    roots = roots_of(setup)
    if not roots:
        text = "none: this folder is / or a home, so file workers need --root"
        yield Finding("note", "File roots", text)
    for root in roots:
        folder = Path(root.removesuffix(":ro").removesuffix(":rw"))
        level = "ok" if folder.is_dir() else "problem"
        yield Finding(level, "File root", root if level == "ok" else f"{root} is not a folder")
