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


class _Prints:
    """What an execution printed; lines go to its log when they are whole."""

    def __init__(self, target: Line) -> None:
        self._target = target
        self._begun = ""

    def write(self, text: str) -> None:
        *lines, self._begun = (self._begun + text).split("\n")
        for whole in lines:
            self._target.log("info", whole, "out")

    def flush(self) -> None:
        """Take what has no end of line as a line."""
        if self._begun:
            self.write("\n")


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
    """Puts the handler on the root logger while an engine runs."""

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
        """End; the last call takes the handler away."""
        with cls._lock:
            cls._users -= 1
            if cls._users == 0 and cls._handler is not None:
                logging.getLogger().removeHandler(cls._handler)
                logging.getLogger().setLevel(cls._level)
                cls._handler = None


class _SplitStream(io.TextIOBase):
    """Stands for stdout: what an execution prints goes to its log, all else goes on as before."""

    def __init__(self, before: Any) -> None:
        self._before = before

    def write(self, text: str) -> int:
        target = _prints.get()
        if target is None:
            return int(self._before.write(text))
        target.write(text)
        return len(text)

    def flush(self) -> None:
        self._before.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._before, name)


def _split_stdout() -> None:
    if not isinstance(sys.stdout, _SplitStream):
        sys.stdout = _SplitStream(sys.stdout)
