import pytest

from tasky.errors import (
    IdAmbiguous,
    IdempotencyMismatch,
    KeyTaken,
    TaskUnknown,
)
from tasky.states import State
from tasky.store import tasks
from tests.store.conftest import Shelf

HOUR = 3600


def again(shelf: Shelf, task_id: int) -> None:
    shelf.write(lambda tx: tasks.rerun(tx, tasks.facts(tx, task_id), "{}", 1, ""))


# -- submissions -----------------------------------------------------------------------------------


def test_a_task_reads_back_as_it_was_submitted(shelf: Shelf) -> None:
    new = shelf.new(
        config='{"n":1}', priority=7, queue="slow", labels='{"env":"prod"}', key="k", actor="me",
        timeout_us=5_000_000, max_attempts=3,
    )  # fmt: skip
    shelf.submit(new)
    task = shelf.store.tasks.get(new.uid)
    assert (task.worker, task.status, bytes(task.config)) == ("copy", State.QUEUED, b'{"n":1}')
    assert (task.priority, task.queue, task.labels, task.key) == (7, "slow", {"env": "prod"}, "k")
    assert (task.timeout_s, task.max_attempts, task.attempt) == (5.0, 3, 0)
    assert task.created_at == task.queued_at == shelf.clock.now()


def test_a_task_of_several_runs_has_an_execution_for_each(shelf: Shelf) -> None:
    first = shelf.submit(shelf.new(times=3), shelf.new())
    found = shelf.store.executions.of_task(first.first_id)
    assert [e.index for e in found] == [1, 2, 3]
    assert len({e.result_id for e in found}) == 1
    assert len(shelf.store.executions.of_task(first.first_id + 1)) == 1


def test_ids_of_a_submission_are_those_it_answers(shelf: Shelf) -> None:
    shelf.task()
    done = shelf.submit(shelf.new(), shelf.new(times=2), shelf.new())
    rows = shelf.rows("SELECT id, result_id, execution_id FROM task WHERE id >= ?", (2,))
    assert rows[0] == (done.first_id, done.first_result, done.first_execution)
    for task_id, result_id, execution_id in rows:
        owner = "SELECT task_id FROM execution WHERE id = ? AND result_id = ?"
        assert shelf.one(owner, (execution_id, result_id)) == task_id


def test_a_submission_of_nothing_is_nothing(shelf: Shelf) -> None:
    assert shelf.submit().uids == []
    assert shelf.one("SELECT count(*) FROM task") == 0


# -- keys ------------------------------------------------------------------------------------------


def test_a_key_is_unique_among_open_tasks(shelf: Shelf) -> None:
    first = shelf.new(key="nightly")
    shelf.submit(first)
    with pytest.raises(KeyTaken) as refusal:
        shelf.submit(shelf.new(key="nightly"))
    assert refusal.value.fields["id"] == first.uid
    shelf.submit(shelf.new(key="weekly"))


def test_a_key_is_free_again_after_the_end(shelf: Shelf) -> None:
    shelf.end(shelf.started(key="nightly"))
    shelf.submit(shelf.new(key="nightly"))
    assert shelf.one("SELECT count(*) FROM task WHERE key = 'nightly'") == 2


def test_a_key_that_comes_twice_in_a_submission_is_refused(shelf: Shelf) -> None:
    with pytest.raises(KeyTaken):
        shelf.submit(shelf.new(key="a"), shelf.new(key="a"))
    assert shelf.one("SELECT count(*) FROM task") == 0


def test_a_task_whose_key_went_to_another_one_does_not_open_again(shelf: Shelf) -> None:
    first = shelf.started(key="nightly")
    shelf.end(first)
    holder = shelf.new(key="nightly")
    shelf.submit(holder)

    with pytest.raises(KeyTaken) as refusal:
        again(shelf, first.task_id)

    assert refusal.value.fields == {"key": "nightly", "id": holder.uid}
    assert shelf.task_state(first.task_id) == "succeeded"


def test_a_task_that_still_has_its_key_opens_again(shelf: Shelf) -> None:
    first = shelf.started(key="nightly")
    shelf.end(first)
    again(shelf, first.task_id)
    assert shelf.task_state(first.task_id) == "queued"


def test_of_a_submission_with_a_taken_key_nothing_is_written(shelf: Shelf) -> None:
    shelf.submit(shelf.new(key="a"))
    before = shelf.rows("SELECT * FROM task"), shelf.events()
    with pytest.raises(KeyTaken):
        shelf.submit(shelf.new(), shelf.new(), shelf.new(key="a"))
    assert (shelf.rows("SELECT * FROM task"), shelf.events()) == before


def test_of_a_submission_that_breaks_a_rule_nothing_is_written(shelf: Shelf) -> None:
    with pytest.raises(Exception, match="CHECK constraint failed"):
        shelf.submit(shelf.new(), shelf.new(priority=1000))
    assert shelf.one("SELECT count(*) FROM task") == 0
    assert shelf.one("SELECT count(*) FROM execution") == 0
    assert shelf.events() == []


# -- idempotency -----------------------------------------------------------------------------------


def test_a_repeated_request_gets_the_first_answer(shelf: Shelf) -> None:
    new = shelf.new()
    shelf.submit(new, key="k", credential="c", request="hash")

    done = shelf.submit(shelf.new(), key="k", credential="c", request="hash")

    assert done.replayed
    assert list(done.uids) == [new.uid]
    assert shelf.one("SELECT count(*) FROM task") == 1


def test_a_repeated_request_is_no_conflict_with_its_own_key(shelf: Shelf) -> None:
    new = shelf.new(key="unique")
    shelf.submit(new, key="k", request="hash")
    assert shelf.submit(shelf.new(key="unique"), key="k", request="hash").replayed


