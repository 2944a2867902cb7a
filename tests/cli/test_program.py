"""The program as a whole: help, options anywhere, exit codes, what it imports."""

import subprocess
import sys
from pathlib import Path

import pytest

from tasky.cli import COMMANDS, call
from tests.cli.conftest import Program

HEAVY = ("msgspec", "sqlite3", "sqlite_utils", "textual", "bottle", "psutil", "rich")


def loaded_by(*arguments: str) -> list[str]:
    """Return which heavy modules a clean interpreter has loaded after a command line."""
    code = (
        "import sys\nfrom tasky.cli import call\n"
        f"call({list(arguments)!r})\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return list(eval(done.stderr))  # noqa: S307  # our own list


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["tasks", "--help"], []])
def test_version_and_help_load_nothing_heavy(arguments: list[str]) -> None:
    assert loaded_by(*arguments) == []


def test_version_is_printed(tasky: Program) -> None:
    from tasky import __version__

    assert tasky("--version").out == f"tasky {__version__}\n"


def test_help_lists_every_command_with_its_line(tasky: Program) -> None:
    ran = tasky("--help", COLUMNS="100")

    assert ran.code == 0
    for name, entry in COMMANDS.items():
        assert any(line.split()[:1] in ([name], [f"{name},"]) for line in ran.lines), name
        assert entry.help in " ".join(ran.out.split())


@pytest.mark.parametrize("name", [*COMMANDS, "ls"])
def test_every_command_has_a_summary_and_examples(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from tasky.cli import cli
    from tasky.cli.groups import Command, Group

    command = cli.get_command(
        cli.make_context("tasky", [name, "--help"], resilient_parsing=True), name
    )
    assert command is not None
    below = command.commands.values() if isinstance(command, Group) else [command]
    for one in below:
        assert isinstance(one, Command)
        assert one.examples
        assert all(example.startswith("tasky ") for example in one.examples)
        assert (one.help or "").splitlines()[0].endswith((".", ":"))

    assert call([name, "--help"]) == 0
    assert "Usage: tasky" in capsys.readouterr().out


def test_an_unknown_command_offers_the_closest(tasky: Program) -> None:
    ran = tasky("taks")

    assert ran.code == 2
    assert "Did you mean tasks?" in ran.err


def test_an_unknown_option_is_a_usage_error(tasky: Program) -> None:
    ran = tasky("tasks", "--limt", "3")

    assert ran.code == 2
    assert "--limit" in ran.err


def test_global_options_stand_before_and_after_the_command(tasky: Program) -> None:
    other = str(tasky.folder / "other.db")
    given = tasky("--db", other, "-q", "run", "sleep", "seconds=0").out.strip()

    for arguments in (
        ["--db", other, "--json", "tasks"],
        ["tasks", "--db", other, "--json"],
        ["--json", "tasks", "--db", other],
    ):
        assert [task["task_id"] for task in tasky(*arguments).json["items"]] == [given]
    assert tasky("db", "--db", other, "info", "--json").json["path"] == other
    assert tasky("db", "info", "--json", "--db", other).json["path"] == other


def test_the_later_of_two_wins(tasky: Program) -> None:
    ran = tasky("--db", "one.db", "db", "info", "--db", "two.db")

    assert "two.db" in ran.err


def test_flags_win_over_the_environment(tasky: Program) -> None:
    ran = tasky("tasks", "--db", str(tasky.folder / "x.db"), TASKY_URL="http://127.0.0.1:9")

    assert ran.code == 0


def test_a_database_and_a_server_exclude_each_other(tasky: Program) -> None:
    assert tasky("tasks", "--db", "x.db", "--url", "http://127.0.0.1:9").code == 2


def test_a_server_that_is_not_there_is_5_and_a_sentence(tasky: Program) -> None:
    ran = tasky("tasks", "--url", "http://127.0.0.1:9")

    assert ran.code == 5
    assert ran.err.startswith("tasky: No server answers at http://127.0.0.1:9")


def test_the_default_database_gets_a_private_folder(tasky: Program) -> None:
    del tasky.environment["TASKY_DB"]

    tasky("run", "sleep")

    folder = tasky.folder / "state" / "tasky"
    assert (folder / "tasky.db").exists()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_named_database_in_a_missing_folder_is_an_error(tasky: Program) -> None:
    for arguments in (["tasks"], ["run", "sleep"]):
        ran = tasky(*arguments, "--db", "nowhere/x.db")
        assert ran.code == 5
        assert "nowhere does not exist" in ran.err


def test_looking_at_a_missing_file_makes_none(tasky: Program) -> None:
    ran = tasky("tasks")

    assert (ran.code, ran.out) == (0, "")
    assert "no database" in ran.err
    assert not tasky.database.exists()


def test_a_foreign_file_is_left_alone(tasky: Program) -> None:
    tasky.database.write_text("these are my notes")

    ran = tasky("tasks")

    assert ran.code == 5
    assert tasky.database.read_text() == "these are my notes"


def test_a_token_file_that_is_missing_or_empty_is_a_usage_error(tasky: Program) -> None:
    (tasky.folder / "empty").touch()

    for name in ("missing", "empty"):
        ran = tasky("tasks", "--url", "http://127.0.0.1:9", "--token-file", name)
        assert (ran.code, name in ran.err) == (2, True)


def test_a_defect_is_a_sentence_and_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("tasky.cli.look.client", lambda *_: 1 / 0)

    code = call(["tasks"])

    (report,) = (tmp_path / "tasky" / "reports").iterdir()
    assert code == 5
    assert capsys.readouterr().err == (
        f"tasky: Tasky made an error (ZeroDivisionError). The report is in {report}.\n"
    )
    assert "ZeroDivisionError: division by zero" in report.read_text()
    assert report.stat().st_mode & 0o077 == 0


def test_a_reader_that_leaves_is_no_error(tasky: Program) -> None:
    tasky("run", "sleep", "--hold", "--times", "1")
    shell = f"{' '.join(tasky.command('events', '--jsonl'))} | head -c 1"

    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", shell],
        cwd=tasky.folder, env=tasky.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")


def test_settings_of_this_folder_are_read_and_named_when_wrong(tasky: Program) -> None:
    (tasky.folder / "tasky.toml").write_text('[workers]\nmodules = ["own.py"]\n')
    assert "noisy" in tasky("workers", "-q").lines

    (tasky.folder / "tasky.toml").write_text("[server]\nprot = 1\n")
    ran = tasky("workers")
    assert ran.code == 2
    assert "server.prot: there is no such field. Did you mean port? (line 2)" in ran.err


def test_settings_that_others_could_have_written_are_not_read(tasky: Program) -> None:
    file = tasky.folder / "tasky.toml"
    file.write_text('[workers]\nmodules = ["own.py"]\n')
    file.chmod(0o666)

    assert "noisy" not in tasky("workers", "-q").lines


def test_completion_offers_commands_workers_and_fields(tasky: Program) -> None:
    def complete(words: str, at: int) -> list[str]:
        ran = tasky(_TASKY_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(at))
        return [line.split(",", 1)[1] for line in ran.lines]

    assert complete("tasky ca", 1) == ["cancel"]
    assert complete("tasky run sle", 2) == ["sleep"]
    assert complete("tasky run sleep ste", 3) == ["steps="]
    task = tasky("run", "sleep", "-q").out.strip()
    assert complete(f"tasky show {task[:3]}", 2) == [task[:12]]
    for shell in ("bash", "zsh", "fish"):
        assert "_TASKY_COMPLETE" in tasky("completion", shell).out
