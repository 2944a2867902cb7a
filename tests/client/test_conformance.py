"""One suite for every client: the same calls give the same values and the same errors."""

import inspect
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tasky import errors
from tasky.client.base import Client
from tasky.model import Submit, Task
from tasky.states import State
from tests.webapi.stage import PATIENCE_S, Stage


def run(client: Client, worker: str = "echo", **config: Any) -> Task:
    return client.wait(client.submit(Submit(worker=worker, config=config)).id, PATIENCE_S)


def hold(client: Client, worker: str = "echo", **options: Any) -> Task:
    return client.submit(Submit(worker=worker, hold=True, **options))


def start_held(client: Client, stage: Stage) -> Task:
    task = client.submit(Submit(worker="held"))
    assert stage.entered.wait(PATIENCE_S)
    return task


def plain(raw: msgspec.Raw | None) -> Any:
    return None if raw is None else msgspec.json.decode(raw)


def test_every_verb_of_the_protocol_is_tried_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    verbs = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if name[0] != "_"}
    tried = set(re.findall(r"client\.(\w+)\(", source))
    assert verbs - {"close"} <= tried


# -- workers ---------------------------------------------------------------------------------------


def test_workers_come_sorted_with_what_they_take(client: Client) -> None:
    found, not_loaded = client.workers()

    assert [worker.name for worker in found] == ["boom", "chat", "echo", "give", "held"]
    assert found[2].config_schema["properties"].keys() == {"text", "times"}
    assert not_loaded == []


def test_a_worker_is_found_whatever_the_case(client: Client) -> None:
    assert client.worker("ECHO").name == "echo"


def test_an_unknown_worker_is_an_error_with_the_closest_name(client: Client) -> None:
    with pytest.raises(errors.WorkerUnknown, match="Did you mean echo"):
        client.worker("ecko")


def test_a_worker_is_changed_and_its_version_rises(client: Client) -> None:
    before = client.worker("echo")

    after = client.change_worker(
        "echo", enabled=False, reason="too loud", max_running=3, queue="slow"
    )

    assert (after.enabled, after.disabled_reason) == (False, "too loud")
    assert (after.max_running, after.queue) == (3, "slow")
    assert after.version == before.version + 1


def test_a_change_of_an_old_version_of_a_worker_is_refused(client: Client) -> None:
    version = client.worker("echo").version
    client.change_worker("echo", max_running=2)

    with pytest.raises(errors.VersionConflict):
        client.change_worker("echo", max_running=3, version=version)


def test_a_limit_below_one_is_refused_at_its_field(client: Client) -> None:
    with pytest.raises(errors.BadRequest) as refusal:
        client.change_worker("echo", max_running=0)
    assert [error.pointer for error in refusal.value.errors] == ["/max_running"]


def test_a_disabled_worker_takes_no_task(client: Client) -> None:
    client.change_worker("echo", enabled=False, reason="too loud")

    with pytest.raises(errors.WorkerDisabled, match="too loud"):
        client.submit(Submit(worker="echo"))


def test_statistics_of_a_worker_count_by_status(client: Client) -> None:
    run(client)
    run(client, "boom")

    assert client.worker_stats("echo").by_status == {"succeeded": 1}
    assert client.worker_stats("boom", 0).failure_rate == 1.0
    assert client.worker_stats("give").run_s.mean is None


# -- submit ----------------------------------------------------------------------------------------


def test_a_submitted_task_comes_back_with_all_its_options(client: Client) -> None:
    task = hold(
        client, config={"text": "a"}, priority=7, queue="slow", labels={"env": "prod"}, key="k",
        timeout_s=2.5, max_attempts=3, not_before=4_000_000_000_000_000,
    )  # fmt: skip

    assert len(task.id) == 32
    assert plain(task.config) == {"text": "a"}
    assert task.status is State.NEW
    assert (task.priority, task.queue, task.labels, task.key) == (7, "slow", {"env": "prod"}, "k")
    assert (task.timeout_s, task.max_attempts) == (2.5, 3)
    assert task.not_before == 4_000_000_000_000_000


def test_a_delay_becomes_a_time_in_the_future(client: Client) -> None:
    task = client.submit(Submit(worker="echo", delay_s=3600))
    assert task.not_before is not None
    assert task.not_before > task.created_at


@pytest.mark.parametrize(
    ("config", "pointers"),
    [
        ({"text": 1}, ["/text"]),
        ({"text": 1, "times": "x"}, ["/text", "/times"]),
        ({"tixt": "a"}, ["/tixt"]),
    ],
)
def test_every_wrong_field_of_a_config_is_named(
    client: Client, config: dict[str, Any], pointers: list[str]
) -> None:
    with pytest.raises(errors.ConfigInvalid) as refusal:
        client.submit(Submit(worker="echo", config=config))
    assert [error.pointer for error in refusal.value.errors] == pointers


