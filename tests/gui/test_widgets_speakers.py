"""The list of peers with their volume, under real Tk events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.gui

pytest.importorskip("tkinter", reason="Python was built without tkinter")

SLIDER_Y, NAME_Y = 90, 20


class Peers:
    """A list of two peers that records its callbacks. The second one has not told its volume."""

    def __init__(self, window: Any) -> None:
        from phaselock.ui.widgets.rows.speakers import SpeakerList

        self.calls: list[tuple[Any, ...]] = []
        self.list = SpeakerList(
            window,
            on_volume=lambda *args: self.calls.append(("volume", *args)),
            on_action=lambda *args: self.calls.append(("action", *args)),
        )
        self.list.configure(width=240, height=300)
        self.list.pack()
        self.list.update()
        self.show(50)

    def show(self, percent: int) -> None:
        from phaselock.ui.widgets.rows.speakers import SpeakerRow

        drop = ("drop", "close", "Send away")
        ana = SpeakerRow("a", "Ana", "", actions=(("mute", "volume", "Mute"), drop), volume_percent=percent)
        self.list.set_rows([ana, SpeakerRow("b", "Ben", "", actions=(drop,))])
        self.list.update()

    def at(self, x: int, y: int, *kinds: str) -> None:
        for kind in kinds:
            self.list.event_generate(kind, x=x, y=y)
            self.list.update()

    def click(self, x: int, y: int) -> None:
        self.at(x, y, "<Motion>", "<ButtonPress-1>", "<ButtonRelease-1>")

    def x_of(self, percent: int) -> int:
        left, right = self.list._painter._ends(self.list._view.right)
        return round(left + (right - left) * percent / 100)

    def shown(self) -> float:
        """The length of the slider's bright part, as a percentage."""
        slot = next(slot for slot in self.list._painter.slots if slot.index == 0)
        left, _, x, _ = self.list.coords(slot._items["level"])
        first, last = self.list._painter._ends(self.list._view.right)
        assert left == first
        return 100 * (x - first) / (last - first)


@pytest.fixture
def peers(window: Any) -> Callable[[], Peers]:
    return lambda: Peers(window)


def test_a_click_on_the_line_sets_the_volume(peers: Any) -> None:
    made = peers()
    made.click(made.x_of(25), SLIDER_Y)
    assert made.calls == [("volume", "a", 25)] and abs(made.shown() - 25) < 2


def test_a_drag_ends_with_the_volume_of_its_last_place(peers: Any) -> None:
    made = peers()
    made.at(made.x_of(50), SLIDER_Y, "<Motion>", "<ButtonPress-1>")
    for percent in (60, 70, 80):
        made.at(made.x_of(percent), SLIDER_Y, "<B1-Motion>")
    made.at(2000, 5, "<B1-Motion>", "<ButtonRelease-1>")
    assert made.calls[-1] == ("volume", "a", 100) and len(made.calls) <= 6
    made.show(50)  # a report from before: the slider stays until the peer has had time to answer
    assert made.shown() == 100
    made.list._let_go()
    assert made.shown() == 50


def test_the_sign_mutes_and_the_cross_is_where_the_name_is(peers: Any) -> None:
    made = peers()
    made.click(68, SLIDER_Y)
    made.click(made.list._view.right - 20, NAME_Y)
    made.click(made.list._view.right - 20, 110 + NAME_Y)
    assert made.calls == [("action", "a", "mute"), ("action", "a", "drop"), ("action", "b", "drop")]


def test_a_peer_that_has_not_told_its_volume_has_no_slider(peers: Any) -> None:
    made = peers()
    made.click(made.x_of(25), 110 + SLIDER_Y)
    made.click(68, 110 + SLIDER_Y)
    assert made.calls == []


def test_plus_and_minus_move_the_slider_of_the_row_with_the_keyboard(peers: Any) -> None:
    made = peers()
    made.list.focus_force()
    made.list.event_generate("<Key-Down>")
    made.list.event_generate("<Key-Home>")
    for key in ("<Key-plus>", "<Key-plus>", "<Key-minus>"):
        made.list.event_generate(key)
    made.list._tell()
    assert made.calls[-1] == ("volume", "a", 55)
    made.list.event_generate("<Key-End>")
    made.list.event_generate("<Key-plus>")
    made.list._tell()
    assert made.calls[-1] == ("volume", "a", 55)
