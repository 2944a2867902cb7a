"""The commands that look: lists, one task, log, output, waiting, why, events."""

import json
from itertools import pairwise
from typing import Any, cast

import pytest

from tasky.cli import logs
from tasky.cli.options import Setup
from tasky.cli.output import Output
from tasky.model import LogLine
from tests.cli.conftest import Program


@pytest.fixture
def ended(tasky: Program) -> str:
    """The id of a task that has a log and an output."""
    return tasky("run", "noisy", "lines=3", "-w", "own.py", "--wait", "-q").out.strip()


def test_a_list_is_a_page_in_json(tasky: Program, ended: str) -> None:
    page = tasky("tasks", "--json").json

    assert set(page) == {"items", "next_cursor", "total", "total_is_exact"}
    assert [task["task_id"] for task in page["items"]] == [ended]


def test_json_lines_and_ids_are_one_a_line(tasky: Program) -> None:
    ids = [tasky("run", "sleep", "-q").out.strip() for _ in range(3)]

    assert tasky("tasks", "-q").lines == ids[::-1]
    assert [json.loads(line)["task_id"] for line in tasky("tasks", "--jsonl").lines] == ids[::-1]


def test_pages_follow_each_other(tasky: Program) -> None:
    ids = [tasky("run", "sleep", "-q").out.strip() for _ in range(3)]

    first = tasky("tasks", "--limit", "2", "--order", "asc", "--json").json
    rest = tasky(
        "tasks", "--limit", "2", "--order", "asc", "--cursor", first["next_cursor"], "--json"
    ).json

    seen = [task["task_id"] for task in first["items"] + rest["items"]]
    assert (seen, rest["next_cursor"]) == (ids, None)
    assert tasky("tasks", "--all", "-q", "--limit", "1").lines == ids[::-1]


def test_ls_is_tasks(tasky: Program, ended: str) -> None:
    assert tasky("ls", "-q").lines == [ended]


def test_an_empty_list_says_how_to_begin(tasky: Program) -> None:
    assert "tasky run sleep" in tasky("tasks").err
    tasky("run", "sleep")
    assert "No task fits worker:nothing" in tasky("tasks", "worker:nothing").err


def test_a_wrong_query_is_exit_2_with_the_place_marked(tasky: Program, ended: str) -> None:
    ran = tasky("tasks", "status:failed worker:x state:faild")

    says, query, caret, hint = ran.err.splitlines()
    assert ran.code == 2
    assert says.startswith('tasky: "faild" is not a status')
    assert query[caret.index("^") : caret.rindex("^") + 1] == "faild"
    assert "single quotes" in hint


def test_a_table_in_a_pipe_has_no_colour_and_cuts_nothing(tasky: Program) -> None:
    tasky("run", "fails", f"text={'long ' * 60}end", "-w", "own.py", "--wait")

    ran = tasky("tasks")

    assert "\x1b" not in ran.out
    assert ran.lines[1].endswith("long end")


def test_ids_may_be_shortened(tasky: Program, ended: str) -> None:
    assert tasky("show", ended[:6], "--json").json["task_id"] == ended


def test_an_unknown_id_is_exit_3(tasky: Program, ended: str) -> None:
    for name in ("show", "logs", "output", "why", "wait", "stack"):
        assert tasky(name, "zzz").code in ({3, 5} if name == "stack" else {3}), name


def test_a_prefix_of_several_is_refused_with_some_of_them(tasky: Program) -> None:
    for _ in range(17):  # by then two ids share their first digit
        tasky("run", "sleep", "-q")
    digits = [name[0] for name in tasky("tasks", "-q").lines]
    twice = next(digit for digit in digits if digits.count(digit) > 1)

    ran = tasky("show", twice)

    assert (ran.code, "Give more characters" in ran.err) == (3, True)


def test_show_has_config_output_and_error(tasky: Program, ended: str) -> None:
    tasky("run", "fails", "-w", "own.py", "--wait")

    whole = tasky("show", ended).out
    assert '"lines": 3' in whole
    assert "succeeded" in whole
    failed = tasky("tasks", "status:failed", "-q").out.strip()
    assert "ValueError: no such thing" in tasky("show", failed).out


def test_a_log_is_raw_in_a_pipe_and_has_a_tail(tasky: Program, ended: str) -> None:
    lines = tasky("logs", ended).lines

    assert ["line 0" in lines[0], "\x1b]52" in lines[0]] == [True, True]
    assert [line["seq"] for line in tasky("logs", ended, "--json").json["items"]] == [1, 2, 3]
    tail = tasky("logs", "--tail", "2", ended, "--jsonl").lines
    assert [json.loads(line)["seq"] for line in tail] == [2, 3]
    assert tasky("logs", "-f", ended).lines == lines


