"""Every field against a plain Python filter over the same tasks."""

import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasky.clock import from_iso
from tasky.errors import QueryInvalid
from tasky.query import TASK_FIELDS, parse
from tasky.states import FINAL, OPEN, State
from tasky.store.database import Database
from tasky.store.filters import where
from tasky.store.writer import Transaction

NOW = from_iso("2026-11-22T05:49:17Z")
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
COUNT = 600

WORKERS = {1: ("copy_file", "thread"), 2: ("copy_tree", "process"), 3: ("import", "container")}
ERRORS = [
    ("PermissionError", "[Errno 13] Permission denied: '/etc/shadow'"),
    ("OSError", "No space left on device\nwhile writing block 12"),
    ("ValueError", "Größe 100% falsch; a_b\\c"),
]


@dataclass
class Row:
    """One task with its latest execution, as plain values."""

    id: int
    uid: str
    worker: str
    executor: str
    state: State
    config: dict[str, Any]
    priority: int
    queue: str
    labels: dict[str, str]
    origin: str
    actor: str
    timeout: int | None
    attempt: int
    due: int | None
    created: int
    queued: int | None
    started: int | None
    ended: int | None
    cancel: int | None
    pause: int | None
    output: str | None
    output_kind: str | None
    error: tuple[str, str] | None
    exit: int | None
    crashes: int
    progress: dict[str, Any] | None
    log: list[str] = field(default_factory=list)


def make_row(number: int, rng: random.Random) -> Row:
    state = rng.choice(list(State))
    worker, executor = WORKERS[rng.randint(1, 3)]
    created = NOW - rng.randint(0, 72) * HOUR - rng.randint(0, 3) * 1_234_567
    queued = None if state is State.NEW else created + rng.randint(0, 10) * MINUTE
    started = ended = None
    if queued is not None and state is not State.QUEUED:
        started = queued + rng.choice([0, 1, 59, 60, 61, 300]) * SECOND
    if state in FINAL:
        ended = (started or created) + rng.choice([0, 2_500_000, 5_000_000, 5_999_999, 6_000_000])
    done = rng.randint(0, 10)
    return Row(
        number,
        f"{rng.getrandbits(128):032x}",
        worker,
        executor,
        state,
        rng.choice([
            {"source": "/etc/hosts", "n": number % 5, "limits": {"cpu": 1.5}, "on": True},
            {"source": "/srv/ÄRGER 100%", "n": str(number % 5), "on": "true", "a b": [1, "x"]},
            {"source": None, "n": 2.0, "limits": {"cpu": 4}, "on": False, "it's": "_"},
            {},
        ]),
        rng.randint(-5, 5),
        rng.choice(["default", "Bulk"]),
        rng.choice([{}, {"env": "prod"}, {"env": "Prod", "team.x": "a*b"}, {"env": "dev"}]),
        rng.choice(["native", "portauthority"]),
        rng.choice(["", "alice", "bob"]),
        rng.choice([None, 30 * SECOND, 90 * SECOND]),
        rng.randint(0, 3),
        rng.choice([None, NOW - HOUR, NOW - 30 * SECOND, NOW + HOUR]),
        created,
        queued,
        started,
        ended,
        rng.choice([None, NOW]),
        rng.choice([None, None, NOW]),
        *rng.choice([
            (None, None),
            ('{"rows": 3, "who": "me"}', "json"),
            ("not json {", "text"),
            ('{"rows": 3}', "text"),
        ]),
        rng.choice(ERRORS) if state in {State.FAILED, State.LOST} else None,
        rng.choice([None, 0, 1, -9]),
        rng.randint(0, 3),
        rng.choice([
            None,
            {"done": done, "total": 10, "at": NOW - rng.choice([1, 61, 3600]) * SECOND},
            {"done": done, "total": None, "at": NOW},
            {"done": 1, "total": 0, "at": NOW},
        ]),
        rng.choice([[], ["started", "Reading block 12"], ["50% of a_b"], ["ÜBER alles"]]),
    )  # fmt: skip


