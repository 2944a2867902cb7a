"""`tasky run`: values, waiting, following, leaving."""

import os
import signal
import subprocess
from collections.abc import Callable

import pytest

from tests.cli.conftest import Program, read_until

Start = Callable[..., subprocess.Popen[str]]


def test_without_a_server_the_task_waits_in_the_file(tasky: Program) -> None:
    ran = tasky("run", "sleep", "seconds=0")

    (task,) = tasky("tasks", "--json").json["items"]
    assert ran.out == f"{task['task_id']}\n"
    assert (task["status"], task["config"]) == ("queued", {"seconds": 0})
    assert 'until "tasky serve" runs' in ran.err


def test_wait_prints_the_output_and_nothing_else(tasky: Program) -> None:
    ran = tasky("run", "sleep", "seconds=0", "steps=2", "--wait")

    assert (ran.code, ran.json) == (0, {"slept_s": 0.0, "steps": 2})


def test_values_get_the_types_of_the_fields(tasky: Program) -> None:
    (tasky.folder / "name.txt").write_text("from a file")

    ran = tasky("run", "echo", "value=1,2", "flag=yes", "name@name.txt", "-w", "own.py", "--wait")

    assert ran.json == {"value": [1, 2], "name": "from a file", "flag": True}


def test_json_values_and_stdin_are_taken(tasky: Program) -> None:
    ran = tasky(
        "run", "echo", "value:=[3]", "name@-", "-w", "own.py", "--wait", stdin="from a pipe"
    )

    assert ran.json == {"value": [3], "name": "from a pipe", "flag": False}


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("nonsense", "key=value"),
        ("value:=[", "not JSON"),
        ("name@missing.txt", "no such file"),
        ("name@own.db", "own.db"),
    ],
)
def test_a_pair_that_cannot_be_read_is_a_usage_error(tasky: Program, pair: str, says: str) -> None:
    ran = tasky("run", "echo", pair, "-w", "own.py")

    assert (ran.code, says in ran.err) == (2, True)


@pytest.mark.parametrize("pair", ["name=hn/a", "name:=", 'name:="\\ud800" '])
def test_a_value_that_is_not_utf8_is_a_usage_error_with_its_field(
    tasky: Program, pair: str
) -> None:
    broken = pair if "ud800" in pair else pair + os.fsdecode(b"\xff\xfe")

    ran = tasky("run", "echo", broken, "-w", "own.py")

    assert (ran.code, ran.err.startswith("tasky: name: the text")) == (2, True)
    assert tasky("tasks", "-q").out == ""


@pytest.mark.parametrize("option", ["--label", "--key", "--idempotency-key", "--queue"])
def test_an_option_that_is_not_utf8_is_a_usage_error_with_its_name(
    tasky: Program, option: str
) -> None:
    ran = tasky("run", "sleep", option, os.fsdecode(b"env=\xff"))

    assert (ran.code, ran.out) == (2, "")
    assert option in ran.err
    assert "is not text in UTF-8." in ran.err


def test_a_file_may_have_a_name_that_is_not_utf8(tasky: Program) -> None:
    name = os.fsdecode(b"odd\xff.txt")
    (tasky.folder / name).write_text("from a file")

    ran = tasky("run", "echo", "value=1", f"name@{name}", "-w", "own.py", "--wait")

    assert ran.json["name"] == "from a file"


def test_a_key_given_twice_is_a_usage_error(tasky: Program) -> None:
    assert tasky("run", "sleep", "seconds=1", "seconds=2").code == 2


def test_every_wrong_field_is_named_with_the_closest_name(tasky: Program) -> None:
    ran = tasky("run", "sleep", "seconds=soon", "stps=1")

    assert ran.code == 4
    assert "  seconds: " in ran.err
    assert "  stps: There is no field stps. Did you mean steps?" in ran.err
    assert not tasky("tasks", "--json").json["items"]


def test_an_unknown_worker_offers_the_closest(tasky: Program) -> None:
    ran = tasky("run", "slep")

    assert (ran.code, "Did you mean sleep?" in ran.err) == (3, True)


def test_an_unknown_worker_tells_of_modules_that_did_not_load(tasky: Program) -> None:
    (tasky.folder / "broken.py").write_text("import nothing_like_this")

    ran = tasky("run", "mine", "-w", "broken.py")

    assert ran.code == 3
    assert "broken.py was not loaded: ModuleNotFoundError" in ran.err


def test_a_bad_end_is_exit_1_and_its_reason(tasky: Program) -> None:
    ran = tasky("run", "fails", "-w", "own.py", "--wait")

    assert (ran.code, ran.out) == (1, "")
    assert "(fails) failed: ValueError: no such thing" in ran.err


def test_bytes_come_out_as_they_are(tasky: Program) -> None:
    done = subprocess.run(
        tasky.command("run", "blob", "-w", "own.py", "--wait"),
        cwd=tasky.folder, env=tasky.environment, capture_output=True, check=True,
    )  # fmt: skip

    assert done.stdout == bytes(range(256))


