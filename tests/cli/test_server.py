"""The same commands on a running server, found beside the database or by its address."""

import json
import os
import signal
import subprocess
from collections.abc import Callable

from tests.cli.conftest import Program, read_until

Start = Callable[..., subprocess.Popen[str]]


def test_a_living_owner_is_asked(tasky: Program, server: str) -> None:
    ran = tasky("run", "sleep", "seconds=0", "--wait")

    assert (ran.code, ran.json["slept_s"]) == (0, 0.0)
    assert tasky("db", "info", "--json").json["owner"]["address"] == server
    assert tasky("tasks", "--json").json["items"][0]["status"] == "succeeded"


def test_an_address_wants_a_token(tasky: Program, server: str) -> None:
    runtime = json.loads((tasky.folder / "work.db.run").read_text())
    (tasky.folder / "token").write_text(runtime["token"] + "\n")
    tasky("run", "sleep", "seconds=0", "--wait")

    assert tasky("tasks", "--url", server).code == 4
    assert tasky("tasks", "--url", server, "--token-file", "token").code == 0
    assert tasky("tasks", TASKY_URL=server, TASKY_TOKEN=runtime["token"]).code == 0


def test_errors_cross_the_wire_whole(tasky: Program, server: str) -> None:
    wrong = tasky("run", "sleep", "seconds=soon", "stps=1")
    assert (wrong.code, "Did you mean steps?" in wrong.err) == (4, True)
    assert tasky("show", "zzz").code == 3
    query = tasky("tasks", "worker:x state:faild")
    assert query.code == 2
    assert query.err.splitlines()[2].strip() == "^" * len("faild")


def test_actions_return_when_they_are_in_effect(tasky: Program, server: str) -> None:
    task = tasky("run", "sleep", "seconds=600", "steps=6000", "-q").out.strip()

    for action, after in (("pause", "paused"), ("resume", ""), ("cancel", "cancelled")):
        ran = tasky(action, task)
        assert (ran.code, after in ran.out) == (0, True), action
    assert tasky("show", task, "--json").json["status"] == "cancelled"


def test_an_action_without_effect_says_what_it_waits_for(
    tasky: Program, server: str, start: Start
) -> None:
    follower = start("run", "blocks", "obeys=no", "--follow")
    read_until(follower.stderr, "it began")
    task = tasky("tasks", "-q").out.strip()

    asked = tasky("cancel", task, "--no-wait")
    waited = tasky("cancel", task, "--wait-timeout", "0.2")

    assert (asked.code, "Cancel was asked" in asked.err) == (0, True)
    assert (waited.code, "Cancel was asked" in waited.err) == (124, True)
    assert tasky("kill", task).code == 0
    assert follower.wait(60) == 1


def test_an_action_that_came_too_late_is_exit_1_and_says_so(
    tasky: Program, server: str, start: Start
) -> None:
    gate = tasky.folder / "gate"
    os.mkfifo(gate)
    follower = start("run", "stubborn", f"gate={gate}", "--follow")
    read_until(follower.stderr, "it began")
    task = tasky("tasks", "-q").out.strip()
    process = start("cancel", task)
    # It comes while the command goes on waiting, and once.
    read_until(process.stderr, "cancel asked. Cancel was asked")

    gate.write_text("done")

    said, problem = process.communicate(timeout=60)
    assert (process.returncode, "succeeded" in said) == (1, True)
    assert problem == (
        f"tasky: {task[:8]} (stubborn) finished before cancel took effect: it is succeeded.\n"
    )
    assert follower.wait(60) == 0


def test_ctrl_c_leaves_a_task_of_a_server_alone(tasky: Program, server: str, start: Start) -> None:
    process = start("run", "blocks", "--follow")
    read_until(process.stderr, "it began")

    process.send_signal(signal.SIGINT)

    _, said = process.communicate(timeout=60)
    task = tasky("tasks", "-q").out.strip()
    assert process.returncode == 130
    assert f'{task[:8]} goes on. "tasky cancel {task[:8]}" stops it.' in said
    assert tasky("show", task, "--json").json["status"] == "running"
    assert tasky("cancel", task).code == 0


def test_a_log_is_followed_to_the_end(tasky: Program, server: str, start: Start) -> None:
    task = tasky("run", "blocks", "-q").out.strip()
    process = start("logs", "-f", task)
    read_until(process.stdout, "it began")

    tasky("cancel", task)

    process.communicate(timeout=60)
    assert process.returncode == 0


def test_events_come_as_they_happen(tasky: Program, server: str, start: Start) -> None:
    tasky("run", "sleep", "seconds=0", "--wait")
    process = start("events", "-f", "--jsonl", "--after", "0")
    read_until(process.stdout, "execution.ended")

    task = tasky("run", "sleep", "seconds=0", "-q").out.strip()

    assert json.loads(read_until(process.stdout, task))["name"] == "task.created"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "tasky: interrupted.\n")


def test_a_server_keeps_offline_commands_away_but_a_backup(tasky: Program, server: str) -> None:
    assert tasky("db", "backup", "copy.db").code == 0
    assert tasky("db", "check").code == 0
    for arguments in (["restore", "copy.db", "--yes"], ["migrate"]):
        ran = tasky("db", *arguments)
        assert ran.code == 5
        assert "A database never has two owners" in ran.err


def test_a_worker_is_switched_live(tasky: Program, server: str) -> None:
    tasky("workers", "sleep", "--disable", "for now")
    assert tasky("run", "sleep").code == 4
    tasky("workers", "sleep", "--enable")
    assert tasky("run", "sleep", "seconds=0", "--wait").code == 0


def test_doctor_tells_who_owns_the_database(tasky: Program, server: str) -> None:
    assert f"tasky serve at {server}" in tasky("doctor").out


def test_stats_and_stack_ask_the_server(tasky: Program, server: str, start: Start) -> None:
    follower = start("run", "blocks", "--follow")
    read_until(follower.stderr, "it began")
    task = tasky("tasks", "-q").out.strip()

    assert "in blocks" in tasky("stack", task).out
    assert tasky("stats", "--json").json["by_status"] == {"running": 1}
    tasky("cancel", task)
    assert follower.wait(60) == 1
