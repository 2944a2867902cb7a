"""What a command line says about where and how: `Setup`, and the client that follows from it."""

import os
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import click

from tasky.client import owned_error, owner_of

if TYPE_CHECKING:
    from tasky.client.base import Client
    from tasky.settings import Settings

Purpose = Literal["look", "write", "run"]
"""Look: reading is enough. Write: the file is owned, nothing runs. Run: an engine runs here."""

POLL_S = 1.0
"""How often a file that another process owns is looked at; nobody tells us of its changes."""
SLICE_S = 30.0
"""Longest single wait of a client that hears of changes."""


class GlobalOption(NamedTuple):
    """An option that may stand before and after the command; `name` is the field of `Setup`."""

    name: str
    flags: tuple[str, ...]
    help: str
    metavar: str | None = None


GLOBAL_OPTIONS = (
    GlobalOption("db", ("--db",), "Database file (TASKY_DB).", "PATH"),
    GlobalOption("server", ("--url",), "Address of a running server (TASKY_URL).", "URL"),
    GlobalOption(
        "token_file", ("--token-file",), "File with the token (TASKY_TOKEN: the token).", "FILE"
    ),
    GlobalOption("config_file", ("--config",), "Settings file (TASKY_CONFIG).", "FILE"),
    GlobalOption("json", ("--json",), "Print one JSON document."),
    GlobalOption("jsonl", ("--jsonl",), "Print JSON, one object a line."),
    GlobalOption("quiet", ("-q", "--quiet"), "Print ids only, no notes."),
    GlobalOption("no_color", ("--no-color",), "Print without colour (NO_COLOR)."),
)


def global_option(option: GlobalOption, *, hidden: bool) -> click.Option:
    """Return the click option that notes its value in the command's `Setup`."""
    return click.Option(
        [f"g_{option.name}", *option.flags],
        is_flag=option.metavar is None,
        metavar=option.metavar,
        help=option.help,
        hidden=hidden,
        expose_value=False,
        callback=_noting(option.name),
    )


