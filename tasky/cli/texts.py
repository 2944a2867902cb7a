"""How numbers, times and outside text look, the same everywhere. Pure: values in, text out."""

import re
import time
import unicodedata
from datetime import datetime

MICROSECONDS = 1_000_000

GLYPHS = {
    "new": ("·", ".", "bright_black"),
    "queued": ("○", "o", "blue"),
    "running": ("►", ">", "cyan"),
    "paused": ("‖", "=", "yellow"),
    "waiting": ("◌", "~", "cyan"),
    "succeeded": ("✓", "+", "green"),
    "failed": ("✗", "x", "red"),
    "cancelled": ("⊘", "-", "bright_black"),
    "timed_out": ("⧖", "t", "red"),
    "killed": ("†", "k", "red"),
    "lost": ("?", "?", "yellow"),
}
"""Glyph, its stand-in where only ASCII is safe, and colour of each status."""

_BIDI = "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_CONTROL = re.compile(f"[\x00-\x1f\x7f-\x9f{_BIDI}\ud800-\udfff\ufeff]")
_CONTROL_BUT_TAB = re.compile(f"[\x00-\x08\x0a-\x1f\x7f-\x9f{_BIDI}\ud800-\udfff\ufeff]")
_SGR = re.compile(r"\x1b\[[0-9;:]*m")
_BLANKS = re.compile(r"[\t\n\r ]+")
_SIZES = ("B", "kB", "MB", "GB", "TB", "PB")
_BYTES = frozenset({"B", "byte", "bytes"})


# -- numbers and times -----------------------------------------------------------------------------


def duration(seconds: float | None) -> str:
    """Return `0.1 s`, `31 s`, `2 m 14 s`, `3 h 05 m`, `2 d 04 h`; `-` for None."""
    if seconds is None:
        return "-"
    if seconds < 9.95:
        digits = 1 if seconds >= 0.0995 or seconds == 0 else 3
        return f"{max(0.0, seconds):.{digits}f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    for length, unit, below, small in (
        (3600, "m", 60, "s"),
        (86400, "h", 3600, "m"),
    ):
        if whole < length:
            return f"{whole // below} {unit} {whole % below * 60 // below:02d} {small}"
    return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"


def moment(at: int | None, now: int | None = None) -> str:
    """Return local time of `at` (µs), with the date when it is not today; `-` for None."""
    if at is None:
        return "-"
    local = time.localtime(at / MICROSECONDS)
    today = time.localtime(time.time() if now is None else now / MICROSECONDS)
    if local[:3] == today[:3]:
        return time.strftime("%H:%M:%S", local)
    return time.strftime("%Y-%m-%d %H:%M", local)


def moment_with_zone(at: int | None) -> str:
    """Return local date, time to the millisecond and zone of `at` (µs)."""
    if at is None:
        return "-"
    local = datetime.fromtimestamp(at // MICROSECONDS).astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S}.{at % MICROSECONDS // 1000:03d} {local.tzname()}"


def size(count: float) -> str:
    """Return `512 B`, `4.2 MB`; thousands, as disks are sold and `df -H` counts."""
    value = float(count)
    for unit in _SIZES:
        if value < 999.5 or unit == _SIZES[-1]:
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.1f} {unit}"


def rate(per_second: float, unit: str) -> str:
    """Return `88 MB/s` or `1.5 steps/s`."""
    if unit in _BYTES:
        return f"{size(per_second)}/s"
    return f"{number(round(per_second, 1))} {unit}/s".replace("  ", " ")


def number(value: float) -> str:
    """Return a number with blanks between thousands: `48 201`; a float keeps its fraction."""
    return f"{value:,}".replace(",", " ").removesuffix(".0")


def share(value: float | None) -> str:
    """Return 0.034 as `3.4 %`, `-` for None."""
    return "-" if value is None else f"{value * 100:.1f} %"


# -- outside text ----------------------------------------------------------------------------------


def marked(text: str, *, ascii_only: bool = False, tabs: bool = False) -> str:
    """Return `text` with control characters drawn as marks (`␛`, `⟨U+202E⟩`), so none is obeyed."""
    pattern = _CONTROL_BUT_TAB if tabs else _CONTROL
    return pattern.sub(lambda match: _mark(match[0], ascii_only), text)


def _mark(character: str, ascii_only: bool) -> str:
    code = ord(character)
    if ascii_only:
        return f"<U+{code:04X}>"
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"


def one_line(text: str) -> str:
    """Return `text` with every run of blanks and line ends as one blank."""
    return _BLANKS.sub(" ", text).strip()


def log_text(text: str, *, color: bool, ascii_only: bool = False) -> str:
    """Return a log line for a terminal: colours survive or vanish, what else steers is marked."""
    parts, end = [], 0
    for match in _SGR.finditer(text):
        parts.append(marked(text[end : match.start()], ascii_only=ascii_only, tabs=True))
        parts.append(match[0] if color else "")
        end = match.end()
    parts.append(marked(text[end:], ascii_only=ascii_only, tabs=True))
    return "".join(parts) + ("\x1b[0m" if color and end else "")


def width(text: str) -> int:
    """Return how many columns a terminal gives `text`.

    Source: Unicode Standard Annex 11; marks that combine take none.
    """
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, columns: int, ellipsis: str = "…") -> str:
    """Return `text` in at most `columns` columns; `ellipsis` stands for what is missing."""
    if width(text) <= columns:
        return text
    room, kept = columns - len(ellipsis), []
    for character in text:
        room -= _columns(character)
        if room < 0:
            break
        kept.append(character)
    return "".join(kept).rstrip() + ellipsis[: max(0, columns)]


def padded(text: str, columns: int, *, right: bool = False) -> str:
    """Return `text` filled up with blanks to `columns` columns."""
    blanks = " " * (columns - width(text))
    return blanks + text if right else text + blanks


def bar(fraction: float, columns: int, *, ascii_only: bool = False) -> str:
    """Return a bar of eighths of a block; of `#` where only ASCII is safe."""
    eighths = round(min(1.0, max(0.0, fraction)) * columns * 8)
    if ascii_only:
        return "#" * (eighths // 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
