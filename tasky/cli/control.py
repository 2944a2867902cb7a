"""What people ask of tasks: `tasky cancel pause resume kill rerun release`."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from tasky.cli.follow import wait_effect
from tasky.cli.groups import Command
from tasky.cli.options import Load, Setup, client, pass_setup
from tasky.cli.output import Exit, Output, Stop, name_of, query_shown, say_error
from tasky.cli.pairs import config_of, is_pair
from tasky.cli.shared import load_options, local_zone, task_arguments
from tasky.cli.texts import number
from tasky.cli.types import SPAN, TEXT
from tasky.states import State

if TYPE_CHECKING:
    from tasky.client.base import Client
    from tasky.model import Outcome, Task

AWAITED = ("cancel", "kill", "pause", "resume")
"""Actions that running code has to obey first."""

OBEYED = {
    "cancel": (State.CANCELLED, State.TIMED_OUT, State.KILLED),
    "kill": (State.KILLED,),
    "pause": (State.PAUSED,),
}
"""Where a task is once an action took effect; elsewhere it had finished first."""

SILENT_S = 2.0
"""So long nothing is said of what is waited for."""

CONSEQUENCES = {
    "cancel": "Queued ones end at once, running ones are asked to stop at their next checkpoint.",
    "pause": "Queued ones are held back, running ones stand still at their next checkpoint.",
    "kill": "They are ended without their consent; what they were doing stays half done.",
    "resume": "They go on.",
    "rerun": "They are queued again.",
    "release": "They are queued.",
}

Changes = dict[str, Any]


@dataclass(frozen=True)
class _Wish:
    """What is asked for, and how."""

    action: str
    reason: str
    wait_s: float
    times: int = 1
    pairs: tuple[str, ...] = ()


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what all of these commands take."""
    for option in (
        pass_setup,
        load_options(),
        click.option("--wait-timeout", type=SPAN, default=30.0, show_default="30 s",
                     help="Wait at most so long for the effect."),
        click.option("--no-wait", is_flag=True, help="Return as soon as it is asked for."),
        click.option("--reason", type=TEXT, default="", help="Why; it is kept with the task."),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--dry-run", is_flag=True, help="With --filter: only tell what would be."),
        click.option("--filter", "query", type=TEXT, metavar="QUERY",
                     help="All tasks that fit a query."),
    ):  # fmt: skip
        function = option(function)
    return function


def _examples(action: str) -> tuple[str, ...]:
    return (
        f"tasky {action} 9b01",
        f"tasky {action} --filter 'worker:copy_* created:<1h' --dry-run",
    )


@click.command(cls=Command, examples=_examples("cancel"))
@task_arguments(required=False)
@_options
def cancel(setup: Setup, ids: tuple[str, ...], **options: Any) -> None:
    """Ask tasks to stop. Queued ones end at once, running ones at their next checkpoint."""
    _act(setup, ids, _wish("cancel", options), options)


@click.command(cls=Command, examples=_examples("pause"))
@task_arguments(required=False)
@_options
def pause(setup: Setup, ids: tuple[str, ...], **options: Any) -> None:
    """Ask tasks to stand still at their next checkpoint; queued ones are held back."""
    _act(setup, ids, _wish("pause", options), options)


@click.command(cls=Command, examples=_examples("resume"))
@task_arguments(required=False)
@_options
def resume(setup: Setup, ids: tuple[str, ...], **options: Any) -> None:
    """Let paused tasks go on."""
    _act(setup, ids, _wish("resume", options), options)


@click.command(cls=Command, examples=_examples("kill"))
@task_arguments(required=False)
@_options
def kill(setup: Setup, ids: tuple[str, ...], **options: Any) -> None:
    """End running tasks without their consent; what they do stays half done."""
    _act(setup, ids, _wish("kill", options), options)


@click.command(cls=Command, examples=_examples("release"))
@task_arguments(required=False)
@_options
def release(setup: Setup, ids: tuple[str, ...], **options: Any) -> None:
    """Queue tasks that were submitted with --hold."""
    _act(setup, ids, _wish("release", options), options)


