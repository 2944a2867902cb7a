"""The gates: Host, origin, credentials, role; closed unless a gate opens."""

from contextlib import nullcontext

import pytest

from tasky.errors import Forbidden, TooManyAttempts, Unauthorized, UnsafeConfiguration
from tests.webapi.stage import TOKEN, Stage, Web, app_of
from webapi.answers import json
from webapi.auth import Auth, Identity, Role
from webapi.gates import require
from webapi.table import Table

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO")
WORKERS = "/tasky/v1/workers"


# -- credentials -----------------------------------------------------------------------------------


def test_every_route_with_every_method_wants_credentials(web: Web) -> None:
    paths = {r.path.replace("<name>", "echo").replace("<id>", "0") for r in web.app.table}
    closed = sorted(paths - {"/healthz", "/readyz"})
    assert len(closed) > 30

    statuses = {(m, p): web(m, p, token=None).status for m in METHODS for p in closed}

    assert {key: status for key, status in statuses.items() if status != 401} == {}


@pytest.mark.parametrize("path", ["/", "/nothing", "/tasky/v1", "/tasky/v1/nothing", "/ui", "*"])
def test_paths_that_are_not_there_want_credentials_too(web: Web, path: str) -> None:
    assert web("GET", path, token=None).code == "unauthorized"


def test_only_health_is_open(web: Web) -> None:
    assert web.app.table.open_paths == {"/healthz", "/readyz"}


WRONG = [
    "",
    "null",
    "undefined",
    "tsk_tes",
    "tsk_testx",
    "TSK_TEST",
    "tsk_test ",
    "Bearer tsk_test",
    "ä",
]


@pytest.mark.parametrize("token", WRONG)
def test_a_wrong_token_gets_the_same_answer_as_none(web: Web, token: str) -> None:
    none, wrong = web("GET", WORKERS, token=None), web("GET", WORKERS, token=token)
    assert (wrong.status, wrong.body) == (none.status, none.body)
    assert wrong.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("given", ["Basic dHNrX3Rlc3Q=", "tsk_test", "Bearer", "Bearer\ttsk_test"])
def test_only_the_bearer_scheme_is_known(web: Web, given: str) -> None:
    assert web("GET", WORKERS, token=None, headers={"Authorization": given}).status == 401


def test_a_token_in_the_query_opens_nothing(web: Web) -> None:
    assert web("GET", f"{WORKERS}?token={TOKEN}", token=None).status == 401


def test_the_scheme_may_be_written_in_any_case(web: Web) -> None:
    headers = {"Authorization": f"bearer {TOKEN}"}
    assert web("GET", WORKERS, token=None, headers=headers).status == 200


