from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from tasky.errors import BadRequest, QueryInvalid
from tasky.store import lists
from tasky.store.database import Database
from tasky.store.lists import SORTS, RawPage, TaskList
from tasky.store.queries import Queries
from tasky.store.writer import Transaction

SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND
HOUR = 3600 * SECOND
COUNT = 237
STATES = ("queued", "running", "succeeded", "failed", "lost")

UID, STATE = 1, 3
PRIORITY, QUEUED, STARTED, ENDED = 15, 22, 23, 24


class StepClock:
    """Time that passes by `step_s` whenever somebody looks."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.step_s = step_s
        self.seconds = 0.0

    def now(self) -> int:
        return NOW

    def monotonic(self) -> float:
        self.seconds += self.step_s
        return self.seconds


def task_row(number: int) -> tuple[Any, ...]:
    """Ids are 3 apart, as after a prune; times repeat and are missing now and then."""
    state = STATES[number % 5]
    created = NOW - (COUNT - number) * HOUR
    queued = None if number % 11 == 0 else created + number % 4 * SECOND
    started = None if state == "queued" or queued is None else queued + number % 7 * SECOND
    ended = (
        created + 3600 * SECOND + number % 3 if state in {"succeeded", "failed", "lost"} else None
    )
    return (
        number * 3, f"{number:032x}", 1 + number % 3, state, f'{{"n": {number % 10}}}',
        number % 6 - 3, '{"env": "prod"}' if number % 2 else None,
        created, queued, started, ended, number * 3,
    )  # fmt: skip


def insert(tx: Transaction, rows: list[tuple[Any, ...]]) -> None:
    tx.executemany(
        "INSERT OR IGNORE INTO worker (id, name, created_at, updated_at) VALUES (?, ?, 0, 0)",
        [(1, "zip"), (2, "copy_file"), (3, "import")],
    )
    tx.executemany(
        "INSERT INTO task (id, uid, worker_id, state, config, priority, labels, created_at,"
        " queued_at, started_at, ended_at, execution_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A real database: order and keyset are SQLite's doing."""
    database = Database(tmp_path_factory.mktemp("lists") / "t.db")
    database.write().call(lambda tx: insert(tx, [task_row(n) for n in range(1, COUNT + 1)]))
    yield database
    database.close()


@pytest.fixture
def make_list(database: Database) -> Callable[..., TaskList]:
    def make(step_s: float = 0.0) -> TaskList:
        return TaskList(database, Queries("tasks").select_task, StepClock(step_s))

    return make


@pytest.fixture
def tasks(make_list: Callable[..., TaskList]) -> TaskList:
    return make_list()


def walk(tasks: TaskList, query: str = "", **asked: Any) -> list[RawPage]:
    """Return all pages of a list."""
    pages = [tasks.page(query, now=NOW, **asked)]
    while pages[-1].next_cursor is not None:
        assert len(pages) < 2 * COUNT
        pages.append(tasks.page(query, now=NOW, cursor=pages[-1].next_cursor, **asked))
    return pages


def rows_of(pages: list[RawPage]) -> list[tuple[Any, ...]]:
    return [row for page in pages for row in page.rows]


def difference(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a - b


VALUES: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "created": lambda row: row[0],
    "queued": lambda row: row[QUEUED],
    "started": lambda row: row[STARTED],
    "ended": lambda row: row[ENDED],
    "duration": lambda row: difference(row[ENDED], row[STARTED]),
    "wait": lambda row: difference(row[STARTED], row[QUEUED]),
    "priority": lambda row: row[PRIORITY],
    "status": lambda row: row[STATE],
    "worker": lambda row: row[2],
}

FITS: dict[str, Callable[[tuple[Any, ...]], bool]] = {
    "": lambda row: True,
    "status:failed": lambda row: row[STATE] == "failed",
    "worker:copy_file": lambda row: row[2] == "copy_file",
    "created:<100h": lambda row: row[0] > 3 * (COUNT - 100),
    "label.env:prod": lambda row: row[0] % 2 == 1,
    "config.n:>=7 status:failed,lost,queued": lambda row: (
        row[0] // 3 % 10 >= 7 and row[STATE] in {"failed", "lost", "queued"}
    ),
    "label.env:nowhere": lambda row: False,
}


def in_order(rows: list[tuple[Any, ...]], sort: str, order: str) -> list[tuple[Any, ...]]:
    """Sort plainly: by value, then id, in one direction; without a value at the end."""
    value = VALUES[sort]
    descending = order == "desc"
    given = [row for row in rows if value(row) is not None]
    missing = [row for row in rows if value(row) is None]
    return sorted(given, key=lambda row: (value(row), row[0]), reverse=descending) + sorted(
        missing, key=lambda row: row[0], reverse=descending
    )


