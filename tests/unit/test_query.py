from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasky.clock import from_iso
from tasky.errors import BadRequest, QueryInvalid
from tasky.query import (
    TASK_FIELDS,
    AnyOf,
    Kind,
    Literal,
    Moment,
    Query,
    Range,
    Span,
    Term,
    Test,
    Text,
    parse,
    zone_of,
)

NOW = from_iso("2026-11-22T05:49:17.123Z")
MINUTE = 60_000_000
DAY = 1440 * MINUTE


def field(name: str, test: Test, *key: str | int, negated: bool = False) -> Term:
    return Term(negated, name, key, test)


def words(*texts: str, op: str = "") -> AnyOf:
    return AnyOf(op, tuple(Text((text,)) for text in texts))


def text(*parts: str, negated: bool = False) -> Term:
    return Term(negated, None, (), AnyOf("", (Text(parts),)))


GRAMMAR: list[tuple[str, list[Term]]] = [
    ("", []),
    (" \t\n ", []),
    ("status:failed", [field("status", words("failed"))]),
    ("STATUS:Failed", [field("status", words("failed"))]),
    ("state:failed", [field("status", words("failed"))]),
    ("status:=failed", [field("status", words("failed"))]),
    (
        "-status:succeeded,cancelled",
        [field("status", words("succeeded", "cancelled"), negated=True)],
    ),
    ("status:new,new", [field("status", words("new"))]),
    ("is:open wish:cancel", [field("is", words("open")), field("wish", words("cancel"))]),
    ("worker:copy_*", [field("worker", AnyOf("", (Text(("copy_", "")),)))]),
    ("worker:a**b", [field("worker", AnyOf("", (Text(("a", "b")),)))]),
    ('worker:"a*b"', [field("worker", words("a*b"))]),
    ("worker:=Copy", [field("worker", words("Copy", op="="))]),
    ("worker:a..b", [field("worker", words("a..b"))]),
    ("queue:Bulk,x", [field("queue", words("Bulk", "x"))]),
    ("job.type:import", [field("job.type", words("import"))]),
    ("label.env:prod", [field("label", words("prod"), "env")]),
    ('label."a b".c:x', [field("label", words("x"), "a b", "c")]),
    ("label.env:*", [field("label", AnyOf("", (Text(("", "")),)), "env")]),
    ("created:<24h", [field("created", AnyOf("<", (Span("24h"),)))]),
    ("created:>=2026-11-20", [field("created", AnyOf(">=", (Moment("2026-11-20"),)))]),
    ("created:today", [field("created", AnyOf("", (Moment("today"),)))]),
    ("due:2026-11-20t14:30z", [field("due", AnyOf("", (Moment("2026-11-20T14:30Z"),)))]),
    ('due:"2026-11-20 14:30"', [field("due", AnyOf("", (Moment("2026-11-20T14:30"),)))]),
    ("ended:3d..1h", [field("ended", Range(Span("3d"), Span("1h")))]),
    ("ended:..today", [field("ended", Range(None, Moment("today")))]),
    ('ended:"3d".."1h"', [field("ended", Range(Span("3d"), Span("1h")))]),
    ("duration:>5S", [field("duration", AnyOf(">", (Span("5s"),)))]),
    ("duration:>1.5h", [field("duration", AnyOf(">", (Span("1.5h"),)))]),
    ("timeout:30", [field("timeout", AnyOf("", (Span("30s"),)))]),
    ("wait:1m..5m", [field("wait", Range(Span("1m"), Span("5m")))]),
    ("exit:-9", [field("exit", AnyOf("", (Literal("-9"),)))]),
    ("progress:..50", [field("progress", Range(None, Literal("50")))]),
    ("priority:5..", [field("priority", Range(Literal("5"), None))]),
    ("priority:>2,5", [field("priority", AnyOf(">", (Literal("2"), Literal("5"))))]),
    ('error:"No space left"', [field("error", words("No space left"))]),
    ('error:"say \\"x\\" \\\\ C:\\temp"', [field("error", words('say "x" \\ C:\\temp'))]),
    ('error:""', [field("error", words(""))]),
    ("config.source:../x", [field("config", words("../x"), "source")]),
    ("config.n:1..5", [field("config", words("1..5"), "n")]),
    (
        "config.limits.cpu:>=2",
        [field("config", AnyOf(">=", (Literal("2"),)), "limits", "cpu")],
    ),
    (
        'config.a[0]."b c"[1][2]:x',
        [field("config", words("x"), "a", 0, "b c", 1, 2)],
    ),
    ("config.[3].a:x", [field("config", words("x"), 3, "a")]),
    ("config.on:true", [field("config", AnyOf("", (Literal("true"),)), "on")]),
    ('config.on:"true"', [field("config", AnyOf("", (Text(("true",), quoted=True),)), "on")]),
    ('config.x:">2"', [field("config", words(">2"), "x")]),
    ("output:done output.rows:3", [
        field("output", words("done")),
        field("output", AnyOf("", (Literal("3"),)), "rows"),
    ]),
    ("timeout -disk", [text("timeout"), text("disk", negated=True)]),
    ('"status:" "OR" "(a" "-x" ""', [text(t) for t in ("status:", "OR", "(a", "-x", "")]),
    ("or not_ a(b", [text("or"), text("not_"), text("a(b")]),
    ("--x", [text("-x", negated=True)]),
    ("/srv:x 12:30 :y", [text("/srv:x"), text("12:30"), text(":y")]),
    ("di*k", [text("di", "k")]),
]  # fmt: skip


