"""Lists of tasks: pages by keyset, capped totals, a search that keeps to its time.

A query that one index answers is one statement. Any other is searched in slices of ids, newest
first, until the page is full or the time is up; the cursor goes on from there.
"""

import difflib
import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct

from tasky.clock import MICROSECONDS, Clock
from tasky.errors import BadRequest, FieldError
from tasky.query import Query, parse
from tasky.store.database import Database
from tasky.store.filters import Part, Where, where

SORTS = {
    # Ids rise with time.
    "created": "task.id",
    "queued": "task.queued_at",
    "started": "task.started_at",
    "ended": "task.ended_at",
    "duration": "task.ended_at - task.started_at",
    "wait": "task.started_at - task.queued_at",
    "priority": "task.priority",
    "status": "task.state",
    "worker": "worker.name",
}
"""Sort fields → SQL."""

MAX_LIMIT = 500
BULK = 500
"""Tasks that one statement reads for a bulk action."""

FIRST_SLICE = 128
LAST_SLICE = 8_192
"""Ids in the first and in the largest slice of a search."""

SLACK_US = 3_600 * MICROSECONDS
"""How far the clock may have been set back: creation times find ids give or take that much."""

_WORKER = "JOIN worker ON worker.id = task.worker_id"
_EXECUTION = "LEFT JOIN execution ON execution.id = task.execution_id"

_Count = Annotated[int, Meta(ge=0, le=2**62)]
_Int = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""What a foreign cursor may bring, so that SQLite can take it."""


class RawPage(NamedTuple):
    """One page: rows of the list's SELECT, and where the next page begins.

    `searched_back_to` is the creation time of the last task looked at, when the time was up before
    the page was full.
    """

    rows: list[tuple[Any, ...]]
    next_cursor: str | None
    total: int
    total_is_exact: bool
    searched_back_to: int | None = None


class Window(Struct, frozen=True, array_like=True):
    """Ids that were searched, and the matches among them."""

    low: _Count
    high: _Count
    count: _Count


class Cursor(Struct, frozen=True, array_like=True):
    """Where a page ended: the last row's sort value and id.

    `seen` matches came before this page or, with a window, before the window.
    """

    mark: str
    id: _Count
    value: _Int | float | str | None = None
    seen: _Count = 0
    window: Window | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A checked request for a page."""

    where: Where
    sort: str
    descending: bool
    limit: int
    mark: str
    after: Cursor | None

    @property
    def by_id(self) -> bool:
        return self.sort == SORTS["created"]


class _Found(NamedTuple):
    """What a search came to: the first matches, all matches, the last id it looked at."""

    ids: list[int]
    matches: int
    reached: int
    complete: bool


