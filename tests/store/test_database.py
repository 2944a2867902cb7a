import contextlib
import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest

from tasky.errors import (
    DatabaseDamaged,
    DatabaseForeign,
    DatabaseNewer,
    DatabaseProblem,
    DatabaseUnwritable,
)
from tasky.store.database import Database
from tasky.store.migrations import APPLICATION_ID, SCHEMA
from tests.helpers import FakeClock


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.db"


@pytest.fixture
def make_database(path: Path, clock: FakeClock) -> Iterator[Callable[..., Database]]:
    made: list[Database] = []

    def make(where: Path | str = path, **options: bool) -> Database:
        made.append(Database(where, clock=clock, **options))
        return made[-1]

    yield make
    for database in made:
        database.close()


def foreign_file(path: Path) -> None:
    path.write_bytes(b"this is a letter, not a database\n" * 100)


def foreign_tables(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE song (title)")
        connection.commit()


def empty_file(path: Path) -> None:
    path.touch()


def newer_schema(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE task (id)")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
        connection.commit()


STRANGE: list[tuple[Callable[[Path], None], type[DatabaseProblem], int]] = [
    (foreign_file, DatabaseForeign, 65),
    (foreign_tables, DatabaseForeign, 65),
    (empty_file, DatabaseDamaged, 65),
    (newer_schema, DatabaseNewer, 76),
]


@pytest.mark.parametrize("options", [{}, {"check": True}, {"writable": False}], ids=str)
@pytest.mark.parametrize(
    ("make", "error", "code"), STRANGE, ids=[make.__name__ for make, _, _ in STRANGE]
)
def test_a_strange_file_is_refused_and_stays_as_it_is(
    path: Path,
    make_database: Callable[..., Database],
    make: Callable[[Path], None],
    error: type[DatabaseProblem],
    code: int,
    options: dict[str, bool],
) -> None:
    make(path)
    before, beside = digest(path), sorted(path.parent.iterdir())

    with pytest.raises(DatabaseProblem) as refusal:
        make_database(**options)

    assert type(refusal.value) is error
    assert refusal.value.serve_exit_code == code
    assert str(path) in str(refusal.value)
    assert digest(path) == before
    assert sorted(path.parent.iterdir()) == beside


def test_a_folder_is_no_database(path: Path, make_database: Callable[..., Database]) -> None:
    path.mkdir()
    with pytest.raises(DatabaseForeign, match="it is a folder"):
        make_database()
    assert list(path.iterdir()) == []


def test_a_missing_folder_is_said(tmp_path: Path, make_database: Callable[..., Database]) -> None:
    with pytest.raises(DatabaseUnwritable, match="does not exist") as refusal:
        make_database(tmp_path / "nowhere" / "t.db")
    assert refusal.value.serve_exit_code == 73


def test_a_missing_file_is_not_made_by_a_reader(
    path: Path, make_database: Callable[..., Database]
) -> None:
    with pytest.raises(DatabaseProblem, match="there is no such file"):
        make_database(writable=False)
    assert not path.exists()


OPEN_AS_NOBODY = """
import os, sys
from tasky.store.database import Database
from tasky.errors import DatabaseProblem
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    Database(sys.argv[1]).close()
except DatabaseProblem as problem:
    print(type(problem).__name__, problem.serve_exit_code)
"""


def open_without_rights(path: Path) -> str:
    """Open in a child whom the rights of files bind, as they do not bind root."""
    # Entered with all rights and named from inside: only this folder's and file's rights count.
    path.parent.chmod(path.parent.stat().st_mode | 0o055)
    found = subprocess.run(
        [sys.executable, "-c", OPEN_AS_NOBODY, path.name],
        capture_output=True, text=True, check=True, cwd=path.parent, timeout=60,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    return found.stdout.strip()


def test_a_read_only_file_is_refused_and_stays_as_it_is(
    path: Path, make_database: Callable[..., Database]
) -> None:
    make_database().close()
    path.chmod(0o444)
    before = digest(path)
    assert open_without_rights(path) == "DatabaseUnwritable 73"
    assert digest(path) == before


def test_a_read_only_folder_is_refused(path: Path) -> None:
    path.parent.chmod(0o555)
    try:
        assert open_without_rights(path) == "DatabaseUnwritable 73"
    finally:
        path.parent.chmod(0o755)
    assert list(path.parent.iterdir()) == []


# -- a good file -----------------------------------------------------------------------------------


def test_a_new_database_is_for_its_user_alone(
    path: Path, make_database: Callable[..., Database]
) -> None:
    before = os.umask(0)
    try:
        database = make_database()
        database.write().call(lambda tx: tx.event("e"))
        modes = {p.name: p.stat().st_mode & 0o777 for p in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"t.db": 0o600, "t.db-wal": 0o600, "t.db-shm": 0o600}


def test_a_new_database_is_ours_and_in_wal_mode(
    path: Path, make_database: Callable[..., Database]
) -> None:
    make_database().close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        ask = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in (
            "application_id", "user_version", "journal_mode", "auto_vacuum",
        )]  # fmt: skip
    assert ask == [APPLICATION_ID, SCHEMA, "wal", 2]


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("synchronous", 2), ("foreign_keys", 1), ("journal_mode", "wal"), ("cell_size_check", 1)],
)
def test_the_writer_keeps_what_it_answered_for(
    make_database: Callable[..., Database], pragma: str, value: object
) -> None:
    ask = make_database().write().call
    assert ask(lambda tx: tx.execute(f"PRAGMA {pragma}").fetchone()[0]) == value


