from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, NotRequired, Required, TypedDict
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasky.errors import ConfigInvalid
from tasky.schema import ConfigSchema, Param, coerce_text

if TYPE_CHECKING:
    from somewhere import Context, Missing  # type: ignore[import-not-found]  # never imported


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


@dataclass
class Limits:
    cpu: Annotated[int, Param("CPUs", ge=1)]
    root: Path = Path("/tmp")
    tags: list[str] = field(default_factory=list)


class Host(msgspec.Struct, rename="camel"):
    host_name: str
    timeout: timedelta = timedelta(seconds=3)


class Point(TypedDict):
    x: int
    label: NotRequired[str]


class Cat(msgspec.Struct, tag=True):
    name: str


class Dog(msgspec.Struct, tag=True):
    name: str


class Loose(TypedDict, total=False):
    x: Required[int]
    label: str


@dataclass
class Even:
    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError("number must be even.")


@dataclass
class Tree:
    children: list[Tree]


UserId = NewType("UserId", int)


def schema_for(annotation: Any, default: Any = ...) -> ConfigSchema:
    """Make the schema of a function with one field named `value`."""

    def function(value: Any) -> None: ...

    function.__annotations__["value"] = annotation
    if default is not ...:
        function.__defaults__ = (default,)
    return ConfigSchema.of(function)


def converted(annotation: Any, value: object) -> Any:
    return schema_for(annotation).validate({"value": value})["value"]


def complaints(schema: ConfigSchema, config: Any) -> dict[str, str]:
    """Return pointer → sentence of everything wrong with a config."""
    with pytest.raises(ConfigInvalid) as caught:
        schema.validate(config, "w")
    return {error.pointer: error.detail for error in caught.value.errors}


def property_of(annotation: Any) -> dict[str, Any]:
    schema: dict[str, Any] = schema_for(annotation).json_schema["properties"]["value"]
    return schema


def copy_file(ctx: Context, source: Path, target: Path, overwrite: bool = False) -> Missing:
    """Copy a file to a new location.

    The target must not exist.
    """


COPY = ConfigSchema.of(copy_file)


# -- one value -----------------------------------------------------------------------------------


