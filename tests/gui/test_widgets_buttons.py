"""Buttons, their tooltips, and fields for texts, under real Tk events."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.widget_events import click, focused, key, shown, until

pytestmark = pytest.mark.gui

tk = pytest.importorskip("tkinter", reason="Python was built without tkinter")


# -- buttons -----------------------------------------------------------------------------------------------------------


def test_a_button_is_pressed_by_a_click_that_ends_inside(window: Any) -> None:
    from phaselock.ui.widgets.buttons import MainButton

    pressed: list[int] = []
    button = MainButton(window, "Go", lambda: pressed.append(1))
    shown(button)
    click(button)
    assert pressed == [1]
    button.event_generate("<ButtonPress-1>", x=5, y=5)
    button.event_generate("<B1-Motion>", x=-50, y=5)
    button.event_generate("<ButtonRelease-1>", x=-50, y=5)
    assert pressed == [1]
    button.set_enabled(False)
    click(button)
    button.invoke()
    assert pressed == [1]
    button.set_enabled(True)
    button.set_text("Something much longer than before")
    window.update()
    assert button.winfo_width() > 200
    button.invoke()
    assert pressed == [1, 1]


def test_tab_reaches_all_enabled_widgets(window: Any) -> None:
    from phaselock.ui.widgets.buttons import IconButton, MainButton, SecondaryButton, TextButton
    from phaselock.ui.widgets.entry import Field

    pressed: list[str] = []
    window.bind("<Key-space>", lambda _event: pressed.append("window"))
    main = MainButton(window, "Main", lambda: pressed.append("main"))
    off = SecondaryButton(window, "Off", lambda: pressed.append("off"))
    off.set_enabled(False)
    text = TextButton(window, "Text", lambda: pressed.append("text"))
    field = Field(window, "Name")
    icon = IconButton(window, "play", lambda: pressed.append("icon"))
    end = SecondaryButton(window, "End", lambda: pressed.append("end"))
    for widget in (main, off, text, field, icon, end):
        shown(widget)
    walked = []
    for _ in range(5):
        key(focused(window), "<Tab>")
        walked.append(focused(window))
        if walked[-1] is not field.entry._entry:
            assert walked[-1].keyboard, "the ring shows where the keyboard is"
            key(walked[-1], "<Key-space>")
    assert walked == [main, text, field.entry._entry, icon, end]
    assert pressed == ["main", "text", "icon", "end"], "and the window's own meaning of space is not called"
    key(end, "<Key-Return>")
    assert pressed[-1] == "end"
    key(end, "<Shift-Tab>")
    assert focused(window) is icon and not end.keyboard
    click(icon)
    assert not icon.keyboard, "a click shows no ring"


def test_transport_calls_back_for_enabled_buttons_only(window: Any) -> None:
    from phaselock.ui.widgets.buttons import IconButton
    from phaselock.ui.widgets.transport import Transport

    done: list[str] = []
    names = ("shuffle", "stop", "previous", "play", "next", "repeat")
    transport = Transport(
        window,
        {name: lambda name=name: done.append(name) for name in names},
        last=lambda row: IconButton(row, "spectrum", bool, diameter=32),
    )
    shown(transport)
    transport.set(True, {"play", "stop"}, "Pause")
    for button in (transport.play, transport.stop, transport.next, transport.previous):
        click(button)
    assert done == ["play", "stop"]
    play = transport.play
    assert abs(play.winfo_x() + play.winfo_width() / 2 - transport.winfo_width() / 2) <= 1, "play is in the middle"
    transport.set_modes(shuffle=True, repeat=False)
    assert (transport.shuffle.on, transport.repeat.on) == (True, False) and transport.shuffle._tooltip == "Shuffle: on"
    click(transport.shuffle)
    click(transport.repeat)
    assert done[2:] == ["shuffle", "repeat"]
    assert transport.play.winfo_width() == 56 and transport.next.winfo_width() == 36


def test_a_disabled_button_has_a_tooltip(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from phaselock.ui import theme
    from phaselock.ui.widgets import tooltip
    from phaselock.ui.widgets.buttons import IconButton, MainButton

    monkeypatch.setattr(tooltip, "DELAY_MS", 20)
    disabled = MainButton(window, "Play", bool)
    disabled.set_enabled(False)
    said = ["Waiting for Sam."]
    tooltip.attach(disabled, lambda: said[0])
    plain = IconButton(window, "stop", bool, tooltip="Stop")
    shown(disabled)
    shown(plain)
    disabled.event_generate("<Enter>", x=5, y=5)
    until(window, lambda: tooltip.shown() == "Waiting for Sam.")
    disabled.event_generate("<Leave>", x=-5, y=5)
    assert tooltip.shown() == ""
    plain.event_generate("<Enter>", x=5, y=5)
    until(window, lambda: tooltip.shown() == "Stop")
    for number in range(theme._MAX_CACHED + 1):  # all older entries of the cache are dropped
        theme.kept(("test", number), object)
    disabled.event_generate("<Enter>", x=5, y=5)
    until(window, lambda: tooltip.shown() == "Waiting for Sam.")
    plain.event_generate("<Enter>", x=5, y=5)
    until(window, lambda: tooltip.shown() == "Stop")
    assert len([w for w in window.winfo_children() if isinstance(w, tk.Toplevel)]) == 1
    plain.destroy()
    assert tooltip.shown() == ""
    disabled.event_generate("<Enter>", x=5, y=5)
    disabled.destroy()
    window.update()


# -- entry -------------------------------------------------------------------------------------------------------------


def test_a_field_takes_text_and_shows_an_error(window: Any) -> None:
    from phaselock.ui.widgets.entry import Field

    submitted: list[str] = []
    field = Field(window, "Name", "Alex", "Your name", lambda: submitted.append(field.get()))
    shown(field)
    assert field.get() == "Alex"
    field.set("")
    assert field.get() == ""
    field.set("Sam")
    field.focus()
    window.update()
    key(field.entry._entry, "<Key>", keysym="End")
    for letter in ("space", "B"):
        key(field.entry._entry, f"<Key-{letter}>")
    assert field.get() in ("Sam B", " B")
    key(field.entry._entry, "<Key-Return>")
    assert submitted == [field.get()]
    before = field.winfo_reqheight()
    field.set_error("Somebody has that name.")
    window.update()
    assert field.winfo_reqheight() > before
    field.set_error("")
    window.update()
    assert field.winfo_reqheight() == before


def test_a_numeric_field_takes_digits_only(window: Any) -> None:
    from phaselock.ui.widgets.entry import Field

    field = Field(window, "Port", "", "17401", numeric=True)
    shown(field)
    assert field.get() == ""
    field.focus()
    window.update()
    for letter in ("1", "x", "7", "space", "minus"):
        key(field.entry._entry, f"<Key-{letter}>")
    assert field.get() == "17"
