"""One SQLite file: how it is made and opened, one writer, a reader per thread."""

import contextlib
import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tasky.clock import Clock, SystemClock
from tasky.errors import DatabaseDamaged, DatabaseForeign, DatabaseProblem, DatabaseUnwritable
from tasky.store.migrations import SCHEMA, migrate, version_of
from tasky.store.writer import Writer, explain

SMALL_BYTES = 64 * 1024 * 1024
"""Up to this size every page and every cell is checked before the database is used."""

WRITER_PRAGMAS = (
    "busy_timeout = 5000",
    "auto_vacuum = INCREMENTAL",
    "journal_mode = WAL",
    # NORMAL loses acknowledged rows on a power cut; with group commit FULL costs little.
    "synchronous = FULL",
    "foreign_keys = ON",
    "wal_autocheckpoint = 1000",
    "journal_size_limit = 16777216",
    "mmap_size = 0",
    "temp_store = MEMORY",
    # trusted_schema stays ON here: SQLite 3.40 counts json_valid() in a CHECK as unsafe without it.
    "cell_size_check = ON",
)

READER_PRAGMAS = (
    "query_only = 1",
    "busy_timeout = 5000",
    "temp_store = MEMORY",
    "trusted_schema = OFF",
)


class Database:
    """An open database. Without `writable` there is no writer and nothing is changed."""

    def __init__(
        self,
        path: Path | str,
        *,
        clock: Clock | None = None,
        writable: bool = True,
        check: bool = False,
    ) -> None:
        """Open `path`, making it if it is missing; ":memory:" gives one that ends with the process.

        `check` looks at every page first. Raises `DatabaseForeign`, `DatabaseNewer`,
        `DatabaseDamaged`, `DatabaseUnwritable`.
        """
        self.clock = clock or SystemClock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if str(path) == ":memory:":
            self._folder = tempfile.TemporaryDirectory(prefix="tasky-", dir=_memory_folder())
            path = Path(self._folder.name) / "memory.db"
        self.path = Path(path)
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()
        self._closed = False
        _look_at(self.path, writable)
        self.writer: Writer | None = self._open_writer(check) if writable else None
        if not writable:
            with _explained(self.path), contextlib.closing(self._connect_reader()) as connection:
                self._refuse_old(version_of(connection, str(self.path)))

    def _refuse_old(self, version: int) -> None:
        if version < SCHEMA:
            raise DatabaseProblem(
                db=self.path,
                why=f"its schema {version} is old",
                hint='Run "tasky db migrate" first.',
            )

    def _open_writer(self, check: bool) -> Writer:
        if not self.path.exists():
            _create(self.path)
        with _explained(self.path):
            if check:
                _check(self.path)
            connection = _connect(self.path)
            try:
                version = version_of(connection, str(self.path))
                _apply(connection, WRITER_PRAGMAS)
                if self._folder is not None:
                    connection.execute("PRAGMA synchronous = OFF")
                if version < SCHEMA:
                    _copy_before_migration(self.path, version)
                    migrate(connection)
                writer = Writer(connection, self.clock, str(self.path))
            except BaseException:
                connection.close()
                raise
        writer.start()
        return writer

    def reader(self) -> sqlite3.Connection:
        """Return this thread's read-only connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if self._closed:
            raise DatabaseProblem(db=self.path, why="it is closed", hint="Open it again.")
        if connection is None:
            with _explained(self.path):
                connection = self._connect_reader()
            self._local.connection = connection
            with self._readers_lock:
                self._readers.append(connection)
        return connection

    def rows(self, statement: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a read."""
        with _explained(self.path):
            return self.reader().execute(statement, parameters).fetchall()

    def row(self, statement: str, parameters: Any = ()) -> tuple[Any, ...] | None:
        """Return the first row of a read, or None."""
        with _explained(self.path):
            found: tuple[Any, ...] | None = self.reader().execute(statement, parameters).fetchone()
        return found

    def write(self) -> Writer:
        """Return the writer; raise `DatabaseProblem` when the database was opened for reading."""
        if self.writer is None:
            raise DatabaseProblem(
                db=self.path, why="it is open for reading only", hint="Open it as its owner."
            )
        return self.writer

    def close(self) -> None:
        """Close readers first, the writer last. Twice is fine."""
        if self._closed:
            return
        self._closed = True
        with self._readers_lock:
            for connection in self._readers:
                connection.close()
            self._readers.clear()
        if self.writer is not None:
            self.writer.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _connect_reader(self) -> sqlite3.Connection:
        connection = _connect_read_only(self.path)
        _apply(connection, READER_PRAGMAS)
        return connection


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except (sqlite3.DatabaseError, UnicodeDecodeError) as problem:
        # What the module itself refuses, such as a closed connection, has no name.
        if getattr(problem, "sqlite_errorname", "") == "SQLITE_NOTADB":
            raise DatabaseForeign(db=path, why="its header is no SQLite header") from None
        raise explain(problem, str(path)) from None


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=512, timeout=5
    )