@pytest.mark.parametrize(
    "options", [{"priority": 101}, {"times": 0}, {"timeout_s": -1.0}, {"labels": {"a": "b" * 300}}]
)
def test_options_out_of_bounds_are_refused(client: Client, options: dict[str, Any]) -> None:
    with pytest.raises(errors.BadRequest):
        client.submit(Submit(worker="echo", **options))


def test_an_open_key_is_taken(client: Client) -> None:
    hold(client, key="only-one")
    with pytest.raises(errors.KeyTaken):
        hold(client, key="only-one")


def test_the_same_idempotency_key_gives_the_same_task(client: Client) -> None:
    request = Submit(worker="echo", hold=True, idempotency_key="once")
    assert client.submit(request).id == client.submit(request).id


def test_an_idempotency_key_of_another_request_is_refused(client: Client) -> None:
    client.submit(Submit(worker="echo", hold=True, idempotency_key="once"))
    with pytest.raises(errors.IdempotencyMismatch):
        client.submit(Submit(worker="give", hold=True, idempotency_key="once"))


def test_many_tasks_are_submitted_in_order(client: Client) -> None:
    made = client.submit_many(
        [Submit(worker="echo", config={"text": text}, hold=True) for text in "abc"]
    )
    assert [plain(task.config)["text"] for task in made] == ["a", "b", "c"]


def test_of_many_tasks_one_wrong_one_refuses_all(client: Client) -> None:
    with pytest.raises(errors.WorkerUnknown):
        client.submit_many([Submit(worker="echo"), Submit(worker="nobody")])
    assert client.tasks().total == 0


def test_a_check_refuses_like_a_submit_and_writes_nothing(client: Client) -> None:
    client.check(Submit(worker="echo"))
    with pytest.raises(errors.ConfigInvalid):
        client.check(Submit(worker="echo", config={"text": 1}))
    assert client.tasks().total == 0


# -- look ------------------------------------------------------------------------------------------


def test_a_task_is_found_by_a_unique_prefix(client: Client) -> None:
    task = hold(client)
    assert client.task(task.id[:12]).id == task.id


@pytest.mark.parametrize("id", ["0" * 32, "nothing", "", "../x", "a b/c"])
def test_an_unknown_task_is_an_error(client: Client, id: str) -> None:  # noqa: A002
    hold(client)
    with pytest.raises((errors.TaskUnknown, errors.NotFound)):
        client.task(id or "zz")


def test_an_ended_task_shows_output_times_and_attempt(client: Client) -> None:
    task = run(client, text="a", times=3)

    assert task.status is State.SUCCEEDED
    assert plain(task.output) == {"text": "aaa"}
    assert task.run_s is not None
    assert task.ended_at is not None
    assert task.attempt == 1


def test_a_failed_task_shows_its_error(client: Client) -> None:
    task = run(client, "boom")
    assert task.error is not None
    assert (task.status, task.error.type, task.error.message) == (
        State.FAILED, "RuntimeError", "boom",
    )  # fmt: skip


def test_lists_go_on_at_their_cursor(client: Client) -> None:
    made = [hold(client).id for _ in range(5)]

    first = client.tasks(limit=3)
    second = client.tasks(limit=3, cursor=first.next_cursor)

    assert [task.id for task in (*first.items, *second.items)] == made[::-1]
    assert (first.total, first.total_is_exact, second.next_cursor) == (5, True, None)


def test_lists_take_query_sort_and_order(client: Client) -> None:
    low, high = hold(client, priority=1), hold(client, priority=2)
    hold(client, "give")

    found = client.tasks("worker:echo status:new", sort="priority", order="asc", tz="UTC")

    assert [task.id for task in found.items] == [low.id, high.id]


@pytest.mark.parametrize(
    "wrong",
    [{"q": "status:bogus"}, {"sort": "bogus"}, {"order": "up"}, {"limit": 0}, {"limit": 501},
     {"cursor": "bogus"}],
)  # fmt: skip
def test_a_wrong_list_is_refused(client: Client, wrong: dict[str, Any]) -> None:
    with pytest.raises(errors.BadRequest):
        client.tasks(**wrong)


def test_a_wait_ends_with_the_task(client: Client, stage: Stage) -> None:
    task = start_held(client, stage)
    stage.gate.set()
    assert client.wait(task.id).status is State.SUCCEEDED


def test_a_wait_that_is_over_gives_the_task_as_it_is(client: Client) -> None:
    task = hold(client)
    assert client.wait(task.id, 0.01).status is State.NEW


