"""The nested types of config fields: lists, tables, unions and objects with named fields."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import msgspec

from tasky.errors import FieldError, nearest
from tasky.schema_json import coerce_text
from tasky.schema_types import (
    LENGTHS,
    LIMITS,
    MOST,
    Free,
    Param,
    Text,
    Type,
    Wrong,
    first,
    limits_schema,
    pointer,
    wrong,
)

NO_DEFAULT: Any = msgspec.NODEFAULT

_LENGTH_NAMES = {"min_length": "minItems", "max_length": "maxItems"}


@dataclass(eq=False, repr=False)
class Array(Type):
    """A list, tuple or set of one type."""

    item: Type = field(default_factory=Free)
    make: Callable[[list[Any]], Any] = list
    fits = LENGTHS | {"choices"}
    noun = "a list"

    def __post_init__(self) -> None:
        self._shortest = self.rules.min_length or 0
        self._longest = self.rules.max_length if self.rules.max_length is not None else sys.maxsize

    def limited(self, rules: Param) -> Type:
        """Choices limit the items, all else the list."""
        item = self.item.limited(rules.only(("choices",)))
        return super(Array, replace(self, item=item)).limited(rules.without(("choices",)))

    def convert(self, value: Any) -> Any:
        if not isinstance(value, list | tuple | set | frozenset):
            raise self.refusal(value)
        if not self._shortest <= len(value) <= self._longest:
            raise wrong(f"Must be {self.words}; it has {len(value)}.")
        convert = self.item.convert
        try:
            items = [convert(item) for item in value]
        except Wrong:
            flaws = (self.item.flaws(item, index) for index, item in enumerate(value))
            raise Wrong(first(chain.from_iterable(flaws))) from None
        try:
            return items if self.make is list else self.make(items)
        except TypeError:  # a set cannot hold a list
            raise wrong("Must be a list of plain values, without lists or objects in it.") from None

    @property
    def hides(self) -> bool:
        return self.item.hides

    def shape(self) -> dict[str, Any]:
        unique = {"uniqueItems": True} if self.make in (set, frozenset) else {}
        limits = limits_schema(self.rules, _LENGTH_NAMES)
        return {"type": "array", "items": self.item.schema()} | unique | limits

    def guesses(self) -> Iterable[Any]:
        yield [self.item.sample()] * max(1, self._shortest)
        yield []


@dataclass(eq=False, repr=False)
class Row(Type):
    """A tuple with a type for each place."""

    items: tuple[Type, ...] = ()

    @property
    def words(self) -> str:
        return f"a list of {len(self.items)}: {', '.join(item.words for item in self.items)}"

    def convert(self, value: Any) -> Any:
        if not isinstance(value, list | tuple) or len(value) != len(self.items):
            raise self.refusal(value)
        pairs = list(zip(self.items, value, strict=True))
        try:
            return tuple([kind.convert(item) for kind, item in pairs])
        except Wrong:
            flaws = (kind.flaws(item, index) for index, (kind, item) in enumerate(pairs))
            raise Wrong(first(chain.from_iterable(flaws))) from None

    @property
    def hides(self) -> bool:
        return any(item.hides for item in self.items)

    def shape(self) -> dict[str, Any]:
        heads = [item.schema() for item in self.items]
        return {"type": "array", "prefixItems": heads, "items": False} | {
            "minItems": len(heads),
            "maxItems": len(heads),
        }

    def guesses(self) -> Iterable[Any]:
        yield [item.sample() for item in self.items]


@dataclass(eq=False, repr=False)
class Table(Type):
    """A dict from any key of one type to values of another."""

    key: Type = field(default_factory=Text)
    value: Type = field(default_factory=Free)
    fits = LENGTHS
    noun = "an object"

    def __post_init__(self) -> None:
        self._key_schema = self.key.schema()
        self._shortest = self.rules.min_length or 0
        self._longest = self.rules.max_length if self.rules.max_length is not None else sys.maxsize

    def convert(self, value: Any) -> Any:
        if not isinstance(value, Mapping) or not self._shortest <= len(value) <= self._longest:
            raise self.refusal(value)
        try:
            return {self._key(key): self.value.convert(item) for key, item in value.items()}
        except Wrong:
            flaws = (self._flaws(key, item) for key, item in value.items())
            raise Wrong(first(chain.from_iterable(flaws))) from None

    def _key(self, key: Any) -> Any:
        """JSON has text keys only, so `5` arrives as "5"."""
        return self.key.convert(coerce_text(self._key_schema, key) if type(key) is str else key)

    def _flaws(self, key: object, item: object) -> list[FieldError]:
        try:
            self._key(key)
        except Wrong as found:
            return [FieldError(pointer(key), f"The key is wrong. {found.errors[0].detail}")]
        return self.value.flaws(item, key)

    @property
    def hides(self) -> bool:
        return self.value.hides

    def shape(self) -> dict[str, Any]:
        names = {"min_length": "minProperties", "max_length": "maxProperties"}
        limits = limits_schema(self.rules, names)
        if self._key_schema.get("type") == "string" and len(self._key_schema) > 1:
            limits["propertyNames"] = self._key_schema
        return {"type": "object", "additionalProperties": self.value.schema()} | limits

    def guesses(self) -> Iterable[Any]:
        key = self.key.sample()
        yield {key if isinstance(key, str) else json.dumps(key): self.value.sample()}
        yield {}


@dataclass(eq=False, repr=False)
class Union(Type):
    """One of several types, the first that fits; `nullable` if None is one of them."""

    members: tuple[Type, ...] = ()
    nullable: bool = False

    def limited(self, rules: Param) -> Type:
        """Each rule limits the members it fits; it must fit one."""
        fits = frozenset().union(*(member.fits for member in self.members))
        if rules.limits() - fits:
            return super().limited(rules)
        members = tuple(each.limited(rules.only(each.fits)) for each in self.members)
        return super(Union, replace(self, members=members)).limited(rules.without(LIMITS))

    @property
    def words(self) -> str:
        return " or ".join([m.words for m in self.members] + ["null"] * self.nullable)

    def convert(self, value: Any) -> Any:
        if value is None and self.nullable:
            return None
        failures: list[Wrong] = []
        for member in self.members:
            try:
                return member.convert(value)
            except Wrong as found:
                failures.append(found)
        raise self._clearest(value, failures)

    def _clearest(self, value: object, failures: list[Wrong]) -> Wrong:
        """Prefer an object with a wrong field, it says more than "this is no text"."""
        deep = [found for found in failures if any(error.pointer for error in found.errors)]
        if deep:
            return deep[0]
        if len(failures) > 1:
            return self.refusal(value)
        detail = failures[0].errors[0].detail
        return wrong(detail.replace(self.members[0].words, self.words, 1))

    @property
    def hides(self) -> bool:
        return any(member.hides for member in self.members)

    def shape(self) -> dict[str, Any]:
        schemas = [member.schema() for member in self.members]
        if not self.nullable:
            return {"anyOf": schemas}
        if len(schemas) > 1 or not isinstance(schemas[0].get("type"), str):
            return {"anyOf": [*schemas, {"type": "null"}]} if schemas[0] else {}
        only = schemas[0] | {"type": [schemas[0]["type"], "null"]}
        return only | ({"enum": [*only["enum"], None]} if "enum" in only else {})

    def guesses(self) -> Iterable[Any]:
        return [member.sample() for member in self.members]


@dataclass(frozen=True, slots=True)
class Member:
    """A field of an object: its name in JSON and in Python, its type, its default in JSON form.

    Without an `attribute` it is checked only, as the tag of a Struct is.
    """

    name: str
    attribute: str
    type: Type
    required: bool
    default: Any = NO_DEFAULT

    def schema(self) -> dict[str, Any]:
        """Return the property; a default stands in it if JSON can carry it."""
        known = {} if self.default is NO_DEFAULT else {"default": self.default}
        return self.type.schema() | known


@dataclass(eq=False, repr=False)
class Object(Type):
    """Named fields: a config, a Struct, a dataclass, a TypedDict.

    `make` builds the Python object from the converted fields, `ready` says that a value is one
    already, `others` is the type of fields without a name.
    """

    members: tuple[Member, ...] = ()
    make: Callable[[dict[str, Any]], Any] | None = None
    ready: type | None = None
    others: Type | None = None
    noun = "an object"

    def __post_init__(self) -> None:
        self._types = {member.name: member.type for member in self.members}
        self._converts = {member.name: member.type.convert for member in self.members}
        self._required = frozenset(member.name for member in self.members if member.required)

    def convert(self, value: Any) -> Any:
        if type(value) is not dict and not isinstance(value, Mapping):
            if self.ready and isinstance(value, self.ready):
                return value
            raise self.refusal(value)
        converts = self._converts
        if self._required <= value.keys():
            try:
                found = {name: converts[name](item) for name, item in value.items()}
            except (KeyError, Wrong):
                found = self._one_by_one(value)
        else:
            found = self._one_by_one(value)
        return found if self.make is None else self._made(found)

    def _one_by_one(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        errors: list[FieldError] = []
        found = {}
        for name, item in value.items():
            if len(errors) >= MOST:
                break
            kind = self._types.get(name, self.others) if isinstance(name, str) else None
            if kind is None:
                errors.append(FieldError(pointer(name), self._unknown(str(name))))
            elif flaws := kind.flaws(item, name):
                errors += flaws
            else:
                found[name] = kind.convert(item)
        for name in sorted(self._required - value.keys(), key=list(self._types).index):
            detail = f"This field is missing. Give {self._types[name].words}."
            errors.append(FieldError(pointer(name), detail))
        if errors:
            raise Wrong(errors)
        return found

    def _unknown(self, name: str) -> str:
        known = ", ".join(self._types)
        fallback = f" The fields are {known}." if known else " Leave it out: there are no fields."
        return f"There is no field {name}." + (nearest(name, self._types) or fallback)

    def _made(self, found: dict[str, Any]) -> Any:
        given = [member for member in self.members if member.attribute and member.name in found]
        attributes = {member.attribute: found[member.name] for member in given}
        try:
            return self.make(attributes) if self.make else attributes
        except (TypeError, ValueError) as error:
            raise wrong(str(error)) from error

    @property
    def hides(self) -> bool:
        return any(member.type.hides for member in self.members)

    def shape(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {member.name: member.schema() for member in self.members},
            "required": [member.name for member in self.members if member.required],
            "additionalProperties": False if self.others is None else self.others.schema(),
        }

    def guesses(self) -> Iterable[Any]:
        yield {
            member.name: member.type.sample() if member.required else member.default
            for member in self.members
            if member.required or member.default is not NO_DEFAULT
        }
