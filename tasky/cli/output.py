"""The only module that prints, and the only one that knows exit codes.

Data goes to stdout, everything else to stderr. Outside text is made harmless for a terminal; in a
pipe it stays what it is, but for tables, where a line is a row.
"""

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import click

from tasky.cli.options import Setup
from tasky.cli.tables import Cell, Column, Styled, draw
from tasky.cli.texts import GLYPHS, cut, log_text, marked, one_line, width

if TYPE_CHECKING:
    from tasky.errors import QueryInvalid, TaskyError
    from tasky.model import Task


class Exit(IntEnum):
    """Exit codes of every command; errors of `tasky.errors` carry their own out of the same set."""

    DONE = 0
    ENDED_BADLY = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    UNAVAILABLE = 5
    WAITED = 124
    INTERRUPTED = 130
    TERMINATED = 143


class Stop(Exception):  # not always an error: it may end a command that did its work
    """Ends a command with an exit code, and a sentence on stderr if there is something to say."""

    def __init__(self, code: Exit | int, sentence: str = "") -> None:
        super().__init__(sentence)
        self.code = int(code)
        self.sentence = sentence


class Output:
    """What a command prints to. The form follows from the flags and from what stdout is."""

    def __init__(self, setup: Setup) -> None:
        self.json = setup.json
        self.jsonl = setup.jsonl
        self.quiet = setup.quiet
        self.color = setup.color
        self.environment = setup.environment
        self.terminal = sys.stdout.isatty()
        self.ascii = ascii_only(setup.environment)

    @property
    def plain(self) -> bool:
        """Whether people read it: neither JSON nor ids were asked for."""
        return not (self.json or self.jsonl or self.quiet)

    @property
    def room(self) -> int | None:
        """Columns there are; None in a pipe, where nothing has to be cut."""
        if not self.terminal and "COLUMNS" not in self.environment:
            return None
        return max(20, shutil.get_terminal_size().columns)

    # -- forms --------------------------------------------------------------------------------

    def document(self, form: Any) -> None:
        """Print one JSON document."""
        from tasky.client import wire

        _write(wire.dumps(form, indent=True).decode("utf-8", "surrogatepass"))

    def record(self, form: Any) -> None:
        """Print one JSON line, at once."""
        from tasky.client import wire

        _write(wire.dumps(form).decode("utf-8", "surrogatepass"))
        sys.stdout.flush()

    def items(self, forms: Sequence[Any], whole: Any, ids: Iterable[str] = ()) -> bool:
        """Print a list in the form that was asked for; return False when people want a table."""
        if self.quiet:
            for name in ids:
                _write(name)
        elif self.jsonl:
            for form in forms:
                self.record(form)
        elif self.json:
            self.document(whole)
        return not self.plain

    def line(self, text: str = "", color: str | None = None) -> None:
        """Print a line of our own words; outside text in it has to go through `safe`."""
        _write(self.paint(text, color))

    def safe(self, text: str) -> str:
        """Return outside text as one harmless line."""
        return marked(one_line(text), ascii_only=self.ascii)

    def block(self, text: str) -> None:
        """Print outside text of several lines; a terminal sees its control characters as marks."""
        for line in text.splitlines():
            _write(
                log_text(line, color=self.color, ascii_only=self.ascii) if self.terminal else line
            )

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
        """Print a table that fits the terminal."""
        safe = [[self._safe_cell(cell) for cell in row] for row in rows]
        for line in draw(columns, safe, room=self.room, paint=self.paint, ellipsis=self.ellipsis):
            _write(line)

    def fields(self, pairs: Sequence[tuple[str, Cell]]) -> None:
        """Print names and values, one pair a line; empty values are left out."""
        shown = [(name, self._safe_cell(cell)) for name, cell in pairs if cell and cell != "-"]
        wide = max((len(name) for name, _ in shown), default=0)
        for name, cell in shown:
            text, color = cell if isinstance(cell, Styled) else (cell, None)
            _write(f"{self.paint(name.ljust(wide), 'bright_black')}  {self.paint(text, color)}")

    def raw(self, chunks: Iterable[bytes]) -> None:
        """Print bytes as they are."""
        sys.stdout.flush()
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()

    def flush(self) -> None:
        """Let a reader see now what was printed."""
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """Say something beside the data, on stderr."""
        if not self.quiet:
            _say(text)

    def problem(self, text: str) -> None:
        """Say what went wrong while the command goes on, on stderr; quiet does not hide it."""
        _say(marked(text, ascii_only=self.ascii))

    # -- words --------------------------------------------------------------------------------

    @property
    def ellipsis(self) -> str:
        return "..." if self.ascii else "…"

    def status(self, state: str) -> Styled:
        """Return glyph, word and colour of a status."""
        glyph, plain, color = GLYPHS.get(state, ("?", "?", "yellow"))
        return Styled(f"{plain if self.ascii else glyph} {state}", color)

    def paint(self, text: str, color: str | None) -> str:
        return click.style(text, fg=color) if color and self.color else text

    def _safe_cell(self, cell: Cell) -> Cell:
        if isinstance(cell, Styled):
            return Styled(self.safe(cell.text), cell.color)
        return self.safe(cell)