def insert(tx: Transaction, rows: list[Row]) -> None:
    tx.executemany(
        "INSERT INTO worker (id, name, executor, created_at, updated_at) VALUES (?, ?, ?, 0, 0)",
        [(number, *values) for number, values in WORKERS.items()],
    )
    ids = {name: number for number, (name, _) in WORKERS.items()}
    tx.executemany(
        "INSERT INTO task (id, uid, worker_id, state, config, priority, queue, labels, origin,"
        " actor, timeout_us, attempt, not_before, created_at, queued_at, started_at, ended_at,"
        " cancel_requested_at, pause_requested_at, result_id, execution_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (r.id, r.uid, ids[r.worker], r.state, json.dumps(r.config, ensure_ascii=False),
             r.priority, r.queue, json.dumps(r.labels) if r.labels else None, r.origin, r.actor,
             r.timeout, r.attempt, r.due, r.created, r.queued, r.started, r.ended, r.cancel,
             r.pause, r.id, r.id * 10)
            for r in rows
        ],
    )  # fmt: skip
    tx.executemany(
        "INSERT INTO result (id, task_id, times, submitted_at) VALUES (?, ?, 1, 0)",
        [(r.id, r.id) for r in rows],
    )
    tx.executemany(
        "INSERT INTO execution (id, task_id, result_id, worker_id, state, crashes, since, ended_at,"
        " output, output_kind, error, exit_code, progress)"
        " VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?)",
        [
            (r.id * 10, r.id, r.id, ids[r.worker], r.state, r.crashes, r.ended, r.output,
             r.output_kind,
             r.error and json.dumps(dict(zip(("type", "message"), r.error, strict=True)),
                                    ensure_ascii=False),
             r.exit, r.progress and json.dumps(r.progress))
            for r in rows
        ],
    )  # fmt: skip
    tx.executemany(
        "INSERT INTO log (execution_id, seq, at, level, stream, text) VALUES (?, ?, 0, '', '', ?)",
        [(r.id * 10, seq, line) for r in rows for seq, line in enumerate(r.log)],
    )
    # Five successes of a second each make three seconds slow for copy_file.
    tx.execute("INSERT INTO stat VALUES (60, 0, 1, 'run', 400, 5, 5000000, 1000000, 1000000)")