def _noting(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def note(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        if value is not None and value is not False:
            ctx.obj = replace(ctx.obj or Setup(), **{name: value})

    return note


@dataclass(frozen=True)
class Setup:
    """What was asked for before any command looks at it. Flags win over the environment.

    `database` and `url` are resolved, `token` is read, `settings` are loaded when first asked for.
    """

    db: str | None = None
    server: str | None = None
    token_file: str | None = None
    config_file: str | None = None
    json: bool = False
    jsonl: bool = False
    quiet: bool = False
    no_color: bool = False
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    @property
    def url(self) -> str | None:
        """Address of the server that was named; a named database wins over the environment."""
        if self.server and self.db:
            raise click.UsageError("--db and --url exclude each other: give one of them.")
        if self.server or self.db:
            return self.server
        return self.environment.get("TASKY_URL") or None

    @property
    def is_default_database(self) -> bool:
        """Whether nobody named a database."""
        return not (self.db or self.environment.get("TASKY_DB"))

    @cached_property
    def database(self) -> Path:
        """The database file. Links are followed: two names of one file must share one lock."""
        named = self.db or self.environment.get("TASKY_DB")
        if named == ":memory:":
            return Path(named)
        place = Path(named).expanduser() if named else self.state_folder / "tasky.db"
        return place.resolve()

    @property
    def state_folder(self) -> Path:
        """The folder of the user's state. Source: XDG Base Directory Specification 0.8."""
        named = self.environment.get("XDG_STATE_HOME", "")
        base = Path(named) if named.startswith("/") else Path("~/.local/state").expanduser()
        return base / "tasky"

    @cached_property
    def token(self) -> str | None:
        """The token for a server, from its file or from TASKY_TOKEN."""
        if not self.token_file:
            return self.environment.get("TASKY_TOKEN") or None
        try:
            text = Path(self.token_file).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as problem:
            why = getattr(problem, "strerror", None) or "it is not text"
            raise click.UsageError(f"--token-file {self.token_file}: {why.lower()}.") from None
        if not text:
            raise click.UsageError(f"--token-file {self.token_file}: the file is empty.")
        return text

    @property
    def config(self) -> Path | None:
        """The settings file: the one named, or `tasky.toml` in this folder if it is trustworthy."""
        named = self.config_file or self.environment.get("TASKY_CONFIG")
        if named:
            return Path(named).expanduser().resolve()
        here = Path.cwd() / "tasky.toml"
        return here if _is_ours(here) else None

    @cached_property
    def settings(self) -> "Settings":
        """The settings of `config`, the defaults without a file. Raises `SettingsInvalid`."""
        from tasky.settings import Settings, load

        path = self.config
        return Settings() if path is None else load(path)

    @property
    def color(self) -> bool:
        """Whether stdout gets colours."""
        wanted = not (self.no_color or self.environment.get("NO_COLOR"))
        return wanted and sys.stdout.isatty() and self.environment.get("TERM") != "dumb"


pass_setup = click.make_pass_decorator(Setup, ensure=True)


def _is_ours(path: Path) -> bool:
    """Tell whether nobody else could have put the file here: settings name modules to import."""
    try:
        found = path.stat()
    except OSError:
        return False
    writable = stat.S_IWOTH & (found.st_mode | path.parent.stat().st_mode)
    return stat.S_ISREG(found.st_mode) and found.st_uid in (0, os.getuid()) and not writable


class Load(NamedTuple):
    """What an embedded core loads; a server has loaded its own."""

    workers: tuple[str, ...] = ()
    samples: bool = True
    roots: tuple[str, ...] = ()


NOTHING = Load(samples=False)
"""For commands that need no worker: reading a list should not import them."""


def client(setup: Setup, purpose: Purpose, load: Load | None = None) -> "Client":
    """Return a client of the server that was named, of the database's owner, or of the file itself.

    Raises `DatabaseOwned` when the owner offers no address and looking is not enough, and what
    opening raises.
    """
    from tasky.client.http import HttpClient

    if setup.url is not None:
        return HttpClient(setup.url, setup.token)
    _look_at_folder(setup, purpose)
    owner = owner_of(setup.database)
    if owner is not None and owner.address:
        return HttpClient(owner.address, owner.token)
    return _on_file(setup, purpose, load or Load(), owned=owner is not None)


def _on_file(setup: Setup, purpose: Purpose, load: Load, *, owned: bool) -> "Client":
    import logging

    from tasky.client.local import look_at, own

    # Modules that do not load are told in "tasky workers" and "tasky doctor", not by logging.
    logging.getLogger("tasky").addHandler(logging.NullHandler())
    # For NOTHING the settings' modules stay out as well.
    modules = () if load is NOTHING else (*setup.settings.workers.modules, *load.workers)
    if purpose == "look":
        return look_at(setup.database, modules, samples=load.samples)
    if owned:
        raise owned_error(setup.database)
    link = own(
        setup.database, modules, verb=_verb(), engine=purpose == "run", samples=load.samples,
        roots=load.roots or roots_of(setup), threads=setup.settings.server.threads,
        only_new=True,
    )  # fmt: skip
    if recovered := link.core.recovered.sentence:
        # Whoever opens the file first after a crash settles it, and the only one who can tell.
        click.echo(f"tasky: {recovered}.", err=True)
    if purpose == "run":
        from tasky.client.limits import apply_limits

        apply_limits(link, setup.settings)
    return link


def roots_of(setup: Setup) -> Sequence[str]:
    """Return the folders that workers may use when none are named on the command line."""
    from tasky.files import default_roots

    named = setup.settings.files.roots
    return default_roots(Path.cwd()) if named is None else named


def _verb() -> str:
    context = click.get_current_context(silent=True)
    return (context.info_name if context else None) or "cli"


def _look_at_folder(setup: Setup, purpose: Purpose) -> None:
    from tasky.errors import DatabaseUnwritable

    folder = setup.database.parent
    if str(setup.database) == ":memory:" or folder.is_dir():
        return
    if not setup.is_default_database:
        raise DatabaseUnwritable(db=setup.database, why=f"the folder {folder} does not exist")
    if purpose != "look":
        try:
            folder.mkdir(mode=0o700, parents=True)
        except OSError as problem:
            why = (problem.strerror or "").lower()
            raise DatabaseUnwritable(db=setup.database, why=why) from None


def is_server(link: "Client") -> bool:
    """Tell whether tasks outlive this process because a server has them."""
    from tasky.client.http import HttpClient

    return isinstance(link, HttpClient)


def is_engine(link: "Client") -> bool:
    """Tell whether tasks run in this process and end with it."""
    from tasky.client.local import LocalClient

    return isinstance(link, LocalClient) and link.core.dispatcher is not None


def patience_s(link: "Client") -> float:
    """Return how long one wait may last before the state is looked at again."""
    return SLICE_S if is_server(link) or is_engine(link) else POLL_S


def leave_at_once(link: "Client") -> None:
    """Let go without waiting for code that runs in this process."""
    from tasky.client.local import LocalClient

    if isinstance(link, LocalClient):
        link.core.close(0)
    else:
        link.close()