class Hand:
    """A monotonic clock moved by hand."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def environ(token: str | None, address: str = "127.0.0.1") -> dict[str, str]:
    given = {} if token is None else {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    return {"REMOTE_ADDR": address, **given}


def test_past_ten_wrong_tokens_a_minute_the_address_has_to_wait() -> None:
    hand = Hand()
    auth = Auth(TOKEN, hand)
    for _ in range(10):
        with pytest.raises(Unauthorized):
            auth.identify(environ("wrong"))

    hand.now += 20
    with pytest.raises(TooManyAttempts) as refusal:
        auth.identify(environ("wrong"))
    assert refusal.value.fields["n"] == 41

    hand.now += 40
    with pytest.raises(Unauthorized):
        auth.identify(environ("wrong"))


def test_guessing_shuts_out_neither_the_right_token_nor_other_addresses() -> None:
    auth = Auth(TOKEN, Hand())
    for _ in range(20):
        with pytest.raises((Unauthorized, TooManyAttempts)):
            auth.identify(environ("wrong"))

    assert auth.identify(environ(TOKEN)).role is Role.ADMIN
    with pytest.raises(Unauthorized):
        auth.identify(environ("wrong", "127.0.0.2"))
    with pytest.raises(Unauthorized):
        auth.identify(environ(None))


def test_too_many_attempts_say_when_to_try_again(web: Web) -> None:
    replies = [web("GET", WORKERS, token="wrong") for _ in range(11)]
    assert [reply.status for reply in replies] == [401] * 10 + [429]
    assert 0 < int(replies[-1].headers["retry-after"]) <= 60


def test_without_auth_everybody_on_this_machine_is_admin(stage: Stage) -> None:
    web = Web(app_of(stage.client, token=None))
    assert web("PATCH", f"{WORKERS}/echo", {"max_running": 2}, token=None).status == 200


def test_who_asked_is_in_the_history(stage: Stage, web: Web) -> None:
    task_id = web("POST", f"{WORKERS}/echo?hold=1").json["task_id"]
    assert [event.actor for event in stage.client.events(task=task_id)] == ["local"]


# -- roles -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("needed", [Role.VIEWER, Role.OPERATOR, Role.ADMIN])
@pytest.mark.parametrize("has", list(Role))
def test_a_role_may_do_what_it_and_lower_ones_may(has: Role, needed: Role) -> None:
    expected = nullcontext() if has >= needed else pytest.raises(Forbidden)
    with expected:
        require(needed, Identity("somebody", has))


def test_every_route_that_changes_something_needs_more_than_looking(web: Web) -> None:
    changing = [r for r in web.app.table if r.method not in ("GET", "HEAD")]
    assert all(r.role >= Role.OPERATOR for r in changing)


def test_a_route_without_a_role_stops_the_start() -> None:
    with pytest.raises(UnsafeConfiguration, match="has no role"):
        Table().add("GET", "/x", handler=lambda _: json({}), role=None)


def test_an_open_route_is_one_path() -> None:
    with pytest.raises(UnsafeConfiguration, match="many paths"):
        Table().add("GET", "/x/<name>", handler=lambda _: json({}), role=Role.OPEN)


# -- Host and origin -------------------------------------------------------------------------------


@pytest.fixture(params=[TOKEN, None], ids=["token", "no-auth"])
def either(request: pytest.FixtureRequest, stage: Stage) -> Web:
    return Web(app_of(stage.client, token=request.param))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8888", "localhost:8888", "LOCALHOST:8888", "[::1]:8888", "localhost", "127.0.0.1"],
)
def test_our_names_are_taken(either: Web, host: str) -> None:
    assert either("GET", WORKERS, headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example:8888", "127.0.0.1:8889", "localhost:80", "localhost.",
     "127.0.0.2:8888", "[::2]:8888", "0.0.0.0:8888"],
)  # fmt: skip
@pytest.mark.parametrize("path", [WORKERS, "/healthz", "/nothing"])
def test_other_names_are_refused_before_anything_else(either: Web, host: str, path: str) -> None:
    assert either("GET", path, headers={"Host": host}).code == "forbidden"


@pytest.mark.parametrize(
    "host",
    ["", "localhost, localhost", "a b", "user@localhost:8888", "localhost:", "localhost:x",
     "localhost:8888/", "localhost\\evil", "[::1", "::1", "ä"],
)  # fmt: skip
def test_a_malformed_host_is_refused(either: Web, host: str) -> None:
    assert either("GET", WORKERS, headers={"Host": host}).status == 400


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", "bogus", "", "Same-Origin"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_pages_of_others_are_refused(either: Web, method: str, site: str) -> None:
    path = f"{WORKERS}/echo" if method != "PUT" else "/tasky/v1/task/0"
    reply = either(method, path, {}, headers={"Sec-Fetch-Site": site})
    assert reply.code == "forbidden"


@pytest.mark.parametrize(
    "origin",
    ["null", "http://evil.example", "http://localhost:8889", "https://localhost:8888",
     "http://localhost", "http://localhost:8888.evil.example", "http://localhost:8888/", ""],
)  # fmt: skip
def test_other_origins_are_refused(either: Web, origin: str) -> None:
    assert either("GET", WORKERS, headers={"Origin": origin}).code == "forbidden"


def test_our_own_pages_are_served(either: Web) -> None:
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:8888"}
    assert either("GET", WORKERS, headers=headers).status == 200


def test_a_typed_address_reaches_health_only(web: Web) -> None:
    assert web("GET", "/healthz", headers={"Sec-Fetch-Site": "none"}).status == 200
    assert web("GET", "/healthz", headers={"Sec-Fetch-Site": "cross-site"}).status == 403


def test_a_method_cannot_be_overridden(web: Web) -> None:
    headers = {"X-HTTP-Method-Override": "DELETE"}
    reply = web("POST", "/tasky/v1/task/0", headers=headers)
    assert reply.code == "method_not_allowed"
