"""The routes of tasks."""

from typing import Any

import pytest

from tests.webapi.stage import PATIENCE_S, Stage, Web

API = "/tasky/v1"
TASKS = f"{API}/tasks"


def hold(web: Web, worker: str = "echo", query: str = "") -> str:
    return str(web("POST", f"{API}/workers/{worker}?hold=1&{query}").json["task_id"])


def run(web: Web, worker: str = "echo", **config: Any) -> str:
    reply = web("POST", f"{API}/workers/{worker}?wait={PATIENCE_S:g}", config)
    assert reply.status == 200
    return str(reply.json["task_id"])


def start_held(web: Web, stage: Stage) -> str:
    task_id = web("POST", f"{API}/workers/held").json["task_id"]
    assert stage.entered.wait(PATIENCE_S)
    return str(task_id)


# -- lists and submits -----------------------------------------------------------------------------


def test_a_list_pages_by_its_cursor(web: Web) -> None:
    made = [hold(web) for _ in range(3)]

    first = web("GET", f"{TASKS}?limit=2").json
    rest = web("GET", f"{TASKS}?limit=2&cursor={first['next_cursor']}").json

    assert [task["task_id"] for task in first["items"] + rest["items"]] == made[::-1]
    assert (first["total"], first["total_is_exact"], rest["next_cursor"]) == (3, True, None)


def test_a_list_says_where_it_is_shortened(web: Web) -> None:
    run(web, text="x" * 5_000)
    (task,) = web("GET", TASKS).json["items"]
    assert task["truncated"]
    assert len(task["config"]) < 3_000


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "sort=bogus", "order=up", "cursor=bogus", "q=status:bogus",
     "tz=Nowhere", "page=2", "q=%00", "q=" + "(" * 500],
)  # fmt: skip
def test_a_wrong_list_is_400(web: Web, query: str) -> None:
    assert web("GET", f"{TASKS}?{query}").status == 400


def test_one_object_makes_one_task(web: Web) -> None:
    body = {
        "worker": "echo", "config": {"text": "a"}, "hold": True, "labels": {"a": "b"},
        "not_before": "2099-01-01T00:00:00Z", "priority": 3, "timeout_s": 5, "delay_s": None,
    }  # fmt: skip

    reply = web("POST", TASKS, body)

    assert reply.status == 201
    assert reply.headers["location"].endswith(reply.json["task_id"])
    assert (reply.json["labels"], reply.json["timeout_s"]) == ({"a": "b"}, 5.0)


def test_an_array_makes_all_tasks_or_none(web: Web) -> None:
    good = [{"worker": "echo", "hold": True}] * 3
    assert len(web("POST", TASKS, good).json["items"]) == 3

    reply = web("POST", TASKS, [*good, {"worker": "nobody"}])

    assert reply.code == "worker_unknown"
    assert web("GET", TASKS).json["total"] == 3


def test_an_empty_array_makes_nothing(web: Web) -> None:
    reply = web("POST", TASKS, [])
    assert (reply.status, reply.json) == (201, {"items": []})


def test_more_than_ten_thousand_at_once_are_refused(web: Web) -> None:
    assert web("POST", TASKS, [{"worker": "echo"}] * 10_001).status == 400


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/worker"]),
        ({"worker": 1, "tims": 3, "times": "x"}, ["/tims", "/worker", "/times"]),
        ({"worker": "echo", "labels": {"a": 1}}, ["/labels"]),
        ({"worker": "echo", "priority": 500}, ["/priority"]),
        ({"worker": "echo", "max_attempts": 2**63}, ["/max_attempts"]),
        ({"worker": "echo", "delay_s": 1e300}, ["/delay_s"]),
        ({"worker": "echo", "not_before": "soon"}, ["/not_before"]),
        ({"worker": "echo", "origin": "agent"}, ["/origin"]),
        ({"worker": "echo", "actor": "root"}, ["/actor"]),
        ([{"worker": "echo"}, {"x": 1}, 3], ["/1/x", "/1/worker", "/2"]),
        ("echo", [""]),
    ],
)
def test_a_wrong_submit_is_refused_at_every_field(web: Web, body: Any, pointers: list[str]) -> None:
    reply = web("POST", TASKS, body)
    assert reply.status == 400
    assert [error["pointer"] for error in reply.json["errors"]] == pointers
    assert web("GET", TASKS).json["total"] == 0


def test_a_body_is_wanted(web: Web) -> None:
    assert web("POST", TASKS).status == 400


def test_a_submit_of_several_megabytes_is_taken_elsewhere_it_is_413(web: Web) -> None:
    large = {"worker": "echo", "config": {"text": "x" * (2 * 1024 * 1024)}, "hold": True}
    assert web("POST", TASKS, large).status == 201
    assert web("POST", f"{API}/workers/echo", large["config"]).status == 413


def test_a_dry_run_of_an_array_checks_each(web: Web) -> None:
    path = f"{TASKS}?dry_run=1"
    assert web("POST", path, [{"worker": "echo"}]).json == {"valid": True}
    assert web("POST", path, [{"worker": "echo"}, {"worker": "nobody"}]).status == 404


