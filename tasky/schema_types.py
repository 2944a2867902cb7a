"""The plain types of config fields: each converts a JSON value and describes itself as JSON Schema.

One path both checks and converts, so nothing can be accepted by one and refused by another. A valid
value costs one method call; pointers and sentences are made only for wrong ones.
"""

import json
import math
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from datetime import timedelta
from decimal import Decimal
from itertools import islice
from pathlib import PurePath
from typing import Any, ClassVar, Literal

import msgspec

from tasky.errors import FieldError, nearest
from tasky.schema_json import json_form, shown

BIG = 2**63
"""Integers lie in -BIG..BIG-1, what SQLite and most JSON readers hold."""
DEEP = 100
"""Levels of lists and objects in a free-form value; JSON writers fail on very deep ones."""
MOST = 1000
"""Flaws that one value lists; wording all of a long list would take seconds."""

Bound = int | float | timedelta


@dataclass(frozen=True, slots=True)
class Param:
    """What a type alone does not say about a field: `Annotated[int, Param("Copies", ge=1)]`.

    Bounds of a `timedelta` are timedeltas or seconds. `path` says what the field names: a file, a
    dir, any of them, or a new path. A `secret` is shown neither in messages nor in forms. The first
    of `examples` goes into the sample config. `unit` is for display ("MB"); `extra` is added to the
    JSON Schema as it is.
    """

    description: str = ""
    _: KW_ONLY
    ge: Bound | None = None
    gt: Bound | None = None
    le: Bound | None = None
    lt: Bound | None = None
    multiple_of: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    choices: Sequence[Any] = ()
    path: Literal["file", "dir", "any", "new"] | None = None
    secret: bool = False
    examples: Sequence[Any] = ()
    unit: str = ""
    extra: Mapping[str, Any] | None = None

    def given(self) -> dict[str, Any]:
        """Return what differs from the defaults, by name."""
        pairs = ((item, getattr(self, item.name)) for item in fields(self))
        return {item.name: value for item, value in pairs if value != item.default}

    def limits(self) -> frozenset[str]:
        """Return the names of what narrows the type."""
        return LIMITS & self.given().keys()

    def only(self, names: Iterable[str]) -> "Param":
        """Return a copy that says nothing but `names`."""
        return Param(**{name: value for name, value in self.given().items() if name in names})

    def without(self, names: Iterable[str]) -> "Param":
        """Return a copy that says nothing of `names`."""
        return self.only(self.given().keys() - set(names))


LENGTHS = frozenset({"min_length", "max_length"})
_BOUNDS = frozenset({"ge", "gt", "le", "lt"})
LIMITS = LENGTHS | _BOUNDS | {"multiple_of", "pattern", "choices", "path"}
_PHRASES = {
    "unit": "in {}",
    "ge": "at least {}",
    "gt": "more than {}",
    "le": "at most {}",
    "lt": "less than {}",
    "multiple_of": "a multiple of {}",
    "min_length": "length at least {}",
    "max_length": "length at most {}",
    "pattern": "matching {}",
}


