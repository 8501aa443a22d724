"""The selection of a list of rows, without a display."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("tkinter", reason="Python was built without tkinter")


@pytest.fixture
def selection() -> Any:
    from phaselock.ui.widgets.rows.selection import Selection

    made = Selection()
    made.set_keys("abcdef")
    return made


def test_a_choice_tells_whether_the_selection_has_changed(selection: Any) -> None:
    assert selection.choose({"b", "a"}, "b")
    assert not selection.choose({"a", "b"}, "c")
    assert selection.in_order() == ("a", "b") and selection.cursor == "c"


def test_a_range_runs_from_the_anchor_in_both_directions(selection: Any) -> None:
    assert selection.up_to("c") is None
    selection.choose({"c"}, "c")
    assert selection.up_to("e") == {"c", "d", "e"}
    selection.choose({"c", "d", "e"}, "e", keep_anchor=True)
    assert selection.up_to("a") == {"a", "b", "c"}


def test_a_new_cursor_leaves_the_actions(selection: Any) -> None:
    selection.choose({"a"}, "a")
    selection.action = 1
    selection.choose({"a", "b"}, "a")
    assert selection.action == 1
    selection.choose({"b"}, "b")
    assert selection.action is None


@pytest.mark.parametrize(("keys", "cursor"), [("abdef", "d"), ("abc", "c"), ("ab", "b"), ("", None), ("fedcba", "c")])
def test_the_cursor_stays_at_its_place_when_its_row_is_removed(selection: Any, keys: str, cursor: str | None) -> None:
    selection.choose({"c"}, "c")
    assert selection.set_keys(keys) == ("c" not in keys)
    assert selection.cursor == cursor and selection.in_order() == (("c",) if "c" in keys else ())
    assert (selection.up_to(keys[0]) if keys else None) == ({*keys[: keys.index(cursor) + 1]} if cursor else None)
