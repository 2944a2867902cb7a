"""Programs that live and die with the task that runs them; what `Context.run` does."""

import contextlib
import errno
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tasky.errors import FileProblem
from tasky.worker import Context

KEPT_HEAD = KEPT_TAIL = 256 * 1024
"""Bytes kept of the start and of the end of a stream; what lies between is only in the log."""

_CHUNK = 64 * 1024
_LARGEST_PIPE = 1024 * 1024
_LONGEST_LINE = 64 * 1024
_PAUSE_CHECK_S = 0.2


def run(
    ctx: Context,
    argv: Sequence[str],
    *,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    grace: float = 5.0,
) -> subprocess.CompletedProcess[str]:
    """Run a program without a shell, with empty stdin; each line it writes goes to the task's log.

    stdout and stderr are also returned: the first and the last 256 KiB of each, with a note of what
    is missing in between. `env` replaces the environment, None passes on the server's.

    A cancel sends SIGTERM to the program's process group; SIGKILL follows after `grace` seconds, or
    once the program has ended and nobody has its output open. A pause stops the group with SIGSTOP;
    it is seen within 0.2 s, and the program goes on when the task does. When the program ends by
    itself, what it left behind in its group is killed too. The limit: a process that moved into a
    session of its own is out of reach.

    Raises `FileProblem` for a program or directory that cannot be used, `Cancelled`, and
    `subprocess.CalledProcessError` for an exit code other than 0 if `check`.
    """
    if not argv:
        raise ValueError("there is no program to run; give argv as a list, the program first")
    ctx.checkpoint()
    with _Program(ctx, grace) as program:
        process = program.start(_start(argv, cwd, env))
        program.follow()
    done = subprocess.CompletedProcess(
        list(argv), process.wait(), program.out.text(), program.err.text()
    )
    if check:
        done.check_returncode()
    return done


def _start(
    argv: Sequence[str], cwd: str | Path | None, env: Mapping[str, str] | None
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603  # a list, never a shell; what may run is the worker's say
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            close_fds=True,
            start_new_session=True,
        )
    except OSError as error:
        raise _told(error, argv[0]) from error


def _told(error: OSError, program: str) -> FileProblem | OSError:
    path = error.filename or program
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        hint = "Check the path." if "/" in str(path) else "Install it, or give its path."
        return FileProblem(path=path, why="does not exist", hint=hint)
    if isinstance(error, PermissionError):
        return FileProblem(path=path, why="may not be used", hint="Check its rights (chmod +x).")
    if error.errno == errno.ENOEXEC:
        return FileProblem(path=path, why="is not a program", hint='Start it with a "#!" line.')
    return error


