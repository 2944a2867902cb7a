"""Waiting for tasks and watching them: log lines and a progress bar on stderr."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tasky.cli.options import patience_s
from tasky.cli.output import Exit, Output, Stop, name_of
from tasky.cli.texts import bar, cut, duration, log_text, marked, moment, one_line, rate, width

if TYPE_CHECKING:
    from tasky.client.base import Client
    from tasky.model import LogLine, Progress, Task

LOOK_S = 0.5
"""How often progress is looked at while a log is silent; a worker reports four times a second."""
SPARSE_S = 10.0
SPARSE_PERCENT = 10.0
"""In a pipe a progress line comes after so much time or so much progress."""
BATCH = 1000


def wait_for(link: "Client", id: str, timeout_s: float | None) -> "Task":  # noqa: A002  # as in Client
    """Return the task once it ended, or as it is after `timeout_s`."""
    until = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        left = patience_s(link) if until is None else until - time.monotonic()
        task = link.wait(id, max(0.0, min(left, patience_s(link))))
        if task.ended or (until is not None and time.monotonic() >= until):
            return task


def wait_effect(
    link: "Client", task: "Task", there: "Callable[[Task], bool]", timeout_s: float
) -> "Task":
    """Return the task once it is as wanted, or as it is after the time."""
    until = time.monotonic() + timeout_s
    while not there(task) and time.monotonic() < until:
        left = min(until - time.monotonic(), patience_s(link))
        task = link.wait_change(task.id, task.version, max(0.0, left))
    return task


def check_end(task: "Task") -> None:
    """Raise what ends a command whose task has not succeeded."""
    if task.status == "succeeded":
        return
    why = f": {_reason(task)}" if task.error else "."
    raise Stop(Exit.ENDED_BADLY, f"{name_of(task)} {task.status.replace('_', ' ')}{why}")


def _reason(task: "Task") -> str:
    if task.error is None:
        return ""
    return marked(one_line(f"{task.error.type}: {task.error.message}"))


class Follower:
    """Shows one task on stderr until it ends: log lines go above a bar that redraws in place."""

    def __init__(self, link: "Client", out: Output) -> None:
        self._link = link
        self._out = out
        self._terminal = sys.stderr.isatty()
        self._painted = self._terminal and out.color
        self._bar = ""
        self._last_at = time.monotonic()
        self._last_percent = 0.0

    def until_end(self, task: "Task", timeout_s: float | None) -> "Task":
        """Show log and progress; return the task at its end, or as it is after `timeout_s`."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            for line in log_lines(self._link, task, until):
                if line is not None:
                    self._show_line(line)
                now = self._link.task(task.id) if line is None else task
                if now is not task:
                    task = now
                    self._show_progress(task)
        finally:
            self._wipe()
        return self._link.task(task.id)

    def _show_line(self, line: "LogLine") -> None:
        if self._out.jsonl:
            from tasky.client import wire

            self._out.record(wire.log_line(line))
            return
        self._wipe()
        sys.stderr.write(log_form(line, self._terminal, self._painted, self._out.ascii) + "\n")
        self._draw(self._bar)

    def _show_progress(self, task: "Task") -> None:
        if self._out.quiet or task.ended or (task.progress is None and not self._terminal):
            return
        text = self._progress_text(task)
        if self._terminal:
            self._wipe()
            self._draw(text)
        elif self._is_news(task.progress):
            print(text, file=sys.stderr, flush=True)

    def _is_news(self, progress: "Progress | None") -> bool:
        percent = (progress.percent if progress else None) or 0.0
        now = time.monotonic()
        if percent - self._last_percent < SPARSE_PERCENT and now - self._last_at < SPARSE_S:
            return False
        self._last_at, self._last_percent = now, percent
        return True

    def _progress_text(self, task: "Task") -> str:
        parts = [*_progress_parts(task, self._out.ascii, drawn=self._terminal)]
        text = "  ".join([self._out.status(task.status).text, *parts])
        text = marked(text.replace("\n", " "), ascii_only=self._out.ascii)
        if not self._terminal:
            return text
        columns = shutil.get_terminal_size().columns
        return cut(text, columns - 1, self._out.ellipsis)

    def _draw(self, text: str) -> None:
        if self._terminal and text:
            sys.stderr.write(text)
            sys.stderr.flush()
        self._bar = text

    def _wipe(self) -> None:
        if self._terminal and self._bar:
            sys.stderr.write("\r\x1b[K" if not self._out.ascii else f"\r{' ' * width(self._bar)}\r")
            sys.stderr.flush()


def _progress_parts(task: "Task", ascii_only: bool, *, drawn: bool) -> Iterator[str]:
    """Yield what was reported, nothing guessed: an ETA is there only when the core gave one."""
    progress = task.progress
    if progress is None:
        return
    if progress.percent is not None:
        if drawn:
            full = bar(progress.percent / 100, 24, ascii_only=ascii_only)
            yield full + ("." if ascii_only else "░") * (24 - len(full))
        yield f"{progress.percent:.0f} %"
    elif progress.done is not None:
        yield f"{progress.done:g} {progress.unit}".strip()
    if progress.rate:
        yield rate(progress.rate, progress.unit)
    if progress.eta_s is not None:
        yield f"ETA {duration(progress.eta_s)}"
    for text in (progress.stage, progress.message):
        if text:
            yield text


def log_lines(
    link: "Client", task: "Task", until: float | None, after: int = 0
) -> Iterator["LogLine | None"]:
    """Yield log lines until the task ends or the time is up, None after each look.

    Sequence numbers begin anew with each execution, so a retry is read from its start.
    """
    execution = task.execution_id
    while True:
        now = link.task(task.id)
        if now.execution_id != execution:
            execution, after = now.execution_id, 0
        left = LOOK_S if until is None else min(LOOK_S, until - time.monotonic())
        lines = _next_lines(link, now, after, 0.0 if now.ended else max(0.0, left))
        for line in lines:
            yield line
            after = line.seq
        yield None
        if not lines and (now.ended or (until is not None and time.monotonic() >= until)):
            return


def _next_lines(link: "Client", task: "Task", after: int, wait_s: float) -> list["LogLine"]:
    if task.execution_id is not None:
        return link.log(task.id, after=after, limit=BATCH, wait_s=wait_s)
    # What has not started has no log that one could wait for.
    if wait_s:
        link.wait_change(task.id, task.version, wait_s)
    return []


def log_form(line: "LogLine", terminal: bool, color: bool, ascii_only: bool) -> str:
    """Return one log line as people read it: time, level if it matters, text."""
    level = "" if line.level in ("info", "debug", "") else f"{line.level}  "
    text = line.text
    if terminal:
        text = log_text(text, color=color, ascii_only=ascii_only)
    return f"{moment(line.at)}  {level}{text}"