GOOD: list[tuple[Any, Any, Any, dict[str, Any]]] = [
    (int, 5, 5, {"type": "integer"}),
    (int, 2**63 - 1, 2**63 - 1, {"type": "integer"}),
    (float, 5, 5.0, {"type": "number"}),
    (float, 0.5, 0.5, {"type": "number"}),
    (str, "é", "é", {"type": "string"}),
    (bool, True, True, {"type": "boolean"}),
    (None, None, None, {"type": "null", "enum": [None]}),
    (Any, {"a": [1, None]}, {"a": [1, None]}, {}),
    (Path, "a/b", Path("a/b"), {"type": "string", "format": "path", "x-path": "any"}),
    (Path, Path("a"), Path("a"), {"type": "string", "format": "path", "x-path": "any"}),
    (timedelta, "90s", timedelta(seconds=90), {"type": "string", "format": "duration"}),
    (date, "2026-01-31", date(2026, 1, 31), {"type": "string", "format": "date"}),
    (time, "12:00:00", time(12), {"type": "string", "format": "time"}),
    (
        datetime,
        "2026-01-31T12:00:00Z",
        datetime(2026, 1, 31, 12, tzinfo=UTC),
        {"type": "string", "format": "date-time"},
    ),
    (UUID, str(UUID(int=1)), UUID(int=1), {"type": "string", "format": "uuid"}),
    (bytes, "AAAA", b"\0\0\0", {"type": "string", "contentEncoding": "base64"}),
    (Color, "red", Color.RED, {"type": "string", "enum": ["red", "blue"]}),
    (Color, Color.RED, Color.RED, {"type": "string", "enum": ["red", "blue"]}),
    (Level, 2, Level.HIGH, {"type": "integer", "enum": [1, 2]}),
    (Literal["a", 1], 1, 1, {"enum": ["a", 1]}),
    (int | None, None, None, {"type": ["integer", "null"]}),
    (int | str, "5", "5", {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
    (list[int], [1, 2], [1, 2], {"type": "array", "items": {"type": "integer"}}),
    (Sequence[int], [1], [1], {"type": "array", "items": {"type": "integer"}}),
    (tuple[int, ...], [1], (1,), {"type": "array", "items": {"type": "integer"}}),
    (list, [1, "a"], [1, "a"], {"type": "array", "items": {}}),
    (
        set[int],
        [1, 1],
        {1},
        {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
    ),
    (
        dict[str, Path],
        {"a": "b"},
        {"a": Path("b")},
        {
            "type": "object",
            "additionalProperties": {"type": "string", "format": "path", "x-path": "any"},
        },
    ),
    (
        Mapping[int, float],
        {"5": 1},
        {5: 1.0},
        {"type": "object", "additionalProperties": {"type": "number"}},
    ),
    (UserId, 7, 7, {"type": "integer"}),
    ("int | None", 3, 3, {"type": ["integer", "null"]}),
]


@pytest.mark.parametrize(("annotation", "value", "python", "schema"), GOOD, ids=repr)
def test_a_value_arrives_as_its_python_type_and_is_described(
    annotation: Any, value: Any, python: Any, schema: dict[str, Any]
) -> None:
    result = converted(annotation, value)

    assert (type(result), result) == (type(python), python)
    assert property_of(annotation) == schema


@pytest.mark.parametrize(
    ("annotation", "value", "detail"),
    [
        (int, "5", 'Must be a whole number, not the text "5".'),
        (int, True, "Must be a whole number, not true."),
        (int, 5.0, "Must be a whole number, not 5.0."),
        (int, 2**63, "Must be a whole number of at most 64 bits, not 9223372036854775808."),
        (float, math.nan, "Must be a number, not NaN."),
        (float, math.inf, "Must be a number, not Infinity."),
        (float, False, "Must be a number, not false."),
        (str, 5, "Must be a text, not 5."),
        (str, "\ud800", "Must be a text in Unicode; this one has lone surrogates."),
        (bool, 1, "Must be true or false, not 1."),
        (Path, "a\0b", 'Must be a path without NUL characters, not the text "a\\u0000b".'),
        (Path, "", 'Must be a path, not the text "".'),
        (Color, "rad", 'Must be one of "red", "blue", not the text "rad". Did you mean red?'),
        (Level, True, "Must be one of 1, 2, not true."),
        (Literal[1, 2], 1.0, "Must be one of 1, 2, not 1.0."),
        (Literal["a"], ["a"], 'Must be "a", not a list of 1.'),
        (Decimal, "NaN", 'Must be a decimal number such as "1.50", not the text "NaN".'),
        (UUID, "x", 'Must be a UUID, not the text "x".'),
        (int | None, "x", 'Must be a whole number or null, not the text "x".'),
        (int | str, 1.5, "Must be a whole number or a text, not 1.5."),
        (list[int], {}, "Must be a list, not an object."),
        (set[Any], [[1]], "Must be a list of plain values, without lists or objects in it."),
        (tuple[int, str], [1], "Must be a list of 2: a whole number, a text, not a list of 1."),
        (dict[str, int], [], "Must be an object, not a list of 0."),
        (Limits, "x", 'Must be an object, not the text "x".'),
        (Any, object(), "Must be a JSON value, not a value of the type object."),
    ],
    ids=repr,
)
def test_a_wrong_value_is_told_what_is_wrong_and_what_is_right(
    annotation: Any, value: Any, detail: str
) -> None:
    assert complaints(schema_for(annotation), {"value": value}) == {"/value": detail}


@pytest.mark.parametrize(
    ("annotation", "value", "phrases"),
    [
        (Annotated[int, Param(ge=1, le=9)], 0, ["whole number (at least 1, at most 9)", "not 0"]),
        (Annotated[int, Param(gt=0.5, unit="MB")], 0, ["(in MB, more than 0.5)", "not 0"]),
        (Annotated[int, Param(multiple_of=5)], 7, ["(a multiple of 5)", "not 7"]),
        (Annotated[float, Param(lt=1)], 1, ["(less than 1)", "not 1"]),
        (Annotated[float, msgspec.Meta(gt=0)], 0.0, ["(more than 0)", "not 0.0"]),
        (Annotated[str, Param(min_length=2)], "a", ["(length at least 2)", '"a"']),
        (Annotated[str, Param(pattern="^a")], "b", ["(matching ^a)", '"b"']),
        (Annotated[str, Param(path="file")], "\0", ["a path without NUL characters"]),
        (Annotated[list[int], Param(max_length=1)], [1, 2], ["(length at most 1)", "it has 2"]),
        (
            Annotated[str | None, Param(choices=("cpu", "mem"))],
            "cup",
            ['one of "cpu", "mem" or null', 'not the text "cup"', "Did you mean cpu?"],
        ),
    ],
    ids=repr,
)
def test_a_value_outside_the_limits_is_told_the_limits(
    annotation: Any, value: Any, phrases: list[str]
) -> None:
    detail = complaints(schema_for(annotation), {"value": value})["/value"]

    assert [phrase for phrase in phrases if phrase not in detail] == []


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("2h", 7200),
        ("1.5s", 1.5),
        ("250ms", 0.25),
        ("1h30m", 5400),
        ("1 d", 86400),
        ("PT1M30S", 90),
        ("P1DT1H", 90000),
        (5, 5),
        (0.5, 0.5),
    ],
)
def test_a_duration_may_be_written_in_many_ways(value: Any, seconds: float) -> None:
    assert converted(timedelta, value) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value", ["", "90", "5 minutes", "s", True, 1e300, math.nan, None, "9" * 400 + "s"]
)
def test_a_text_that_is_no_duration_is_refused(value: Any) -> None:
    assert "Must be a duration" in complaints(schema_for(timedelta), {"value": value})["/value"]


