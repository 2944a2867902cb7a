"""Who asks: a token becomes an identity with a role; guessing is slowed down per address."""

import hmac
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

from tasky.errors import TooManyAttempts, Unauthorized

MAX_WRONG = 10
WINDOW_S = 60.0
MAX_ADDRESSES = 10_000


class Role(IntEnum):
    """What somebody may do; each role may do what the ones before it may."""

    OPEN = 0
    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


class Identity(NamedTuple):
    """Who was let in; `name` goes into the history."""

    name: str
    role: Role


NOBODY = Identity("", Role.OPEN)


class Auth:
    """Knows the local token of this start. Without one (`--no-auth`) whoever connects is admin."""

    def __init__(self, token: str | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._token = None if token is None else token.encode()
        self._local = Identity("anonymous" if token is None else "local", Role.ADMIN)
        self._failures = Failures(monotonic)

    def identify(self, environ: dict[str, Any]) -> Identity:
        """Return who asks. Raises `Unauthorized`, `TooManyAttempts`."""
        if self._token is None:
            return self._local
        given = environ.get("HTTP_AUTHORIZATION")
        if given is None:
            raise Unauthorized
        scheme, _, token = given.partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), self._token):
            return self._local
        self._failures.note(environ.get("REMOTE_ADDR", ""))
        raise Unauthorized


class Failures:
    """Counts wrong credentials per address in a sliding minute."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def note(self, address: str) -> None:
        """Count one more. Raises `TooManyAttempts` past the limit; refused ones do not count."""
        now = self._monotonic()
        with self._lock:
            times = self._wrong.setdefault(address, deque())
            self._wrong.move_to_end(address)
            if len(self._wrong) > MAX_ADDRESSES:
                self._wrong.popitem(last=False)
            while times and now - times[0] >= WINDOW_S:
                times.popleft()
            if len(times) < MAX_WRONG:
                times.append(now)
                return
            wait_s = WINDOW_S - (now - times[0])
        raise TooManyAttempts(n=int(wait_s) + 1)
