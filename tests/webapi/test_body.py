"""Bodies: only what every JSON reader understands alike is taken."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasky.errors import BadRequest, BodyTooLarge, MediaTypeWrong
from webapi import body


def environ(data: bytes, **more: str) -> dict[str, Any]:
    return {
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(data)),
        "wsgi.input": io.BytesIO(data),
        **more,
    }


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


HOSTILE = {
    "no JSON": (b"{", ""),
    "two values": (b"{} {}", ""),
    "a byte order mark": (b"\xef\xbb\xbf{}", ""),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), ""),
    "latin-1": (b'{"a": "\xe4"}', ""),
    "overlong UTF-8": (b'{"a": "\xc0\xaf"}', ""),
    "NUL": (b'{"a": "\x00"}', ""),
    "trailing comma": (b'{"a": 1,}', ""),
    "single quotes": (b"{'a': 1}", ""),
    "comment": (b"{} // yes", ""),
    "NaN": (b'{"a": NaN}', ""),
    "Infinity": (b'{"a": -Infinity}', ""),
    "a float beyond all floats": (b'{"a": [1, 1e999]}', "/a/1"),
    "an integer of 65 bits": (b'{"a": 18446744073709551616}', "/a"),
    "a negative integer of 65 bits": (b'{"a": -9223372036854775809}', "/a"),
    "an integer of 5,000 digits": (b'{"a": ' + b"9" * 5_000 + b"}", ""),
    "a key twice": (b'{"a": 1, "a": 2}', "/a"),
    "a key twice, once escaped": (b'{"a": 1, "\\u0061": 2}', "/a"),
    "a key twice, deep inside": (b'{"x": [{"a/b": 1, "a/b": 1}]}', "/x/0/a~1b"),
    "a lone surrogate": (b'{"a": "\\ud800"}', "/a"),
    "a lone surrogate in a key": (b'{"b": {"\\udfff": 1}}', "/b"),
    "33 levels": (nested(33), "/0" * 32),
    "100,000 levels": (nested(100_000), ""),
}


@pytest.mark.parametrize(("data", "pointer"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_bodies_are_refused_where_they_are_wrong(data: bytes, pointer: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        body.read(environ(data))
    assert [error.pointer for error in refusal.value.errors] == [pointer]


GOOD = {
    "an object": b'{"a": [1, -2.5, "x", null, true]}',
    "64 bits": b"[18446744073709551615, -9223372036854775808]",
    "a pair of surrogates": b'"\\ud83d\\ude00"',
    "text beyond ASCII": '"grüße 😀"'.encode(),
    "32 levels": nested(32),
    "white space": b' \n\t{"a" : 1}\r\n',
}


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
def test_good_bodies_are_read(data: bytes) -> None:
    assert body.read(environ(data)) == json.loads(data)


def test_all_wrong_places_are_named_at_once() -> None:
    with pytest.raises(BadRequest) as refusal:
        body.read(environ(b'{"a": 99999999999999999999, "b": {"c": 1, "c": 2}}'))
    assert [error.pointer for error in refusal.value.errors] == ["/a", "/b/c"]


def test_no_more_wrong_places_are_named_than_anybody_reads() -> None:
    data = json.dumps([2**70] * 1_000).encode()
    with pytest.raises(BadRequest) as refusal:
        body.read(environ(data))
    assert len(refusal.value.errors) == body.MAX_SHOWN


def test_an_empty_body_is_told_from_null() -> None:
    assert body.read(environ(b"")) is body.NOTHING
    assert body.read(environ(b"null")) is None


@pytest.mark.parametrize(
    "given",
    ["", "text/plain", "text/json", "application/x-www-form-urlencoded", "multipart/form-data",
     "application/json; charset=latin-1", "application/jsonp"],
)  # fmt: skip
def test_only_json_in_utf_8_is_taken(given: str) -> None:
    with pytest.raises(MediaTypeWrong):
        body.read(environ(b"{}", CONTENT_TYPE=given))


@pytest.mark.parametrize(
    "given", ["application/json", "Application/JSON", 'application/json; charset="UTF-8"']
)
def test_json_may_be_spelled_in_its_ways(given: str) -> None:
    assert body.read(environ(b"{}", CONTENT_TYPE=given)) == {}


@pytest.mark.parametrize("given", ["gzip", "br", "identity, gzip"])
def test_an_encoded_body_is_refused(given: str) -> None:
    with pytest.raises(MediaTypeWrong):
        body.read(environ(b"{}", HTTP_CONTENT_ENCODING=given))


def test_a_body_above_the_limit_is_refused_unread() -> None:
    asked = environ(b"", CONTENT_LENGTH="101")
    with pytest.raises(BodyTooLarge, match="larger than 100 bytes"):
        body.read(asked, limit=100)


@pytest.mark.parametrize("given", ["x", "1e3", "٣x"])
def test_a_malformed_length_is_refused(given: str) -> None:
    with pytest.raises(BadRequest):
        body.read(environ(b"{}", CONTENT_LENGTH=given))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        value = body.read(environ(data))
    except BadRequest:
        return
    assert value is body.NOTHING or value == json.loads(data)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() |
    st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(values)
def test_all_good_values_come_through(value: Any) -> None:
    assert body.read(environ(json.dumps(value).encode())) == value
