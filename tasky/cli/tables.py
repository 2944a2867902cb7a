"""Tables that fit: the widest text column gives way first, then whole columns go."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tasky.cli.texts import cut, padded, width

GAP = "  "
LEAST = 8
"""Columns of a text that is shortened; fewer would say nothing."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `text` may be shortened; if that is not enough, the largest `drop` goes first."""

    title: str
    right: bool = False
    text: bool = False
    drop: int = 0


class Styled(NamedTuple):
    """A cell with a colour. The colour never says anything that the text does not."""

    text: str
    color: str | None = None


Cell = str | Styled
Paint = Callable[[str, str | None], str]


def draw(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell]],
    *,
    room: int | None,
    paint: Paint,
    ellipsis: str = "…",
) -> Iterator[str]:
    """Yield header and rows, at most `room` columns wide; None is as wide as it needs."""
    cells = [[_styled(cell) for cell in row] for row in rows]
    shown = _chosen(columns, cells, room)
    widths = _widths([columns[n] for n in shown], [[row[n] for n in shown] for row in cells], room)

    def line(texts: Sequence[Styled]) -> str:
        parts = []
        for n, wide in zip(shown, widths, strict=True):
            cell = padded(cut(texts[n].text, wide, ellipsis), wide, right=columns[n].right)
            if n == shown[-1] and not columns[n].right:
                cell = cell.rstrip()
            parts.append(paint(cell, texts[n].color) if cell.strip() else cell)
        return GAP.join(parts).rstrip()

    yield line([Styled(column.title, "bright_black") for column in columns])
    for row in cells:
        yield line(row)


def _styled(cell: Cell) -> Styled:
    return cell if isinstance(cell, Styled) else Styled(cell)


def _natural(column: Column, texts: Sequence[Styled]) -> int:
    return max([width(column.title), *(width(cell.text) for cell in texts)])


def _chosen(
    columns: Sequence[Column], rows: Sequence[Sequence[Styled]], room: int | None
) -> list[int]:
    """Return the columns to show: empty ones go, then those that may be dropped."""
    shown = [
        n for n, column in enumerate(columns) if not column.drop or any(row[n].text for row in rows)
    ]
    if room is None:
        return shown
    least = {n: _least(columns[n], [row[n] for row in rows]) for n in shown}
    droppable = sorted((n for n in shown if columns[n].drop), key=lambda n: -columns[n].drop)
    for n in droppable:
        if sum(least[m] for m in shown) + len(GAP) * (len(shown) - 1) <= room:
            break
        shown.remove(n)
    return shown


def _least(column: Column, texts: Sequence[Styled]) -> int:
    natural = _natural(column, texts)
    return min(natural, LEAST) if column.text else natural


def _widths(
    columns: Sequence[Column], rows: Sequence[Sequence[Styled]], room: int | None
) -> list[int]:
    widths = [_natural(c, [row[n] for row in rows]) for n, c in enumerate(columns)]
    if room is None:
        return widths
    room -= len(GAP) * (len(widths) - 1)
    _shrink(widths, [_least(c, [row[n] for row in rows]) for n, c in enumerate(columns)], room)
    # A terminal of a few columns: better a hint of each column than a broken line.
    _shrink(widths, [1] * len(widths), room)
    return widths


def _shrink(widths: list[int], least: Sequence[int], room: int) -> None:
    """Take from the widest column, as long as it is above its least."""
    while sum(widths) > room:
        can = [n for n, wide in enumerate(widths) if wide > least[n]]
        if not can:
            return
        widths[max(can, key=lambda n: widths[n])] -= 1