@click.command(
    cls=Command,
    examples=(
        "tasky rerun 9b01",
        "tasky rerun 9b01 overwrite=true target=other.txt",
        "tasky rerun --filter 'status:failed created:<1h' --yes",
    ),
)
@task_arguments(required=False, pairs=True)
@click.option("--times", type=click.IntRange(1, 10_000), default=1, help="Run them so many times.")
@_options
def rerun(setup: Setup, ids: tuple[str, ...], times: int, **options: Any) -> None:
    """Run ended tasks again; KEY=VALUE among the ids changes their config first."""
    pairs = tuple(given for given in ids if is_pair(given))
    wish = _wish("rerun", options, times=times, pairs=pairs)
    if options["query"] is not None and (pairs or times != 1):
        raise click.UsageError("Changes and --times need ids; they do not go with --filter.")
    named = tuple(TEXT.convert(given, None, None) for given in ids if not is_pair(given))
    _act(setup, named, wish, options)


def _wish(action: str, options: dict[str, Any], **more: Any) -> _Wish:
    wait_s = 0.0 if options["no_wait"] else float(options["wait_timeout"])
    return _Wish(action, options["reason"], wait_s, **more)


def _act(setup: Setup, ids: tuple[str, ...], wish: _Wish, options: dict[str, Any]) -> None:
    query, load = options["query"], options["load"]
    if bool(ids) == (query is not None):
        raise click.UsageError(f'Give ids, or --filter with a query: "tasky {wish.action} --help".')
    if query is not None and not query.strip():
        raise click.UsageError(
            "An empty --filter would be every task; --filter 'created:>0s' says so."
        )
    if query is None:
        _act_on_ids(setup, ids, wish, load, asks=not options["yes"])
    else:
        _act_on_query(setup, query, wish, dry=options["dry_run"], yes=options["yes"])


# -- ids -------------------------------------------------------------------------------------------


def _act_on_ids(setup: Setup, ids: tuple[str, ...], wish: _Wish, load: Load, *, asks: bool) -> None:
    if asks and wish.action == "kill" and len(ids) > 1 and _may_ask():
        _confirm(f"Kill {len(ids)} tasks? {CONSEQUENCES['kill']}")
    out = Output(setup)
    link = client(setup, "write", load)
    try:
        asked, code = _ask_each(link, ids, wish)
        until = time.monotonic() + wish.wait_s
        done = [_effect(link, out, task, wish, until) for task in asked]
    except KeyboardInterrupt:
        raise Stop(Exit.INTERRUPTED, "interrupted; what was asked for stays asked.") from None
    finally:
        link.close()
    _print_tasks(out, [task for task, _ in done])
    code = code or max((effect for _, effect in done), default=0)
    if code:
        raise Stop(code)


def _ask_each(link: "Client", ids: Sequence[str], wish: _Wish) -> "tuple[list[Task], int]":
    """Ask for all before waiting for any; a refusal of one does not keep the others from it."""
    from tasky.errors import TaskyError

    asked, code = [], 0
    for given in ids:
        try:
            asked.append(_ask(link, given, wish))
        except TaskyError as refusal:
            code = code or say_error(refusal)
    return asked, code


def _ask(link: "Client", given: str, wish: _Wish) -> "Task":
    config = None
    if wish.pairs:
        schema = link.worker(link.task(given).worker).config_schema
        config = config_of(wish.pairs, schema)
    return link.act(given, wish.action, times=wish.times, config=config, reason=wish.reason)


