"""R10: many threads act on the same tasks at random; each hears yes or no, no edge is illegal."""

import contextlib
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Lock, Thread

import pytest

from tasky.client.session import Tasky
from tasky.errors import Conflict
from tasky.states import ACTIONS
from tasky.worker import Context, worker
from tests.faults.oracle import findings
from tests.helpers import PATIENCE_S, let_go, register
from tests.helpers import Gate as Door

THREADS, TASKS, STEPS = 8, 50, 250


@worker(max_attempts=2, backoff=0.001)
def busy(ctx: Context, n: int) -> int:
    """Do a bit of everything, for a moment."""
    for step in range(n % 5 + 1):
        ctx.checkpoint(f"step {step}")
        ctx.progress(step, 5)
        ctx.log.info("step %d", step)
        ctx.sleep(0.001)
    if n % 7 == 3:
        with ctx.waiting("nothing"):
            ctx.sleep(0.001)
    if n % 5 == 4:
        raise ValueError(n)
    return n


class Storm:
    """Threads that act, and what they were answered."""

    def __init__(self, tasky: Tasky, ids: list[str], seed: int) -> None:
        self.tasky = tasky
        self.ids = ids
        self.seed = seed
        self.together = Barrier(THREADS)
        self.answers: Counter[str] = Counter()
        self.problems: list[Exception] = []
        self._lock = Lock()

    def blow(self) -> None:
        threads = [Thread(target=self._act, args=(me,)) for me in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _act(self, me: int) -> None:
        chance = random.Random(self.seed + me)
        self.together.wait()
        for _ in range(STEPS):
            answer = self._one(chance)
            with self._lock:
                self.answers[answer] += 1

    def _one(self, chance: random.Random) -> str:
        try:
            self.tasky.client.act(chance.choice(self.ids), chance.choice(sorted(ACTIONS)))
        except Conflict:
            return "refused"
        except Exception as problem:  # noqa: BLE001  # whatever else comes is what the test looks for
            self.problems.append(problem)
            return "wrong"
        return "done"


@pytest.mark.parametrize("times", [1, 3])
def test_r10_a_storm_of_actions_breaks_nothing(
    make_tasky: Callable[..., Tasky], tmp_path: Path, times: int
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    tasky = make_tasky()
    register(tasky, busy)
    handles = [
        tasky.run("busy", {"n": n}, hold=n % 3 == 0, times=times, timeout_s=5) for n in range(TASKS)
    ]
    storm = Storm(tasky, [handle.id for handle in handles], seed)

    storm.blow()

    assert storm.problems == []
    assert storm.answers["done"] > TASKS
    assert storm.answers.total() == THREADS * STEPS
    for handle in handles:
        with contextlib.suppress(Conflict):
            handle.cancel()
    assert {handle.wait(PATIENCE_S).ended for handle in handles} == {True}
    let_go(tasky, Door())
    tasky.close()
    assert findings(tmp_path / "tasky.db") == []
