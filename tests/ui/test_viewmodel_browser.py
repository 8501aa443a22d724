"""The list of jams, without a display."""

from __future__ import annotations

import dataclasses

from phaselock.ui.backend import Found, FoundSessions
from phaselock.ui.viewmodel import browser_view


def test_the_browser() -> None:
    begun = browser_view(None)
    assert (begun.rows, begun.searching) == ((), True) and begun.note.startswith("Looking")
    empty = browser_view(FoundSessions(()))
    assert empty.searching and empty.note.startswith("No sessions found yet.")
    broken = browser_view(FoundSessions((), "The network cannot be searched."))
    assert (broken.note, broken.searching) == ("The network cannot be searched.", False)
    one = Found("Friday", "Alex", 2, 5, "10.0.0.2:17401", "abc")
    view = browser_view(FoundSessions((one, dataclasses.replace(one, session_name="Crowd", peers=5, session_id="b"))))
    assert view.note == "" and [shown.full for shown in view.rows] == [False, True]
    assert (view.rows[0].title, view.rows[0].subtitle) == ("Friday", "hosted by Alex — 2/5 peers")
    assert (view.rows[0].address, view.rows[0].session_id) == ("10.0.0.2:17401", "abc")
