"""The command `tasky serve`."""

import copy
import logging
import re
import sys
from pathlib import Path
from typing import Any, Protocol

import click

from tasky.errors import TaskyError
from tasky.settings import Settings

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
IO_ERROR = 74

_STEERS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
_STEERING = re.compile(rf"[\t\n{_STEERS}]")
_STEERING_IN_BLOCKS = re.compile(f"[{_STEERS}]")
"""What terminals obey: C0, DEL, C1, line ends, bidi; blocks of lines keep tabs and line ends."""


class Setup(Protocol):
    """What the command line knows before the command; `tasky.cli.options` makes it."""

    @property
    def database(self) -> Path: ...
    @property
    def is_default_database(self) -> bool: ...
    @property
    def settings(self) -> Settings: ...


@click.command()
@click.option("--host", metavar="ADDRESS", help="Address to listen on, 127.0.0.1 unless given.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), help="Port, 8888 unless given; 0: a free one."
)
@click.option("--threads", type=click.IntRange(1, 1_024), help="Tasks that run at a time, 4.")
@click.option(
    "-w",
    "--worker",
    "modules",
    multiple=True,
    metavar="MODULE",
    help="Module, .py file or folder with workers; repeat for more.",
)
@click.option(
    "--root",
    "roots",
    multiple=True,
    metavar="DIR[:ro|:rw]",
    help="Folder that file workers may use; repeat for more. Default: this folder.",
)
@click.option("--no-auth", is_flag=True, help="Ask for no token (this machine only).")
@click.option("--no-samples", is_flag=True, help="Do not load the sample workers.")
@click.option("--open", "browse", is_flag=True, help="Open the address in a browser.")
@click.pass_context
def serve(ctx: click.Context, /, **given: Any) -> None:
    """Run tasks, and offer them over REST.

    Prints the address and a line for curl that works as it stands. Ctrl-C stops politely: what runs
    is asked to stop and has ten seconds.
    """  # fmt: skip
    from webapi.serving import run

    log_to_stderr()
    try:
        code = run(_start(ctx.obj, given), _say, _note)
    except TaskyError as error:
        _note(f"tasky: {error}")
        for flaw in error.errors:
            _note(f"  {flaw.pointer}: {flaw.detail}")
        code = error.serve_exit_code
    except OSError as problem:
        _note(f"tasky: the server could not start: {problem}.")
        code = IO_ERROR
    ctx.exit(code)


def _start(setup: Setup, given: dict[str, Any]) -> Any:
    """Return how to start: flags win over settings."""
    from tasky.files import default_roots
    from webapi.serving import Start

    server, settings = setup.settings.server, setup.settings
    roots = given["roots"] or settings.files.roots
    return Start(
        database=setup.database,
        make_folder=setup.is_default_database,
        host=given["host"] or server.host,
        port=server.port if given["port"] is None else given["port"],
        threads=given["threads"] or server.threads,
        modules=(*settings.workers.modules, *given["modules"]),
        roots=default_roots(Path.cwd()) if roots is None else roots,
        samples=not given["no_samples"],
        auth=not given["no_auth"],
        browse=given["browse"],
        settings=settings,
    )


class PlainFormatter(logging.Formatter):
    """Writes a message as one line that steers no terminal, whoever's text is in it."""

    def format(self, record: logging.LogRecord) -> str:
        # A traceback that another handler has formatted is not marked.
        own = copy.copy(record)
        own.exc_text = None
        return super().format(own)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # a name of logging
        return _STEERING.sub(_escaped, super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802  # a name of logging
        return _STEERING_IN_BLOCKS.sub(_escaped, super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802  # a name of logging
        return _STEERING_IN_BLOCKS.sub(_escaped, super().formatStack(stack_info))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def log_to_stderr() -> None:
    """Send our own log and waitress's to stderr; what tasks log belongs to their logs."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainFormatter(LOG_FORMAT))
    for name in ("tasky", "waitress"):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(logging.WARNING)
        # The root logger is where the logs of tasks are caught.
        logger.propagate = False
    # A queue is what a burst looks like, no reason for a line each.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


def _say(line: str) -> None:
    click.echo(_STEERING.sub(_escaped, line))
    sys.stdout.flush()


def _note(line: str) -> None:
    click.echo(line, err=True)
