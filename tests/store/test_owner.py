import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasky.errors import DatabaseOwned, DatabaseUnwritable
from tasky.store.owner import Owner, living_owner, read_runtime
from tests.helpers import FakeClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.db"


@pytest.fixture
def make_owner(path: Path, clock: FakeClock) -> Iterator[Callable[..., Owner]]:
    made: list[Owner] = []

    def make(verb: str = "serve") -> Owner:
        made.append(Owner(path, verb, clock))
        return made[-1]

    yield make
    for owner in made:
        owner.release()


def test_a_second_owner_is_refused_and_told_who_the_first_is(
    make_owner: Callable[..., Owner],
) -> None:
    make_owner("serve").take()
    with pytest.raises(DatabaseOwned) as refusal:
        make_owner("run").take()
    text = str(refusal.value)
    assert f"pid {os.getpid()}" in text
    assert "tasky serve" in text
    assert refusal.value.serve_exit_code == 69


def test_a_refusal_names_the_address_to_join(make_owner: Callable[..., Owner]) -> None:
    first = make_owner()
    first.take()
    first.announce("http://127.0.0.1:8888", "tsk_x")
    with pytest.raises(DatabaseOwned, match=r"--url http://127\.0\.0\.1:8888"):
        make_owner().take()


def test_a_refusal_never_shows_the_token(make_owner: Callable[..., Owner]) -> None:
    first = make_owner()
    first.take()
    first.announce("http://127.0.0.1:8888", "tsk_secret")
    with pytest.raises(DatabaseOwned) as refusal:
        make_owner().take()
    assert "tsk_secret" not in str(refusal.value)


def test_a_released_database_is_free(make_owner: Callable[..., Owner], path: Path) -> None:
    first = make_owner()
    first.take()
    first.release()
    first.release()
    assert living_owner(path) is None
    make_owner().take()


@pytest.mark.parametrize("tail", [".run", ".lock"])
def test_files_of_an_owner_are_for_its_user_alone(
    make_owner: Callable[..., Owner], path: Path, tail: str
) -> None:
    before = os.umask(0)
    try:
        owner = make_owner()
        owner.take()
        owner.announce("http://127.0.0.1:1", "tsk_x")
    finally:
        os.umask(before)
    assert Path(f"{path}{tail}").stat().st_mode & 0o777 == 0o600


def test_others_read_what_an_owner_says(
    make_owner: Callable[..., Owner], path: Path, clock: FakeClock
) -> None:
    owner = make_owner("serve")
    owner.take()
    owner.announce("http://127.0.0.1:1", "tsk_x")
    found = living_owner(path)
    assert found is not None
    assert (found.pid, found.verb, found.since) == (os.getpid(), "serve", clock.now())
    assert (found.address, found.token) == ("http://127.0.0.1:1", "tsk_x")


def test_nobody_owns_a_database_that_is_not_there(path: Path) -> None:
    assert living_owner(path) is None


def test_what_a_dead_owner_left_counts_for_nothing(
    make_owner: Callable[..., Owner], path: Path
) -> None:
    Path(f"{path}.run").write_text('{"pid": 1, "verb": "serve", "since": 0}')
    Path(f"{path}.lock").touch()
    assert living_owner(path) is None
    make_owner().take()
    runtime = read_runtime(path)
    assert runtime is not None
    assert runtime.pid == os.getpid()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', "\x00"])
def test_an_unreadable_note_of_an_owner_is_no_error(
    make_owner: Callable[..., Owner], path: Path, text: str
) -> None:
    owner = make_owner()
    owner.take()
    Path(f"{path}.run").write_text(text)
    assert read_runtime(path) is None
    assert living_owner(path) is not None
    with pytest.raises(DatabaseOwned):
        make_owner().take()


def test_a_missing_folder_is_said(tmp_path: Path, clock: FakeClock) -> None:
    with pytest.raises(DatabaseUnwritable, match="no such file"):
        Owner(tmp_path / "nowhere" / "t.db", "run", clock).take()


def test_a_look_at_the_owner_does_not_keep_a_start_from_happening(
    make_owner: Callable[..., Owner], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks holds the lock for a moment; that is no owner."""
    looking = os.open(f"{path}.lock", os.O_RDONLY | os.O_CREAT)
    fcntl.flock(looking, fcntl.LOCK_SH)
    pauses: list[float] = []

    def look_ends(seconds: float) -> None:
        pauses.append(seconds)
        fcntl.flock(looking, fcntl.LOCK_UN)

    monkeypatch.setattr("tasky.store.owner.time.sleep", look_ends)
    try:
        make_owner().take()
    finally:
        os.close(looking)
    assert len(pauses) == 1


def test_a_child_does_not_keep_the_lock(make_owner: Callable[..., Owner], path: Path) -> None:
    owner = make_owner()
    owner.take()
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        close_fds=False,
    )
    assert child.stdout is not None
    child.stdout.readline()
    try:
        owner.release()
        assert living_owner(path) is None
    finally:
        child.communicate()
