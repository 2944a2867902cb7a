"""Writes docs/reference from the program itself: commands, errors, sample workers, states.

`make docs` runs it; a test fails when what it would write differs from what is there.
"""

import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from tasky.cli import cli
from tasky.errors import TaskyError
from tasky.runtime.registry import Registry
from tasky.schema import Field
from tasky.states import ACTIONS, DIAGRAM, EDGES, EDGES_UNSTARTED, State, Step

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Made by docs/generate.py; `make docs` writes it anew. -->\n"


def pages() -> dict[str, str]:
    """Return the generated pages by file name."""
    return {
        "command-line.md": _command_line(),
        "errors.md": _errors(),
        "sample-workers.md": _sample_workers(),
        "states.md": _states(),
    }


def _command_line() -> str:
    parts = [NOTE, "# Command line\n"]
    for path, command in _commands(cli, ("tasky",)):
        context = click.Context(command, info_name=" ".join(path), terminal_width=100)
        parts.append(f"## {' '.join(path)}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def _commands(
    command: click.Command, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path[-1])
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from _commands(found, (*path, name))


def _errors() -> str:
    rows = [
        f"| `{code}` | {error.status} | {error.exit_code} | {_sentence(error)} |"
        for code, error in sorted(TaskyError.by_code.items())
    ]
    head = "| code | HTTP | exit | sentence |\n|---|---|---|---|\n"
    about = (
        "Every error has the same code and sentence on the command line, over REST and in Python.\n"
        "The exit code is the one of a client command; words in braces are filled in.\n"
    )
    return "\n".join([NOTE, "# Errors\n", about, head + "\n".join(rows) + "\n"])


def _sentence(error: type[TaskyError]) -> str:
    return " ".join(inspect.getdoc(error).split()).replace("|", "\\|") if error.__doc__ else ""


def _sample_workers() -> str:
    registry = Registry()
    registry.load("sample_workers")
    parts = [NOTE, "# Sample workers\n"]
    for name, registered in sorted(registry.workers.items()):
        worker = registered.described()
        example = " ".join(f"{key}={value}" for key, value in worker.sample_config.items())
        parts.append(f"## {name}\n\n{worker.description.strip()}\n")
        parts.append(f"Obeys: {', '.join(worker.supports)}.\n")
        parts += [_fields(registered.spec.schema.fields)]
        parts.append(f"```sh\ntasky run {name} {example}".rstrip() + "\n```\n")
    return "\n".join(parts)


def _fields(fields: Sequence[Field]) -> str:
    rows = [
        f"| `{f.name}` | {'required' if f.required else f'`{f.default!r}`'} | {f.description} |"
        for f in fields
    ]
    return "| field | default | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _states() -> str:
    edges = [f"| {a} | {step} | {b} |" for a, step, b in _in_order(EDGES)]
    early = [
        f"| {a}, before the start | {step} | {b} |" for a, step, b in _in_order(EDGES_UNSTARTED)
    ]
    actions = [
        f"| `{name}` | {', '.join(state for state in State if state in states)} |"
        for name, states in ACTIONS.items()
    ]
    return "\n".join(
        [
            NOTE,
            "# States\n",
            f"```text\n{DIAGRAM}```\n",
            "## Edges\n\n| from | step | to |\n|---|---|---|\n" + "\n".join(edges + early) + "\n",
            "## Actions\n\n| action | possible when |\n|---|---|\n" + "\n".join(actions) + "\n",
        ]
    )


def _in_order(edges: Mapping[tuple[State, Step], State]) -> list[tuple[State, Step, State]]:
    states, steps = list(State), list(Step)
    rows = [(a, step, b) for (a, step), b in edges.items()]
    return sorted(rows, key=lambda row: (states.index(row[0]), steps.index(row[1])))


def main() -> None:
    """Write the pages."""
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
