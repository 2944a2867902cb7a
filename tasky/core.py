"""The composition root: puts store, executors and services together, starts and stops them.

The verbs below are the core's whole interface; `tasky.client.local` is the only one who calls it.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasky import files
from tasky.clock import Clock, SystemClock
from tasky.errors import DatabaseProblem, TaskyError, VersionConflict
from tasky.executors.capture import Capture
from tasky.executors.thread import ThreadExecutor
from tasky.runtime.alarms import Alarms
from tasky.runtime.control import Control
from tasky.runtime.dispatcher import Dispatcher
from tasky.runtime.execution import Running
from tasky.runtime.hooks import Hooks
from tasky.runtime.intake import Intake
from tasky.runtime.journal import Journal
from tasky.runtime.maintenance import Maintenance
from tasky.runtime.registry import Registered, Registry
from tasky.runtime.reports import Reports
from tasky.runtime.system import figures
from tasky.runtime.watch import Watch
from tasky.store import executions, workers
from tasky.store.executions import Recovered
from tasky.store.owner import Owner
from tasky.store.store import Store
from tasky.store.workers import WorkerRow
from tasky.store.writer import Fact, Transaction, Writer
from tasky.tokens import new_token
from tasky.worker import WorkerSpec

if TYPE_CHECKING:
    from tasky.runtime.ports import Executor

SAMPLES = "sample_workers"
GRACE_S = 10.0

log = logging.getLogger("tasky.core")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a core is started. `verb` is what its owner calls itself to others.

    Without `engine` nothing is run, tasks only wait in the file; an engine that is `only_new` runs
    what is submitted to it and leaves the tasks that were there before to the next one; without
    `writable` the file is only looked at, and may have another owner.
    """

    path: Path | str
    workers: Sequence[str] = ()
    samples: bool = True
    entry_points: bool = True
    threads: int = 4
    roots: Sequence[str] = ()
    engine: bool = True
    only_new: bool = False
    writable: bool = True
    verb: str = "python"
    clock: Clock = field(default_factory=SystemClock)


