"""The seek bar and the volume under real Tk events."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.support.widget_events import click, focused, key, shown

pytestmark = pytest.mark.gui

pytest.importorskip("tkinter", reason="Python was built without tkinter")


# -- seek bar ----------------------------------------------------------------------------------------------------------


def test_a_drag_seeks_once_when_it_ends(window: Any) -> None:
    from phaselock.ui.widgets.seekbar import SeekBar

    sought: list[float] = []
    bar = SeekBar(window, on_seek=sought.append)
    bar.pack(fill="x")
    window.update()
    bar.set_position(10, 200)
    assert bar.times == ("0:10", "−3:10")
    middle, y = bar.winfo_width() // 2, bar.winfo_height() // 4
    bar.event_generate("<ButtonPress-1>", x=50, y=y)
    for x in range(50, middle + 1, 10):
        bar.event_generate("<B1-Motion>", x=x, y=y)
        bar.set_position(11, 200)
    bar.event_generate("<B1-Motion>", x=middle, y=y)
    assert bar.times == ("1:40", "−1:40") and sought == []
    bar.event_generate("<ButtonRelease-1>", x=middle, y=y)
    assert sought == [pytest.approx(100, abs=0.5)]
    bar.set_position(11, 200)
    assert bar.times[0] == "1:40", "the old place is not shown again while the new one is on its way"
    bar.set_position(100.4, 200)
    bar.set_position(101.4, 200)
    assert bar.times[0] == "1:41"
    bar.event_generate("<ButtonPress-1>", x=5000, y=y)
    bar.event_generate("<ButtonRelease-1>", x=5000, y=y)
    assert sought[1:] == [200.0]


def test_escape_gives_the_drag_up_and_the_wheel_does_nothing(window: Any) -> None:
    from phaselock.ui.widgets.seekbar import SeekBar

    sought: list[float] = []
    bar = SeekBar(window, on_seek=sought.append)
    bar.set_peaks(bytes(range(256)) * 2 + bytes(88))
    bar.pack(fill="x")
    window.update()
    bar.set_position(10, 200)
    bar.event_generate("<ButtonPress-1>", x=300, y=10)
    bar.event_generate("<B1-Motion>", x=320, y=10)
    window.update()
    key(bar, "<Key-Escape>")
    assert bar.times[0] == "0:10"
    bar.event_generate("<B1-Motion>", x=350, y=10)
    bar.event_generate("<ButtonRelease-1>", x=350, y=10)
    bar.event_generate("<MouseWheel>", delta=120)
    for button in (4, 5):
        if sys.platform not in ("win32", "darwin"):
            bar.event_generate(f"<Button-{button}>")
    assert sought == [] and bar.times[0] == "0:10"


def test_keys_seek_five_seconds(window: Any) -> None:
    from phaselock.ui.widgets.seekbar import SeekBar

    sought: list[float] = []
    bar = SeekBar(window, on_seek=sought.append)
    bar.pack(fill="x")
    window.update()
    bar.set_position(3, 200)
    key(window, "<Tab>")
    assert focused(window) is bar
    key(bar, "<Key-Right>")
    key(bar, "<Key-Right>")
    assert sought == [8, 13]
    key(bar, "<Control-Key-Left>")
    assert sought == [8, 13], "with Control the key is the window's"
    bar.set_enabled(False)
    key(bar, "<Key-Left>")
    click(bar, 100, 10)
    assert sought == [8, 13]
    still = SeekBar(window, on_seek=None)
    still.pack(fill="x")
    still.set_position(1, 100)
    click(still, 50, 10)
    bar.set_position(0, 0)
    assert bar.times == ("", "")


def test_only_changed_bars_of_the_waveform_are_drawn(window: Any) -> None:
    from phaselock.ui import theme
    from phaselock.ui.widgets.seekbar import SeekBar

    bar = SeekBar(window, on_seek=None)
    bar.set_peaks(bytes([200]) * 600)
    bar.pack(fill="x")
    window.update()
    bar.set_position(50, 100)
    green = [item for item in bar.find_all() if bar.type(item) == "rectangle" and _fill(bar, item) == theme.PRIMARY]
    assert len(green) == pytest.approx(len(bar._bars) / 2, abs=1)
    calls: list[str] = []
    real = bar.itemconfigure
    bar.itemconfigure = lambda *args, **options: (calls.append("x"), real(*args, **options))[1]
    bar.set_position(50.01, 100)
    assert calls == []
    bar.set_position(20, 100)
    bar.set_peaks(None)
    window.geometry("500x400")
    window.update()
    assert bar._bars == []


def _fill(canvas: Any, item: int) -> str:
    return str(canvas.itemcget(item, "fill"))


# -- volume ------------------------------------------------------------------------------------------------------------


def test_volume_moves_by_click_wheel_and_keys(window: Any) -> None:
    from phaselock.ui.widgets.slider import VolumeSlider

    told: list[tuple[float, bool]] = []
    slider = VolumeSlider(window, lambda *state: told.append(state))
    shown(slider)
    slider.set(0.5)
    assert told == [] and slider.value == 0.5
    if sys.platform not in ("win32", "darwin"):
        slider.track.event_generate("<Button-4>")
        slider.track.event_generate("<Button-5>")
        slider.track.event_generate("<Button-5>")
    else:
        for delta in (120, -120, -120):
            slider.track.event_generate("<MouseWheel>", delta=delta)
    assert [volume for volume, _ in told] == [0.55, 0.5, 0.45]
    slider.track.focus_set()
    window.update()
    key(slider.track, "<Key-Up>")
    assert told[-1] == (0.5, False)
    click(slider.track, 10_000)
    assert told[-1] == (1.0, False)
    slider.set(3.0)
    assert slider.value == 1.0


def test_muting_keeps_the_volume_and_icon_and_slider_agree(window: Any) -> None:
    from phaselock.ui.widgets.slider import VolumeSlider

    told: list[tuple[float, bool]] = []
    slider = VolumeSlider(window, lambda *state: told.append(state))
    shown(slider)

    def looks() -> tuple[float, str]:
        return slider.value, slider.button._icon

    assert looks() == (0.0, "muted")
    slider.set(0.5, muted=True)
    assert looks() == (0.0, "muted")
    click(slider.button)
    assert told == [(0.5, False)] and looks() == (0.5, "volume")
    slider.toggle_mute()
    assert told[-1] == (0.5, True) and looks() == (0.0, "muted")
    slider.step(-1)
    assert looks() == (0.0, "muted")
    slider.step(1)
    assert told[-1] == (0.5, False) and looks() == (0.5, "volume")
    click(slider.track, 0)
    assert told[-1] == (0.5, True) and looks() == (0.0, "muted")
    slider.set(0.0)
    slider.toggle_mute()
    assert told[-1] == (0.25, False)