class Wrong(Exception):  # never leaves the schema modules
    """A value does not fit; `errors` names every wrong leaf in it."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__()
        self.errors = errors


def first(flaws: Iterable[FieldError]) -> list[FieldError]:
    """Return the first `MOST` of the flaws, without looking for more."""
    return list(islice(flaws, MOST))


def wrong(detail: str) -> Wrong:
    """Return the `Wrong` of the value itself."""
    return Wrong([FieldError("", detail)])


@dataclass(eq=False, repr=False)
class Type(ABC):
    """What all types share; `words` name a good value in a sentence."""

    rules: Param = field(default=Param(), kw_only=True)
    fits: ClassVar[frozenset[str]] = frozenset()
    noun = "a value"

    @abstractmethod
    def convert(self, value: Any) -> Any:
        """Return the Python value; raise `Wrong` with all that is wrong."""

    @abstractmethod
    def shape(self) -> dict[str, Any]:
        """Return the JSON Schema without description and examples."""

    @abstractmethod
    def guesses(self) -> Iterable[Any]:
        """Yield values in JSON form that may serve as a sample."""

    @property
    def hides(self) -> bool:
        """Whether a value may hold a secret, so that no sentence may repeat it."""
        return False

    @property
    def words(self) -> str:
        given = self.rules.given()
        phrases = [text.format(given[name]) for name, text in _PHRASES.items() if name in given]
        return f"{self.noun} ({', '.join(phrases)})" if phrases else self.noun

    def refusal(self, value: object) -> Wrong:
        """Return what to say about a value that is none of this type."""
        if self.hides:
            return wrong(f"Must be {self.words}; the value is secret and not shown.")
        return wrong(f"Must be {self.words}, not {shown(value)}.")

    def accepts(self, value: object) -> bool:
        """Tell whether `value` converts."""
        try:
            self.convert(value)
        except Wrong:
            return False
        return True

    def flaws(self, value: object, key: object) -> list[FieldError]:
        """Return what is wrong with the value that stands under `key`."""
        try:
            self.convert(value)
        except Wrong as found:
            return [FieldError(pointer(key) + each.pointer, each.detail) for each in found.errors]
        return []

    def limited(self, rules: Param) -> "Type":
        """Return the type narrowed by `rules`; raise TypeError for a rule that does not fit it."""
        if unfit := sorted(rules.limits() - self.fits):
            raise TypeError(f"{', '.join(unfit)} cannot limit {self.noun}")
        merged = Param(**(self.rules.given() | rules.without(("choices", "secret")).given()))
        narrowed: Type = replace(self, rules=merged)
        if rules.choices:
            narrowed = Chosen(narrowed, tuple(rules.choices))
        return Secret(narrowed) if rules.secret else narrowed

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema, draft 2020-12, of the JSON form."""
        rules, schema = self.rules, self.shape()
        if rules.description:
            schema["description"] = rules.description
        if rules.examples:
            schema["examples"] = [json_form(example) for example in rules.examples]
        if rules.unit:
            schema["x-unit"] = rules.unit
        return schema | dict(rules.extra or {})

    def sample(self) -> Any:
        """Return a value in JSON form that this type accepts, if one can be guessed."""
        guesses = [*map(json_form, self.rules.examples), *self.guesses()]
        return next((guess for guess in guesses if self.accepts(guess)), guesses[0])


def pointer(key: object) -> str:
    """Return `key` as one step of a JSON pointer (RFC 6901)."""
    return "/" + str(key).replace("~", "~0").replace("/", "~1")


def limits_schema(rules: Param, names: Mapping[str, str]) -> dict[str, Any]:
    given = rules.given()
    return {names[name]: json_form(given[name]) for name in names if name in given}


_NUMBER_NAMES = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}


def _closed(rules: Param, low: Any, high: Any, after: Callable[[Any, int], Any]) -> tuple[Any, Any]:
    """Turn the bounds into a closed interval; `after(x, ±1)` is the nearest value beside x."""
    lows = [low, rules.ge, None if rules.gt is None else after(rules.gt, 1)]
    highs = [high, rules.le, None if rules.lt is None else after(rules.lt, -1)]
    return (
        max(bound for bound in lows if bound is not None),
        min(bound for bound in highs if bound is not None),
    )


def _on_step(value: float, step: float) -> bool:
    return math.isclose(math.remainder(value, step), 0, abs_tol=1e-9)


