"""What only a client over a network has to see to."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tasky import errors
from tasky.client import http
from tasky.client.http import HttpClient
from tasky.model import Submit
from tasky.states import State
from tests.webapi.stage import PATIENCE_S, TOKEN, Stage, served


def test_nobody_answering_is_an_error_with_the_address() -> None:
    client = HttpClient("http://127.0.0.1:1", TOKEN)
    with pytest.raises(errors.ServerUnreachable, match=r"127\.0\.0\.1:1 \(connection refused\)"):
        client.newest_event()


def test_a_wrong_token_is_an_error_of_its_own(stage: Stage) -> None:
    with served(stage.client) as server:
        client = HttpClient(server.address, "tsk_wrong")
        with pytest.raises(errors.Unauthorized):
            client.workers()
        client.close()


def test_a_server_that_came_back_is_used_without_an_error(stage: Stage) -> None:
    with served(stage.client) as first:
        client = HttpClient(first.address, TOKEN)
        client.newest_event()
        port = first.port
    with served(stage.client, port=port):
        assert client.newest_event() >= 0
    client.close()


def test_without_a_waiting_place_the_client_asks_again_but_not_at_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    def sleep(seconds: Any) -> None:
        slept.append(seconds)
        stage.gate.set()

    monkeypatch.setattr(f"{http.__name__}.time.sleep", sleep)
    with served(stage.client, places=0) as server:
        client = HttpClient(server.address, TOKEN)
        task = client.submit(Submit(worker="held"))
        assert stage.entered.wait(PATIENCE_S)
        assert client.wait(task.id, PATIENCE_S).status == State.SUCCEEDED
        client.close()
    assert all(1 <= seconds <= 2 for seconds in slept)
    assert slept


@pytest.mark.parametrize("address", ["ftp://x", "http://", "", "://"])
def test_an_address_is_checked_before_it_is_used(address: str) -> None:
    with pytest.raises(errors.BadRequest):
        HttpClient(address)


@contextlib.contextmanager
def hanging_up() -> Iterator[tuple[str, list[bytes]]]:
    """Offer an address that reads one request and hangs up instead of answering."""
    heard: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            heard.append(connection.recv(65536))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", heard
        thread.join()


def test_an_action_that_was_not_answered_may_have_happened() -> None:
    with hanging_up() as (address, heard):
        client = HttpClient(address, TOKEN)
        with pytest.raises(errors.OutcomeUnknown):
            client.act("ab", "cancel")
        client.close()
    assert b"/actions" in heard[0]


def test_a_submit_always_has_a_key_that_makes_a_repeat_harmless() -> None:
    with hanging_up() as (address, heard):
        client = HttpClient(address, TOKEN)
        with pytest.raises(errors.ServerUnreachable):
            client.submit(Submit(worker="echo"))
        client.close()
    assert b"Idempotency-Key: " in heard[0]
