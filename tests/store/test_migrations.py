"""Old databases become what fresh ones are; a step that fails leaves nothing.

`released/schema_<n>.sql` holds a database of each released schema, written once by
`python -m tests.store.released` and never changed after the release.
"""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tasky.errors import DatabaseProblem
from tasky.store import database as database_module
from tasky.store import migrations
from tasky.store.backup import check
from tasky.store.database import Database
from tasky.store.migrations import APPLICATION_ID, SCHEMA
from tasky.store.store import Store
from tests.store.released import RELEASED, dump_of, load_dump

if TYPE_CHECKING:
    from sqlite_utils import Database as Tables

Step = Callable[["Tables"], None]


def shape(path: Path) -> list[tuple[Any, ...]]:
    """Return all that a schema is, whatever the order its parts were made in."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found = connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"
            " ORDER BY name"
        ).fetchall()
        marks = [
            connection.execute(f"PRAGMA {mark}").fetchone()
            for mark in ("user_version", "application_id")
        ]
    return [*found, *marks]


def tables_of(path: Path) -> list[str]:
    return [row[1] for row in shape(path) if row[0] == "table"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.db"


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    Database(tmp_path / "fresh.db").close()
    return tmp_path / "fresh.db"


@pytest.fixture
def more_steps(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let Tasky have more steps than it has."""

    def use(*steps: Step) -> None:
        monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS[:SCHEMA], *steps))
        for module in (migrations, database_module):
            monkeypatch.setattr(module, "SCHEMA", SCHEMA + len(steps))

    return use


def add_mark(db: "Tables") -> None:
    db.conn.execute("ALTER TABLE task ADD COLUMN mark TEXT")


def add_mark_and_fail(db: "Tables") -> None:
    add_mark(db)
    db.conn.execute("CREATE TABLE half (id INTEGER)")
    db.conn.execute("UPDATE task SET mark = 'x'")
    raise ValueError("half-way")


# -- what there is ---------------------------------------------------------------------------------


def test_every_released_schema_has_its_dump() -> None:
    numbers = sorted(int(p.stem.removeprefix("schema_")) for p in RELEASED.glob("schema_*.sql"))
    assert numbers == list(range(1, SCHEMA + 1))


@pytest.mark.parametrize("number", range(1, SCHEMA + 1))
def test_a_released_database_becomes_what_a_fresh_one_is(
    path: Path, fresh: Path, number: int
) -> None:
    load_dump(RELEASED / f"schema_{number}.sql", path, number)

    Store.open(path, check=True).close()

    assert shape(path) == shape(fresh)
    check(path)


@pytest.mark.parametrize("number", range(1, SCHEMA + 1))
def test_a_released_database_keeps_its_rows(path: Path, number: int) -> None:
    load_dump(RELEASED / f"schema_{number}.sql", path, number)
    before = rows_of(path)
    Store.open(path).close()
    assert rows_of(path) == before
    assert before["task"] > 0


def rows_of(path: Path) -> dict[str, int]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return {
            table: connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]  # noqa: S608  # names of its own
            for table in tables_of(path)
        }


def test_the_dump_of_the_newest_schema_is_that_of_this_tasky(path: Path, fresh: Path) -> None:
    """It fails when a released step was edited: then it is a new step that is wanted."""
    load_dump(RELEASED / f"schema_{SCHEMA}.sql", path, SCHEMA)
    assert shape(path) == shape(fresh)


def test_a_dump_tells_of_every_table(path: Path) -> None:
    text = dump_of(SCHEMA)
    for table in tables_of_fresh(path):
        assert f'INSERT INTO "{table}"' in text, table


def tables_of_fresh(path: Path) -> list[str]:
    Database(path).close()
    return [name for name in tables_of(path) if not name.startswith("_")]


def test_a_fresh_database_is_marked_as_ours(fresh: Path) -> None:
    assert shape(fresh)[-2:] == [(SCHEMA,), (APPLICATION_ID,)]


# -- the way from one to the next ------------------------------------------------------------------


def test_an_older_database_is_brought_up_to_date(
    fresh: Path, more_steps: Callable[..., None]
) -> None:
    more_steps(add_mark)
    Database(fresh).close()
    with contextlib.closing(sqlite3.connect(fresh)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA + 1,)
        connection.execute("SELECT mark FROM task")


def test_before_an_update_the_file_is_copied(fresh: Path, more_steps: Callable[..., None]) -> None:
    before = shape(fresh)
    more_steps(add_mark)
    Database(fresh).close()
    copy = fresh.with_name(f"{fresh.name}.schema-{SCHEMA}")
    assert shape(copy) == before


def test_a_step_that_fails_leaves_nothing(fresh: Path, more_steps: Callable[..., None]) -> None:
    before = shape(fresh)
    more_steps(add_mark_and_fail)
    with pytest.raises(ValueError, match="half-way"):
        Database(fresh)
    assert shape(fresh) == before
    check(fresh)


def test_steps_before_one_that_fails_stay(fresh: Path, more_steps: Callable[..., None]) -> None:
    def second(db: "Tables") -> None:
        db.conn.execute("CREATE TABLE half (id INTEGER)")
        raise ValueError("half-way")

    more_steps(add_mark, second)
    with pytest.raises(ValueError, match="half-way"):
        Database(fresh)
    assert "half" not in tables_of(fresh)
    with contextlib.closing(sqlite3.connect(fresh)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA + 1,)


def test_an_update_that_failed_may_be_tried_again(
    fresh: Path, more_steps: Callable[..., None]
) -> None:
    more_steps(add_mark_and_fail)
    with pytest.raises(ValueError, match="half-way"):
        Database(fresh)
    more_steps(add_mark)
    Database(fresh).close()
    with contextlib.closing(sqlite3.connect(fresh)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA + 1,)


def test_an_older_database_is_not_changed_by_a_reader(
    fresh: Path, more_steps: Callable[..., None]
) -> None:
    before = shape(fresh)
    more_steps(add_mark)
    with pytest.raises(DatabaseProblem, match="tasky db migrate"):
        Database(fresh, writable=False)
    assert shape(fresh) == before


def test_a_new_database_that_cannot_be_made_leaves_no_file(
    path: Path, more_steps: Callable[..., None]
) -> None:
    more_steps(add_mark_and_fail)
    with pytest.raises(ValueError, match="half-way"):
        Database(path)
    assert not path.exists()
