"""What every answer has in common."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from tasky.client.base import Output
from tasky.client.local import LocalClient
from tests.webapi.stage import PATIENCE_S, TOKEN, Stage, Web, app_of
from webapi.answers import SECURITY_HEADERS
from webapi.auth import Auth

API = "/tasky/v1"
UNKNOWN = "0" * 32

ANSWERS = {
    "200": ("GET", f"{API}/workers", None),
    "201": ("POST", f"{API}/workers/echo?hold=1", {}),
    "204": ("GET", f"{API}/task/HELD/output", None),
    "304": ("GET", f"{API}/task/HELD", None),
    "400": ("POST", f"{API}/workers/echo", {"text": 1}),
    "404": ("GET", f"{API}/task/{UNKNOWN}", None),
    "405": ("OPTIONS", f"{API}/workers", None),
    "409": ("POST", f"{API}/task/HELD/actions", {"action": "resume"}),
    "412": ("DELETE", f"{API}/task/HELD", None),
    "413": ("POST", f"{API}/workers/echo", b" " * (1024 * 1024 + 1)),
    "415": ("POST", f"{API}/workers/echo", {}),
    "500": ("GET", f"{API}/system", None),
    "503": ("POST", f"{API}/tasks", {"worker": "echo"}),
}
MORE = {
    "304": {"If-None-Match": "*"},
    "412": {"If-Match": '"77"'},
    "415": {"Content-Type": "text/plain"},
}


@pytest.fixture
def broken(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Web:
    """REST over a core with a defect in `system`, and one that is stopping."""

    def defect(_: LocalClient) -> dict[str, Any]:
        raise ZeroDivisionError("secret detail /etc/passwd")

    monkeypatch.setattr(LocalClient, "system", defect)
    return Web(app_of(stage.client))


def ask(web: Web, stage: Stage, status: str) -> Any:
    method, path, body = ANSWERS[status]
    held = web("POST", f"{API}/workers/held?hold=1", {}).json["task_id"]
    if status == "503":
        stage.client.core.intake.closed = True
    return web(method, path.replace("HELD", held), body, headers=MORE.get(status))


@pytest.mark.parametrize("status", ANSWERS)
def test_every_status_carries_all_security_headers(broken: Web, stage: Stage, status: str) -> None:
    reply = ask(broken, stage, status)

    assert reply.status == int(status)
    for name, value in SECURITY_HEADERS:
        assert reply.headers[name.lower()] == value
    assert reply.headers["x-request-id"]
    assert not any(name.startswith("access-control") for name in reply.headers)


@pytest.mark.parametrize("status", [status for status in ANSWERS if status >= "400"])
def test_every_error_is_a_problem_document(broken: Web, stage: Stage, status: str) -> None:
    reply = ask(broken, stage, status)
    assert reply.code
    assert set(reply.json) >= {"type", "title", "status", "code", "detail"}


def test_a_defect_tells_the_client_only_where_to_look(
    broken: Web, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "tasky.web"):
        reply = broken("GET", f"{API}/system")

    assert reply.code == "internal"
    assert b"secret" not in reply.body
    assert b"Traceback" not in reply.body
    assert reply.headers["x-request-id"] in reply.json["detail"]
    (record,) = caplog.records
    assert record.exc_info is not None
    assert reply.headers["x-request-id"] in record.getMessage()


def test_a_defect_in_a_gate_keeps_it_closed(
    web: Web, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Auth, "identify", lambda *_: 1 / 0)
    assert web("GET", f"{API}/workers").code == "internal"
    assert "ZeroDivisionError" in caplog.text


def test_an_output_that_cannot_be_read_is_a_defect_not_a_half_answer(
    stage: Stage, web: Web, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def pieces() -> Iterator[bytes]:
        yield from ()
        raise OSError("secret")

    monkeypatch.setattr(LocalClient, "output", lambda *_: Output("bytes", 10, pieces()))

    reply = web("GET", f"{API}/task/{UNKNOWN}/output")

    assert reply.code == "internal"
    assert b"secret" not in reply.body
    assert "failed" in caplog.text


def test_when_busy_the_client_hears_when_to_come_back(broken: Web, stage: Stage) -> None:
    reply = ask(broken, stage, "503")
    assert reply.code == "stopping"
    assert reply.headers["retry-after"] == "1"


def test_what_a_path_takes_is_said_with_405(web: Web) -> None:
    reply = web("DELETE", f"{API}/tasks")
    assert reply.code == "method_not_allowed"
    assert set(reply.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


@pytest.mark.parametrize("path", [f"{API}/workers/", f"{API}/workers//", "/healthz/"])
def test_slashes_at_the_end_do_not_matter(web: Web, path: str) -> None:
    assert web("GET", path).status == 200


@pytest.mark.parametrize(
    "path",
    ["/", "", API, f"{API}/nothing", f"{API}/workers/echo/nothing", f"{API}/../healthz",
     f"{API}/workers/../tasks", "//healthz", f"{API}/task", "/tasky/v2/workers"],
)  # fmt: skip
def test_other_paths_are_not_there(web: Web, path: str) -> None:
    assert web("GET", path).code == "not_found"


def test_a_path_that_is_no_utf_8_is_refused(web: Web) -> None:
    assert web("GET", f"{API}/workers/ec\xffho").code == "bad_request"


@pytest.mark.parametrize(
    "path", [f"{API}/workers", f"{API}/tasks", "/healthz", f"{API}/task/{UNKNOWN}"]
)
def test_head_is_get_without_the_body(web: Web, path: str) -> None:
    got, head = web("GET", path), web("HEAD", path)
    assert (head.status, head.body) == (got.status, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert head.headers["content-type"] == got.headers["content-type"]


def test_every_request_has_its_own_id(web: Web) -> None:
    ids = {web("GET", "/healthz").headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20


def test_two_applications_share_nothing(stage: Stage) -> None:
    one, other = Web(app_of(stage.client)), Web(app_of(stage.client, token="tsk_other"))
    assert one("GET", f"{API}/workers", token=TOKEN).status == 200
    assert other("GET", f"{API}/workers", token=TOKEN).status == 401


# -- health ----------------------------------------------------------------------------------------


def test_a_living_server_says_so_without_credentials(web: Web) -> None:
    assert web("GET", "/healthz", token=None).json == {"status": "ok"}
    assert web("GET", "/readyz", token=None).json == {"status": "ready"}


def test_a_server_without_its_database_is_not_ready(stage: Stage, web: Web) -> None:
    stage.client.core.close(PATIENCE_S)
    assert web("GET", "/readyz", token=None).status == 503
    assert web("GET", "/healthz", token=None).status == 200