@pytest.mark.parametrize("query", FITS)
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", SORTS)
def test_pages_hold_each_task_once_and_in_order(
    tasks: TaskList, sort: str, order: str, query: str
) -> None:
    every = rows_of([tasks.page("", now=NOW, limit=500)])

    pages = walk(tasks, query, sort=sort, order=order, limit=7)

    assert rows_of(pages) == in_order([row for row in every if FITS[query](row)], sort, order)
    assert all(len(page.rows) == 7 for page in pages[:-1])


@pytest.mark.parametrize("query", FITS)
@pytest.mark.parametrize("sort", ["created", "duration"])
def test_every_page_knows_the_total(tasks: TaskList, sort: str, query: str) -> None:
    pages = walk(tasks, query, sort=sort, limit=20)

    total = sum(len(page.rows) for page in pages)
    assert {(page.total, page.total_is_exact) for page in pages} == {(total, True)}
    assert {page.searched_back_to for page in pages} == {None}


def test_there_are_rows_without_a_value_in_the_middle_of_the_walk(tasks: TaskList) -> None:
    pages = walk(tasks, sort="started", limit=50)

    missing = [row[STARTED] is None for row in rows_of(pages)]
    assert 50 < sum(missing) < COUNT - 50
    assert missing == sorted(missing)


@pytest.mark.parametrize("query", ["", "status:failed", "label.env:prod"])
@pytest.mark.parametrize("sort", ["created", "priority"])
def test_a_total_above_the_cap_is_the_cap(tasks: TaskList, sort: str, query: str) -> None:
    tasks.cap = 10

    page = tasks.page(query, sort=sort, limit=3, now=NOW)

    assert (page.total, page.total_is_exact) == (10, False)


def test_a_total_at_the_cap_is_exact(tasks: TaskList) -> None:
    tasks.cap = COUNT

    assert tasks.page("", now=NOW)[2:4] == (COUNT, True)


def test_an_empty_database_has_an_empty_page() -> None:
    database = Database(":memory:")
    try:
        tasks = TaskList(database, Queries("tasks").select_task)

        pages = [tasks.page(query, sort=sort, now=NOW)
                 for query in FITS for sort in ("created", "wait")]  # fmt: skip
        ids = list(tasks.ids("", as_of_event=5))
    finally:
        database.close()

    assert set(map(str, pages)) == {str(RawPage([], None, 0, True))}
    assert ids == []


# -- searching -----------------------------------------------------------------------------------


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "FIRST_SLICE", 20)
    monkeypatch.setattr(lists, "LAST_SLICE", 20)


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("query", FITS)
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 7, 500])
def test_a_search_that_runs_out_of_time_goes_on_where_it_was(
    make_list: Callable[..., TaskList], query: str, order: str, limit: int
) -> None:
    every = rows_of([make_list().page("", order=order, now=NOW, limit=500)])

    pages = walk(make_list(step_s=0.15), query, order=order, limit=limit)

    assert rows_of(pages) == [row for row in every if FITS[query](row)]


@pytest.mark.usefixtures("small_slices")
def test_the_end_of_the_time_says_how_far_it_came(make_list: Callable[..., TaskList]) -> None:
    page = make_list(step_s=0.11).page("label.env:nowhere", now=NOW)

    # Two slices of 20 ids: from 711 down to 672, the id of task 224.
    assert page.rows == []
    assert page.searched_back_to == NOW - (COUNT - 224) * HOUR
    assert (page.total, page.total_is_exact) == (0, False)
    assert page.next_cursor is not None


@pytest.mark.usefixtures("small_slices")
def test_a_search_counts_what_it_found_on_all_pages(make_list: Callable[..., TaskList]) -> None:
    pages = walk(make_list(step_s=0.11), "label.env:prod", limit=5)

    expected = sum(number % 2 for number in range(1, COUNT + 1))
    totals = [page.total for page in pages]
    assert totals == sorted(totals)
    assert (pages[-1].total, pages[-1].total_is_exact) == (expected, True)
    assert not any(page.total_is_exact for page in pages[:10])


