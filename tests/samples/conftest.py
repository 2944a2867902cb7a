"""A real `Context` for the samples; only the runtime behind its line is played."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasky.cancel import Token
from tasky.worker import Context, TaskInfo


class RecordingLine:
    """Remembers what a worker reports.

    A test in the worker's own thread hooks into `on_…`; one in another thread
    waits with `wait_for`. Neither sleeps.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.checkpoints: list[str] = []
        self.logged: list[tuple[str, str]] = []
        self.reports: list[tuple[float | None, float | None, str]] = []
        self.pauses = 0
        self.on_progress: Callable[[], object] = lambda: None
        self.on_checkpoint: Callable[[str], object] = lambda _: None
        self.on_log: Callable[[str], object] = lambda _: None
        self.on_paused: Callable[[], object] = lambda: None

    @property
    def lines(self) -> list[str]:
        return [text for _, text in self.logged]

    def wait_for(self, fact: Callable[[], bool]) -> bool:
        with self._changed:
            return self._changed.wait_for(fact, timeout=10)

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def progress(
        self, done: float | None, total: float | None, unit: str, message: str, stage: str
    ) -> None:
        self.reports.append((done, total, unit))
        self.on_progress()

    def log(self, level: str, text: str, stream: str) -> None:
        self.logged.append((level, text))
        self._tell()
        self.on_log(text)

    def checkpoint(self, name: str) -> None:
        self.checkpoints.append(name)
        self.on_checkpoint(name)

    def paused(self, name: str) -> None:
        self.pauses += 1
        self._tell()
        self.on_paused()

    def resumed(self) -> None: ...

    def waiting(self, what: str) -> None: ...

    def went_on(self) -> None: ...


@pytest.fixture
def line() -> RecordingLine:
    return RecordingLine()


@pytest.fixture
def token() -> Token:
    return Token()


@pytest.fixture
def ctx(line: RecordingLine, token: Token, tmp_path: Path) -> Context:
    """The context of a first attempt, with the test's own directory as the only root."""
    task = TaskInfo(id="t1", worker="sample", attempt=1, index=0, execution_id=1, fence=1)
    return Context(task=task, params={}, token=token, line=line, roots=[str(tmp_path)])


@pytest.fixture(autouse=True)
def _no_descriptor_leaks() -> Iterator[None]:
    before = sorted(Path("/proc/self/fd").iterdir())
    yield
    assert sorted(Path("/proc/self/fd").iterdir()) == before
