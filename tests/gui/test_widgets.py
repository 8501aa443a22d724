"""Chip, plot, spectrum and panels, and a window that is destroyed while its widgets move."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

from tests.support.widget_events import click, shown

pytestmark = pytest.mark.gui

tk = pytest.importorskip("tkinter", reason="Python was built without tkinter")


_images: list[weakref.ref[Any]] = []


@pytest.mark.parametrize("number", [0, 1])
def test_the_images_of_a_window_are_freed_when_its_test_ends(number: int, window: Any) -> None:
    """A later garbage collection on another thread would fail to free them."""
    assert [earlier for earlier in _images if earlier() is not None] == []
    window.image = tk.PhotoImage(master=window, width=1, height=1)
    window.image.itself = window.image
    _images.append(weakref.ref(window.image))


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
    calm = [(float(second), 4.0, 1.0) for second in range(1, 120)]
    spike = [*calm[:60], (60.5, 1500.0, 400.0), *calm[60:]]
    plot.set_series([Series("One", 0, spike)], 120, 120)
    assert plot.scale_us == 10, "one point does not choose the scale"
    window.update()
    assert min(plot.coords(plot._pool["line"][0])[1::2]) == plot.coords(plot._grid[0])[1], "it is drawn at the edge"
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
