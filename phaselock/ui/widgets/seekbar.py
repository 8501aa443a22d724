"""The position in the song. A click or the end of a drag seeks; the wheel does not."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from typing import Any

from phaselock.session.sentences import time_text
from phaselock.ui import theme
from phaselock.ui.widgets.base import Drawing, NumericLabel, commands
from phaselock.ui.widgets.raster import dot

KNOB = 12
STEP_S = 5.0
_BAR, _GAP = 2, 1
_TIMES = 20
"""Height of the two times."""
_TIMEOUT_SEEK_MS = 1200
"""How long the bar waits for a seek to take effect; meanwhile it shows the target."""
_MAX_SEEK_ERROR_S = 1.5
"""A position this close to the target is taken as the effect of the seek."""


class SeekBar(Drawing):
    """The waveform, or a thin bar without one; below it the elapsed time (left) and the remaining time (right)."""

    def __init__(self, master: Any, *, on_seek: Callable[[float], object] | None, height: int = 64) -> None:
        super().__init__(master, theme.px(240), theme.px(height), focus=on_seek is not None)
        self._on_seek = on_seek
        self._enabled = on_seek is not None
        self._peaks: bytes | None = None
        self._position_s = self._duration_s = 0.0
        self._bars: list[int] = []
        self._coloured = 0
        self._drag_s: float | None = None
        self._asked_s: float | None = None
        self._hovered = False
        self._times_of: tuple[int, float] | None = None
        """The second and the length of the track whose times are shown."""
        self._knob_place = 0, 0
        font = theme.canvas_font(theme.SECONDARY)
        line = max(theme.px(4), 2)
        self._rest = self.create_line(0, 0, 0, 0, width=line, fill=theme.REST, capstyle="round")
        self._full = self.create_line(0, 0, 0, 0, width=line, fill=theme.PRIMARY, capstyle="round", state="hidden")
        self._head = self.create_line(0, 0, 0, 0, width=max(theme.px(2), 1), fill=theme.TEXT, state="hidden")
        knob = self.hold("knob", dot(theme.px(KNOB), theme.TEXT, None))
        self._knob = self.create_image(0, 0, image=knob, state="hidden")
        self._played = NumericLabel(self, font, theme.TEXT_SECONDARY, "sw")
        self._left = NumericLabel(self, font, theme.TEXT_SECONDARY, "se")
        self._ring = self.create_rectangle(0, 0, 0, 0, outline=theme.FOCUS, width=theme.px(2), state="hidden")
        self._extent = self._span()
        """As of the last change of the size."""
        self.bind("<Configure>", lambda _event: self._arrange())
        if on_seek is not None:
            self.bind("<Enter>", lambda _event: self._hover(True))
            self.bind("<Leave>", lambda _event: self._hover(False))
            self.bind("<ButtonPress-1>", self._on_press, add="+")
            self.bind("<B1-Motion>", self._on_drag)
            self.bind("<ButtonRelease-1>", self._on_release)
            self.bind("<Key-Escape>", self._on_escape)
            self.bind("<Key-Left>", lambda event: self._on_key(event, -STEP_S))
            self.bind("<Key-Right>", lambda event: self._on_key(event, STEP_S))

    @property
    def times(self) -> tuple[str, str]:
        """Elapsed and remaining time as shown."""
        return self._played.text, self._left.text

    def set_peaks(self, peaks: bytes | None) -> None:
        """Set the waveform: the loudest sample of each part of the track, 0 to 255; None: unknown."""
        if peaks != self._peaks:
            self._peaks = peaks or None
            self._arrange()

    def set_position(self, seconds: float, duration_s: float) -> None:
        """Set the position; draws only what has changed."""
        if self._asked_s is not None:
            # The seek has not taken effect yet: with the old position the knob would jump back.
            if duration_s == self._duration_s and abs(seconds - self._asked_s) > _MAX_SEEK_ERROR_S:
                return
            self._asked_s = None
            self.cancel("settle")
        self._position_s, self._duration_s = min(max(seconds, 0.0), max(duration_s, 0.0)), max(duration_s, 0.0)
        if self._drag_s is None:
            self._show(self._position_s)
        elif self._duration_s <= 0:
            self._end_drag()

    def set_enabled(self, enabled: bool) -> None:
        """Allow or forbid seeking."""
        enabled = enabled and self._on_seek is not None
        if enabled != self._enabled:
            self._enabled = enabled
            self.configure(takefocus=enabled, cursor="")
            if not enabled:
                self._end_drag()
            self.paint()

    def skip(self, by_s: float) -> None:
        """Seek relative to the position, if allowed."""
        if self._can():
            self._seek(min(max(self._position_s + by_s, 0.0), self._duration_s))

    def paint(self) -> None:
        self._show(self._position_s if self._drag_s is None else self._drag_s)
        lively = self._can() and (self._hovered or self._drag_s is not None or self.keyboard)
        self.itemconfigure(self._knob, state="normal" if lively else "hidden")
        self.itemconfigure(self._head, state="normal" if lively and self._bars else "hidden")
        self.itemconfigure(self._ring, state="normal" if self.keyboard else "hidden")
        self.configure(cursor="hand2" if self._can() else "")

    def _can(self) -> bool:
        return self._enabled and self._duration_s > 0

    def _span(self) -> tuple[int, int, int]:
        pad = theme.px(KNOB / 2)
        return pad, max(self.winfo_width() - pad, pad + 1), self.winfo_height() - theme.px(_TIMES)

    def _arrange(self) -> None:
        """Draw everything: the size or the track has changed."""
        left, right, bottom = self._extent = self._span()
        if self.winfo_width() <= 1:
            return
        middle = bottom // 2
        edge = theme.px(1)
        self.coords(self._ring, edge, edge, self.winfo_width() - edge, bottom - edge)
        self._played.move(left, self.winfo_height())
        self._left.move(right, self.winfo_height())
        peaks = self._peaks
        bar, gap = max(theme.px(_BAR), 1), max(theme.px(_GAP), 1)
        count = (right - left + gap) // (bar + gap) if peaks else 0
        for item in self._bars[count:]:
            self.delete(item)
        del self._bars[count:]
        while len(self._bars) < count:
            self._bars.append(self.create_rectangle(0, 0, 0, 0, fill=theme.REST, width=0))
        tall, min_half = max(middle - theme.px(4), 1), max(theme.px(1), 1)
        for i, item in enumerate(self._bars):
            assert peaks is not None
            start = i * len(peaks) // count
            loud = max(peaks[start : max((i + 1) * len(peaks) // count, start + 1)])
            half = max(tall * loud // 255, min_half)
            x = left + i * (bar + gap)
            self.coords(item, x, middle - half, x + bar, middle + half)
            self.itemconfigure(item, fill=theme.REST)
        self._coloured = 0
        plain = "hidden" if count else "normal"
        self.coords(self._rest, left, middle, right, middle)
        self.itemconfigure(self._rest, state=plain)
        self.itemconfigure(self._full, state="hidden")
        for item in (self._head, self._knob, self._ring):
            self.tag_raise(item)
        self.paint()

    def _show(self, seconds: float) -> None:
        left, right, bottom = self._extent
        share = seconds / self._duration_s if self._duration_s > 0 else 0.0
        x = round(left + (right - left) * min(share, 1.0))
        if self._times_of != (times := (int(seconds), self._duration_s)):
            self._times_of, known = times, self._duration_s > 0
            self._played.set(time_text(seconds) if known else "")
            self._left.set(f"−{time_text(round(self._duration_s) - int(seconds))}" if known else "")
        if self._bars:
            upto = round(share * len(self._bars))
            low, high = sorted((self._coloured, upto))
            for item in self._bars[low:high]:
                self.itemconfigure(item, fill=theme.PRIMARY if upto > self._coloured else theme.REST)
            self._coloured = upto
        middle = bottom // 2
        if self._knob_place == (x, middle):
            return
        self._knob_place = x, middle
        if not self._bars:
            self.coords(self._full, left, middle, x, middle)
            self.itemconfigure(self._full, state="normal" if x > left else "hidden")
        self.coords(self._head, x, theme.px(2), x, bottom - theme.px(2))
        self.coords(self._knob, x, middle)

    def _hover(self, over: bool) -> None:
        self._hovered = over
        self.paint()

    def _seconds_at(self, x: int) -> float:
        left, right, _ = self._span()
        return min(max((x - left) / (right - left), 0.0), 1.0) * self._duration_s

    def _on_press(self, event: tk.Event[Any]) -> None:
        if self._can():
            self.focus_set()  # for Escape
            self._played.colour(theme.TEXT)
            self._on_drag(event, begin=True)

    def _on_drag(self, event: tk.Event[Any], *, begin: bool = False) -> None:
        if begin or self._drag_s is not None:
            self._drag_s = self._seconds_at(event.x)
            self.paint()

    def _on_release(self, _event: tk.Event[Any]) -> None:
        target = self._drag_s
        if target is not None:
            self._end_drag()
            self._seek(target)

    def _on_escape(self, _event: tk.Event[Any]) -> str | None:
        if self._drag_s is None:
            return None
        self._end_drag()
        return "break"

    def _end_drag(self) -> None:
        self._drag_s = None
        self._played.colour(theme.TEXT_SECONDARY)
        self.paint()

    def _on_key(self, event: tk.Event[Any], by_s: float) -> str | None:
        if commands(event) or not self._can():
            return None
        self.by_keyboard()
        self.skip(by_s)
        return "break"

    def _seek(self, seconds: float) -> None:
        self._asked_s = self._position_s = seconds
        self.later("settle", _TIMEOUT_SEEK_MS, self._forget)
        self.paint()
        if self._on_seek is not None:
            self._on_seek(seconds)

    def _forget(self) -> None:
        self._asked_s = None
