"""`tasky.toml`: read and checked as a whole, with file, line and field of everything wrong.

    [server]          host = "127.0.0.1"    port = 8888    threads = 4
    [files]           roots = ["/var/log:ro", "."]
    [workers]         modules = ["myapp.workers"]
    [workers.archive] max_running = 1

The environment and flags win over the file; who reads a setting sees to that.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from tasky.errors import FieldError, SettingsInvalid, nearest


class Server(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a server listens, and how many tasks run at a time."""

    host: Annotated[str, Meta(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port; 0 takes a free one.")] = 8888
    threads: Annotated[int, Meta(ge=1, le=1024, description="Tasks that run at a time.")] = 4


class Files(Struct, frozen=True, forbid_unknown_fields=True):
    """What workers may touch. Without roots it is the folder of the start."""

    roots: Annotated[
        tuple[str, ...] | None, Meta(description="Folders; :ro is read-only, :rw the default.")
    ] = None


class WorkerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What is set for one worker."""

    max_running: (
        Annotated[int, Meta(ge=1, description="Tasks of this worker that run at a time.")] | None
    ) = None


class Workers(Struct, frozen=True):
    """Modules with workers, and what is set for some workers by name."""

    modules: tuple[str, ...] = ()
    by_name: dict[str, WorkerSettings] = {}


class Settings(Struct, frozen=True):
    """The whole file."""

    server: Server = Server()
    files: Files = Files()
    workers: Workers = Workers()


class _Modules(Struct, frozen=True):
    modules: Annotated[
        tuple[str, ...], Meta(description="Modules, .py files or folders with workers.")
    ] = ()


SECTIONS: dict[str, type[Struct]] = {"server": Server, "files": Files}


def load(path: Path) -> Settings:
    """Return the settings of a file. Raises `SettingsInvalid` with every wrong field."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        why = (getattr(problem, "strerror", None) or "it is not text in UTF-8").lower()
        raise SettingsInvalid(file=path, why=why) from None
    return parse(text, str(path))


def parse(text: str, file: str = "tasky.toml") -> Settings:
    """Return the settings of a text. Raises `SettingsInvalid` with every wrong field."""
    try:
        given = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        why = str(problem)[:1].lower() + str(problem)[1:]
        raise SettingsInvalid(file=file, why=why) from None
    errors = [_with_line(error, text) for error in _flaws(given)]
    if errors:
        fields = "one field is" if len(errors) == 1 else f"{len(errors)} fields are"
        raise SettingsInvalid(file=file, why=f"{fields} wrong", errors=errors)
    return _made(given)


def _made(given: Mapping[str, Any]) -> Settings:
    workers = dict(given.get("workers", {}))
    modules = workers.pop("modules", ())
    by_name = {name.lower(): msgspec.convert(t, WorkerSettings) for name, t in workers.items()}
    sections = {name: msgspec.convert(given.get(name, {}), kind) for name, kind in SECTIONS.items()}
    return Settings(**sections, workers=Workers(tuple(modules), by_name))  # type: ignore[arg-type]  # by name


def _flaws(given: Mapping[str, Any]) -> Iterator[FieldError]:
    known = [*SECTIONS, "workers"]
    for name, table in given.items():
        if name not in known:
            yield FieldError(f"/{name}", f"there is no such section.{nearest(name, known)}")
        elif not isinstance(table, dict):
            yield FieldError(f"/{name}", f"must be a section: [{name}]")
        elif name == "workers":
            yield from _flaws_of_workers(table)
        else:
            yield from _flaws_of(SECTIONS[name], table, f"/{name}")


def _flaws_of_workers(table: Mapping[str, Any]) -> Iterator[FieldError]:
    for name, value in table.items():
        if name == "modules":
            yield from _flaws_of(_Modules, {name: value}, "/workers")
        elif not isinstance(value, dict):
            hint = nearest(name, ["modules"]) or f" A worker is a section: [workers.{name}]"
            yield FieldError(f"/workers/{name}", f"there is no such field.{hint}")
        else:
            yield from _flaws_of(WorkerSettings, value, f"/workers/{name}")


def _flaws_of(kind: type[Struct], table: Mapping[str, Any], at: str) -> Iterator[FieldError]:
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for name, value in table.items():
        if name not in fields:
            detail = f"there is no such field.{nearest(name, fields)}"
            yield FieldError(f"{at}/{name}", detail)
            continue
        try:
            msgspec.convert(value, fields[name])
        except msgspec.ValidationError as problem:
            yield FieldError(f"{at}/{name}", _sentence(str(problem)))


def _sentence(problem: str) -> str:
    """Turn "Expected `int` <= 65535, got `str` - at `$[0]`" into words."""
    words = problem.replace("`", "").replace("Expected", "must be").replace(" - at $", ", at ")
    for theirs, ours in (("<=", "at most"), (">=", "at least"), ("str", "text"), ("array", "list")):
        words = re.sub(rf"(?<!\w){theirs}(?!\w)", ours, words)
    return words


def _with_line(error: FieldError, text: str) -> FieldError:
    line = _line_of(text, error.pointer.split("/")[1:])
    detail = error.detail if line is None else f"{error.detail} (line {line})"
    return FieldError(error.pointer, detail)


def _line_of(text: str, path: list[str]) -> int | None:
    """Return the line that sets `path`, as far as it is written in the usual way."""
    section: list[str] = []
    found: int | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        head = re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line)
        if head:
            section = [part.strip(" \"'") for part in head[1].split(".")]
            # The header is the place of a section, and the last resort for its fields.
            found = number if section == path[: len(section)] else found
        key = re.match(r"\s*[\"']?([\w-]+)[\"']?\s*=", line)
        if key and [*section, key[1]] == path:
            return number
    return found


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the file, for editors."""
    named = {"properties": {}, "additionalProperties": _schema(WorkerSettings)}
    named["properties"] = _schema(_Modules)["properties"]
    sections = {name: _schema(kind) for name, kind in SECTIONS.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tasky.toml",
        "type": "object",
        "properties": {**sections, "workers": {"type": "object", **named}},
        "additionalProperties": False,
    }


def _schema(kind: type[Struct]) -> dict[str, Any]:
    _, components = msgspec.json.schema_components([kind])
    schema: dict[str, Any] = components[kind.__name__]
    return schema
