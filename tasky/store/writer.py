"""The one writer: the only write connection, one thread at a time on it, commits in groups.

Callers hand in closures and wait until the transaction that ran theirs is durable. Whatever waits
is taken together, up to `GROUP` requests, so that many callers share one fsync. A caller who finds
nobody writing writes in his own thread, which saves two thread switches; all others leave it to the
writer's thread. Reports that nobody waits for always do, so that those of several slots come
together. A group runs without savepoints; if one request fails after it wrote something, everything
is rolled back and the group runs again with a savepoint each, so closures must change nothing but
the database until `Transaction.after`.
"""

import logging
import queue
import sqlite3
import threading
from _thread import allocate_lock
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from tasky.clock import Clock
from tasky.errors import (
    Busy,
    DatabaseDamaged,
    DatabaseProblem,
    DatabaseUnwritable,
    DiskFull,
    OutcomeUnknown,
    TaskyError,
)
from tasky.store.queries import Queries

R = TypeVar("R")
Rco = TypeVar("Rco", covariant=True)

GROUP = 256
WAITING = 1024
PATIENCE_S = 5.0

log = logging.getLogger("tasky.store")


class Batch(Protocol[Rco]):
    """A kind of write that is cheaper for many items at once than for each."""

    def __call__(self, tx: "Transaction", items: list[Any], /) -> "Sequence[Rco | Exception]":
        """Write all items; return one answer per item, in order; an exception is a refusal."""


class Fact(NamedTuple):
    """One event row on its way to the table and to those who listen; ids are the tables' own."""

    id: int
    at: int
    name: str
    actor: str
    task_id: int | None
    execution_id: int | None
    object: str | None
    state: str | None
    payload: str | None = None