def test_a_change_wakes_who_waits_for_another_version(client: Client) -> None:
    task = hold(client)
    client.set_config(task.id, {"text": "b"})
    assert client.wait_change(task.id, task.version, PATIENCE_S).version > task.version


def test_a_wait_for_a_change_that_does_not_come_ends(client: Client) -> None:
    task = hold(client)
    assert client.wait_change(task.id, task.version, 0.01).version == task.version


@pytest.mark.parametrize(
    ("kind", "form", "data"),
    [
        ("text", "text", "grüße\n".encode()),
        ("bytes", "bytes", b"\x00\xff"),
        ("array", "json", b'[1,"zwei",null]'),
        ("much", "bytes", b"0123456789" * 100_000),
    ],
)
def test_output_comes_as_what_it_is(client: Client, kind: str, form: str, data: bytes) -> None:
    output = client.output(run(client, "give", kind=kind).id)
    assert (output.kind, output.size, output.read()) == (form, len(data), data)


def test_a_task_without_an_end_has_no_output(client: Client) -> None:
    output = client.output(hold(client).id)
    assert (output.kind, output.size, output.read()) == (None, 0, b"")


def test_log_lines_come_in_order_from_a_place_on(client: Client) -> None:
    task = run(client, "chat", lines=5)

    lines = client.log(task.id)

    assert [line.text for line in lines] == [f"line {n}" for n in range(5)]
    assert client.log(task.id, after=lines[2].seq) == lines[3:]
    assert client.log(task.id, limit=2) == lines[:2]
    assert client.log(task.id, tail=2) == lines[-2:]


def test_a_log_longer_than_one_answer_comes_whole(client: Client) -> None:
    task = run(client, "chat", lines=6_000)
    assert len(client.log(task.id, limit=100_000)) == 6_000


def test_who_waits_for_a_log_gets_its_next_line(client: Client, stage: Stage) -> None:
    task = start_held(client, stage)
    assert [line.text for line in client.log(task.id, wait_s=PATIENCE_S)] == ["begun"]


def test_who_waits_for_a_log_is_not_kept_past_its_end(client: Client) -> None:
    task = run(client, "chat", lines=1)
    assert client.log(task.id, after=100, wait_s=PATIENCE_S) == []


def test_events_tell_the_history_of_a_task(client: Client) -> None:
    task = run(client)

    history = client.events(task=task.id)

    names = [event.name for event in history]
    assert names[:2] == ["task.created", "execution.started"]
    assert history[-1].state is State.SUCCEEDED
    assert {event.task_id for event in history} == {task.id}
    assert client.events(task=task.id, after=history[0].id, limit=1) == history[1:2]


def test_all_events_end_with_the_newest(client: Client) -> None:
    hold(client)
    assert client.events(limit=5_000)[-1].id == client.newest_event()


def test_a_new_event_wakes_who_waits_for_one(client: Client) -> None:
    before = client.newest_event()
    hold(client)
    found = client.events(after=before, wait_s=PATIENCE_S)
    assert [event.name for event in found] == ["task.created"]


def test_results_and_executions_are_those_of_the_task(client: Client) -> None:
    task = client.wait(client.submit(Submit(worker="echo", times=2)).id, PATIENCE_S)
    client.wait(client.act(task.id, "rerun").id, PATIENCE_S)

    results, executions = client.results(task.id), client.executions(task.id)

    assert [result.times for result in results] == [1, 2]
    assert [execution.index for execution in executions] == [1, 2, 1]
    assert {execution.status for execution in executions} == {State.SUCCEEDED}


def test_why_names_the_reason(client: Client) -> None:
    assert client.why(hold(client).id).reason == "held"


def test_the_stack_shows_where_running_code_stands(client: Client, stage: Stage) -> None:
    task = start_held(client, stage)
    assert any("in held" in frame for frame in client.stack(task.id))


def test_time_spent_is_told_per_task(client: Client) -> None:
    task = run(client)
    found = client.task_stats(task.id)
    assert (found.task_id, found.executions) == (task.id, {"succeeded": 1})


# -- control ---------------------------------------------------------------------------------------


def test_a_held_task_runs_once_released(client: Client) -> None:
    task = hold(client)
    client.act(task.id, "release")
    assert client.wait(task.id, PATIENCE_S).status is State.SUCCEEDED


def test_a_cancel_waits_for_its_effect(client: Client, stage: Stage) -> None:
    task = start_held(client, stage)
    ended = client.act(task.id, "cancel", reason="enough", wait_s=PATIENCE_S)
    assert ended.status is State.CANCELLED


def test_pause_and_resume_wait_for_their_effect(client: Client, stage: Stage) -> None:
    task = start_held(client, stage)
    assert client.act(task.id, "pause", wait_s=PATIENCE_S).status is State.PAUSED
    assert client.act(task.id, "resume", wait_s=PATIENCE_S).status is State.RUNNING


