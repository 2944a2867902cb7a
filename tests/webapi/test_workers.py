"""The routes of workers."""

from typing import Any

import pytest

from tests.webapi.stage import PATIENCE_S, Stage, Web

WORKERS = "/tasky/v1/workers"


def test_the_list_has_every_worker_with_its_sample(web: Web) -> None:
    form = web("GET", WORKERS).json
    assert [worker["name"] for worker in form["items"]] == ["boom", "chat", "echo", "give", "held"]
    assert form["items"][2]["sample_config"]
    assert form["not_loaded"] == []


def test_modules_that_did_not_load_are_in_the_list(stage: Stage, web: Web) -> None:
    stage.client.core.registry.load("no.such.module")
    (entry,) = web("GET", WORKERS).json["not_loaded"]
    assert entry["module"] == "no.such.module"
    assert "ModuleNotFoundError" in entry["error"]


def test_one_worker_comes_with_its_latest_tasks(web: Web) -> None:
    made = [web("POST", f"{WORKERS}/echo?hold=1").json["task_id"] for _ in range(22)]
    web("POST", f"{WORKERS}/give?hold=1")

    reply = web("GET", f"{WORKERS}/ECHO")

    assert reply.json["worker"]["name"] == "echo"
    assert [task["task_id"] for task in reply.json["tasks"]] == made[:1:-1]
    assert reply.headers["etag"] == f'"{reply.json["worker"]["version"]}"'


def test_info_tells_usage_and_examples(web: Web) -> None:
    info = web("GET", f"{WORKERS}/echo/info").json
    assert set(info) == {
        "name", "description", "usage", "config_schema", "sample_config", "examples",
    }  # fmt: skip


@pytest.mark.parametrize(
    "path", [f"{WORKERS}/ecko", f"{WORKERS}/ecko/info", "/tasky/v1/ecko/statistics"]
)
def test_an_unknown_worker_is_404_with_the_closest(web: Web, path: str) -> None:
    reply = web("GET", path)
    assert reply.code == "worker_unknown"
    assert "Did you mean echo" in reply.json["detail"]


@pytest.mark.parametrize("path", [f"{WORKERS}/echo/statistics", "/tasky/v1/echo/statistics"])
def test_statistics_have_both_spellings(web: Web, path: str) -> None:
    web("POST", f"{WORKERS}/echo?wait={PATIENCE_S:g}")
    assert web("GET", path).json["total"] == 1
    assert web("GET", f"{path}?since=24h").json["by_status"] == {"succeeded": 1}


# -- run -------------------------------------------------------------------------------------------


def test_a_run_is_created_with_its_place(web: Web) -> None:
    reply = web("POST", f"{WORKERS}/echo", {"text": "a"})
    task_id = reply.json["task_id"]
    assert reply.status == 201
    assert reply.headers["location"] == f"/tasky/v1/task/{task_id}"
    assert web("GET", reply.headers["location"]).json["config"] == {"text": "a"}


def test_an_empty_body_is_an_empty_config(web: Web) -> None:
    assert web("POST", f"{WORKERS}/echo").json["config"] == {}


def test_a_wait_answers_with_the_ended_task(web: Web) -> None:
    reply = web("POST", f"{WORKERS}/echo?wait=10s", {"text": "a"})
    assert (reply.status, reply.json["output"]) == (200, {"text": "a"})


def test_a_wait_that_is_over_answers_202_with_the_task_as_it_is(web: Web) -> None:
    reply = web("POST", f"{WORKERS}/held?wait=0.01")
    assert reply.status == 202
    assert reply.json["status"] in ("queued", "running")
    assert reply.headers["location"]


def test_options_stand_in_the_query(web: Web) -> None:
    query = (
        "hold=true&times=3&priority=-5&timeout=2m&not_before=2099-01-01T00:00:00Z&queue=slow"
        "&key=k&max_attempts=2&label.env=prod&label.team=a%20b"
    )

    form = web("POST", f"{WORKERS}/echo?{query}").json

    assert form["status"] == "new"
    assert (form["priority"], form["timeout_s"], form["queue"]) == (-5, 120.0, "slow")
    assert (form["key"], form["max_attempts"]) == ("k", 2)
    assert form["not_before"] == "2099-01-01T00:00:00.000Z"
    assert form["labels"] == {"env": "prod", "team": "a b"}


