"""Programs of workers: what comes back, and that nothing of them outlives the task."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from tasky.cancel import Cancelled, Reason, Token
from tasky.errors import FileProblem
from tasky.subprocesses import KEPT_HEAD, KEPT_TAIL
from tasky.worker import Context, TaskInfo

LONG_S = 1000
"""How long the programs would live if nobody ended them."""


class Line:
    """Remembers the log, and calls back in the worker's own thread: no test waits for a line."""

    def __init__(self) -> None:
        self.logged: list[tuple[str, str]] = []
        self.on_log: Callable[[str], None] = lambda _: None
        self.on_paused: Callable[[], object] = lambda: None

    def log(self, level: str, text: str, stream: str) -> None:
        self.logged.append((stream, text))
        self.on_log(text)

    def paused(self, name: str) -> None:
        self.on_paused()

    def progress(
        self, done: float | None, total: float | None, unit: str, message: str, stage: str
    ) -> None: ...

    def checkpoint(self, name: str) -> None: ...

    def resumed(self) -> None: ...

    def waiting(self, what: str) -> None: ...

    def went_on(self) -> None: ...


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def ctx(line: Line) -> Context:
    task = TaskInfo(id="t1", worker="w", attempt=1, index=0, execution_id=1, fence=1)
    return Context(task=task, params={}, token=Token(), line=line)


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    before = _descriptors(), threading.active_count(), psutil.Process().children()
    yield
    assert (_descriptors(), threading.active_count(), psutil.Process().children()) == before


def _descriptors() -> list[Path]:
    return sorted(Path("/proc/self/fd").iterdir())


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def _when(word: str, act: Callable[[], object]) -> Callable[[str], None]:
    def hear(text: str) -> None:
        if text == word:
            act()

    return hear


class Watch:
    """Holds processes by descriptor: their end is an event, and no number is taken for another."""

    def __init__(self) -> None:
        self.seen = 0
        self._open: list[int] = []

    def add(self, pid: int) -> None:
        self.seen += 1
        try:
            self._open.append(os.pidfd_open(pid))
        except ProcessLookupError:  # it has ended already
            return

    def all_ended(self) -> bool:
        try:
            return all(select.select([process], [], [], 10)[0] for process in self._open)
        finally:
            for process in self._open:
                os.close(process)


# -- what comes back -----------------------------------------------------------------------------


def test_output_goes_to_the_log_by_line_and_comes_back(ctx: Context, line: Line) -> None:
    done = ctx.run(["sh", "-c", "echo one; echo two; printf three; echo bad >&2"])

    assert [text for stream, text in line.logged if stream == "out"] == ["one", "two", "three"]
    assert ("err", "bad") in line.logged
    assert (done.stdout, done.stderr, done.returncode) == ("one\ntwo\nthree", "bad\n", 0)


def test_arguments_are_never_read_by_a_shell(ctx: Context) -> None:
    done = ctx.run(["printf", "%s|", "$(id)", "; id", "a b", "-n", ""])

    assert done.stdout == "$(id)|; id|a b|-n||"


def test_stdin_is_empty(ctx: Context) -> None:
    assert ctx.run(["cat"]).stdout == ""


def test_directory_and_environment_are_those_given(ctx: Context, tmp_path: Path) -> None:
    done = ctx.run(["/bin/sh", "-c", "pwd; echo $COLOUR"], cwd=tmp_path, env={"COLOUR": "blue"})

    assert done.stdout == f"{tmp_path}\nblue\n"


def test_an_exit_code_is_an_error_unless_it_is_expected(ctx: Context) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        ctx.run(["sh", "-c", "echo why; exit 3"])

    assert (caught.value.returncode, caught.value.output) == (3, "why\n")
    assert ctx.run(["sh", "-c", "exit 3"], check=False).returncode == 3


def test_of_long_output_head_and_tail_are_kept_and_the_cut_is_said(ctx: Context) -> None:
    code = "import sys; sys.stdout.write('a' * 300_000 + 'b' * 2_000_000 + 'c' * 300_000)"
    text = ctx.run(_python(code)).stdout
    left_out = 2_600_000 - KEPT_HEAD - KEPT_TAIL

    head, rest = text.split("\n[", 1)
    note, tail = rest.split("]\n", 1)
    assert head == "a" * KEPT_HEAD
    assert tail == "c" * KEPT_TAIL
    assert note == f"… {left_out} bytes left out …"


def test_a_line_without_an_end_reaches_the_log_in_pieces(ctx: Context, line: Line) -> None:
    ctx.run(_python("import sys; sys.stdout.write('x' * 200_000)"))

    assert "".join(text for _, text in line.logged) == "x" * 200_000
    assert len(line.logged) > 1


def test_bytes_that_are_no_text_do_not_end_the_task(ctx: Context) -> None:
    assert ctx.run(["printf", r"\377\n"]).stdout == "�\n"


