"""On a terminal: width, colour, marks, a bar that redraws."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

import pytest

from tasky.cli.texts import width
from tests.cli.conftest import Program

SGR = re.compile(r"\x1b\[[0-9;]*m")


def on_terminal(
    tasky: Program, *arguments: str, columns: int = 80, environment: dict[str, str] | None = None
) -> str:
    """Return what a terminal of so many columns gets."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    settings = {"TERM": "xterm", **(environment or {})}
    process = subprocess.Popen(
        tasky.command(*arguments), cwd=tasky.folder, env={**tasky.environment, **settings},
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    parts = []
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(ours)
    process.wait(60)
    return b"".join(parts).decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_table_fits_the_terminal(tasky: Program, columns: int) -> None:
    tasky("run", "fails", f"text={'日本 ' * 60}", "--label", "env=prod", "-w", "own.py", "--wait")

    shown = on_terminal(tasky, "tasks", columns=columns)

    assert "✗ failed" in shown
    assert all(width(SGR.sub("", line)) <= columns for line in shown.splitlines())


def test_colour_is_on_a_terminal_and_off_when_told(tasky: Program) -> None:
    tasky("run", "sleep")

    assert "\x1b[34m○ queued" in on_terminal(tasky, "tasks")
    for shown in (
        on_terminal(tasky, "tasks", "--no-color"),
        on_terminal(tasky, "tasks", environment={"NO_COLOR": "1"}),
        on_terminal(tasky, "tasks", environment={"TERM": "dumb"}),
    ):
        assert "\x1b" not in shown
        assert "○ queued" in shown


@pytest.mark.parametrize("environment", [{"TASKY_ASCII": "1"}, {"LC_ALL": "C"}])
def test_ascii_is_enough_where_nothing_else_is_safe(
    tasky: Program, environment: dict[str, str]
) -> None:
    tasky("run", "sleep")

    assert on_terminal(tasky, "tasks", "-q", environment=environment).isascii()
    shown = on_terminal(tasky, "tasks", "--no-color", environment=environment)
    assert (shown.isascii(), "o queued" in shown) == (True, True)


def test_outside_text_is_drawn_not_obeyed(tasky: Program) -> None:
    task = tasky("run", "noisy", "-w", "own.py", "--wait", "-q").out.strip()

    for arguments in (["output", task], ["logs", task], ["show", task], ["events"]):
        shown = SGR.sub("", on_terminal(tasky, *arguments))
        assert "\x1b" not in shown, arguments
    assert "␛[2Jtext" in on_terminal(tasky, "output", task)
    assert "\x1b[31mline 0\x1b[0m ␛]52" in on_terminal(tasky, "logs", task)


def test_bytes_are_not_shown_on_a_terminal(tasky: Program) -> None:
    task = tasky("run", "blob", "-w", "own.py", "--wait", "-q").out.strip()

    assert "256 bytes are not shown" in on_terminal(tasky, "output", task)


def test_the_bar_redraws_and_is_wiped_before_the_output(tasky: Program) -> None:
    shown = on_terminal(tasky, "run", "sleep", "seconds=1.2", "steps=12", "--follow")

    assert "\r\x1b[K" in shown
    assert "░" in shown
    assert shown.rindex("\r\x1b[K") < shown.index('"slept_s"')
