"""Types of options beyond click's own: text, spans, moments, moments in the past."""

import re
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    _Seconds = click.ParamType[float]
    _Micros = click.ParamType[int]
    _Str = click.ParamType[str]
else:
    # Older click has no type arguments.
    _Seconds = _Micros = _Str = click.ParamType

_CLOCK_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")


def is_utf8(text: str) -> bool:
    """Tell whether a text can be stored: the bytes of an argument need not be UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Text(_Str):
    """Text that is stored or sent; a name of a file may be any bytes and is none."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if not is_utf8(text):
            self.fail(f'"{text}" is not text in UTF-8.', param, ctx)
        return text


class Span(_Seconds):
    """Seconds, from `90s`, `5m`, `2h`, `3d` or a plain number."""

    name = "span"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        from tasky.client.session import seconds_of
        from tasky.errors import BadRequest

        try:
            seconds = seconds_of(value)
        except BadRequest:
            self.fail(f'"{value}" is not like 90s, 5m, 2h or 3d.', param, ctx)
        if not seconds < 1e9:
            self.fail(f'"{value}" is longer than any life.', param, ctx)
        return seconds


class Moment(_Micros):
    """µs since the epoch, from ISO 8601 (local without a zone) or the next `14:30`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return _micros(_next(value) or datetime.fromisoformat(value))
        except (ValueError, OverflowError, OSError):
            self.fail(f'"{value}" is not like 2026-11-20T14:30, 14:30 or a span.', param, ctx)


class Since(_Micros):
    """µs since the epoch, from a span back (`24h`) or a moment."""

    name = "span|time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if "-" in value or ":" in value:
            return Moment().convert(value, param, ctx)
        back = Span().convert(value, param, ctx)
        return max(0, time.time_ns() // 1000 - int(back * 1_000_000))


def _next(text: str) -> datetime | None:
    """Return the next time the clock shows `text`, None when it is no time of a clock."""
    match = _CLOCK_TIME.fullmatch(text)
    if match is None:
        return None
    now = datetime.now().astimezone()
    hour, minute, second = (int(part or 0) for part in match.groups())
    moment = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
    return moment if moment > now else moment + timedelta(days=1)


def _micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


TEXT, SPAN, MOMENT, SINCE = Text(), Span(), Moment(), Since()
