"""Shortcuts and the editing of texts with the keyboard layouts of real users: keys pressed by xdotool on a display of
its own, because the layout belongs to the display."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from phaselock.session import commands as c
from tests.support.session_views import playing
from tests.support.window_driver import commands, go, show, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.gui,
    pytest.mark.skipif(not (shutil.which("setxkbmap") and shutil.which("xdotool")), reason="needs the tools of X"),
]


@pytest.fixture
def type_on(make: Callable[..., Any], display: str) -> Iterator[Callable[..., None]]:
    """Press keys with a layout, in a window; `done` says that they have had their effect."""

    def press(window: Any, layout: str, *keys: str, done: Callable[[], object]) -> None:
        subprocess.run(["setxkbmap", "-layout", layout], check=True)
        window.update()
        subprocess.run(["xdotool", "key", *keys], check=True)
        until(window, done)

    yield press
    subprocess.run(["setxkbmap", "-layout", "us"], check=True)


@pytest.mark.parametrize(
    ("layout", "mute", "repeat"),
    [
        ("us", "m", "ctrl+r"),
        ("ru", "Cyrillic_softsign", "ctrl+Cyrillic_ka"),
        ("gr", "Greek_mu", "ctrl+Greek_rho"),
        ("il", "hebrew_zadi", "ctrl+hebrew_resh"),
        ("fr", "m", "ctrl+r"),
        ("de", "m", "ctrl+r"),
        ("us(dvorak)", "m", "ctrl+r"),
    ],
)
def test_shortcuts_work_with_every_layout(
    make: Callable[..., Any], type_on: Callable[..., None], layout: str, mute: str, repeat: str
) -> None:
    window = make()
    show(window, playing())
    type_on(window, layout, mute, repeat, done=lambda: commands(window))
    assert commands(window) == [c.Repeat(True)] and window.program.of("set_volume") == [0.0]


def test_shortcuts_work_with_caps_lock(make: Callable[..., Any], type_on: Callable[..., None]) -> None:
    window = make()
    show(window, playing())
    type_on(window, "us", "Caps_Lock", "m", "ctrl+r", "Caps_Lock", done=lambda: commands(window))
    assert commands(window) == [c.Repeat(True)] and window.program.of("set_volume") == [0.0]


@pytest.mark.parametrize(
    ("layout", "select_all", "copy", "paste", "undo"),
    [
        ("us", "ctrl+a", "ctrl+c", "ctrl+v", "ctrl+z"),
        ("ru", "ctrl+Cyrillic_ef", "ctrl+Cyrillic_es", "ctrl+Cyrillic_em", "ctrl+Cyrillic_ya"),
        ("gr", "ctrl+Greek_alpha", "ctrl+Greek_psi", "ctrl+Greek_omega", "ctrl+Greek_zeta"),
        ("fr", "ctrl+a", "ctrl+c", "ctrl+v", "ctrl+z"),
    ],
)
def test_a_text_is_edited_with_every_layout(
    make: Callable[..., Any],
    type_on: Callable[..., None],
    layout: str,
    select_all: str,
    copy: str,
    paste: str,
    undo: str,
) -> None:
    window = make()
    go(window, "create")
    field = window.screen.session_name
    field.focus()
    window.update()
    type_on(window, layout, "End", select_all, copy, paste, paste, done=lambda: field.get() == "FridayFriday")
    type_on(window, layout, undo, done=lambda: field.get() == "Friday")
    assert window.program.of("host") == []


def test_caps_lock_and_the_clipboard(make: Callable[..., Any], type_on: Callable[..., None]) -> None:
    window = make()
    go(window, "browse")
    field = window.screen.address
    field.focus()
    window.clipboard_clear()
    window.clipboard_append("10.0.0.2")
    type_on(window, "us", "Caps_Lock", "ctrl+v", "Caps_Lock", done=lambda: field.get() == "10.0.0.2")
    type_on(window, "us", "Caps_Lock", "ctrl+a", "ctrl+x", "Caps_Lock", done=lambda: field.get() == "")
