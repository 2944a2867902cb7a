"""`workers`, `stats`, `db`, `doctor`, `init`."""

import csv
import io
import json
import tomllib

import pytest

from tasky.cli.doctor import has_wal_reset_bug
from tests.cli.conftest import Program


def test_workers_are_a_table_and_json(tasky: Program) -> None:
    assert "copy_file" in tasky("workers").out
    form = tasky("workers", "--json").json
    assert {"items", "not_loaded"} == set(form)
    assert tasky("workers", "-q").lines == [worker["name"] for worker in form["items"]]


def test_a_module_that_does_not_load_stands_below_the_table(tasky: Program) -> None:
    (tasky.folder / "broken.py").write_text("1 / 0")

    ran = tasky("workers", "-w", "broken.py")

    assert ran.out.rstrip().endswith("broken.py: ZeroDivisionError: division by zero")


def test_one_worker_has_fields_figures_and_a_line_that_works(tasky: Program) -> None:
    tasky("run", "sleep", "seconds=0", "--wait")

    out = tasky("workers", "sleep").out

    assert "integer 1..1000000" in out
    assert "1: 1 succeeded" in out
    line = out.rstrip().splitlines()[-1].split()
    assert line[:3] == ["tasky", "run", "sleep"]
    assert tasky(*line[1:]).code == 0


def test_a_worker_is_switched_and_limited(tasky: Program) -> None:
    assert tasky("workers", "sleep", "--disable", "disk is full").code == 0

    ran = tasky("run", "sleep")
    assert (ran.code, "disk is full" in ran.err) == (4, True)
    assert "disabled: disk is full" in tasky("workers").out

    changed = tasky("workers", "sleep", "--enable", "--max-running", "2", "--json").json
    assert (changed["enabled"], changed["max_running"]) == (True, 2)
    assert tasky("workers", "--enable").code == 2


def test_stats_have_every_format(tasky: Program) -> None:
    tasky("run", "sleep", "seconds=0", "--wait")
    tasky("run", "fails", "text==SUM(1)", "-w", "own.py", "--wait")

    form = tasky("stats", "--format", "json").json
    assert (form["total"], form["failure_rate"]) == (2, 0.5)
    assert tasky("stats", "--json").json["by_status"] == {"succeeded": 1, "failed": 1}
    rows = list(csv.DictReader(io.StringIO(tasky("stats", "--format", "csv").out)))
    assert [(row["worker"], row["total"]) for row in rows] == [("fails", "1"), ("sleep", "1")]
    assert tasky("stats", "--format", "markdown").lines[0].startswith("| worker |")
    table = tasky("stats").out
    assert ["50.0 %" in table, "ValueError: =SUM(1)" in table] == [True, True]


@pytest.mark.parametrize("by", ["worker", "status", "error", "hour", "day"])
def test_stats_are_cut_by_everything(tasky: Program, by: str) -> None:
    tasky("run", "fails", "-w", "own.py", "--wait")

    assert tasky("stats", "--by", by).code == 0
    assert len(tasky("stats", "--by", by, "--format", "csv").lines) == 2


def test_no_cell_of_csv_is_a_formula(tasky: Program) -> None:
    from tasky.cli.stats import _harmless

    assert [_harmless(cell) for cell in ("=1", "+1", "-1", "@a", "a=1")] == [
        "'=1", "'+1", "'-1", "'@a", "a=1",
    ]  # fmt: skip


def test_stats_without_anything_say_so(tasky: Program) -> None:
    assert "Nothing ended" in tasky("stats").err
    assert tasky("stats", "--since", "soon").code == 2


def test_a_backup_brings_the_tasks_back(tasky: Program) -> None:
    task = tasky("run", "sleep", "-q").out.strip()
    made = tasky("db", "backup", "copy.db")
    tasky("cancel", task)

    ran = tasky("db", "restore", "copy.db", "--yes")

    assert made.out == f"{tasky.folder / 'copy.db'}\n"
    assert (ran.code, ".replaced-" in ran.err) == (0, True)
    assert tasky("show", task, "--json").json["status"] == "queued"