def test_bounds_of_a_duration_are_seconds_or_timedeltas() -> None:
    schema = schema_for(Annotated[timedelta, Param(ge=5, lt=timedelta(hours=1))])

    assert schema.validate({"value": "5s"}) == {"value": timedelta(seconds=5)}
    assert set(complaints(schema, {"value": "1h"})) == {"/value"}
    assert schema.json_schema["properties"]["value"]["formatMinimum"] == "PT5S"


# -- a whole config ------------------------------------------------------------------------------


def test_only_the_given_fields_come_back() -> None:
    assert COPY.validate({"source": "a", "target": "b"}) == {
        "source": Path("a"),
        "target": Path("b"),
    }


def test_a_function_without_parameters_takes_the_empty_config_only() -> None:
    def nothing() -> None: ...

    schema = ConfigSchema.of(nothing)

    assert schema.validate({}) == {}
    assert complaints(schema, {"a": 1}) == {
        "/a": "There is no field a. Leave it out: there are no fields."
    }


def test_all_wrong_fields_are_named_at_once() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        COPY.check({"sorce": "a", "target": 5, "overwrite": "yes"}, "copy_file")

    assert {error.pointer: error.detail for error in caught.value.errors} == {
        "/sorce": "There is no field sorce. Did you mean source?",
        "/target": "Must be a path, not 5.",
        "/overwrite": 'Must be true or false, not the text "yes".',
        "/source": "This field is missing. Give a path.",
    }
    assert str(caught.value).startswith("4 of 4 fields of copy_file are wrong.")


def test_an_unknown_field_without_a_close_name_lists_the_fields() -> None:
    found = complaints(COPY, {"source": "a", "target": "b", "zzz": 1})

    assert found == {"/zzz": "There is no field zzz. The fields are source, target, overwrite."}