@pytest.mark.parametrize(
    "query",
    ["hold=maybe", "times=0", "times=10001", "priority=101", "timeout=0", "timeout=x", "delay=-1",
     "delay=9999w", "not_before=soon", "max_attempts=0", "wait=61", "labelenv=x", "bogus=1",
     "not_before=99999-01-01", "hold=1&hold=0"],
)  # fmt: skip
def test_wrong_options_are_refused_and_change_nothing(web: Web, query: str) -> None:
    assert web("POST", f"{WORKERS}/echo?{query}").status == 400
    assert web("GET", "/tasky/v1/tasks").json["total"] == 0


@pytest.mark.parametrize("body", [[], "text", 1, None, True])
def test_a_config_is_an_object(web: Web, body: Any) -> None:
    data = b"null" if body is None else body
    assert web("POST", f"{WORKERS}/echo", data).status == 400


def test_every_wrong_field_is_named(web: Web) -> None:
    reply = web("POST", f"{WORKERS}/echo", {"text": 1, "tims": 2})
    assert reply.code == "config_invalid"
    assert [error["pointer"] for error in reply.json["errors"]] == ["/text", "/tims"]


def test_a_dry_run_checks_and_writes_nothing(web: Web) -> None:
    assert web("POST", f"{WORKERS}/echo?dry_run=true", {"text": "a"}).json == {"valid": True}
    assert web("POST", f"{WORKERS}/echo?dry_run=true", {"text": 1}).status == 400
    assert web("GET", "/tasky/v1/tasks").json["total"] == 0


def test_the_same_key_is_the_same_task_and_another_body_422(web: Web) -> None:
    key = {"Idempotency-Key": "once"}
    first = web("POST", f"{WORKERS}/echo?hold=1", {"text": "a"}, headers=key)
    again = web("POST", f"{WORKERS}/echo?hold=1", {"text": "a"}, headers=key)
    other = web("POST", f"{WORKERS}/echo?hold=1", {"text": "b"}, headers=key)

    assert again.json["task_id"] == first.json["task_id"]
    assert (again.status, other.status) == (201, 422)


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_1_to_255_characters(web: Web, key: str) -> None:
    assert web("POST", f"{WORKERS}/echo", headers={"Idempotency-Key": key}).status == 400


# -- change ----------------------------------------------------------------------------------------


def test_a_change_takes_effect_and_has_a_new_tag(web: Web) -> None:
    tag = web("GET", f"{WORKERS}/echo").headers["etag"]

    reply = web("PATCH", f"{WORKERS}/echo", {"enabled": False, "reason": "loud"})

    assert (reply.status, reply.json["disabled_reason"]) == (200, "loud")
    assert reply.headers["etag"] != tag
    assert web("POST", f"{WORKERS}/echo").code == "worker_disabled"


def test_a_change_of_another_version_is_412(web: Web) -> None:
    tag = web("GET", f"{WORKERS}/echo").headers["etag"]
    assert web("PATCH", f"{WORKERS}/echo", {}, headers={"If-Match": tag}).status == 200
    for given in ('"77"', "77", 'W/"1"', '"x"'):
        headers = {"If-Match": given}
        reply = web("PATCH", f"{WORKERS}/echo", {"max_running": 1}, headers=headers)
        assert reply.code == "version_conflict"
    assert web("PATCH", f"{WORKERS}/echo", {}, headers={"If-Match": "*"}).status == 200


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"max_running": 0}, ["/max_running"]),
        ({"max_running": None, "enabled": "yes"}, ["/enabled", "/max_running"]),
        ({"queue": ""}, ["/queue"]),
        ({"enable": True}, ["/enable"]),
        ([], [""]),
    ],
)
def test_a_wrong_change_is_refused_at_its_fields(web: Web, body: Any, pointers: list[str]) -> None:
    reply = web("PATCH", f"{WORKERS}/echo", body)
    assert reply.status == 400
    assert [error["pointer"] for error in reply.json["errors"]] == pointers