def _effect(
    link: "Client", out: Output, task: "Task", wish: _Wish, until: float
) -> "tuple[Task, int]":
    """Wait for the effect, or say what it waits for; return the task then, and the exit code."""
    from tasky.client.base import EFFECTS

    if wish.action not in AWAITED:
        return task, Exit.DONE
    there = EFFECTS[wish.action]
    left = max(0.0, until - time.monotonic())
    task = wait_effect(link, task, there, min(SILENT_S, left))
    if not there(task):
        out.note(f"tasky: {task.id[:8]}: {wish.action} asked. {out.safe(link.why(task.id).text)}")
        task = wait_effect(link, task, there, max(0.0, until - time.monotonic()))
    if not there(task):
        return task, _unobeyed(out, task, wish, left)
    if task.status in OBEYED.get(wish.action, (task.status,)):
        return task, Exit.DONE
    out.problem(
        f"tasky: {name_of(task)} finished before {wish.action} took effect: it is {task.status}."
    )
    return task, Exit.ENDED_BADLY


def _unobeyed(out: Output, task: "Task", wish: _Wish, waited_s: float) -> int:
    """Say that the time is up, unless the only line about the task was said just now."""
    if waited_s > SILENT_S:
        out.note(f"tasky: {task.id[:8]}: still {task.status}; what was asked for stays asked.")
    return Exit.WAITED if wish.wait_s else Exit.DONE


def _print_tasks(out: Output, tasks: "list[Task]") -> None:
    from tasky.client import wire

    forms = [wire.task(task) for task in tasks] if out.json or out.jsonl else []
    whole = forms[0] if len(forms) == 1 else {"items": forms}
    if out.items(forms, whole, (task.id for task in tasks)):
        return
    for task in tasks:
        status = out.status(task.status)
        out.line(f"{task.id[:8]}  {out.paint(*status)}  {out.safe(task.worker)}")


# -- a query ---------------------------------------------------------------------------------------


def _act_on_query(setup: Setup, query: str, wish: _Wish, *, dry: bool, yes: bool) -> None:
    if not (dry or yes or _may_ask()):
        raise click.UsageError(
            "Nobody can be asked here: add --yes, or --dry-run to see the tasks."
        )
    out = Output(setup)
    link = client(setup, "look" if dry else "write")
    try:
        with query_shown(query):
            if dry or not yes:
                would = link.act_many(query, wish.action, dry_run=True, tz=local_zone())
            if dry:
                _print_outcomes(out, would, f"{wish.action} would reach")
                return
            if not yes:
                _confirm_many(wish, would)
            done = link.act_many(query, wish.action, reason=wish.reason, tz=local_zone())
    finally:
        link.close()
    _print_outcomes(out, done, f"{wish.action} reached")
    # A query also finds tasks that ended long ago; refused is it only when nothing came of it.
    if done and not any(outcome.done for outcome in done):
        raise Stop(Exit.REFUSED)


def _confirm_many(wish: _Wish, would: "list[Outcome]") -> None:
    can = [outcome for outcome in would if outcome.done]
    if not can:
        raise Stop(Exit.DONE, f"no task fits that can be asked for {wish.action}.")
    counts = _counts(can)
    _confirm(
        f"{wish.action.capitalize()} {_tasks(len(can))} ({counts})? {CONSEQUENCES[wish.action]}"
    )


def _counts(outcomes: "Sequence[Outcome]") -> str:
    counts = Counter(str(outcome.status) for outcome in outcomes)
    return ", ".join(f"{number(count)} {status}" for status, count in counts.most_common())


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{number(count)} tasks"


def _print_outcomes(out: Output, outcomes: "list[Outcome]", verb: str) -> None:
    from tasky.client import wire

    forms = [wire.outcome(outcome) for outcome in outcomes]
    if out.items(forms, {"items": forms}, (o.task_id for o in outcomes if o.done)):
        return
    done = [outcome for outcome in outcomes if outcome.done]
    out.line(f"{verb} {_tasks(len(done))}" + (f": {_counts(done)}" if done else ""))
    refused = Counter(outcome.detail for outcome in outcomes if not outcome.done)
    for detail, count in refused.most_common(5):
        out.line(f"not possible for {_tasks(count)}: {out.safe(detail)}")


# -- questions -------------------------------------------------------------------------------------


def _may_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _confirm(question: str) -> None:
    if not click.confirm(question, default=False, err=True):
        raise Stop(Exit.REFUSED, "nothing was changed.")
