"""What fails beside a commit or after it hurts only what it belongs to."""

import threading
from typing import Annotated, Any

import pytest

from tasky import Param, Tasky, worker
from tasky.errors import BadRequest, VersionConflict, WorkerUnknown
from tasky.model import Submit
from tasky.states import State
from tests.helpers import PATIENCE_S


@worker(name="echo")
def echo(n: int = 0) -> int:
    return n


@pytest.mark.parametrize(
    "options",
    [
        {"not_before": "9999-12-31T00:00:00Z"},
        {"not_before": "soon"},
        {"delay_s": 1e300},
        {"delay_s": -1},
        {"timeout_s": "5s"},
        {"timeout_s": 0},
        {"priority": 101},
        {"priority": "high"},
        {"times": 0},
        {"max_attempts": 0},
        {"queue": ""},
        {"key": ""},
        {"idempotency_key": ""},
        {"hold": "yes"},
        {"labels": {"a": 1}},
        {"labels": ["a"]},
        {"labels": {"": "a"}},
        {"labels": {"a": "\udcff"}},
        {"colour": "red"},
    ],
)
def test_a_wrong_option_is_refused_in_words_and_leaves_nothing(
    tasky: Tasky, options: dict[str, Any]
) -> None:
    with pytest.raises(BadRequest):
        tasky.run(echo, {}, **options)
    assert tasky.tasks().items == []
    assert tasky.run(echo, {}, delay_s=0.01).wait(PATIENCE_S).status == State.SUCCEEDED


def test_a_list_that_is_no_list_of_requests_is_refused(tasky: Tasky) -> None:
    with pytest.raises(BadRequest):
        tasky.submit_many(["echo"])  # type: ignore[list-item]  # what the test is about


def test_of_a_list_everything_that_is_wrong_is_said(tasky: Tasky) -> None:
    tasky.run(echo, {}).wait(PATIENCE_S)
    requests = [
        Submit(worker="ecko"),
        Submit(worker="echo"),
        Submit(worker="echo", config={"m": 1}),
    ]
    with pytest.raises(BadRequest) as refused:
        tasky.client.submit_many(requests)
    assert [e.pointer for e in refused.value.errors] == ["/0/worker", "/2/config/m"]
    with pytest.raises(WorkerUnknown):
        tasky.client.submit_many(requests[:2])


def test_the_name_of_a_worker_is_given_back_as_it_is_registered(tasky: Tasky) -> None:
    tasky.run(echo, {}).wait(PATIENCE_S)
    assert tasky.client.submit(Submit(worker="ECHO")).worker == "echo"


def test_without_a_thread_the_execution_fails_and_the_slot_is_free_again(
    tasky: Tasky, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start
    refusals = iter([True])

    def refuse_once(thread: threading.Thread) -> None:
        if thread.name == "tasky-slot" and next(refusals, False):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_once)
    task = tasky.run(echo, {}).wait(PATIENCE_S)
    assert (task.status, task.error and task.error.type) == (State.FAILED, "NotStarted")
    assert tasky.run(echo, {}).wait(PATIENCE_S).status == State.SUCCEEDED


def test_of_two_changes_on_one_version_of_a_worker_one_is_refused(tasky: Tasky) -> None:
    tasky.run(echo, {}).wait(PATIENCE_S)
    version = tasky.client.worker("echo").version
    together, refused = threading.Barrier(2), []

    def change(**what: Any) -> None:
        together.wait()
        try:
            tasky.client.change_worker("echo", version=version, **what)
        except VersionConflict as refusal:
            refused.append(refusal)

    threads = [
        threading.Thread(target=change, kwargs={"enabled": False}),
        threading.Thread(target=change, kwargs={"max_running": 3}),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert tasky.client.worker("echo").version == version + 1


def test_a_handler_that_exits_ends_no_other(tasky: Tasky) -> None:
    heard = threading.Event()

    def leave(*_: Any) -> None:
        raise SystemExit(1)

    tasky.on("execution.started", leave)
    tasky.on("execution.ended", lambda *_: heard.set())
    tasky.run(echo, {})
    assert heard.wait(PATIENCE_S)


def test_the_main_thread_leaves_writing_to_the_writer(tasky: Tasky) -> None:
    name = tasky.core.writer.call(lambda _: threading.current_thread().name)
    assert name == "tasky-writer"


def test_a_secret_value_reaches_the_code_and_no_answer(tasky: Tasky) -> None:
    got: list[str] = []

    def login(password: Annotated[str, Param("How to get in", secret=True)], user: str) -> None:
        got.append(password)

    handle = tasky.run(login, {"password": "correct horse", "user": "mara"})
    task = handle.wait(PATIENCE_S)
    listed = tasky.tasks().items[0]
    shown = [bytes(t.config) for t in (task, listed, handle.refresh(), handle.rerun())]
    handle.wait(PATIENCE_S)
    assert got == ["correct horse", "correct horse"]
    assert shown == [b'{"password":"***","user":"mara"}'] * 4
