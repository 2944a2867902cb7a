import re
from itertools import product

import pytest

from tasky.states import (
    ACTIONS,
    ACTIVE,
    DIAGRAM,
    EDGES,
    EDGES_UNSTARTED,
    FAILURES,
    FINAL,
    OPEN,
    TROUBLE,
    State,
    Step,
    actions_for,
    may_move,
)
from tasky.store.queries import load

TABLES = load("schema_1")


def states_in(sql: str) -> set[str]:
    return set(re.findall(r"state = '([a-z_]+)'", sql))


@pytest.mark.parametrize("table", ["table_task", "table_execution"])
def test_the_check_of_a_table_names_exactly_the_states(table: str) -> None:
    check = re.search(r"state TEXT NOT NULL CHECK \((.*?)\),\n", TABLES[table], re.DOTALL)
    assert check is not None
    assert states_in(check[1]) == set(State)


@pytest.mark.parametrize("table", ["table_task", "table_execution"])
def test_the_check_of_the_end_names_exactly_the_open_states(table: str) -> None:
    check = re.search(r"CHECK \(\(ended_at IS NULL\) = \((.*?)\)\)", TABLES[table], re.DOTALL)
    assert check is not None
    assert states_in(check[1]) == OPEN


def test_every_state_is_open_or_final() -> None:
    assert set(State) == OPEN | FINAL
    assert set() == OPEN & FINAL
    assert ACTIVE < OPEN
    assert FAILURES < FINAL


def test_trouble_ranks_every_end_but_success() -> None:
    assert set(TROUBLE) == FINAL - {State.SUCCEEDED}
    assert len(TROUBLE) == len(set(TROUBLE))


def test_the_only_way_out_of_an_end_is_a_rerun() -> None:
    assert {step for (state, step) in EDGES if state in FINAL} == {Step.RERUN}
    assert all((state, Step.RERUN) in EDGES for state in FINAL)


def test_every_state_can_be_reached_from_new() -> None:
    reached = {State.NEW}
    while more := {to for (leaves, _), to in EDGES.items() if leaves in reached} - reached:
        reached |= more
    assert reached == set(State)


def test_every_open_state_can_come_to_an_end() -> None:
    for state in OPEN:
        assert any(leaves == state and to in FINAL for (leaves, _), to in EDGES.items())


def test_every_step_is_an_edge() -> None:
    assert {step for _, step in EDGES} == set(Step)


def test_code_that_stands_still_cannot_return() -> None:
    assert (State.PAUSED, Step.SUCCEED) not in EDGES
    assert (State.PAUSED, Step.FAIL) not in EDGES


def test_what_is_paused_before_its_start_never_runs_without_being_queued() -> None:
    assert {leaves for leaves, _ in EDGES_UNSTARTED} == {State.PAUSED}
    assert EDGES_UNSTARTED[State.PAUSED, Step.RESUME] is State.QUEUED


@pytest.mark.parametrize(("leaves", "to"), list(product(State, State)))
def test_may_move_says_what_the_edges_say(leaves: State, to: State) -> None:
    assert may_move(leaves, to) == ((leaves, to) in {(a, b) for (a, _), b in EDGES.items()})


def test_what_is_paused_before_its_start_goes_back_to_the_queue() -> None:
    assert may_move(State.PAUSED, State.QUEUED, started=False)
    assert not may_move(State.PAUSED, State.RUNNING, started=False)


@pytest.mark.parametrize(
    ("action", "step"),
    [
        ("release", Step.RELEASE),
        ("resume", Step.RESUME),
        ("rerun", Step.RERUN),
        ("kill", Step.KILL),
    ],
)
def test_an_action_is_offered_where_its_edge_begins(action: str, step: Step) -> None:
    assert ACTIONS[action] == {state for (state, s) in EDGES if s is step}


def test_a_run_is_a_release_or_a_rerun() -> None:
    assert ACTIONS["run"] == ACTIONS["release"] | ACTIONS["rerun"]


def test_cancel_is_possible_until_the_end() -> None:
    assert ACTIONS["cancel"] == OPEN


def test_a_pause_is_possible_where_work_waits_or_goes_on() -> None:
    assert ACTIONS["pause"] == {State.QUEUED, State.RUNNING, State.WAITING}


@pytest.mark.parametrize("state", list(State))
def test_actions_of_a_state_are_those_that_name_it(state: State) -> None:
    assert set(actions_for(state)) == {a for a, states in ACTIONS.items() if state in states}


def test_an_ended_task_offers_only_to_run_again() -> None:
    for state in FINAL:
        assert actions_for(state) == ("run", "rerun")


@pytest.mark.parametrize("state", list(State))
def test_the_diagram_names_every_state(state: State) -> None:
    assert re.search(rf"\b{state}\b", DIAGRAM)


def test_the_diagram_fits_a_terminal() -> None:
    assert max(len(line) for line in DIAGRAM.splitlines()) <= 80