def test_a_key_with_another_request_is_refused(shelf: Shelf) -> None:
    shelf.submit(shelf.new(), key="k", request="hash")
    with pytest.raises(IdempotencyMismatch):
        shelf.submit(shelf.new(), key="k", request="other")
    assert shelf.one("SELECT count(*) FROM task") == 1


def test_keys_of_two_credentials_are_two_keys(shelf: Shelf) -> None:
    shelf.submit(shelf.new(), key="k", credential="a", request="hash")
    assert not shelf.submit(shelf.new(), key="k", credential="b", request="hash").replayed


def test_a_key_is_good_for_a_day(shelf: Shelf) -> None:
    shelf.submit(shelf.new(), key="k", request="hash")
    shelf.clock.advance(24 * HOUR - 1)
    assert shelf.submit(shelf.new(), key="k", request="hash").replayed
    shelf.clock.advance(1)
    assert not shelf.submit(shelf.new(), key="k", request="other").replayed


def test_a_repeat_in_the_same_transaction_is_a_repeat(shelf: Shelf) -> None:
    one, two = (
        tasks.Submission([shelf.new()], key="k", request="hash"),
        tasks.Submission([shelf.new()], key="k", request="hash"),
    )
    first, second = shelf.write(lambda tx: tasks.submit(tx, [one, two]))
    assert (first.replayed, second.replayed) == (False, True)
    assert list(first.uids) == list(second.uids)


# -- control ---------------------------------------------------------------------------------------


def test_a_rerun_is_a_new_result_and_keeps_the_old_one(shelf: Shelf) -> None:
    c = shelf.started()
    shelf.end(c, State.FAILED)
    shelf.write(
        lambda tx: tasks.rerun(tx, tasks.facts(tx, c.task_id), '{"n":2}', times=2, actor="me")
    )

    task = shelf.store.tasks.by_number(c.task_id)
    new, old = shelf.store.results.of_task(c.task_id)
    assert (task.status, bytes(task.config), task.error) == (State.QUEUED, b'{"n":2}', None)
    assert (task.started_at, task.ended_at) == (None, None)
    assert (old.status, old.times, new.status, new.times) == (State.FAILED, 1, State.QUEUED, 2)


def wish(shelf: Shelf, task_id: int, name: str) -> None:
    shelf.write(lambda tx: tasks.wish(tx, task_id, name, "", ""))


def test_a_rerun_forgets_wishes(shelf: Shelf) -> None:
    c = shelf.started()
    wish(shelf, c.task_id, "task.cancel_requested")
    wish(shelf, c.task_id, "task.pause_requested")
    shelf.end(c, State.CANCELLED)
    again(shelf, c.task_id)
    task = shelf.store.tasks.by_number(c.task_id)
    assert (task.cancel_requested_at, task.pause_requested_at) == (None, None)


def test_asking_twice_keeps_the_time_of_the_first_cancel(shelf: Shelf) -> None:
    c = shelf.started()
    first = shelf.clock.now()
    for _ in range(2):
        wish(shelf, c.task_id, "task.cancel_requested")
        shelf.clock.advance(5)
    assert shelf.store.tasks.by_number(c.task_id).cancel_requested_at == first


def test_every_change_raises_the_version(shelf: Shelf) -> None:
    task_id = shelf.task()
    versions = [shelf.store.tasks.state_of(task_id)[1]]
    c = shelf.start()[0]
    versions.append(shelf.store.tasks.state_of(task_id)[1])
    shelf.end(c)
    versions.append(shelf.store.tasks.state_of(task_id)[1])
    again(shelf, task_id)
    versions.append(shelf.store.tasks.state_of(task_id)[1])
    assert versions == sorted(set(versions))


# -- reading ---------------------------------------------------------------------------------------


def test_an_id_may_be_shortened(shelf: Shelf) -> None:
    shelf.submit(shelf.new(uid="ab" + "0" * 30), shelf.new(uid="ac" + "0" * 30))
    resolve = shelf.store.tasks.resolve
    assert resolve("AB")[1] == "ab" + "0" * 30
    assert resolve("ac-00")[1] == "ac" + "0" * 30
    with pytest.raises(IdAmbiguous):
        resolve("a")


@pytest.mark.parametrize("given", ["", "zz", "%", "' OR 1=1 --", "é", "a" * 40, "\x00"])
def test_what_is_no_id_is_not_there(shelf: Shelf, given: str) -> None:
    shelf.submit(shelf.new(uid="ab" + "0" * 30))
    with pytest.raises(TaskUnknown):
        shelf.store.tasks.get(given)


def test_open_tasks_are_counted_up_to_the_cap(shelf: Shelf) -> None:
    shelf.submit(*(shelf.new() for _ in range(5)), shelf.new(state="new"))
    assert shelf.store.tasks.count_open(3) == {
        "new": 1, "queued": 3, "running": 0, "paused": 0, "waiting": 0,
    }  # fmt: skip


def test_a_list_shows_the_beginning_of_a_long_config(shelf: Shelf) -> None:
    shelf.submit(shelf.new(config='{"text":"' + "x" * 5000 + '"}'))
    row = shelf.rows(tasks.SQL.select_task)[0]
    short, whole = tasks.task_of(row, short=True), tasks.task_of(row)
    assert (short.truncated, whole.truncated) == (True, False)
    assert len(bytes(short.config)) < 3000 < len(bytes(whole.config))


def test_the_oldest_queued_task_is_found(shelf: Shelf) -> None:
    assert shelf.store.tasks.oldest_queued() is None
    first = shelf.clock.now()
    shelf.task()
    shelf.clock.advance(5)
    shelf.task()
    assert shelf.store.tasks.oldest_queued() == first
