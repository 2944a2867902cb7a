"""`key=value`, `key:=JSON` and `key@FILE`: what people type as the config of a task."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from tasky.cli.types import is_utf8

_PAIR = re.compile(r"(?P<key>[^=@:]+)(?P<sign>:=|=|@)(?P<text>.*)", re.DOTALL)


def is_pair(text: str) -> bool:
    """Tell whether an argument is a pair, not an id."""
    return _PAIR.fullmatch(text) is not None


def config_of(pairs: Sequence[str], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config that `pairs` describe, with the types that the worker's schema wants.

    Nothing is checked beyond the form: validation names every wrong field.
    """
    config: dict[str, Any] = {}
    for pair in pairs:
        key, value = _read(pair, schema.get("properties", {}))
        if key in config:
            raise click.UsageError(f'"{key}" is given twice.')
        config[key] = value
    return config


def _read(pair: str, properties: Mapping[str, Any]) -> tuple[str, Any]:
    from tasky.schema_json import coerce_text

    match = _PAIR.fullmatch(pair)
    if match is None:
        raise click.UsageError(f'"{pair}" is none of key=value, key:=JSON and key@FILE.')
    key, sign, text = match["key"], match["sign"], match["text"]
    # The name of a file may be any bytes: what is in it counts.
    if not is_utf8(key) or (sign != "@" and not is_utf8(text)):
        raise click.UsageError(f'{key}: the text "{text}" is not UTF-8.')
    if sign == ":=":
        return key, _json(key, text)
    if sign == "@":
        text = _content(key, text)
    return key, coerce_text(properties.get(key, {}), text)


def _json(key: str, text: str) -> Any:
    try:
        value = json.loads(text)
        told = json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError) as problem:
        raise click.UsageError(f"{key}: the text after := is not JSON: {problem}.") from None
    if not is_utf8(told):
        raise click.UsageError(
            f"{key}: the text after := has half a character (\\ud800 to \\udfff)."
        )
    return value


def _content(key: str, name: str) -> str:
    """Return the text of a file, of stdin for `-`."""
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).expanduser().read_bytes()
        return data.decode()
    except OSError as problem:
        why = (problem.strerror or str(problem)).lower()
        raise click.UsageError(f"{key}: {name} cannot be read: {why}.") from None
    except UnicodeDecodeError:
        raise click.UsageError(f"{key}: {name} is not text in UTF-8.") from None


def labels_of(pairs: Sequence[str]) -> dict[str, str]:
    """Return labels from `k=v` texts."""
    labels = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise click.UsageError(f'--label takes k=v, not "{pair}".')
        labels[key] = value
    return labels
