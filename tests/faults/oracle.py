"""What must be true of a database file after every fault, whatever happened before.

Reads a copy of the file with plain sqlite3, never through Tasky; what is wrong comes as sentences.
The numbers are those of the oracle in the reliability design.
"""

import contextlib
import shutil
import sqlite3
import tempfile
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tasky.states import EDGES, EDGES_UNSTARTED, FINAL, State, may_move

UNSTARTED = {State.NEW, State.QUEUED, State.PAUSED}


class Line(NamedTuple):
    """One line of a ledger: what the code of a test worker did, written outside Tasky."""

    task: str
    execution: int
    fence: int
    what: str
    idempotent: bool


def read_ledger(path: Path) -> list[Line]:
    """Read a ledger; a line that is not whole was being written when the process died."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")[:-1]
    found = []
    for line in lines:
        task, execution, fence, what, idempotent = line.split()
        found.append(Line(task, int(execution), int(fence), what, idempotent == "1"))
    return found


def read_ids(path: Path) -> set[str]:
    """Read the ids that were acknowledged."""
    return set(path.read_text().split("\n")[:-1]) if path.exists() else set()


@contextlib.contextmanager
def copy_of(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy of a database and its WAL."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "copy.db"
        for tail in ("", "-wal"):
            if Path(f"{path}{tail}").exists():
                shutil.copyfile(f"{path}{tail}", f"{target}{tail}")
        with contextlib.closing(sqlite3.connect(target)) as connection:
            yield connection


def findings(
    path: Path, *, acknowledged: Collection[str] = (), ledger: Iterable[Line] = ()
) -> list[str]:
    """Return everything that is wrong with a database file; all tests want an empty list."""
    with copy_of(path) as connection:
        return [
            *whole(connection),
            *lost(connection, acknowledged),
            *histories(connection),
            *double_starts(ledger),
            *figures(connection),
        ]


def whole(connection: sqlite3.Connection) -> Iterator[str]:
    """1: the file is sound, and every reference refers to something."""
    for (finding,) in connection.execute("PRAGMA integrity_check"):
        if finding != "ok":
            yield f"integrity: {finding}"
    for row in connection.execute("PRAGMA foreign_key_check"):
        yield f"a row of {row[0]} refers to nothing"


def lost(connection: sqlite3.Connection, acknowledged: Collection[str]) -> Iterator[str]:
    """2: what was acknowledged is there."""
    found = {row[0] for row in connection.execute("SELECT uid FROM task")}
    for uid in sorted(set(acknowledged) - found):
        yield f"the task {uid} was acknowledged and is not there"


# -- 3 ---------------------------------------------------------------------------------------------


def histories(connection: sqlite3.Connection) -> Iterator[str]:
    """3: every history is a path of the state table, with one end for each execution that ended."""
    paths: dict[int, list[str]] = defaultdict(list)
    for number, state in connection.execute(
        "SELECT execution_id, state FROM event"
        " WHERE execution_id IS NOT NULL AND state IS NOT NULL ORDER BY id"
    ):
        paths[number].append(state)
    for number, state in connection.execute("SELECT id, state FROM execution"):
        yield from _broken(number, paths.get(number, []), State(state))
    yield from _task_histories(connection)


def _broken(number: int, path: list[str], now: State) -> Iterator[str]:
    state, started = State.QUEUED, False
    for name in path:
        to = State(name)
        if to is not State.QUEUED or state is not State.QUEUED:
            if not _edge(state, to, started):
                yield f"execution {number} went from {state} to {to}: {path}"
            state = to
        started = started or to is State.RUNNING
    ends = [name for name in path if State(name) in FINAL]
    if len(ends) != (now in FINAL):
        yield f"execution {number} is {now} and has {len(ends)} ends: {path}"
    if (started or now in FINAL) and state is not now:
        yield f"execution {number} is {now}, its history says {state}: {path}"


def _edge(leaves: State, to: State, started: bool) -> bool:
    if started:
        return may_move(leaves, to)
    # How unstarted work moves is told of its task; here only how it leaves for good is seen.
    edges = {**EDGES, **EDGES_UNSTARTED}
    return any(a in UNSTARTED and b == to for (a, _), b in edges.items())


def _task_histories(connection: sqlite3.Connection) -> Iterator[str]:
    """A task of one run shows the states of its executions, in their order."""
    rows = connection.execute(
        "SELECT task.uid, task.state, event.name, event.state FROM event"
        " JOIN task ON task.id = event.task_id"
        " WHERE event.state IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM result JOIN execution ON execution.result_id = result.id"
        "   WHERE execution.task_id = task.id AND result.times > 1)"
        " ORDER BY task.id, event.id"
    )
    told: dict[str, list[tuple[str, str]]] = defaultdict(list)
    now: dict[str, str] = {}
    for uid, state, name, to in rows:
        now[uid] = state
        told[uid].append((name, to))
    for uid, steps in told.items():
        yield from _broken_task(uid, steps, State(now[uid]))


def _broken_task(uid: str, steps: list[tuple[str, str]], now: State) -> Iterator[str]:
    state, started = State(steps[0][1]), False
    for name, step in steps[1:]:
        to = State(step)
        again = name == "execution.queued"
        if to is not state and not again and not may_move(state, to, started=started):
            yield f"task {uid} went from {state} to {to} by {name}: {steps}"
        state = to
        started = to not in UNSTARTED or (started and to is State.PAUSED)
    if state is not now:
        yield f"task {uid} is {now}, its history says {state}: {steps}"


# -- 4 ---------------------------------------------------------------------------------------------


def double_starts(ledger: Iterable[Line]) -> Iterator[str]:
    """4: a hand-out starts once; work that is not idempotent starts once in all."""
    starts = [line for line in ledger if line.what == "start"]
    for key, count in Counter((line.execution, line.fence) for line in starts).items():
        if count > 1:
            yield f"execution {key[0]} with fence {key[1]} started {count} times"
    for task, count in Counter(line.task for line in starts if not line.idempotent).items():
        if count > 1:
            yield f"the task {task} is not idempotent and started {count} times"


# -- 6 ---------------------------------------------------------------------------------------------


def figures(connection: sqlite3.Connection) -> Iterator[str]:
    """6: the rollups are a recount of what is there, and event ids rise with time."""
    recount: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0])
    for worker, state, started, ended in connection.execute(
        "SELECT worker_id, state, started_at, ended_at FROM execution WHERE ended_at IS NOT NULL"
    ):
        recount[worker, state][0] += 1
        if started is not None:
            recount[worker, "run"][0] += 1
            recount[worker, "run"][1] += max(0, ended - started)
    rollups = _rollups(connection)
    for key in sorted(recount.keys() | rollups.keys()):
        if recount.get(key, [0, 0]) != rollups.get(key, [0, 0]):
            yield f"{key}: the rollups say {rollups.get(key)}, a recount {recount.get(key)}"
    newest = 0
    for number, at in connection.execute("SELECT id, at FROM event ORDER BY id"):
        if at < newest:
            yield f"event {number} is older than the one before it"
        newest = max(newest, at)


def _rollups(connection: sqlite3.Connection) -> dict[tuple[int, str], list[int]]:
    rows: list[tuple[Any, ...]] = connection.execute(
        "SELECT worker_id, kind, sum(n), sum(total) FROM stat WHERE kind <> 'wait' GROUP BY 1, 2"
    ).fetchall()
    return {(row[0], row[1]): [row[2], row[3]] for row in rows}