class TaskList:
    """Reads lists. `select` is the SELECT of a row: its first column is `task.id`, no WHERE."""

    cap = 10_000
    """Totals are counted up to here."""
    budget_s = 0.2
    """How long a search may look for a page."""
    count_s = 0.05
    """How long a search with a full page goes on counting."""

    def __init__(self, database: Database, select: str, clock: Clock | None = None) -> None:
        self._database = database
        self._select = select
        self._clock = clock or database.clock

    def page(
        self,
        query: str,
        *,
        sort: str = "created",
        order: str = "desc",
        limit: int = 50,
        cursor: str | None = None,
        now: int,
        tz: str | None = None,
    ) -> RawPage:
        """Return a page of `limit` (1..500) tasks; those without a sort value come last.

        Raises `QueryInvalid`, and `BadRequest` for a sort, an order, a limit, a cursor or a time
        zone that is none.
        """
        _check("limit", 1 <= limit <= MAX_LIMIT, f"it must be from 1 to {MAX_LIMIT}, not {limit}")
        _check_word("sort", sort, SORTS)
        _check_word("order", order, ("asc", "desc"))
        tree = parse(query)
        mark = _mark(tree, sort, order)
        after = None if cursor is None else _decode(cursor, mark)
        condition = where(tree, now, tz)
        asked = _Asked(condition, SORTS[sort], order == "desc", limit, mark, after)
        if condition.indexed:
            return self._page_at_once(asked)
        return self._page_by_id(asked) if asked.by_id else self._page_of_window(asked)

    def ids(
        self,
        query: str,
        limit: int | None = None,
        as_of_event: int | None = None,
        *,
        now: int | None = None,
        tz: str | None = None,
    ) -> Iterator[tuple[int, str, str]]:
        """Yield id, uid and state of all that match, oldest first, read in slices of 500.

        Tasks that came after the event `as_of_event`, or after this call, are left out. Raises
        `QueryInvalid` and `BadRequest` at once, not at the first slice.
        """
        condition = where(parse(query), self._clock.now() if now is None else now, tz)
        low, high = self._bounds(condition)
        if as_of_event is not None:
            high = min(high, self._last_before(as_of_event, high))
        return self._slices(condition, low, high, limit)

    # -- one statement ---------------------------------------------------------------------------

    def _page_at_once(self, asked: _Asked) -> RawPage:
        low, high = self._bounds(asked.where)
        total = self._count(asked.where, low, high)
        found = self._select_ids(asked, low, high, asked.after)
        cursor = self._more(asked, found, Cursor(asked.mark, 0))
        return RawPage(self._rows(asked, found), cursor, min(total, self.cap), total <= self.cap)

    def _count(self, condition: Where, low: int, high: int) -> int:
        """Count the matches up to one more than the cap."""
        inner = _statement("1", _tables(condition.sql), condition.sql, "LIMIT ?")
        row = self._database.row(
            f"SELECT count(*) FROM ({inner})",  # noqa: S608  # pieces of this module
            (low, high, *condition.parameters, self.cap + 1),
        )
        return int(row[0]) if row else 0

    def _select_ids(
        self, asked: _Asked, low: int, high: int, after: Cursor | None
    ) -> list[tuple[Any, ...]]:
        """Return id and sort value of the rows of a page, and of one more if there is one."""
        sql, parameters = asked.where.sql, asked.where.parameters
        if after is not None and asked.by_id:
            low, high = _beyond(asked, after.id, low, high)
        elif after is not None:
            keyset = _keyset(asked, after)
            sql, parameters = f"({sql}) AND ({keyset[0]})", parameters + keyset[1]
        way = "DESC" if asked.descending else "ASC"
        by = f"task.id {way}" if asked.by_id else f"{asked.sort} {way} NULLS LAST, task.id {way}"
        statement = _statement(
            f"task.id, {asked.sort}",
            _tables(sql, asked.sort),
            sql,
            f"ORDER BY {by} LIMIT ?",
        )
        return self._database.rows(statement, (low, high, *parameters, asked.limit + 1))

    def _more(self, asked: _Asked, found: list[tuple[Any, ...]], template: Cursor) -> str | None:
        """Return the cursor behind the last row of the page, None when it is the last page."""
        if len(found) <= asked.limit:
            return None
        last_id, value = found[asked.limit - 1]
        return _encode(
            msgspec.structs.replace(template, id=last_id, value=None if asked.by_id else value)
        )

    def _rows(self, asked: _Asked, found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return the rows of a page in its order; one deleted meanwhile is left out."""
        ids = [row[0] for row in found[: asked.limit]]
        statement = f"{self._select} WHERE task.id IN (SELECT value FROM json_each(?))"  # noqa: S608  # fixed text
        wanted = msgspec.json.encode(ids).decode()
        rows = {row[0]: row for row in self._database.rows(statement, (wanted,))}
        return [rows[number] for number in ids if number in rows]

    # -- searching -------------------------------------------------------------------------------

    def _page_by_id(self, asked: _Asked) -> RawPage:
        """Search in the order of the list, so the page is full when enough was found."""
        low, high = self._bounds(asked.where)
        seen = 0
        if asked.after is not None:
            low, high = _beyond(asked, asked.after.id, low, high)
            seen = asked.after.seen
        found = self._search(asked, low, high, asked.limit + 1)
        rows = [(number, None) for number in found.ids]
        template = Cursor(asked.mark, found.reached, seen=seen + min(len(rows), asked.limit))
        cursor = self._more(asked, rows, template)
        searched_back_to = None
        if cursor is None and not found.complete:
            cursor = _encode(template)
            searched_back_to = self._created_at(found.reached, descending=asked.descending)
        total = seen + found.matches
        return RawPage(
            self._rows(asked, rows),
            cursor,
            min(total, self.cap),
            found.complete and total <= self.cap,
            searched_back_to,
        )

    def _page_of_window(self, asked: _Asked) -> RawPage:
        """Sort what a search newest first finds in its time; the next window comes after it."""
        low, high = self._bounds(asked.where)
        after = asked.after or Cursor(asked.mark, high + 1)
        window = after.window
        if window is None:
            start = min(high, after.id - 1)
            found = self._search(replace(asked, descending=True), low, start, None)
            window = Window(found.reached, start, found.matches)
        complete = window.low <= low
        within = after if after.window else None
        rows = self._select_ids(asked, window.low, window.high, within)
        cursor = self._more(asked, rows, Cursor(asked.mark, 0, None, after.seen, window))
        total, searched_back_to = after.seen + window.count, None
        if cursor is None and not complete:
            cursor = _encode(Cursor(asked.mark, window.low, seen=total))
            searched_back_to = self._created_at(window.low, descending=True)
        return RawPage(
            self._rows(asked, rows),
            cursor,
            min(total, self.cap),
            complete and total <= self.cap,
            searched_back_to,
        )

    def _search(self, asked: _Asked, low: int, high: int, want: int | None) -> _Found:
        """Look through the ids from the end where the list begins.

        Ends when the time is up; or with `want` matches, after counting on for a moment.
        """
        way = "DESC" if asked.descending else "ASC"
        sql, parameters = asked.where.sql, asked.where.parameters
        statement = _statement("task.id", _tables(sql), sql, f"ORDER BY task.id {way}")
        ids: list[int] = []
        count, size, enough = 0, FIRST_SLICE, False
        begun = before = self._clock.monotonic()
        while low <= high and not enough:
            start, end = _slice(asked.descending, low, high, size)
            low, high = (low, start - 1) if asked.descending else (end + 1, high)
            rows = self._database.rows(statement, (start, end, *parameters))
            count += len(rows)
            ids += [row[0] for row in rows[: (want or 0) - len(ids)]]
            after = self._clock.monotonic()
            size = self._next_size(size, after - before)
            enough = self._is_enough(after - begun, count, full=len(ids) == want)
            before = after
        return _Found(ids, count, high + 1 if asked.descending else low - 1, low > high)

    def _is_enough(self, spent_s: float, count: int, *, full: bool) -> bool:
        if full:
            return spent_s >= self.count_s or count > self.cap
        return spent_s >= self.budget_s

    def _next_size(self, size: int, took_s: float) -> int:
        """Grow while slices are quick, so that a dense one does not overrun the time."""
        return min(2 * size, LAST_SLICE) if took_s < self.budget_s / 10 else size

    # -- places ----------------------------------------------------------------------------------

    def _bounds(self, condition: Where) -> tuple[int, int]:
        """Return the first and the last id that can match."""
        row = self._database.row("SELECT (SELECT min(id) FROM task), (SELECT max(id) FROM task)")
        if row is None or row[0] is None:
            return 1, 0
        low, high = row
        start, end = condition.created
        first = low if start is None else self._first_at(start - SLACK_US, low, high)
        last = high if end is None else self._first_at(end + SLACK_US, low, high) - 1
        return first, last

    def _first_at(self, at: int, low: int, high: int) -> int:
        """Return the first id that was created at `at` or later, by halving."""
        while low <= high:
            middle = (low + high) // 2
            created_at = self._created_at(middle, descending=True)
            if created_at is None or created_at >= at:
                high = middle - 1
            else:
                low = middle + 1
        return low

    def _created_at(self, number: int, *, descending: bool) -> int | None:
        """Return when the task was created that has this id, or the id passed before it."""
        row = self._database.row(_NEXT_ABOVE if descending else _NEXT_BELOW, (number,))
        return row[0] if row else None

    def _last_before(self, event: int, high: int) -> int:
        """Return the last id that there was at an event; ids of tasks only rise."""
        row = self._database.row(_FIRST_AFTER_EVENT, (event,))
        return row[0] - 1 if row else high

    def _slices(
        self, condition: Where, low: int, high: int, limit: int | None
    ) -> Iterator[tuple[int, str, str]]:
        sql, parameters = condition.sql, condition.parameters
        columns, end = "task.id, task.uid, task.state", "ORDER BY task.id LIMIT ?"
        statement = _statement(columns, _tables(sql), sql, end)
        left = high - low + 1 if limit is None else limit
        while left > 0:
            size = min(left, BULK)
            rows = self._database.rows(statement, (low, high, *parameters, size))
            yield from rows
            if len(rows) < size:
                return
            left -= size
            low = rows[-1][0] + 1


_NEXT_ABOVE = "SELECT created_at FROM task WHERE id >= ? ORDER BY id LIMIT 1"
_NEXT_BELOW = "SELECT created_at FROM task WHERE id <= ? ORDER BY id DESC LIMIT 1"
_FIRST_AFTER_EVENT = (
    "SELECT task_id FROM event WHERE id > ? AND name = 'task.created' ORDER BY id LIMIT 1"
)


def _statement(columns: str, tables: str, condition: str, end: str) -> str:
    """Compose a SELECT of pieces that are constants or come from `filters.where`."""
    return f"SELECT {columns} FROM {tables} WHERE task.id BETWEEN ? AND ? AND ({condition}) {end}"  # noqa: S608  # as it says


def _tables(condition: str, sort: str = "") -> str:
    """Return the tables that a condition and a sort speak of; neither has outside text in it."""
    worker = _WORKER if sort == SORTS["worker"] else ""
    execution = _EXECUTION if "execution." in condition else ""
    return f"task {worker} {execution}"


def _slice(descending: bool, low: int, high: int, size: int) -> tuple[int, int]:
    if descending:
        return max(low, high - size + 1), high
    return low, min(high, low + size - 1)


def _beyond(asked: _Asked, number: int, low: int, high: int) -> tuple[int, int]:
    """Return the ids that follow `number` in the list."""
    return (low, min(high, number - 1)) if asked.descending else (max(low, number + 1), high)


def _keyset(asked: _Asked, after: Cursor) -> Part:
    """Return the condition of what follows a row; rows without a value are the last."""
    sign = "<" if asked.descending else ">"
    if after.value is None:
        return f"{asked.sort} IS NULL AND task.id {sign} ?", (after.id,)
    return (
        f"{asked.sort} {sign} ? OR ({asked.sort} = ? AND task.id {sign} ?) OR {asked.sort} IS NULL",
        (after.value, after.value, after.id),
    )


# -- checks and cursors --------------------------------------------------------------------------


def _check(what: str, fine: bool, why: str) -> None:
    if not fine:
        raise BadRequest(what=what, why=why, errors=[FieldError(f"/{what}", why)])


def _check_word(what: str, word: str, words: Collection[str]) -> None:
    near = difflib.get_close_matches(word.lower(), words, n=1)
    hint = f"; did you mean {near[0]}" if near else ""
    _check(what, word in words, f'"{word}" is none of {", ".join(words)}{hint}')


def _mark(query: Query, sort: str, order: str) -> str:
    """Return what ties a cursor to its list."""
    text = f"{sort} {order} {query}"
    return hashlib.blake2s(text.encode(), digest_size=6).hexdigest()


def _encode(cursor: Cursor) -> str:
    return urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def _decode(text: str, mark: str) -> Cursor:
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        cursor = msgspec.json.decode(raw, type=Cursor)
    except (ValueError, msgspec.DecodeError):
        cursor = Cursor("", 0)
    _check("cursor", cursor.mark != "", "it is not one that a list gave")
    _check("cursor", cursor.mark == mark, "it belongs to another query, sort or order")
    return cursor
