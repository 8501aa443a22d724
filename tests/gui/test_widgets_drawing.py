"""The parts of all widgets: scale, fonts, colours, shapes, icons, figures, timers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.widget_events import shown, until

pytestmark = pytest.mark.gui

tk = pytest.importorskip("tkinter", reason="Python was built without tkinter")


# -- theme -------------------------------------------------------------------------------------------------------------


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


def test_the_default_font_of_x11_is_one_that_is_open_anyway(window: Any) -> None:
    from phaselock.ui import theme

    def actual(font: Any) -> str:
        return str(window.tk.call("font", "actual", font))

    if window.tk.call("tk", "windowingsystem") == "x11":
        assert actual("TkDefaultFont") == actual(theme.canvas_font(theme.BODY))


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


# -- drawing -----------------------------------------------------------------------------------------------------------


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
    for name, make in SHAPES.items():
        assert all(0 <= x <= FIELD and 0 <= y <= FIELD for points in make() for x, y in points), name
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


# -- timers ------------------------------------------------------------------------------------------------------------


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
