r"""The query language of every list: text → `Query`, and `str()` back to its normal form.

    query  = { term } ;                    terms are joined by AND; the empty query is everything
    term   = [ "-" ] ( field ":" test | text ) ;                             "-" negates one term
    test   = [ op ] value { "," value } | value ".." [ value ] | ".." value ;
    op     = "=" | ">" | ">=" | "<" | "<=" ;
    field  = name { "." key } ;                    key: letters, digits, _ - [n], or quoted
    value  = word | quoted ;   text = word | quoted ;
                                 word: no blank, comma or double quote; * is any characters
    quoted = '"' { character | '\"' | '\\' } '"' ;    nothing inside is special, * neither

Ages and words like `today` stay what they are; they become moments when `tasky.store.filters`
compiles the tree with a time and a zone.
"""

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from zoneinfo import ZoneInfo

from tasky.clock import MICROSECONDS
from tasky.errors import BadRequest, FieldError, QueryInvalid
from tasky.states import State

MAX_CHARACTERS = 2_000
MAX_TERMS = 30

# -- what may be asked ---------------------------------------------------------------------------


class Kind(StrEnum):
    """How the values of a field are read and compared."""

    CHOICE = "choice"
    NAME = "name"
    TIME = "time"
    SPAN = "span"
    NUMBER = "number"
    TEXT = "text"
    VALUE = "value"


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its kind; for a closed choice its words, and what an error calls one of them."""

    kind: Kind
    words: tuple[str, ...] = ()
    noun: str = ""


Fields = Mapping[str, Field]
"""Fields by name; a name that ends with "." wants a key, as `label.KEY` does."""


def _all(names: str, kind: Kind) -> dict[str, Field]:
    return dict.fromkeys(names.split(), Field(kind))


IS_WORDS = (
    "open", "final", "trouble", "stalled", "slow", "tracked", "retried", "overdue", "quarantined",
)  # fmt: skip

TASK_FIELDS: Fields = MappingProxyType(
    {
        "status": Field(Kind.CHOICE, tuple(State), "a status"),
        "wish": Field(Kind.CHOICE, ("cancel", "pause"), "a wish"),
        "is": Field(Kind.CHOICE, IS_WORDS, 'a word for "is"'),
        # Which executors, origins and queues there are is known to the database only.
        **_all("executor origin queue", Kind.CHOICE),
        **_all("id worker job job.type job.namespace correlation chain schedule", Kind.NAME),
        **_all("agent parent by label.", Kind.NAME),
        **_all("created queued started ended due", Kind.TIME),
        **_all("duration wait timeout", Kind.SPAN),
        **_all("priority attempt progress exit", Kind.NUMBER),
        **_all("error log output", Kind.TEXT),
        **_all("config. output. meta.", Kind.VALUE),
    }
)

ALIASES = {"state": "status"}

_ORDERED = frozenset({Kind.TIME, Kind.SPAN, Kind.NUMBER})
"""Kinds with ranges."""

_COMPARED = _ORDERED | {Kind.VALUE}
"""Kinds that know larger and smaller."""

# -- the tree ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    """Characters to find; between two `parts` any characters may stand.

    `quoted` marks a text that would be a number or a constant without its quotes.
    """

    parts: tuple[str, ...]
    quoted: bool = False

    @property
    def anything(self) -> bool:
        """Whether it is a lone `*`: the field only has to be there."""
        return self.parts == ("", "")

    def __str__(self) -> str:
        if len(self.parts) > 1:
            return "*".join(self.parts)
        plain = _PLAIN.fullmatch(self.parts[0]) and not self.quoted
        return self.parts[0] if plain else _quote(self.parts[0])


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, `true`, `false` or `null`, as it was written."""

    text: str

    @property
    def value(self) -> int | float | bool | None:
        """The value; an integer of more than 64 bits comes as a float, as SQLite has it."""
        if self.text in _CONSTANTS:
            return _CONSTANTS[self.text]
        number = float(self.text)
        whole = self.text.lstrip("-").isdigit() and abs(number) < 2**63
        return int(self.text) if whole else number

    @property
    def is_number(self) -> bool:
        """Whether it is neither of the constants."""
        return self.text not in _CONSTANTS

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time, or an age: `90s`, `1.5h`, `1w`."""

    text: str

    @property
    def us(self) -> int:
        """The length in µs."""
        match = _SPAN_FORM.fullmatch(self.text)
        return int(Decimal(match[1]) * _UNITS[match[2]]) if match else 0

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Moment:
    """A day, a minute, a second or a part of one, in ISO 8601, or `today`, `yesterday`."""

    text: str

    def bounds(self, now: int, zone: tzinfo) -> tuple[int, int]:
        """Return its first µs and the first µs after it; `zone` is for a text without one."""
        if len(self.text) < len("2026-11-20T"):
            day = self._day(now, zone)
            return _midnight(day, zone), _midnight(day + timedelta(days=1), zone)
        moment = datetime.fromisoformat(self.text)
        start = _micros(moment if moment.tzinfo else moment.replace(tzinfo=zone))
        return start, start + self._precision()

    def _day(self, now: int, zone: tzinfo) -> date:
        if self.text not in _DAYS:
            return date.fromisoformat(self.text)
        today = datetime.fromtimestamp(now // MICROSECONDS, zone).date()
        return today - timedelta(days=_DAYS[self.text])

    def _precision(self) -> int:
        match = _MOMENT_FORM.fullmatch(self.text)
        if match is None or match["second"] is None:
            return 60 * MICROSECONDS
        return int(MICROSECONDS // 10 ** len(match["fraction"] or ""))

    def __str__(self) -> str:
        return self.text


Value = Text | Literal | Span | Moment


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True when one of `values` fits; `op` is "" (what the kind means by itself), "=", ">", ….

    A closed choice, a time, a span and a number know no difference between "" and "=".
    """

    op: str
    values: tuple[Value, ...]

    def __str__(self) -> str:
        return self.op + ",".join(map(str, self.values))