def test_a_reader_cannot_write(make_database: Callable[..., Database]) -> None:
    with pytest.raises(DatabaseProblem):
        make_database().rows("DELETE FROM event")


def test_each_thread_has_a_reader_of_its_own(make_database: Callable[..., Database]) -> None:
    database = make_database()
    seen = {id(database.reader())}
    threads = [Thread(target=lambda: seen.add(id(database.reader()))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 4
    assert database.reader() is database.reader()


def test_a_database_for_reading_has_no_writer(make_database: Callable[..., Database]) -> None:
    make_database().close()
    with pytest.raises(DatabaseProblem, match="reading only"):
        make_database(writable=False).write()


def test_who_reads_sees_what_another_owner_writes(make_database: Callable[..., Database]) -> None:
    owner = make_database()
    reader = make_database(writable=False)
    owner.write().call(lambda tx: tx.event("e"))
    assert reader.rows("SELECT name FROM event") == [("e",)]


def test_a_closed_database_says_so(make_database: Callable[..., Database]) -> None:
    database = make_database()
    database.rows("SELECT 1")
    database.close()
    database.close()
    with pytest.raises(DatabaseProblem, match="closed"):
        database.rows("SELECT 1")
    with pytest.raises(DatabaseProblem, match="closed"):
        database.write().call(lambda tx: None)


def test_a_closed_database_is_one_file(path: Path, make_database: Callable[..., Database]) -> None:
    database = make_database()
    database.write().call(lambda tx: tx.event("e"))
    database.rows("SELECT 1")
    database.close()
    assert list(path.parent.iterdir()) == [path]


def test_a_database_in_memory_ends_with_the_process(make_database: Callable[..., Database]) -> None:
    database = make_database(":memory:")
    database.write().call(lambda tx: tx.event("e"))
    assert database.rows("SELECT name FROM event") == [("e",)]
    folder = database.path.parent
    database.close()
    assert not folder.exists()


def test_a_path_with_odd_characters_works(
    tmp_path: Path, make_database: Callable[..., Database]
) -> None:
    database = make_database(tmp_path / "a b?c#d%41 é.db")
    database.write().call(lambda tx: tx.event("e"))
    assert database.rows("SELECT name FROM event") == [("e",)]


def test_a_half_made_database_of_a_crash_is_in_nobodys_way(
    path: Path, make_database: Callable[..., Database]
) -> None:
    Path(f"{path}.new-{os.getpid()}").write_bytes(b"half")
    make_database().write().call(lambda tx: tx.event("e"))
