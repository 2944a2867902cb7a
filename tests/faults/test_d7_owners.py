"""D7: a database has one owner, however many want it."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from tasky.store.owner import living_owner
from tests.faults.conftest import Server

MANY = 10


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_d7_a_second_owner_hears_who_the_first_is_and_writes_nothing(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    first = serve("own")
    what, pid = first.line().split()
    assert (what, int(pid)) == ("owner", first.process.pid)
    before = digest(tmp_path / "tasky.db"), digest(tmp_path / "tasky.db-wal")

    second = serve("own")

    assert second.line() == f"database_owned {pid}"
    second.leave()
    assert (digest(tmp_path / "tasky.db"), digest(tmp_path / "tasky.db-wal")) == before
    first.leave()


def test_d7_of_many_that_start_at_once_one_is_the_owner(
    serve: Callable[..., Server], oracle: Callable[[], list[str]], tmp_path: Path
) -> None:
    servers = [serve("own") for _ in range(MANY)]
    answers = [server.line().split() for server in servers]

    owners = [server for server, (what, _) in zip(servers, answers, strict=True) if what == "owner"]

    assert len(owners) == 1
    assert [what for what, _ in answers].count("database_owned") == MANY - 1
    # Who asks in the moment before the owner wrote its note hears that there is one, not who.
    pids = {pid for what, pid in answers if what == "database_owned"}
    assert pids <= {str(owners[0].process.pid), "?"}
    for server in servers:
        server.leave()
    assert living_owner(tmp_path / "tasky.db") is None
    assert oracle() == []


def test_d7_a_killed_owner_leaves_the_database_free(serve: Callable[..., Server]) -> None:
    first = serve("own")
    first.line()
    first.kill()
    second = serve("own")
    assert second.line() == f"owner {second.process.pid}"
    second.leave()
