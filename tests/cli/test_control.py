"""The commands that act, on a file that nobody owns: what has not started moves at once."""

import os

import pytest

from tasky.cli.control import OBEYED
from tests.cli.conftest import Program

BROKEN = os.fsdecode(b"x\xff\xfe")


@pytest.fixture
def queued(tasky: Program) -> str:
    return tasky("run", "sleep", "seconds=0", "-q").out.strip()


def status(tasky: Program, task: str) -> str:
    return str(tasky("show", task, "--json").json["status"])


def test_pause_resume_cancel_and_rerun_move_a_task(tasky: Program, queued: str) -> None:
    for action, after in (
        ("pause", "paused"),
        ("resume", "queued"),
        ("cancel", "cancelled"),
        ("rerun", "queued"),
    ):
        ran = tasky(action, queued[:10])
        assert (ran.code, after in ran.out) == (0, True), action
        assert status(tasky, queued) == after


def test_release_queues_a_held_task(tasky: Program) -> None:
    held = tasky("run", "sleep", "--hold", "-q").out.strip()

    assert tasky("release", held, "--json").json["status"] == "queued"


def test_an_action_that_does_not_fit_is_exit_4_in_words(tasky: Program, queued: str) -> None:
    ran = tasky("resume", queued)

    assert ran.code == 4
    assert "is queued since" in ran.err


def test_a_refusal_of_one_does_not_keep_the_others_from_it(tasky: Program, queued: str) -> None:
    ran = tasky("cancel", "zzz", queued)

    assert ran.code == 3
    assert status(tasky, queued) == "cancelled"


def test_the_reason_is_kept(tasky: Program, queued: str) -> None:
    tasky("cancel", queued, "--reason", "wrong disk")

    assert tasky("show", queued, "--json").json["error"]["message"] == "wrong disk"


def test_rerun_takes_changes_with_the_types_of_the_fields(tasky: Program, queued: str) -> None:
    tasky("cancel", queued)

    assert tasky("rerun", queued, "steps=3").code == 0

    assert tasky("show", queued, "--json").json["config"] == {"seconds": 0, "steps": 3}


def test_rerun_names_a_wrong_change_and_changes_nothing(tasky: Program, queued: str) -> None:
    tasky("cancel", queued)

    ran = tasky("rerun", queued, "stps=3")

    assert (ran.code, "Did you mean steps?" in ran.err) == (4, True)
    assert status(tasky, queued) == "cancelled"


def test_a_dry_run_tells_and_changes_nothing(tasky: Program, queued: str) -> None:
    ran = tasky("cancel", "--filter", "worker:sleep", "--dry-run")

    assert (ran.code, ran.out) == (0, "cancel would reach 1 task: 1 queued\n")
    assert status(tasky, queued) == "queued"


def test_a_filter_reaches_what_fits(tasky: Program, queued: str) -> None:
    other = tasky("run", "flaky", "-q").out.strip()

    ran = tasky("cancel", "--filter", "worker:sleep", "--yes", "--json")

    assert [outcome["task_id"] for outcome in ran.json["items"]] == [queued]
    assert (status(tasky, queued), status(tasky, other)) == ("cancelled", "queued")


def test_a_filter_without_anybody_to_ask_wants_yes(tasky: Program, queued: str) -> None:
    ran = tasky("cancel", "--filter", "worker:sleep")

    assert (ran.code, "--yes" in ran.err) == (2, True)
    assert status(tasky, queued) == "queued"


def test_a_filter_of_which_nothing_can_be_done_is_exit_4(tasky: Program, queued: str) -> None:
    ran = tasky("resume", "--filter", "worker:sleep", "--yes")

    assert (ran.code, "not possible for 1 task" in ran.out) == (4, True)


@pytest.mark.parametrize(
    ("action", "took", "not_took"),
    [
        ("cancel", "cancelled timed_out killed", "succeeded failed lost"),
        ("kill", "killed", "succeeded failed cancelled"),
        ("pause", "paused", "succeeded failed cancelled"),
    ],
)
def test_an_action_took_effect_only_in_these_states(action: str, took: str, not_took: str) -> None:
    assert set(took.split()) <= set(OBEYED[action])
    assert not set(not_took.split()) & set(OBEYED[action])


@pytest.mark.parametrize(
    "arguments",
    [
        ["cancel", BROKEN],
        ["cancel", "abc", "--reason", BROKEN],
        ["cancel", "--filter", BROKEN, "--yes"],
        ["rerun", BROKEN],
    ],
)
def test_text_that_is_not_utf8_is_a_usage_error(tasky: Program, arguments: list[str]) -> None:
    ran = tasky(*arguments)

    assert (ran.code, "is not text in UTF-8." in ran.err) == (2, True)


def test_a_change_that_is_not_utf8_names_its_field(tasky: Program, queued: str) -> None:
    tasky("cancel", queued)

    ran = tasky("rerun", queued, f"steps={BROKEN}")

    assert (ran.code, ran.err.startswith("tasky: steps: ")) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["cancel"],
        ["cancel", "abc", "--filter", "worker:x"],
        ["cancel", "--filter", " ", "--yes"],
        ["rerun", "a=b", "--filter", "worker:x", "--yes"],
        ["cancel", "--filter", "worker:", "--yes"],
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(tasky: Program, arguments: list[str]) -> None:
    assert tasky(*arguments).code == 2
