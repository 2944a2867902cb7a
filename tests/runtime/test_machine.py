"""Random actions on a few tasks, against the state table.

The code of every task does only what the test orders, so after each step everything stands still,
and what an action must do is known.
"""

import shutil
import tempfile
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tasky.client.session import TaskHandle, Tasky
from tasky.errors import StatusConflict
from tasky.model import Task
from tasky.runtime import dispatcher
from tasky.states import ACTIONS, ACTIVE, FINAL, OPEN, State, actions_for
from tasky.worker import Context
from tests.faults.oracle import findings
from tests.helpers import PATIENCE_S, engine_of, pool_of, settle

SLOTS = 2
TASKS = 4
ORDERS = ["checkpoint", "checkpoint", "checkpoint", "wait", "return", "raise"]
WHICH = st.integers(min_value=0, max_value=TASKS - 1)


class Actor:
    """The code of one execution: takes orders, tells when it has done them."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.orders: SimpleQueue[str] = SimpleQueue()
        self.done: SimpleQueue[str] = SimpleQueue()
        self.thread = threading.current_thread()
        self.standing = False
        self.waiting = False

    def play(self) -> int:
        try:
            while True:
                order = self.orders.get(timeout=4 * PATIENCE_S)
                if order == "return":
                    return self.ctx.task.execution_id
                if order == "raise":
                    raise ValueError("as ordered")
                if order == "wait":
                    self.wait()
                else:
                    self.ctx.checkpoint(order)
                self.done.put("passed")
        finally:
            self.done.put("left")

    def wait(self) -> None:
        """Wait for something outside: the next order, whatever it is."""
        with self.ctx.waiting("an order"):
            self.waiting = True
            self.done.put("passed")
            self.orders.get(timeout=4 * PATIENCE_S)
            self.waiting = False


class Stage:
    """All actors of an engine, by execution."""

    def __init__(self) -> None:
        self.actors: dict[int, Actor] = {}
        self._changed = threading.Condition()

    def play(self, ctx: Context) -> int:
        actor = Actor(ctx)
        with self._changed:
            self.actors[ctx.task.execution_id] = actor
            self._changed.notify_all()
        return actor.play()

    def wait_for(self, number: int) -> Actor:
        with self._changed:
            assert self._changed.wait_for(lambda: number in self.actors, PATIENCE_S)
        return self.actors[number]


class Tasks(RuleBasedStateMachine):
    """Tasks under random actions."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="tasky-machine-"))
        self.path = self.folder / "machine.db"
        self.tasky = Tasky(self.path, samples=False, threads=SLOTS, roots=[], grace_s=5.0)
        self.stage = Stage()
        # The grace is over when the test says so, however slow the machine is.
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(dispatcher, "TIMEOUT_GRACE_S", 3600.0)
        self.handles: list[TaskHandle] = []
        self.ends: dict[int, tuple[State, int | None]] = {}

    # -- standing still ---------------------------------------------------------------------------

    def calm(self) -> None:
        """Return once everything that was started has come to its first order."""
        settle(self.tasky)
        for number in list(engine_of(self.tasky).running):
            self.stage.wait_for(number)

    def actor(self, task: Task) -> Actor | None:
        """Return the code under way for a task."""
        running = engine_of(self.tasky).of_task(task.number)
        return self.stage.wait_for(running[0].claimed.execution_id) if running else None

    def over(self, task: Task) -> Task:
        """Wait until the current run of a task is over."""
        self.tasky.client.wait(task.id, PATIENCE_S)
        self.calm()
        return self.look(task.id)

    def look(self, id_: str) -> Task:
        return self.tasky.client.task(id_)

    # -- rules ------------------------------------------------------------------------------------

    @initialize(holds=st.lists(st.booleans(), min_size=TASKS, max_size=TASKS))
    def run_some(self, holds: list[bool]) -> None:
        for hold in holds:
            self.handles.append(self.tasky.run(self.stage.play, hold=hold))
            self.calm()
            expected = {State.NEW} if hold else {State.QUEUED, State.RUNNING}
            assert self.handles[-1].status in expected

    @rule(n=WHICH, action=st.sampled_from(sorted(ACTIONS)))
    def act(self, n: int, action: str) -> None:
        """Every action is possible where the table says it, and nowhere else."""
        before = self.look(self.handles[n].id)
        takes_back = action == "resume" and before.pause_requested_at and not before.ended
        allowed = before.status in ACTIONS[action] or takes_back
        try:
            self.tasky.client.act(before.id, action)
        except StatusConflict:
            assert not allowed
            assert self.look(before.id) == before
            return
        assert allowed
        self.calm()
        getattr(self, f"after_{action}")(before)

    @rule(n=WHICH, pick=st.integers(min_value=0, max_value=11))
    def act_as_offered(self, n: int, pick: int) -> None:
        offered = actions_for(self.look(self.handles[n].id).status)
        self.act(n, offered[pick % len(offered)])

    def after_release(self, before: Task) -> None:
        assert self.look(before.id).status in {State.QUEUED, State.RUNNING}

    def after_run(self, before: Task) -> None:
        after = self.look(before.id)
        assert after.status in {State.QUEUED, State.RUNNING}
        assert (after.result_id != before.result_id) == before.ended

    after_rerun = after_run

    def after_cancel(self, before: Task) -> None:
        if before.status is State.PAUSED and before.started_at is not None:
            assert self.over(before).status is State.CANCELLED
        elif before.status in ACTIVE - {State.PAUSED}:
            after = self.look(before.id)
            assert after.status is before.status
            assert after.cancel_requested_at is not None
        else:
            assert self.look(before.id).status is State.CANCELLED

    def after_pause(self, before: Task) -> None:
        after = self.look(before.id)
        if before.status is State.QUEUED:
            assert after.status is State.PAUSED
            return
        assert after.status is before.status
        assert after.pause_requested_at is not None

    def after_resume(self, before: Task) -> None:
        if before.status is State.PAUSED and before.started_at is None:
            assert self.look(before.id).status in {State.QUEUED, State.RUNNING}
            return
        actor = self.actor(before)
        if before.status is State.PAUSED and actor is not None and actor.standing:
            actor.standing = False
            assert actor.done.get(timeout=PATIENCE_S) == "passed"
        after = self.look(before.id)
        waits = before.status is State.WAITING or (actor is not None and actor.waiting)
        expected = State.WAITING if waits else State.RUNNING
        assert (after.status, after.pause_requested_at) == (expected, None)

    def after_kill(self, before: Task) -> None:
        unstarted = before.started_at is None
        expected = State.CANCELLED if unstarted else State.KILLED
        assert self.look(before.id).status is expected

    @rule(n=WHICH, order=st.sampled_from(ORDERS))
    def order(self, n: int, order: str) -> None:
        """Let the code do something, if it listens."""
        task = self.look(self.handles[n].id)
        actor = self.actor(task)
        if actor is None or actor.standing:
            return
        if actor.waiting:
            self.go_on(task, actor)
            return
        actor.orders.put(order)
        if order in {"return", "raise"}:
            expected = State.SUCCEEDED if order == "return" else State.FAILED
            assert self.over(task).status is expected
        elif actor.ctx.token.reason is not None:
            assert self.over(task).status in {State.CANCELLED, State.TIMED_OUT}
        elif actor.ctx.token.paused:
            actor.standing = True
            self.until_paused(task)
        else:
            assert actor.done.get(timeout=PATIENCE_S) == "passed"
            expected = State.WAITING if order == "wait" else State.RUNNING
            assert self.look(task.id).status is expected

    def go_on(self, task: Task, actor: Actor) -> None:
        assert task.status is State.WAITING
        actor.orders.put("go on")
        assert actor.done.get(timeout=PATIENCE_S) == "passed"
        assert self.look(task.id).status is State.RUNNING

    def until_paused(self, task: Task) -> None:
        def paused() -> bool | None:
            return self.look(task.id).status is State.PAUSED or None

        assert self.tasky.core.watch.wait_change(task.number, paused, PATIENCE_S)

    @rule(n=WHICH, late=st.booleans())
    def its_time_is_over(self, n: int, late: bool) -> None:
        """The time of a task is over; `late`: its grace is over too, and it goes on."""
        task = self.look(self.handles[n].id)
        actor = self.actor(task)
        if actor is None:
            return
        engine_of(self.tasky)._time_out(actor.ctx.task.execution_id, 1.0)
        reason = actor.ctx.token.reason
        assert reason is not None
        if actor.standing:
            assert self.over(task).status is State.TIMED_OUT
            return
        self.calm()
        assert self.look(task.id).status is task.status
        if late and reason == "timeout":
            engine_of(self.tasky)._cut_late(actor.ctx.task.execution_id, "its time was over")
            assert self.over(task).status is State.TIMED_OUT

    @rule()
    def stuck_code_comes_back(self) -> None:
        """Killed code ends after all; whatever it reports is too late."""
        self.bring_back(self.stuck())

    def stuck(self) -> list[Actor]:
        given_up = list(pool_of(self.tasky)._given_up)
        return [self.stage.wait_for(number) for number in given_up]

    def dismiss(self, actor: Actor) -> None:
        """Let code return, from wherever it is: the first order may end a wait only."""
        actor.orders.put("return")
        actor.orders.put("return")

    def bring_back(self, actors: list[Actor]) -> None:
        for actor in actors:
            self.dismiss(actor)
            actor.thread.join(PATIENCE_S)
            assert not actor.thread.is_alive()
        self.calm()

    # -- what is always true ----------------------------------------------------------------------

    @invariant()
    def ends_are_final(self) -> None:
        rows: list[Any] = self.tasky.core.store.database.rows(
            "SELECT id, state, ended_at FROM execution WHERE ended_at IS NOT NULL"
        )
        found = {number: (State(state), ended) for number, state, ended in rows}
        assert {number: found[number] for number in self.ends} == self.ends
        assert all(state in FINAL for state, _ in found.values())
        self.ends = found

    @invariant()
    def no_slot_is_lost(self) -> None:
        rows = self.tasky.core.store.database.rows("SELECT state FROM task")
        states = [State(row[0]) for row in rows]
        under_way = len(engine_of(self.tasky).running)
        assert under_way <= SLOTS
        if State.QUEUED in states and engine_of(self.tasky).abandoned < 8:
            assert under_way == SLOTS
        assert set(states) <= OPEN | FINAL

    def teardown(self) -> None:
        for number in list(engine_of(self.tasky).running):
            self.stage.wait_for(number)
        for actor in self.stage.actors.values():
            actor.ctx.token.resume()
            self.dismiss(actor)
        self.tasky.close()
        self.patch.undo()
        self.bring_to_an_end()
        wrong = findings(self.path)
        shutil.rmtree(self.folder)
        assert wrong == []

    def bring_to_an_end(self) -> None:
        for actor in self.stage.actors.values():
            actor.thread.join(PATIENCE_S)


TestTasks = Tasks.TestCase
TestTasks.settings = settings(
    max_examples=60,
    stateful_step_count=120,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
