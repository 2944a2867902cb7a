"""Backup, check and restore of a whole database file."""

import contextlib
import itertools
import os
import secrets
import sqlite3
import time
from pathlib import Path

from tasky.errors import DatabaseDamaged, DatabaseForeign, DatabaseProblem
from tasky.store.database import looking_at
from tasky.store.queries import Queries
from tasky.store.writer import explain


def backup(source: Path, target: Path) -> Path:
    """Copy a database that may be in use; only a checked file ever appears under the target's name.

    Raises `DatabaseProblem` when the target exists or cannot be written, `DatabaseDamaged` when the
    copy fails its check.
    """
    if target.exists():
        raise DatabaseProblem(db=target, why="it exists already", hint="Choose another file name.")
    draft = target.with_name(f"{target.name}.part-{os.getpid()}")
    try:
        _copy(source, draft)
        check(draft)
        _sync(draft)
        draft.rename(target)
        _sync(target.parent)
    except OSError as problem:
        raise DatabaseProblem(
            db=target, why=(problem.strerror or "").lower(), hint="Choose another folder."
        ) from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
    return target


def check(path: Path) -> None:
    """Look at every page, cell, index and reference.

    Raises `DatabaseDamaged` with the first finding, `DatabaseForeign`, `DatabaseNewer`.
    """
    if not path.exists():
        raise DatabaseProblem(db=path, why="there is no such file", hint="Check the path.")
    try:
        with looking_at(path) as connection:
            finding = str(connection.execute("PRAGMA integrity_check").fetchone()[0])
            orphan = connection.execute("PRAGMA foreign_key_check").fetchone()
    except (sqlite3.DatabaseError, UnicodeDecodeError) as problem:
        if getattr(problem, "sqlite_errorname", "") == "SQLITE_NOTADB":
            raise DatabaseForeign(db=path, why="its header is no SQLite header") from None
        raise explain(problem, str(path)) from None
    if finding != "ok":
        raise DatabaseDamaged(db=path, finding=finding)
    if orphan:
        raise DatabaseDamaged(db=path, finding=f"a row of {orphan[0]} refers to nothing")


def restore(source: Path, target: Path) -> Path | None:
    """Put a checked backup in the place of a database that nobody owns; keep the replaced file.

    Returns where the replaced file went. The restored database gets a new epoch, so that reports
    about the old one are refused. Raises `DatabaseDamaged` and the like when the backup is not
    good.
    """
    check(source)
    draft = target.with_name(f"{target.name}.restore-{os.getpid()}")
    try:
        _copy(source, draft)
        _new_epoch(draft)
        _sync(draft)
        kept = _set_aside(target)
        draft.rename(target)
        _sync(target.parent)
    finally:
        draft.unlink(missing_ok=True)
    return kept


def _set_aside(target: Path) -> Path | None:
    if not target.exists():
        return None
    with (
        contextlib.suppress(sqlite3.DatabaseError),
        contextlib.closing(sqlite3.connect(target, isolation_level=None)) as connection,
    ):
        # Folds the WAL into the file, so that one file is kept; a damaged one is kept as it is.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    moment = time.strftime("%Y%m%d-%H%M%S")
    kept = free_name(target.with_name(f"{target.name}.replaced-{moment}"))
    target.rename(kept)
    for tail in ("-wal", "-shm"):
        Path(f"{target}{tail}").unlink(missing_ok=True)
    return kept


def free_name(path: Path) -> Path:
    """Return `path`, with a number added if there is such a file already."""
    names = (path.with_name(f"{path.name}.{n}") for n in itertools.count(2))
    return path if not path.exists() else next(name for name in names if not name.exists())


def _new_epoch(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(Queries("meta").put, {"name": "epoch", "value": secrets.token_hex(16)})


def _open(path: Path) -> sqlite3.Connection:
    if not path.exists():
        raise DatabaseProblem(db=path, why="there is no such file", hint="Check the path.")
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)


def _copy(source: Path, target: Path) -> None:
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
    with (
        contextlib.closing(_open(source)) as reading,
        contextlib.closing(sqlite3.connect(target, isolation_level=None)) as writing,
    ):
        try:
            # One step: no other connection can write in between, so no page is copied twice.
            reading.backup(writing, pages=-1)
            writing.execute("PRAGMA journal_mode = DELETE")
        except (sqlite3.DatabaseError, UnicodeDecodeError) as problem:
            raise explain(problem, str(source)) from None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