@pytest.mark.parametrize(("query", "terms"), GRAMMAR)
def test_a_query_is_the_tree_of_its_terms(query: str, terms: list[Term]) -> None:
    tree = parse(query)

    assert tree == Query(tuple(terms))
    assert parse(str(tree)) == tree


NORMAL_FORMS = [
    ("  state:FAILED   created:<2h ", "status:failed created:<2h"),
    ("created:<24h created:>7d", "created:<24h created:>7d"),
    ('error:"plain" error:"two words"', 'error:plain error:"two words"'),
    ("priority:=5 worker:=x", "priority:5 worker:=x"),
    ('config."a".b:"5" config.c:5', 'config.a.b:"5" config.c:5'),
    ('"a:b" "NOT" -"-x" label.v:5 5', '"a:b" "NOT" -"-x" label.v:5 5'),
    ("timeout:30 due:2026-11-20t01:00z", "timeout:30s due:2026-11-20T01:00Z"),
]


@pytest.mark.parametrize(("query", "normal"), NORMAL_FORMS)
def test_the_normal_form_keeps_ages_and_drops_aliases(query: str, normal: str) -> None:
    assert str(parse(query)) == normal


STATUSES = (
    "new, queued, running, paused, waiting, succeeded, failed, cancelled, timed_out, killed, lost"
)
FOREIGN = "OR and brackets are not part of the language; a comma joins several values."

ERRORS = [
    ("stat:x", 'Unknown field "stat". Did you mean "status", or the text in quotes?', 0, 4),
    ("a wroker:x", 'Unknown field "wroker". Did you mean "worker", or the text in quotes?', 2, 6),
    ("http://x", 'Unknown field "http". Put the text in quotes to search for it.', 0, 4),
    ("worker.x:y", 'Unknown field "worker.x". Did you mean "worker", or the text in quotes?', 0, 8),
    ("config:x", '"config" needs a key; write config.name:value.', 0, 6),
    ("-status:faild", f'"faild" is not a status: {STATUSES}.', 8, 5),
    ("wish:stop", '"stop" is not a wish: cancel, pause.', 5, 4),
    ('worker:"abc', "The quote opened at 7 is not closed.", 7, 4),
    ('x "abc', "The quote opened at 2 is not closed.", 2, 4),
    ('x"abc', "The quote opened at 1 is not closed.", 1, 4),
    ('"abc\\"', "The quote opened at 0 is not closed.", 0, 6),
    ("worker:", '"worker:" has no value.', 0, 7),
    ("a worker: b", '"worker:" has no value.', 2, 7),
    ("created:>", '"created:>" has no value.', 0, 9),
    ("created:..", '"created:.." has no value.', 0, 10),
    ("worker:a,", '"worker:a," has no value.', 0, 9),
    ('created:"2 hours"', '"2 hours" is not a time; write 2h, 2026-11-20 or today.', 8, 9),
    ("created:<2026-13-01", '"2026-13-01" is not a time; write 2h, 2026-11-20 or today.', 9, 10),
    ("created:<999999999999999w",
     '"999999999999999w" is not a time; write 2h, 2026-11-20 or today.', 9, 16),
    ("created:2h", '"2h" is an age; write <2h for younger, >2h for older.', 8, 2),
    ("duration:long", '"long" is not a span; write 90s, 5m or 2h.', 9, 4),
    ("priority:high", '"high" is not a number.', 9, 4),
    ("priority:1e999", '"1e999" is not a number.', 9, 5),
    ("config.a:>b", '"b" is not a number.', 10, 1),
    ("worker:>x", '"worker" cannot be compared with ">".', 0, 8),
    ("label.env:<=x", '"label.env" cannot be compared with "<=".', 0, 12),
    ("error:>=x", '"error" cannot be compared with ">=".', 0, 8),
    ("priority:>1..5", 'A range takes no ">".', 9, 1),
    ("a OR b", FOREIGN, 2, 2),
    ("NOT a", FOREIGN, 0, 3),
    ("(a b)", FOREIGN, 0, 2),
    ("-", '"-" stands before nothing; write "-" in quotes to search for it.', 0, 1),
    ("foo,bar", '",bar" does not belong here; put a blank before it, or the whole text in quotes.',
     3, 4),
    ('"a"b c', '"b" does not belong here; put a blank before it, or the whole text in quotes.',
     3, 1),
    ("priority:1..2..3", '"..3" does not belong here; put a blank before it, or the whole text in '
     "quotes.", 13, 3),
    ('config."a\\"b":x', "A key cannot contain a double quote.", 6, 7),
    ("a\0b", "The character at 1 is not text.", 1, 1),
    ("a\ud800", "The character at 1 is not text.", 1, 1),
    ("x" * 2001, "The query is longer than 2 000 characters.", 2000, 1),
    ("a " * 31, "The query has more than 30 terms.", 60, 1),
]  # fmt: skip


