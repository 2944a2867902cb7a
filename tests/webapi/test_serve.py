"""`tasky serve` as a process of its own: what it prints, how it stops, how it refuses to start."""

import logging
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasky.client.http import HttpClient
from tasky.errors import ServerUnreachable, TaskyError
from tasky.model import Submit
from tasky.states import State
from tasky.store.owner import living_owner
from webapi.cli import PlainFormatter

PATIENCE_S = 30.0
PROGRAM = [sys.executable, "-c", "from tasky.cli import main; main()"]

WORKERS = '''
import time
from tasky import Context, worker

@worker
def stubborn(ctx: Context, path: str = "") -> None:
    """Ignores every wish."""
    while True:
        try:
            time.sleep(0.05)
        except BaseException:
            pass

@worker(idempotent=True)
def again(ctx: Context) -> str:
    """Waits to be asked to stop; may be run twice."""
    ctx.sleep(600)
    return "done"

@worker
def breaks(ctx: Context) -> None:
    """Reports, like the writer would, that the database cannot be written any more."""
    import gc
    from tasky.core import Core
    from tasky.errors import DatabaseProblem
    core = next(o for o in gc.get_objects() if isinstance(o, Core))
    core.on_fatal(DatabaseProblem(db="work.db", why="fsync failed", hint="Look at the disk."))
    ctx.sleep(600)

@worker
def polite(ctx: Context) -> None:
    """Waits to be asked to stop."""
    ctx.sleep(600)
'''


class Process:
    """One `tasky serve`, with its lines."""

    def __init__(self, folder: Path, *arguments: str, db: str = "work.db") -> None:
        self.folder = folder
        command = [*PROGRAM, "--db", str(folder / db), "serve", "--port", "0", *arguments]
        self.process = subprocess.Popen(
            command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONWARNINGS": "error::ResourceWarning"},
        )  # fmt: skip
        self.lines: list[str] = []

    def ready(self) -> "Process":
        """Read up to the line for curl, which comes last."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("curl "):
                return self
        raise AssertionError(self.ended())

    @property
    def address(self) -> str:
        return self.lines[0]

    def client(self) -> HttpClient:
        found = re.search(r"Bearer ([\w-]+)", self.lines[-1])
        return HttpClient(self.address, found[1] if found else None)

    def ask(self, number: int) -> None:
        self.process.send_signal(number)

    def ended(self) -> tuple[int, str]:
        """Return exit code and stderr, once it has ended."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        self.lines += out.splitlines()
        return self.process.returncode, err