def test_every_wrong_leaf_of_nested_values_has_its_pointer() -> None:
    def function(
        limits: Limits,
        items: list[list[int]],
        by_name: dict[str, Host],
        free: Any,
        pair: tuple[int, str],
    ) -> None: ...

    config = {
        "limits": {"cpu": 0, "rot": 1, "tags": ["a", 1, 2]},
        "items": [[1, "x"], 5, [True]],
        "by_name": {"a/b~c": {"timeout": "soon"}},
        "free": {"deep": [1, math.nan, {"big": 2**70}]},
        "pair": ["x", 1],
    }

    assert list(complaints(ConfigSchema.of(function), config)) == [
        "/limits/cpu",
        "/limits/rot",
        "/limits/tags/1",
        "/limits/tags/2",
        "/items/0/1",
        "/items/1",
        "/items/2/0",
        "/by_name/a~1b~0c/timeout",
        "/by_name/a~1b~0c/hostName",
        "/free/deep/1",
        "/free/deep/2/big",
        "/pair/0",
        "/pair/1",
    ]


def test_n_counts_wrong_fields_not_wrong_leaves() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        schema_for(list[int]).validate({"value": ["a", "b", 3]}, "w")

    assert (caught.value.fields["n"], caught.value.fields["m"]) == (1, 1)
    assert len(caught.value.errors) == 2


def test_a_long_list_of_wrong_items_names_the_first_thousand() -> None:
    found = complaints(schema_for(list[Color]), {"value": ["rad"] * 5000})

    assert len(found) == 1000


def test_nested_records_become_their_classes() -> None:
    assert converted(Limits, {"cpu": 2, "root": "/srv"}) == Limits(2, Path("/srv"))
    assert converted(Host, {"hostName": "a", "timeout": "5s"}) == Host("a", timedelta(seconds=5))
    assert converted(Point, {"x": 1}) == {"x": 1}
    assert converted(Loose, {"x": 1}) == {"x": 1}
    assert complaints(schema_for(Loose), {"value": {}}) == {
        "/value/x": "This field is missing. Give a whole number."
    }
    assert converted(Limits, Limits(1)) == Limits(1)


def test_what_a_record_itself_refuses_is_a_wrong_field() -> None:
    assert complaints(schema_for(Even), {"value": {"number": 3}}) == {
        "/value": "number must be even."
    }


def test_a_record_in_a_union_tells_of_its_own_wrong_field() -> None:
    found = complaints(schema_for(str | Limits | None), {"value": {"cpu": 0}})

    assert list(found) == ["/value/cpu"]


def test_the_tag_tells_which_struct_of_a_union_is_meant() -> None:
    schema = schema_for(Cat | Dog, Dog("Rex"))

    assert schema.validate({"value": {"type": "Dog", "name": "Ada"}}) == {"value": Dog("Ada")}
    assert schema.sample == {"value": {"type": "Dog", "name": "Rex"}}
    assert set(complaints(schema, {"value": {"type": "Dgo", "name": "Ada"}})) == {"/value/type"}


def test_a_config_that_is_no_object_is_refused() -> None:
    assert complaints(COPY, [1]) == {"": "Must be an object, not a list of 1."}


def test_a_free_value_nested_too_deep_is_refused() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]

    (detail,) = complaints(schema_for(Any), {"value": deep}).values()

    assert detail == "Must be nested at most 100 levels deep."


def test_keywords_of_the_function_allow_other_fields() -> None:
    def function(ctx: Any, a: int, **others: Any) -> None: ...

    schema = ConfigSchema.of(function)

    assert schema.validate({"a": 1, "b": "x"}) == {"a": 1, "b": "x"}
    assert list(complaints(schema, {"b": math.nan})) == ["/b", "/a"]
    assert schema.json_schema["additionalProperties"] == {}
    assert schema.usage("f") == "f(a, …)"


