"""The window as the desktop sees it: its class, whether it has the keyboard, and what panels of the desktop ask for."""

from __future__ import annotations

import sys
import tkinter
from collections.abc import Callable
from typing import Any

import pytest

from phaselock.tools.install_desktop import DATA
from phaselock.ui.backend import Asked
from tests.support.session_views import host
from tests.support.window_driver import show

pytestmark = pytest.mark.gui


def test_the_desktop_entry_names_the_class_of_the_window(make: Callable[..., Any]) -> None:
    """Otherwise the desktop shows another icon for the window. Tk changes letters of the class that it is given."""
    window = make()
    entry = (DATA / "phaselock.desktop").read_text("utf-8")
    assert f"StartupWMClass={window.winfo_class()}\n" in entry


def test_the_program_knows_whether_the_window_has_the_keyboard(make: Callable[..., Any]) -> None:
    window = make()
    show(window, host())
    told = window.program.of("show_presence")
    assert told[-1][0] is True and told[-1][1] != 0
    if sys.platform.startswith("linux"):  # elsewhere the system decides what has the keyboard
        other = tkinter.Tk(className="other")
        other.focus_force()
        other.update()
        window.on_state(window.program.now)
        assert window.program.of("show_presence")[-1][0] is False
        other.destroy()


def test_a_panel_of_the_desktop_asks(make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    window = make()
    did: list[str] = []
    monkeypatch.setattr(window, "state", lambda: "iconic")  # Tk waits 2 s for a window manager that is not there
    monkeypatch.setattr(window, "deiconify", lambda: did.append("deiconify"))
    window.on_event(Asked("raise"))
    window.update()
    assert did == ["deiconify"] and not window.program.closed
    monkeypatch.undo()
    window.on_event(Asked("quit"))
    assert window.program.closed