def test_a_kill_ends_a_task(client: Client, stage: Stage) -> None:
    task = start_held(client, stage)
    assert client.act(task.id, "kill", wait_s=PATIENCE_S).status is State.KILLED


def test_a_rerun_takes_changes_to_the_config(client: Client) -> None:
    task = run(client, text="a")

    client.act(task.id, "rerun", times=2, config={"text": "b"})

    assert plain(client.wait(task.id, PATIENCE_S).config) == {"text": "b"}


@pytest.mark.parametrize("action", ["cancel", "pause", "resume", "kill", "release"])
def test_an_action_that_the_state_does_not_allow_is_refused(client: Client, action: str) -> None:
    task = run(client)
    with pytest.raises(errors.StatusConflict):
        client.act(task.id, action)


@pytest.mark.parametrize("wrong", [{"action": "explode"}, {"action": "rerun", "times": 0}])
def test_a_wrong_action_is_refused(client: Client, wrong: dict[str, Any]) -> None:
    task = run(client)
    with pytest.raises(errors.BadRequest):
        client.act(task.id, **wrong)


def test_a_worker_without_checkpoints_cannot_pause(client: Client, stage: Stage) -> None:
    task = hold(client)
    with pytest.raises(errors.Conflict):
        client.act(task.id, "pause")


def test_an_action_keeps_to_the_status_and_the_version_it_expects(client: Client) -> None:
    task = hold(client)
    with pytest.raises(errors.Conflict):
        client.act(task.id, "release", expect_status="queued")
    with pytest.raises(errors.VersionConflict):
        client.act(task.id, "release", version=task.version + 1)
    assert client.act(task.id, "cancel", expect_status="new", version=task.version).ended


def test_a_bulk_action_has_one_outcome_per_task(client: Client) -> None:
    kept, cancelled = run(client), hold(client)

    outcomes = {o.task_id: o for o in client.act_many("worker:echo", "cancel", reason="tidy up")}

    assert outcomes[cancelled.id].done
    assert outcomes[cancelled.id].status is State.CANCELLED
    assert not outcomes[kept.id].done
    assert "cancel is possible only when" in outcomes[kept.id].detail


def test_a_dry_run_of_a_bulk_action_changes_nothing(client: Client) -> None:
    task = hold(client)
    (outcome,) = client.act_many("", "cancel", dry_run=True)
    assert outcome.done
    assert client.task(task.id).status is State.NEW


def test_a_wrong_bulk_action_is_refused(client: Client) -> None:
    with pytest.raises(errors.BadRequest):
        client.act_many("", "explode")
    with pytest.raises(errors.BadRequest):
        client.act_many("status:bogus", "cancel")


def test_a_config_is_changed_before_the_start_only(client: Client) -> None:
    task, ended = hold(client), run(client)

    assert plain(client.set_config(task.id, {"text": "b"}).config) == {"text": "b"}
    with pytest.raises(errors.StatusConflict):
        client.set_config(ended.id, {"text": "b"})


def test_a_changed_config_is_checked_and_keeps_to_its_version(client: Client) -> None:
    task = hold(client)
    with pytest.raises(errors.ConfigInvalid):
        client.set_config(task.id, {"text": 1})
    with pytest.raises(errors.VersionConflict):
        client.set_config(task.id, {"text": "b"}, version=task.version + 1)


def test_an_ended_task_can_be_deleted(client: Client) -> None:
    task = run(client)
    client.delete(task.id)
    with pytest.raises(errors.TaskUnknown):
        client.task(task.id)


def test_an_open_task_or_another_version_is_not_deleted(client: Client) -> None:
    task, ended = hold(client), run(client)
    with pytest.raises(errors.StatusConflict):
        client.delete(task.id)
    with pytest.raises(errors.VersionConflict):
        client.delete(ended.id, version=ended.version + 1)


# -- the whole -------------------------------------------------------------------------------------


def test_the_report_counts_what_ended(client: Client) -> None:
    run(client)
    run(client, "boom")

    report = client.stats(0, by="worker", step_s=60)

    assert report.by_status == {"succeeded": 1, "failed": 1}
    assert [stats.worker for stats in report.workers] == ["boom", "echo"]
    assert client.stats(worker="boom").total == 1


def test_a_wrong_report_is_refused(client: Client) -> None:
    with pytest.raises(errors.BadRequest):
        client.stats(by="bogus")
    with pytest.raises(errors.WorkerUnknown):
        client.stats(worker="nobody")


def test_system_tells_pool_and_database(client: Client) -> None:
    found = client.system()
    assert found["pool"]["slots"] == 2
    assert found["database"]["path"].endswith("work.db")
