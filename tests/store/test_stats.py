import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasky.model import Problem
from tasky.states import FAILURES, FINAL, State
from tasky.store import stats
from tasky.store.stats import Figures, fingerprint, merged
from tests.helpers import START, FakeClock
from tests.store.conftest import Shelf

SECOND, DAY = 1_000_000, 86_400
ENDS = sorted(FINAL)
Ran = tuple[State, int, int]


def ended(shelf: Shelf, *ran: Ran, worker: int = 1) -> None:
    """Record executions that ended now: state, µs of waiting, µs of running."""
    now = shelf.clock.now()
    rows = [(worker, 1, s.value, now - run - wait, now - run, None) for s, wait, run in ran]
    shelf.write(lambda tx: stats.record(tx, rows))


def figures(shelf: Shelf, since_s: int = 0, worker: str | None = None) -> Figures:
    until = shelf.clock.now() // SECOND + 1
    return merged(shelf.store.statistics.by_worker(since_s, until, worker).values())


def whole(figures: Figures) -> tuple[Any, ...]:
    return figures.by_status, figures.summary("run"), figures.summary("wait")


def test_an_end_counts_once_with_its_run_and_its_wait(shelf: Shelf) -> None:
    shelf.task()
    shelf.clock.advance(2)
    c = shelf.start()[0]
    shelf.clock.advance(8)
    shelf.end(c)

    found = figures(shelf)
    assert found.by_status == {"succeeded": 1}
    assert (found.summary("run").mean, found.summary("wait").mean) == (8.0, 2.0)


def test_an_end_without_a_start_has_neither_run_nor_wait(shelf: Shelf) -> None:
    ended_unstarted = [(1, 1, "cancelled", shelf.clock.now(), None, None)]
    shelf.write(lambda tx: stats.record(tx, ended_unstarted))
    found = figures(shelf)
    assert found.by_status == {"cancelled": 1}
    assert found.summary("run") == found.summary("wait")
    assert found.summary("run").mean is None


def test_without_data_there_are_no_figures(shelf: Shelf) -> None:
    found = figures(shelf)
    assert (found.total, found.failure_rate, found.summary("run").p95) == (0, None, None)


@pytest.mark.parametrize("state", ENDS)
def test_a_cancel_is_nobodys_failure(shelf: Shelf, state: State) -> None:
    ended(shelf, (State.SUCCEEDED, 1, 1), (state, 1, 1))
    expected = 0.5 if state in FAILURES else 0.0
    assert figures(shelf).failure_rate == expected


def test_a_rate_without_success_or_failure_is_null(shelf: Shelf) -> None:
    ended(shelf, (State.CANCELLED, 1, 1))
    assert figures(shelf).failure_rate is None


