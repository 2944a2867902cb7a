"""Sends what code says through `logging` and, if asked for, `print` to the log of its execution."""

import contextvars
import io
import logging
import sys
import threading
from typing import Any

from tasky.worker import Line

_line: contextvars.ContextVar[Line | None] = contextvars.ContextVar("tasky_line", default=None)
_prints: contextvars.ContextVar["_Prints | None"] = contextvars.ContextVar(
    "tasky_prints", default=None
)


LONGEST_BEGUN = 64 * 1024
"""Characters without an end of line that are kept; with so many they go to the log as they are."""


class _Prints:
    """What an execution printed; lines go to its log when they are whole, or too long to wait."""

    def __init__(self, target: Line) -> None:
        self._target = target
        self._begun: list[str] = []
        self._length = 0
        self._cut = False

    def write(self, text: str) -> None:
        *ends, rest = text.split("\n")
        for end in ends:
            self._begin(end)
            # The end of a line that went to the log already is no empty line.
            if self._begun or not self._cut:
                self._pass_on()
            self._cut = False
        self._begin(rest)
        if self._length >= LONGEST_BEGUN:
            self._pass_on()
            self._cut = True

    def flush(self) -> None:
        """Take what has no end of line as a line."""
        if self._begun:
            self._pass_on()

    def _begin(self, text: str) -> None:
        if text:
            self._begun.append(text)
            self._length += len(text)

    def _pass_on(self) -> None:
        whole = "".join(self._begun)
        self._begun, self._length = [], 0
        self._target.log("info", whole, "out")


class line:  # noqa: N801  # used as a statement: with capture.line(...)
    """Context manager: while it is open, this thread's log records belong to `target`."""

    __slots__ = ("_prints", "_target", "_token", "_token_prints")

    def __init__(self, target: Line, *, prints: bool) -> None:
        self._target = target
        self._prints = prints

    def __enter__(self) -> None:
        self._token = _line.set(self._target)
        self._token_prints = _prints.set(_Prints(self._target) if self._prints else None)
        if self._prints:
            _split_stdout()

    def __exit__(self, *_: object) -> None:
        printed = _prints.get()
        if printed is not None:
            printed.flush()
        _line.reset(self._token)
        _prints.reset(self._token_prints)


class LogHandler(logging.Handler):
    """Gives records made inside an execution to its log; others go on as without us."""

    def emit(self, record: logging.LogRecord) -> None:
        target = _line.get()
        if target is not None:
            try:
                target.log(record.levelname.lower(), self.format(record), "log")
            except Exception:  # noqa: BLE001  # a bad log call harms the code no more than without us
                self.handleError(record)
        elif len(logging.getLogger().handlers) == 1 and record.levelno >= logging.WARNING:
            # Alone on the root logger we take the place of logging's last resort.
            print(self.format(record), file=sys.stderr)


class Capture:
    """Puts the handler on the root logger while an engine runs; leaves logs and stdout as found."""

    _lock = threading.Lock()
    _users = 0
    _handler: LogHandler | None = None
    _level = logging.WARNING

    @classmethod
    def start(cls) -> None:
        """Begin; nested calls count."""
        with cls._lock:
            cls._users += 1
            if cls._users > 1:
                return
            root = logging.getLogger()
            cls._handler, cls._level = LogHandler(), root.level
            root.addHandler(cls._handler)
            if root.level > logging.INFO:
                root.setLevel(logging.INFO)

    @classmethod
    def stop(cls) -> None:
        """End; the last call takes the handler away and gives stdout back."""
        with cls._lock:
            cls._users -= 1
            if cls._users == 0 and cls._handler is not None:
                logging.getLogger().removeHandler(cls._handler)
                logging.getLogger().setLevel(cls._level)
                cls._handler = None
                _join_stdout()


class _SplitStream(io.TextIOBase):
    """Stands for stdout: what an execution prints goes to its log, all else goes on as before."""

    def __init__(self, before: Any) -> None:
        self.before = before

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        target = _prints.get()
        if target is None:
            return int(self.before.write(text))
        target.write(text)
        return len(text)

    def flush(self) -> None:
        self.before.flush()

    # What the base class has of its own hides what the real stream says; all else is looked up.

    @property
    def encoding(self) -> Any:  # type: ignore[override]  # nobody sets it
        return self.before.encoding

    @property
    def errors(self) -> Any:  # type: ignore[override]  # nobody sets it
        return self.before.errors

    @property
    def newlines(self) -> Any:  # type: ignore[override]  # nobody sets it
        return self.before.newlines

    @property
    def buffer(self) -> Any:
        return self.before.buffer

    def fileno(self) -> int:
        return int(self.before.fileno())

    def isatty(self) -> bool:
        return bool(self.before.isatty())

    def writable(self) -> bool:
        return bool(self.before.writable())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.before, name)


_splitting = threading.Lock()


def _split_stdout() -> None:
    with _splitting:
        if not isinstance(sys.stdout, _SplitStream):
            sys.stdout = _SplitStream(sys.stdout)


def _join_stdout() -> None:
    """Give the real stdout back, unless somebody has put another one in our place."""
    with _splitting:
        if isinstance(sys.stdout, _SplitStream):
            sys.stdout = sys.stdout.before
