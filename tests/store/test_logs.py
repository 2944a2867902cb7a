from tasky.store import logs
from tasky.store.logs import Row
from tests.store.conftest import Shelf


def lines(execution_id: int, *numbers: int) -> list[Row]:
    return [(execution_id, seq, 1000 + seq, "info", "out", f"line {seq}") for seq in numbers]


def write(shelf: Shelf, rows: list[Row]) -> None:
    shelf.write(lambda tx: logs.append(tx, rows))


def seqs(shelf: Shelf, execution_id: int, after: int = 0, limit: int = 100) -> list[int]:
    return [line.seq for line in shelf.store.logs.after(execution_id, after, limit)]


def test_a_log_is_read_from_a_place_on(shelf: Shelf) -> None:
    c = shelf.started()
    write(shelf, lines(c.execution_id, *range(1, 11)))
    assert seqs(shelf, c.execution_id, after=3, limit=4) == [4, 5, 6, 7]
    assert seqs(shelf, c.execution_id, after=10) == []


def test_a_tail_comes_oldest_first(shelf: Shelf) -> None:
    c = shelf.started()
    write(shelf, lines(c.execution_id, *range(1, 11)))
    assert [line.seq for line in shelf.store.logs.tail(c.execution_id, 3)] == [8, 9, 10]


def test_a_line_reads_back_as_it_was_written(shelf: Shelf) -> None:
    c = shelf.started()
    write(shelf, [(c.execution_id, 1, 7, "warning", "err", "ä\tb\x1b[0m")])
    (line,) = shelf.store.logs.after(c.execution_id, 0, 10)
    assert (line.at, line.level, line.stream, line.text) == (7, "warning", "err", "ä\tb\x1b[0m")


def test_a_line_that_is_there_stays_as_it_is(shelf: Shelf) -> None:
    c = shelf.started()
    write(shelf, lines(c.execution_id, 1))
    write(shelf, [(c.execution_id, 1, 0, "info", "out", "other"), *lines(c.execution_id, 2)])
    assert [line.text for line in shelf.store.logs.after(c.execution_id, 0, 10)] == [
        "line 1", "line 2",
    ]  # fmt: skip


def test_a_cut_leaves_head_and_tail(shelf: Shelf) -> None:
    c = shelf.started()
    write(shelf, lines(c.execution_id, *range(1, 11)))
    shelf.write(lambda tx: logs.drop_middle(tx, c.execution_id, 4, 9))
    assert seqs(shelf, c.execution_id) == [1, 2, 3, 9, 10]


def test_each_execution_has_a_log_of_its_own(shelf: Shelf) -> None:
    one, other = shelf.started(), shelf.started()
    write(shelf, [*lines(one.execution_id, 1, 2), *lines(other.execution_id, 1)])
    shelf.write(lambda tx: logs.drop_middle(tx, one.execution_id, 1, 9))
    assert seqs(shelf, one.execution_id) == []
    assert seqs(shelf, other.execution_id) == [1]


def test_the_last_lines_come_with_the_end(shelf: Shelf) -> None:
    c = shelf.started()
    shelf.end(c, log=lines(c.execution_id, 1, 2))
    assert seqs(shelf, c.execution_id) == [1, 2]


def test_the_end_takes_away_what_was_cut(shelf: Shelf) -> None:
    c = shelf.started()
    write(shelf, lines(c.execution_id, *range(1, 8)))
    shelf.end(c, log=lines(c.execution_id, 8, 9), log_cut=(3, 8))
    assert seqs(shelf, c.execution_id) == [1, 2, 8, 9]
