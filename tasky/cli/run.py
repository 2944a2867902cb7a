"""`tasky run`: submit a task, and wait for it or watch it if that is wanted."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import click

from tasky.cli.completion import complete_pair, complete_worker
from tasky.cli.follow import Follower, check_end, wait_for
from tasky.cli.groups import Command
from tasky.cli.options import (
    Load,
    Setup,
    client,
    is_engine,
    is_server,
    leave_at_once,
    pass_setup,
)
from tasky.cli.output import Exit, Output, Stop, name_of
from tasky.cli.pairs import config_of, labels_of
from tasky.cli.shared import load_options
from tasky.cli.types import MOMENT, SPAN, TEXT

if TYPE_CHECKING:
    from tasky.client.base import Client
    from tasky.model import Submit, Task, Worker


@dataclass
class _Watched:
    """A submitted task, and how it is waited for."""

    link: "Client"
    out: Output
    task: "Task"
    follow: bool
    timeout_s: float | None


@click.command(
    cls=Command,
    examples=(
        "tasky run sleep seconds=5 --follow",
        "tasky run copy_file source=a.txt target=b.txt overwrite=true --wait",
        "tasky run http_check url=https://example.org --at 03:00 --label env=prod",
        "tasky run my_worker limits:='{\"cpu\": 2}' text@notes.txt -w my.py --wait",
    ),
)
@click.argument("worker", type=TEXT, shell_complete=complete_worker)
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE|KEY:=JSON|KEY@FILE]...",
                shell_complete=complete_pair)  # fmt: skip
@click.option("--wait", is_flag=True, help="Wait for the end and print the output.")
@click.option("--follow", is_flag=True, help="Show log and progress too.")
@click.option("--wait-timeout", type=SPAN, help="Wait at most so long (exit code 124).")
@click.option("--times", type=click.IntRange(1, 10_000), default=1, help="Run it so many times.")
@click.option("--timeout", type=SPAN, help="Time the task may take.")
@click.option("--priority", type=click.IntRange(-100, 100), default=0, help="Larger goes first.")
@click.option("--at", type=MOMENT, help="Start then: 2026-11-20T14:30 or 14:30.")
@click.option("--delay", type=SPAN, help="Start after a while: 30s, 5m, 2h.")
@click.option("--hold", is_flag=True, help='Keep it until "tasky release".')
@click.option("--label", "labels", type=TEXT, multiple=True, metavar="K=V",
              help="A label; may be repeated.")  # fmt: skip
@click.option("--key", type=TEXT, help="Refuse it while an open task has the same key.")
@click.option("--idempotency-key", type=TEXT, help="The same key again gives the same task (24 h).")
@click.option("--queue", type=TEXT, help="Queue, other than the worker's own.")
@click.option("--max-attempts", type=click.IntRange(1, 1000), help="Attempts in all.")
@load_options(roots=True)
@pass_setup
def run(
    setup: Setup,
    /,
    worker: str,
    pairs: tuple[str, ...],
    wait: bool,
    follow: bool,
    wait_timeout: float | None,
    load: Load,
    **options: Any,
) -> None:
    """Submit a task for WORKER and print its id.

    Values get the types that the worker's fields have. Without a server --wait and --follow run the
    task in this process; otherwise it waits in the database until "tasky serve" runs.
    """
    here = wait or follow
    _check_options(options, here=here)
    out = Output(setup)
    link = client(setup, "run" if here else "write", load)
    try:
        if is_server(link) and load != Load():
            out.note("tasky: -w, --no-samples and --root are the server's choice; left out.")
        task = link.submit(_request(link, worker, pairs, options))
        if here:
            _watch(_Watched(link, out, task, follow, wait_timeout))
        else:
            _tell_submitted(setup, link, out, task)
    finally:
        link.close()


def _check_options(options: dict[str, Any], *, here: bool) -> None:
    if options["at"] is not None and options["delay"] is not None:
        raise click.UsageError("--at and --delay exclude each other: give one of them.")
    if options["hold"] and here:
        raise click.UsageError("A held task does not start, so --wait and --follow never end.")


def _request(
    link: "Client", worker: str, pairs: tuple[str, ...], options: dict[str, Any]
) -> "Submit":
    from tasky.model import Submit

    schema = _worker(link, worker).config_schema
    return Submit(
        worker=worker,
        config=config_of(pairs, schema),
        labels=labels_of(options["labels"]),
        timeout_s=options["timeout"],
        not_before=options["at"],
        delay_s=options["delay"],
        **{name: options[name] for name in _AS_THEY_ARE},
    )


def _worker(link: "Client", name: str) -> "Worker":
    """Return the worker; when it is unknown, say which modules did not load: it may be in one."""
    from tasky.errors import FieldError, WorkerUnknown

    try:
        return link.worker(name)
    except WorkerUnknown as unknown:
        failed = link.workers()[1]
        unknown.errors = tuple(
            FieldError("", f"{m.module} was not loaded: {m.error}") for m in failed
        )
        raise


_AS_THEY_ARE = ("times", "priority", "hold", "key", "idempotency_key", "queue", "max_attempts")


def _tell_submitted(setup: Setup, link: "Client", out: Output, task: "Task") -> None:
    from tasky.client import wire

    if not out.items([wire.task(task)], wire.task(task), [task.id]):
        out.line(task.id)
    if not is_server(link) and task.status == "queued":
        out.note(f'tasky: {task.id[:8]} waits in {setup.database} until "tasky serve" runs.')


# -- waiting and watching --------------------------------------------------------------------------


def _watch(w: _Watched) -> None:
    if w.out.quiet:
        w.out.line(w.task.id)
    else:
        w.out.note(f"task {w.task.id}")
    with _ends_politely():
        try:
            task = _until_end(w)
        except KeyboardInterrupt:
            _interrupted(w)
        if not task.ended:
            _waited_too_long(w, task)
    _print_end(w, task)


def _until_end(w: _Watched) -> "Task":
    if w.follow:
        return Follower(w.link, w.out).until_end(w.task, w.timeout_s)
    return wait_for(w.link, w.task.id, w.timeout_s)


@contextmanager
def _ends_politely() -> Iterator[None]:
    """SIGTERM and SIGHUP let an embedded engine stop its tasks before the process ends."""

    def stop(number: int, _: Any) -> NoReturn:
        raise Stop(128 + number, "told to end; tasks of this process are stopped.")

    before = {n: signal.signal(n, stop) for n in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupted(w: _Watched) -> NoReturn:
    short = w.task.id[:8]
    if not is_engine(w.link):
        text = f'interrupted; {short} goes on. "tasky cancel {short}" stops it.'
        raise Stop(Exit.INTERRUPTED, text)
    try:
        w.out.note(f"tasky: {short} is asked to stop. Ctrl-C again leaves without waiting for it.")
        w.link.act(w.task.id, "cancel", reason="interrupted in the terminal")
        task = wait_for(w.link, w.task.id, None)
    except KeyboardInterrupt:
        leave_at_once(w.link)
        raise Stop(Exit.INTERRUPTED, f"left; {short} was cut off.") from None
    raise Stop(Exit.INTERRUPTED, f"{name_of(task)} {task.status}.")


def _waited_too_long(w: _Watched, task: "Task") -> NoReturn:
    from tasky.errors import WaitedTooLong

    if not is_engine(w.link):
        raise WaitedTooLong(id=task.id[:8], state=task.status, seconds=f"{w.timeout_s:g}")
    w.link.act(task.id, "cancel", reason="waited too long, and no server runs it on")
    text = (
        f"{name_of(task)} is still {task.status} after {w.timeout_s:g} s; it ran here, so it stops."
    )
    raise Stop(Exit.WAITED, text)


def _print_end(w: _Watched, task: "Task") -> None:
    from tasky.client import wire

    if w.out.jsonl:
        w.out.record(wire.task(task))
    elif w.out.json:
        w.out.document(wire.task(task))
    elif not w.out.quiet and task.status == "succeeded":
        print_output(w.link, w.out, task)
    check_end(task)


def print_output(link: "Client", out: Output, task: "Task") -> None:
    """Print what a task returned: JSON for people, text as it is, bytes raw."""
    found = link.output(task.id)
    if found.kind is None:
        return
    if found.kind == "json":
        import msgspec

        out.block(msgspec.json.format(found.read(), indent=2).decode("utf-8", "backslashreplace"))
    elif not out.terminal:
        out.raw(found.chunks)
    elif found.kind == "text":
        out.block(found.read().decode("utf-8", "backslashreplace"))
    else:
        raise Stop(
            Exit.REFUSED,
            f"{found.size} bytes are not shown on a terminal: tasky output {task.id[:8]} > FILE",
        )
