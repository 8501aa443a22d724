"""The base of all drawn widgets: a canvas with the colour of its master, timers, mouse wheel and focus ring."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from typing import Any, Literal

from phaselock.ui import theme
from phaselock.ui.direction import visual, wrapped

CONTROL = 0x4
SHIFT = 0x1
_ALT = {"x11": 0x8, "win32": 0x20000, "aqua": 0x10}
_COMMAND = 0x8  # macOS; elsewhere the same bit is Alt


class Drawing(tk.Canvas):
    """A canvas without border, in the background colour of its master; `focus`: it can have the keyboard."""

    def __init__(self, master: Any, width: int, height: int, *, focus: bool = False) -> None:
        self.ground = theme.behind(master)
        self._timers: dict[str, str] = {}
        self._acts: dict[str, Callable[[], object]] = {}
        self._timer_command = ""
        self._images: dict[str, tk.PhotoImage] = {}
        self.keyboard = False
        """Whether the focus ring is visible: the focus came by the keyboard, not by a click."""
        super().__init__(
            master,
            width=width,
            height=height,
            background=self.ground,
            highlightthickness=0,
            borderwidth=0,
            takefocus=focus,
        )
        if focus:
            self._pressed_here = False
            self.bind("<ButtonPress-1>", self._on_any_press, add="+")
            self.bind("<FocusIn>", self._on_focus_in, add="+")
            self.bind("<FocusOut>", self._on_focus_out, add="+")
            # Tk calls only the most specific binding: a subclass that binds a key must call `by_keyboard` itself.
            self.bind("<KeyPress>", lambda _event: self.by_keyboard(), add="+")

    def paint(self) -> None:
        """Draw the present state."""

    def create_text(self, *place: Any, **options: Any) -> int:
        """As of every canvas; the text is in reading order."""
        if options.get("text"):
            options["text"] = wrapped(options["text"], options.get("font"), int(options.get("width") or 0))
        return super().create_text(*place, **options)

    def itemconfigure(self, tagOrId: str | int, cnf: Any = None, **options: Any) -> Any:
        """As of every canvas; a text is in reading order."""
        if options.get("text"):
            options["text"] = visual(options["text"])
        return super().itemconfigure(tagOrId, cnf, **options)

    def by_keyboard(self) -> None:
        """A key was pressed: show the focus ring."""
        if self.focus_get() is self:
            self._set_ring(True)

    def later(self, name: str, ms: int, act: Callable[[], object]) -> None:
        """Call `act` in `ms`; replaces the timer of this name. `destroy` cancels all timers."""
        self.cancel(name)
        # tkinter's `after` deletes its command when it has run. If the command destroyed the widget, that is a second
        # deletion, which may hit a new command of the same name (names are addresses).
        if not self._timer_command:
            self._timer_command = self.register(self._on_timer)
        self._acts[name] = act
        self._timers[name] = str(self.tk.call("after", ms, self._timer_command, name))

    def waits(self, name: str) -> bool:
        """Whether the timer of this name runs."""
        return name in self._timers

    def cancel(self, name: str) -> None:
        """Cancel the timer of this name, if it runs."""
        self._acts.pop(name, None)
        handle = self._timers.pop(name, None)
        if handle is not None:
            self.tk.call("after", "cancel", handle)

    def hold(self, name: str, image: tk.PhotoImage) -> tk.PhotoImage:
        """Keep a reference to an image under this name: without one, Tk deletes an image that is shown."""
        self._images[name] = image
        return image

    def destroy(self) -> None:
        """Cancel the timers and destroy the widget."""
        for name in tuple(self._timers):
            self.cancel(name)
        super().destroy()

    def _on_timer(self, name: str) -> None:
        self._timers.pop(name, None)
        self._acts.pop(name)()

    def _on_any_press(self, _event: object) -> None:
        self._pressed_here = True
        self._set_ring(False)

    def _on_focus_in(self, _event: object) -> None:
        self._set_ring(not self._pressed_here)
        self._pressed_here = False

    def _on_focus_out(self, _event: object) -> None:
        self._pressed_here = False
        self._set_ring(False)

    def _set_ring(self, shown: bool) -> None:
        if shown != self.keyboard:
            self.keyboard = shown
            self.paint()


class NumericLabel:
    """A text on a canvas in which all digits have the same width, so that a running time does not move."""

    def __init__(self, canvas: tk.Canvas, font: tuple[str, int, str], fill: str, anchor: Literal["sw", "se"]) -> None:
        self._canvas, self._font, self._fill, self._anchor = canvas, font, fill, anchor
        widths = {theme.measure(digit, font) for digit in "0123456789"}
        self._cell = max(widths) if len(widths) > 1 else 0
        self._items: list[int] = []
        self._x = self._y = 0.0
        self.text = ""

    def set(self, text: str) -> None:
        """Set the text; draws only if it differs."""
        if text != self.text:
            self.text = text
            self._arrange()

    def move(self, x: float, y: float) -> None:
        """Set the place of its `anchor` corner."""
        self._x, self._y = x, y
        self._arrange()

    def colour(self, fill: str) -> None:
        """Set the colour."""
        self._fill = fill
        for item in self._items:
            self._canvas.itemconfigure(item, fill=fill)

    def _arrange(self) -> None:
        # Most fonts have digits of one width and need one item; others need one item a character.
        parts = list(self.text) if self._cell else [self.text] if self.text else []
        widths = [self._cell if self._cell and part.isdigit() else theme.measure(part, self._font) for part in parts]
        x = self._x - (sum(widths) if self._anchor == "se" else 0)
        while len(self._items) < len(parts):
            self._items.append(self._canvas.create_text(0, 0, font=self._font, fill=self._fill, anchor="s"))
        for item in self._items[len(parts) :]:
            self._canvas.itemconfigure(item, text="")
        for item, part, width in zip(self._items, parts, widths, strict=False):
            self._canvas.coords(item, x + width / 2, self._y)
            self._canvas.itemconfigure(item, text=part)
            x += width


def bind_wheel(widget: tk.Misc, turn: Callable[[float], object]) -> None:
    """Call `turn` with notches of the mouse wheel, positive down, on all platforms; consumes the events."""

    def stop(notches: float) -> str:
        turn(notches)
        return "break"

    def wheel(event: tk.Event[Any]) -> str:
        # `delta` is lines in Tk 8.6 on macOS, elsewhere 120 a notch.
        unit = 1 if abs(event.delta) < 30 and widget.tk.call("tk", "windowingsystem") == "aqua" else 120
        return stop(-event.delta / unit)

    def touchpad(event: tk.Event[Any]) -> str:
        low = event.delta & 0xFFFF  # dx in the high half, dy in the low one, in pixels
        return stop(-(low - 0x10000 if low >= 0x8000 else low) / 40)

    widget.bind("<MouseWheel>", wheel)
    if widget.tk.call("tk", "windowingsystem") == "x11":
        widget.bind("<Button-4>", lambda _event: stop(-1))
        widget.bind("<Button-5>", lambda _event: stop(1))
    try:
        widget.bind("<TouchpadScroll>", touchpad)  # Tk 9
    except tk.TclError:
        pass


def commands(event: tk.Event[Any]) -> bool:
    """Whether Control (or Command on macOS) is held: such keys are shortcuts of the window."""
    state = int(event.state)
    aqua = event.widget.tk.call("tk", "windowingsystem") == "aqua"
    return bool(state & (CONTROL | (_COMMAND if aqua else 0)))


def alternates(event: tk.Event[Any]) -> bool:
    """Whether Alt (Option on macOS) is held; AltGr is Alt with Control on Windows."""
    return bool(int(event.state) & _ALT[str(event.widget.tk.call("tk", "windowingsystem"))])


def shifted(event: tk.Event[Any]) -> bool:
    """Whether Shift is held."""
    return bool(int(event.state) & SHIFT)


def inside(widget: tk.Misc, event: tk.Event[Any]) -> bool:
    """Whether the pointer is over the widget."""
    return 0 <= event.x < widget.winfo_width() and 0 <= event.y < widget.winfo_height()


def ease_out(share: float) -> float:
    """Cubic ease-out: share of the way (0 to 1) at a share of the time."""
    return 1.0 - (1.0 - min(max(share, 0.0), 1.0)) ** 3


def frame(master: Any) -> tk.Frame:
    """A plain frame in the background colour of its master."""
    return tk.Frame(master, background=theme.behind(master), borderwidth=0, highlightthickness=0)