@pytest.mark.usefixtures("small_slices")
def test_a_full_page_ends_the_search_early(make_list: Callable[..., TaskList]) -> None:
    tasks = make_list(step_s=0.06)

    page = tasks.page("label.env:prod", limit=2, now=NOW)

    assert len(page.rows) == 2
    assert page.searched_back_to is None
    assert (page.total, page.total_is_exact) == (4, False)


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", [sort for sort in SORTS if sort != "created"])
def test_another_sort_orders_each_stretch_that_was_searched(
    make_list: Callable[..., TaskList], sort: str, order: str
) -> None:
    tasks = make_list(step_s=0.04)

    pages = walk(tasks, "label.env:prod", sort=sort, order=order, limit=4)

    stretches: list[list[tuple[Any, ...]]] = [[]]
    for page in pages:
        stretches[-1] += page.rows
        if page.searched_back_to is not None:
            stretches.append([])
    assert len(stretches) > 5
    for rows in stretches:
        assert rows == in_order(rows, sort, order)
    for newer, older in pairwise(stretches):
        assert min(row[0] for row in newer) > max(row[0] for row in older)
    ids = [row[0] for row in rows_of(pages)]
    assert len(set(ids)) == len(ids) == sum(number % 2 for number in range(1, COUNT + 1))
    assert (pages[-1].total, pages[-1].total_is_exact) == (len(ids), True)


def test_a_page_far_behind_is_read_by_id(database: Database, tasks: TaskList) -> None:
    statements: list[str] = []
    cursor = walk(tasks, limit=100)[0].next_cursor
    database.reader().set_trace_callback(statements.append)
    try:
        tasks.page("", cursor=cursor, limit=100, now=NOW)
    finally:
        database.reader().set_trace_callback(None)

    (statement,) = [s for s in statements if "ORDER BY task.id DESC LIMIT 101" in s]
    plan = [row[3] for row in database.rows(f"EXPLAIN QUERY PLAN {statement}")]
    assert plan == ["SEARCH task USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"]


@pytest.mark.parametrize("query", ["status:failed", "status:queued", "worker:zip", "created:<9h"])
def test_an_indexed_list_is_never_sorted(database: Database, tasks: TaskList, query: str) -> None:
    statements: list[str] = []
    database.reader().set_trace_callback(statements.append)
    try:
        tasks.page(query, now=NOW)
    finally:
        database.reader().set_trace_callback(None)

    (statement,) = [s for s in statements if "ORDER BY task.id DESC LIMIT" in s]
    plan = [row[3] for row in database.rows(f"EXPLAIN QUERY PLAN {statement}")]
    assert plan[0].startswith("SEARCH task USING")
    assert not any("TEMP B-TREE" in line for line in plan)


@pytest.mark.usefixtures("small_slices")
def test_a_total_above_the_cap_is_not_counted_on(make_list: Callable[..., TaskList]) -> None:
    tasks = make_list(step_s=0.001)
    tasks.cap = 5
    clock = tasks._clock

    tasks.page("label.env:prod", limit=2, now=NOW)

    assert isinstance(clock, StepClock)
    assert clock.seconds == pytest.approx(0.003)  # the beginning and two slices


def test_a_row_deleted_between_two_reads_is_left_out(
    tasks: TaskList, monkeypatch: pytest.MonkeyPatch
) -> None:
    join = "worker.id = task.worker_id"
    monkeypatch.setattr(tasks, "_select", tasks._select.replace(join, f"{join} AND task.id <> 711"))

    page = tasks.page("", limit=3, now=NOW)

    assert [row[0] for row in page.rows] == [708, 705]
    assert page.next_cursor is not None


def test_a_clock_set_back_hides_no_task(tmp_path: Any) -> None:
    database = Database(tmp_path / "t.db")
    rows = [list(task_row(number)) for number in range(1, 31)]
    for number, row in enumerate(rows):
        row[7] = NOW - (30 - number) * 60 * SECOND - (1800 * SECOND if number % 4 == 0 else 0)
    try:
        database.write().call(lambda tx: insert(tx, [tuple(row) for row in rows]))
        tasks = TaskList(database, Queries("tasks").select_task)

        page = tasks.page("created:<20m", now=NOW)
    finally:
        database.close()

    fitting = [row[0] for row in rows if row[7] > NOW - 1200 * SECOND]
    assert [row[0] for row in page.rows] == fitting[::-1]


# -- misuse --------------------------------------------------------------------------------------


def forged(cursor: str, old: bytes, new: bytes) -> str:
    raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    assert old in raw
    return urlsafe_b64encode(raw.replace(old, new)).decode().rstrip("=")


@pytest.mark.parametrize(
    "asked",
    [
        {"query": "status:failed"},
        {"query": "", "sort": "priority"},
        {"query": "", "order": "asc"},
    ],
)
def test_a_cursor_of_another_list_is_refused(tasks: TaskList, asked: dict[str, str]) -> None:
    cursor = tasks.page("", limit=5, now=NOW).next_cursor

    with pytest.raises(BadRequest, match="cursor is wrong: it belongs to another query") as caught:
        tasks.page(now=NOW, cursor=cursor, **asked)  # type: ignore[arg-type]  # words only

    assert [error.pointer for error in caught.value.errors] == ["/cursor"]


