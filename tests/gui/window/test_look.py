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
from tests.support.window_driver import button, click, deliver, go, press, reads, screen, show

pytestmark = pytest.mark.gui


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
    window = make(ui={"text_percent": "large"})
    assert theme.scale() == 1.0


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
