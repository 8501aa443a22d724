from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.console.columns import Column, fitted, table, width, wrapped


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("夜の", 4), ("e\u0301", 1), ("🎉", 2), ("שיר", 3), ("", 0), ("…", 1)]
)
def test_the_width_of_a_text(text: str, columns: int) -> None:
    assert width(text) == columns


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"])), st.integers(1, 30))
def test_a_fitted_text_fits(text: str, columns: int) -> None:
    shown = fitted(text, columns)
    assert width(shown) <= columns
    assert shown == text if width(text) <= columns else shown.endswith("…")


def test_lines_break_at_blanks_only() -> None:
    assert wrapped("one two three", 8) == ["one two", "three"]
    assert wrapped("  one two three", 8) == ["  one", "  two", "  three"]
    assert wrapped("see /a/very/long/path here", 8) == ["see", "/a/very/long/path", "here"]
    assert wrapped("夜の パーティー", 10) == ["夜の", "パーティー"]
    assert wrapped("one two", 0) == ["one two"]


@pytest.mark.parametrize("total", [20, 40, 80, 200])
def test_a_table_is_aligned_in_every_script(total: int) -> None:
    columns = [Column("", right=True), Column("song", flexible=True), Column("by", flexible=True, leave_out=1)]
    songs = ("夜のパーティー" * 9, "عنوان طويل جدا", "नमस्ते दुनिया", "A long name " * 9, "שיר")
    lines = table([*columns, Column("end", right=True)], [("1", song, "Ana", "9:59") for song in songs], total)
    assert {width(line) for line in lines} == {max(map(width, lines))}
    assert max(map(width, lines)) <= total
    assert all(line.endswith("9:59") for line in lines[1:])
