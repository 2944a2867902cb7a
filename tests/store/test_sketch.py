import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasky.store.sketch import ALPHA, GAMMA, bucket_of, percentile, value_of

DAY_US = 86_400_000_000


def sketch(durations: list[int]) -> dict[int, int]:
    buckets: dict[int, int] = {}
    for duration in durations:
        bucket = bucket_of(duration)
        buckets[bucket] = buckets.get(bucket, 0) + 1
    return buckets


def exact(durations: list[int], q: float) -> int:
    """Return the value of the nearest rank."""
    return sorted(durations)[max(1, math.ceil(q * len(durations))) - 1]


def test_gamma_follows_from_the_promised_error() -> None:
    assert pytest.approx((1 + ALPHA) / (1 - ALPHA)) == GAMMA


@given(st.integers(min_value=2, max_value=400 * DAY_US))
def test_the_value_of_a_bucket_is_off_by_two_percent_at_most(duration: int) -> None:
    assert abs(value_of(bucket_of(duration)) - duration) <= ALPHA * duration * 1.000001


@given(st.integers(min_value=0, max_value=DAY_US), st.integers(min_value=0, max_value=DAY_US))
def test_a_longer_duration_is_never_in_a_lower_bucket(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert bucket_of(low) <= bucket_of(high)


@pytest.mark.parametrize("duration", [-5, 0, 1])
def test_what_takes_no_time_is_in_the_first_bucket(duration: int) -> None:
    assert bucket_of(duration) == 0
    assert value_of(0) == 1.0


@given(
    durations=st.lists(st.integers(min_value=2, max_value=DAY_US), min_size=1, max_size=200),
    q=st.sampled_from([0.0, 0.5, 0.9, 0.95, 0.99, 1.0]),
)
def test_a_percentile_is_off_by_two_percent_at_most(durations: list[int], q: float) -> None:
    estimate = percentile(sketch(durations), q)
    assert estimate is not None
    assert abs(estimate - exact(durations, q)) <= ALPHA * exact(durations, q) * 1.000001


def test_an_empty_sketch_has_no_percentiles() -> None:
    assert percentile({}, 0.5) is None
