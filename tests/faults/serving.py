"""A server process to be killed: `python -m tests.faults.serving MODE FOLDER [ARGUMENTS]`.

It runs an engine on FOLDER/tasky.db with workers that write a ledger: one line for each start and
end, each with one O_APPEND write, outside Tasky. It prints one line when it is ready.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasky import Context, Tasky, worker
from tasky.errors import TaskyError
from tasky.states import OPEN

CLIENTS = 4


def append(path: Path) -> Callable[[str], None]:
    """Return what appends a line with one write."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    return lambda line: (os.write(descriptor, f"{line}\n".encode()), None)[1]


def ledger_workers(folder: Path) -> list[Callable[..., Any]]:
    """Return the same work twice: as what may be repeated, and as what may not."""
    write = append(folder / "ledger")

    def body(ctx: Context, ms: int, idempotent: int) -> int:
        task = ctx.task
        write(f"{task.id} {task.execution_id} {task.fence} start {idempotent}")
        if ms:
            ctx.sleep(ms / 1000)
        write(f"{task.id} {task.execution_id} {task.fence} end {idempotent}")
        return task.execution_id

    @worker(idempotent=True)
    def again(ctx: Context, ms: int = 0) -> int:
        return body(ctx, ms, 1)

    @worker
    def once(ctx: Context, ms: int = 0) -> int:
        return body(ctx, ms, 0)

    @worker(idempotent=True)
    def deadly(ctx: Context, how: str) -> int:
        write(f"{ctx.task.id} {ctx.task.execution_id} {ctx.task.fence} start 1")
        if how == "exit":
            os._exit(9)
        signal.raise_signal(signal.SIGSEGV)
        return body(ctx, 3_600_000, 1)

    return [again, once, deadly]


def engine(folder: Path, threads: int = 4) -> Tasky:
    tasky = Tasky(folder / "tasky.db", samples=False, threads=threads, roots=[])
    for code in ledger_workers(folder):
        tasky._name(code)
    return tasky


def submit(tasky: Tasky, folder: Path) -> None:
    """Submit without a pause from several threads; note each id that was acknowledged."""
    acknowledged = append(folder / "acknowledged")

    def client(me: int) -> None:
        n = me
        while True:
            n += 1
            handle = tasky.run("again" if n % 2 else "once", {"ms": 20 if n % 7 == 0 else 0})
            acknowledged(handle.id)

    for me in range(CLIENTS):
        threading.Thread(target=client, args=(me,), daemon=True).start()


def mode_submit(folder: Path) -> None:
    tasky = engine(folder)
    print("ready", flush=True)
    submit(tasky, folder)
    threading.Event().wait()


def mode_finish(folder: Path) -> None:
    """Let all that is left come to an end, then stop politely."""
    with engine(folder) as tasky:
        print("ready", flush=True)
        states = f"status:{','.join(sorted(OPEN))}"
        while left := tasky.tasks(states, limit=200).items:
            for task in left:
                tasky.client.wait(task.id, 60)
    print("finished", flush=True)


def mode_run(folder: Path, *kinds: str) -> None:
    """Start one long task of each kind; ready when all have started."""
    tasky = engine(folder, threads=max(4, len(kinds)))
    acknowledged = append(folder / "acknowledged")
    for kind in kinds:
        acknowledged(tasky.run(kind, {"ms": 3_600_000}).id)
    while (folder / "ledger").read_text().count(" start ") < len(kinds):
        tasky.client.events(after=tasky.client.newest_event(), wait_s=0.05)
    print("ready", flush=True)
    threading.Event().wait()


def mode_deadly(folder: Path, how: str) -> None:
    """Submit, at the first start, what kills this process."""
    tasky = engine(folder)
    if not tasky.tasks().items:
        tasky.run("deadly", {"how": how})
    sys.stdin.read()
    tasky.close()


def mode_own(folder: Path) -> None:
    """Become the owner and say so, or say who is; the owner stays until its stdin ends."""
    try:
        tasky = Tasky(folder / "tasky.db", samples=False, roots=[])
    except TaskyError as refusal:
        print(refusal.code, refusal.fields.get("pid"), flush=True)
        return
    with tasky:
        print("owner", os.getpid(), flush=True)
        sys.stdin.read()


MODES: dict[str, Callable[..., None]] = {
    "submit": mode_submit,
    "finish": mode_finish,
    "run": mode_run,
    "deadly": mode_deadly,
    "own": mode_own,
}

if __name__ == "__main__":
    MODES[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
