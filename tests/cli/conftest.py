"""The real program on a real database; nothing here is played."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

PATIENCE_S = 60.0

WORKERS = '''
import threading

from tasky.worker import Context, worker


@worker
def noisy(ctx: Context, lines: int = 1) -> str:
    """Say lines that steer a terminal, then return one."""
    for n in range(lines):
        ctx.log.info(f"\\x1b[31mline {n}\\x1b[0m \\x1b]52;c;x\\x07")
    return "\\x1b[2Jtext"


@worker
def blocks(ctx: Context, obeys: bool = True) -> None:
    """Say that it began, then wait for a cancel; or for nothing at all."""
    ctx.log.info("it began")
    ctx.progress(1, 4, unit="B")
    if obeys:
        ctx.sleep(3600)
    threading.Event().wait()


@worker
def stubborn(ctx: Context, gate: str) -> str:
    """Ignore every wish until somebody writes to a pipe, then succeed."""
    ctx.log.info("it began")
    with open(gate) as pipe:
        return pipe.read()


@worker
def chatty(ctx: Context, lines: int = 400) -> None:
    """Say more than a log keeps."""
    for n in range(lines):
        ctx.log.info(f"{n} " + "x" * 4000)


@worker
def fails(ctx: Context, text: str = "no such thing") -> None:
    """Fail with a text."""
    raise ValueError(text)


@worker
def echo(ctx: Context, value: list[int], name: str = "", flag: bool = False) -> dict[str, object]:
    """Return what it was given."""
    return {"value": value, "name": name, "flag": flag}


@worker
def blob(ctx: Context) -> bytes:
    """Return bytes that are no text."""
    return bytes(range(256))
'''


@dataclass(frozen=True)
class Ran:
    """How a command line ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Program:
    """Runs `tasky` as a process of its own, in a folder and with a state folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "work.db"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "TASKY_DB": str(self.database),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }

    def __call__(self, *arguments: str, stdin: str | None = None, **environment: str) -> Ran:
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env={**self.environment, **environment},
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "tasky", *arguments]

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start a process that the caller ends."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        return subprocess.Popen(
            self.command(*arguments), cwd=self.folder, env=self.environment, text=True, **pipes
        )


@pytest.fixture
def tasky(tmp_path: Path) -> Program:
    (tmp_path / "own.py").write_text(WORKERS)
    return Program(tmp_path)


@pytest.fixture
def start(tasky: Program) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start processes that are gone after the test."""
    started: list[subprocess.Popen[str]] = []
    alarms: list[threading.Timer] = []

    def begin(*arguments: str, **options: Any) -> subprocess.Popen[str]:
        process = tasky.start(*arguments, **options)
        # A test that reads what never comes ends with the process, not never.
        alarms.append(threading.Timer(PATIENCE_S, process.kill))
        alarms[-1].start()
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()
    for alarm in alarms:
        alarm.cancel()
        alarm.join()


@pytest.fixture
def server(tasky: Program, start: Callable[..., subprocess.Popen[str]]) -> str:
    """The address of a real server on the program's database."""
    process = start("serve", "--port", "0", "-w", "own.py", stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("http"):
            return line.strip()
    raise AssertionError("the server gave no address")


def read_until(stream: IO[str] | None, text: str) -> str:
    """Return the line with `text`, the signal that a process has come so far."""
    assert stream is not None
    seen = []
    for line in stream:
        seen.append(line)
        if text in line:
            return line
    raise AssertionError(f"{text!r} never came, only {seen}")
