"""`Query` → the WHERE of a list of tasks: SQL from a closed table, every value a bound parameter.

The SQL expects `FROM task` and, where it says `execution.`, that table joined on
`task.execution_id`. What a worker says of itself is asked in subqueries, so that no list needs
its join for a filter.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from json import dumps
from typing import NamedTuple

from tasky.clock import MICROSECONDS
from tasky.query import (
    AnyOf,
    Literal,
    Moment,
    Query,
    Span,
    Term,
    Test,
    Text,
    Value,
    key_text,
    zone_of,
)
from tasky.states import FINAL, OPEN, State

MINUTE_US = 60 * MICROSECONDS

Part = tuple[str, tuple[object, ...]]
"""A piece of SQL and its parameters."""

Interval = tuple[int | None, int | None]
"""From the first included to the second excluded, in µs; None is open."""


class Where(NamedTuple):
    """A condition. `created` bounds `task.created_at`; it repeats what the SQL says.

    `indexed`: one index, or the order of the ids, leads to the matches and to nothing else.
    """

    sql: str
    parameters: tuple[object, ...]
    indexed: bool
    created: Interval = (None, None)


@dataclass(frozen=True, slots=True)
class _When:
    """What ages and words like `today` are counted from, and the worker's column."""

    now: int
    zone: tzinfo
    worker: str = "task.worker_id"


_Build = Callable[[Term, _When], Part]
"""Makes the SQL of one field's terms."""


def where(query: Query, now: int, tz: str | None = None) -> Where:
    """Return the condition of `query`; `now` is in µs, `tz` an IANA name, UTC without one.

    Raises `BadRequest` for a time zone that is unknown here.
    """
    # Open tasks and bad ends are fewer than what a worker ever did: "+" leaves them the lead.
    narrow = any(_is_narrow(term) for term in query.terms)
    when = _When(now, zone_of(tz), "+task.worker_id" if narrow else "task.worker_id")
    parts = [_term(term, when) for term in query.terms]
    sql = " AND ".join(f"({part[0]})" for part in parts) or "1"
    parameters = tuple(value for part in parts for value in part[1])
    return Where(sql, parameters, _is_indexed(query), _created(query, when))


def _term(term: Term, when: _When) -> Part:
    sql, parameters = _FIELDS[term.name](term, when)
    # A field that is missing makes the condition NULL; its negation is true all the same.
    return (f"({sql}) IS NOT TRUE" if term.negated else sql), parameters


def _is_indexed(query: Query) -> bool:
    rest = [term for term in query.terms if term.field != "created" or term.negated]
    return not rest or (len(rest) == 1 and _leads(rest[0]))


def _is_narrow(term: Term) -> bool:
    """Tell whether all matches of `term` lie in the indexes of open tasks and of bad ends."""
    words = {text.parts[0] for text in _texts(term.test)}
    narrow = _NARROW.get(term.field or "", frozenset())
    return not term.negated and words <= narrow and bool(narrow)


def _leads(term: Term) -> bool:
    """Tell whether one index holds exactly the matches of `term`, in the order of the ids."""
    values = _values(term.test)
    if term.negated or len(values) != 1 or not isinstance(values[0], Text):
        return False
    match term.field:
        case "id" | "worker":
            return len(values[0].parts) == 1
        case "status":
            return values[0].parts[0] != State.SUCCEEDED
        case _:
            return False


def _created(query: Query, when: _When) -> Interval:
    """Return bounds of the creation time that every match keeps."""
    low: int | None = None
    high: int | None = None
    for term in query.terms:
        if term.field == "created" and not term.negated:
            starts, ends = zip(*_times(term.test, when), strict=True)
            low = _tighter(low, None if None in starts else min(starts), max)
            high = _tighter(high, None if None in ends else max(ends), min)
    return low, high


def _tighter(old: int | None, new: int | None, choose: Callable[[int, int], int]) -> int | None:
    if old is None or new is None:
        return old if new is None else new
    return choose(old, new)


# -- joining pieces ------------------------------------------------------------------------------


def _values(test: Test) -> tuple[Value, ...]:
    return test.values if isinstance(test, AnyOf) else ()


def _op(test: Test) -> str:
    return test.op if isinstance(test, AnyOf) else ""


def _texts(test: Test) -> list[Text]:
    return [value for value in _values(test) if isinstance(value, Text)]