@pytest.mark.parametrize(("query", "sentence", "at", "length"), ERRORS)
def test_an_error_says_what_where_and_how_long(
    query: str, sentence: str, at: int, length: int
) -> None:
    with pytest.raises(QueryInvalid) as caught:
        parse(query)

    assert str(caught.value) == sentence
    assert (caught.value.fields["at"], caught.value.fields["length"]) == (at, length)
    assert [(error.pointer, error.detail) for error in caught.value.errors] == [("/q", sentence)]


def test_a_wrong_status_comes_with_the_closest_one() -> None:
    with pytest.raises(QueryInvalid) as caught:
        parse("status:faild")

    assert caught.value.fields["hint"] == 'Did you mean "failed"?'


def test_the_limits_themselves_are_allowed() -> None:
    assert len(parse("a " * 30).terms) == 30
    assert len(parse("x" * 2000).terms) == 1


PIECES = st.sampled_from(
    [*TASK_FIELDS, "state", "config.a[0]", 'label."x y"', "-", ":", ",", "..", '"', "\\", "*", "(",
     "OR", ">", "<=", "=", " ", "5", "true", "2h", "today", "2026-11-20T01:02:03.5Z", "failed",
     "open", "\0", "ß", "\u2028"]
)  # fmt: skip
QUERIES = st.one_of(st.text(), st.lists(PIECES, max_size=12).map("".join))


@given(QUERIES)
@example("--a**b* x\u2003y")
@settings(max_examples=1000, deadline=None)
def test_any_text_is_a_query_with_a_normal_form_or_invalid(text: str) -> None:
    problem = None
    try:
        tree = parse(text)
    except QueryInvalid as error:
        problem = error

    if problem is None:
        assert parse(str(tree)) == tree
        assert str(parse(str(tree))) == str(tree)
    else:
        assert 0 <= problem.fields["at"] < len(text)
        assert 1 <= problem.fields["length"] <= len(text) - problem.fields["at"]


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


@settings(deadline=None)
@given(NAMES, st.sampled_from(["", "worker", "error", "config.a", "queue", "label.x"]))
def test_any_text_in_quotes_is_that_text(value: str, name: str) -> None:
    quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    tree = parse(f"{name}:{quoted}" if name else quoted)

    test = tree.terms[0].test
    assert isinstance(test, AnyOf)
    assert isinstance(test.values[0], Text)
    assert test.values[0].parts == (value,)
    assert parse(str(tree)) == tree


@pytest.mark.parametrize(
    ("span", "us"),
    [("90s", 90_000_000), ("2h", 120 * MINUTE), ("3d", 3 * DAY), ("1w", 7 * DAY), ("1.5ms", 1500)],
)
def test_a_span_counts_microseconds(span: str, us: int) -> None:
    assert Span(span).us == us


@pytest.mark.parametrize(
    ("moment", "zone", "start", "length"),
    [
        ("2026-11-20", "UTC", "2026-11-20T00:00:00Z", DAY),
        ("2026-11-20", "Europe/Berlin", "2026-11-19T23:00:00Z", DAY),
        ("2026-10-25", "Europe/Berlin", "2026-10-24T22:00:00Z", 25 * 60 * MINUTE),
        ("2026-11-20T14:30", "Europe/Berlin", "2026-11-20T13:30:00Z", MINUTE),
        ("2026-11-20T14:30Z", "Europe/Berlin", "2026-11-20T14:30:00Z", MINUTE),
        ("2026-11-20T14:30:05+02:00", "UTC", "2026-11-20T12:30:05Z", 1_000_000),
        ("2026-11-20T14:30:05.25Z", "UTC", "2026-11-20T14:30:05.25+00:00", 10_000),
        ("today", "UTC", "2026-11-22T00:00:00Z", DAY),
        ("today", "America/New_York", "2026-11-22T05:00:00Z", DAY),
        ("today", "America/Los_Angeles", "2026-11-21T08:00:00Z", DAY),
        ("yesterday", "UTC", "2026-11-21T00:00:00Z", DAY),
    ],
)
def test_a_moment_is_as_long_as_it_is_precise(
    moment: str, zone: str, start: str, length: int
) -> None:
    begin, end = Moment(moment).bounds(NOW, UTC if zone == "UTC" else ZoneInfo(zone))

    assert (begin, end - begin) == (from_iso(start), length)


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "", "\0", "America"])
def test_an_unknown_zone_is_refused_by_name(name: str) -> None:
    with pytest.raises(BadRequest, match="is not a time zone"):
        zone_of(name)


def test_every_kind_has_a_field() -> None:
    assert {entry.kind for entry in TASK_FIELDS.values()} == set(Kind)
