"""`tasky init`: a settings file to begin with."""

import os
from pathlib import Path

import click

from tasky.cli.groups import Command
from tasky.cli.options import Setup, pass_setup
from tasky.cli.output import Exit, Output, Stop

TEMPLATE = """\
# Settings of Tasky. Every line that begins with "#" shows a default or an example.
# Flags and the environment win over this file; "tasky doctor" checks it.

[server]
# host = "127.0.0.1"          # beyond loopback a certificate is needed
# port = 8888                 # 0 takes a free one
# threads = 4                 # tasks that run at a time

[files]
# What workers may read and write; without roots it is the folder of the start.
# roots = ["/var/log:ro", "/srv/data"]

[workers]
# Your own workers: modules, .py files or folders of them.
# modules = ["my.py"]

# [workers.archive]           # a limit of one worker
# max_running = 1
"""


@click.command(cls=Command, examples=("tasky init", "tasky init --schema > tasky.schema.json"))
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the file instead.")
@pass_setup
def init(setup: Setup, schema: bool) -> None:
    """Write a commented tasky.toml in this folder, never over one that is there."""
    out = Output(setup)
    if schema:
        from tasky.settings import json_schema

        out.document(json_schema())
        return
    path = Path.cwd() / "tasky.toml"
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        raise Stop(Exit.REFUSED, f"{path} is there already; nothing was changed.") from None
    except OSError as problem:
        why = (problem.strerror or "").lower()
        raise Stop(Exit.UNAVAILABLE, f"{path} cannot be written: {why}.") from None
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        stream.write(TEMPLATE)
    out.line(str(path))
    out.note('"tasky" reads it when it is started in this folder; elsewhere give --config.')
