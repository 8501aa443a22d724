from __future__ import annotations

import sys
from typing import Any

import pytest

pytestmark = pytest.mark.gui

tk = pytest.importorskip("tkinter", reason="Python was built without tkinter")

HEBREW, ARABIC = "שלום", "مرحبا"
JOINED = "ﺎﺒﺣﺮﻣ"
"""ARABIC, joined, from left to right."""


@pytest.fixture
def x11(window: Any) -> Any:
    from phaselock.ui import direction

    if sys.platform in ("win32", "darwin"):
        pytest.skip("Tk orders the letters here")
    if direction._log2vis() is None:
        pytest.skip("libfribidi is not here")
    return window


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("A song", "A song"),
        ("", ""),
        (HEBREW, HEBREW[::-1]),
        (ARABIC, JOINED),
        (f"{HEBREW}!", f"!{HEBREW[::-1]}"),
        (f"{HEBREW[:3]}…", f"…{HEBREW[2::-1]}"),
        (f"{ARABIC} has left.", f"{JOINED} has left."),
        (f"Live: {HEBREW} (Remix) 2024", f"Live: {HEBREW[::-1]} (Remix) 2024"),
        (f"{HEBREW} 12:34", f"12:34 {HEBREW[::-1]}"),
        (f"First\n{HEBREW}", f"First\n{HEBREW[::-1]}"),
    ],
)
def test_a_text_is_drawn_in_the_order_in_which_it_is_read(x11: Any, text: str, drawn: str) -> None:
    from phaselock.ui.direction import visual

    assert visual(text) == drawn


def test_a_title_has_its_own_direction(x11: Any) -> None:
    from phaselock.ui.direction import isolated, visual

    title = isolated(f"{HEBREW} (Live)")
    assert visual(title) == f"(Live) {HEBREW[::-1]}"
    assert visual(f"Up next: {title}.") == f"Up next: (Live) {HEBREW[::-1]}."
    assert isolated("Song") == "Song"


def test_lines_are_broken_before_they_are_ordered(x11: Any) -> None:
    from phaselock.ui import theme
    from phaselock.ui.direction import wrapped

    font = theme.canvas_font(theme.BODY)
    words = [HEBREW] * 3 + [HEBREW + "א"]
    width = theme.measure(" ".join(words[:2]), font) + 4
    assert wrapped(" ".join(words), font, width).split("\n")[0] == f"{HEBREW[::-1]} {HEBREW[::-1]}"
    assert wrapped(" ".join(words), font, width).split("\n")[-1].startswith(words[-1][::-1])


def test_all_texts_are_ordered(x11: Any) -> None:
    from phaselock.ui import theme
    from phaselock.ui.widgets.buttons import SecondaryButton
    from phaselock.ui.widgets.label import Label
    from phaselock.ui.widgets.rows import Row, RowList
    from phaselock.ui.widgets.toast import Toasts

    label = Label(x11, HEBREW, font=theme.font(15))
    button = SecondaryButton(x11, HEBREW, bool)
    rows = RowList(x11)
    for widget in (label, button, rows):
        widget.pack()
    x11.update()
    rows.set_rows([Row("1", f"{HEBREW} (Live)", f"{ARABIC} · added by Sam")])
    toasts = Toasts(x11)
    toasts.show(f"{HEBREW} has left.")
    x11.update()
    assert label.cget("text") == HEBREW[::-1]
    label.configure(text=ARABIC)
    assert label.cget("text") == JOINED
    drawn = [
        item.itemcget(number, "text")
        for item in (button, rows, *x11.winfo_children())
        if isinstance(item, tk.Canvas)
        for number in item.find_all()
        if item.type(number) == "text"
    ]
    assert {HEBREW[::-1], f"(Live) {HEBREW[::-1]}", f"{JOINED} · added by Sam", f"{HEBREW[::-1]} has left."} <= {*drawn}
    slot = rows._painter.slots[0]
    assert rows._painter.shortened(rows.rows[0]) == [] and slot.index == 0


def test_without_the_library_texts_stay_as_they_are(x11: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from phaselock.ui import direction

    monkeypatch.setattr(direction, "_log2vis", lambda: None)
    assert direction.visual(HEBREW) == HEBREW and direction.isolated(HEBREW) == HEBREW
