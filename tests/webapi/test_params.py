"""Query parameters: typed, bounded, and never ignored."""

import pytest

from tasky.clock import MICROSECONDS, SystemClock, from_iso
from tasky.errors import BadRequest
from webapi.params import Params

KNOWN = ("wait", "limit", "hold", "since", "q", "at")


def params(query: str) -> Params:
    return Params(query, KNOWN, "label.")


@pytest.mark.parametrize(
    ("given", "seconds"), [("30", 30.0), ("30s", 30.0), ("0.5", 0.5), ("1m", 60.0), ("0", 0.0)]
)
def test_durations_take_numbers_and_units(given: str, seconds: float) -> None:
    assert params(f"wait={given}").wait() == seconds


@pytest.mark.parametrize(
    "given", ["61", "5m", "-1", "nan", "inf", "1e9", "", "x", "1s2", "9" * 400]
)
def test_a_wait_is_at_most_a_minute(given: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        params(f"wait={given}").wait()
    assert [error.pointer for error in refusal.value.errors] == ["/wait"]


@pytest.mark.parametrize(
    ("given", "value"), [("true", True), ("1", True), ("False", False), ("0", False), ("", True)]
)
def test_flags_take_words_and_digits(given: str, value: bool) -> None:
    assert params(f"hold={given}").flag("hold") is value


@pytest.mark.parametrize("given", ["yes", "2", "on"])
def test_other_words_are_no_flags(given: str) -> None:
    with pytest.raises(BadRequest):
        params(f"hold={given}").flag("hold")


@pytest.mark.parametrize("given", ["0", "501", "1.5", "x", "", "--5", "²", "9" * 5_000, "0x10"])
def test_numbers_keep_to_their_bounds(given: str) -> None:
    with pytest.raises(BadRequest):
        params(f"limit={given}").number("limit", 50, 1, 500)


def test_a_moment_is_a_time_or_a_span_back() -> None:
    iso = "2026-01-02T03:04:05.678Z"
    assert params(f"since={iso}").moment("since") == from_iso(iso)

    day_ago = params("since=24h").moment("since")

    assert day_ago is not None
    assert SystemClock().now() - day_ago >= 24 * 3600 * MICROSECONDS


def test_a_span_before_all_time_begins_with_it() -> None:
    assert params("since=99999999w").moment("since") == 0


@pytest.mark.parametrize("given", ["yesterday", "2026-13-01", "24x", ""])
def test_other_words_are_no_moments(given: str) -> None:
    with pytest.raises(BadRequest):
        params(f"since={given}").moment("since")


def test_labels_come_by_their_prefix() -> None:
    found = params("label.env=prod&label.a.b=c%20d&q=x").labels("label.")
    assert found == {"env": "prod", "a.b": "c d"}


REFUSED = {
    "unknown": "waitt=1",
    "twice": "q=a&q=b",
    "no UTF-8": "q=%ff",
    "too many": "&".join(f"label.{n}=1" for n in range(300)),
}


@pytest.mark.parametrize("query", REFUSED.values(), ids=REFUSED)
def test_what_means_nothing_is_refused(query: str) -> None:
    with pytest.raises(BadRequest):
        params(query)


def test_a_wrong_name_gets_the_closest() -> None:
    with pytest.raises(BadRequest, match="Did you mean wait"):
        params("waitt=1")
