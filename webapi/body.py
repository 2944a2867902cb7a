"""Reads JSON bodies, strictly: what another reader could understand otherwise is refused.

Source: RFC 8259; RFC 7493 (I-JSON) for double keys, surrogates and numbers; RFC 6901 for pointers.
"""

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

from tasky.errors import BadRequest, BodyTooLarge, FieldError, MediaTypeWrong

MAX_BYTES = 1024 * 1024
MAX_BYTES_TASKS = 8 * 1024 * 1024
MAX_DEPTH = 32
MAX_SHOWN = 100
"""Wrong fields that one answer names."""

NOTHING: Any = object()
"""What an empty body reads as."""


class _Double(dict[str, Any]):
    """An object that had a key twice; `key` is the first such."""

    key = ""


def read(environ: dict[str, Any], limit: int = MAX_BYTES) -> Any:
    """Return the JSON value of the body, `NOTHING` for an empty one.

    Raises `BodyTooLarge`, `MediaTypeWrong`, and `BadRequest` with a pointer to what is wrong.
    """
    data = _bytes(environ, limit)
    if not data:
        return NOTHING
    _check_type(environ)
    value = _decode(data)
    errors = [error for _, error in zip(range(MAX_SHOWN), _flaws(value), strict=False)]
    if errors:
        raise refusal(errors)
    return value


def refusal(errors: Iterable[FieldError], what: str = "the request") -> BadRequest:
    """Return the error that names all of `errors`."""
    found = list(errors)
    why = "; ".join(_in_words(error) for error in found[:3])
    if len(found) > 3:
        why += f"; and {len(found) - 3} more"
    return BadRequest(what=what, why=why, errors=found)


def _in_words(error: FieldError) -> str:
    where, detail = error.pointer.strip("/")[:100], error.detail.rstrip(".?")
    return f"{where}: {detail}" if where else detail


def escape(part: str) -> str:
    """Return one part of a JSON pointer."""
    return part.replace("~", "~0").replace("/", "~1")


def _bytes(environ: dict[str, Any], limit: int) -> bytes:
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        raise BadRequest(what="Content-Length", why="it is not a number") from None
    if length > limit:
        raise BodyTooLarge(limit=limit)
    return bytes(environ["wsgi.input"].read(length)) if length > 0 else b""


def _check_type(environ: dict[str, Any]) -> None:
    given = environ.get("CONTENT_TYPE", "")
    kind, _, parameters = given.partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise MediaTypeWrong(given=given[:100] or "none")
    encoding = environ.get("HTTP_CONTENT_ENCODING", "identity")
    if encoding.strip().lower() != "identity":
        raise MediaTypeWrong(given=f"{kind.strip()} with the encoding {encoding[:50]}")


def _decode(data: bytes) -> Any:
    try:
        return _decoder.decode(data.decode())
    except UnicodeDecodeError as problem:
        raise refusal([FieldError("", f"It is no UTF-8 at byte {problem.start}")], _BODY) from None
    except json.JSONDecodeError as problem:
        where = f"line {problem.lineno}, column {problem.colno}"
        raise refusal([FieldError("", f"It is no JSON: {problem.msg} at {where}")], _BODY) from None
    except RecursionError:
        raise refusal([_too_deep("")], _BODY) from None
    except _NoNumberError as problem:
        raise refusal([FieldError("", f"It is no JSON: {problem} is no number")], _BODY) from None
    except ValueError:  # Python's own limit of digits
        raise refusal([FieldError("", "It has an integer of more than 64 bits")], _BODY) from None


_BODY = "the body"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    double, seen = _Double(made), set[str]()
    double.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # add returns None
    return double


class _NoNumberError(ValueError):
    """A word of JavaScript that JSON does not know."""


def _constant(name: str) -> Any:
    raise _NoNumberError(name)


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def _flaws(value: Any, pointer: str = "", depth: int = 1) -> Iterator[FieldError]:
    """Yield what is wrong inside a decoded value."""
    kind = type(value)
    if kind is str:
        if not value.isascii() and _lone(value):
            yield FieldError(pointer, "It has a surrogate without its partner")
    elif kind is int:
        if not -(2**63) <= value < 2**64:
            yield FieldError(pointer, "It is an integer of more than 64 bits")
    elif kind is float:
        if math.isinf(value):
            yield FieldError(pointer, "It is too large a number")
    elif kind is list or isinstance(value, dict):
        if depth > MAX_DEPTH:
            yield _too_deep(pointer)
        else:
            yield from _flaws_inside(value, pointer, depth + 1)


def _flaws_inside(value: Any, pointer: str, depth: int) -> Iterator[FieldError]:
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _flaws(item, f"{pointer}/{number}", depth)
        return
    if isinstance(value, _Double):
        yield FieldError(f"{pointer}/{escape(value.key)}", "It is there twice")
    for key, item in value.items():
        if not key.isascii() and _lone(key):
            yield FieldError(pointer, "It has a key with a surrogate without its partner")
        else:
            yield from _flaws(item, f"{pointer}/{escape(key)}", depth)


def _too_deep(pointer: str) -> FieldError:
    # Repeating a pointer of a thousand parts would help nobody.
    return FieldError(pointer[:200], f"It is nested deeper than {MAX_DEPTH} levels")


def _lone(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in text)