def test_a_bulk_action_counts_what_it_did(web: Web) -> None:
    run(web)
    held = hold(web)
    body = {"q": "worker:echo", "action": "cancel", "reason": "tidy"}

    dry = web("POST", f"{TASKS}/actions", {**body, "dry_run": True}).json
    assert web("GET", f"{API}/task/{held}").json["status"] == "new"
    done = web("POST", f"{TASKS}/actions", body).json

    assert dry["counts"] == done["counts"] == {"matched": 2, "done": 1, "refused": 1}
    assert {o["task_id"]: o["done"] for o in done["items"]}[held]


@pytest.mark.parametrize(
    "body",
    [{}, {"action": "cancel"}, {"q": ""}, {"q": "", "action": "explode"},
     {"q": 1, "action": "cancel"}, {"q": "", "action": "cancel", "dryrun": True},
     {"q": "status:x", "action": "cancel"}],
)  # fmt: skip
def test_a_wrong_bulk_action_touches_nothing(web: Web, body: Any) -> None:
    held = hold(web)
    assert web("POST", f"{TASKS}/actions", body).status == 400
    assert web("GET", f"{API}/task/{held}").json["status"] == "new"


# -- one task --------------------------------------------------------------------------------------

PARTS = ("", "/status", "/statistics", "/log", "/events", "/results", "/executions", "/why",
         "/stack", "/result", "/output")  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_both_spellings_show_the_same(web: Web, part: str) -> None:
    task_id = run(web)
    one, many = web("GET", f"{API}/task/{task_id}{part}"), web("GET", f"{TASKS}/{task_id}{part}")
    assert one.status == 200
    assert one.body == many.body


@pytest.mark.parametrize("part", PARTS)
def test_an_unknown_task_is_404_everywhere(web: Web, part: str) -> None:
    assert web("GET", f"{API}/task/{'0' * 32}{part}").code == "task_unknown"


def test_a_task_that_did_not_change_is_304(web: Web) -> None:
    path = f"{API}/task/{hold(web)}"
    tag = web("GET", path).headers["etag"]

    for given in (tag, f'"77", {tag}', f"W/{tag}", "*"):
        reply = web("GET", path, headers={"If-None-Match": given})
        assert (reply.status, reply.body, reply.headers["etag"]) == (304, b"", tag)
    assert web("GET", path, headers={"If-None-Match": '"77"'}).status == 200


def test_a_put_changes_the_config_before_the_start(web: Web) -> None:
    path = f"{API}/task/{hold(web)}"
    tag = web("GET", path).headers["etag"]

    reply = web("PUT", path, {"config": {"text": "b"}}, headers={"If-Match": tag})

    assert (reply.status, reply.json["config"]) == (200, {"text": "b"})
    stale = web("PUT", path, {"config": {}}, headers={"If-Match": tag})
    assert stale.code == "version_conflict"


def test_a_put_after_the_start_is_409(web: Web) -> None:
    assert web("PUT", f"{API}/task/{run(web)}", {"config": {}}).code == "status_conflict"


def test_a_put_with_an_action_is_that_action(web: Web) -> None:
    reply = web("PUT", f"{API}/task/{hold(web)}", {"action": "cancel"})
    assert reply.json["status"] == "cancelled"


@pytest.mark.parametrize(
    "body", [{}, {"config": 1}, {"config": {}, "action": "cancel", "x": 1}, []]
)
def test_a_wrong_put_is_400(web: Web, body: Any) -> None:
    assert web("PUT", f"{API}/task/{hold(web)}", body).status == 400


def test_an_ended_task_is_deleted_an_open_one_is_not(web: Web) -> None:
    ended, held = run(web), hold(web)
    reply = web("DELETE", f"{API}/task/{ended}")
    assert (reply.status, reply.body) == (204, b"")
    assert web("GET", f"{API}/task/{ended}").status == 404
    assert web("DELETE", f"{API}/task/{held}").code == "status_conflict"


def test_an_action_answers_with_the_task_after_its_effect(web: Web, stage: Stage) -> None:
    task_id = start_held(web, stage)

    reply = web(
        "POST", f"{API}/task/{task_id}/actions?wait=10", {"action": "cancel", "reason": "enough"}
    )

    assert reply.json["status"] == "cancelled"
    assert reply.headers["etag"] == f'"{reply.json["version"]}"'


def test_a_cancel_without_a_wait_is_a_wish(web: Web, stage: Stage) -> None:
    task_id = start_held(web, stage)
    assert web("POST", f"{TASKS}/{task_id}/cancel").json["cancel_requested_at"]


def test_a_cancel_of_an_ended_task_is_409_with_what_is_possible(web: Web) -> None:
    reply = web("POST", f"{TASKS}/{run(web)}/cancel", {"reason": "late"})
    assert reply.code == "status_conflict"
    assert "possible only when" in reply.json["detail"]


