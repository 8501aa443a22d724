"""The list of jams, without a display."""

from __future__ import annotations

import dataclasses
import itertools

from phaselock.ui.backend import Found, FoundSessions
from phaselock.ui.viewmodel import browser_view


def test_the_browser() -> None:
    begun = browser_view(None)
    assert (begun.rows, begun.searching) == ((), True) and begun.note.startswith("Looking")
    empty = browser_view(FoundSessions(()))
    assert empty.searching and empty.note.startswith("No jams found yet.")
    broken = browser_view(FoundSessions((), "The network cannot be searched."))
    assert (broken.note, broken.searching) == ("The network cannot be searched.", False)
    one = Found("Friday", "Alex", 2, 5, "10.0.0.2:17401", "abc")
    view = browser_view(FoundSessions((one, dataclasses.replace(one, session_name="Crowd", peers=5, session_id="b"))))
    assert view.note == "" and [shown.full for shown in view.rows] == [True, False]
    assert (view.rows[1].title, view.rows[1].subtitle) == ("Friday", "hosted by Alex — 2/5 peers")
    assert (view.rows[1].address, view.rows[1].session_id) == ("10.0.0.2:17401", "abc")


def test_a_jam_with_a_code_says_so() -> None:
    one = Found("Friday", "Alex", 2, 5, "10.0.0.2", "abc", needs_code=True)
    (row,) = browser_view(FoundSessions((one,))).rows
    assert row.asks and row.subtitle == "hosted by Alex — 2/5 peers  ·  with a code"
    (row,) = browser_view(FoundSessions((dataclasses.replace(one, code_known=True),))).rows
    assert not row.asks and row.subtitle.endswith("with a code")


def test_jams_are_sorted_by_name_in_whatever_order_they_are_found() -> None:
    found = [Found(name, "Alex", 1, 5, f"10.0.0.{at}", name) for at, name in enumerate(("kitchen", "Attic", "Zoo"))]
    for order in itertools.permutations(found):
        rows = browser_view(FoundSessions(order[:1])).rows
        for count in (2, 3):
            rows = browser_view(FoundSessions(order[:count]), rows).rows
        assert [row.title for row in rows] == ["Attic", "kitchen", "Zoo"]