def test_quiet_prints_the_id_only(tasky: Program) -> None:
    ran = tasky("run", "sleep", "seconds=0", "--wait", "-q")

    assert ran.err == ""
    assert tasky("show", ran.out.strip(), "--json").json["status"] == "succeeded"


def test_json_with_wait_is_the_ended_task(tasky: Program) -> None:
    task = tasky("run", "sleep", "seconds=0", "--wait", "--json").json

    assert (task["status"], task["output"]["slept_s"]) == ("succeeded", 0.0)


def test_follow_writes_the_log_to_stderr_and_the_output_to_stdout(tasky: Program) -> None:
    ran = tasky("run", "noisy", "lines=3", "-w", "own.py", "--follow")

    assert ran.out == "\x1b[2Jtext"
    assert [n for n in range(3) if f"line {n}" in ran.err] == [0, 1, 2]


def test_follow_as_json_lines_ends_with_the_task(tasky: Program) -> None:
    import json

    ran = tasky("run", "noisy", "lines=2", "-w", "own.py", "--follow", "--jsonl")

    *lines, task = [json.loads(line) for line in ran.lines]
    assert [line["seq"] for line in lines] == [1, 2]
    assert task["status"] == "succeeded"


def test_options_reach_the_task(tasky: Program) -> None:
    tasky(
        "run", "sleep", "--priority", "5", "--label", "env=prod", "--label", "a=b", "--key", "k",
        "--timeout", "5m", "--delay", "1h", "--max-attempts", "3", "--queue", "slow",
    )  # fmt: skip

    (task,) = tasky("tasks", "--json").json["items"]
    assert (task["priority"], task["timeout_s"], task["max_attempts"]) == (5, 300.0, 3)
    assert (task["labels"], task["key"], task["queue"]) == ({"env": "prod", "a": "b"}, "k", "slow")
    assert task["not_before"] > task["created_at"]


def test_the_same_idempotency_key_gives_the_same_task(tasky: Program) -> None:
    first, again = (tasky("run", "sleep", "--idempotency-key", "one", "-q").out for _ in range(2))

    assert first == again


@pytest.mark.parametrize(
    "wrong",
    [
        ["--delay", "1h", "--at", "12:00"],
        ["--hold", "--wait"],
        ["--delay", "5x"],
        ["--at", "25:00"],
        ["--priority", "101"],
        ["--label", "x"],
    ],
)
def test_options_that_make_no_sense_are_refused_in_words(tasky: Program, wrong: list[str]) -> None:
    ran = tasky("run", "sleep", *wrong)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("tasky: ")


def test_waiting_too_long_is_124_and_stops_what_ran_here(tasky: Program) -> None:
    ran = tasky("run", "blocks", "-w", "own.py", "--wait", "--wait-timeout", "0.2")

    assert ran.code == 124
    assert tasky("tasks", "status:cancelled", "--json").json["total"] == 1


def test_what_was_queued_and_is_begun_here_is_not_cut_off(tasky: Program) -> None:
    tasky("run", "sleep", "seconds=0.2", "-q")

    assert tasky("run", "sleep", "seconds=0", "--wait").code == 0

    statuses = [task["status"] for task in tasky("tasks", "--json").json["items"]]
    assert set(statuses) <= {"succeeded", "queued"}


def test_ctrl_c_cancels_an_embedded_task_and_waits_for_it(tasky: Program, start: Start) -> None:
    process = start("run", "blocks", "-w", "own.py", "--follow")
    read_until(process.stderr, "it began")

    process.send_signal(signal.SIGINT)

    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "(blocks) cancelled." in rest
    assert tasky("tasks", "--json").json["items"][0]["status"] == "cancelled"


def test_a_second_ctrl_c_leaves_code_that_obeys_nothing(tasky: Program, start: Start) -> None:
    process = start("run", "blocks", "obeys=no", "-w", "own.py", "--follow")
    read_until(process.stderr, "it began")

    process.send_signal(signal.SIGINT)
    read_until(process.stderr, "is asked to stop")
    process.send_signal(signal.SIGINT)

    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "was cut off" in rest
    assert "Traceback" not in rest


def test_being_told_to_end_stops_the_task_first(tasky: Program, start: Start) -> None:
    process = start("run", "blocks", "-w", "own.py", "--follow")
    read_until(process.stderr, "it began")

    process.send_signal(signal.SIGTERM)

    process.communicate(timeout=60)
    assert process.returncode == 143
    assert tasky("tasks", "--json").json["items"][0]["status"] == "cancelled"


def test_a_database_that_an_engine_owns_can_be_looked_at_only(tasky: Program, start: Start) -> None:
    owner = start("run", "blocks", "-w", "own.py", "--follow")
    read_until(owner.stderr, "it began")
    task = tasky("tasks", "-q").out.strip()
    waiting = start("wait", task)

    refused = tasky("cancel", task)

    assert (refused.code, f"belongs to pid {owner.pid}" in refused.err) == (5, True)
    assert tasky("show", task, "--json").json["status"] == "running"
    owner.send_signal(signal.SIGINT)
    said, _ = waiting.communicate(timeout=60)
    assert (waiting.returncode, "cancelled" in said) == (1, True)
    owner.communicate(timeout=60)
