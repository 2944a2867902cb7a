"""Config values as JSON and as the text people type; knows JSON Schema, not Python types.

It sits below `tasky.schema`, so that a client which only has a server's schema can use it.
"""

import contextlib
import json
import math
import re
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

import msgspec

_INTEGER = re.compile(r"[-+]?[0-9]{1,100}")
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_BOOLEANS = dict.fromkeys(("true", "yes", "1", "on"), True) | dict.fromkeys(
    ("false", "no", "0", "off"), False
)
_SHOWN = 60
"""Characters of a wrong value that a sentence repeats."""


def json_form(value: object) -> Any:
    """Return `value` as dicts, lists, texts and numbers.

    Raises TypeError for what JSON cannot carry: other objects, NaN, infinity.
    """
    plain = msgspec.to_builtins(value, str_keys=True, enc_hook=_path_text)
    try:
        return json.loads(json.dumps(plain, allow_nan=False))
    except ValueError as error:
        raise TypeError(str(error)) from error


def _path_text(value: object) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} has no JSON form")


def shown(value: object) -> str:
    """Return how a sentence names a wrong value: `the text "5"`, `true`, `a list of 2`."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        short = value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
        return f"the text {json.dumps(short, ensure_ascii=not short.isprintable())}"
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 128 else "a number of more than 128 bits"
    if isinstance(value, float):
        return json.dumps(value)
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return f"a value of the type {type(value).__name__}"


def coerce_text(property_schema: Mapping[str, Any], text: str) -> Any:
    """Return `text` as the JSON value that a schema property wants; as text if it cannot be one.

    Never raises: validation names what does not fit. Lists may be written `a,b` or as JSON, objects
    as JSON; an empty text or `null` is null where null is allowed. A property without a type keeps
    the text.
    """
    options = _alternatives(property_schema)
    plain = any(option["type"] == "string" for option in options)
    for option in options:
        if plain and option["type"] == "array" and _json(text) is None:
            continue  # "a,b" is a good text already
        found, value = _coerced(option, text)
        if found:
            return value
    return text


def _alternatives(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Split the schema into ones of a single type, the pickiest first and text last."""
    options: list[Mapping[str, Any]] = []
    for member in schema.get("anyOf") or schema.get("oneOf") or [schema]:
        types = member.get("type", [])
        names = [types] if isinstance(types, str) else types
        options += [{**member, "type": name} for name in names] or [{**member, "type": ""}]
    return sorted(options, key=lambda option: _RANK.get(option["type"], len(_RANK)))


def _coerced(schema: Mapping[str, Any], text: str) -> tuple[bool, Any]:
    if schema["type"] != "null" and "enum" in schema:
        return _choice(schema["enum"], text)
    read = _READERS.get(schema["type"])
    return read(schema, text) if read else (False, text)


def _choice(choices: list[Any], text: str) -> tuple[bool, Any]:
    for choice in choices:
        if text == (choice if isinstance(choice, str) else json.dumps(choice)):
            return True, choice
    return False, text


def _null(_: Mapping[str, Any], text: str) -> tuple[bool, Any]:
    return text in ("", "null"), None


def _boolean(_: Mapping[str, Any], text: str) -> tuple[bool, Any]:
    value = _BOOLEANS.get(text.strip().lower())
    return value is not None, value


def _integer(_: Mapping[str, Any], text: str) -> tuple[bool, Any]:
    stripped = text.strip()
    return (True, int(stripped)) if _INTEGER.fullmatch(stripped) else (False, text)


def _number(schema: Mapping[str, Any], text: str) -> tuple[bool, Any]:
    stripped = text.strip()
    if not _NUMBER.fullmatch(stripped):
        return False, text
    if _INTEGER.fullmatch(stripped):
        return _integer(schema, text)
    value = float(stripped)
    return math.isfinite(value), value


def _array(schema: Mapping[str, Any], text: str) -> tuple[bool, Any]:
    value = _json(text)
    if isinstance(value, list):
        return True, value
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    heads = schema.get("prefixItems", [])
    rest = schema.get("items") or {}
    items = [heads[at] if at < len(heads) else rest for at in range(len(parts))]
    return True, [coerce_text(item, part) for item, part in zip(items, parts, strict=True)]


def _object(_: Mapping[str, Any], text: str) -> tuple[bool, Any]:
    value = _json(text)
    return isinstance(value, dict), value


def _string(_: Mapping[str, Any], text: str) -> tuple[bool, Any]:
    return True, text


def _json(text: str) -> Any:
    if text.lstrip()[:1] in ("[", "{"):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(text)
    return None


_READERS: dict[str, Callable[[Mapping[str, Any], str], tuple[bool, Any]]] = {
    "null": _null,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "object": _object,
    "array": _array,
    "string": _string,
}
_RANK = {name: rank for rank, name in enumerate(_READERS)}