# -- secrets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[str, Param(secret=True, min_length=9)],
        Annotated[str, Param(secret=True, min_length=9)] | None,
        Annotated[str | None, Param(secret=True, min_length=9)],
        list[Annotated[str, Param(secret=True, min_length=9)]],
        Annotated[str, Param(secret=True, choices=("aaa",))],
    ],
)
@pytest.mark.parametrize("wrap", [lambda text: text, lambda text: [text]])
def test_no_message_repeats_a_secret(annotation: Any, wrap: Callable[[str], Any]) -> None:
    found = complaints(schema_for(annotation), {"value": wrap("hunter2")})

    assert "hunter2" not in json.dumps(found)


def test_a_secret_is_marked_and_its_default_is_not_told() -> None:
    schema = schema_for(Annotated[str, Param("Token", secret=True)], "hunter2")

    assert schema.fields[0].schema == {
        "type": "string",
        "description": "Token",
        "writeOnly": True,
        "format": "password",
    }
    assert "hunter2" not in json.dumps([schema.sample, schema.json_schema])


# -- the signature -------------------------------------------------------------------------------


def test_the_context_is_no_field() -> None:
    def by_name(context: Any, a: int) -> None: ...
    def by_class(c: Context, a: int) -> None: ...
    def without(a: int) -> None: ...

    read = [ConfigSchema.of(function) for function in (by_name, by_class, without)]

    assert [schema.takes_context for schema in read] == [True, True, False]
    assert all([field.name for field in schema.fields] == ["a"] for schema in read)


def test_a_bound_method_has_no_field_self() -> None:
    class Form:
        def run(self, ctx: Any, a: int) -> None: ...

    schema = ConfigSchema.of(Form().run, description="Do it.")

    assert [field.name for field in schema.fields] == ["a"]
    assert (schema.takes_context, schema.title) == (True, "Do it.")


def test_a_parameter_without_annotation_takes_the_type_of_its_default() -> None:
    def function(a, b=5, c=None): ...  # type: ignore[no-untyped-def]  # that is the point

    properties = ConfigSchema.of(function).json_schema["properties"]

    assert properties == {"a": {}, "b": {"type": "integer", "default": 5}, "c": {"default": None}}


def test_a_default_of_none_allows_null() -> None:
    schema = schema_for(int, None)

    assert schema.validate({"value": None}) == {"value": None}
    assert schema.fields[0].schema == {"type": ["integer", "null"], "default": None}


def test_a_default_stands_in_json_form() -> None:
    assert schema_for(tuple[Path, ...], (Path("a"),)).fields[0].default == ["a"]
    assert schema_for(timedelta, timedelta(minutes=2)).fields[0].default == "PT120S"
    assert schema_for(Color, Color.RED).fields[0].default == "red"


def test_a_default_that_json_cannot_carry_is_left_out() -> None:
    schema = schema_for(float, math.inf)

    assert (schema.fields[0].required, schema.fields[0].schema) == (False, {"type": "number"})
    assert schema.sample == {}
    assert schema.usage("w") == "w(value=…)"


def star(*parts: str) -> None: ...
def positional(a: int, /) -> None: ...
def unknown_class(value: re.Pattern[str]) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def unfit(value: Annotated[bool, Param(ge=1)]) -> None: ...
def bad_choice(value: Annotated[int, Param(choices=("a",))]) -> None: ...
def recursive(value: Tree) -> None: ...
def no_json(value: Callable[[], None]) -> None: ...
def bad_pattern(value: Annotated[str, Param(pattern="(")]) -> None: ...


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (star, r"parameter \*parts.* cannot be a field: .*write parts: list"),
        (positional, r"parameter a.* cannot be a field: .*remove the /"),
        (unknown_class, r"parameter value cannot be a field: name 're' is not defined"),
        (unfit, r"parameter value cannot be a field: ge cannot limit true or false"),
        (bad_choice, r"parameter value cannot be a field: one of its choices is wrong"),
        (recursive, r"parameter value cannot be a field: Tree holds itself"),
        (no_json, r"parameter value cannot be a field: .*has no JSON form"),
        (bad_pattern, r"parameter value cannot be a field: "),
    ],
)
def test_a_signature_that_is_no_config_names_the_parameter(
    function: Callable[..., Any], sentence: str
) -> None:
    with pytest.raises(TypeError, match=sentence):
        ConfigSchema.of(function)