def test_a_backup_never_replaces_a_file(tasky: Program) -> None:
    tasky("run", "sleep")
    (tasky.folder / "there").write_text("mine")

    assert tasky("db", "backup", "there").code == 5
    assert (tasky.folder / "there").read_text() == "mine"


def test_restore_without_anybody_to_ask_wants_yes(tasky: Program) -> None:
    tasky("run", "sleep")
    tasky("db", "backup", "copy.db")

    assert tasky("db", "restore", "copy.db").code == 2


def test_restore_refuses_what_is_no_database(tasky: Program) -> None:
    tasky("run", "sleep")
    (tasky.folder / "notes").write_text("not a database at all")

    assert tasky("db", "restore", "notes", "--yes").code == 5
    assert tasky("db", "check").code == 0


def test_check_finds_damage(tasky: Program) -> None:
    tasky("run", "sleep", "--wait", "seconds=0")
    assert tasky("db", "check").out == f"{tasky.database} is sound.\n"

    data = bytearray(tasky.database.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    tasky.database.write_bytes(data)

    assert tasky("db", "check").code == 5


def test_info_has_rows_and_owner(tasky: Program) -> None:
    tasky("run", "sleep")

    form = tasky("db", "info", "--json").json
    assert (form["tasks"], form["schema"], form["owner"]) == (1, 1, None)
    assert "nobody" in tasky("db", "info").out


def test_migrate_says_when_there_is_nothing_to_do(tasky: Program) -> None:
    tasky("run", "sleep")

    assert "nothing to do" in tasky("db", "migrate").out


@pytest.mark.parametrize("name", ["info", "check", "backup", "migrate"])
def test_offline_commands_make_no_database(tasky: Program, name: str) -> None:
    assert tasky("db", name).code == 5
    assert not tasky.database.exists()


def test_doctor_is_content_or_names_what_is_wrong(tasky: Program) -> None:
    assert tasky("doctor").code == 0

    (tasky.folder / "broken.py").write_text("1 / 0")
    ran = tasky("doctor", "-w", "broken.py", "--jsonl")
    assert ran.code == 5
    findings = [json.loads(line) for line in ran.lines]
    assert [f["subject"] for f in findings if f["level"] == "problem"] == ["Not loaded"]


def test_doctor_names_wrong_settings_once(tasky: Program) -> None:
    (tasky.folder / "tasky.toml").write_text("[server]\nport = 70000\n")

    ran = tasky("doctor")

    assert (ran.code, ran.out.count("/server/port")) == (5, 1)


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ("3.6.23", False), ("3.7.0", True), ("3.40.1", True), ("3.44.5", True), ("3.44.6", False),
        ("3.50.6", True), ("3.50.7", False), ("3.51.2", True), ("3.51.3", False),
    ],
)  # fmt: skip
def test_the_wal_reset_bug_is_known_by_version(version: str, affected: bool) -> None:
    assert has_wal_reset_bug(version) is affected


def test_init_writes_settings_that_are_valid_and_never_replaces_any(tasky: Program) -> None:
    file = tasky.folder / "tasky.toml"

    assert tasky("init").out == f"{file}\n"
    assert tasky("workers").code == 0
    # With the comments gone every example has to be valid as well.
    file.write_text("\n".join(line.removeprefix("# ") for line in _examples(file.read_text())))
    tomllib.loads(file.read_text())
    assert tasky("doctor", "--json").json["items"][2]["level"] == "ok"
    assert tasky("init").code == 4


def _examples(text: str) -> list[str]:
    return [line for line in text.splitlines() if line[:1] == "[" or "=" in line or "# [" in line]


def test_init_prints_the_schema_of_the_file(tasky: Program) -> None:
    assert set(tasky("init", "--schema").json["properties"]) == {"server", "files", "workers"}
    assert not (tasky.folder / "tasky.toml").exists()