@pytest.mark.parametrize(
    "body",
    [{}, {"action": "explode"}, {"action": "rerun", "times": 0}, {"action": "rerun", "config": []},
     {"action": 1}, {"action": "cancel", "why": "x"}],
)  # fmt: skip
def test_a_wrong_action_is_400(web: Web, body: Any) -> None:
    task_id = run(web)
    assert web("POST", f"{API}/task/{task_id}/actions", body).status == 400
    assert web("GET", f"{API}/task/{task_id}/results").json["items"][0]["times"] == 1


# -- parts of one task -----------------------------------------------------------------------------


def test_a_status_is_short(web: Web) -> None:
    reply = web("GET", f"{API}/task/{hold(web)}/status")
    assert set(reply.json) == {
        "task_id", "status", "progress", "cancel_requested_at", "pause_requested_at", "version",
    }  # fmt: skip
    assert reply.headers["etag"] == f'"{reply.json["version"]}"'


def test_a_status_of_another_version_is_told_at_once(web: Web) -> None:
    path = f"{API}/task/{hold(web)}/status"
    assert web("GET", f"{path}?wait=60&version=0").json["status"] == "new"


def test_a_status_waits_for_the_change(web: Web, stage: Stage) -> None:
    task_id = start_held(web, stage)
    path = f"{API}/task/{task_id}"
    version = web("GET", path).json["version"]
    web("POST", f"{path}/cancel")
    reply = web("GET", f"{path}/status?wait={PATIENCE_S:g}&version={version}")
    assert reply.json["version"] > version


@pytest.mark.parametrize(
    ("kind", "media_type", "data"),
    [
        ("text", "text/plain; charset=utf-8", "grüße\n".encode()),
        ("bytes", "application/octet-stream", b"\x00\xff"),
        ("array", "application/json", b'[1,"zwei",null]'),
        ("much", "application/octet-stream", b"0123456789" * 100_000),
    ],
)
def test_output_has_its_own_type(web: Web, kind: str, media_type: str, data: bytes) -> None:
    reply = web("GET", f"{API}/task/{run(web, 'give', kind=kind)}/output")
    assert reply.headers["content-type"] == media_type
    assert reply.headers["content-length"] == str(len(data))
    assert reply.body == data
    assert ("content-disposition" in reply.headers) == (media_type == MEDIA_OF_BYTES)


MEDIA_OF_BYTES = "application/octet-stream"


def test_no_output_is_204(web: Web) -> None:
    assert web("GET", f"{API}/task/{hold(web)}/output").status == 204


def test_the_result_of_a_failed_task_has_its_error(web: Web) -> None:
    form = web("GET", f"{TASKS}/{run(web, 'boom')}/result").json
    assert (form["status"], form["output"]) == ("failed", None)
    assert form["error"]["message"] == "boom"


def test_a_log_goes_on_after_a_line(web: Web) -> None:
    path = f"{API}/task/{run(web, 'chat', lines=4)}/log"
    lines = web("GET", path).json["items"]
    assert set(lines[0]) == {"seq", "at", "level", "stream", "text"}
    assert web("GET", f"{path}?after={lines[1]['seq']}&limit=1").json["items"] == lines[2:3]
    assert web("GET", f"{path}?tail=1").json["items"] == lines[-1:]


@pytest.mark.parametrize(
    "query", ["after=-1", "limit=5001", "tail=0", "tail=1&after=2", "follow=1"]
)
def test_a_wrong_log_is_400(web: Web, query: str) -> None:
    assert web("GET", f"{API}/task/{run(web)}/log?{query}").status == 400


def test_the_events_of_a_task_end_with_its_end(web: Web) -> None:
    form = web("GET", f"{API}/task/{run(web)}/events").json
    assert form["items"][0]["name"] == "task.created"
    assert form["items"][-1]["state"] == "succeeded"
    assert form["newest"] >= form["items"][-1]["id"]


# -- events, statistics, system --------------------------------------------------------------------


def test_the_feed_goes_on_after_an_ordinal(web: Web) -> None:
    newest = web("GET", f"{API}/events?after={1 << 62}&limit=1").json
    assert newest["items"] == []

    hold(web)

    found = web("GET", f"{API}/events?after={newest['newest']}&wait={PATIENCE_S:g}").json
    assert [event["name"] for event in found["items"]] == ["task.created"]


@pytest.mark.parametrize("query", ["after=x", "limit=0", "wait=100", f"after={1 << 63}", "q=x"])
def test_a_wrong_feed_is_400(web: Web, query: str) -> None:
    assert web("GET", f"{API}/events?{query}").status == 400


def test_statistics_come_with_a_series(web: Web) -> None:
    run(web)
    form = web("GET", f"{API}/statistics?since=1h&by=worker&step=60s").json
    assert form["by_status"] == {"succeeded": 1}
    assert form["series"][0]["total"] == 1


@pytest.mark.parametrize("query", ["by=bogus", "since=x", "step=0", "step=x", "last=1h"])
def test_wrong_statistics_are_400(web: Web, query: str) -> None:
    assert web("GET", f"{API}/statistics?{query}").status == 400


def test_system_tells_host_process_pool_and_database(web: Web) -> None:
    form = web("GET", f"{API}/system").json
    assert set(form) >= {"host", "process", "pool", "database", "version"}
