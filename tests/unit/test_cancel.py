from collections.abc import Callable
from threading import Event, Thread

import pytest

from tasky.cancel import Cancelled, Reason, Token
from tests.helpers import PATIENCE_S


@pytest.fixture
def token() -> Token:
    return Token()


def in_thread(what: Callable[[], object]) -> Thread:
    thread = Thread(target=what)
    thread.start()
    return thread


def test_a_new_token_is_quiet(token: Token) -> None:
    assert (token.quiet, token.cancelled, token.reason) == (True, False, None)
    token.raise_if_cancelled()


def test_the_first_reason_stays(token: Token) -> None:
    assert token.cancel(Reason.USER, "first")
    assert not token.cancel(Reason.TIMEOUT, "second")
    with pytest.raises(Cancelled) as stop:
        token.raise_if_cancelled()
    assert (stop.value.reason, stop.value.text) == (Reason.USER, "first")


def test_a_cancel_is_no_exception_that_code_swallows() -> None:
    assert not issubclass(Cancelled, Exception)


def test_a_cancel_without_a_text_says_its_reason() -> None:
    assert str(Cancelled(Reason.SHUTDOWN)) == "stopped: shutdown"


def test_a_pause_is_taken_back(token: Token) -> None:
    token.pause()
    assert (token.quiet, token.paused) == (False, True)
    token.resume()
    assert token.quiet


def test_who_stands_still_goes_on_with_the_resume(token: Token) -> None:
    token.pause()
    thread = in_thread(token.wait_while_paused)
    token.resume()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_who_stands_still_is_woken_by_a_cancel(token: Token) -> None:
    token.pause()
    thread = in_thread(token.wait_while_paused)
    token.cancel(Reason.USER)
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


@pytest.mark.parametrize("wish", ["cancel", "pause"])
def test_a_wish_ends_a_sleep(token: Token, wish: str) -> None:
    woken: list[bool] = []
    thread = in_thread(lambda: woken.append(token.sleep(3600)))
    if wish == "cancel":
        token.cancel(Reason.USER)
    else:
        token.pause()
    thread.join(PATIENCE_S)
    assert woken == [True]


def test_a_sleep_without_a_wish_sleeps(token: Token) -> None:
    assert not token.sleep(0.001)
    assert not token.sleep(-1)


def test_a_callback_runs_once_in_the_thread_that_asks(token: Token) -> None:
    calls: list[str] = []
    token.on_cancel(lambda: calls.append("called"))
    token.cancel(Reason.USER)
    token.cancel(Reason.USER)
    assert calls == ["called"]


def test_a_callback_that_comes_late_runs_at_once(token: Token) -> None:
    token.cancel(Reason.USER)
    called = Event()
    token.on_cancel(called.set)
    assert called.is_set()


def test_a_callback_that_was_removed_does_not_run(token: Token) -> None:
    calls: list[int] = []
    remove = token.on_cancel(lambda: calls.append(1))
    token.on_cancel(lambda: calls.append(2))
    remove()
    remove()
    token.cancel(Reason.USER)
    assert calls == [2]


def test_a_callback_may_look_at_the_token(token: Token) -> None:
    """It runs outside the lock."""
    seen: list[bool] = []
    token.on_cancel(lambda: seen.append(token.sleep(0)))
    token.cancel(Reason.USER)
    assert seen == [True]