def test_a_log_tells_where_lines_were_not_kept(tasky: Program) -> None:
    task = tasky("run", "chatty", "-w", "own.py", "--wait", "-q").out.strip()
    kept = [line["seq"] for line in tasky("logs", task, "--json").json["items"]]
    ((before, after),) = [(a, b) for a, b in pairwise(kept) if b != a + 1]

    for arguments in (["logs", task], ["logs", "-f", task]):
        lines = tasky(*arguments).lines
        assert len(lines) == len(kept) + 1
        assert lines[before] == f"— {after - before - 1} lines not kept —"
    assert "not kept" not in tasky("logs", "--tail", "5", task).out
    assert "not kept" not in tasky("logs", "--jsonl", task).out
    assert f"- {after - before - 1} lines not kept -" in tasky("logs", task, TASKY_ASCII="1").lines


def test_a_followed_log_tells_of_gaps_within_an_execution_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        LogLine(seq=seq, at=0, level="info", stream="log", text=f"line {seq}")
        for seq in (3, 288_646, 288_648, 1, 2)
    ]
    monkeypatch.setattr(logs, "log_lines", lambda *_: iter([*lines, None]))

    logs._follow(cast("Any", None), Output(Setup(environment={})), cast("Any", None), 2)

    said = [line.split("  ")[-1] for line in capsys.readouterr().out.splitlines()]
    assert said == [
        "line 3", "— 288 642 lines not kept —", "line 288646", "— 1 line not kept —",
        "line 288648", "line 1", "line 2",
    ]  # fmt: skip


def test_output_of_a_bad_end_is_exit_1_with_the_reason(tasky: Program) -> None:
    tasky("run", "fails", "-w", "own.py", "--wait")
    failed = tasky("tasks", "-q").out.strip()

    ran = tasky("output", failed)

    assert (ran.code, ran.out) == (1, "")
    assert "(fails) failed: ValueError: no such thing" in ran.err


def test_output_is_what_the_task_returned(tasky: Program, ended: str) -> None:
    assert tasky("output", ended).out == "\x1b[2Jtext"


def test_a_task_without_output_says_so(tasky: Program) -> None:
    task = tasky("run", "sleep", "-q").out.strip()

    ran = tasky("output", task)

    assert (ran.code, ran.out) == (0, "")
    assert "no output; it is queued" in ran.err


def test_wait_tells_how_each_ended(tasky: Program, ended: str) -> None:
    tasky("run", "fails", "-w", "own.py", "--wait")
    failed = tasky("tasks", "status:failed", "-q").out.strip()

    assert tasky("wait", ended).code == 0
    ran = tasky("wait", ended, failed)
    assert ran.code == 1
    assert ["succeeded" in ran.lines[0], "failed" in ran.lines[1]] == [True, True]
    assert len(tasky("wait", ended, failed, "--json").json["items"]) == 2


def test_wait_ends_with_124_and_says_that_nothing_runs(tasky: Program) -> None:
    task = tasky("run", "sleep", "-q").out.strip()

    ran = tasky("wait", task, "--wait-timeout", "0.1")

    assert ran.code == 124
    assert "nothing runs tasks on this database" in ran.err


def test_why_names_what_is_in_the_way(tasky: Program) -> None:
    task = tasky("run", "sleep", "-q").out.strip()

    assert "Nothing runs tasks on this database" in tasky("why", task).out
    assert tasky("why", task, "--json").json["reason"] == "no_engine"


def test_events_are_the_newest_of_all_or_of_one_task(tasky: Program, ended: str) -> None:
    tasky("run", "sleep", "-q")

    everything = tasky("events", "--json").json["items"]
    of_one = tasky("events", "--task", ended[:8], "--json").json["items"]
    assert [event["id"] for event in everything] == sorted(event["id"] for event in everything)
    assert {event["task_id"] for event in of_one} == {ended}
    assert len(tasky("events", "--limit", "2", "--jsonl").lines) == 2
    after = tasky("events", "--after", str(everything[-2]["id"]), "-q").lines
    assert after == [str(everything[-1]["id"])]


def test_one_document_cannot_be_followed(tasky: Program, ended: str) -> None:
    assert tasky("events", "-f", "--json").code == 2
    assert tasky("logs", "-f", "--json", ended).code == 2
