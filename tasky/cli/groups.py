"""Commands as data: the lazy group, the form of a help page, options that may stand anywhere."""

import difflib
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import click

from tasky._version import __version__
from tasky.cli.options import GLOBAL_OPTIONS, Setup, global_option

PLUGINS = "tasky.commands"
SECTIONS = ("Run", "Look", "Control", "Operate")


class Entry(NamedTuple):
    """A command of this package: its module below `tasky.cli`, its line of help, its section."""

    module: str
    help: str
    section: str = "Run"


class Command(click.Command):
    """A command whose help ends with examples. Each example is a line that works when pasted."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"  {example}\n" for example in self.examples))
        formatter.write_paragraph()
        names = ", ".join(option.flags[-1] for option in GLOBAL_OPTIONS)
        formatter.write_text(f'Options of every command ("tasky --help"): {names}.')


class Group(click.Group):
    """A group of a noun, for example `tasky db`."""

    command_class = Command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing:
            raise click.UsageError(self._unknown(ctx, name), ctx)
        return super().resolve_command(ctx, args)

    def _unknown(self, ctx: click.Context, name: str) -> str:
        near = difflib.get_close_matches(name.lower(), self._names(ctx), n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]}?" if near else ""
        return f'There is no command "{ctx.command_path} {name}".{hint}'

    def _names(self, ctx: click.Context) -> list[str]:
        return self.list_commands(ctx)


class LazyGroup(Group):
    """The program: its help is made of data, a command's module is imported when it runs."""

    def __init__(
        self,
        name: str,
        *,
        commands_table: Mapping[str, Entry],
        aliases: Mapping[str, str],
        plugin_help: Mapping[str, str],
        **attributes: Any,
    ) -> None:
        params = [global_option(option, hidden=False) for option in GLOBAL_OPTIONS]
        settings = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
        super().__init__(
            name,
            params=[*params, _version_option()],
            invoke_without_command=True,
            callback=_help_without_command,
            context_settings=settings,
            **attributes,
        )
        self._table = commands_table
        self._aliases = aliases
        self._plugin_help = plugin_help

    def invoke(self, ctx: click.Context) -> Any:
        ctx.ensure_object(Setup)
        return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self._table, *sorted(set(_plugins()) - set(self._table))]

    def _names(self, ctx: click.Context) -> list[str]:
        return [*self.list_commands(ctx), *self._aliases]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = self._aliases.get(cmd_name, cmd_name)
        if name in self._table:
            command = getattr(import_module(f"tasky.cli.{self._table[name].module}"), name)
        elif name in (plugins := _plugins()):
            command = _loaded(plugins[name])
        else:
            return None
        return _with_global_options(command)

    def help_lines(self, ctx: click.Context) -> dict[str, list[tuple[str, str]]]:
        """Return (command, line) by section, without importing any command."""
        sections: dict[str, list[tuple[str, str]]] = {title: [] for title in SECTIONS}
        also = {target: alias for alias, target in self._aliases.items()}
        for name in self.list_commands(ctx):
            if name in self._table:
                entry = self._table[name]
                shown = f"{name}, {also[name]}" if name in also else name
                sections[entry.section].append((shown, entry.help))
            else:
                line = self._plugin_help.get(name, "A command of another package.")
                sections["Run"].append((name, line))
        return sections

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        lines = self.help_lines(ctx)
        # One width for all sections, so that the lines stand in one column.
        wide = max(len(name) for section in lines.values() for name, _ in section)
        for title, section in lines.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(wide), line) for name, line in section])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        lines = [pair for section in self.help_lines(ctx).values() for pair in section]
        names = [(name.split(",")[0], line) for name, line in lines]
        found = [CompletionItem(n, help=line) for n, line in names if n.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)


@click.pass_context
def _help_without_command(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), color=ctx.color)


def _version_option() -> click.Option:
    def show(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
        if wanted and not ctx.resilient_parsing:
            click.echo(f"tasky {__version__}")
            ctx.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Print the version.",
    )


def _plugins() -> dict[str, Any]:
    """Return the commands that other packages bring, by name. Costs a look at all packages."""
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=PLUGINS)}


def _loaded(entry: Any) -> click.Command:
    try:
        command = entry.load()
    except ImportError as problem:
        text = f'The command "{entry.name}" cannot be loaded from {entry.value}: {problem}.'
        raise click.UsageError(text) from None
    if not isinstance(command, click.Command):
        raise click.UsageError(f"{entry.value} is not a command.")
    return command


def _with_global_options(command: click.Command) -> click.Command:
    """Let a command, and those below it, take the global options too; its own ones win."""
    taken = {flag for param in command.params for flag in (*param.opts, *param.secondary_opts)}
    for option in GLOBAL_OPTIONS:
        if not taken & set(option.flags):
            command.params.append(global_option(option, hidden=True))
    for below in getattr(command, "commands", {}).values():
        _with_global_options(below)
    return command
