"""Toasts under real Tk events."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.widget_events import click, focused, shown, until

pytestmark = pytest.mark.gui

pytest.importorskip("tkinter", reason="Python was built without tkinter")


def test_toasts_are_three_at_most_and_take_no_focus(window: Any) -> None:
    from phaselock.ui.widgets.entry import Field
    from phaselock.ui.widgets.toast import STRIP, Toasts

    window.geometry("1100x600")
    field = Field(window, "Name")
    shown(field)
    field.focus()
    window.update()
    toasts = Toasts(window)
    undone: list[int] = []
    for i in range(5):
        toasts.show(f"Number {i}", seconds=60, action=("Undo", lambda i=i: undone.append(i)))
    window.update()
    assert toasts.texts == ("Number 2", "Number 3", "Number 4")
    assert focused(window) is field.entry._entry
    until(window, lambda: not any(toast.waits("slide") for toast in toasts._toasts))
    places = [(toast.winfo_x(), toast.winfo_x() + toast.winfo_width()) for toast in toasts._toasts]
    assert all(toast.winfo_y() == window.winfo_height() - STRIP for toast in toasts._toasts)
    assert all(0 < left < right < window.winfo_width() for left, right in places)
    first, second, third = sorted(places)
    assert first[1] < second[0] and second[1] < third[0], "none lies on another one"
    button = toasts._toasts[1].winfo_children()[0]
    click(button)
    assert undone == [3] and toasts.texts == ("Number 2", "Number 4")
    toasts._toasts[0].event_generate("<ButtonPress-1>", x=5, y=5)
    assert focused(window) is field.entry._entry
    assert toasts.texts == ("Number 4",)
    toasts.show("Number 4", seconds=60)
    assert toasts.texts == ("Number 4",), "said again it is not shown twice"
    toasts.show("Soon over", seconds=0.05, kind="error")
    until(window, lambda: toasts.texts == ("Number 4",))
    toasts.show("A word " * 60, kind="warning")
    window.update()
    last = toasts._toasts[-1]
    assert last.itemcget(last._words, "text").endswith("…") and last._tooltip == last.text
    window.geometry("700x600")
    until(window, lambda: len(toasts.texts) == 2)


def test_a_toast_with_a_button_stays_longer_and_under_the_pointer(window: Any) -> None:
    from phaselock.ui.widgets import toast as t

    toasts = t.Toasts(window)
    toasts.show("Song removed.", action=("Undo", bool))
    toasts.show("Hello")
    window.update()
    one, other = toasts._toasts
    assert (one._left_s, other._left_s) == (10.0, 4.0)
    one.event_generate("<Enter>", x=5, y=5)
    left_s = one._left_s
    assert not one.waits("end") and other.waits("end") and 0 < left_s <= 10
    one.event_generate("<Leave>", x=5, y=5)
    assert not one.waits("end"), "the pointer went to its button"
    one.event_generate("<Leave>", x=-5, y=5)
    assert one.waits("end") and one._left_s == left_s
