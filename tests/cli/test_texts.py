"""How numbers, times and outside text look, and how tables fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasky.cli.tables import Column, Styled, draw
from tasky.cli.texts import (
    GLYPHS,
    bar,
    cut,
    duration,
    log_text,
    marked,
    moment,
    number,
    rate,
    size,
    width,
)
from tasky.states import State


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"), (0, "0.0 s"), (0.003, "0.003 s"), (0.1, "0.1 s"), (9.94, "9.9 s"),
        (31, "31 s"), (59.6, "1 m 00 s"), (134, "2 m 14 s"), (3599.6, "1 h 00 m"),
        (11100, "3 h 05 m"), (86400, "1 d 00 h"), (187200, "2 d 04 h"), (-1, "0.000 s"),
    ],
)  # fmt: skip
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (4_200_000, "4.2 MB"), (88e6, "88.0 MB"),
     (123_456_789, "123 MB"), (999_960, "1.0 MB")],
)  # fmt: skip
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text


def test_rates_have_the_unit_of_the_worker() -> None:
    assert rate(4_200_000, "B") == "4.2 MB/s"
    assert rate(5.0, "steps") == "5 steps/s"
    assert rate(5.0, "") == "5 /s"


def test_numbers_have_blanks_between_thousands() -> None:
    assert (number(48_201), number(2.5)) == ("48 201", "2.5")


def test_a_moment_of_another_day_has_its_date() -> None:
    now = 1_800_000_000_000_000
    assert len(moment(now, now)) == len("14:02:11")
    assert len(moment(now - 5 * 86_400_000_000, now)) == len("2026-11-20 14:02")


def test_every_state_has_a_glyph_a_stand_in_and_a_colour() -> None:
    assert set(GLYPHS) == set(State)
    assert all(plain.isascii() and len(plain) == 1 for _, plain, _ in GLYPHS.values())


@given(st.text())
def test_marked_text_steers_no_terminal(text: str) -> None:
    for ascii_only in (False, True):
        shown = marked(text, ascii_only=ascii_only)
        assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in shown)
        assert not set(shown) & set(
            "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f"
        )
        shown.encode()


@given(st.text(alphabet="ab\x1b[0;31mK]52\x07\x9b\r\n"))
def test_of_a_log_line_only_colours_survive(text: str) -> None:
    assert "\x1b" not in log_text(text, color=False)
    shown = log_text(text, color=True)
    import re

    assert "\x1b" not in re.sub(r"\x1b\[[0-9;:]*m", "", shown)


@given(st.text(), st.integers(1, 40))
def test_cut_text_fits(text: str, columns: int) -> None:
    assert width(cut(marked(text), columns)) <= columns


def test_wide_characters_take_two_columns() -> None:
    assert (width("日本"), width("e\u0301"), cut("日本語", 5)) == (4, 1, "日本…")


def test_bars_are_as_long_as_their_share() -> None:
    assert (bar(0.5, 4), bar(1, 4), bar(0, 4), bar(2, 4)) == ("██", "████", "", "████")
    assert bar(0.5, 4, ascii_only=True) == "##"


COLUMNS = (
    Column("Id"),
    Column("Text", text=True),
    Column("Extra", drop=1),
    Column("Less", drop=2),
    Column("More", text=True),
)


def table(room: int | None, *rows: list[str | Styled]) -> list[str]:
    return list(draw(COLUMNS, rows, room=room, paint=lambda text, _: text))


@given(
    st.integers(10, 200), st.lists(st.lists(st.text("abc日", max_size=60), min_size=2, max_size=2))
)
def test_a_table_never_is_wider_than_its_room(room: int, texts: list[list[str]]) -> None:
    rows: list[list[str | Styled]] = [["12345678", a, "x", "y", b] for a, b in texts]

    assert all(width(line) <= room for line in table(room, *rows))


def test_without_a_limit_nothing_is_cut() -> None:
    assert "a" * 300 in table(None, ["1", "a" * 300, "x", "y", ""])[1]


def test_the_widest_text_gives_way_first() -> None:
    line = table(90, ["12345678", "a" * 20, "x", "y", "b" * 200])[1]

    assert "a" * 20 in line
    assert line.endswith("…")


def test_columns_go_before_texts_become_unreadable() -> None:
    head = table(30, ["12345678", "a" * 20, "x", "y", "b" * 20])[0]

    assert head.split() == ["Id", "Text", "More"]


def test_a_column_that_may_go_and_is_empty_goes() -> None:
    assert table(None, ["1", "a", "", "y", ""])[0].split() == ["Id", "Text", "Less", "More"]