class _Program:
    """A started program, followed by one thread: the one that runs the worker.

    All signals are sent here, and the exit status is collected last: until then nobody else can
    have the number of the process group.
    """

    def __init__(self, ctx: Context, grace: float) -> None:
        self._ctx = ctx
        self._grace = grace
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._wait, name="tasky-program", daemon=True)
        self._bell = _Bell()
        self._selector = selectors.DefaultSelector()
        self._cleanup = contextlib.ExitStack()
        self.out = _Stream(ctx, "out")
        self.err = _Stream(ctx, "err")

    def __enter__(self) -> Self:
        self._selector.register(self._bell.listener, selectors.EVENT_READ, None)
        self._cleanup.callback(self._bell.close)
        self._cleanup.callback(self._selector.close)
        self._cleanup.callback(self._ctx.token.on_cancel(self._bell.ring))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    def start(self, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """Take over a program just started; from here on it does not outlive the block."""
        self._process = process
        self._cleanup.enter_context(process)  # closes the pipes, collects the exit status
        self._cleanup.callback(self._last_words)
        self._cleanup.callback(self._join)
        self._cleanup.callback(self._signal, signal.SIGKILL)
        for stream, pipe in ((self.out, process.stdout), (self.err, process.stderr)):
            self._selector.register(stream.listen(pipe), selectors.EVENT_READ, stream)
        self._watch.start()
        return process

    def _join(self) -> None:
        if self._watch.is_alive():
            self._watch.join()

    def _last_words(self) -> None:
        for stream in (self.out, self.err):
            stream.finish()

    def _wait(self) -> None:
        # WNOWAIT leaves the zombie, and with it the number of the group. No child to wait for means
        # that somebody has SIGCHLD ignored; the program has ended all the same.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        self._ended.set()
        self._bell.ring()

    def follow(self) -> None:
        """Read until the program has ended; on a cancel end it and raise `Cancelled`."""
        try:
            while not self._ended.is_set():
                self._read(_PAUSE_CHECK_S)
                self._ctx.token.raise_if_cancelled()
                if self._ctx.token.paused:
                    self._stand_still()
        except BaseException:
            self._terminate()
            raise

    def _stand_still(self) -> None:
        self._signal(signal.SIGSTOP)
        try:
            self._ctx.checkpoint()
        finally:
            self._signal(signal.SIGCONT)

    def _terminate(self) -> None:
        """Give the group its grace to end, and its last words time to reach the log."""
        self._signal(signal.SIGTERM)
        until = time.monotonic() + self._grace
        while self._lives() and (left := until - time.monotonic()) > 0:
            self._read(left)

    def _lives(self) -> bool:
        """Whether the program runs, or somebody it started still has its output open."""
        return not self._ended.is_set() or len(self._selector.get_map()) > 1

    def _read(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            if key.data is None:
                self._bell.hush()
            elif not key.data.read():
                self._selector.unregister(key.fileobj)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


class _Bell:
    """Wakes a selector from another thread; ringing after the close does nothing."""

    def __init__(self) -> None:
        self.listener, self._ringer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._lock = threading.Lock()
        self._closed = False

    def ring(self) -> None:
        # A full pipe is a bell that rings already.
        with self._lock, contextlib.suppress(BlockingIOError):
            if not self._closed:
                os.write(self._ringer, b"!")

    def hush(self) -> None:
        os.read(self.listener, _CHUNK)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            os.close(self.listener)
            os.close(self._ringer)


class _Stream:
    """One output of a program: lines to the log, head and tail to the result."""

    def __init__(self, ctx: Context, name: str) -> None:
        self._pipe = -1
        self._ctx = ctx
        self._name = name
        self._line = bytearray()
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0

    def listen(self, pipe: IO[bytes] | None) -> int:
        """Take the pipe to read from; return its descriptor."""
        if pipe is None:
            raise ValueError(f"the program has no pipe for {self._name}; start it with PIPE")
        self._pipe = pipe.fileno()
        os.set_blocking(self._pipe, False)
        return self._pipe

    def read(self) -> bool:
        """Take what is there; return whether more may come."""
        try:
            data = os.read(self._pipe, _CHUNK)
        except BlockingIOError:
            return True
        self._keep(data)
        self._log(data)
        return bool(data)

    def finish(self) -> None:
        """Take what the pipe still holds, without waiting for whoever else has it open."""
        for _ in range(_LARGEST_PIPE // _CHUNK):
            if not self.read():
                break
        if self._line:
            self._write(self._line)

    def _keep(self, data: bytes) -> None:
        room = KEPT_HEAD - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        # Cut in big steps: cutting at each read would move 256 KiB for every line.
        if len(self._tail) > 2 * KEPT_TAIL:
            self._left_out += len(self._tail) - KEPT_TAIL
            del self._tail[:-KEPT_TAIL]

    def _log(self, data: bytes) -> None:
        self._line += data
        *lines, rest = self._line.split(b"\n")
        for line in lines:
            self._write(line)
        while len(rest) >= _LONGEST_LINE:
            self._write(rest[:_LONGEST_LINE])
            rest = rest[_LONGEST_LINE:]
        self._line = rest

    def _write(self, line: bytearray) -> None:
        self._ctx.write_line(line.decode(errors="replace").rstrip("\r"), stream=self._name)

    def text(self) -> str:
        """Return what was kept."""
        tail = self._tail[-KEPT_TAIL:]
        left_out = self._left_out + len(self._tail) - len(tail)
        note = f"\n[… {left_out} bytes left out …]\n" if left_out else ""
        return self._head.decode(errors="replace") + note + tail.decode(errors="replace")