def test_title_description_and_usage_come_from_the_docstring() -> None:
    assert COPY.title == "Copy a file to a new location."
    assert COPY.description == "Copy a file to a new location.\n\nThe target must not exist."
    assert COPY.usage("copy_file") == (
        "copy_file(source, target, overwrite=false): Copy a file to a new location."
    )


# -- JSON Schema and sample ----------------------------------------------------------------------


def test_the_json_schema_describes_the_whole_config() -> None:
    path = {"type": "string", "format": "path", "x-path": "any"}

    assert COPY.json_schema == {
        "type": "object",
        "properties": {
            "source": path,
            "target": path,
            "overwrite": {"type": "boolean", "default": False},
        },
        "required": ["source", "target"],
        "additionalProperties": False,
    }
    assert COPY.sample == {"source": "path/to/file", "target": "path/to/file", "overwrite": False}


def test_notes_of_param_stand_in_the_property() -> None:
    annotation = Annotated[
        int, Param("Memory", ge=1, lt=64, examples=(8,), unit="GB", extra={"x-group": "size"})
    ]

    assert property_of(annotation) == {
        "type": "integer",
        "minimum": 1,
        "exclusiveMaximum": 64,
        "description": "Memory",
        "examples": [8],
        "x-unit": "GB",
        "x-group": "size",
    }
    assert schema_for(annotation).sample == {"value": 8}


def test_a_meta_or_a_text_in_annotated_describes_too() -> None:
    meta = msgspec.Meta(description="Name", min_length=1, pattern="^[a-z]+$")

    assert property_of(Annotated[str, meta]) == {
        "type": "string",
        "minLength": 1,
        "pattern": "^[a-z]+$",
        "description": "Name",
    }
    assert property_of(Annotated[int, "How many"])["description"] == "How many"


def test_choices_stand_as_enum_with_null_where_allowed() -> None:
    assert property_of(Annotated[str | None, Param(choices=("cpu", "mem"))]) == {
        "type": ["string", "null"],
        "enum": ["cpu", "mem", None],
    }


def test_choices_of_a_list_are_choices_of_its_items() -> None:
    schema = schema_for(Annotated[list[str], Param(choices=("a", "b"))])

    assert schema.validate({"value": ["a", "b"]}) == {"value": ["a", "b"]}
    assert list(complaints(schema, {"value": ["a", "c"]})) == ["/value/1"]


@pytest.mark.parametrize(
    "annotation",
    [row[0] for row in GOOD]
    + [Decimal, Limits, Host, Point, tuple[int, str], dict[Level, int]]
    + [
        Annotated[int, Param(ge=10, le=20)],
        Annotated[int, Param(lt=-5)],
        Annotated[int, Param(gt=7, multiple_of=10)],
        Annotated[float, Param(gt=0.2, lt=0.3)],
        Annotated[str, Param(min_length=10)],
        Annotated[str, Param(max_length=2)],
        Annotated[list[int], Param(min_length=3)],
        Annotated[timedelta, Param(ge=60)],
        Annotated[timedelta, Param(le=1)],
        Annotated[str, Param(secret=True)],
        Annotated[str, Param(pattern="^x-", examples=("x-1",))],
        Annotated[Path, Param(path="dir")],
        Annotated[Path, Param(choices=(Path("a"), Path("b")))],
    ],
    ids=repr,
)
def test_a_sample_is_json_and_valid(annotation: Any) -> None:
    schema = schema_for(annotation)

    sample = json.loads(json.dumps(schema.sample, allow_nan=False))

    assert sample == schema.sample
    assert list(schema.validate(sample)) == ["value"]


def test_the_path_of_a_sample_follows_its_kind() -> None:
    kinds: list[Literal["file", "dir", "any", "new"]] = ["file", "dir", "any", "new"]
    samples = [schema_for(Annotated[Path, Param(path=kind)]).sample["value"] for kind in kinds]

    assert samples == ["path/to/file", "path/to/directory", "path/to/file", "path/to/new-file"]


