"""`tasky completion`: scripts for shells, and what they complete beyond commands and options."""

from typing import Any

import click

from tasky.cli.groups import Command
from tasky.cli.options import NOTHING, Load, Setup, client, pass_setup
from tasky.cli.output import Output

SHELLS = ("bash", "zsh", "fish")
NEWEST = 50


@click.command(
    cls=Command,
    examples=(
        "tasky completion bash > ~/.local/share/bash-completion/completions/tasky",
        "tasky completion zsh > ~/.zfunc/_tasky",
        "tasky completion fish > ~/.config/fish/completions/tasky.fish",
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
@pass_setup
def completion(setup: Setup, shell: str) -> None:
    """Print the completion script of SHELL: commands, options, workers, fields and task ids."""
    from click.shell_completion import get_completion_class

    from tasky.cli import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    Output(setup).line(kind(cli, {}, "tasky", "_TASKY_COMPLETE").source().rstrip())


def complete_worker(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[Any]:
    """Complete the name of a worker."""
    from click.shell_completion import CompletionItem

    return [
        CompletionItem(worker.name, help=worker.title or None)
        for worker in _asked(ctx, lambda link: link.workers()[0], Load())
        if worker.name.startswith(incomplete.lower())
    ]


def complete_pair(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[Any]:
    """Complete a field of the worker, with "=" behind it."""
    from click.shell_completion import CompletionItem

    name = ctx.params.get("worker")
    if not name or "=" in incomplete:
        return []
    schemas = _asked(ctx, lambda link: [link.worker(name).config_schema], Load())
    fields = schemas[0].get("properties", {}) if schemas else {}
    return [
        CompletionItem(f"{field}=", help=schema.get("description"))
        for field, schema in fields.items()
        if field.startswith(incomplete)
    ]


def complete_task(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[Any]:
    """Complete the id of one of the newest tasks."""
    from click.shell_completion import CompletionItem

    return [
        CompletionItem(task.id[:12], help=f"{task.worker} {task.status}")
        for task in _asked(ctx, lambda link: link.tasks(limit=NEWEST).items, NOTHING)
        if task.id.startswith(incomplete.lower())
    ]


def _asked(ctx: click.Context, ask: Any, load: Load) -> list[Any]:
    """Return what a client answers; nothing when there is a problem: a prompt cannot tell it."""
    try:
        link = client(ctx.find_object(Setup) or Setup(), "look", load)
        try:
            return list(ask(link))
        finally:
            link.close()
    except Exception:  # noqa: BLE001  # whatever it is, the next real command will tell it
        return []