@dataclass(eq=False, repr=False)
class Integer(Type):
    fits = _BOUNDS | {"multiple_of", "choices"}
    noun = "a whole number"

    def __post_init__(self) -> None:
        self._low, self._high = _closed(
            self.rules,
            -BIG,
            BIG - 1,
            lambda bound, to: math.floor(bound) + 1 if to > 0 else math.ceil(bound) - 1,
        )
        self._step = self.rules.multiple_of

    def convert(self, value: Any) -> int:
        # A bool is an int to Python, not to people.
        if (
            type(value) is int
            and self._low <= value <= self._high
            and (self._step is None or value % self._step == 0)
        ):
            return value
        if type(value) is int and not -BIG <= value < BIG:
            raise wrong(f"Must be {self.words} of at most 64 bits, not {shown(value)}.")
        raise self.refusal(value)

    def shape(self) -> dict[str, Any]:
        return {"type": "integer"} | limits_schema(self.rules, _NUMBER_NAMES)

    def guesses(self) -> Iterable[Any]:
        step = max(1, math.ceil(self._step or 1))
        yield from (1, step, math.ceil(self._low), math.floor(self._high), 0)
        yield math.ceil(self._low / step) * step


@dataclass(eq=False, repr=False)
class Number(Type):
    fits = _BOUNDS | {"multiple_of", "choices"}
    noun = "a number"

    def __post_init__(self) -> None:
        most = sys.float_info.max
        self._low, self._high = _closed(
            self.rules, -most, most, lambda bound, to: math.nextafter(bound, to * math.inf)
        )
        self._step = self.rules.multiple_of

    def convert(self, value: Any) -> float:
        whole = type(value) is int and -BIG <= value < BIG
        number = float(value) if whole else value
        # NaN and infinity fall out of the interval by themselves.
        if (
            type(number) is float
            and self._low <= number <= self._high
            and (self._step is None or _on_step(number, self._step))
        ):
            return number
        raise self.refusal(value)

    def shape(self) -> dict[str, Any]:
        return {"type": "number"} | limits_schema(self.rules, _NUMBER_NAMES)

    def guesses(self) -> Iterable[Any]:
        yield from (1.0, float(self._step or 0.5), self._low, self._high)
        yield (self._low + self._high) / 2


@dataclass(eq=False, repr=False)
class Boolean(Type):
    noun = "true or false"

    def convert(self, value: Any) -> bool:
        if value is True or value is False:
            return bool(value)
        raise self.refusal(value)

    def shape(self) -> dict[str, Any]:
        return {"type": "boolean"}

    def guesses(self) -> Iterable[Any]:
        yield False


_SAMPLE_PATHS = {"dir": "path/to/directory", "new": "path/to/new-file"}