Serve = Callable[..., Process]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start processes that are gone after the test, however it ends."""
    (tmp_path / "mine.py").write_text(WORKERS, encoding="utf-8")
    started: list[Process] = []

    def start(*arguments: str, db: str = "work.db") -> Process:
        started.append(Process(tmp_path, *arguments, db=db))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


def submit(client: HttpClient, worker: str) -> str:
    """Submit a task and return its id once its code runs."""
    task = client.submit(Submit(worker=worker))
    while task.status == State.QUEUED:
        task = client.wait_change(task.id, task.version, 10)
    assert task.status == State.RUNNING
    return task.id


# -- start -----------------------------------------------------------------------------------------


def test_the_printed_line_works_when_pasted(serve: Serve) -> None:
    server = serve().ready()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", server.address)

    command = shlex.split(server.lines[-1])
    answer = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE_S)

    assert b'"name":"copy_file"' in answer.stdout


def test_the_token_and_the_files_are_nobody_elses(serve: Serve, tmp_path: Path) -> None:
    serve().ready()
    for name in ("work.db", "work.db.run", "work.db.lock"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_without_auth_no_token_is_needed_and_that_is_said(serve: Serve) -> None:
    server = serve("--no-auth").ready()
    assert "Authorization" not in server.lines[-1]
    assert any("No token" in line for line in server.lines)
    client = server.client()
    assert client.workers()[0]
    client.close()


def test_own_workers_are_loaded_and_broken_modules_named(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import no_such_thing", encoding="utf-8")

    server = serve("-w", "mine.py", "-w", "bad.py", "--no-samples").ready()

    assert any(re.match(r"bad\.py was not loaded: ModuleNotFoundError", s) for s in server.lines)
    client = server.client()
    assert [worker.name for worker in client.workers()[0]] == [
        "again",
        "breaks",
        "polite",
        "stubborn",
    ]
    client.close()


def test_threads_and_roots_come_from_flags(serve: Serve, tmp_path: Path) -> None:
    server = serve("--threads", "7", "--root", f"{tmp_path}:ro").ready()
    client = server.client()
    task = client.submit(Submit(worker="read_file", config={"path": "mine.py"}))
    assert client.wait(task.id, PATIENCE_S).status == State.SUCCEEDED
    assert client.system()["pool"]["slots"] == 7
    client.close()


def test_a_missing_folder_is_made_for_the_default_database_only(tmp_path: Path) -> None:
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    env.pop("TASKY_DB", None)
    with subprocess.Popen(
        [*PROGRAM, "serve", "--port", "0"], cwd=tmp_path, env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("http://")
        finally:
            process.kill()
    folder = tmp_path / "state" / "tasky"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


HANGS = {"sleeps": "import time; time.sleep(3600)", "spins": "while True: pass"}


@pytest.mark.parametrize("text", HANGS.values(), ids=HANGS)
def test_a_module_that_hangs_is_named_and_left_out(serve: Serve, tmp_path: Path, text: str) -> None:
    (tmp_path / "m_hang.py").write_text(text, encoding="utf-8")
    server = serve("-w", "m_hang.py", "--no-samples")
    assert server.process.stderr is not None
    assert "still loading worker module m_hang.py" in server.process.stderr.readline()

    server.ready()

    assert "m_hang.py was not loaded: its import did not end within 10 s" in server.lines
    client = server.client()
    assert [bad.module for bad in client.workers()[1]] == ["m_hang.py"]
    client.close()
    server.ask(signal.SIGTERM)
    code, err = server.ended()
    assert code == 0
    assert err.endswith("Tasky stopped.\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("text", HANGS.values(), ids=HANGS)
def test_a_start_that_waits_for_a_module_is_broken_off_politely(
    serve: Serve, tmp_path: Path, text: str, number: int
) -> None:
    (tmp_path / "m_hang.py").write_text(text, encoding="utf-8")
    server = serve("-w", "m_hang.py", "--no-samples")
    assert server.process.stderr is not None
    assert "still loading" in server.process.stderr.readline()

    server.ask(number)

    assert server.ended() == (0, "Tasky stopped.\n")
    assert server.lines == []
    assert living_owner(tmp_path / "work.db") is None
    assert not (tmp_path / "work.db.run").exists()


def test_an_error_of_a_module_steers_no_terminal(serve: Serve, tmp_path: Path) -> None:
    text = r"raise RuntimeError('\x1b[31mred\nnext\x9b\u202eback')"
    (tmp_path / "bad.py").write_text(text, encoding="utf-8")
    server = serve("-w", "bad.py", "--no-samples").ready()
    server.ask(signal.SIGTERM)
    _, err = server.ended()

    plain = r"bad.py was not loaded: RuntimeError: \x1b[31mred\nnext\x9b\u202eback"
    assert plain in server.lines
    assert err.splitlines()[0].endswith(f"worker module {plain}")


def test_a_traceback_in_the_log_keeps_its_lines_but_steers_no_terminal() -> None:
    try:
        raise RuntimeError("\x1b[2J\u2066gone")
    except RuntimeError:
        info = sys.exc_info()
    record = logging.LogRecord("tasky", logging.ERROR, "", 0, "a\r\tb\n%s", ("c\x85",), info)
    record.exc_text = "formatted by another \x1b[2J"

    first, *lines = PlainFormatter("%(message)s").format(record).splitlines()

    assert first == r"a\r\tb\nc\x85"
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == r"RuntimeError: \x1b[2J\u2066gone"
    assert record.exc_text == "formatted by another \x1b[2J"


# -- refusals --------------------------------------------------------------------------------------


def test_a_second_server_leaves_and_says_who_owns_the_database(serve: Serve) -> None:
    first = serve().ready()
    code, err = serve().ended()
    assert code == 69
    assert str(first.process.pid) in err
    assert first.address in err


def test_a_taken_port_is_said_with_the_way_out(serve: Serve) -> None:
    port = serve().ready().address.rpartition(":")[2]
    code, err = serve("--port", port, db="other.db").ended()
    assert code == 69
    assert "--port" in err


REFUSED = {
    "other machines": (("--host", "0.0.0.0"), 78),  # noqa: S104  # refused
    "other machines without auth": (("--host", "::", "--no-auth"), 78),
    "no address": (("--host", "nowhere.example"), 1),
    "no port": (("--port", "70000"), 2),
    "no threads": (("--threads", "0"), 2),
    "unknown flag": (("--nope",), 2),
}


@pytest.mark.parametrize(("arguments", "code"), REFUSED.values(), ids=REFUSED)
def test_a_refused_start_is_one_sentence(
    serve: Serve, tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    process = serve(*arguments)
    ended, err = process.ended()
    assert ended == code
    assert err.strip()
    assert "Traceback" not in err
    assert not (tmp_path / "work.db").exists()


DATABASES: dict[str, tuple[Callable[[Path], object], int]] = {
    "empty": (lambda path: path.write_bytes(b""), 65),
    "foreign": (lambda path: path.write_text("hello" * 1_000), 65),
    "a folder": (lambda path: path.mkdir(), 65),
}


@pytest.mark.parametrize(("make", "code"), DATABASES.values(), ids=DATABASES)
def test_a_bad_database_is_left_as_it_is(
    serve: Serve, tmp_path: Path, make: Callable[[Path], object], code: int
) -> None:
    make(tmp_path / "work.db")
    ended, err = serve().ended()
    assert ended == code
    assert "Traceback" not in err


def test_a_missing_folder_of_a_named_database_is_an_error(serve: Serve, tmp_path: Path) -> None:
    code, err = serve(db="missing/work.db").ended()
    assert code == 73
    assert "missing" in err
    assert not (tmp_path / "missing").exists()


# -- the stop --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_idle_server_stops_politely(serve: Serve, tmp_path: Path, number: int) -> None:
    server = serve().ready()
    server.ask(number)
    assert server.ended() == (0, "Tasky stopped.\n")
    assert not (tmp_path / "work.db.run").exists()
    with pytest.raises(ServerUnreachable):
        server.client().newest_event()


def test_running_code_is_asked_to_stop_and_its_end_is_kept(serve: Serve) -> None:
    server = serve("-w", "mine.py").ready()
    client = server.client()
    task_id = submit(client, "polite")
    client.close()

    server.ask(signal.SIGTERM)
    code, err = server.ended()

    assert code == 0
    assert "Stopping: 1 task was asked" in err
    assert "polite" not in err
    after = serve("-w", "mine.py").ready().client()
    assert after.task(task_id).ended or after.task(task_id).status == State.QUEUED
    after.close()


def test_a_second_ctrl_c_cuts_the_grace_and_says_what_becomes_of_the_task(serve: Serve) -> None:
    server = serve("-w", "mine.py").ready()
    client = server.client()
    task_id = submit(client, "stubborn")
    client.close()

    server.ask(signal.SIGINT)
    assert server.process.stderr is not None
    assert "Ctrl-C" in server.process.stderr.readline()
    server.ask(signal.SIGINT)
    code, err = server.ended()

    assert code == 0
    assert f"stubborn {task_id[:8]} did not stop in time" in err
    again = serve("-w", "mine.py").ready()
    assert "1 task was open at the last stop: 1 lost" in again.lines
    after = again.client()
    assert after.task(task_id).status == State.LOST
    after.close()


def test_a_long_poll_gets_an_answer_at_the_stop(serve: Serve) -> None:
    server = serve().ready()
    answers: list[object] = []

    def wait() -> None:
        client = server.client()
        try:
            answers.append(client.events(after=1 << 40, wait_s=60))
        except TaskyError as error:
            answers.append(error)
        finally:
            client.close()

    waiting = threading.Thread(target=wait)
    waiting.start()
    probe = server.client()
    while probe.system()["process"]["threads"] < 1:
        pass
    probe.close()
    server.ask(signal.SIGTERM)
    assert server.ended() == (0, "Tasky stopped.\n")
    waiting.join(PATIENCE_S)
    assert not waiting.is_alive()


def test_a_database_that_cannot_be_written_ends_the_server_at_once(serve: Serve) -> None:
    server = serve("-w", "mine.py").ready()
    client = server.client()
    client.submit(Submit(worker="breaks"))
    client.close()
    code, err = server.ended()
    assert code == 74
    assert "fsync failed" in err
    assert "Traceback" not in err


def test_after_a_kill_the_next_start_settles_what_was_open(serve: Serve) -> None:
    server = serve("-w", "mine.py").ready()
    client = server.client()
    lost, again = submit(client, "stubborn"), submit(client, "again")
    client.close()

    server.process.kill()
    server.ended()
    second = serve("-w", "mine.py").ready()

    assert "2 tasks were open at the last stop: 1 queued again, 1 lost" in second.lines
    after = second.client()
    assert after.task(lost).status == State.LOST
    assert after.task(again).status in (State.QUEUED, State.RUNNING)
    after.close()
