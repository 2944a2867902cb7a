"""Query parameters: declared by name, typed, and refused when unknown or given twice."""

from collections.abc import Iterator
from urllib.parse import parse_qsl

from tasky.client.base import MAX_WAIT_S
from tasky.client.session import seconds_of
from tasky.clock import MICROSECONDS, SystemClock, from_iso
from tasky.errors import BadRequest, FieldError, nearest

MAX_PARAMETERS = 200
_FLAGS = {"true": True, "1": True, "false": False, "0": False, "": True}
_YEAR_S = 366 * 86_400.0
_CLOCK = SystemClock()


class Params:
    """The parameters of one request. `known` are the names that mean something here."""

    def __init__(self, query: str, known: tuple[str, ...], prefix: str | None = None) -> None:
        self._given: dict[str, str] = {}
        for name, value in _pairs(query) if query else ():
            if name in self._given:
                raise wrong(name, "Is given twice.")
            if name not in known and not (prefix and name.startswith(prefix)):
                raise wrong(name, f"There is no such parameter.{nearest(name, known)}")
            self._given[name] = value

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def text(self, name: str, default: str = "") -> str:
        return self._given.get(name, default)

    def maybe(self, name: str) -> str | None:
        return self._given.get(name)

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """Return an integer within its bounds."""
        given = self._given.get(name)
        if given is None:
            return default
        if not (given.isascii() and given.removeprefix("-").isdigit() and len(given) <= 20):
            raise wrong(name, "Must be an integer.")
        value = int(given)
        if not low <= value <= high:
            raise wrong(name, f"Must be from {low} to {high}.")
        return value

    def flag(self, name: str) -> bool:
        given = self._given.get(name)
        if given is None:
            return False
        if given.lower() not in _FLAGS:
            raise wrong(name, "Must be true or false.")
        return _FLAGS[given.lower()]

    def seconds(self, name: str, *, low: float = 0.0, high: float = _YEAR_S) -> float | None:
        """Return a duration: `30`, `30s`, `5m`."""
        given = self._given.get(name)
        if given is None:
            return None
        try:
            value = seconds_of(given)
        except BadRequest:
            raise wrong(name, f'"{given[:40]}" is not like 30, 30s or 5m.') from None
        if not low <= value <= high:
            raise wrong(name, f"Must be from {low:g} to {high:g} seconds.")
        return value

    def wait(self) -> float:
        """Return how long the client would wait, 0 unless it says so."""
        return self.seconds("wait", high=MAX_WAIT_S) or 0.0

    def moment(self, name: str) -> int | None:
        """Return a moment in µs: ISO 8601, or a span back from now such as `24h`."""
        given = self._given.get(name)
        if given is None:
            return None
        try:
            return from_iso(given)
        except (ValueError, OverflowError):
            pass
        try:
            back = seconds_of(given)
        except BadRequest:
            raise wrong(name, f'"{given[:40]}" is neither a time nor like 24h.') from None
        now = _CLOCK.now()
        return max(0, now - int(min(back, now / MICROSECONDS) * MICROSECONDS))

    def time(self, name: str) -> int | None:
        """Return an ISO 8601 moment in µs."""
        given = self._given.get(name)
        if given is None:
            return None
        return iso_moment(given, name)

    def labels(self, prefix: str) -> dict[str, str]:
        """Return what follows `prefix` in names, with the values."""
        cut = len(prefix)
        return {n[cut:]: v for n, v in self._given.items() if n.startswith(prefix)}


def iso_moment(text: str, name: str) -> int:
    """Return the µs of an ISO 8601 moment. Raises `BadRequest`."""
    try:
        return from_iso(text)
    except (ValueError, OverflowError):
        raise wrong(name, "Must be a time like 2026-11-22T05:49:17Z") from None


def wrong(name: str, detail: str) -> BadRequest:
    """Return the error of one parameter."""
    error = FieldError(f"/{name[:64]}", detail)
    return BadRequest(what=name[:64], why=detail.rstrip(".?"), errors=[error])


def _pairs(query: str) -> Iterator[tuple[str, str]]:
    try:
        yield from parse_qsl(
            query, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
        )
    except UnicodeDecodeError:
        raise BadRequest(what="the query", why="it is no UTF-8") from None
    except ValueError:
        why = f"it has more than {MAX_PARAMETERS} parameters"
        raise BadRequest(what="the query", why=why) from None