def _write(text: str) -> None:
    print(text)


def _say(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(text, file=sys.stderr, flush=True)


def ascii_only(environment: Mapping[str, str]) -> bool:
    """Tell whether glyphs beyond ASCII would be garbage here."""
    if environment.get("TASKY_ASCII", "") not in ("", "0"):
        return True
    names = (environment.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    if next((name for name in names if name), "UTF-8") in ("C", "POSIX"):
        return True
    return "utf" not in (getattr(sys.stdout, "encoding", None) or "utf-8").lower()


def name_of(task: "Task") -> str:
    """Return how a sentence names a task."""
    return f"{task.id[:8]} ({task.worker})"


# -- errors ----------------------------------------------------------------------------------------


def guarded(run: Callable[[], None]) -> int:
    """Run a command; return its exit code, with at most one sentence on stderr and no traceback."""
    for stream in (sys.stdout, sys.stderr):
        # Odd file names and broken text must not stop a report in the middle.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _code_of(run)
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_left()
    return code


def _code_of(run: Callable[[], None]) -> int:
    from tasky.errors import TaskyError

    try:
        run()
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as problem:
        _say_usage(problem)
        return Exit.USAGE
    except (KeyboardInterrupt, click.Abort):
        _say("tasky: interrupted.")
        return Exit.INTERRUPTED
    except Stop as stop:
        if stop.sentence:
            _say(f"tasky: {stop.sentence}")
        return stop.code
    except TaskyError as error:
        return say_error(error)
    except BrokenPipeError:
        raise
    except Exception as defect:  # noqa: BLE001  # people get a sentence, the traceback goes to a file
        return _say_defect(defect)
    return Exit.DONE


def say_error(error: "TaskyError") -> int:
    """Print an error as a sentence, its wrong fields below; return the exit code."""
    from tasky.errors import QueryInvalid

    plain = ascii_only(os.environ)
    _say(f"tasky: {marked(one_line(str(error)), ascii_only=plain)}")
    if isinstance(error, QueryInvalid):
        for line in _caret(error, plain):
            _say(line)
        return error.exit_code
    for wrong in error.errors:
        name = ".".join(part for part in wrong.pointer.split("/") if part)
        detail = marked(one_line(wrong.detail), ascii_only=plain)
        if detail not in str(error):
            _say(f"  {marked(name, ascii_only=plain)}: {detail}" if name else f"  {detail}")
    return error.exit_code


def _caret(error: "QueryInvalid", plain: bool) -> Iterator[str]:
    """Yield the query with the wrong place underlined, and how to write a query in a shell."""
    query, at = error.fields.get("query"), error.fields.get("at")
    if isinstance(query, str) and isinstance(at, int):
        length = max(1, min(int(error.fields.get("length", 1)), len(query) - at))
        before = marked(query[max(0, at - 40) : at], ascii_only=plain)
        place = marked(query[at : at + length], ascii_only=plain)
        yield "  " + cut(before + place + marked(query[at + length :], ascii_only=plain), 100)
        yield "  " + " " * width(before) + "^" * max(1, min(width(place), 100 - width(before)))
    yield "  Put the query in single quotes: tasky tasks 'status:failed created:<2h'"


@contextlib.contextmanager
def query_shown(query: str) -> Iterator[None]:
    """Add the query, and the place that is wrong, to what is said about it.

    An error that came over the wire brings its sentence only; the place is found again here.
    """
    from tasky.errors import QueryInvalid

    try:
        yield
    except QueryInvalid as error:
        error.fields["query"] = query
        if "at" not in error.fields:
            from tasky.query import parse

            try:
                parse(query)
            except QueryInvalid as same:
                error.fields |= same.fields
        raise


def _say_usage(problem: click.UsageError) -> None:
    if isinstance(problem, click.exceptions.NoArgsIsHelpError):
        _say(problem.format_message())
        return
    _say(f"tasky: {marked(one_line(problem.format_message()))}")
    if problem.ctx is not None:
        _say(f'  "{problem.ctx.command_path} --help" shows how.')


def _say_defect(defect: Exception) -> int:
    try:
        place = f"The report is in {_report(defect)}."
    except OSError as problem:
        place = f"No report could be written: {(problem.strerror or '').lower()}."
    _say(f"tasky: Tasky made an error ({type(defect).__name__}). {place}")
    return Exit.UNAVAILABLE


def _report(defect: Exception) -> str:
    """Write the traceback for the developers, readable by its owner only."""
    import platform
    import traceback

    from tasky._version import __version__

    folder = Setup().state_folder / "reports"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    head = f"tasky {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
    # Not the arguments: they may hold secrets.
    text = head + "".join(traceback.format_exception(defect))
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    return str(path)


def _reader_left() -> int:
    """Whoever read our output has enough; the interpreter must not complain when it flushes."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return Exit.DONE
