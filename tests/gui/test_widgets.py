"""The widgets under real Tk events."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from phaselock.ui.backend import ArtworkRead

pytestmark = pytest.mark.gui

tk = pytest.importorskip("tkinter", reason="Python was built without tkinter")


def until(window: Any, true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Process the window's events until `true()`; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came to be"
        window.update()
        time.sleep(0.005)


def click(widget: Any, x: int | None = None, y: int | None = None, *, state: int = 0) -> None:
    """Press and release the button at a place in a widget; by default its middle."""
    x = widget.winfo_width() // 2 if x is None else x
    y = widget.winfo_height() // 2 if y is None else y
    widget.event_generate("<Enter>", x=x, y=y)
    widget.event_generate("<ButtonPress-1>", x=x, y=y, state=state)
    widget.event_generate("<ButtonRelease-1>", x=x, y=y, state=state)
    widget.update()


def key(widget: Any, sequence: str, **options: Any) -> None:
    """Send a key to a widget."""
    widget.event_generate(sequence, **options)
    widget.update()


def focused(window: Any) -> Any:
    return window.focus_get()


def shown(widget: Any) -> None:
    widget.pack(padx=10, pady=10)
    widget.update()


# Theme


@pytest.mark.parametrize("scale", [1.0, 1.25, 2.0])
def test_everything_scales_together_and_once(make_window: Any, scale: float) -> None:
    from phaselock.ui import theme
    from phaselock.ui.widgets.buttons import IconButton, MainButton
    from phaselock.ui.widgets.entry import Field
    from phaselock.ui.widgets.rows import Row, RowList

    window = make_window(scale)
    assert theme.scale() == scale and theme.px(56) == round(56 * scale)
    assert theme.font(15) == (theme.family(), theme.px(15), "normal")
    assert theme.canvas_font(15, True) == (theme.family(), -theme.px(15), "bold")
    label = theme.ctk.CTkLabel(window, text="Mm", font=theme.font(theme.TITLE))
    plain = tk.Label(window, text="Mm", font=theme.canvas_font(theme.TITLE), padx=0)
    main, icon, field = MainButton(window, "Create jam", bool), IconButton(window, "play", bool), Field(window, "Name")
    rows = RowList(window)
    rows.set_rows([Row("a", "Title", "Subtitle", "T")])
    for widget in (label, plain, main, icon, field, rows):
        shown(widget)
    assert label._label.winfo_reqwidth() - plain.winfo_reqwidth() in range(-2, 3)
    assert main.winfo_height() == theme.px(48)
    assert icon.winfo_width() == theme.px(36)
    assert field.entry.winfo_height() == theme.px(40)
    assert rows.winfo_height() == theme.px(168)
    for drawn in (main, icon, rows):
        left, top, right, bottom = drawn.bbox("all")
        assert left >= 0 and top >= 0 and right <= drawn.winfo_width() + 1 and bottom <= drawn.winfo_height() + 1


def test_nothing_is_polled(window: Any) -> None:
    window.update()
    assert [w for w in window.tk.splitlist(window.tk.call("after", "info")) if w] == []


def test_long_text_ends_in_an_ellipsis(window: Any) -> None:
    from phaselock.ui import theme

    font = theme.canvas_font(theme.BODY)
    assert theme.ellipsis("short", font, 500) == "short"
    cut = theme.ellipsis("A title that is much too long for this", font, 120)
    assert cut.endswith("…") and theme.measure(cut, font) <= 120
    assert theme.measure(theme.ellipsis("W" * 100_000, font, 120), font) <= 120
    assert theme.ellipsis("anything", font, 1) == ""


def test_the_colour_behind_is_found_through_transparent_frames(window: Any) -> None:
    from phaselock.ui import theme
    from phaselock.ui.widgets.panel import Panel

    panel = Panel(window, "Title")
    inner = theme.ctk.CTkFrame(theme.ctk.CTkFrame(panel.body, fg_color="transparent"), fg_color="transparent")
    assert theme.behind(inner) == theme.SURFACE
    assert theme.behind(theme.ctk.CTkFrame(window, fg_color="transparent")) == theme.BACKGROUND


# Drawing


def test_a_polygon_covers_its_area(display: str) -> None:
    from phaselock.ui.widgets import raster

    def area(*shapes: raster.Points) -> float:
        return sum(value for row in raster.coverage(shapes, 24, 24) for value in row[:24])

    assert area(raster.rounded(2.25, 3.5, 10, 9, 0)) == pytest.approx(7.75 * 5.5)
    assert area(raster.polygon((0, 0), (24, 0), (0, 24))) == pytest.approx(288)
    assert area(raster.polygon((0, 0), (0, 24), (24, 0))) == pytest.approx(288)
    assert area(raster.disc(12, 12, 10)) == pytest.approx(3.14159 * 100, rel=0.01)
    assert area(raster.disc(12, 12, 10), raster.hole(raster.disc(12, 12, 5))) == pytest.approx(3.14159 * 75, rel=0.01)
    assert area(*raster.stroke([(4, 12), (20, 12)], 2)) == pytest.approx(32 + 3.14159, rel=0.02)


def test_every_icon_stays_in_its_field(window: Any) -> None:
    from phaselock.ui.widgets.icons import FIELD, SHAPES, icon

    names = (
        "play pause stop next previous add close tick cross copy volume muted settings back more chart drag music"
    ).split()
    assert set(names) <= set(SHAPES)
    for name, shapes in SHAPES.items():
        assert all(0 <= x <= FIELD and 0 <= y <= FIELD for points in shapes for x, y in points), name
        assert icon(name, 20, "#FFFFFF", "#000000").width() == 20


def test_a_plate_has_its_size_and_colours(window: Any) -> None:
    from phaselock.ui.widgets.raster import plate

    image = plate(300, 48, 24, "#1DB954", "#121212", outline="#FFFFFF", line=2, gap=2)
    assert (image.width(), image.height()) == (300, 48)
    assert image.get(0, 0) == (0x12, 0x12, 0x12) and image.get(150, 24) == (0x1D, 0xB9, 0x54)
    assert image.get(150, 0) == (255, 255, 255) and image.get(150, 3) == (0x12, 0x12, 0x12)


def test_the_icon_of_the_program(window: Any) -> None:
    from phaselock.ui.widgets.logo import Logo, icon_images

    images = icon_images(window)
    assert [image.width() for image in images] == [128, 48, 32, 16]
    assert images[0].transparency_get(0, 0) and not images[0].transparency_get(64, 10)
    window.iconphoto(True, *images)
    shown(Logo(window, 96))


# Buttons


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


def test_a_disabled_button_has_a_tooltip(window: Any) -> None:
    from phaselock.ui import theme
    from phaselock.ui.widgets import tooltip
    from phaselock.ui.widgets.buttons import IconButton, MainButton

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
    for i in range(2000):
        theme.ellipsis(f"Entries that are dropped from the cache {i}", theme.canvas_font(theme.BODY), 50)
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


# Entry


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


# Timers


def test_a_widget_can_destroy_itself_in_its_own_timer(window: Any) -> None:
    from phaselock.ui.widgets.base import Drawing

    done: list[str] = []
    for i in range(200):
        first, second = Drawing(window, 10, 10), Drawing(window, 10, 10)
        second.later("b", 3, lambda i=i, second=second: (done.append(f"second {i}"), second.destroy()))
        first.later("a", 1, first.destroy)
        first.later("never", 2, lambda: done.append("never"))
    window.after(1, lambda: done.append("other"))
    until(window, lambda: len(done) == 201)
    assert "never" not in done


# Toasts


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


# Seek bar


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


def test_digits_have_one_width(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from phaselock.ui import theme
    from phaselock.ui.widgets.base import Drawing, NumericLabel

    canvas = Drawing(window, 200, 40)
    shown(canvas)
    monkeypatch.setattr(theme, "measure", lambda text, _font: sum(4 if c == "1" else 7 for c in text))
    figures = NumericLabel(canvas, theme.canvas_font(13), "#FFFFFF", "se")
    figures.move(100, 30)
    places = []
    for text in ("0:00", "1:11", "8:51"):
        figures.set(text)
        places.append([canvas.coords(item) for item in canvas.find_all()])
    assert places[0] == places[1] == places[2] and len(places[0]) == 4
    figures.set("")
    assert all(canvas.itemcget(item, "text") == "" for item in canvas.find_all())


# Volume


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


# The rest


def test_chip_is_as_wide_as_its_text(window: Any) -> None:
    from phaselock.ui.widgets.chip import Chip

    chip = Chip(window)
    shown(chip)
    chip.set("±0.02 ms", "good")
    window.update()
    wide = chip.winfo_width()
    assert wide > 40 and chip.winfo_height() == 22
    chip.set("±0.03 ms", "error")
    window.update()
    assert chip.winfo_width() == wide
    chip.set("")
    window.update()
    assert chip.winfo_width() == 1


def test_the_plot_adapts_its_scale_and_reuses_its_items(window: Any) -> None:
    from phaselock.ui.widgets.plot import Series, SyncPlot

    plot = SyncPlot(window, height=200, detailed=True)
    plot.pack(fill="both", expand=True)
    window.update()

    def series(most: float, gap: bool = False) -> list[Series]:
        return [
            Series(
                f"Machine {i}", i, [(t + (30.0 if gap and t > 60 else 0), most, 1.0 if i else None) for t in range(90)]
            )
            for i in range(6)
        ]

    plot.set_series(series(7), 120, 120)
    assert plot.scale_us == 10
    plot.set_series(series(150, gap=True), 120, 120)
    assert plot.scale_us == 200
    count = len(plot.find_all())
    for now in range(120, 140):
        plot.set_series(series(150, gap=True), 120, now)
    assert len(plot.find_all()) == count
    plot.set_series(series(90_000), 120, 120)
    assert plot.scale_us == 2000
    window.update()
    top = min(plot.coords(item)[1] for item in plot._pool["line"])
    assert top >= 0, "a point beyond the scale is drawn at the edge"
    plot.set_series([], 120, 120)
    plot.set_series([Series("One", 0, [(119.0, 3.0, None)])], 120, 120)
    window.update()
    assert plot.scale_us == 10


def test_the_spectrum_falls_slowly_and_hides(window: Any) -> None:
    from phaselock.ui.widgets.spectrum import Spectrum

    spectrum = Spectrum(window)
    spectrum.pack(fill="x")
    window.update()
    assert spectrum.bbox("all") is None
    spectrum.show(bytes([255] * 24))
    spectrum.show(bytes(24))
    assert all(200 < level < 255 for level in spectrum._levels)
    spectrum.show(bytes(3))
    spectrum.show(bytes(100))
    spectrum.show(None)
    assert spectrum.bbox("all") is None


def cover(size: int, crop: bool = False) -> ArtworkRead:
    return ArtworkRead(UUID(int=7), size, crop, b"P6 %d %d 255\n" % (size, size // 2) + bytes(size * (size // 2) * 3))


def test_artwork_shows_the_cover_when_it_is_read(window: Any) -> None:
    from phaselock.ui.widgets.artwork import Artwork
    from phaselock.ui.widgets.covers import Covers

    asked: list[Any] = []
    covers = Covers(lambda *key: asked.append(key))
    artwork = Artwork(window, covers, 200)
    artwork.pack()

    def state(item: int) -> str:
        return str(artwork.itemcget(item, "state"))

    artwork.show(UUID(int=7))
    until(window, lambda: asked)
    assert asked == [(UUID(int=7), 200, False)] and state(artwork._tile) == "normal"
    covers.take(cover(200))
    artwork.paint()
    window.update()
    assert state(artwork._picture) == "normal" and state(artwork._tile) == "hidden"  # no frame of another colour
    artwork.set_size(300)  # the smaller one stays until the other is read
    assert state(artwork._picture) == "normal"
    until(window, lambda: len(asked) == 2)
    covers.take(cover(300))
    artwork.paint()
    assert artwork.winfo_reqwidth() == 300 and artwork._images["picture"].width() == 300
    artwork.show(UUID(int=8))
    assert state(artwork._picture) == "hidden" and state(artwork._tile) == "normal"
    covers.take(ArtworkRead(UUID(int=8), 300, False, None))
    artwork.paint()
    window.update()
    assert not artwork.waits("read")  # it has none
    artwork.show(None)


def test_covers_have_a_limit_of_memory(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from phaselock.ui.widgets import covers

    monkeypatch.setattr(covers, "MAX_BYTES", 40_000)
    asked: list[Any] = []
    kept = covers.Covers(lambda *key: asked.append(key))
    keys = [(UUID(int=number), 40, True) for number in range(20)]
    for key in keys:
        kept.take(dataclasses.replace(cover(40, True), file_id=key[0]))
    known = [key for key in keys if kept.is_known(key)]
    assert known == keys[-len(known) :] and 0 < len(known) * 40 * 20 * 4 <= 40_000
    kept.request(keys)
    assert asked == keys[: -len(known)]
    kept.clear()
    assert kept.image(keys[-1]) is None


def test_panels_have_a_header_and_a_body(window: Any) -> None:
    from phaselock.ui.widgets.buttons import TextButton
    from phaselock.ui.widgets.panel import Panel

    plain, titled = Panel(window), Panel(window, "Queue")
    for panel in (plain, titled):
        panel.pack(fill="both", expand=True)
        tk.Label(panel.body, text="inside").pack()
    TextButton(titled.header, "Add", bool).pack(side="right")
    titled.set_title("Queue (3)")
    window.update()
    assert titled.body.winfo_y() > titled.header.winfo_y()


def test_the_window_is_destroyed_cleanly_while_everything_moves(make_window: Any) -> None:
    """`make_window` checks that nothing is written on standard error."""
    from phaselock.ui.widgets import tooltip
    from phaselock.ui.widgets.buttons import IconButton
    from phaselock.ui.widgets.rows import Row, RowList
    from phaselock.ui.widgets.seekbar import SeekBar
    from phaselock.ui.widgets.toast import Toasts

    window = make_window(1.0)
    rows = RowList(window)
    rows.set_rows([Row("a", "Plays", playing=True)])
    button, bar, toasts = (
        IconButton(window, "play", bool, tooltip="Play"),
        SeekBar(window, on_seek=print),
        Toasts(window),
    )
    for widget in (rows, button, bar):
        shown(widget)
    assert rows.waits("bars")
    bar.set_position(10, 100)
    click(bar, 100, 10)
    toasts.show("Moving", action=("Undo", bool))
    button.event_generate("<Enter>", x=3, y=3)
    window.update()
    script = window.bind_all("<Button-1>")
    for _ in range(20):
        IconButton(window, "stop", bool, tooltip="Stop").destroy()
        RowList(window).destroy()
        toasts.show("Again")
    assert window.bind_all("<Button-1>") == script, "nothing is bound for the whole program"
    assert tooltip.shown() == ""
    window.destroy()
    window.ended = True