def test_each_worker_has_figures_of_its_own(shelf: Shelf) -> None:
    other = shelf.worker("zip")
    ended(shelf, (State.SUCCEEDED, 1, 10))
    ended(shelf, (State.FAILED, 1, 20), worker=other)
    found = shelf.store.statistics.by_worker(0, shelf.clock.now() // SECOND + 1)
    assert {name: f.by_status for name, f in found.items()} == {
        "copy": {"succeeded": 1},
        "zip": {"failed": 1},
    }


def test_a_window_leaves_out_what_lies_before_and_after(shelf: Shelf) -> None:
    ended(shelf, (State.FAILED, 1, 1))
    shelf.clock.advance(3600)
    now = shelf.clock.now() // SECOND
    ended(shelf, (State.SUCCEEDED, 1, 1))
    assert figures(shelf, since_s=now - 60).by_status == {"succeeded": 1}
    assert shelf.store.statistics.by_worker(0, now - 60)["copy"].by_status == {"failed": 1}


def test_a_series_has_a_slice_for_each_step(shelf: Shelf) -> None:
    for _ in range(3):
        ended(shelf, (State.SUCCEEDED, 1, 1))
        shelf.clock.advance(3600)
    found = shelf.store.statistics.series(0, shelf.clock.now() // SECOND, 3600)
    assert len(found) == 3
    assert [f.total for f in found.values()] == [1, 1, 1]
    assert all(at % 3600 == 0 for at in found)


# -- percentiles -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def make_fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Shelf]]:
    """One database for all examples; the figures of the last one are removed."""
    shelf = Shelf(tmp_path_factory.mktemp("stats") / "t.db", FakeClock())
    shelf.worker()

    def fresh() -> Shelf:
        shelf.clock.at = START
        shelf.write(lambda tx: tx.execute("DELETE FROM stat"))
        return shelf

    yield fresh
    shelf.close()


durations = st.integers(min_value=1, max_value=3600 * SECOND)


@settings(max_examples=60, deadline=None)
@given(runs=st.lists(durations, min_size=1, max_size=60))
def test_percentiles_are_within_two_percent(
    make_fresh: Callable[[], Shelf], runs: list[int]
) -> None:
    shelf = make_fresh()
    ended(shelf, *((State.SUCCEEDED, 1, run) for run in runs))

    summary = figures(shelf).summary("run")

    ordered = sorted(runs)
    for shown, q in ((summary.p50, 0.5), (summary.p95, 0.95), (summary.p99, 0.99)):
        assert shown is not None
        value = ordered[max(1, math.ceil(q * len(ordered))) - 1] / SECOND
        assert abs(shown - value) <= 0.02 * value + 1e-6
    assert (summary.min, summary.max) == (ordered[0] / SECOND, ordered[-1] / SECOND)
    assert summary.mean == pytest.approx(sum(runs) / len(runs) / SECOND, abs=1e-6)


# -- folding ---------------------------------------------------------------------------------------

ran = st.tuples(st.sampled_from(ENDS), durations, durations)
spread = st.lists(
    st.tuples(st.integers(min_value=0, max_value=100 * DAY), st.lists(ran, max_size=4)), max_size=8
)


@settings(max_examples=40, deadline=None)
@given(ends=spread, looks=st.lists(st.integers(min_value=1, max_value=40 * DAY), max_size=4))
def test_folding_changes_no_sum(
    make_fresh: Callable[[], Shelf], ends: list[tuple[int, list[Ran]]], looks: list[int]
) -> None:
    shelf = make_fresh()
    for at, many in ends:
        shelf.clock.at = START + at * SECOND
        ended(shelf, *many)
    shelf.clock.at = START + 101 * DAY * SECOND
    before = whole(figures(shelf))

    for seconds in (0, *looks):
        shelf.clock.advance(seconds)
        shelf.write(stats.fold)
        assert whole(figures(shelf)) == before

    counted = Counter(state.value for _, many in ends for state, _, _ in many)
    assert figures(shelf).by_status == dict(counted)


def test_old_minutes_become_hours_and_old_hours_days(shelf: Shelf) -> None:
    for _ in range(70 * 24):
        ended(shelf, (State.SUCCEEDED, 1, 1000))
        shelf.clock.advance(3600)
    shelf.write(stats.fold)
    shelf.write(stats.fold)
    spans = dict(shelf.rows("SELECT span, count(DISTINCT at) FROM stat GROUP BY span"))
    assert set(spans) == {60, 3600, 86400}
    assert spans[60] <= 49
    assert spans[3600] <= 59 * 24
    assert shelf.one("SELECT sum(n) FROM stat WHERE kind = 'succeeded'") == 70 * 24


def test_an_end_in_an_hour_that_is_folded_already_is_added_to_it(shelf: Shelf) -> None:
    """As after a clock that stood in the future for a while."""
    ended(shelf, (State.SUCCEEDED, 1, 1000))
    shelf.clock.advance(3 * DAY)
    shelf.write(stats.fold)
    shelf.clock.advance(-3 * DAY)
    ended(shelf, (State.SUCCEEDED, 1, 3000))
    record_error(shelf, "disk full")
    shelf.clock.advance(3 * DAY)
    record_error(shelf, "disk full")

    shelf.write(stats.fold)
    shelf.clock.advance(100 * DAY)
    shelf.write(stats.fold)
    shelf.write(stats.fold)

    assert figures(shelf).by_status == {"failed": 2, "succeeded": 2}
    assert shelf.one("SELECT sum(n) FROM stat_error") == 2


# -- errors ----------------------------------------------------------------------------------------


def record_error(shelf: Shelf, message: str, state: State = State.FAILED, type_: str = "E") -> None:
    error = msgspec.json.encode(Problem(type_, message)).decode()
    now = shelf.clock.now()
    shelf.write(lambda tx: stats.record(tx, [(1, 1, state.value, now, now, error)]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("no file 17", "no file 4711"),
        ("at 0xdeadbeef", "at 0x12"),
        ("id 00ff00ff00 is gone", "id abcdef0123 is gone"),
    ],
)
def test_errors_that_differ_in_numbers_are_of_one_kind(one: str, other: str) -> None:
    assert fingerprint(Problem("E", one)) == fingerprint(Problem("E", other))


def test_errors_of_different_types_are_told_apart() -> None:
    assert fingerprint(Problem("A", "x")) != fingerprint(Problem("B", "x"))


def test_the_most_frequent_error_comes_first(shelf: Shelf) -> None:
    for n in range(3):
        record_error(shelf, f"no file {n}")
    record_error(shelf, "disk full")
    found = shelf.store.statistics.errors(0, shelf.clock.now() // SECOND + 1, None)
    assert [(e.error, e.count) for e in found] == [("E: no file 2", 3), ("E: disk full", 1)]


def test_a_cancel_is_no_error(shelf: Shelf) -> None:
    record_error(shelf, "somebody cancelled it", State.CANCELLED)
    assert shelf.store.statistics.last_error("copy") is None


def test_the_last_error_of_a_worker_is_its_newest(shelf: Shelf) -> None:
    record_error(shelf, "first")
    shelf.clock.advance(90)
    record_error(shelf, "second")
    assert shelf.store.statistics.last_error("copy") == "E: second"


def test_folding_keeps_how_often_an_error_came(shelf: Shelf) -> None:
    for n in range(4):
        record_error(shelf, f"no file {n}")
        shelf.clock.advance(600)
    shelf.clock.advance(5 * DAY)
    shelf.write(stats.fold)
    found = shelf.store.statistics.errors(0, shelf.clock.now() // SECOND + 1, None)
    assert [e.count for e in found] == [4]
