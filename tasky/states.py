"""The one state machine of tasks and executions, as data.

SQL CHECKs, the diagram in the README, the actions both consoles offer and the property tests are
made from this module or tested against it. SQL apart, nothing else spells a state.
"""

from enum import StrEnum


class State(StrEnum):
    """Where a task or an execution is.

    A wish (cancel, pause) is a column with a time, not a state.
    """

    NEW = "new"  # held: waits for a release
    QUEUED = "queued"  # waits for a slot, a limit or its time
    RUNNING = "running"  # the code is running
    PAUSED = "paused"  # stands at a checkpoint, or was paused before it started
    WAITING = "waiting"  # the code said that it waits for something outside
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # raised, exit code other than 0, remote error
    CANCELLED = "cancelled"  # stopped at a checkpoint, or before it started
    TIMED_OUT = "timed_out"
    KILLED = "killed"  # ended from outside without its consent
    LOST = "lost"  # the server crashed while it ran; nobody knows how far it came


class Step(StrEnum):
    """What moves a state. The first group are actions of people, the second reports of the code."""

    RELEASE = "release"
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    KILL = "kill"
    RERUN = "rerun"

    START = "start"
    WAIT = "wait"
    GO_ON = "go_on"
    SUCCEED = "succeed"
    FAIL = "fail"
    STOP = "stop"
    TIME_OUT = "time_out"
    LOSE = "lose"
    REQUEUE = "requeue"


S = State

OPEN = frozenset({S.NEW, S.QUEUED, S.RUNNING, S.PAUSED, S.WAITING})
FINAL = frozenset(State) - OPEN
ACTIVE = frozenset({S.RUNNING, S.PAUSED, S.WAITING})
"""States in which code may be under way."""

TROUBLE = (S.FAILED, S.TIMED_OUT, S.LOST, S.KILLED, S.CANCELLED)
"""Order in which a bad end outweighs another when a result sums up its executions."""

FAILURES = frozenset({S.FAILED, S.TIMED_OUT, S.KILLED, S.LOST})
"""What the failure rate counts; a cancel is nobody's failure."""

EDGES: dict[tuple[State, Step], State] = {
    (S.NEW, Step.RELEASE): S.QUEUED,
    (S.NEW, Step.CANCEL): S.CANCELLED,
    (S.NEW, Step.TIME_OUT): S.TIMED_OUT,
    (S.QUEUED, Step.CANCEL): S.CANCELLED,
    (S.QUEUED, Step.PAUSE): S.PAUSED,
    (S.QUEUED, Step.START): S.RUNNING,
    (S.QUEUED, Step.TIME_OUT): S.TIMED_OUT,
    (S.RUNNING, Step.PAUSE): S.PAUSED,
    (S.RUNNING, Step.WAIT): S.WAITING,
    (S.WAITING, Step.GO_ON): S.RUNNING,
    (S.PAUSED, Step.RESUME): S.RUNNING,
    **{(state, Step.SUCCEED): S.SUCCEEDED for state in (S.RUNNING, S.WAITING)},
    **{(state, Step.FAIL): S.FAILED for state in (S.RUNNING, S.WAITING)},
    **{(state, Step.STOP): S.CANCELLED for state in ACTIVE},
    **{(state, Step.TIME_OUT): S.TIMED_OUT for state in ACTIVE},
    **{(state, Step.KILL): S.KILLED for state in ACTIVE},
    **{(state, Step.LOSE): S.LOST for state in ACTIVE},
    **{(state, Step.REQUEUE): S.QUEUED for state in ACTIVE},
    **{(state, Step.RERUN): S.QUEUED for state in FINAL},
}
"""Every edge there is.

Paused before its start is the same state; `EDGES_UNSTARTED` tells its ways out.
"""

EDGES_UNSTARTED: dict[tuple[State, Step], State] = {
    (S.PAUSED, Step.RESUME): S.QUEUED,
    (S.PAUSED, Step.CANCEL): S.CANCELLED,
    (S.PAUSED, Step.TIME_OUT): S.TIMED_OUT,
}
"""Edges of something that is paused and has not started (`started_at` is null)."""

ACTIONS: dict[str, frozenset[State]] = {
    "run": frozenset({S.NEW}) | FINAL,
    "release": frozenset({S.NEW}),
    "cancel": OPEN,
    "pause": frozenset({S.QUEUED, S.RUNNING, S.WAITING}),
    "resume": frozenset({S.PAUSED}),
    "kill": ACTIVE,
    "rerun": FINAL,
}
"""What a person may ask of a task, and the states in which it means something."""


def may_move(leaves: State, to: State, *, started: bool = True) -> bool:
    """Tell whether some edge leads from `leaves` to `to`."""
    edges = EDGES if started else EDGES | EDGES_UNSTARTED
    return any(a == leaves and b == to for (a, _), b in edges.items())


def actions_for(state: State) -> tuple[str, ...]:
    """Return the actions that are possible in `state`, in the order of `ACTIONS`."""
    return tuple(name for name, states in ACTIONS.items() if state in states)


DIAGRAM = """\
new ──release──▶ queued ──start──▶ running ──▶ succeeded │ failed
 │                │  ▲              │  ▲  ▲
 │ cancel         │  │ retry, rerun │  │  └──go on── waiting
 ▼                ▼  │              ▼  │ resume
cancelled         pause / resume    paused
                                    (running, paused, waiting:
                                     cancel ▶ cancelled at the next checkpoint
                                     kill ▶ killed   timeout ▶ timed_out
                                     crash ▶ queued if idempotent, else lost)
"""
"""The machine on one screen; the README prints it."""