def _connect_read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )


def _apply(connection: sqlite3.Connection, pragmas: tuple[str, ...]) -> None:
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")


def _look_at(path: Path, writable: bool) -> None:
    """Refuse what cannot be a database before SQLite makes files beside it."""
    try:
        if path.is_dir():
            raise DatabaseForeign(db=path, why="it is a folder")
        if not path.exists():
            _look_at_folder(path, writable)
        elif path.stat().st_size == 0:
            raise DatabaseDamaged(db=path, finding="the file is empty")
        elif writable and not os.access(path, os.W_OK):
            raise DatabaseUnwritable(db=path, why="the file is read-only")
    except OSError as problem:
        raise DatabaseUnwritable(db=path, why=(problem.strerror or "").lower()) from None


def _look_at_folder(path: Path, writable: bool) -> None:
    if not writable:
        raise DatabaseProblem(
            db=path, why="there is no such file", hint='"tasky serve" or "tasky run" makes it.'
        )
    if not path.parent.is_dir():
        raise DatabaseUnwritable(db=path, why=f"the folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK):
        raise DatabaseUnwritable(db=path, why=f"the folder {path.parent} is read-only")


def _create(path: Path) -> None:
    """Make an empty database beside its place, move it there whole: a crash leaves none or all."""
    draft = path.with_name(f"{path.name}.new-{os.getpid()}")
    with _explained(path):
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
        connection = _connect(draft)
        try:
            _apply(connection, WRITER_PRAGMAS)
            migrate(connection)
        finally:
            connection.close()
    draft.replace(path)


@contextlib.contextmanager
def looking_at(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection for checks, which leaves the file as it is: a crash's WAL is not folded in.

    SQLite loads no CHECKs on a connection that cannot write, so `integrity_check` wants one that
    can. The last connection to close folds the WAL in; the last here is one that cannot. Raises
    `DatabaseForeign` and `DatabaseNewer`.
    Source: https://sqlite.org/src/file/src/build.c, sqlite3AddCheckConstraint.
    """
    with contextlib.closing(_connect_read_only(path)) as last:
        version_of(last, str(path))
        with contextlib.closing(_connect(path)) as connection:
            yield connection


def _check(path: Path) -> None:
    """Look at every page, or at the shape of all in a large file."""
    thorough = path.stat().st_size <= SMALL_BYTES
    check = "PRAGMA integrity_check" if thorough else "PRAGMA quick_check"
    with looking_at(path) as connection:
        finding = str(connection.execute(check).fetchone()[0])
    if finding != "ok":
        raise DatabaseDamaged(db=path, finding=finding)


def _copy_before_migration(path: Path, version: int) -> None:
    from tasky.store.backup import backup, free_name

    # A copy of an update that failed stays: it is older, and somebody may want it.
    backup(path, free_name(path.with_name(f"{path.name}.schema-{version}")))


def _memory_folder() -> str | None:
    """Return a folder that lies in memory, where there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  # made private below it