@dataclass(eq=False, repr=False)
class Text(Type):
    """A text or, with another `cls` than str, a path."""

    cls: Callable[[str], Any] = str
    fits = LENGTHS | {"pattern", "path", "choices"}

    def __post_init__(self) -> None:
        self._is_path = self.cls is not str or self.rules.path is not None
        self._pattern = _compiled(self.rules.pattern) if self.rules.pattern else None
        self._shortest = self.rules.min_length or 0
        self._longest = self.rules.max_length if self.rules.max_length is not None else sys.maxsize
        self._free = not self._is_path and not self.rules.limits()
        self.noun = "a path" if self._is_path else "a text"

    def convert(self, value: Any) -> Any:
        if isinstance(value, str):
            if (value.isascii() or _is_unicode(value)) and (self._free or self._fitting(value)):
                return value if self.cls is str else self.cls(value)
        elif self._is_path and isinstance(value, PurePath):
            return self.convert(str(value))
        raise self.refusal(value)

    def _fitting(self, text: str) -> bool:
        return (
            self._shortest <= len(text) <= self._longest
            and (not self._is_path or (text != "" and "\0" not in text))
            and (self._pattern is None or self._pattern.search(text) is not None)
        )

    def refusal(self, value: object) -> Wrong:
        if isinstance(value, str) and not _is_unicode(value):
            return wrong(f"Must be {self.words} in Unicode; this one has lone surrogates.")
        if isinstance(value, str) and self._is_path and "\0" in value:
            return wrong(f"Must be {self.words} without NUL characters, not {shown(value)}.")
        return super().refusal(value)

    def shape(self) -> dict[str, Any]:
        names = {"min_length": "minLength", "max_length": "maxLength", "pattern": "pattern"}
        path = {"format": "path", "x-path": self.rules.path or "any"} if self._is_path else {}
        return {"type": "string"} | path | limits_schema(self.rules, names)

    def guesses(self) -> Iterable[Any]:
        word = _SAMPLE_PATHS.get(self.rules.path or "", "path/to/file") if self._is_path else "text"
        yield (word * (self._shortest // len(word) + 1))[: max(self._shortest, len(word))]
        yield from (word[: self._longest], "a" * max(1, self._shortest), "1" * self._shortest)


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the pattern {pattern} is wrong, {error}") from error


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_AMOUNT = r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d|w)\s*"
_AMOUNTS = re.compile(f"(?:{_AMOUNT})+")
_EACH_AMOUNT = re.compile(_AMOUNT)
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(eq=False, repr=False)
class Duration(Type):
    """A `timedelta` from "90s", "1h30m", ISO 8601 ("PT90S") or a number of seconds."""

    fits = _BOUNDS | {"choices"}
    noun = 'a duration such as "90s", "5m", "1.5h" or a number of seconds'

    def __post_init__(self) -> None:
        bounds = {name: _timedelta(self.rules.given()[name]) for name in self.rules.limits()}
        self.rules = Param(**(self.rules.given() | bounds))
        self._low, self._high = _closed(
            self.rules,
            timedelta.min,
            timedelta.max,
            lambda bound, to: bound + to * timedelta.resolution,
        )

    def convert(self, value: Any) -> timedelta:
        try:
            duration = _timedelta(value)
        except (ValueError, OverflowError, msgspec.ValidationError):
            raise self.refusal(value) from None
        if self._low <= duration <= self._high:
            return duration
        raise self.refusal(value)

    def shape(self) -> dict[str, Any]:
        names = {"ge": "formatMinimum", "gt": "formatExclusiveMinimum"}
        names |= {"le": "formatMaximum", "lt": "formatExclusiveMaximum"}
        return {"type": "string", "format": "duration"} | limits_schema(self.rules, names)

    def guesses(self) -> Iterable[Any]:
        yield "10s"
        yield from (json_form(bound) for bound in (self._low, self._high))


def _timedelta(value: object) -> timedelta:
    """Read a duration; raise ValueError, OverflowError or `msgspec.ValidationError`."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return timedelta(seconds=value)
    if isinstance(value, str) and _AMOUNTS.fullmatch(value):
        amounts = _EACH_AMOUNT.findall(value)
        return timedelta(seconds=sum(float(count) * _SECONDS[unit] for count, unit in amounts))
    return msgspec.convert(value, timedelta)


@dataclass(eq=False, repr=False)
class Scalar(Type):
    """A type that msgspec reads from a text: datetime, date, time, UUID, Decimal, bytes."""

    cls: type = bytes
    name: str = ""
    form: Mapping[str, Any] = field(default_factory=dict)
    guess: Any = ""
    fits = frozenset({"choices"})

    def convert(self, value: Any) -> Any:
        try:
            converted: Any = msgspec.convert(value, self.cls)
        except msgspec.ValidationError:
            raise self.refusal(value) from None
        if isinstance(converted, Decimal) and not converted.is_finite():
            raise self.refusal(value)
        return converted

    @property
    def words(self) -> str:
        return self.name

    def shape(self) -> dict[str, Any]:
        return dict(self.form)

    def guesses(self) -> Iterable[Any]:
        yield self.guess


@dataclass(eq=False, repr=False)
class Choice(Type):
    """One of a few values: a `Literal` or an `Enum`; `table` pairs JSON form and Python value."""

    table: tuple[tuple[Any, Any], ...] = ()

    def __post_init__(self) -> None:
        # With the type in the key 1, 1.0 and true stay different.
        self._values = {(type(key), key): value for key, value in self.table}
        self._values |= {(type(value), value): value for _, value in self.table}

    def convert(self, value: Any) -> Any:
        try:
            return self._values[type(value), value]
        except (KeyError, TypeError):
            raise self.refusal(value) from None

    @property
    def words(self) -> str:
        return _one_of(self.guesses())

    def refusal(self, value: object) -> Wrong:
        return _not_chosen(value, list(self.guesses()))

    def shape(self) -> dict[str, Any]:
        values = list(self.guesses())
        kinds = {_JSON_TYPES[type(value)] for value in values}
        return ({"type": kinds.pop()} if len(kinds) == 1 else {}) | {"enum": values}

    def guesses(self) -> Iterable[Any]:
        return [key for key, _ in self.table]


_JSON_TYPES = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}


def _one_of(values: Iterable[Any]) -> str:
    texts = [json.dumps(value, ensure_ascii=False) for value in values]
    return f"one of {', '.join(texts)}" if len(texts) > 1 else "".join(texts)


def _not_chosen(value: object, choices: Sequence[Any]) -> Wrong:
    near = nearest(value, map(str, choices)) if isinstance(value, str) else ""
    return wrong(f"Must be {_one_of(choices)}, not {shown(value)}.{near}")


@dataclass(eq=False, repr=False)
class Chosen(Type):
    """Another type, narrowed to a few of its values."""

    inner: Type = field(default_factory=Type)
    choices: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        self._allowed = [self.inner.convert(choice) for choice in self.choices]

    def convert(self, value: Any) -> Any:
        try:
            converted = self.inner.convert(value)
        except Wrong:
            raise self.refusal(value) from None
        if converted in self._allowed:
            return converted
        raise self.refusal(value)

    @property
    def words(self) -> str:
        return _one_of(self.guesses())

    def refusal(self, value: object) -> Wrong:
        return _not_chosen(value, list(self.guesses()))

    def shape(self) -> dict[str, Any]:
        return self.inner.schema() | {"enum": list(self.guesses())}

    def guesses(self) -> Iterable[Any]:
        return [json_form(choice) for choice in self.choices]


@dataclass(eq=False, repr=False)
class Secret(Type):
    """Another type whose values no message repeats."""

    inner: Type = field(default_factory=Type)

    def convert(self, value: Any) -> Any:
        try:
            return self.inner.convert(value)
        except Wrong:
            raise self.refusal(value) from None

    @property
    def hides(self) -> bool:
        return True

    @property
    def words(self) -> str:
        return self.inner.words

    def shape(self) -> dict[str, Any]:
        return self.inner.schema() | {"writeOnly": True, "format": "password"}

    def guesses(self) -> Iterable[Any]:
        return [self.inner.sample()]


@dataclass(eq=False, repr=False)
class Free(Type):
    """Any JSON value."""

    noun = "a JSON value"

    def convert(self, value: Any) -> Any:
        if value is None or type(value) is bool:
            return value
        if errors := first(FieldError(at, detail) for at, detail in _unfit(value, "", 0)):
            raise Wrong(errors)
        return value

    def shape(self) -> dict[str, Any]:
        return {}

    def guesses(self) -> Iterable[Any]:
        yield "text"


_LEAVES: dict[type, Type] = {str: Text(), int: Integer(), float: Number()}


def _unfit(value: Any, at: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > DEEP:
        yield at, f"Must be nested at most {DEEP} levels deep."
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str) or not _is_unicode(key):
                yield at + pointer(ascii(key)), "Must have a key that is a text in Unicode."
            else:
                yield from _unfit(item, at + pointer(key), depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _unfit(item, f"{at}/{index}", depth + 1)
    elif value is not None and not isinstance(value, bool):
        yield from _unfit_leaf(value, at)


def _unfit_leaf(value: Any, at: str) -> Iterator[tuple[str, str]]:
    if (kind := _LEAVES.get(type(value))) is None:
        yield at, f"Must be a JSON value, not {shown(value)}."
    else:
        yield from ((at, flaw.detail) for flaw in kind.flaws(value, ""))
