"""D1: the server is killed while clients write; nothing that was acknowledged is lost."""

import contextlib
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import Server
from tests.faults.oracle import read_ids, read_ledger

CYCLES = 20


def states(path: Path) -> dict[str, tuple[str, str, str | None]]:
    """Return (worker, state, type of error) of every task."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT task.uid, worker.name, task.state, json_extract(execution.error, '$.type')"
            " FROM task JOIN worker ON worker.id = task.worker_id"
            " JOIN execution ON execution.id = task.execution_id"
        ).fetchall()
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def kill_under_writes(serve: Callable[..., Server], seed: random.Random, cycles: int) -> None:
    for _ in range(cycles):
        server = serve("submit").ready()
        # The fault is a moment of the clock: this is no waiting for something.
        time.sleep(seed.uniform(0.05, 0.5))
        assert server.process.poll() is None, server.died()
        server.kill()


def check_the_ends(folder: Path) -> None:
    found = states(folder / "tasky.db")
    for uid in read_ids(folder / "acknowledged"):
        worker, state, error = found[uid]
        if worker == "again":
            assert state == "succeeded" or (state, error) == ("lost", "Quarantined"), uid
        else:
            assert state in {"succeeded", "lost"}, uid


def check_the_work(folder: Path) -> None:
    """What has succeeded was really done, what was done to its end is not lost for ever."""
    found, ledger = states(folder / "tasky.db"), read_ledger(folder / "ledger")
    done = {line.task for line in ledger if line.what == "end"}
    succeeded = {uid for uid, (_, state, _) in found.items() if state == "succeeded"}
    assert succeeded <= done
    starts = {line.task for line in ledger if line.what == "start"}
    lost = {uid for uid, (_, state, _) in found.items() if state == "lost"}
    # A start is durable before its code begins, so some lost ones never wrote their line.
    assert len(lost - starts) <= 4 * CYCLES


def test_d1_kill_nine_under_writes_loses_no_acknowledged_task(
    serve: Callable[..., Server],
    oracle: Callable[[], list[str]],
    seed: random.Random,
    tmp_path: Path,
) -> None:
    kill_under_writes(serve, seed, CYCLES)
    assert oracle() == []

    finishing = serve("finish").ready()
    assert finishing.line() == "finished"
    finishing.leave()

    acknowledged = read_ids(tmp_path / "acknowledged")
    assert len(acknowledged) > CYCLES
    assert oracle() == []
    check_the_ends(tmp_path)
    check_the_work(tmp_path)


@pytest.mark.slow
def test_d1_kill_nine_under_writes_for_a_night(
    serve: Callable[..., Server],
    oracle: Callable[[], list[str]],
    seed: random.Random,
    tmp_path: Path,
) -> None:
    for _ in range(25):
        kill_under_writes(serve, seed, CYCLES)
        assert oracle() == []
        assert serve("finish").ready().leave() == "finished"
        assert oracle() == []
        check_the_ends(tmp_path)