class Transaction:
    """One group on its way to the disk: the connection, the time, the events it causes.

    `ready` are the workers whose queue grew, `due` the times (µs) at which it will, `freed` the
    executions that ended: what a claim at the end of the same transaction needs to know.
    """

    __slots__ = (
        "callbacks", "connection", "due", "execute", "executemany", "facts", "freed", "ids", "now",
        "ready",
    )  # fmt: skip

    def __init__(self, connection: sqlite3.Connection, now: int, ids: dict[str, int]) -> None:
        self.connection = connection
        self.execute = connection.execute
        self.executemany = connection.executemany
        self.now = now
        self.ids = dict(ids)
        self.facts: list[Fact] = []
        self.ready: set[int] = set()
        self.due: list[int] = []
        self.freed: list[int] = []
        self.callbacks: list[Callable[[], None]] = []

    def take_ids(self, table: str, count: int = 1) -> int:
        """Return the first of `count` fresh ids of a table; ids only rise."""
        first = self.ids[table]
        self.ids[table] = first + count
        return first

    def event(
        self,
        name: str,
        *,
        actor: str = "",
        task_id: int | None = None,
        execution_id: int | None = None,
        object: str | None = None,  # noqa: A002  # the word of the event table
        state: str | None = None,
        payload: str | None = None,
    ) -> None:
        """Add a line of history; it is written with this transaction. `payload` is JSON."""
        ordinal = self.take_ids("event")
        self.facts.append(
            Fact(ordinal, self.now, name, actor, task_id, execution_id, object, state, payload)
        )

    def after(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the group is durable."""
        self.callbacks.append(callback)

    def mark(self) -> "Mark":
        """Return where this transaction stands, for `rewind`."""
        return Mark(
            self.connection.total_changes,
            len(self.facts),
            len(self.callbacks),
            len(self.due),
            len(self.freed),
            set(self.ready),
        )

    def rewind(self, mark: "Mark") -> None:
        """Forget all that was noted since `mark`; ids that were taken stay unused."""
        del self.facts[mark.facts :]
        del self.callbacks[mark.callbacks :]
        del self.due[mark.due :]
        del self.freed[mark.freed :]
        self.ready = mark.ready


class Mark(NamedTuple):
    """Where a transaction stood before a request."""

    changes: int
    facts: int
    callbacks: int
    due: int
    freed: int
    ready: set[int]


class Request(Generic[R]):
    """One closure or batch item, and the caller who waits for it."""

    __slots__ = ("_done", "_owner", "batch", "error", "item", "on_error", "value")

    def __init__(
        self,
        batch: Batch[R] | None,
        item: Any,
        on_error: Callable[[BaseException], None] | None = None,
    ) -> None:
        self.batch = batch
        self.item = item
        self.on_error = on_error
        self.value: R | None = None
        self.error: BaseException | None = None
        self._done = allocate_lock()
        self._done.acquire()
        self._owner = allocate_lock()

    def take(self) -> bool:
        """Claim the request, for the group or for its withdrawal; the first claim wins."""
        return self._owner.acquire(blocking=False)

    def finish(self, error: BaseException | None = None) -> None:
        """Let the caller go on."""
        if error is not None:
            self.error = error
        self._done.release()
        if self.on_error is not None and self.error is not None:
            self.on_error(self.error)

    def wait(self, patience_s: float) -> R:
        """Return the value once it is durable; raise what the closure raised.

        Raises `Busy` when nothing was written within `patience_s`, `OutcomeUnknown` when the group
        was under way by then.
        """
        if not self._done.acquire(timeout=patience_s):
            if self.take():
                raise Busy(n=WAITING, db="the database", why="", hint="")
            if not self._done.acquire(timeout=patience_s):
                raise OutcomeUnknown(seconds=round(2 * patience_s))
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # set by whoever ran the request


class Writer:
    """Runs the groups.

    `before_commit` may add to each transaction, `on_facts` hears what it did.
    """

    def __init__(self, connection: sqlite3.Connection, clock: Clock, path: str = "") -> None:
        self.path = path
        self.before_commit: Callable[[Transaction], None] | None = None
        self.on_facts: Callable[[list[Fact]], None] | None = None
        self.on_fatal: Callable[[TaskyError], None] | None = None
        self.broken: TaskyError | None = None
        self._connection = connection
        self._clock = clock
        self._insert_event = Queries("events").insert_event
        self._ids = _next_ids(connection)
        self._queue: queue.SimpleQueue[Request[Any] | None] = queue.SimpleQueue()
        self._fetched: deque[Request[Any]] = deque()
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="tasky-writer", daemon=True)
        self._closed = False

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Write what waits, then end the thread and the connection. Twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join()
        with self._turn:
            self._connection.close()

    @property
    def waiting(self) -> int:
        """Requests that wait for a group."""
        return self._queue.qsize()

    def call(self, closure: Callable[[Transaction], R], patience_s: float = PATIENCE_S) -> R:
        """Run `closure` in a transaction and return its value once that is durable.

        Raises what the closure raised, `Busy` when 1,024 requests wait already, `DiskFull`,
        `OutcomeUnknown`, or the error that broke the database.
        """
        return self._send_and_wait(Request(None, closure), patience_s)

    def call_batch(self, batch: Batch[R], item: Any, patience_s: float = PATIENCE_S) -> R:
        """As `call`, for one item of a batch: items of one group are written together."""
        return self._send_and_wait(Request(batch, item), patience_s)

    def post(
        self,
        closure: Callable[[Transaction], Any],
        on_error: Callable[[BaseException], None] | None = None,
    ) -> Request[Any]:
        """Run `closure` in a transaction, without waiting; `on_error` hears what went wrong.

        Reports of running code are never refused.
        """
        return self._send(Request(None, closure, on_error))

    def post_batch(
        self, batch: Batch[R], item: Any, on_error: Callable[[BaseException], None] | None = None
    ) -> Request[R]:
        """As `post`, for one item of a batch; `on_error` hears what went wrong."""
        return self._send(Request(batch, item, on_error))

    def _send_and_wait(self, request: Request[R], patience_s: float) -> R:
        self._refuse_if_closed()
        if self._queue.qsize() >= WAITING:
            raise Busy(n=WAITING)
        if _may_be_interrupted() or not self._turn.acquire(blocking=False):
            self._queue.put(request)
            return request.wait(patience_s)
        try:
            self._serve(request)
        finally:
            self._turn.release()
        return request.wait(patience_s)

    def _send(self, request: Request[R]) -> Request[R]:
        self._refuse_if_closed()
        self._queue.put(request)
        return request

    def _refuse_if_closed(self) -> None:
        if self.broken is not None:
            raise self.broken
        if self._closed:
            raise DatabaseProblem(db=self.path, why="it is closed", hint="Open it again.")

    # -- a turn of writing -------------------------------------------------------------------------

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            # In reach of whoever has the turn: what was posted before a call is written with it.
            self._fetched.append(first)
            with self._turn:
                if self._fetched:
                    self._serve(self._fetched.popleft())

    def _serve(self, first: Request[Any]) -> None:
        """Commit a group that begins with `first`."""
        if self.broken is not None:
            first.finish(self.broken)
            return
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as problem:
            if first.take():
                first.finish(self._explain(problem))
            return
        group = self._take(first)
        try:
            self._commit(group)
        except Exception as problem:  # noqa: BLE001  # whatever it is, the callers hear it
            error = self._explain(problem)
            for request in group:
                request.finish(error)

    def _take(self, first: Request[Any]) -> list[Request[Any]]:
        """Collect what waits; reading the queue after BEGIN gives latecomers a place."""
        group = [first] if first.take() else []
        while self._fetched:
            request = self._fetched.popleft()
            if request.take():
                group.append(request)
        while len(group) < GROUP and not self._queue.empty():
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                break
            if waiting is None:
                self._queue.put(None)
                break
            if waiting.take():
                group.append(waiting)
        return group

    def _commit(self, group: list[Request[Any]]) -> None:
        """Write a group; if one of it fails after it wrote something, write the others alone."""
        try:
            tx = self._attempt(group, _run_together)
        except Exception as problem:
            self._rollback()
            if _is_final(problem):
                raise
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                tx = self._attempt(group, _run_apart)
            except Exception:
                self._rollback()
                raise
        self._publish(tx)
        for request in group:
            request.finish()

    def _attempt(
        self,
        group: list[Request[Any]],
        run: Callable[[Transaction, list[Request[Any]]], None],
    ) -> Transaction:
        tx = Transaction(self._connection, self._clock.now(), self._ids)
        run(tx, group)
        if self.before_commit is not None:
            self.before_commit(tx)
        if tx.facts:
            tx.executemany(self._insert_event, tx.facts)
        tx.execute("COMMIT")
        return tx

    def _publish(self, tx: Transaction) -> None:
        """Tell everybody; the facts are durable, so nothing that fails here may stop the writer."""
        self._ids = tx.ids
        for callback in tx.callbacks:
            try:
                callback()
            except Exception:
                log.exception("a callback after a commit failed")
        if self.on_facts is not None and tx.facts:
            try:
                self.on_facts(tx.facts)
            except Exception:
                log.exception("who listens to the commits failed")

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _explain(self, problem: BaseException) -> TaskyError:
        """Turn a failure of SQLite into an error of ours; the fatal ones end this writer."""
        if isinstance(problem, TaskyError):
            return problem
        error = explain(problem, self.path)
        if _is_fatal(problem):
            self.broken = error
            log.critical("the database cannot be written any more: %s", error)
            if self.on_fatal is not None:
                self.on_fatal(error)
        elif isinstance(error, DiskFull):
            log.error("%s", error)
        else:
            log.error("a group of writes failed", exc_info=problem)
        return error


def _may_be_interrupted() -> bool:
    """Tell whether a signal handler could raise here, between a commit and what must follow it.

    Python runs handlers in the main thread only, so that one never writes itself.
    """
    return threading.get_ident() == _MAIN


_MAIN = threading.main_thread().ident


def _run_together(tx: Transaction, group: list[Request[Any]]) -> None:
    """Run every request without a savepoint; raise if one failed after it wrote."""
    for batch, requests in _by_batch(group):
        if batch is None:
            for request in requests:
                _run_one(tx, request, undo=None)
            continue
        answers = batch(tx, [request.item for request in requests])
        for request, answer in zip(requests, answers, strict=True):
            _answer(request, answer)


def _run_apart(tx: Transaction, group: list[Request[Any]]) -> None:
    """Run every request in a savepoint of its own; a failing one fails alone."""
    for request in group:
        tx.execute("SAVEPOINT request")
        _run_one(tx, request, undo=lambda: tx.execute("ROLLBACK TO request"))
        tx.execute("RELEASE request")


def _run_one(tx: Transaction, request: Request[Any], undo: Callable[[], Any] | None) -> None:
    mark = tx.mark()
    try:
        if request.batch is None:
            _answer(request, request.item(tx))
        else:
            _answer(request, request.batch(tx, [request.item])[0])
    except Exception as problem:
        if _is_final(problem):
            raise
        if undo is not None:
            undo()
        elif tx.connection.total_changes != mark.changes:
            raise
        tx.rewind(mark)
        request.error = problem


def _answer(request: Request[Any], answer: Any) -> None:
    """Keep a value, or an error that was found before anything was written."""
    request.value, request.error = (
        (None, answer) if isinstance(answer, Exception) else (answer, None)
    )


def _by_batch(
    group: list[Request[Any]],
) -> list[tuple[Batch[Any] | None, list[Request[Any]]]]:
    """Bring the items of each batch together; closures keep their order."""
    if len(group) == 1:
        return [(group[0].batch, group)]
    lots: dict[Batch[Any] | None, list[Request[Any]]] = {}
    for request in group:
        lots.setdefault(request.batch, []).append(request)
    return list(lots.items())


def _next_ids(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the first free id per table; a mark in meta outlives deletion of the newest row."""
    sql = Queries("meta")
    marks = dict(connection.execute(sql.id_marks).fetchall())
    newest = dict(connection.execute(sql.newest_ids).fetchall())
    return {table: 1 + max(newest[table], int(marks.get(f"id.{table}", 0))) for table in newest}


def _is_full(problem: BaseException) -> bool:
    return getattr(problem, "sqlite_errorname", "") == "SQLITE_FULL"


def _is_fatal(problem: BaseException) -> bool:
    """Tell whether the handle must not be used again: a second fsync after a failed one may lie."""
    name = getattr(problem, "sqlite_errorname", "") or ""
    return name.startswith(("SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB"))


def _is_final(problem: BaseException) -> bool:
    return _is_fatal(problem) or _is_full(problem)


def _is_garbage(problem: BaseException) -> bool:
    """Tell whether a file has what SQLite never writes, and has no error of its own for."""
    return isinstance(problem, UnicodeDecodeError) or str(problem) == "unsupported file format"


def explain(problem: BaseException, path: str) -> TaskyError:
    """Say a failure of SQLite in words.

    Source of the names: https://sqlite.org/rescode.html
    """
    name = getattr(problem, "sqlite_errorname", "") or ""
    if name == "SQLITE_FULL":
        return DiskFull(db=path)
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or _is_garbage(problem):
        return DatabaseDamaged(db=path, finding=str(problem))
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return DatabaseUnwritable(db=path, why=str(problem))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return DatabaseProblem(
            db=path,
            why="another program holds it locked",
            hint="Close that program, then try again.",
        )
    return DatabaseProblem(
        db=path, why=str(problem) or type(problem).__name__, hint="Look at the log."
    )
