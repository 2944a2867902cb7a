"""Why a task is where it is, and what the figures say."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tasky.client.local import LocalClient, look_at, own
from tasky.client.session import Tasky
from tasky.errors import BadRequest, WorkerUnknown
from tasky.model import Submit, Summary
from tasky.states import State
from tasky.worker import Context, worker
from tests.helpers import PATIENCE_S, Gate, obeying, register, settle, stubborn, until_status


def echo(n: int = 0) -> int:
    if n < 0:
        raise ValueError(f"{n} is negative")
    return n


def reason(tasky: Tasky, id_: str) -> str:
    return tasky.client.why(id_).reason


# -- why -------------------------------------------------------------------------------------------


def test_a_held_task_says_how_it_is_let_go(tasky: Tasky) -> None:
    handle = tasky.run(echo, hold=True)
    why = tasky.client.why(handle.id)
    assert why.reason == "held"
    assert f"tasky release {handle.id[:8]}" in why.text


def test_a_full_pool_names_who_takes_the_slots(
    make_tasky: Callable[..., Tasky], gate: Gate
) -> None:
    tasky = make_tasky(threads=1)
    first = tasky.run(obeying(gate))
    gate.visitor()
    why = tasky.client.why(tasky.run(echo).id)
    assert why.reason == "pool_full"
    assert first.id[:8] in why.text


def test_a_full_worker_says_its_limit(tasky: Tasky, gate: Gate) -> None:
    code = worker(name="limited", max_running=1)(obeying(gate))
    tasky.run(code)
    gate.visitor()
    why = tasky.client.why(tasky.run(code).id)
    assert why.reason == "worker_limit"
    assert "its limit is 1" in why.text


def test_every_blocker_is_listed_the_hardest_first(
    make_tasky: Callable[..., Tasky], gate: Gate
) -> None:
    tasky = make_tasky(threads=1)
    tasky.run(obeying(gate))
    gate.visitor()
    register(tasky, echo)
    handle = tasky.run(echo, delay_s=3600)
    tasky.client.change_worker("echo", enabled=False, reason="night")
    why = tasky.client.why(handle.id)
    assert why.reason == "disabled"
    assert '"night"' in why.blockers[0]
    assert len(why.blockers) == 3


def test_a_worker_that_is_not_loaded_is_the_reason(make_tasky: Callable[..., Tasky]) -> None:
    first = make_tasky()
    handle = first.run(echo, delay_s=3600)
    first.close()
    second = make_tasky()
    assert second.client.why(handle.id).reason == "not_loaded"


def test_without_an_engine_nothing_starts(tmp_path: Path) -> None:
    client = own(tmp_path / "t.db", verb="test", engine=False)
    try:
        task = client.submit(_sleep())
        assert client.why(task.id).reason == "no_engine"
        assert client.task(task.id).status is State.QUEUED
        assert client.act(task.id, "pause").status is State.PAUSED
        assert client.act(task.id, "cancel").status is State.CANCELLED
    finally:
        client.close()


def _sleep() -> Submit:
    return Submit(worker="sleep", config={"seconds": 0})


def test_a_running_task_says_where_it_is(tasky: Tasky, gate: Gate) -> None:
    def code(ctx: Context) -> None:
        ctx.checkpoint("copying part 3")
        gate.stand()

    handle = tasky.run(code)
    gate.visitor()
    why = tasky.client.why(handle.id)
    assert why.reason == "running"
    assert '"copying part 3"' in why.text


def test_a_wish_that_is_not_obeyed_yet_is_the_reason(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(stubborn(gate))
    gate.visitor()
    handle.pause()
    assert reason(tasky, handle.id) == "pause_requested"
    handle.cancel()
    assert reason(tasky, handle.id) == "cancel_requested"


def test_a_paused_task_says_how_it_goes_on(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(obeying(gate))
    gate.visitor()
    handle.pause()
    until_status(tasky, handle, State.PAUSED)
    why = tasky.client.why(handle.id)
    assert (why.reason, f"tasky resume {handle.id[:8]}" in why.text) == ("paused", True)


@pytest.mark.parametrize(("n", "state"), [(1, State.SUCCEEDED), (-1, State.FAILED)])
def test_an_ended_task_says_how_it_ended(tasky: Tasky, n: int, state: State) -> None:
    handle = tasky.run(echo, {"n": n})
    handle.wait(PATIENCE_S)
    why = tasky.client.why(handle.id)
    assert why.reason == state
    assert ("-1 is negative" in why.text) == (state is State.FAILED)


# -- statistics ------------------------------------------------------------------------------------


def test_without_data_every_figure_is_null(tasky: Tasky) -> None:
    stats = tasky.client.stats()
    assert (stats.total, stats.by_status, stats.workers) == (0, {}, [])
    assert (stats.failure_rate, stats.throughput_per_min, stats.oldest_queued_s) == (
        None, None, None,
    )  # fmt: skip
    assert stats.run_s == stats.wait_s == Summary()
    assert (stats.top_errors, stats.slowest, stats.series) == ([], [], [])


def test_the_report_counts_ends_and_what_is_open(tasky: Tasky, gate: Gate) -> None:
    for n in (1, 2, -1):
        tasky.run(echo, {"n": n}).wait(PATIENCE_S)
    tasky.run(echo, hold=True)
    tasky.run(obeying(gate))
    gate.visitor()
    stats = tasky.client.stats()
    assert stats.by_status == {"new": 1, "running": 1, "succeeded": 2, "failed": 1}
    assert (stats.total, stats.failure_rate) == (3, round(1 / 3, 4))
    assert [e.error for e in stats.top_errors] == ["ValueError: -1 is negative"]
    assert len(stats.slowest) == 3
    assert stats.run_s.p50 is not None


def test_the_report_of_a_worker_counts_its_own(tasky: Tasky) -> None:
    def other() -> None: ...

    tasky.run(echo, {"n": -1}).wait(PATIENCE_S)
    tasky.run(other).wait(PATIENCE_S)
    stats = tasky.client.worker_stats("echo")
    assert (stats.total, stats.by_status, stats.failure_rate) == (1, {"failed": 1}, 1.0)
    assert stats.last_error == "ValueError: -1 is negative"
    assert tasky.client.stats(worker="other").by_status == {"succeeded": 1}


def test_a_worker_without_tasks_has_null_figures(tasky: Tasky) -> None:
    register(tasky, echo)
    stats = tasky.client.worker_stats("echo")
    assert (stats.total, stats.failure_rate, stats.last_error) == (0, None, None)


@pytest.mark.parametrize(("by", "slices"), [("hour", 1), ("day", 1), ("worker", 0), (None, 0)])
def test_a_report_may_come_in_slices(tasky: Tasky, by: str | None, slices: int) -> None:
    tasky.run(echo).wait(PATIENCE_S)
    stats = tasky.client.stats(by=by)
    assert len(stats.series) == slices
    assert all(slice_.total == 1 for slice_ in stats.series)


def test_a_report_by_something_unknown_is_refused(tasky: Tasky) -> None:
    with pytest.raises(BadRequest, match="Did you mean"):
        tasky.client.stats(by="worker_name")
    with pytest.raises(WorkerUnknown):
        tasky.client.stats(worker="nobody")


def test_the_times_of_a_task_are_those_of_its_runs(tasky: Tasky, gate: Gate) -> None:
    handle = tasky.run(obeying(gate), times=2)
    gate.visitors(2)
    gate.open()
    handle.wait(PATIENCE_S)
    stats = tasky.client.task_stats(handle.id)
    assert stats.executions == {"succeeded": 2}
    assert stats.run_s.min is not None
    assert stats.run_s.max is not None
    assert stats.running_s == pytest.approx(2 * (stats.run_s.mean or 0), abs=1e-3)


def test_a_task_that_never_ran_has_no_run_times(tasky: Tasky) -> None:
    handle = tasky.run(echo, hold=True)
    stats = tasky.client.task_stats(handle.id)
    assert (stats.executions, stats.running_s, stats.run_s) == ({"new": 1}, 0.0, Summary())


def test_figures_outlive_the_tasks_they_are_of(tasky: Tasky) -> None:
    handle = tasky.run(echo)
    handle.wait(PATIENCE_S)
    before = tasky.client.stats()
    tasky.client.delete(handle.id)
    after = tasky.client.stats()
    assert (after.total, after.run_s) == (before.total, before.run_s)


def test_the_system_tells_of_pool_and_database(tasky: Tasky, gate: Gate) -> None:
    tasky.run(obeying(gate))
    gate.visitor()
    system = tasky.client.system()
    assert system["pool"] == {"slots": 4, "running": 1, "ignoring_cancel": 0}
    assert system["database"]["tasks"] == 1


# -- looking at a file -----------------------------------------------------------------------------


@pytest.fixture
def reader(make_tasky: Callable[..., Tasky], tmp_path: Path) -> LocalClient:
    tasky = make_tasky()
    tasky.run(echo).wait(PATIENCE_S)
    settle(tasky)
    return look_at(tmp_path / "tasky.db", samples=False)


def test_who_only_looks_sees_what_the_owner_does(reader: LocalClient) -> None:
    try:
        assert [task.status for task in reader.tasks().items] == [State.SUCCEEDED]
        assert reader.stats().by_status == {"succeeded": 1}
    finally:
        reader.close()


def test_a_missing_file_reads_as_empty(tmp_path: Path) -> None:
    client = look_at(tmp_path / "nothing.db", samples=False)
    try:
        assert client.tasks().items == []
    finally:
        client.close()
    assert list(tmp_path.iterdir()) == []
