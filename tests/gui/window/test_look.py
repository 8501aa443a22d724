"""Size of the text, contrast and motion, as the user or the system wants them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from phaselock.ui import theme
from phaselock.ui.backend import AppearanceRead
from tests.support.session_views import playing
from tests.support.window_driver import button, click, deliver, go, press, reads, screen, show, toasts, until

pytestmark = [pytest.mark.gui, pytest.mark.slow]


@pytest.fixture(autouse=True)
def usual_look() -> Iterator[None]:
    yield
    theme.set_high_contrast(False)
    theme.set_still(False)


def test_control_plus_and_minus_change_the_size_and_keep_what_was_typed(window: Any) -> None:
    go(window, "create")
    window.screen.session_name.set("Kitchen")
    window.screen.session_name.focus()
    window.update()
    press(window, "<Control-Key-plus>")
    assert theme.scale() == 1.1 and screen(window) == "CreateScreen"
    assert window.screen.session_name.get() == "Kitchen"
    for _ in range(20):
        press(window, "<Control-Key-minus>")
    assert theme.scale() == 0.8 and window.program.kept["ui"]["text_percent"] == 80
    press(window, "<Control-Key-0>")
    assert theme.scale() == 1.0


def test_the_size_is_kept_and_has_room_on_the_screen(make: Callable[..., Any]) -> None:
    window = make(ui={"text_percent": 125})
    assert theme.scale() == 1.25
    for _ in range(20):
        press(window, "<Control-Key-plus>")
    assert 900 * theme.scale() <= window.winfo_screenwidth() and 600 * theme.scale() <= window.winfo_screenheight()
    window.toasts.clear()
    window = make(ui={"text_percent": "large"})
    assert theme.scale() == 1.0


def middle(window: Any, widget: Any) -> tuple[int, int]:
    """The middle of a widget, from the corner of the window."""
    x = widget.winfo_rootx() + widget.winfo_width() // 2 - window.winfo_rootx()
    return x, widget.winfo_rooty() + widget.winfo_height() // 2 - window.winfo_rooty()


def test_the_buttons_of_the_size_keep_their_place_and_the_keyboard(window: Any) -> None:
    go(window, "display")
    place = middle(window, button(window.overlay, "+"))
    for percent in (110, 125, 150):
        click(button(window.overlay, "+"))
        window.update()
        assert reads(window.overlay, f"{percent} %")
        x, y = middle(window, button(window.overlay, "+"))
        assert abs(x - place[0]) <= 2 and abs(y - place[1]) <= 2
    less = middle(window, button(window.overlay, "−"))
    click(button(window.overlay, "−"))
    window.update()
    x, y = middle(window, button(window.overlay, "−"))
    assert abs(x - less[0]) <= 2 and abs(y - less[1]) <= 2
    while window.focus_get() is not button(window.overlay, "−"):
        press(window, "<Tab>")
    for percent in (110, 100, 90):
        press(window, "<Key-Return>")
        assert reads(window.overlay, f"{percent} %")


@pytest.mark.parametrize("percent", [150, 200])
def test_the_panel_keeps_its_distance_from_the_edges(window: Any, percent: int) -> None:
    window.geometry("900x560+0+0")
    go(window, "display")
    while not reads(window.overlay, f"{percent} %"):
        click(button(window.overlay, "+"))
        window.update()
    panel, margin = window.overlay.panel, theme.px(16)
    left, top = panel.winfo_rootx() - window.winfo_rootx(), panel.winfo_rooty() - window.winfo_rooty()
    assert margin <= left <= window.winfo_width() - panel.winfo_width() - margin
    assert margin <= top <= window.winfo_height() - panel.winfo_height() - margin


def test_a_size_that_cannot_be_chosen_says_why(make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from phaselock.ui.widgets import tooltip

    window = make(ui={"text_percent": 80})
    go(window, "display")
    assert not button(window.overlay, "−").enabled and button(window.overlay, "+").enabled
    assert button(window.overlay, "−")._tooltip == "There is no smaller size."
    press(window, "<Control-Key-minus>")
    assert toasts(window) == ("There is no smaller size.",)
    window.toasts.clear()
    monkeypatch.setattr(type(window), "winfo_screenwidth", lambda _self: 900)
    monkeypatch.setattr(type(window), "winfo_screenheight", lambda _self: 600)
    press(window, "<Control-Key-0>")
    assert theme.scale() == 1.0
    assert not button(window.overlay, "+").enabled
    assert button(window.overlay, "+")._tooltip == "A larger text has no room on this screen."
    click(button(window.overlay, "+"))
    until(window, lambda: tooltip.shown() == "A larger text has no room on this screen.")
    press(window, "<Control-Key-plus>")
    assert theme.scale() == 1.0 and toasts(window) == ("A larger text has no room on this screen.",)


def test_the_system_decides_unless_the_user_does(window: Any) -> None:
    shown = show(window, playing())
    deliver(window, AppearanceRead(high_contrast=True, reduced_motion=True))
    assert theme.BACKGROUND == "#000000" and theme.still()
    assert window.screen is not shown and reads(window.screen, "Song 1")
    go(window, "display")
    assert [reads(window.overlay, text) for text in ("As the system", "On", "100 %")] == [True, False, True]
    for choice, high in (("on", True), ("off", False), ("system", True)):
        window.look.choose("contrast", choice)
        window.update()
        assert theme.high_contrast() == high and reads(window.overlay, "High contrast")
    deliver(window, AppearanceRead(high_contrast=False, reduced_motion=False))
    assert theme.BACKGROUND == "#121212" and not theme.still()


def test_the_overlay_is_reached_from_the_first_screen_and_by_control_comma(window: Any) -> None:
    click(button(window, "Display"))
    click(button(window, "+"))
    assert theme.scale() == 1.1 and reads(window.overlay, "110 %")
    press(window, "<Key-Escape>")
    assert window.overlay is None
    press(window, "<Control-Key-comma>")
    assert reads(window.overlay, "Less motion")


def test_without_motion_no_timer_moves_the_bars(window: Any) -> None:
    window.look.choose("motion", "on")
    shown = show(window, playing())
    assert not shown.queue.waits("bars")
    window.show_toast("Here")
    assert not window.toasts._toasts[0].waits("slide")


@pytest.mark.skipif(not shutil.which("xprop"), reason="needs xprop")
def test_the_window_manager_is_asked_for_a_dark_title_bar(window: Any) -> None:
    told = subprocess.run(["xprop", "-root", "-len", "200", "_NET_CLIENT_LIST"], capture_output=True, text=True)
    assert told.returncode == 0
    tree = subprocess.run(["xwininfo", "-root", "-tree"], capture_output=True, text=True, check=True).stdout
    ids = [line.split()[0] for line in tree.splitlines() if '"PhaseLock"' in line]
    hints = [subprocess.run(["xprop", "-id", one, "_GTK_THEME_VARIANT"], capture_output=True, text=True) for one in ids]
    assert any('= "dark"' in hint.stdout for hint in hints)
