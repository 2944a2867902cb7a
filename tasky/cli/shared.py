"""Options and arguments that several commands have."""

import functools
import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from tasky.cli.completion import complete_task
from tasky.cli.options import Load
from tasky.cli.types import TEXT

F = TypeVar("F", bound=Callable[..., Any])


def task_argument(function: F) -> F:
    """Add the argument ID."""
    return click.argument("id", metavar="ID", type=TEXT, shell_complete=complete_task)(function)


def task_arguments(*, required: bool = True, pairs: bool = False) -> Callable[[F], F]:
    """Add the argument ID, once or more often; with `pairs` they may be among the ids."""
    return click.argument(
        "ids",
        metavar="ID...",
        # The name of a file in a pair may be any bytes; whoever takes pairs looks at each.
        type=click.UNPROCESSED if pairs else TEXT,
        nargs=-1,
        required=required,
        shell_complete=complete_task,
    )


def load_options(*, roots: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add what an embedded core loads, handed over as `load`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def with_load(
            *args: Any,
            modules: tuple[str, ...],
            no_samples: bool,
            root: tuple[str, ...] = (),
            **kwargs: Any,
        ) -> Any:
            return function(*args, load=Load(modules, not no_samples, root), **kwargs)

        decorated = click.option(
            "-w",
            "modules",
            multiple=True,
            metavar="MODULE",
            help="Load workers of a module or file.",
        )(with_load)
        decorated = click.option("--no-samples", is_flag=True, help="Leave the samples out.")(
            decorated
        )
        if not roots:
            return decorated
        return click.option(
            "--root", multiple=True, metavar="DIR[:ro|:rw]", help="Folder that workers may use."
        )(decorated)

    return decorate


def local_zone() -> str | None:
    """Return the IANA name of the zone of this machine, None when it is not to be found."""
    named = os.environ.get("TZ", "").removeprefix(":")
    if named:
        return named if "/" in named or named == "UTC" else None
    _, found, name = os.path.realpath("/etc/localtime").partition("/zoneinfo/")
    return name if found else None
