"""Text in the columns of a terminal. A character takes two columns (Chinese, Japanese, Korean, most emoji), one, or
none (combining marks)."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterator, Sequence

from phaselock.frozen import frozen

ELLIPSIS = "…"
GAP = "  "
"""Between two columns of a table."""
MIN_FLEXIBLE = 20
"""A column that may be cut keeps this width while there are other columns to leave out."""
_LEFT_TO_RIGHT_MARK = "\u200e"
_RIGHT_TO_LEFT = frozenset({"R", "AL"})


@frozen
class Column:
    """A column of a table."""

    title: str
    right: bool = False
    """Aligned at the right, as numbers are."""
    flexible: bool = False
    """Its texts may be cut."""
    leave_out: int = 0
    """On a narrow terminal the column with the highest number is left out first. 0: never."""


def width(text: str) -> int:
    """How many columns the text takes."""
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth  # takes 6 MiB: imported only for names that need it

    columns: int = wcswidth(text)
    return columns if columns >= 0 else len(text)


def fitted(text: str, columns: int) -> str:
    """The text, cut to `columns` at its end with an ellipsis if it is longer."""
    if width(text) <= columns:
        return text
    shown = text[: max(0, columns - 1)]
    while shown and (width(shown) > columns - 1 or unicodedata.combining(text[len(shown)])):
        shown = shown[:-1]
    return shown.rstrip() + ELLIPSIS if columns > 0 else ""


def wrapped(text: str, columns: int) -> list[str]:
    """The text in lines of at most `columns`, broken at blanks. A longer word stays whole: it may be a path or a
    command that the user copies. 0 columns: one line."""
    if not columns or width(text) <= columns:
        return [text]
    indent = " " * (len(text) - len(text.lstrip(" ")))
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}" if line else indent + word
        if line and width(longer) > columns:
            lines.append(line)
            longer = indent + word
        line = longer
    return [*lines, line]


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], total: int) -> list[str]:
    """The lines of a table with a header, at most `total` columns wide; 0: as wide as its texts."""
    cells = [[column.title for column in columns], *rows]
    shown = list(range(len(columns)))
    natural = [max(width(row[at]) for row in cells) for at in shown]
    if total:
        for at in sorted(shown, key=lambda at: -columns[at].leave_out):
            if columns[at].leave_out and _least(columns, natural, shown) > total:
                shown.remove(at)
    widths = _shrunk(columns, natural, shown, total)
    return [GAP.join(_cells(columns, row, shown, widths)).rstrip(" ") for row in cells]


def _least(columns: Sequence[Column], natural: Sequence[int], shown: Sequence[int]) -> int:
    """The width of the table with these columns, if the flexible ones are cut."""
    least = [min(natural[at], MIN_FLEXIBLE) if columns[at].flexible else natural[at] for at in shown]
    return sum(least) + len(GAP) * (len(shown) - 1)


def _shrunk(columns: Sequence[Column], natural: Sequence[int], shown: Sequence[int], total: int) -> dict[int, int]:
    """The widths of the columns. The widest flexible ones are cut first."""
    widths = {at: natural[at] for at in shown}
    flexible = [at for at in shown if columns[at].flexible]
    surplus = sum(widths.values()) + len(GAP) * (len(shown) - 1) - total
    for _ in itertools.repeat(None, surplus if total and flexible else 0):
        widest = max(flexible, key=lambda at: widths[at])
        widths[widest] = max(1, widths[widest] - 1)
    return widths


def _cells(
    columns: Sequence[Column], row: Sequence[str], shown: Sequence[int], widths: dict[int, int]
) -> Iterator[str]:
    for at in shown:
        text = fitted(row[at], widths[at])
        space = " " * (widths[at] - width(text))
        yield space + _isolated(text) if columns[at].right else _isolated(text) + space


def _isolated(text: str) -> str:
    """Keep a right-to-left text from changing the places of its neighbours, on terminals that reorder such text."""
    if text.isascii() or not any(unicodedata.bidirectional(c) in _RIGHT_TO_LEFT for c in text):
        return text
    return f"{_LEFT_TO_RIGHT_MARK}{text}{_LEFT_TO_RIGHT_MARK}"
