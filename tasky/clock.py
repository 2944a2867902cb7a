"""Time is passed in: everything that reads a clock gets one of these.

Wall time is for display and planning, in integer microseconds UTC. Durations are measured with the
monotonic clock, which a changed wall clock does not move.
"""

import time
from datetime import UTC, datetime
from typing import Protocol

MICROSECONDS = 1_000_000


class Clock(Protocol):
    """Source of wall time and of monotonic time."""

    def now(self) -> int:
        """Return wall time in µs since the epoch, UTC."""

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start that never go back."""


class SystemClock:
    """The clock of the machine."""

    def now(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()


def iso(at: int) -> str:
    """Return `at` (µs) as ISO 8601 UTC with milliseconds, e.g. `2026-11-22T05:49:17.123Z`.

    Source: RFC 3339, section 5.6.
    """
    seconds, micros = divmod(at, MICROSECONDS)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{micros // 1000:03d}Z"


def from_iso(text: str) -> int:
    """Return the µs of an ISO 8601 moment; one without a zone counts as UTC.

    Raises ValueError when the text is no such moment.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return from_datetime(moment)


def from_datetime(moment: datetime) -> int:
    """Return the µs of `moment`; a naive one is in the local zone, as `datetime` itself says."""
    return int(moment.timestamp()) * MICROSECONDS + moment.microsecond
