"""The command line: `tasky NOUN …`. A command's module is imported when it runs, not before."""

import sys
from collections.abc import Sequence

from tasky.cli.groups import Entry, LazyGroup

COMMANDS = {
    "run": Entry("run", "Submit a task; --wait prints its output, --follow log and progress."),
    "tasks": Entry("look", "List tasks, newest first, or those that fit a query.", "Look"),
    "show": Entry("look", "Show one task with config, output and error.", "Look"),
    "logs": Entry("logs", "Print the log of a task; -f follows it.", "Look"),
    "output": Entry("look", "Print what a task returned.", "Look"),
    "wait": Entry("look", "Wait until tasks have ended.", "Look"),
    "why": Entry("look", "Say why a task is where it is.", "Look"),
    "stack": Entry("look", "Show where the code of a running task stands.", "Look"),
    "events": Entry("events", "Show who did what when; -f follows.", "Look"),
    "workers": Entry("workers", "List workers; with a name: usage, fields, figures.", "Look"),
    "stats": Entry("stats", "Report counts, failures, throughput and times.", "Look"),
    "cancel": Entry("control", "Ask tasks to stop at their next checkpoint.", "Control"),
    "pause": Entry("control", "Ask tasks to stand still at their next checkpoint.", "Control"),
    "resume": Entry("control", "Let paused tasks go on.", "Control"),
    "kill": Entry("control", "End tasks without their consent.", "Control"),
    "rerun": Entry("control", "Run ended tasks again, with changes if given.", "Control"),
    "release": Entry("control", "Queue tasks that are held.", "Control"),
    "db": Entry("db", "Look after the database file.", "Operate"),
    "doctor": Entry("doctor", "Check versions, database, workers and file roots.", "Operate"),
    "init": Entry("init", "Write a commented tasky.toml.", "Operate"),
    "completion": Entry("completion", "Print the completion script of a shell.", "Operate"),
}
"""Every command of this package: where it lives, and its line in the help."""

ALIASES = {"ls": "tasks"}

PLUGIN_HELP = {
    "serve": "Run tasks, and offer REST and the web console.",
    "tui": "Open the terminal console.",
    "agent": "Be a remote worker of a server.",
}
"""Lines of known commands that other packages bring; each is shown when its package is there."""

cli = LazyGroup(
    "tasky",
    commands_table=COMMANDS,
    aliases=ALIASES,
    plugin_help=PLUGIN_HELP,
    help="Tasks on this server: run, watch, pause, cancel and measure them.",
)


def call(arguments: Sequence[str]) -> int:
    """Run one command line; return its exit code. Nothing is raised but what ends a process."""
    from tasky.cli.output import guarded

    def invoke() -> None:
        with cli.make_context("tasky", list(arguments)) as context:
            cli.invoke(context)

    return guarded(invoke)


def main() -> None:
    """Be the program `tasky`."""
    import os

    if "_TASKY_COMPLETE" in os.environ:
        cli.main(prog_name="tasky")
    sys.exit(call(sys.argv[1:]))
