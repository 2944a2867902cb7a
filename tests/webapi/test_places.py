"""Waiting places: few may wait, all get an answer."""

import threading

from tests.webapi.stage import PATIENCE_S, Stage, Web, app_of
from webapi.places import Places


def never() -> bool:
    return False


def test_who_waits_gets_the_good_answer() -> None:
    found = iter([None, None, "good"])
    assert Places().look(60, lambda _: next(found), bool, never) == "good"


def test_no_more_wait_than_there_are_places() -> None:
    places = Places(1)
    with places.taken(5) as first, places.taken(5) as second:
        assert (first, second) == (5, 0.0)
    with places.taken(5) as again:
        assert again == 5


def test_a_place_is_free_again_after_an_error() -> None:
    places = Places(1)
    for _ in range(3):
        try:
            with places.taken(5) as granted:
                assert granted == 5
                raise LookupError
        except LookupError:
            pass


def test_once_closed_nobody_waits_any_longer() -> None:
    places, waits = Places(), threading.Event()

    def look(_: float) -> None:
        waits.set()

    thread = threading.Thread(target=lambda: places.look(3600, look, lambda _: False, never))
    thread.start()
    assert waits.wait(PATIENCE_S)
    places.close()
    thread.join(PATIENCE_S)

    assert not thread.is_alive()
    with places.taken(5) as granted:
        assert granted == 0.0


def test_nobody_waits_for_a_client_that_left() -> None:
    assert Places().look(3600, lambda _: "last", lambda _: False, lambda: True) == "last"


def test_without_a_place_the_answer_comes_at_once_and_says_so(stage: Stage) -> None:
    web = Web(app_of(stage.client, places=0))
    reply = web("POST", "/tasky/v1/workers/held?wait=60")
    assert reply.status == 202
    assert reply.headers["retry-after"] == "1"
    events = web("GET", f"/tasky/v1/events?wait=60&after={1 << 40}")
    assert (events.json["items"], events.headers["retry-after"]) == ([], "1")


def test_who_does_not_want_to_wait_needs_no_place(stage: Stage) -> None:
    web = Web(app_of(stage.client, places=0))
    assert "retry-after" not in web("POST", "/tasky/v1/workers/held").headers
