"""R1 and R8: the server dies while work is under way, or because of it."""

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import Server
from tests.faults.oracle import read_ledger


def rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(statement).fetchall()


def test_r1_what_may_be_repeated_is_and_the_rest_is_lost(
    serve: Callable[..., Server], oracle: Callable[[], list[str]], tmp_path: Path
) -> None:
    serve("run", *["again", "once"] * 4).ready().kill()

    # Ready means: what the crash left is settled.
    after = serve("submit").ready()
    after.kill()

    found = rows(
        tmp_path / "tasky.db",
        "SELECT worker.name, execution.state, execution.attempt FROM execution"
        " JOIN worker ON worker.id = execution.worker_id"
        " WHERE execution.task_id <= 8 AND is_last = 1 ORDER BY execution.task_id",
    )
    ends = Counter((name, state) for name, state, _ in found)
    assert ends["once", "lost"] == 4
    assert {attempt for name, _, attempt in found if name == "again"} == {2}
    assert all(state in {"queued", "running"} for name, state, _ in found if name == "again")
    assert oracle() == []


def test_r1_what_was_lost_is_never_started_again(
    serve: Callable[..., Server], oracle: Callable[[], list[str]], tmp_path: Path
) -> None:
    for _ in range(3):
        serve("run", "once", "once").ready().kill()
    starts = Counter(line.task for line in read_ledger(tmp_path / "ledger"))
    assert set(starts.values()) == {1}
    assert oracle() == []


@pytest.mark.parametrize(("how", "code"), [("exit", 9), ("signal", -11)])
def test_r8_what_kills_the_server_twice_is_quarantined(
    serve: Callable[..., Server],
    oracle: Callable[[], list[str]],
    tmp_path: Path,
    how: str,
    code: int,
) -> None:
    for _ in range(2):
        server = serve("deadly", how)
        server.died()
        assert server.process.returncode == code

    third = serve("deadly", how)
    assert third.leave() == ""

    found = rows(
        tmp_path / "tasky.db",
        "SELECT task.state, json_extract(execution.error, '$.type') FROM task"
        " JOIN execution ON execution.id = task.execution_id",
    )
    assert found == [("lost", "Quarantined")]
    assert len(read_ledger(tmp_path / "ledger")) == 2
    assert oracle() == []