def _any(parts: Sequence[Part]) -> Part:
    """Join with OR, as a balanced tree: SQLite refuses expressions deeper than 1 000."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    left, right = _any(parts[:half]), _any(parts[half:])
    return f"({left[0]}) OR ({right[0]})", left[1] + right[1]


# -- text ----------------------------------------------------------------------------------------


def _whole(column: Part, text: Text) -> Part:
    """Compare the whole value, case as written."""
    sql, parameters = column
    if text.anything:
        return f"{sql} IS NOT NULL", parameters
    if len(text.parts) == 1:
        return f"{sql} = ?", (*parameters, text.parts[0])
    return f"{sql} GLOB ?", (*parameters, "*".join(map(_glob, text.parts)))


def _folded(column: Part, text: Text) -> Part:
    """Compare the whole value, case ignored."""
    sql, parameters = column
    if text.anything:
        return f"{sql} IS NOT NULL", parameters
    if all(part.isascii() for part in text.parts):
        pattern = "%".join(map(_like, text.parts))
        return f"{sql} LIKE ? ESCAPE '\\'", (*parameters, pattern)
    # LIKE ignores the case of ASCII letters only.
    pattern = "*".join("".join(map(_either_case, part)) for part in text.parts)
    return f"{sql} GLOB ?", (*parameters, pattern)


def _inside(column: Part, text: Text) -> Part:
    """Look for it inside, case ignored."""
    if text.anything:
        return _folded(column, text)
    return _folded(column, Text(("", *text.parts, "")))


def _like(text: str) -> str:
    for special in "\\%_":
        text = text.replace(special, f"\\{special}")
    return text


def _glob(text: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in text)


def _either_case(character: str) -> str:
    both = sorted({character, character.lower(), character.upper()})
    variants = "".join(variant for variant in both if len(variant) == 1)
    return f"[{variants}]" if len(variants) > 1 else _glob(character)


def _match_text(column: Part, test: Test) -> Part:
    """Compare as the text kind does."""
    match = _whole if _op(test) == "=" else _inside
    return _any([match(column, text) for text in _texts(test)])


def _match_name(column: Part, test: Test) -> Part:
    """Compare as the name kind does."""
    return _any([_whole(column, text) for text in _texts(test)])


def _match_choice(column: Part, test: Test) -> Part:
    """Compare with words that only the database knows."""
    match = _whole if _op(test) == "=" else _folded
    return _any([match(column, text) for text in _texts(test)])


# -- choices -------------------------------------------------------------------------------------


def _states(states: Iterable[State]) -> str:
    """Return a comparison of the state; a single one is an equation, which the indexes order."""
    words = [f"'{state}'" for state in State if state in set(states)]
    return f"= {words[0]}" if len(words) == 1 else f"IN ({', '.join(words)})"


def _open(states: Iterable[State]) -> str:
    return f"task.ended_at IS NULL AND task.state {_states(states)}"


def _trouble(states: Iterable[State]) -> str:
    return (
        f"task.ended_at IS NOT NULL AND task.state <> 'succeeded' AND task.state {_states(states)}"
    )


_BAD_ENDS = FINAL - {State.SUCCEEDED}

# A worker is slow when it takes three times its mean, known from five runs or more.
_SLOW = """EXISTS (
    SELECT 1 FROM (
        SELECT stat.worker_id AS worker_id, sum(stat.total) / sum(stat.n) AS us
          FROM stat WHERE stat.kind = 'run'
         GROUP BY stat.worker_id HAVING sum(stat.n) >= 5) AS usual
     WHERE usual.worker_id = task.worker_id AND task.started_at < ? - 3 * usual.us)"""

_IS: dict[str, tuple[str, int | None]] = {
    "open": (_open(OPEN), None),
    "final": ("task.ended_at IS NOT NULL", None),
    "trouble": (_trouble(_BAD_ENDS), None),
    "stalled": (
        f"{_open([State.RUNNING])} AND json_extract(execution.progress, '$.at') < ?",
        MINUTE_US,
    ),
    "slow": (f"{_open([State.RUNNING])} AND {_SLOW}", 0),
    "tracked": ("task.origin = 'portauthority'", None),
    "retried": ("task.attempt > 1", None),
    "overdue": (f"{_open([State.QUEUED])} AND task.not_before < ?", MINUTE_US),
    "quarantined": ("execution.crashes >= 2", None),
}
"""Words of `is` → SQL, and the age in µs of the moment that it takes."""

_NARROW: dict[str, frozenset[str]] = {
    "status": frozenset(State) - {State.SUCCEEDED},
    "is": frozenset({"open", "trouble", "stalled", "slow", "overdue"}),
}

_WISH = {
    "cancel": "task.cancel_requested_at IS NOT NULL",
    "pause": "task.pause_requested_at IS NOT NULL",
}


def _status(term: Term, _: _When) -> Part:
    """Name the states as the conditions of the partial indexes do."""
    states = {State(text.parts[0]) for text in _texts(term.test)}
    parts = []
    if states & OPEN:
        parts.append(_open(states & OPEN))
    if states & _BAD_ENDS:
        parts.append(_trouble(states & _BAD_ENDS))
    if State.SUCCEEDED in states:
        parts.append("task.state = 'succeeded'")
    return _any([(sql, ()) for sql in parts])


def _is(term: Term, when: _When) -> Part:
    parts: list[Part] = []
    for text in _texts(term.test):
        sql, age = _IS[text.parts[0]]
        parts.append((sql, () if age is None else (when.now - age,)))
    return _any(parts)


def _wish(term: Term, _: _When) -> Part:
    return _any([(_WISH[text.parts[0]], ()) for text in _texts(term.test)])


# -- names ---------------------------------------------------------------------------------------


def _id(term: Term, _: _When) -> Part:
    return _any([_id_like(text, _op(term.test)) for text in _texts(term.test)])


def _id_like(text: Text, op: str) -> Part:
    """Make a range of a prefix, for the unique index; other APIs show an id with dashes."""
    parts = tuple(part.lower().replace("-", "") for part in text.parts)
    if op == "=" or (len(parts) > 1 and parts[1:] != ("",)):
        return _whole(("task.uid", ()), Text(parts))
    # Without the likelihood the range of ids that a list adds looks as good as this one.
    low, high = (f"likelihood(task.uid {sign} ?, 0.001)" for sign in (">=", "<"))
    return f"{low} AND {high}", (parts[0], parts[0] + "\U0010ffff")


def _worker(term: Term, when: _When) -> Part:
    texts = _texts(term.test)
    if not _op(term.test):
        texts = [Text(tuple(part.lower() for part in text.parts)) for text in texts]
    # An equation keeps the order of the ids, a list of values needs a sort.
    one = len(texts) == 1 and len(texts[0].parts) == 1
    names = _any([_whole(("worker.name", ()), text) for text in texts])
    return _of_worker(names, when, "=" if one else "IN")


def _of_worker(part: Part, when: _When, sign: str = "IN") -> Part:
    sql = f"{when.worker} {sign} (SELECT worker.id FROM worker WHERE {part[0]})"  # noqa: S608  # closed table
    return sql, part[1]


def _executor(term: Term, when: _When) -> Part:
    return _of_worker(_match_choice(("worker.executor", ()), term.test), when)


def _choice(column: str) -> _Build:
    return lambda term, _: _match_choice((column, ()), term.test)


def _by(term: Term, _: _When) -> Part:
    return _match_name(("task.actor", ()), term.test)


def _label(term: Term, _: _When) -> Part:
    # Labels are flat: in `label.team.x` the key is `team.x`.
    path = json_path((key_text(term.key, quoted=False)[1:],))
    return _match_name(("json_extract(task.labels, ?)", (path,)), term.test)


def _nothing(_: Term, __: _When) -> Part:
    """Find nothing: the tables of these fields do not exist, no task has a job, a chain, …."""
    return "0", ()


# -- times, spans, numbers -----------------------------------------------------------------------

_AGE_OP = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "": "", "=": "="}
"""The older, the earlier."""


def _compared(op: str, start: int, end: int) -> Interval:
    """Return what stands in relation `op` to the stretch from `start` to before `end`."""
    match op:
        case ">":
            return end, None
        case ">=":
            return start, None
        case "<":
            return None, start
        case "<=":
            return None, end
        case _:
            return start, end


def _times(test: Test, when: _When) -> list[Interval]:
    """Return the stretches of time that fit."""

    def bounds(value: Value | None) -> tuple[int, int]:
        if isinstance(value, Moment):
            return value.bounds(when.now, when.zone)
        moment = when.now - (value.us if isinstance(value, Span) else 0)
        return moment, moment + 1

    def compared(op: str, value: Value) -> Interval:
        return _compared(_AGE_OP[op] if isinstance(value, Span) else op, *bounds(value))

    return _intervals(test, bounds, compared)


def _spans(test: Test) -> list[Interval]:
    """Return the lengths that fit, in µs."""

    def bounds(value: Value | None) -> tuple[int, int]:
        us = value.us if isinstance(value, Span) else 0
        return us, us + 1

    def compared(op: str, value: Value) -> Interval:
        start, end = bounds(value)
        # `5s` is what a list shows as 5 s, so equal means to the second.
        whole = start and start % MICROSECONDS == 0
        return _compared(op, start, start + MICROSECONDS if not op and whole else end)

    return _intervals(test, bounds, compared)


def _intervals(
    test: Test,
    bounds: Callable[[Value | None], tuple[int, int]],
    compared: Callable[[str, Value], Interval],
) -> list[Interval]:
    """Return what fits `test`. The ends of a range may come in either order, as ages do."""
    if isinstance(test, AnyOf):
        return [compared(test.op, value) for value in test.values]
    if test.low is None and test.high is not None:
        return [compared("<=", test.high)]
    if test.high is None and test.low is not None:
        return [compared(">=", test.low)]
    (a, b), (c, d) = bounds(test.low), bounds(test.high)
    return [(min(a, c), max(b, d))]


def _within(column: str, intervals: list[Interval]) -> Part:
    return _any([_between(column, *interval) for interval in intervals])


def _between(column: str, start: int | None, end: int | None) -> Part:
    bounds = ((f"{column} >= ?", start), (f"{column} < ?", end))
    given = [(sql, value) for sql, value in bounds if value is not None]
    return " AND ".join(sql for sql, _ in given), tuple(value for _, value in given)


def _time(column: str) -> _Build:
    return lambda term, when: _within(column, _times(term.test, when))


def _span(column: str) -> _Build:
    return lambda term, _: _within(column, _spans(term.test))


_COMPARISON = {"": "=", "=": "=", ">": ">", ">=": ">=", "<": "<", "<=": "<="}


def _number(column: str) -> _Build:
    return lambda term, _: _compare_numbers((column, ()), term.test)


def _compare_numbers(column: Part, test: Test) -> Part:
    sql, parameters = column
    if isinstance(test, AnyOf):
        op = _COMPARISON[test.op]
        values = [value.value for value in test.values if isinstance(value, Literal)]
        return _any([(f"{sql} {op} ?", (*parameters, value)) for value in values])
    ends = [end.value for end in (test.low, test.high) if isinstance(end, Literal)]
    if len(ends) == 1:
        return f"{sql} {'<=' if test.low is None else '>='} ?", (*parameters, ends[0])
    low, high = sorted(end for end in ends if end is not None)
    return f"{sql} BETWEEN ? AND ?", (*parameters, low, high)


# -- text and values -----------------------------------------------------------------------------

_ERROR_TYPE = "json_extract(execution.error, '$.type')"
_ERROR_MESSAGE = "json_extract(execution.error, '$.message')"
_ERROR = (
    f"CASE WHEN execution.error IS NOT NULL THEN coalesce({_ERROR_TYPE} || ': ', '')"
    f" || coalesce({_ERROR_MESSAGE}, '') END"
)
_ERROR_LINE = f"substr({_ERROR}, 1, instr({_ERROR} || char(10), char(10)) - 1)"

_PROGRESS = (
    "round(min(100.0, max(0.0, 100.0 * json_extract(execution.progress, '$.done')"
    " / json_extract(execution.progress, '$.total'))), 1)"
)
"""The percentage as `tasky.model.Progress` has it."""

_OUTPUT_JSON = (
    "CASE WHEN execution.output_kind = 'json' AND json_valid(execution.output)"
    " THEN execution.output END"
)


def json_path(key: tuple[str | int, ...]) -> str:
    r"""Return `$."limits"."cpu"[0]`.

    SQLite compares a key as it is written in the JSON, so it is escaped as there.
    Source: https://sqlite.org/json1.html, section 3.3.
    """
    steps = (f"[{part}]" if isinstance(part, int) else f".{_json(part)}" for part in key)
    return "$" + "".join(steps)


def _json(text: str) -> str:
    return dumps(text, ensure_ascii=False)


def _free_text(term: Term, when: _When) -> Part:
    """Look into id, worker, labels, first line of the error."""
    uid, worker, key, value, line = (
        _match_text((column, ()), term.test)
        for column in ("task.uid", "worker.name", "label.key", "label.value", _ERROR_LINE)
    )
    label, words = _any([key, value])
    labels = f"EXISTS (SELECT 1 FROM json_each(task.labels) AS label WHERE {label})"  # noqa: S608  # closed table
    return _any([uid, _of_worker(worker, when), (labels, words), line])


def _error(term: Term, _: _When) -> Part:
    """Take type, message or both for the whole of an error."""
    if _op(term.test) != "=":
        return _match_text((_ERROR, ()), term.test)
    columns = (_ERROR, _ERROR_TYPE, _ERROR_MESSAGE)
    return _any([_match_text((column, ()), term.test) for column in columns])


def _log(term: Term, _: _When) -> Part:
    """Look into every execution of the task; CROSS JOIN keeps the order of the tables."""
    sql, parameters = _match_text(("log.text", ()), term.test)
    runs = "SELECT 1 FROM execution AS run CROSS JOIN log ON log.execution_id = run.id"
    return f"EXISTS ({runs} WHERE run.task_id = task.id AND ({sql}))", parameters


def _output(term: Term, _: _When) -> Part:
    """Look into what lies beside the execution; large outputs, in pieces, are not searched."""
    return _match_text(("execution.output", ()), term.test)


def _value(document: str) -> _Build:
    """Compare with what stands at a path: a string contains, a number is compared."""

    def build(term: Term, _: _When) -> Part:
        path = (json_path(term.key),)
        kind: Part = f"json_type({document}, ?)", path
        value: Part = f"json_extract({document}, ?)", path
        op = _op(term.test)
        return _any([_match_value(kind, value, op, given) for given in _values(term.test)])

    return build


def _match_value(kind: Part, value: Part, op: str, given: Value) -> Part:
    if op not in {"", "="}:
        return _match_number(kind, value, op, given)
    text = Text((given.text,)) if isinstance(given, Literal) else given
    if not isinstance(text, Text):
        return "0", ()
    if text.anything:
        return f"{kind[0]} IS NOT NULL", kind[1]
    as_text = (_whole if op == "=" else _inside)(value, text)
    part: Part = f"{kind[0]} = 'text' AND {as_text[0]}", kind[1] + as_text[1]
    if not isinstance(given, Literal):
        return part
    return _any([part, _match_literal(kind, value, given)])


def _match_literal(kind: Part, value: Part, given: Literal) -> Part:
    if given.is_number:
        return _match_number(kind, value, "=", given)
    return f"{kind[0]} = ?", (*kind[1], given.text)


def _match_number(kind: Part, value: Part, op: str, given: Value) -> Part:
    compared = _compare_numbers(value, AnyOf(op, (given,)))
    return (
        f"{kind[0]} IN ('integer', 'real') AND {compared[0]}",
        kind[1] + compared[1],
    )


# -- the table -----------------------------------------------------------------------------------

_FIELDS: dict[str, _Build] = {
    "": _free_text,
    "status": _status,
    "wish": _wish,
    "is": _is,
    "executor": _executor,
    "origin": _choice("task.origin"),
    "queue": _choice("task.queue"),
    "id": _id,
    "worker": _worker,
    "by": _by,
    "label.": _label,
    "job": _nothing,
    "job.type": _nothing,
    "job.namespace": _nothing,
    "correlation": _nothing,
    "chain": _nothing,
    "schedule": _nothing,
    "agent": _nothing,
    "parent": _nothing,
    "created": _time("task.created_at"),
    "queued": _time("task.queued_at"),
    "started": _time("task.started_at"),
    "ended": _time("task.ended_at"),
    "due": _time("task.not_before"),
    "duration": _span("task.ended_at - task.started_at"),
    "wait": _span("task.started_at - task.queued_at"),
    "timeout": _span("task.timeout_us"),
    "priority": _number("task.priority"),
    "attempt": _number("task.attempt"),
    "progress": _number(_PROGRESS),
    "exit": _number("execution.exit_code"),
    "error": _error,
    "log": _log,
    "output": _output,
    "config.": _value("task.config"),
    "output.": _value(_OUTPUT_JSON),
    "meta.": _nothing,
}
"""Every field of `tasky.query.TASK_FIELDS`, with the SQL it becomes."""
