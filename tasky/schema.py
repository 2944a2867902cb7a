"""The config schema of a worker, made from its signature.

The signature is the only place where a field is described: the schema reads it into types
(`tasky.schema_types`, `tasky.schema_nested`) that check a config, describe it as JSON Schema and
make a sample of it.
"""

import dataclasses
import enum
import inspect
import json
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from tasky.errors import ConfigInvalid, FieldError
from tasky.schema_json import coerce_text, json_form
from tasky.schema_nested import NO_DEFAULT, Array, Member, Object, Row, Table, Union
from tasky.schema_types import (
    MOST,
    Boolean,
    Choice,
    Duration,
    Free,
    Integer,
    Number,
    Param,
    Scalar,
    Text,
    Type,
    Wrong,
)

__all__ = ["ConfigSchema", "Field", "Param", "coerce_text"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a config; `schema` is its JSON Schema, `default` is in JSON form or None."""

    name: str
    required: bool
    default: Any
    schema: dict[str, Any]
    description: str


@dataclass(frozen=True, slots=True, eq=False)
class ConfigSchema:
    """What a worker takes. Make it with `ConfigSchema.of(function)`."""

    title: str
    description: str
    takes_context: bool
    fields: tuple[Field, ...]
    json_schema: dict[str, Any]
    sample: dict[str, Any]
    _object: Object

    @classmethod
    def of(cls, function: Callable[..., Any], description: str | None = None) -> "ConfigSchema":
        """Read the schema from a signature and its docstring, or `description` instead of that.

        Raises TypeError, naming the parameter, for a signature that cannot be a config.
        """
        takes_context, config = _read(function)
        doc = inspect.cleandoc(description or function.__doc__ or "").strip()
        return cls(
            title=doc.partition("\n")[0],
            description=doc,
            takes_context=takes_context,
            fields=tuple(map(_field, config.members)),
            json_schema=config.schema(),
            sample=config.sample(),
            _object=config,
        )

    def usage(self, name: str) -> str:
        """Return `name(source, overwrite=false)` and the first paragraph of the description."""
        open_end = ["…"] if self._object.others else []
        signature = f"{name}({', '.join([*map(_in_usage, self.fields), *open_end])})"
        paragraph = " ".join(self.description.partition("\n\n")[0].split())
        return f"{signature}: {paragraph}" if paragraph else signature

    def validate(self, config: Mapping[str, Any], worker: str = "") -> dict[str, Any]:
        """Return the given fields as the Python values that the function takes.

        Raises `ConfigInvalid` naming every wrong field; no text is taken for a number. Fields that
        are not given are not in the answer: their defaults belong to the function.
        """
        try:
            return self._object.convert(config)  # type: ignore[no-any-return]  # it has no `make`
        except Wrong as found:
            raise self._invalid(found.errors, worker) from None

    def check(self, config: Mapping[str, Any], worker: str = "") -> None:
        """Raise `ConfigInvalid` as `validate` does, else do nothing."""
        self.validate(config, worker)

    def coerce(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Return the values that `key=value` texts mean, as `coerce_text` does for each field.

        Never raises: an unknown field or a wrong text stays as it is, and `validate` names it.
        """
        properties = self.json_schema["properties"]
        others = self.json_schema["additionalProperties"] or {}
        return {name: coerce_text(properties.get(name, others), texts[name]) for name in texts}

    def _invalid(self, errors: list[FieldError], worker: str) -> ConfigInvalid:
        wrong = {error.pointer.partition("/")[2].partition("/")[0] for error in errors}
        known = {field.name for field in self.fields}
        return ConfigInvalid(
            errors=errors[:MOST],
            n=len(wrong),
            m=len(known | wrong),
            worker=worker or "WORKER",
        )


def _field(member: Member) -> Field:
    schema = member.schema()
    return Field(
        name=member.name,
        required=member.required,
        default=schema.get("default"),
        schema=schema,
        description=schema.get("description", ""),
    )


def _in_usage(field: Field) -> str:
    if field.required:
        return field.name
    known = "default" in field.schema
    return f"{field.name}={json.dumps(field.default, ensure_ascii=False) if known else '…'}"


# -- the signature -------------------------------------------------------------------------------


def _read(function: Callable[..., Any]) -> tuple[bool, Object]:
    parameters = list(inspect.signature(function).parameters.values())
    takes_context = bool(parameters) and _is_context(parameters[0])
    members: list[Member] = []
    others = None
    for parameter in parameters[takes_context:]:
        _refuse_kind(parameter)
        kind = _parameter_type(parameter, function)
        if parameter.kind is parameter.VAR_KEYWORD:
            others = kind
        else:
            members.append(_member(parameter.name, parameter.name, kind, parameter.default))
    return takes_context, Object(members=tuple(members), others=others)


def _is_context(parameter: inspect.Parameter) -> bool:
    """Its class is often imported for type checkers only, so the annotation is not evaluated."""
    annotation = parameter.annotation
    named = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    is_class = named.strip("'\" ").rpartition(".")[2] == "Context"
    return parameter.kind is not parameter.VAR_KEYWORD and (
        parameter.name in ("ctx", "context") or is_class
    )


def _refuse_kind(parameter: inspect.Parameter) -> None:
    if parameter.kind is parameter.VAR_POSITIONAL:
        why = f"a config has named fields only; write {parameter.name}: list[…] without the star"
    elif parameter.kind is parameter.POSITIONAL_ONLY:
        why = "a config has named fields only; move it behind the / or remove the /"
    else:
        return
    raise TypeError(f"The parameter {parameter} cannot be a field: {why}.")


def _parameter_type(parameter: inspect.Parameter, function: Callable[..., Any]) -> Type:
    try:
        return type_of(_annotation(parameter, function))
    except Wrong as found:
        why = f"one of its choices is wrong. {found.errors[0].detail}"
        raise TypeError(f"The parameter {parameter.name} cannot be a field: {why}") from None
    except (TypeError, NameError, ValueError) as error:
        message = f"The parameter {parameter.name} cannot be a field: {error}."
        raise TypeError(message) from error


def _annotation(parameter: inspect.Parameter, function: Callable[..., Any]) -> Any:
    default = parameter.default
    if parameter.annotation is parameter.empty:
        return Any if default is parameter.empty or default is None else type(default)
    # Only this one: the others, the context and the result may name what is not importable.
    holder = types.SimpleNamespace(__annotations__={"it": parameter.annotation})
    hint = typing.get_type_hints(holder, _globals(function), include_extras=True)["it"]
    return hint | None if default is None and not _takes_none(hint) else hint


def _takes_none(hint: Any) -> bool:
    return type_of(hint).accepts(None)


def _globals(function: Any) -> dict[str, Any]:
    inner = inspect.unwrap(function)
    inner = getattr(inner, "func", inner)  # of a functools.partial
    inner = getattr(inner, "__func__", inner)  # of a bound method
    if not hasattr(inner, "__globals__"):
        inner = type(inner).__call__
    return getattr(inner, "__globals__", {})


def _member(name: str, attribute: str, kind: Type, default: Any) -> Member:
    required = default is inspect.Parameter.empty
    return Member(
        name=name,
        attribute=attribute,
        type=kind,
        required=required,
        default=NO_DEFAULT if required else _json_default(kind, default),
    )


def _json_default(kind: Type, default: Any) -> Any:
    """Return the default in JSON form if a config could say it, and if it is no secret."""
    try:
        plain = json_form(default)
    except TypeError:
        return NO_DEFAULT
    secret = bool(default) and kind.hides
    return plain if kind.accepts(plain) and not secret else NO_DEFAULT


# -- annotations ---------------------------------------------------------------------------------


def type_of(annotation: Any, within: tuple[Any, ...] = ()) -> Type:
    """Return the type that an annotation means; `within` are the classes around it.

    Raises TypeError for an annotation that JSON cannot carry or a limit that does not fit it.
    """
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return type_of(args[0], within).limited(_rules(annotation.__metadata__))
    if origin in (typing.Required, typing.NotRequired):
        return type_of(args[0], within)
    if (meant := _alias(annotation)) is not None:
        return type_of(meant, within)
    if origin is Literal:
        return Choice(table=tuple((json_form(value), value) for value in args))
    if origin in (typing.Union, types.UnionType):
        return _union(args, within)
    return (
        (None if origin else _plain(annotation))
        or _collection(origin or annotation, args, within)
        or _object(annotation, within)
    )


def _alias(annotation: Any) -> Any:
    """Return what a NewType or a `type` statement stands for."""
    return getattr(annotation, "__supertype__", None) or getattr(annotation, "__value__", None)


def _rules(metadata: Iterable[Any]) -> Param:
    said: dict[str, Any] = {}
    for note in metadata:
        if isinstance(note, str):
            said["description"] = note
        elif isinstance(note, Param):
            said |= note.given()
        elif isinstance(note, msgspec.Meta):
            said |= _meta_rules(note)
    return Param(**said)


def _meta_rules(meta: msgspec.Meta) -> dict[str, Any]:
    if meta.tz is not None:
        raise TypeError("Meta(tz=…) is not checked here; leave it out and check the value")
    names = [field.name for field in dataclasses.fields(Param) if hasattr(meta, field.name)]
    said = {name: value for name in names if (value := getattr(meta, name)) is not None}
    said["extra"] = ({"title": meta.title} if meta.title else {}) | (meta.extra_json_schema or {})
    return said


def _union(args: tuple[Any, ...], within: tuple[Any, ...]) -> Type:
    # Int before float, else 5 would become 5.0.
    inner = sorted((arg for arg in args if arg is not type(None)), key=lambda arg: arg is float)
    members = tuple(type_of(arg, within) for arg in inner)
    return Union(members=members, nullable=type(None) in args)


def _collection(origin: Any, args: tuple[Any, ...], within: tuple[Any, ...]) -> Type | None:
    if not isinstance(origin, type) or _is_record(origin):
        return None
    is_table, make = issubclass(origin, Mapping), _maker(origin)
    if not is_table and make is None:
        return None
    inner = [Free() if arg is Ellipsis else type_of(arg, within) for arg in args]
    if is_table:
        return Table(key=inner[0], value=inner[1]) if inner else Table()
    if origin is tuple and args and args[-1] is not Ellipsis:
        return Row(items=tuple(inner))
    return Array(item=inner[0] if inner else Free(), make=make or list)


def _maker(origin: type) -> Callable[[list[Any]], Any] | None:
    if origin in (tuple, set, frozenset):
        return origin
    if issubclass(origin, AbstractSet):
        return set
    return list if origin is not object and issubclass(list, origin) else None


_SCALARS: dict[type, tuple[str, dict[str, Any], Any]] = {
    datetime: (
        'a date and time such as "2026-01-31T12:00:00Z"',
        {"type": "string", "format": "date-time"},
        "2026-01-31T12:00:00Z",
    ),
    date: (
        'a date such as "2026-01-31"',
        {"type": "string", "format": "date"},
        "2026-01-31",
    ),
    time: (
        'a time such as "12:00:00"',
        {"type": "string", "format": "time"},
        "12:00:00",
    ),
    UUID: (
        "a UUID",
        {"type": "string", "format": "uuid"},
        "00000000-0000-4000-8000-000000000000",
    ),
    Decimal: (
        'a decimal number such as "1.50"',
        {"type": ["string", "number"], "format": "decimal"},
        "1.50",
    ),
    bytes: (
        "bytes in base64",
        {"type": "string", "contentEncoding": "base64"},
        "AAAA",
    ),
}

_PLAIN: dict[Any, Callable[[], Type]] = {
    Any: Free,
    object: Free,
    str: Text,
    int: Integer,
    float: Number,
    bool: Boolean,
    timedelta: Duration,
    None: lambda: Choice(table=((None, None),)),
    type(None): lambda: Choice(table=((None, None),)),
}


def _plain(annotation: Any) -> Type | None:
    if annotation in _PLAIN:
        return _PLAIN[annotation]()
    if not isinstance(annotation, type):
        return None
    if annotation in _SCALARS:
        name, form, guess = _SCALARS[annotation]
        return Scalar(cls=annotation, name=name, form=form, guess=guess)
    if issubclass(annotation, PurePath):
        # The class of this system at once: calling Path would look for it with every value.
        return Text(cls=type(Path()) if annotation in (Path, PurePath) else annotation)
    if issubclass(annotation, enum.Enum):
        return Choice(table=tuple((json_form(each.value), each) for each in annotation))
    return None


def _is_record(cls: type) -> bool:
    return (
        typing.is_typeddict(cls) or issubclass(cls, msgspec.Struct) or dataclasses.is_dataclass(cls)
    )


def _object(cls: Any, within: tuple[Any, ...]) -> Type:
    if cls in within:
        raise TypeError(f"{cls.__name__} holds itself; a config must end, use dict or Any there")
    if not isinstance(cls, type) or not _is_record(cls):
        raise TypeError(f"{cls} has no JSON form; use plain types, dataclasses or Any")
    hints = typing.get_type_hints(cls, include_extras=True)
    members = _tag(cls) + tuple(
        _member(name, attribute, type_of(hints[attribute], (*within, cls)), default)
        for name, attribute, default in _record_fields(cls)
    )
    ready = None if typing.is_typeddict(cls) else cls
    return Object(members=members, make=lambda found: cls(**found), ready=ready)


def _tag(cls: Any) -> tuple[Member, ...]:
    """Return the field that says which Struct of a union an object is."""
    config = getattr(cls, "__struct_config__", None)
    if config is None or config.tag is None:
        return ()
    kind = Choice(table=((config.tag, config.tag),))
    return (Member(config.tag_field, attribute="", type=kind, required=True),)


def _record_fields(cls: Any) -> list[tuple[str, str, Any]]:
    """Return name in JSON, name in Python and default of each field."""
    if typing.is_typeddict(cls):
        hints = typing.get_type_hints(cls, include_extras=True)
        return [(name, name, _presence(cls, name, hint)) for name, hint in hints.items()]
    if issubclass(cls, msgspec.Struct):
        return [
            (each.encode_name, each.name, _default(each.default, each.default_factory))
            for each in msgspec.structs.fields(cls)
        ]
    return [
        (each.name, each.name, _default(each.default, each.default_factory))
        for each in dataclasses.fields(cls)
        if each.init
    ]


def _presence(cls: Any, name: str, hint: Any) -> Any:
    """Ask the hint too: from annotations that are texts a TypedDict does not see `NotRequired`."""
    origin = typing.get_origin(hint)
    optional = name in cls.__optional_keys__ and origin is not typing.Required
    return NO_DEFAULT if optional or origin is typing.NotRequired else inspect.Parameter.empty


_NONE = (dataclasses.MISSING, msgspec.NODEFAULT)


def _default(default: Any, factory: Any) -> Any:
    if not any(default is none for none in _NONE):
        return default
    if any(factory is none for none in _NONE):
        return inspect.Parameter.empty
    # Other factories may do anything: read a clock, open a file.
    return factory() if factory in (list, dict, set, tuple) else NO_DEFAULT