ROWS = [make_row(number, random.Random(number)) for number in range(1, COUNT + 1)]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A real database: what the SQL means only SQLite can tell."""
    database = Database(tmp_path_factory.mktemp("filters") / "t.db")
    database.write().call(lambda tx: insert(tx, ROWS))
    yield database
    database.close()


BASE = (
    "SELECT task.id FROM task JOIN worker ON worker.id = task.worker_id"
    " LEFT JOIN execution ON execution.id = task.execution_id"
)


def found(database: Database, query: str, tz: str | None = None) -> list[int]:
    condition = where(parse(query), NOW, tz)
    statement = f"{BASE} WHERE {condition.sql} ORDER BY task.id"
    return [row[0] for row in database.rows(statement, condition.parameters)]


Predicate = Callable[[Row], Any]


def fold(text: str | None) -> str:
    return (text or "").casefold()


def percent(r: Row) -> float | None:
    if not r.progress or not r.progress["total"]:
        return None
    return float(100 * r.progress["done"] / r.progress["total"])


def run(r: Row) -> int | None:
    return None if r.ended is None or r.started is None else r.ended - r.started


def wait(r: Row) -> int | None:
    return None if r.started is None or r.queued is None else r.started - r.queued


def error(r: Row) -> str | None:
    return f"{r.error[0]}: {r.error[1]}" if r.error else None


def above(value: float | None, limit: float) -> bool:
    return value is not None and value > limit


def within(value: float | None, low: float, high: float) -> bool:
    return value is not None and low <= value <= high


def running(r: Row) -> bool:
    return r.state is State.RUNNING


def slow(r: Row) -> bool:
    return running(r) and r.worker == "copy_file" and (r.started or 0) < NOW - 3 * SECOND


def json_output(r: Row) -> dict[str, Any]:
    return dict(json.loads(r.output)) if r.output_kind == "json" and r.output else {}


def midnight(day: str) -> int:
    return from_iso(f"2026-11-{day}T00:00:00Z")


CASES: list[tuple[str, Predicate]] = [
    ("", lambda r: True),
    ("status:failed", lambda r: r.state == "failed"),
    ("status:queued,failed,succeeded", lambda r: r.state in {"queued", "failed", "succeeded"}),
    ("-status:succeeded,cancelled", lambda r: r.state not in {"succeeded", "cancelled"}),
    *[(f"status:{state}", lambda r, s=state: r.state is s) for state in State],
    ("is:open", lambda r: r.state in OPEN),
    ("is:final", lambda r: r.state in FINAL),
    ("is:trouble", lambda r: r.state in FINAL and r.state != "succeeded"),
    ("is:stalled", lambda r: running(r) and r.progress and r.progress["at"] < NOW - MINUTE),
    ("is:slow", slow),
    ("is:tracked", lambda r: r.origin == "portauthority"),
    ("is:retried", lambda r: r.attempt > 1),
    ("is:overdue", lambda r: r.state == "queued" and r.due and r.due < NOW - MINUTE),
    ("is:quarantined", lambda r: r.crashes >= 2),
    ("is:open,quarantined", lambda r: r.state in OPEN or r.crashes >= 2),
    ("-is:stalled", lambda r: not (running(r) and r.progress and r.progress["at"] < NOW - MINUTE)),
    ("wish:cancel", lambda r: r.cancel),
    ("wish:cancel,pause", lambda r: r.cancel or r.pause),
    ("-wish:pause", lambda r: not r.pause),
    ("executor:THREAD,container", lambda r: r.executor in {"thread", "container"}),
    ("origin:Native", lambda r: r.origin == "native"),
    ("queue:bulk", lambda r: r.queue == "Bulk"),
    ("queue:=bulk", lambda r: False),
    ("queue:b*", lambda r: r.queue == "Bulk"),
    (f"id:{ROWS[7].uid}", lambda r: r.id == 8),
    (f"id:{ROWS[7].uid[:4].upper()}", lambda r: r.uid.startswith(ROWS[7].uid[:4])),
    ("id:7*", lambda r: r.uid.startswith("7")),
    ("id:*7", lambda r: r.uid.endswith("7")),
    ("id:=7", lambda r: False),
    ("-id:7,8", lambda r: r.uid[0] not in "78"),
    ("worker:copy_file", lambda r: r.worker == "copy_file"),
    ("worker:Copy_*", lambda r: r.worker.startswith("copy_")),
    ("worker:=Copy_file", lambda r: False),
    ("worker:import,copy_tree", lambda r: r.worker != "copy_file"),
    ("worker:*", lambda r: True),
    ("-worker:copy_file", lambda r: r.worker != "copy_file"),
    ("by:alice", lambda r: r.actor == "alice"),
    ("by:Alice", lambda r: False),
    ('by:""', lambda r: r.actor == ""),
    ("label.env:prod", lambda r: r.labels.get("env") == "prod"),
    ("label.env:*ro*", lambda r: r.labels.get("env") in {"prod", "Prod"}),
    ("label.env:*", lambda r: "env" in r.labels),
    ("-label.env:*", lambda r: "env" not in r.labels),
    ("-label.env:prod", lambda r: r.labels.get("env") != "prod"),
    ('label."team.x":"a*b"', lambda r: "team.x" in r.labels),
    ("label.team.x:*", lambda r: "team.x" in r.labels),
    ("created:>2h", lambda r: r.created < NOW - 2 * HOUR),
    ("created:<24h", lambda r: r.created > NOW - DAY),
    ("created:<=24h", lambda r: r.created >= NOW - DAY),
    ("created:>=24h", lambda r: r.created <= NOW - DAY),
    ("created:1d..2d", lambda r: NOW - 2 * DAY <= r.created <= NOW - DAY),
    ("created:2d..1d", lambda r: NOW - 2 * DAY <= r.created <= NOW - DAY),
    ("created:..1d", lambda r: r.created >= NOW - DAY),
    ("created:1d..", lambda r: r.created <= NOW - DAY),
    ("created:today", lambda r: r.created >= midnight("22")),
    ("created:yesterday", lambda r: midnight("21") <= r.created < midnight("22")),
    ("created:2026-11-20", lambda r: midnight("20") <= r.created < midnight("21")),
    ("created:>2026-11-20", lambda r: r.created >= midnight("21")),
    ("created:>=2026-11-20", lambda r: r.created >= midnight("20")),
    ("created:<2026-11-20", lambda r: r.created < midnight("20")),
    ("created:<=2026-11-20", lambda r: r.created < midnight("21")),
    ("created:2026-11-20..2026-11-21", lambda r: midnight("20") <= r.created < midnight("22")),
    ("created:2026-11-20,today", lambda r: (
        midnight("20") <= r.created < midnight("21") or r.created >= midnight("22"))),
    ("-created:<24h", lambda r: r.created <= NOW - DAY),
    ("created:2026-11-21T05:49:17Z..3h", lambda r: NOW - DAY <= r.created <= NOW - 3 * HOUR),
    ("queued:<24h", lambda r: above(r.queued, NOW - DAY)),
    ("-queued:<24h", lambda r: not above(r.queued, NOW - DAY)),
    ("started:<24h", lambda r: above(r.started, NOW - DAY)),
    ("ended:<24h", lambda r: above(r.ended, NOW - DAY)),
    ("due:>1m", lambda r: r.due and r.due < NOW - MINUTE),
    ("due:>today", lambda r: False),
    ("duration:>5s", lambda r: above(run(r), 5 * SECOND)),
    ("duration:5s", lambda r: within(run(r), 5 * SECOND, 6 * SECOND - 1)),
    ("duration:2500ms", lambda r: run(r) == 2_500_000),
    ("duration:0s", lambda r: run(r) == 0),
    ("duration:<=2.5s", lambda r: within(run(r), 0, 2_500_000)),
    ("-duration:>5s", lambda r: not above(run(r), 5 * SECOND)),
    ("wait:1m..5m", lambda r: within(wait(r), MINUTE, 5 * MINUTE)),
    ("wait:..60", lambda r: within(wait(r), 0, MINUTE)),
    ("timeout:30,90", lambda r: r.timeout is not None),
    ("priority:3", lambda r: r.priority == 3),
    ("priority:>=3.5", lambda r: r.priority >= 4),
    ("priority:3..-1", lambda r: -1 <= r.priority <= 3),
    ("priority:<-3,-4", lambda r: r.priority < -3),
    ("attempt:..1", lambda r: r.attempt <= 1),
    ("progress:..50", lambda r: within(percent(r), 0, 50)),
    ("progress:100", lambda r: percent(r) == 100),
    ("-progress:>=0", lambda r: percent(r) is None),
    ("exit:-9", lambda r: r.exit == -9),
    ("-exit:0", lambda r: r.exit != 0),
    ("error:permission", lambda r: r.error == ERRORS[0]),
    ('error:"no space left"', lambda r: r.error == ERRORS[1]),
    ("error:block", lambda r: r.error == ERRORS[1]),
    ("error:no*12", lambda r: r.error == ERRORS[1]),
    ("error:GRÖSSE", lambda r: False),
    ("error:GRÖßE", lambda r: r.error == ERRORS[2]),
    ("error:100%", lambda r: r.error == ERRORS[2]),
    ("error:a_b\\c", lambda r: r.error == ERRORS[2]),
    ("error:10_%", lambda r: False),
    ("error:=ValueError", lambda r: r.error == ERRORS[2]),
    ("error:=valueerror", lambda r: False),
    ('error:="OSError: No*"', lambda r: False),
    ("error:=OSError:*", lambda r: r.error == ERRORS[1]),
    ("error:*", lambda r: r.error),
    ('error:""', lambda r: r.error),
    ("-error:*", lambda r: not r.error),
    ("log:BLOCK", lambda r: any("block" in fold(line) for line in r.log)),
    ("log:50%", lambda r: any("50%" in line for line in r.log)),
    ("log:über", lambda r: any("über" in fold(line) for line in r.log)),
    ("log:=started", lambda r: "started" in r.log),
    ("log:nothing,50*a_b", lambda r: any("a_b" in line for line in r.log)),
    ("-log:*", lambda r: not r.log),
    ("output:JSON", lambda r: "json" in fold(r.output)),
    ("output:*", lambda r: r.output is not None),
    ("output.rows:3", lambda r: json_output(r).get("rows") == 3),
    ("output.who:M", lambda r: json_output(r).get("who") == "me"),
    ("config.source:/etc", lambda r: r.config.get("source") == "/etc/hosts"),
    ("config.source:ärger", lambda r: "ärger" in fold(r.config.get("source"))),
    ("config.source:*", lambda r: "source" in r.config),
    ("config.source:null", lambda r: "source" in r.config and r.config["source"] is None),
    ("-config.source:*", lambda r: "source" not in r.config),
    ("config.n:2", lambda r: r.config.get("n") in {2, "2"}),
    ('config.n:"2"', lambda r: r.config.get("n") == "2"),
    ("config.n:>=2", lambda r: within(n if isinstance(n := r.config.get("n"), (int, float))
                                      else None, 2, 9)),
    ("config.limits.cpu:>1.5", lambda r: r.config.get("limits", {}).get("cpu") == 4),
    ("config.on:true", lambda r: r.config.get("on") in {True, "true"}),
    ('config.on:"true"', lambda r: r.config.get("on") == "true"),
    ("config.on:=true", lambda r: r.config.get("on") in {True, "true"}),
    ("config.on:false", lambda r: r.config.get("on") is False),
    ('config."a b"[0]:1', lambda r: "a b" in r.config),
    ('config."a b"[1]:x', lambda r: "a b" in r.config),
    ('config."a b"[2]:*', lambda r: False),
    ('config."it\'s":_', lambda r: "it's" in r.config),
    ("config.[0]:x", lambda r: False),
    ('config."":x', lambda r: False),
    ("job:* job.type:x chain:*", lambda r: False),
    ("-parent:* -agent:x -schedule:x -correlation:x -job.namespace:x", lambda r: True),
    ("meta.x:1", lambda r: False),
    ("prod", lambda r: "prod" in fold(r.labels.get("env"))),
    ("TEAM", lambda r: "team.x" in r.labels),
    ("copy", lambda r: r.worker.startswith("copy")),
    ("errno", lambda r: r.error == ERRORS[0]),
    ("writing", lambda r: False),
    ('"OSError: no space"', lambda r: r.error == ERRORS[1]),
    ('"{"', lambda r: False),
    ('""', lambda r: True),
    (ROWS[3].uid[5:20], lambda r: r.id == 4),
    ("-copy", lambda r: not r.worker.startswith("copy") and "copy" not in fold(error(r))),
    ("status:failed worker:copy_* label.env:prod created:<60h",
     lambda r: r.state == "failed" and r.worker.startswith("copy_")
     and r.labels.get("env") == "prod" and r.created > NOW - 60 * HOUR),
]  # fmt: skip


@pytest.mark.parametrize(("query", "fits"), CASES)
def test_a_query_finds_what_a_plain_filter_finds(
    database: Database, query: str, fits: Predicate
) -> None:
    assert found(database, query) == [row.id for row in ROWS if fits(row)]


def test_the_plain_filters_are_not_empty_by_accident() -> None:
    empty = {query for query, fits in CASES if not any(map(fits, ROWS))}

    asked_for_nothing = {
        "queue:=bulk", "id:=7", "worker:=Copy_file", "by:Alice", "due:>today", "error:GRÖSSE",
        "error:10_%", "error:=valueerror", 'error:="OSError: No*"', 'config."a b"[2]:*',
        "config.[0]:x", 'config."":x', "job:* job.type:x chain:*", "meta.x:1", "writing", '"{"',
    }  # fmt: skip
    assert empty == asked_for_nothing


def test_every_field_has_a_case() -> None:
    asked = {term.name for query, _ in CASES for term in parse(query).terms}

    assert asked == {"", *TASK_FIELDS}


def test_days_are_those_of_the_readers_zone(database: Database) -> None:
    start = from_iso("2026-11-19T11:00:00Z")

    ids = found(database, "created:2026-11-20", "Pacific/Auckland")

    assert ids == [row.id for row in ROWS if start <= row.created < start + DAY]
    assert ids != found(database, "created:2026-11-20")


HOSTILE = [
    "' OR 1=1 --",
    "'; DROP TABLE task; --",
    "x' UNION SELECT name FROM sqlite_master --",
    "%_\\[*?]",
    "$.a') OR ('1'='1",
    "?1 :now @x $y",
    "\\)",
    "[^x",
    "{}\u202e\x1b[2J",
]


@pytest.mark.parametrize("name", sorted(n for n, f in TASK_FIELDS.items() if f.kind in {
    "name", "text", "value"} or n in {"queue", "origin", "executor"}))  # fmt: skip
@pytest.mark.parametrize("text", HOSTILE)
def test_outside_text_reaches_sql_only_as_a_parameter(
    database: Database, name: str, text: str
) -> None:
    query = asked(name, text)

    condition = where(parse(query), NOW)

    # Text outside ASCII is compared with GLOB, so its twin is no ASCII either.
    twin = "plain" if text.isascii() else "pläin"
    assert condition.sql == where(parse(asked(name, twin)), NOW).sql
    assert found(database, query) == []
    assert found(database, f"-{query}") == [row.id for row in ROWS]


def asked(name: str, text: str) -> str:
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name}{quoted}:{quoted}" if name.endswith(".") else f"{name}:{quoted}"


def test_many_values_are_no_deep_expression(database: Database) -> None:
    values = ",".join(chr(0x4E00 + number) for number in range(990))

    for name in ("error", "worker", "log", "config.a", "id", "queue", "label.a"):
        assert found(database, f"-{name}:{values}") == [row.id for row in ROWS]


PIECES = st.sampled_from(
    [*TASK_FIELDS, "config.a[0]", 'label."x y"', "-", ":", ":", ",", "..", '"', "\\", "*", ">",
     "<=", " ", "5", "1e30", "-9", "99999999999999999999", "true", "2h", "today", "9998-12-31",
     "0002-01-01", "2026-11-20T01:02:03.5Z", "failed", "open", "cancel", "%", "[", "ß", "'"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map("".join))
@settings(max_examples=500, deadline=None)
def test_whatever_parses_runs(database: Database, text: str) -> None:
    try:
        tree = parse(text)
    except QueryInvalid:
        return

    condition = where(tree, NOW, "Pacific/Auckland")
    statement = f"{BASE} WHERE {condition.sql} LIMIT 1"
    database.rows(statement, condition.parameters)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("status:queued", "task_open"),
        ("status:running,paused", "task_open"),
        ("is:open", "task_open"),
        ("is:overdue", "task_open"),
        ("status:failed", "task_trouble"),
        ("status:lost worker:import", "task_trouble"),
        ("worker:import,copy_file is:open", "task_open"),
        ("status:failed,succeeded worker:import", "task_worker"),
        ("status:lost,killed", "task_trouble"),
        ("is:trouble", "task_trouble"),
        ("worker:copy_file", "task_worker"),
        ("worker:copy_*", "task_worker"),
        ("executor:thread", "task_worker"),
        ("id:7c2e", "sqlite_autoindex_task_1"),
    ],
)
def test_an_index_leads_to_the_tasks(database: Database, query: str, index: str) -> None:
    condition = where(parse(query), NOW)
    statement = f"EXPLAIN QUERY PLAN {BASE} WHERE task.id BETWEEN ? AND ? AND ({condition.sql})"

    plan = [row[3] for row in database.rows(statement, (1, 300, *condition.parameters))]

    assert any(f"INDEX {index} (" in line and "SEARCH task" in line for line in plan), plan


@pytest.mark.parametrize(
    ("query", "indexed"),
    [
        ("", True),
        ("created:<2h", True),
        ("status:failed", True),
        ("status:failed created:<2h", True),
        ("worker:copy_file", True),
        ("id:7c2e", True),
        ("status:succeeded", False),
        ("status:failed,lost", False),
        ("-status:failed", False),
        ("worker:copy_*", False),
        ("status:failed worker:copy_file", False),
        ("error:x", False),
        ("x", False),
    ],
)
def test_indexed_means_that_one_index_holds_the_list(query: str, indexed: bool) -> None:
    assert where(parse(query), NOW).indexed is indexed


@pytest.mark.parametrize(
    ("query", "bounds"),
    [
        ("", (None, None)),
        ("created:<2h", (NOW - 2 * HOUR + 1, None)),
        ("created:>2h", (None, NOW - 2 * HOUR)),
        ("created:<3h created:>2h created:<1w", (NOW - 3 * HOUR + 1, NOW - 2 * HOUR)),
        ("created:<2h,3h", (NOW - 3 * HOUR + 1, None)),
        ("created:2026-11-20,2026-11-22", (midnight("20"), midnight("23"))),
        ("-created:<2h", (None, None)),
    ],
)
def test_creation_bounds_hold_every_match(
    query: str, bounds: tuple[int | None, int | None]
) -> None:
    assert where(parse(query), NOW).created == bounds


def test_a_value_of_many_stars_is_no_trap() -> None:
    """A matcher that tries every combination would not come back from this."""
    connection = sqlite3.connect(":memory:")
    condition = where(parse("output:" + "a*" * 900 + "b"), NOW)
    try:
        row = connection.execute(
            f"SELECT {condition.sql.replace('execution.output', '?')}",
            ("a" * 100_000, *condition.parameters),
        ).fetchone()
    finally:
        connection.close()

    assert row == (0,)