def test_a_program_that_is_not_there_is_a_file_problem(ctx: Context, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")

    with pytest.raises(FileProblem, match=r"no-such-program does not exist. Install it"):
        ctx.run(["no-such-program"])
    with pytest.raises(FileProblem, match=r"does not exist. Check the path"):
        ctx.run([str(tmp_path / "gone")])
    with pytest.raises(FileProblem, match=r"gone does not exist"):
        ctx.run(["true"], cwd=tmp_path / "gone")
    with pytest.raises(FileProblem, match=r"may not be used. Check its rights"):
        ctx.run([str(plain)])
    plain.chmod(0o755)
    with pytest.raises(FileProblem, match="is not a program"):
        ctx.run([str(plain)])
    with pytest.raises(ValueError, match="no program to run"):
        ctx.run([])


# -- how it ends ---------------------------------------------------------------------------------


def test_a_cancel_ends_the_whole_tree(ctx: Context, line: Line) -> None:
    tree = Watch()

    def hear(text: str) -> None:
        if text.isdigit():
            tree.add(int(text))
        else:
            ctx.token.cancel(Reason.USER)

    line.on_log = hear
    inner = f"echo $$; sleep {LONG_S} & echo $!; echo ready; wait"
    with pytest.raises(Cancelled):
        ctx.run(["sh", "-c", f"echo $$; sleep {LONG_S} & echo $!; sh -c '{inner}' & wait"])

    assert tree.seen == 4
    assert tree.all_ended()


def test_a_cancel_from_another_thread_is_heard_while_the_program_is_silent(
    ctx: Context, tmp_path: Path
) -> None:
    # The program is there when its pipe is opened for writing; it says nothing.
    os.mkfifo(tmp_path / "fifo")

    def cancel_once_it_runs() -> None:
        os.close(os.open(tmp_path / "fifo", os.O_WRONLY))
        ctx.token.cancel(Reason.TIMEOUT)

    canceller = threading.Thread(target=cancel_once_it_runs)
    canceller.start()
    with pytest.raises(Cancelled) as caught:
        ctx.run(["sh", "-c", f'exec < "$0"; exec sleep {LONG_S}', str(tmp_path / "fifo")])
    canceller.join()

    assert caught.value.reason is Reason.TIMEOUT


def test_a_cancel_lets_the_program_say_its_last_words(ctx: Context, line: Line) -> None:
    line.on_log = _when("ready", lambda: ctx.token.cancel(Reason.USER))
    # Without the pipe, for a shell just forked may lose the signal to the trap it inherited.
    script = f"trap 'echo bye; exit' TERM; sleep {LONG_S} >/dev/null 2>&1 & echo ready; wait"

    with pytest.raises(Cancelled):
        ctx.run(["sh", "-c", script])

    assert ("out", "bye") in line.logged


def test_a_program_deaf_to_sigterm_is_killed_after_the_grace(ctx: Context, line: Line) -> None:
    line.on_log = _when("ready", lambda: ctx.token.cancel(Reason.USER))

    with pytest.raises(Cancelled):
        ctx.run(["sh", "-c", f"trap '' TERM; echo ready; sleep {LONG_S}"], grace=0.05)


def test_after_a_cancel_no_program_is_started(ctx: Context, tmp_path: Path) -> None:
    ctx.token.cancel(Reason.USER)

    with pytest.raises(Cancelled):
        ctx.run(["touch", str(tmp_path / "started")])

    assert list(tmp_path.iterdir()) == []


def test_a_cancel_after_the_end_finds_nothing_to_stop(ctx: Context) -> None:
    ctx.run(["true"])

    assert ctx.token.cancel(Reason.USER)


def test_an_error_in_the_log_ends_the_program(ctx: Context, line: Line) -> None:
    tree = Watch()

    def fail(text: str) -> None:
        tree.add(int(text))
        raise OSError("no log")

    line.on_log = fail
    with pytest.raises(OSError, match="no log"):
        ctx.run(["sh", "-c", f"echo $$; exec sleep {LONG_S}"])

    assert tree.all_ended()


def test_what_a_program_leaves_behind_is_ended_with_it(ctx: Context) -> None:
    tree = Watch()
    done = ctx.run(["sh", "-c", f"sleep {LONG_S} & echo $!"])
    tree.add(int(done.stdout))

    assert tree.all_ended()


def test_a_process_in_its_own_session_does_not_hold_the_task_back(ctx: Context) -> None:
    code = (
        "import subprocess; print(subprocess.Popen("
        f"['sleep', '{LONG_S}'], start_new_session=True).pid)"
    )
    done = ctx.run(_python(code))

    os.kill(int(done.stdout), signal.SIGKILL)


def test_a_pause_stops_the_program_until_it_is_taken_back(
    ctx: Context, line: Line, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")
    # Opened for both, so that neither end waits for the other.
    fifo = os.open(tmp_path / "fifo", os.O_RDWR)
    stopped: list[int] = []

    def look() -> None:
        found = os.waitid(os.P_ALL, 0, os.WSTOPPED | os.WNOWAIT)
        stopped.append(found.si_status if found else 0)
        os.write(fifo, b"go\n")
        ctx.token.resume()

    line.on_log = _when("ready", ctx.token.pause)
    line.on_paused = look
    try:
        done = ctx.run(
            ["sh", "-c", 'echo ready; read word < "$0"; echo $word', str(tmp_path / "fifo")]
        )
    finally:
        os.close(fifo)

    assert stopped == [signal.SIGSTOP]
    assert done.stdout == "ready\ngo\n"


def test_a_cancel_ends_a_paused_program(ctx: Context, line: Line) -> None:
    line.on_log = _when("ready", ctx.token.pause)
    line.on_paused = partial(ctx.token.cancel, Reason.USER)

    with pytest.raises(Cancelled):
        ctx.run(["sh", "-c", f"echo ready; exec sleep {LONG_S}"])
