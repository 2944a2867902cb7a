"""One run of `tasky serve`: open, answer, stop politely."""

import logging
import os
import signal
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from tasky.client import owned_error, owner_of
from tasky.client.limits import apply_limits
from tasky.client.local import LocalClient, own
from tasky.errors import DatabaseUnwritable, PortTaken, TaskyError
from tasky.settings import Settings
from webapi.app import make_app
from webapi.auth import Auth
from webapi.gates import LOOPBACK_NAMES, Origins
from webapi.server import Server, check_loopback
from webapi.table import API

if TYPE_CHECKING:
    from types import FrameType

GRACE_S = 10.0
QUEUED_CAP = 10_000
ANSWERS_S = 1.0
"""Time for the last answers to leave, after the grace of the tasks."""

log = logging.getLogger("tasky.web")

Say = Callable[[str], None]
Signals = SimpleQueue[int | TaskyError]

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end a server politely."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """How a server is started."""

    database: Path
    make_folder: bool
    host: str = "127.0.0.1"
    port: int = 8888
    threads: int = 4
    modules: Sequence[str] = ()
    roots: Sequence[str] = ()
    samples: bool = True
    auth: bool = True
    browse: bool = False
    settings: Settings = field(default_factory=Settings)


def run(start: Start, say: Say, note: Say) -> int:
    """Serve until a signal; return the exit code. `say` prints data, `note` talks to the person.

    Raises the errors of opening, `PortTaken`, `UnsafeConfiguration`.
    """
    os.umask(0o077)
    check_loopback(start.host)
    _look_at_folder(start)
    before = {number: signal.getsignal(number) for number in ENDING}
    try:
        signals: Signals = SimpleQueue()
        break_off_at_signals(signals)
        return _bound_and_served(start, signals, say, note)
    except BrokenOff:
        note("Tasky stopped.")
        return 0
    except BaseException:
        for number, handler in before.items():
            signal.signal(number, handler)
        raise


def _bound_and_served(start: Start, signals: Signals, say: Say, note: Say) -> int:
    # Bound before the database is opened: with the port taken, nothing has changed.
    server = _bound(start)
    try:
        return _serve(start, server, signals, say, note)
    except BaseException:
        server.stop(0)
        raise


def _bound(start: Start) -> Server:
    try:
        return Server(start.host, start.port)
    except PortTaken:
        # Nearly always it is this database's own server; that says more than the port does.
        if owner_of(start.database) is not None:
            raise owned_error(start.database) from None
        raise


def _serve(start: Start, server: Server, signals: Signals, say: Say, note: Say) -> int:
    client = own(
        start.database, start.modules, verb="serve", engine=True, samples=start.samples,
        threads=start.threads, roots=start.roots, start=False,
    )  # fmt: skip
    try:
        client.core.on_fatal = signals.put
        client.core.start()
        apply_limits(client, start.settings)
        token = _begin(start, client, server)
        listen_to_signals(signals)
        for line in greeting(client, server.address, token):
            say(line)
        if start.browse:
            threading.Thread(target=webbrowser.open, args=(server.address,), daemon=True).start()
        reason = signals.get()
        if isinstance(reason, TaskyError):
            return _give_up(reason, server, note)
    except BaseException:
        server.stop(0)
        client.core.close(0)
        raise
    stop(client, server, signals, note)
    return 0


def _look_at_folder(start: Start) -> None:
    folder = start.database.parent
    if str(start.database) == ":memory:" or folder.is_dir():
        return
    if not start.make_folder:
        raise DatabaseUnwritable(db=start.database, why=f"the folder {folder} does not exist")
    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError as problem:
        why = (problem.strerror or "").lower()
        raise DatabaseUnwritable(db=start.database, why=why) from None


def _begin(start: Start, client: LocalClient, server: Server) -> str | None:
    """Announce the address and answer there; return the token that opens it, None if none does."""
    local_token = client.core.announce(server.address)
    token = local_token if start.auth else None
    names = {*LOOPBACK_NAMES, server.host}
    app = make_app(client.acting_as, auth=Auth(token), origins=Origins(server.port, names))
    server.start(app)
    return token


# -- what is said --------------------------------------------------------------------------------


def greeting(client: LocalClient, address: str, token: str | None) -> list[str]:
    """Return the lines of the start; the last one works when pasted."""
    lines = [address]
    if token is None:
        lines.append("No token is asked for: every program on this machine may do everything here.")
    if recovered := client.core.recovered.sentence:
        lines.append(recovered)
    lines += [f"{n.module} was not loaded: {n.error}" for n in client.workers()[1]]
    header = f'-H "Authorization: Bearer {token}" ' if token else ""
    return [*lines, f"curl -s {header}{address}{API}/workers"]


# -- the stop ------------------------------------------------------------------------------------


class BrokenOff(BaseException):
    """A wish to end while the server was still starting; no `except Exception` may keep it."""


def break_off_at_signals(signals: Signals) -> None:
    """Let the first wish to end break the start off: it may wait long for a worker's import.

    It is put into `signals` too, for the case that a finalizer swallows what is raised.
    """
    heard_before = False

    def heard(number: int, _: "FrameType | None") -> None:
        nonlocal heard_before
        signals.put(number)
        # A second one would break off the clean-up.
        if not heard_before:
            heard_before = True
            raise BrokenOff

    for number in ENDING:
        signal.signal(number, heard)


def listen_to_signals(signals: "SimpleQueue[int | TaskyError]") -> None:
    """Put every wish to end into `signals`; a queue, because its `put` may interrupt itself."""

    def heard(number: int, _: "FrameType | None") -> None:
        signals.put(number)

    for number in ENDING:
        signal.signal(number, heard)


def stop(
    client: LocalClient, server: Server, signals: "SimpleQueue[int | TaskyError]", note: Say
) -> None:
    """Ask what runs to stop, give it the grace time, let the last answers leave, close."""
    open_tasks = len(client.core.dispatcher.running) if client.core.dispatcher else 0
    if open_tasks:
        note(f"Stopping: {_tasks(open_tasks)} asked to stop, within {GRACE_S:g} s. Ctrl-C cuts it.")
    cut = _within_grace(client, signals)
    server.stop(ANSWERS_S)
    for running in cut:
        spec, task_id = running.spec, running.claimed.uid[:8]
        then = "it is queued again" if spec.idempotent else "it is shown as lost"
        note(f"{spec.name} {task_id} did not stop in time; at the next start {then}.")
    queued = client.core.store.tasks.count_open(QUEUED_CAP).get("queued", 0)
    path = client.core.store.database.path
    client.core.close(0)
    more = "+" if queued == QUEUED_CAP else ""
    stay = f" {queued}{more} queued tasks stay in {path}." if queued else ""
    note(f"Tasky stopped.{stay}")


def _tasks(count: int) -> str:
    return "1 task was" if count == 1 else f"{count} tasks were"


def _within_grace(client: LocalClient, signals: "SimpleQueue[int | TaskyError]") -> list[Any]:
    """Stop the core; return what went on after the grace time, or at the second Ctrl-C."""

    def ask() -> None:
        client.core.stop(GRACE_S)
        signals.put(0)

    threading.Thread(target=ask, name="tasky-stop", daemon=True).start()
    while (heard := signals.get()) != 0:
        if heard == signal.SIGINT or isinstance(heard, TaskyError):
            break
    return client.core.stop(0)


def _give_up(error: TaskyError, server: Server, note: Say) -> int:
    """End at once: after a failed fsync nothing that is written now can be trusted."""
    server.stop(0.5)
    note(f"tasky: {error}")
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # No close of the database: it would write once more.
    os._exit(error.serve_exit_code)
