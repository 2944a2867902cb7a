"""D6: a damaged file is found before anything starts, and stays as it is."""

import contextlib
import hashlib
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasky.errors import DatabaseProblem
from tasky.states import State
from tasky.store.store import Store
from tests.helpers import FakeClock
from tests.store.conftest import Shelf

SEEDS = range(20)
CODES = {65, 76}
PAGE = 4096


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound database with some pages of everything, closed."""
    path = tmp_path_factory.mktemp("whole") / "whole.db"
    fill(path).close()
    return path


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a crash leaves it: with a WAL beside it."""
    folder = tmp_path_factory.mktemp("crashed")
    shelf = fill(folder / "living.db")
    for tail in ("", "-wal"):
        shutil.copyfile(f"{shelf.path}{tail}", folder / f"crashed.db{tail}")
    shelf.close()
    return folder / "crashed.db"


def fill(path: Path) -> Shelf:
    shelf = Shelf(path, FakeClock())
    shelf.worker()
    for n in range(20):
        shelf.submit(*(shelf.new(config=f'{{"text":"{"x" * 50 * n}"}}') for _ in range(10)))
        for c in shelf.start(limit=8):
            line = (c.execution_id, 1, 0, "info", "log", f"line {n} " + "y" * 200)
            shelf.end(c, State.SUCCEEDED, output='"z"', output_kind="text", log=[line])
    return shelf


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def cells(data: bytearray, chance: random.Random) -> None:
    """Change some bytes anywhere."""
    for _ in range(chance.randrange(1, 20)):
        data[chance.randrange(100, len(data))] ^= chance.randrange(1, 256)


def page(data: bytearray, chance: random.Random) -> None:
    """Write over a page, as a bad disk does."""
    start = chance.randrange(1, len(data) // PAGE) * PAGE
    data[start : start + PAGE] = chance.randbytes(PAGE)


def header(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randrange(1, 8)):
        data[chance.randrange(0, 100)] ^= chance.randrange(1, 256)


def cut(data: bytearray, chance: random.Random) -> None:
    """Lose the end of the file."""
    del data[chance.randrange(PAGE, len(data)) :]


KINDS = [cells, page, header, cut]


def sound(path: Path, folder: Path) -> bool:
    """Ask SQLite alone, on a copy."""
    copy = folder / "asked.db"
    for tail in ("", "-wal"):
        if Path(f"{path}{tail}").exists():
            shutil.copyfile(f"{path}{tail}", f"{copy}{tail}")
    try:
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return False


def spoil(source: Path, folder: Path, damage: Callable[..., None], number: int) -> Path:
    chance = random.Random(number)
    data = bytearray(source.read_bytes())
    damage(data, chance)
    path = folder / "spoilt.db"
    path.write_bytes(data)
    if Path(f"{source}-wal").exists():
        shutil.copyfile(f"{source}-wal", f"{path}-wal")
    return path


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    print(sorted(p.name for p in tmp_path.iterdir()))


def refusal(path: Path) -> DatabaseProblem | None:
    """Open a file as a server does; return why it was refused."""
    try:
        Store.open(path, check=True).close()
    except DatabaseProblem as problem:
        return problem
    return None


@pytest.mark.parametrize("damage", KINDS, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("number", SEEDS)
def test_d6_what_sqlite_sees_is_found_and_left_alone(
    whole: Path, place: Path, number: int, damage: Callable[..., None]
) -> None:
    path = spoil(whole, place, damage, number)
    before, is_sound = digest(path), sound(path, place)

    problem = refusal(path)

    if problem is None:
        assert is_sound
        return
    assert problem.serve_exit_code in CODES
    assert str(path) in str(problem)
    assert digest(path) == before


@pytest.mark.parametrize("damage", [cells, page], ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("number", SEEDS)
def test_d6_a_damaged_file_beside_the_wal_of_a_crash_is_left_alone(
    crashed: Path, place: Path, number: int, damage: Callable[..., None]
) -> None:
    path = spoil(crashed, place, damage, number)
    before = digest(path), digest(Path(f"{path}-wal"))
    is_sound = sound(path, place)

    problem = refusal(path)

    if problem is None:
        assert is_sound
        return
    assert problem.serve_exit_code in CODES
    assert (digest(path), digest(Path(f"{path}-wal"))) == before


def test_d6_a_sound_file_with_the_wal_of_a_crash_opens(crashed: Path, place: Path) -> None:
    path = spoil(crashed, place, lambda data, chance: None, 0)
    store = Store.open(path, check=True)
    try:
        assert store.database.row("SELECT count(*) FROM task") == (200,)
    finally:
        store.close()
