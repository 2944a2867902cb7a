"""One owner per database: a lock for life, and a note that tells others where the owner answers.

The lock is `flock` on `<db>.lock`; who holds it lives. The runtime file `<db>.run` is only for
messages and for attaching: what it says is never taken as a proof that somebody lives.
"""

import errno
import fcntl
import os
import time
from pathlib import Path

import msgspec

from tasky.clock import Clock, iso
from tasky.errors import DatabaseOwned, DatabaseUnwritable

LOOKS = 10
LOOK_S = 0.02
"""Who asks for the living owner holds the lock for a moment; past all looks it is an owner."""


class Runtime(msgspec.Struct, frozen=True):
    """What an owner says about itself: process, verb, start (µs) and how to reach it, if at all."""

    pid: int
    verb: str
    since: int
    address: str | None = None
    token: str | None = None


class Owner:
    """The lock on one database. Take it before opening, release it after closing."""

    def __init__(self, path: Path, verb: str, clock: Clock) -> None:
        self._lock_path = Path(f"{path}.lock")
        self._run_path = Path(f"{path}.run")
        self._path = path
        self._me = Runtime(os.getpid(), verb, clock.now())
        self._descriptor: int | None = None

    def take(self) -> None:
        """Become the owner.

        Raises `DatabaseOwned` with pid and address of the one there is, `DatabaseUnwritable` when
        the folder does not let us.
        """
        try:
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise DatabaseUnwritable(db=self._path, why=_why(problem)) from None
        try:
            _lock(descriptor)
        except OSError as problem:
            os.close(descriptor)
            if problem.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES):
                raise DatabaseUnwritable(db=self._path, why=_why(problem)) from None
            raise owned_error(self._path) from None
        self._descriptor = descriptor
        self._write(self._me)

    def announce(self, address: str, token: str) -> None:
        """Say where this owner answers, and the local token that opens it."""
        self._me = msgspec.structs.replace(self._me, address=address, token=token)
        self._write(self._me)

    def release(self) -> None:
        """Give the database up. Twice is fine."""
        if self._descriptor is None:
            return
        self._run_path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None

    def _write(self, runtime: Runtime) -> None:
        draft = Path(f"{self._run_path}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(runtime))
        draft.replace(self._run_path)


def _lock(descriptor: int) -> None:
    for _ in range(LOOKS):
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOOK_S)
    return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def living_owner(path: Path) -> Runtime | None:
    """Return what the living owner of a database says about itself, None when nobody owns it."""
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise DatabaseUnwritable(db=path, why=_why(problem)) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return read_runtime(path) or Runtime(0, "?", 0)
    else:
        return None
    finally:
        os.close(descriptor)


def read_runtime(path: Path) -> Runtime | None:
    """Return the runtime file's content, None when it is missing or half written."""
    try:
        return msgspec.json.decode(Path(f"{path}.run").read_bytes(), type=Runtime)
    except (OSError, msgspec.MsgspecError):
        return None


def owned_error(path: Path) -> DatabaseOwned:
    """Say who owns `path` and how to join."""
    runtime = read_runtime(path)
    if runtime is None:
        return DatabaseOwned(db=path, pid="?", verb="?", since="?", hint="Wait until it ends.")
    if runtime.address:
        hint = f"Join it: tasky --url {runtime.address} …"
    else:
        hint = "It offers no address; wait until it ends, or stop it."
    return DatabaseOwned(
        db=path, pid=runtime.pid, verb=runtime.verb, since=iso(runtime.since), hint=hint
    )


def _why(problem: OSError) -> str:
    return (problem.strerror or str(problem)).lower()