# -- texts of the command line -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int, "5", 5),
        (int, "-5", -5),
        (int, "5.5", "5.5"),
        (int, "1_000", "1_000"),
        (int, "\uff19", "\uff19"),
        (float, "5", 5),
        (float, "1.5e3", 1500.0),
        (float, "nan", "nan"),
        (float, "1e999", "1e999"),
        (bool, "Yes", True),
        (bool, "on", True),
        (bool, "0", False),
        (bool, "perhaps", "perhaps"),
        (str, "5", "5"),
        (str, "null", "null"),
        (str | None, "null", None),
        (int | None, "", None),
        (int | str, "5", 5),
        (int | str, "x", "x"),
        (timedelta, "90s", "90s"),
        (Path, "a,b", "a,b"),
        (list[int], "1, 2", [1, 2]),
        (list[int], "[1, 2]", [1, 2]),
        (list[int], "", []),
        (list[str], "a", ["a"]),
        (tuple[int, str], "1,2", [1, "2"]),
        (str | list[str], "a,b", "a,b"),
        (str | list[str], '["a"]', ["a"]),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (dict[str, int], "{a", "{a"),
        (Level, "2", 2),
        (Literal["a", 1], "1", 1),
        (Color, "rad", "rad"),
        (Any, "5", "5"),
    ],
)
def test_a_text_becomes_the_json_value_of_its_type(annotation: Any, text: str, value: Any) -> None:
    result = schema_for(annotation).coerce({"value": text})["value"]

    assert (type(result), result) == (type(value), value)


def test_the_text_of_an_unknown_field_stays_for_validation_to_name() -> None:
    assert COPY.coerce({"sorce": "5"}) == {"sorce": "5"}


# -- any value -----------------------------------------------------------------------------------


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def everything(
    ctx: Any,
    number: int,
    ratio: float,
    text: str,
    flag: bool,
    path: Annotated[Path, Param(path="any")],
    delay: timedelta,
    at: datetime,
    color: Color,
    maybe: list[int] | None,
    table: dict[str, float],
    host: Host,
) -> None: ...


EVERYTHING = ConfigSchema.of(everything)
PATHS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).map(Path)


@given(
    st.fixed_dictionaries(
        {
            "number": st.integers(-(2**63), 2**63 - 1),
            "ratio": st.floats(allow_nan=False, allow_infinity=False),
            "text": st.text(),
            "flag": st.booleans(),
            "path": PATHS,
            "delay": st.timedeltas(timedelta(days=-9999), timedelta(days=9999)),
            "at": st.datetimes(timezones=st.just(UTC)),
            "color": st.sampled_from(Color),
            "maybe": st.none() | st.lists(st.integers(0, 9)),
            "table": st.dictionaries(st.text(), st.floats(0, 1)),
            "host": st.builds(Host, st.text(), st.just(timedelta(seconds=1))),
        }
    )
)
def test_python_values_survive_the_way_through_json(params: dict[str, Any]) -> None:
    wire = json.loads(msgspec.json.encode(params, enc_hook=str))

    assert EVERYTHING.validate(wire) == params


@given(st.dictionaries(st.sampled_from([f.name for f in EVERYTHING.fields]) | st.text(), JSON))
def test_any_config_is_either_converted_or_named_wrong(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        EVERYTHING.validate(config)

    unknown = {name for name in config if name not in EVERYTHING.sample}
    pointers = {error.pointer for error in caught.value.errors}
    assert {"/" + name.replace("~", "~0").replace("/", "~1") for name in unknown} <= pointers
    assert all(error.detail.endswith((".", "?")) for error in caught.value.errors)


@given(JSON, st.text())
def test_a_coerced_text_never_raises(default: Any, text: str) -> None:
    for field_ in EVERYTHING.fields:
        coerce_text(field_.schema, text)
    coerce_text({"enum": [default]}, text)