class Core:
    """One open database with its engine. Owns the file from `open` to `close`."""

    def __init__(self, options: Options) -> None:
        """Open the database and load the workers, but start nothing yet.

        Raises `DatabaseOwned` and the other errors of opening.
        """
        self.options = options
        self.clock = options.clock
        self._owner = _owner_of(options)
        if self._owner is not None:
            self._owner.take()
        try:
            self.store = Store.open(
                options.path,
                clock=options.clock,
                writable=options.writable,
                check=options.engine,
            )
        except BaseException:
            self._release()
            raise
        self.registry = Registry()
        self.recovered = Recovered()
        self.on_fatal: Callable[[TaskyError], None] | None = None
        self.watch = Watch()
        self.hooks = Hooks(self.store)
        self._closed = False
        self._capturing = False
        self._registering = threading.Lock()
        try:
            self._load_workers()
            self._assemble()
        except BaseException:
            self.store.close()
            self._release()
            raise

    @property
    def writer(self) -> Writer:
        return self.store.database.write()

    def _assemble(self) -> None:
        database = self.store.database
        self.alarms = Alarms()
        self.journal = Journal(database)
        self.maintenance = Maintenance(database)
        self.executors: dict[str, Executor] = {"thread": ThreadExecutor(self.options.threads)}
        self.dispatcher = self._dispatcher() if self.options.engine else None
        self.intake = Intake(database, self.registry, self.clock)
        self.control = Control(database, self.registry, self.dispatcher)
        self.reports = Reports(self.store, self.registry, self.dispatcher, self.clock)

    def _dispatcher(self) -> Dispatcher:
        return Dispatcher(
            self.writer,
            self.executors,
            self.registry,
            self.journal,
            self.alarms,
            slots=self.options.threads,
            boot=self.writer.call(executions.next_boot),
            roots=self.options.roots,
            clock=self.clock,
            floor=self._newest_task() if self.options.only_new else 0,
        )

    def _newest_task(self) -> int:
        return self.writer.call(lambda tx: tx.ids["task"] - 1)

    def start(self) -> None:
        """Settle what a crash left, then run what is queued."""
        if not self.options.writable:
            return
        self.writer.on_facts = self._heard
        self.writer.on_fatal = self._fatal
        self._recover()
        if self.dispatcher is None:
            return
        Capture.start()
        self._capturing = True
        for path in ("", "-wal", "-shm", ".lock", ".run"):
            with contextlib.suppress(FileNotFoundError):
                files.protect(f"{self.store.database.path}{path}")
        self.alarms.start()
        self.journal.start()
        self.maintenance.start()
        self.dispatcher.start()

    def _recover(self) -> None:
        done = Recovered()
        while self.writer.call(lambda tx: executions.recover(tx, done), patience_s=60.0):
            pass
        self.recovered = done

    def stop(self, grace_s: float = GRACE_S) -> list[Running]:
        """Take no more work, ask what runs to stop, wait up to `grace_s`; return what went on."""
        self.intake.closed = True
        return self.dispatcher.shut_down(grace_s) if self.dispatcher is not None else []

    def close(self, grace_s: float = GRACE_S) -> list[Running]:
        """Stop, then let the database go. Twice is fine. Returns what had to be cut."""
        if self._closed:
            return []
        self._closed = True
        try:
            cut = self.stop(grace_s)
            self._end_services()
        finally:
            self.store.close()
            self._release()
        return cut

    def _end_services(self) -> None:
        services = [self.journal, self.maintenance, self.alarms] if self.dispatcher else []
        for service in services:
            service.stop()
        for executor in self.executors.values():
            executor.stop()
        self.hooks.stop()
        if self._capturing:
            Capture.stop()

    def _release(self) -> None:
        if self._owner is not None:
            self._owner.release()

    def announce(self, address: str) -> str:
        """Tell others where this core answers; return the local token that opens it."""
        token = new_token()
        if self._owner is not None:
            self._owner.announce(address, token)
        return token

    # -- what happens after each commit ------------------------------------------------------------

    def _heard(self, facts: list[Fact]) -> None:
        self.watch.heard(facts)
        self.hooks.heard(facts)

    def _fatal(self, error: TaskyError) -> None:
        if self.on_fatal is not None:
            self.on_fatal(error)

    # -- workers ----------------------------------------------------------------------------------

    def _load_workers(self) -> None:
        sources = [SAMPLES] if self.options.samples else []
        for source in [*sources, *self.options.workers]:
            self.registry.load(source)
        if self.options.entry_points:
            self.registry.load_entry_points()
        loaded = list(self.registry.workers.values())
        if self.options.writable:
            self.writer.call(lambda tx: self._bind(tx, *loaded))
            return
        rows = {row.name: row for row in self.store.workers.all()}
        for registered in loaded:
            if row := rows.get(registered.spec.name):
                self._set(registered, row)

    def _bind(self, tx: Transaction, *loaded: Registered) -> None:
        for registered in loaded:
            spec = registered.spec
            row = workers.register(
                tx, spec.name, spec.executor, spec.idempotent, spec.schema.description
            )
            self._set(registered, row)

    def _set(self, registered: Registered, row: WorkerRow) -> None:
        """Let a loaded worker have what people set for it."""
        registered.enabled, registered.disabled_reason = bool(row.enabled), row.disabled_reason
        registered.max_running, registered.queue = row.max_running, row.queue
        registered.version = row.version
        self.registry.bind(registered, row.id)

    def register(self, spec: WorkerSpec) -> Registered:
        """Take in a worker that was handed over as code. Raises `WorkerTaken`."""
        with self._registering:
            registered = self.registry.add(spec)
            if not registered.row_id:
                self.writer.call(lambda tx: self._bind(tx, registered))
        return registered

    def change_worker(
        self,
        name: str,
        *,
        enabled: bool | None = None,
        reason: str | None = None,
        max_running: int | None = None,
        queue: str | None = None,
        actor: str = "",
        version: int | None = None,
    ) -> None:
        """Switch a worker or change its limits; queued tasks feel it at once.

        Raises `WorkerUnknown`, and `VersionConflict` when it has another version than `version`.
        """
        registered = self.registry.get(name)

        def write(tx: Transaction) -> None:
            row = workers.read(tx, registered.row_id)
            if version is not None and version != row.version:
                raise VersionConflict(
                    object=f"worker {row.name}", version=row.version, given=version
                )
            if enabled is not None:
                row.enabled, row.disabled_reason = enabled, None if enabled else reason
            row.max_running = row.max_running if max_running is None else max_running
            row.queue = row.queue if queue is None else queue
            row.version = workers.change(tx, row, actor)
            tx.after(lambda: self._set(registered, row))

        self.writer.call(write)
        if self.dispatcher is not None:
            self.dispatcher.wake(registered.row_id)

    def stack(self, task_id: int) -> list[str]:
        """Return the frames of a task's running code."""
        if self.dispatcher is None:
            raise DatabaseProblem(
                db=self.store.database.path, why="nothing runs here", hint='Start "tasky serve".'
            )
        frames: list[str] = []
        for running in self.dispatcher.of_task(task_id):
            frames += self.executors[running.spec.executor].stack(running.claimed.execution_id)
        return frames

    def system(self) -> dict[str, Any]:
        """Return figures of host, process, pool and database."""
        dispatcher = self.dispatcher
        return figures(
            self.store.database,
            slots=dispatcher.slots if dispatcher else 0,
            running=len(dispatcher.running) if dispatcher else 0,
            abandoned=dispatcher.abandoned if dispatcher else 0,
            verb=self.options.verb,
        )


def _owner_of(options: Options) -> Owner | None:
    if str(options.path) == ":memory:" or not options.writable:
        return None
    return Owner(Path(options.path), options.verb, options.clock)
