import contextlib
import hashlib
import sqlite3
from pathlib import Path
from threading import Event, Thread

import pytest

from tasky.errors import DatabaseDamaged, DatabaseForeign, DatabaseProblem, TaskyError
from tasky.states import State
from tasky.store.backup import backup, check, restore
from tasky.store.store import Store
from tests.store.conftest import Shelf


def epoch(path: Path) -> str | None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        row = connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
    return row[0] if row else None


def count(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM task").fetchone()[0])


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_backup_of_a_database_in_use_has_everything(shelf: Shelf, tmp_path: Path) -> None:
    shelf.submit(*(shelf.new() for _ in range(20)))
    target = backup(shelf.path, tmp_path / "copy.db")
    check(target)
    assert count(target) == 20


def test_a_backup_while_others_write_passes_its_check(shelf: Shelf, tmp_path: Path) -> None:
    enough, written = Event(), Event()

    def write() -> None:
        while not enough.is_set():
            shelf.end(shelf.started(), State.FAILED)
            written.set()

    thread = Thread(target=write)
    thread.start()
    try:
        for n in range(5):
            assert written.wait(20)
            written.clear()
            target = backup(shelf.path, tmp_path / f"copy{n}.db")
            check(target)
    finally:
        enough.set()
        thread.join()
    sizes = [count(tmp_path / f"copy{n}.db") for n in range(5)]
    assert sizes == sorted(sizes)


def test_a_backup_is_one_file_for_its_user_alone(shelf: Shelf, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    target = backup(shelf.path, folder / "copy.db")
    assert names(folder) == ["copy.db"]
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_backup_is_never_written_over_a_file(shelf: Shelf, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("precious")
    with pytest.raises(DatabaseProblem, match="exists already"):
        backup(shelf.path, target)
    assert target.read_text() == "precious"


@pytest.mark.parametrize("target", ["nowhere/copy.db", "t.db/copy.db"])
def test_a_backup_to_where_nothing_can_be_is_refused(
    shelf: Shelf, tmp_path: Path, target: str
) -> None:
    with pytest.raises(DatabaseProblem):
        backup(shelf.path, tmp_path / target)


def test_a_backup_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatabaseProblem, match="no such file"):
        backup(tmp_path / "nothing.db", tmp_path / "copy.db")
    assert names(tmp_path) == []


def test_a_backup_of_a_damaged_database_leaves_no_file(shelf: Shelf, tmp_path: Path) -> None:
    shelf.submit(*(shelf.new(config='{"x":"' + "y" * 500 + '"}') for _ in range(200)))
    shelf.close()
    spoil(shelf.path)
    with pytest.raises(DatabaseProblem):
        backup(shelf.path, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
    assert not [name for name in names(tmp_path) if "part" in name]


def spoil(path: Path) -> None:
    """Write over the middle of a file, as a bad disk does."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 5000)


# -- check -----------------------------------------------------------------------------------------


def test_a_damaged_file_fails_its_check(shelf: Shelf) -> None:
    shelf.submit(*(shelf.new(config='{"x":"' + "y" * 500 + '"}') for _ in range(200)))
    shelf.close()
    check(shelf.path)
    spoil(shelf.path)
    with pytest.raises(DatabaseDamaged):
        check(shelf.path)


def test_a_reference_to_nothing_fails_the_check(shelf: Shelf) -> None:
    shelf.task()
    shelf.close()
    with contextlib.closing(sqlite3.connect(shelf.path)) as connection:
        connection.execute("DELETE FROM task")
        connection.commit()
    with pytest.raises(DatabaseDamaged, match="refers to nothing"):
        check(shelf.path)


def test_a_strange_file_fails_the_check_as_such(tmp_path: Path) -> None:
    path = tmp_path / "letter.db"
    path.write_bytes(b"dear sir or madam\n" * 100)
    with pytest.raises((DatabaseForeign, DatabaseDamaged)):
        check(path)


# -- restore ---------------------------------------------------------------------------------------


def test_a_restore_brings_back_what_the_backup_has(shelf: Shelf, tmp_path: Path) -> None:
    shelf.task()
    saved = backup(shelf.path, tmp_path / "copy.db")
    shelf.task()
    shelf.close()

    kept = restore(saved, shelf.path)

    assert count(shelf.path) == 1
    assert kept is not None
    assert count(kept) == 2
    assert epoch(shelf.path) is not None
    assert epoch(shelf.path) != epoch(saved) == epoch(kept)
    Store.open(shelf.path, check=True).close()


def test_each_restore_has_an_epoch_of_its_own(shelf: Shelf, tmp_path: Path) -> None:
    saved = backup(shelf.path, tmp_path / "copy.db")
    shelf.close()
    epochs = set()
    for _ in range(3):
        restore(saved, shelf.path)
        epochs.add(epoch(shelf.path))
    assert len(epochs) == 3


def test_restores_in_one_second_keep_every_file(shelf: Shelf, tmp_path: Path) -> None:
    saved = backup(shelf.path, tmp_path / "copy.db")
    shelf.close()
    kept = {restore(saved, shelf.path) for _ in range(4)}
    assert len(kept) == 4
    assert all(path is not None and path.exists() for path in kept)


def test_what_the_wal_holds_is_kept_too(shelf: Shelf, tmp_path: Path) -> None:
    saved = backup(shelf.path, tmp_path / "copy.db")
    crashed = tmp_path / "crashed.db"
    shelf.submit(*(shelf.new() for _ in range(5)))
    for tail in ("", "-wal"):
        source = Path(f"{shelf.path}{tail}")
        Path(f"{crashed}{tail}").write_bytes(source.read_bytes())

    kept = restore(saved, crashed)

    assert kept is not None
    assert count(kept) == 5
    assert not Path(f"{crashed}-wal").exists()
    assert count(crashed) == 0


def test_a_restore_to_a_free_place_keeps_nothing(shelf: Shelf, tmp_path: Path) -> None:
    saved = backup(shelf.path, tmp_path / "copy.db")
    assert restore(saved, tmp_path / "new.db") is None
    check(tmp_path / "new.db")


def test_a_bad_backup_is_not_restored(shelf: Shelf, tmp_path: Path) -> None:
    shelf.submit(*(shelf.new(config='{"x":"' + "y" * 500 + '"}') for _ in range(200)))
    saved = backup(shelf.path, tmp_path / "copy.db")
    shelf.close()
    spoil(saved)
    before = hashlib.sha256(shelf.path.read_bytes()).hexdigest()

    with pytest.raises(TaskyError):
        restore(saved, shelf.path)

    assert hashlib.sha256(shelf.path.read_bytes()).hexdigest() == before
    assert names(tmp_path) == ["copy.db", "t.db"]


def test_a_damaged_database_is_kept_as_it_is(shelf: Shelf, tmp_path: Path) -> None:
    saved = backup(shelf.path, tmp_path / "copy.db")
    shelf.close()
    shelf.path.write_bytes(b"no database any more" * 100)
    kept = restore(saved, shelf.path)
    assert kept is not None
    assert kept.read_bytes() == b"no database any more" * 100
    check(shelf.path)


def test_a_value_that_breaks_a_rule_fails_the_check(shelf: Shelf) -> None:
    shelf.task()
    shelf.close()
    break_a_rule(shelf.path)
    with pytest.raises(DatabaseDamaged, match="CHECK constraint failed in task"):
        check(shelf.path)


def break_a_rule(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("UPDATE task SET state = 'nowhere'")
        connection.commit()


def test_a_check_leaves_the_file_and_its_wal_as_they_are(shelf: Shelf, tmp_path: Path) -> None:
    shelf.task()
    crashed = tmp_path / "crashed.db"
    for tail in ("", "-wal"):
        Path(f"{crashed}{tail}").write_bytes(Path(f"{shelf.path}{tail}").read_bytes())
    before = [Path(f"{crashed}{tail}").read_bytes() for tail in ("", "-wal")]
    check(crashed)
    assert [Path(f"{crashed}{tail}").read_bytes() for tail in ("", "-wal")] == before
