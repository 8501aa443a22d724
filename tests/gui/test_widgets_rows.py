"""The list of rows under real Tk events."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.widget_events import until

pytestmark = pytest.mark.gui

pytest.importorskip("tkinter", reason="Python was built without tkinter")

HEIGHT = 56
CONTROL, SHIFT = 0x4, 0x1
ALT = {"win32": 0x20000, "darwin": 0x10}.get(sys.platform, 0x8)


class RecordingList:
    """A list of rows that records its callbacks."""

    def __init__(self, window: Any, count: int, **more: Any) -> None:
        from phaselock.ui.widgets.rows import Row, RowList

        self.row = Row
        self.calls: list[tuple[Any, ...]] = []
        self.list = RowList(
            window,
            on_open=lambda *args: self.calls.append(("open", *args)),
            on_action=lambda *args: self.calls.append(("action", *args)),
            on_move=lambda *args: self.calls.append(("move", *args)),
            on_select=lambda *args: self.calls.append(("select", *args)),
            on_delete=lambda *args: self.calls.append(("delete", *args)),
            **more,
        )
        self.list.pack(fill="both", expand=True)
        self.list.update()
        self.set(range(count))

    def make(self, i: int, **more: Any) -> Any:
        values: dict[str, Any] = {
            "subtitle": "Artist",
            "initial": "S",
            "right": "3:12",
            "actions": (("remove", "close", "Remove"), ("more", "more", "More")),
            "draggable": True,
        }
        return self.row(f"k{i}", f"Song {i}", **{**values, **more})

    def set(self, numbers: Any) -> None:
        self.list.set_rows([self.make(i) for i in numbers])
        self.list.update()

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [call[1:] for call in self.calls if call[0] == kind]

    def press(self, index: int, *, x: int = 100, state: int = 0) -> None:
        y = index * HEIGHT - self.list._view.top + HEIGHT // 2
        self.list.event_generate("<Motion>", x=x, y=y)
        self.list.event_generate("<ButtonPress-1>", x=x, y=y, state=state)

    def click(self, index: int, *, x: int = 100, state: int = 0) -> None:
        self.press(index, x=x, state=state)
        self.list.event_generate(
            "<ButtonRelease-1>", x=x, y=index * HEIGHT - self.list._view.top + HEIGHT // 2, state=state
        )
        self.list.update()

    def key(self, sequence: str, **options: Any) -> None:
        self.list.event_generate(sequence, **options)
        self.list.update()

    def titles(self) -> list[str]:
        shown = [slot for slot in self.list._painter.slots if slot.index >= 0]
        return [slot.text("title") for slot in sorted(shown, key=lambda slot: slot.y)]


@pytest.fixture
def make_list(window: Any) -> Callable[..., RecordingList]:
    return lambda count, **more: RecordingList(window, count, **more)


def test_two_thousand_rows_make_a_screenful_of_items(make_list: Any) -> None:
    made = make_list(2000)
    rows = made.list
    items = len(rows.find_all())
    assert items < 16 * (rows.winfo_height() // HEIGHT + 3)
    assert len(rows._painter.slots) <= rows.winfo_height() // HEIGHT + 2
    for key in ("<Key-End>", "<Key-Home>", "<Key-Next>", "<Key-Next>"):
        rows.focus_force()
        made.key(key)
    rows.see("k1234")
    rows.update()
    assert "Song 1234" in made.titles()
    assert len(rows.find_all()) <= items + 6 * len(rows._painter.slots)


def test_the_visible_rows_are_shown_in_order(make_list: Any) -> None:
    made = make_list(300)
    for top in (0, 13, 56, 1000, 5000, 100_000, 28, 0):
        made.list._scroll_to(top)
        first = made.list._view.top // HEIGHT
        titles = made.titles()
        assert titles == [f"Song {first + i}" for i in range(len(titles))]
        last = (made.list._view.top + made.list.winfo_height() - 1) // HEIGHT
        assert len(titles) >= last - first + 1
        assert made.list.bbox("all") is not None


def test_a_new_list_keeps_selection_and_place(make_list: Any) -> None:
    made = make_list(200)
    rows = made.list
    rows._scroll_to(50 * HEIGHT + 20)
    made.click(52)
    assert rows.selection == ("k52",)
    made.set([900, 901, *range(200)])
    assert rows.selection == ("k52",) and rows._view.top == 52 * HEIGHT + 20
    assert made.titles()[0] == "Song 50"
    made.set([i for i in range(200) if i != 52])
    assert rows.selection == () and made.of("select")[-1] == ((),)
    made.set(range(3))
    assert rows._view.top == 0 and made.titles() == ["Song 0", "Song 1", "Song 2"]
    made.set([])
    assert made.titles() == []


def test_only_changed_rows_are_drawn(make_list: Any) -> None:
    made = make_list(50)
    drawn: list[int] = []
    painter = made.list._painter
    real = painter._draw
    painter._draw = lambda slot, row, state: (drawn.append(slot.index), real(slot, row, state))[1]
    made.list.set_rows([made.make(i) for i in range(50)])
    assert drawn == []
    made.list.set_rows([made.make(i, right="4:44") if i == 3 else made.make(i) for i in range(50)])
    assert drawn == [3]
    made.list._scroll_to(HEIGHT)
    assert all(index > 5 for index in drawn[1:])


def test_selection_by_click_control_shift_and_all(make_list: Any) -> None:
    made = make_list(8)
    rows = made.list
    made.click(1)
    made.click(3, state=CONTROL)
    assert rows.selection == ("k1", "k3")
    made.click(3, state=CONTROL)
    assert rows.selection == ("k1",)
    made.click(1)
    made.click(4, state=SHIFT)
    assert rows.selection == ("k1", "k2", "k3", "k4")
    made.click(2)
    assert rows.selection == ("k2",), "a click on one of several leaves that one"
    rows.focus_force()
    made.key("<Control-Key-a>")
    assert len(rows.selection) == 8
    made.key("<Key-Delete>")
    assert made.of("delete") == [(tuple(f"k{i}" for i in range(8)),)]
    made.list.event_generate("<ButtonPress-1>", x=50, y=8 * HEIGHT + 20)
    assert rows.selection == ()


def test_keys_walk_and_open(make_list: Any) -> None:
    made = make_list(100)
    rows = made.list
    rows.focus_force()
    rows.update()
    for sequence, selected in (
        ("<Key-Down>", "k1"),
        ("<Key-Down>", "k2"),
        ("<Key-Up>", "k1"),
        ("<Key-End>", "k99"),
        ("<Key-Down>", "k99"),
        ("<Key-Home>", "k0"),
        ("<Key-Up>", "k0"),
    ):
        made.key(sequence)
        assert rows.selection == (selected,), sequence
    made.key("<Key-Next>")
    assert int(rows.selection[0][1:]) >= 5
    made.key("<Key-Home>")
    made.key("<Shift-Key-Down>")
    assert rows.selection == ("k0", "k1")
    made.key("<Key-Return>")
    assert made.of("open") == [("k1",)]
    made.key("<Control-Key-Down>")
    assert rows.selection == ("k0", "k1"), "with Control the key is the window's"


def test_a_double_click_opens(make_list: Any) -> None:
    made = make_list(5)
    made.click(2)
    assert made.of("open") == []
    made.click(2)
    assert made.of("open") == [("k2",)] and made.list.selection == ("k2",)


def test_actions_are_clicked_and_reached_by_keys(make_list: Any) -> None:
    made = make_list(5)
    rows = made.list
    places = rows._painter.action_places(rows.rows[2])
    made.click(2, x=places[0] + 10)
    assert made.of("action") == [("k2", "remove")] and rows.selection == ()
    made.press(2, x=places[1] + 10)
    rows.event_generate("<ButtonRelease-1>", x=20, y=2 * HEIGHT + 20)
    assert len(made.of("action")) == 1, "let go elsewhere it is not done"
    rows.focus_force()
    made.key("<Key-Home>")
    made.key("<Key-Right>")
    made.key("<Key-Right>")
    made.key("<Key-space>")
    assert made.of("action")[-1] == ("k0", "more")
    made.key("<Key-Right>")
    made.key("<Key-Return>")
    assert made.of("open") == [("k0",)]


@pytest.mark.parametrize(
    ("start", "to_y", "index"),
    [
        (1, 4 * HEIGHT - 5, 3),
        (4, HEIGHT + 10, 1),
        (4, -300, 0),
        (0, 5000, 5),
        (2, 2 * HEIGHT + 10, None),
        (2, 3 * HEIGHT, None),
    ],
)
def test_a_dragged_row_lands_at_the_line(make_list: Any, start: int, to_y: int, index: int | None) -> None:
    made = make_list(6)
    rows = made.list
    made.press(start)
    for y in (start * HEIGHT + 30, start * HEIGHT + 45, to_y):
        rows.event_generate("<B1-Motion>", x=100, y=y)
    rows.update()
    assert (
        rows.itemcget(rows._drag.line, "state") == ("normal" if abs(to_y - start * HEIGHT - 28) > 5 else "hidden")
        or index is None
    )
    rows.event_generate("<ButtonRelease-1>", x=100, y=to_y)
    rows.update()
    assert made.of("move") == ([(f"k{start}", index)] if index is not None else [])
    assert rows.itemcget(rows._drag.line, "state") == "hidden"
    assert not rows.waits("edge")


def test_escape_and_the_removal_of_the_row_end_a_drag(make_list: Any) -> None:
    made = make_list(6)
    rows = made.list
    for end in (lambda: made.key("<Key-Escape>"), lambda: made.set([0, 2, 3, 4])):
        made.press(1)
        rows.focus_force()
        rows.event_generate("<B1-Motion>", x=100, y=4 * HEIGHT)
        rows.update()
        assert rows._drag.key == "k1"
        end()
        assert rows._drag.key is None
        rows.event_generate("<ButtonRelease-1>", x=100, y=4 * HEIGHT)
    assert made.of("move") == []


def test_the_list_scrolls_when_a_row_is_dragged_to_its_edge(make_list: Any, window: Any) -> None:
    made = make_list(100)
    rows = made.list
    made.press(2)
    rows.event_generate("<B1-Motion>", x=100, y=rows.winfo_height() - 3)
    until(window, lambda: rows._view.top > 200)
    rows.event_generate("<ButtonRelease-1>", x=100, y=rows.winfo_height() - 3)
    assert made.of("move")[0][1] > 10


def test_alt_and_arrows_move_a_row(make_list: Any) -> None:
    made = make_list(4)
    made.click(1)
    made.list.focus_force()
    made.key("<Key-Down>", state=ALT)
    assert made.of("move") == [("k1", 2)]
    made.set([0, 2, 1, 3])
    made.key("<Key-Down>", state=ALT)
    assert made.of("move")[-1] == ("k1", 3) and made.list.selection == ("k1",)
    made.set([0, 2, 3, 1])
    made.key("<Key-Down>", state=ALT)
    assert len(made.of("move")) == 2, "the last one goes no further"


def test_the_wheel_and_the_scroll_bar(make_list: Any) -> None:
    made = make_list(100)
    rows = made.list
    x = rows.winfo_width() // 2
    if sys.platform in ("win32", "darwin"):
        rows.event_generate("<MouseWheel>", delta=-120, x=x, y=50)
    else:
        rows.event_generate("<Button-5>", x=x, y=50)
    assert rows._view.top == 84
    height = rows.winfo_height()
    rows.event_generate("<ButtonPress-1>", x=rows.winfo_width() - 2, y=height - 4)
    rows.event_generate("<B1-Motion>", x=rows.winfo_width() - 2, y=height + 400)
    assert rows._view.top == 100 * HEIGHT - height
    rows.event_generate("<ButtonRelease-1>", x=10, y=10)
    rows.event_generate("<Motion>", x=10, y=10)
    made.set(range(3))
    assert rows.itemcget(rows._bar.item, "state") == "hidden"


def test_a_shortened_text_is_in_the_tooltip(make_list: Any, window: Any) -> None:
    from phaselock.ui.widgets import tooltip

    window.geometry("300x400")
    made = make_list(1)
    title = "A song title that cannot possibly fit into three hundred pixels"
    made.list.set_rows([made.row("k", title, "Artist", "S", right="3:12")])
    window.update()
    assert made.titles()[0].endswith("…")
    made.list.event_generate("<Motion>", x=100, y=20)
    until(window, lambda: tooltip.shown() == title)
    made.list.event_generate("<Motion>", x=100, y=3 * HEIGHT)
    assert tooltip.shown() == ""


def test_bars_move_only_while_the_playing_row_is_visible(make_list: Any, window: Any) -> None:
    made = make_list(100)
    rows = made.list
    assert not rows.waits("bars")
    rows.set_rows([made.make(i, playing=i == 1) for i in range(100)])
    assert rows.waits("bars")
    slot = next(slot for slot in rows._painter.slots if slot.index == 1)
    before = rows.coords(slot._items["bar0"])
    until(window, lambda: rows.coords(slot._items["bar0"]) != before)
    rows._scroll_to(50 * HEIGHT)
    until(window, lambda: not rows.waits("bars"))
    rows._scroll_to(0)
    assert rows.waits("bars")
    rows.pack_forget()
    window.update()
    assert not rows.waits("bars")
    rows.pack(fill="both", expand=True)
    window.update()
    assert rows.waits("bars")


def test_an_empty_list_shows_its_notice(make_list: Any, window: Any) -> None:
    pressed: list[int] = []
    made = make_list(0, empty=("No songs yet.", "Add songs", lambda: pressed.append(1)))
    rows = made.list
    window.update()
    button = rows._empty.button
    assert button is not None and button.winfo_viewable()
    button.invoke()
    assert pressed == [1]
    rows.set_empty("Nothing here.")
    made.set([1])
    window.update()
    assert not button.winfo_viewable() and rows.itemcget(rows._empty.text, "state") == "hidden"


def test_every_kind_of_row_is_drawn_at_every_width_and_scale(make_window: Any) -> None:
    import tkinter as tk

    from phaselock.ui import theme
    from phaselock.ui.widgets.rows import Row, RowList

    for scale in (1.0, 2.0):
        window = make_window(scale)
        picture = tk.PhotoImage(master=window, width=theme.px(40), height=theme.px(40))
        rows = RowList(window)
        rows.pack(fill="both", expand=True)
        kinds = [
            Row("a", "", ""),
            Row("b", "Title " * 20, "Sub " * 40, "T", None, theme.PRIMARY, "12:34", ("±0.02 ms", theme.WARNING), 0.5),
            Row(
                "c", "Title", "", "", picture, theme.ERROR, playing=True, actions=(("x", "close", "X"),), draggable=True
            ),
            Row("v", "Title " * 20, "Sub " * 40, "T", right="12:34", chip=("12", theme.PRIMARY), chip_sign="voted"),
            Row("d", "Title", "Sub", "D", progress=7.0, dimmed=True, actions=(("y", "tick", "Y"),), actions_shown=True),
        ]
        for width in (600, 260, 120, 60):
            window.geometry(f"{theme.px(width)}x{theme.px(300)}")
            window.update()
            for order in (kinds, kinds[::-1], kinds[:1], []):
                rows.set_rows(order)
                rows.select([row.key for row in order])
                for y in range(10, 300, 40):
                    rows.event_generate("<Motion>", x=20, y=theme.px(y))
                window.update()