@dataclass(frozen=True, slots=True)
class Range:
    """True between both ends, each included; a missing end is open."""

    low: Value | None
    high: Value | None

    def __str__(self) -> str:
        return f"{'' if self.low is None else self.low}..{'' if self.high is None else self.high}"


Test = AnyOf | Range


@dataclass(frozen=True, slots=True)
class Term:
    """One condition; without `field` its only value is looked for in the usual places."""

    negated: bool
    field: str | None
    key: tuple[str | int, ...]
    test: Test

    @property
    def name(self) -> str:
        """The field as the table names it: `label.` for `label.env`."""
        return f"{self.field}." if self.key else self.field or ""

    def __str__(self) -> str:
        minus = "-" if self.negated else ""
        if self.field is None:
            return minus + _bare(str(self.test))
        return f"{minus}{self.field}{key_text(self.key)}:{self.test}"


@dataclass(frozen=True, slots=True)
class Query:
    """Terms that must all be true."""

    terms: tuple[Term, ...] = ()

    def __str__(self) -> str:
        return " ".join(map(str, self.terms))


def key_text(key: tuple[str | int, ...], *, quoted: bool = True) -> str:
    """Return `key` as it follows the field's name: `.limits.cpu`, `.files[0]`, `."a b"`."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]" if text else f".[{part}]"
        else:
            text += "." + (_quote(part) if quoted and not _KEY_WORD.fullmatch(part) else part)
    return text


def zone_of(name: str | None) -> tzinfo:
    """Return the time zone of an IANA name; without a name it is UTC.

    Raises `BadRequest` for a zone that is unknown here.
    """
    if name is None or name.upper() in {"UTC", "Z"}:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        why = f'"{name}" is not a time zone such as Europe/Berlin'
        raise BadRequest(what="tz", why=why, errors=[FieldError("/tz", why)]) from None


# -- forms ---------------------------------------------------------------------------------------

# The lookahead keeps `\"` and `\\` together, so that a string of any length is read in one pass.
_QUOTED = r'"(?:\\["\\]|[^"\\]|\\(?!["\\]))*"'
_INDEX = r"\[[0-9]{1,6}\]"
_KEY = rf"\.(?:(?:{_QUOTED}|[\w-]+)(?:{_INDEX})*|(?:{_INDEX})+)"

_BLANKS = re.compile(r"\s*")
_STRING = re.compile(_QUOTED)
_ESCAPE = re.compile(r'\\(["\\])')
_STARS = re.compile(r"\*+")
_WORD = re.compile(r'[^\s,"]+')
_WORD_TO_RANGE = re.compile(r'(?:(?!\.\.)[^\s,"])+')
_FIELD = re.compile(rf"(?P<name>[^\W\d][\w-]*)(?P<keys>(?:{_KEY})*):")
_KEY_PART = re.compile(rf"\.?(?:(?P<index>{_INDEX})|(?P<quoted>{_QUOTED})|(?P<word>[\w-]+))")
_KEY_WORD = re.compile(r"[\w-]+")
_OP = re.compile(r">=|<=|[><=]")
_BROKEN = re.compile("[\0\ud800-\udfff]")

_PLAIN = re.compile(r'[^\s,"*=<>]+')
"""A value that means the same without quotes."""
_BARE_SPECIAL = re.compile(r"[-(].*|.*:.*|OR|AND|NOT", re.DOTALL)
_FOREIGN = frozenset({"OR", "AND", "NOT"})
"""Text that would be something else without quotes."""

_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_NUMBER_FORM = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_UNITS = {
    "us": 1,
    "ms": 1_000,
    "s": MICROSECONDS,
    "m": 60 * MICROSECONDS,
    "h": 3_600 * MICROSECONDS,
    "d": 86_400 * MICROSECONDS,
    "w": 604_800 * MICROSECONDS,
}
_SPAN_FORM = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(us|ms|[smhdw])")
_BARE_SPAN = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_LONGEST_US = 10**18
_LAST_YEAR = 9999
_DAYS = {"today": 0, "yesterday": 1}
_MOMENT_FORM = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:T(?P<minute>[0-9]{2}:[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,6}))?)?"
    r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquote(text: str) -> str:
    return _ESCAPE.sub(r"\1", text[1:-1])


def _bare(text: str) -> str:
    """Quote a text without field where it would be read as something else."""
    special = not text.startswith('"') and "*" not in text and _BARE_SPECIAL.fullmatch(text)
    return _quote(text) if special else text


def _is_number(text: str) -> bool:
    return bool(_NUMBER_FORM.fullmatch(text)) and math.isfinite(float(text))


def _is_literal(text: str) -> bool:
    return text in _CONSTANTS or _is_number(text)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _midnight(day: date, zone: tzinfo) -> int:
    return _micros(datetime.combine(day, time(), tzinfo=zone))


# -- the parser ----------------------------------------------------------------------------------


def parse(text: str, fields: Fields = TASK_FIELDS) -> Query:
    """Return the tree of `text`; its normal form, `str()`, has the same tree.

    Raises `QueryInvalid`, with these among its fields: `why`, the sentence; `at`, the number of
    characters before the place; `length`; `hint`, what to write instead, where that is known.
    """
    if len(text) > MAX_CHARACTERS:
        excess = len(text) - MAX_CHARACTERS
        raise _invalid("The query is longer than 2 000 characters.", MAX_CHARACTERS, excess)
    broken = _BROKEN.search(text)
    if broken:
        raise _invalid(f"The character at {broken.start()} is not text.", broken.start(), 1)
    return Query(tuple(_Parser(text, fields).terms()))


def _invalid(why: str, at: int, length: int, hint: str = "") -> QueryInvalid:
    """Return the error; `hint` is what to write instead, where that is known."""
    return QueryInvalid(why=why, at=at, length=length, hint=hint, errors=[FieldError("/q", why)])


@dataclass(frozen=True, slots=True)
class _Token:
    """One word or quoted string, without its quotes, and where it stands with them."""

    text: str
    quoted: bool
    at: int
    length: int

    def error(self, why: str, hint: str = "") -> QueryInvalid:
        return _invalid(why, self.at, self.length, hint)


class _Parser:
    """Reads one text from left to right; `at` is the next character."""

    def __init__(self, text: str, fields: Fields) -> None:
        self.text = text
        self.fields = fields
        self.at = 0

    def terms(self) -> Iterator[Term]:
        """Yield every term."""
        count = 0
        while self._find_next():
            if count == MAX_TERMS:
                rest = len(self.text.rstrip()) - self.at
                raise _invalid("The query has more than 30 terms.", self.at, rest)
            count += 1
            yield self._term()
            self._expect_end_of_term()

    def _find_next(self) -> bool:
        match = _BLANKS.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at < len(self.text)

    def _take(self, sign: str) -> bool:
        found = self.text.startswith(sign, self.at)
        self.at += len(sign) if found else 0
        return found

    def _ended(self) -> bool:
        return self.at == len(self.text) or self.text[self.at].isspace()

    def _expect_end_of_term(self) -> None:
        if self._ended():
            return
        at = self.at
        if self.text[at] == '"':
            self._token(_WORD)  # that a quote is open explains more
            self.at = at
        raise self._stray()

    def _lone_minus(self) -> QueryInvalid:
        hint = 'write "-" in quotes to search for it'
        return _invalid(f'"-" stands before nothing; {hint}.', self.at - 1, 1, hint)

    def _stray(self) -> QueryInvalid:
        rest = self.text[self.at :].split(maxsplit=1)[0]
        hint = "put a blank before it, or the whole text in quotes"
        return _invalid(f'"{rest}" does not belong here; {hint}.', self.at, len(rest), hint)

    def _token(self, word: re.Pattern[str]) -> _Token | None:
        """Take a quoted string or a word; None when neither begins here."""
        quoted = self.text.startswith('"', self.at)
        match = (_STRING if quoted else word).match(self.text, self.at)
        if match is None and quoted:
            rest = len(self.text) - self.at
            raise _invalid(f"The quote opened at {self.at} is not closed.", self.at, rest)
        if match is None:
            return None
        self.at = match.end()
        text = _unquote(match[0]) if quoted else match[0]
        return _Token(text, quoted, match.start(), len(match[0]))

    def _term(self) -> Term:
        negated = self._take("-")
        match = _FIELD.match(self.text, self.at)
        if match is None:
            return Term(negated, None, (), self._free_text(negated))
        name, key = self._field(match)
        field = self.fields[f"{name}." if key else name]
        self.at = match.end()
        return Term(negated, name, key, self._test(field, match))

    def _free_text(self, negated: bool) -> Test:
        token = self._token(_WORD)
        if token is None:
            raise self._lone_minus() if negated and self._ended() else self._stray()
        if not token.quoted and (token.text in _FOREIGN or token.text.startswith("(")):
            raise token.error(
                "OR and brackets are not part of the language; a comma joins several values.",
                "a comma joins several values",
            )
        return AnyOf("", (_read_text(token),))

    def _field(self, match: re.Match[str]) -> tuple[str, tuple[str | int, ...]]:
        """Return the name and the key of a field there is."""
        name = match["name"].lower()
        key = tuple(self._key(match))
        name = ALIASES.get(name, name)
        if len(key) == 1 and f"{name}.{key[0]}" in self.fields:
            return f"{name}.{key[0]}", ()
        if (f"{name}." if key else name) in self.fields:
            return name, key
        written = match[0][:-1]
        if not key and f"{name}." in self.fields:
            hint = f"write {name}.name:value"
            raise _invalid(f'"{written}" needs a key; {hint}.', match.start(), len(written), hint)
        raise self._unknown_field(written, match.start())

    def _unknown_field(self, written: str, at: int) -> QueryInvalid:
        known = [name for name in (*self.fields, *ALIASES) if not name.endswith(".")]
        near = difflib.get_close_matches(written.lower(), known, n=1)
        hint = "Put the text in quotes to search for it."
        if near:
            hint = f'Did you mean "{ALIASES.get(near[0], near[0])}", or the text in quotes?'
        return _invalid(f'Unknown field "{written}". {hint}', at, len(written), hint)

    def _key(self, match: re.Match[str]) -> Iterator[str | int]:
        for part in _KEY_PART.finditer(match["keys"]):
            if part["index"]:
                yield int(part["index"][1:-1])
                continue
            word = _unquote(part["quoted"]) if part["quoted"] else part["word"]
            if '"' in word:
                # A JSON path of SQLite has no way to write one.
                at = match.start("keys") + part.start()
                raise _invalid("A key cannot contain a double quote.", at, len(part[0]))
            yield word

    def _test(self, field: Field, match: re.Match[str]) -> Test:
        ordered = field.kind in _ORDERED
        op = self._op(field, match)
        word = _WORD_TO_RANGE if ordered else _WORD
        token = self._token(word)
        if ordered and self._take(".."):
            return self._range(field, op, token, match)
        if token is None:
            raise self._no_value(match)
        values = [_read(field, op, token)]
        while self._take(","):
            token = self._token(word)
            if token is None:
                raise self._no_value(match)
            values.append(_read(field, op, token))
        plain = op == "=" and (ordered or field.words)
        return AnyOf("" if plain else op, tuple(dict.fromkeys(values)))

    def _op(self, field: Field, match: re.Match[str]) -> str:
        found = _OP.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        op = found[0]
        if op != "=" and field.kind not in _COMPARED:
            why = f'"{match[0][:-1]}" cannot be compared with "{op}".'
            raise _invalid(why, match.start(), self.at - match.start())
        return op

    def _range(self, field: Field, op: str, token: _Token | None, match: re.Match[str]) -> Range:
        if op:
            raise _invalid(f'A range takes no "{op}".', match.end(), len(op))
        end = self._token(_WORD_TO_RANGE)
        if token is None and end is None:
            raise self._no_value(match)
        # Between two ends an age is a moment like any other.
        low, high = (None if t is None else _read(field, "..", t) for t in (token, end))
        return Range(low, high)

    def _no_value(self, match: re.Match[str]) -> QueryInvalid:
        written = self.text[match.start() : self.at]
        return _invalid(f'"{written}" has no value.', match.start(), len(written))


# -- values --------------------------------------------------------------------------------------


def _read(field: Field, op: str, token: _Token) -> Value:
    """Return the value of `token` as the kind of `field` understands it."""
    match field.kind:
        case Kind.CHOICE if field.words:
            return _read_choice(field, token)
        case Kind.TIME:
            return _read_time(op, token)
        case Kind.SPAN:
            return _read_span(token)
        case Kind.NUMBER:
            return _read_number(token)
        case Kind.VALUE:
            return _read_value(op, token)
        case _:
            return _read_text(token)


def _read_text(token: _Token) -> Text:
    if token.quoted:
        return Text((token.text,))
    return Text(tuple(_STARS.sub("*", token.text).split("*")))


def _read_choice(field: Field, token: _Token) -> Text:
    word = token.text.lower()
    if word in field.words:
        return Text((word,))
    near = difflib.get_close_matches(word, field.words, n=1)
    hint = f'Did you mean "{near[0]}"?' if near else ""
    raise token.error(f'"{token.text}" is not {field.noun}: {", ".join(field.words)}.', hint)


def _read_time(op: str, token: _Token) -> Span | Moment:
    text = token.text.lower()
    if _is_span(text):
        if op in {"", "="}:
            hint = f"write <{text} for younger, >{text} for older"
            raise token.error(f'"{text}" is an age; {hint}.', hint)
        return Span(text)
    if text in _DAYS:
        return Moment(text)
    moment = text.upper().replace(" ", "T")
    if _is_moment(moment):
        return Moment(moment)
    hint = "write 2h, 2026-11-20 or today"
    raise token.error(f'"{token.text}" is not a time; {hint}.', hint)


def _is_span(text: str) -> bool:
    return bool(_SPAN_FORM.fullmatch(text)) and Span(text).us <= _LONGEST_US


def _is_moment(text: str) -> bool:
    """Tell whether `text` is a moment that any zone may shift."""
    if not _MOMENT_FORM.fullmatch(text):
        return False
    try:
        return 1 < datetime.fromisoformat(text).year < _LAST_YEAR
    except ValueError:
        return False


def _read_span(token: _Token) -> Span:
    text = token.text.lower()
    text += "s" if _BARE_SPAN.fullmatch(text) else ""
    if _is_span(text):
        return Span(text)
    hint = "write 90s, 5m or 2h"
    raise token.error(f'"{token.text}" is not a span; {hint}.', hint)


def _read_number(token: _Token) -> Literal:
    if _is_number(token.text):
        return Literal(token.text)
    raise token.error(f'"{token.text}" is not a number.')


def _read_value(op: str, token: _Token) -> Text | Literal:
    if op not in {"", "="}:
        return _read_number(token)
    if not _is_literal(token.text):
        return _read_text(token)
    return Text((token.text,), quoted=True) if token.quoted else Literal(token.text)
