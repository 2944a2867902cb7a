"""Handlers hear of events after the commit, in a thread of their own; a raising one is logged."""

import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any

import msgspec

from tasky.errors import Conflict
from tasky.model import Event
from tasky.runtime.service import log
from tasky.states import State
from tasky.store.store import Store
from tasky.store.writer import Fact

Handler = Callable[[Event, Mapping[str, Any]], None]

GOWORK = {
    "add_work": ("task.created", None),
    "get_work": ("execution.started", None),
    "work_complete": ("execution.ended", frozenset(State) - {State.TIMED_OUT}),
    "work_timeout": ("execution.ended", frozenset({State.TIMED_OUT})),
    "add_handler_error": ("hook.refused", None),
    "get_work_empty": ("agent.empty", None),
    "get_work_error": ("agent.refused_work", None),
    "worker_registered": ("agent.registered", None),
    "worker_register": ("agent.registered", None),
    "worker_verify": ("agent.verified", None),
    "worker_verify_error": ("agent.refused", None),
}
"""GoWork's event ids in our words; the second name of `worker_registered` is its code's."""


class Hooks:
    """One handler per event name and place. Costs nothing while there is none."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._handlers: dict[str, tuple[Handler, Mapping[str, Any]]] = {}
        self._names: dict[str, list[str]] = {}
        self._queue: SimpleQueue[Fact | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def on(self, name: str, handler: Handler, params: Mapping[str, Any] | None = None) -> None:
        """Call `handler(event, params)` after each commit with an event of that name.

        `name` is one of Tasky's or of GoWork's ten. Raises `Conflict` when it has a handler
        already.
        """
        if name in self._handlers:
            raise Conflict(object=f"the handler of {name}")
        self._handlers[name] = (handler, dict(params or {}))
        ours = GOWORK[name][0] if name in GOWORK else name
        self._names.setdefault(ours, []).append(name)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="tasky-hooks", daemon=True)
            self._thread.start()

    def heard(self, facts: list[Fact]) -> None:
        """Pass on what somebody listens to; runs where the group was written."""
        if self._handlers:
            for fact in facts:
                if fact.name in self._names:
                    self._queue.put(fact)

    def stop(self) -> None:
        """Run what waits, then end."""
        if self._thread is not None and self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (fact := self._queue.get()) is not None:
            try:
                self._tell(fact)
            except Exception:  # noqa: BLE001  # the next event has nothing to do with this one
                log.exception("event %d was told to nobody", fact.id)

    def _tell(self, fact: Fact) -> None:
        event = self._event(fact)
        for name in self._names.get(fact.name, ()):
            states = GOWORK[name][1] if name in GOWORK else None
            if states is None or event.state in states:
                self._call(name, event)

    def _call(self, name: str, event: Event) -> None:
        handler, params = self._handlers[name]
        try:
            handler(event, params)
        except BaseException:  # noqa: BLE001  # SystemExit too: one handler must not end all
            log.exception("the handler of %s failed for event %d", name, event.id)

    def _event(self, fact: Fact) -> Event:
        task_id = None
        if fact.task_id is not None:
            found = self._store.tasks.by_numbers([fact.task_id])
            task_id = found[0].id if found else None
        return Event(
            id=fact.id,
            at=fact.at,
            name=fact.name,
            actor=fact.actor,
            task_id=task_id,
            execution_id=fact.execution_id,
            object=fact.object,
            state=State(fact.state) if fact.state else None,
            payload=msgspec.json.decode(fact.payload) if fact.payload else None,
        )
