"""What people ask of a task: release, cancel, pause, resume, kill, rerun, change, delete.

Everything that has not started is moved at once; running code gets a wish, and moves when it obeys.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from tasky.cancel import Reason
from tasky.clock import iso
from tasky.errors import (
    BadRequest,
    Conflict,
    FieldError,
    NotSupported,
    StatusConflict,
    VersionConflict,
)
from tasky.model import Problem
from tasky.runtime.dispatcher import Dispatcher
from tasky.runtime.execution import Running
from tasky.runtime.intake import MAX_TIMES
from tasky.runtime.registry import Registry
from tasky.runtime.service import log
from tasky.states import ACTIONS, FINAL, OPEN, State
from tasky.store import executions, tasks
from tasky.store.database import Database
from tasky.store.tasks import Facts
from tasky.store.writer import Transaction
from tasky.worker import WorkerBase


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One action on one task, and the conditions of who asked."""

    action: str
    times: int = 1
    config: dict[str, Any] | None = None
    reason: str = ""
    actor: str = ""
    expect_status: str | None = None
    version: int | None = None


class Control:
    """Turns wanted actions into edges and wishes."""

    def __init__(
        self, database: Database, registry: Registry, dispatcher: Dispatcher | None
    ) -> None:
        self._database = database
        self._registry = registry
        self._dispatcher = dispatcher
        self._db = database.path.name

    def act(self, task_id: int, wanted: Wanted) -> None:
        """Do what is wanted, or raise why not.

        Raises `StatusConflict` when the state does not allow it, `NotSupported` when the worker
        cannot, `BadRequest`, `ConfigInvalid`, `TaskUnknown`, `VersionConflict`.
        """
        if wanted.action not in ACTIONS:
            names = ", ".join(ACTIONS)
            raise BadRequest(
                what="the action", why=f'"{wanted.action}" is none of {names}',
                errors=[FieldError("/action", f"one of {names}")],
            )  # fmt: skip
        if not 1 <= wanted.times <= MAX_TIMES:
            raise BadRequest(
                what="times", why=f"it must be between 1 and {MAX_TIMES}",
                errors=[FieldError("/times", f"must be between 1 and {MAX_TIMES}")],
            )  # fmt: skip
        task, after = self._database.write().call(lambda tx: self._act_in(tx, task_id, wanted))
        if after is not None:
            after()
        self._tell_worker(task, lambda instance: instance.update(task.uid, wanted.action))

    def _act_in(
        self, tx: Transaction, task_id: int, wanted: Wanted
    ) -> tuple[Facts, Callable[[], None] | None]:
        """Write the action; return the task as it was, and what must follow the commit."""
        task = tasks.facts(tx, task_id, self._db)
        _check(task, wanted)
        steps = {
            "release": self._release,
            "run": self._run,
            "rerun": self._rerun,
            "cancel": self._cancel,
            "pause": self._pause,
            "resume": self._resume,
            "kill": self._kill,
        }
        return task, steps[wanted.action](tx, task, wanted)

    def _tell_worker(self, task: Facts, tell: Callable[[WorkerBase], None]) -> None:
        """Let a worker in class form hear of what is done; it cannot undo it by raising."""
        registered = self._registry.workers.get(task.worker)
        if registered is None or registered.spec.instance is None:
            return
        try:
            tell(registered.spec.instance)
        except Exception:  # noqa: BLE001  # a worker's code raises anything; it is logged
            log.exception("the worker %s raised while it was told of a task", task.worker)

    # -- one method an action ----------------------------------------------------------------------

    def _release(self, tx: Transaction, task: Facts, wanted: Wanted) -> None:
        tasks.move_unstarted(
            tx, task, State.NEW, State.QUEUED, actor=wanted.actor, name="task.released"
        )

    def _run(self, tx: Transaction, task: Facts, wanted: Wanted) -> None:
        if task.state == State.NEW and wanted.config is None and wanted.times == 1:
            self._release(tx, task, wanted)
        elif task.state == State.NEW:
            raise BadRequest(
                what="the request", why="a held task takes its times and config when it is made"
            )
        else:
            self._rerun(tx, task, wanted)

    def _rerun(self, tx: Transaction, task: Facts, wanted: Wanted) -> None:
        config = self._changed_config(task, wanted.config) if wanted.config else task.config
        tasks.rerun(tx, task, config, wanted.times, wanted.actor)

    def _changed_config(self, task: Facts, changes: dict[str, Any]) -> str:
        config = {**msgspec.json.decode(task.config), **changes}
        self._registry.get(task.worker).spec.schema.validate(config, task.worker)
        return msgspec.json.encode(config).decode()

    def _cancel(self, tx: Transaction, task: Facts, wanted: Wanted) -> Callable[[], None] | None:
        text = wanted.reason or "cancelled before it started"
        error = msgspec.json.encode(Problem("Cancelled", text)).decode()
        executions.cancel_unstarted(tx, task.id, task.result_id, error, wanted.actor)
        if not self._running(task):
            return None
        tasks.wish(tx, task.id, "task.cancel_requested", wanted.actor, wanted.reason)
        why = wanted.reason or "somebody cancelled it"
        return lambda: self._each(task, lambda r: r.token.cancel(Reason.USER, why))

    def _pause(self, tx: Transaction, task: Facts, wanted: Wanted) -> Callable[[], None] | None:
        moved = tasks.move_unstarted(
            tx, task, State.QUEUED, State.PAUSED, actor=wanted.actor, name="task.paused"
        )
        if not self._running(task):
            return None
        if not moved:
            self._needs(task, "pause", "its code has no checkpoints")
        tasks.wish(tx, task.id, "task.pause_requested", wanted.actor, wanted.reason)
        return lambda: self._each(task, lambda r: r.token.pause())

    def _resume(self, tx: Transaction, task: Facts, wanted: Wanted) -> Callable[[], None] | None:
        tasks.move_unstarted(
            tx, task, State.PAUSED, State.QUEUED, actor=wanted.actor, name="task.resumed"
        )
        if not self._running(task) and task.pause_requested_at is None:
            return None
        tasks.wish(tx, task.id, "task.resume_requested", wanted.actor, wanted.reason)
        return lambda: self._each(task, lambda r: r.token.resume())

    def _kill(self, tx: Transaction, task: Facts, wanted: Wanted) -> Callable[[], None]:
        error = msgspec.json.encode(Problem("Killed", wanted.reason or "killed")).decode()
        executions.cancel_unstarted(tx, task.id, task.result_id, error, wanted.actor)
        why = wanted.reason or "somebody killed it"
        return lambda: self._each(task, lambda r: self._cut(r, why))

    def _cut(self, running: Running, why: str) -> None:
        if self._dispatcher is not None:
            self._dispatcher.cut(running, State.KILLED, why, Reason.KILLED)

    # -- help --------------------------------------------------------------------------------------

    def _running(self, task: Facts) -> bool:
        return self._dispatcher is not None and bool(self._dispatcher.of_task(task.id))

    def _each(self, task: Facts, do: Callable[[Running], Any]) -> None:
        if self._dispatcher is not None:
            for running in self._dispatcher.of_task(task.id):
                do(running)

    def _needs(self, task: Facts, action: str, why: str) -> None:
        supports = self._registry.get(task.worker).spec.supports
        if action not in supports:
            raise NotSupported(worker=task.worker, action=action, why=why)

    # -- config and removal ------------------------------------------------------------------------

    def set_config(
        self, task_id: int, config: dict[str, Any], actor: str, version: int | None = None
    ) -> None:
        """Replace the config of a task that has not started.

        Raises `StatusConflict` after its start, `ConfigInvalid`, `VersionConflict`.
        """

        def write(tx: Transaction) -> None:
            task = tasks.facts(tx, task_id, self._db)
            _check_version(task, version)
            self._registry.get(task.worker).spec.schema.validate(config, task.worker)
            text = msgspec.json.encode(config).decode()
            if not tasks.set_config(tx, task, text):
                raise StatusConflict(
                    id=task.uid[:8], state=task.state, since=iso(task.since),
                    action="a change of its config",
                    states="new, queued or paused before the start",
                )  # fmt: skip
            tx.event("task.changed", actor=actor, task_id=task.id, state=task.state)

        self._database.write().call(write)

    def delete(self, task_id: int, actor: str, version: int | None = None) -> None:
        """Remove an ended task with its results and logs.

        Raises `StatusConflict` before the end.
        """

        def write(tx: Transaction) -> Facts:
            task = tasks.facts(tx, task_id, self._db)
            _check_version(task, version)
            if task.state not in FINAL:
                raise StatusConflict(
                    id=task.uid[:8], state=task.state, since=iso(task.since), action="delete",
                    states=", ".join(sorted(FINAL)),
                )  # fmt: skip
            tasks.delete(tx, task)
            payload = msgspec.json.encode({"task_id": task.uid}).decode()
            tx.event("task.deleted", actor=actor, task_id=task.id, object=task.uid, payload=payload)
            return task

        task = self._database.write().call(write)
        self._tell_worker(task, lambda instance: instance.delete(task.uid))


def _check(task: Facts, wanted: Wanted) -> None:
    _check_version(task, wanted.version)
    if wanted.expect_status is not None and wanted.expect_status != task.state:
        raise Conflict(object=f"task {task.uid[:8]} ({task.state}, not {wanted.expect_status})")
    takes_back = wanted.action == "resume" and task.pause_requested_at is not None
    if task.state not in ACTIONS[wanted.action] and not (takes_back and task.state in OPEN):
        raise tasks.refuse(task, wanted.action)


def _check_version(task: Facts, version: int | None) -> None:
    if version is not None and version != task.version:
        raise VersionConflict(object=f"task {task.uid[:8]}", version=task.version, given=version)