def test_a_cursor_fits_the_same_query_written_otherwise(tasks: TaskList) -> None:
    cursor = tasks.page("state:FAILED", limit=5, now=NOW).next_cursor

    assert tasks.page(" status:failed ", cursor=cursor, now=NOW).rows


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "äöü", "!!!!", "AAAA", "W10", "bnVsbA", "WyJhIiwiYiJd", "\0", "WyIiLDBd", "x" * 5000],
)
def test_what_is_no_cursor_is_refused(tasks: TaskList, cursor: str) -> None:
    with pytest.raises(BadRequest, match="cursor is wrong: it is not one that a list gave"):
        tasks.page("", cursor=cursor, now=NOW)


@pytest.mark.parametrize("number", [b"-1", b"1e3", b"99999999999999999999", b"null", b'"x"', b"[]"])
def test_a_forged_id_is_refused(tasks: TaskList, number: bytes) -> None:
    cursor = tasks.page("", limit=5, now=NOW).next_cursor
    assert cursor is not None

    with pytest.raises(BadRequest, match="cursor is wrong"):
        tasks.page("", cursor=forged(cursor, b"699", number), now=NOW)


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_a_limit_out_of_bounds_is_refused(tasks: TaskList, limit: int) -> None:
    with pytest.raises(BadRequest, match=f"from 1 to 500, not {limit}") as caught:
        tasks.page("", limit=limit, now=NOW)

    assert [error.pointer for error in caught.value.errors] == ["/limit"]


def test_an_unknown_sort_is_refused_with_the_choices(tasks: TaskList) -> None:
    with pytest.raises(BadRequest) as caught:
        tasks.page("", sort="crated", now=NOW)

    assert str(caught.value) == (
        'sort is wrong: "crated" is none of created, queued, started, ended, duration, wait,'
        " priority, status, worker; did you mean created. Change it and try again."
    )


def test_an_unknown_order_and_zone_are_refused(tasks: TaskList) -> None:
    with pytest.raises(BadRequest, match='order is wrong: "down" is none of asc, desc'):
        tasks.page("", order="down", now=NOW)
    with pytest.raises(BadRequest, match="tz is wrong"):
        tasks.page("created:today", tz="Mars/Olympus", now=NOW)


# -- ids for bulk actions ------------------------------------------------------------------------


def test_ids_come_oldest_first_and_in_slices(
    database: Database, tasks: TaskList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "BULK", 10)
    statements: list[str] = []
    database.reader().set_trace_callback(statements.append)
    try:
        ids = list(tasks.ids("label.env:prod"))
    finally:
        database.reader().set_trace_callback(None)

    assert ids == [(n * 3, f"{n:032x}", STATES[n % 5]) for n in range(1, COUNT + 1) if n % 2]
    assert sum("LIMIT 10" in statement for statement in statements) == len(ids) // 10 + 1


@pytest.mark.parametrize("limit", [0, 1, 25, 10_000])
def test_ids_stop_at_the_limit(
    tasks: TaskList, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(lists, "BULK", 10)

    ids = list(tasks.ids("", limit))

    assert len(ids) == min(limit, COUNT)


def test_ids_refuse_a_wrong_query_before_the_first_slice(tasks: TaskList) -> None:
    with pytest.raises(QueryInvalid):
        tasks.ids("stat:x")


def test_ids_leave_later_tasks_alone(tmp_path: Any) -> None:
    database = Database(tmp_path / "t.db")
    tasks = TaskList(database, Queries("tasks").select_task)

    def submit(first: int) -> int:
        def write(tx: Transaction) -> None:
            insert(tx, [task_row(number) for number in range(first, first + 5)])
            for number in range(first, first + 5):
                tx.event("task.created", task_id=number * 3)
            tx.event("execution.ended", task_id=3)

        database.write().call(write)
        row = database.row("SELECT max(id) FROM event")
        return int(row[0]) if row else 0

    try:
        seen = submit(1)
        newest = submit(6)
        then, all_of_them = (
            [row[0] for row in tasks.ids("", as_of_event=event)] for event in (seen, newest)
        )
        running = tasks.ids("")
        submit(11)
        begun = [row[0] for row in running]
    finally:
        database.close()

    assert then == [3, 6, 9, 12, 15]
    assert all_of_them == begun == [number * 3 for number in range(1, 11)]
