"""Every control of every screen, by the keyboard."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from phaselock.ui.backend import Outputs
from tests.support.session_views import QUEUE, WISH, guest, host, line, peer, playing
from tests.support.window_driver import click, commands, controls, deliver, go, press, show, until, walk

pytestmark = [pytest.mark.gui, pytest.mark.slow]


SCREENS: dict[str, tuple[Any, str]] = {
    "home": (None, "home"),
    "create": (None, "create"),
    "browse": (None, "browse"),
    "host": (playing(peer(), requests=(WISH,)), ""),
    "empty host": (host(queue=()), ""),
    "peer": (guest(now=QUEUE[0], timeline=line()), ""),
    "sound at home": (None, "sound"),
    "sound": (host(), "sound"),
    "sync": (playing(peer()), "sync"),
    "shortcuts": (host(), "shortcuts"),
}


def visit(window: Any, name: str) -> Any:
    """Show a screen or overlay; returns it."""
    state, where = SCREENS[name]
    if state is not None:
        show(window, state)
    if where:
        go(window, where)
    if name == "create":
        click(window.screen.fold)
    window.focus_set()
    window.update()
    overlay = window.overlay
    return overlay if overlay is not None and not overlay.beside else window.screen


@pytest.mark.parametrize("name", SCREENS)
def test_tab_reaches_everything_and_shows_where_it_is(window: Any, name: str) -> None:
    wanted = controls(visit(window, name))
    reached = walk(window)
    assert len(wanted) > 0
    assert {str(one) for one in reached} == {str(one) for one in wanted}
    for one in reached:
        assert one.winfo_viewable() and one.winfo_rootx() >= 0


@pytest.mark.parametrize("name", [name for name in SCREENS if name not in ("create", "browse")])
def test_return_and_space_press_every_button(window: Any, name: str) -> None:
    buttons = [one for one in controls(visit(window, name)) if hasattr(one, "invoke")]
    pressed: list[Any] = []
    for one in buttons:
        one._command = lambda one=one: pressed.append(one)
        one.focus_set()
        window.update()
        press(window, "<Key-space>")
        press(window, "<Key-Return>")
    assert buttons and pressed == [one for one in buttons for _ in range(2)]
    assert commands(window) == []


@pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="menus there are the system's, which tests cannot reach"
)
def test_an_output_is_chosen_by_keys(window: Any) -> None:
    show(window, host())
    go(window, "sound")
    deliver(window, Outputs(("Card", "Headphones")))
    output = window.overlay.output
    while window.focus_get() is not output:
        press(window, "<Tab>")
    press(window, "<Key-Down>")
    menu = window._menu
    until(window, menu.winfo_viewable)
    for sequence in ("<Key-Down>", "<Key-Down>", "<Key-Down>", "<Key-Return>"):
        menu.event_generate(sequence)
        window.update()
    assert window.program.of("choose_output") == ["Headphones"] and output.get() == "Headphones"
