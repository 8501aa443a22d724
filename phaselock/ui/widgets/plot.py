"""The plot of phase errors over time: one line a machine, its uncertainty as an area, and the limits of ±1 ms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from phaselock.frozen import frozen
from phaselock.language.catalogue import tr
from phaselock.ui import theme
from phaselock.ui.widgets.base import Drawing

SCALES_US = (10, 20, 50, 100, 200, 500, 1000, 2000)
BAND_US = 1000
SHOWN_SHARE = 0.99
"""The share of the points that must fit into the scale. The others, for example those of a peer that has just joined,
are drawn at the edge."""
GAP_S = 4.0
"""Points further apart are not joined."""
_TIMES_S = (10, 15, 30, 60, 120, 300, 600)


@frozen
class Series:
    """One machine. `points`, oldest first: time in s, error in µs, uncertainty in µs or None (unknown)."""

    name: str
    colour_index: int
    points: Sequence[tuple[float, float, float | None]]


class SyncPlot(Drawing):
    """The newest points are at the right edge; the scale adapts. `detailed`: with times, and also without
    lines."""

    def __init__(self, master: Any, *, height: int = 96, detailed: bool = False) -> None:
        super().__init__(master, theme.px(320), theme.px(height))
        self._detailed = detailed
        self._series: Sequence[Series] = ()
        self._span_s, self._now_s = 120.0, 0.0
        self.scale_us = SCALES_US[0]
        self._frame: object = None
        self._pool: dict[str, list[int]] = {"area": [], "line": [], "end": []}
        self._used: dict[str, int] = {}
        font = theme.canvas_font(theme.CAPTION)
        band = theme.blend(theme.TEXT, self.ground, 0.04)
        self._band = self.create_rectangle(0, 0, 0, 0, fill=band, width=0)
        self._edges = [
            self.create_line(0, 0, 0, 0, fill=theme.REST, width=max(theme.px(1), 1), dash=(4, 4)) for _ in range(2)
        ]
        self._grid = [self.create_line(0, 0, 0, 0, fill=theme.GRID, width=max(theme.px(1), 1)) for _ in range(5)]
        self.tag_raise(self._grid[2])
        self._labels = [
            self.create_text(0, 0, font=font, fill=theme.TEXT_SECONDARY, anchor="e", tags="words") for _ in range(3)
        ]
        self._edge_labels = [
            self.create_text(0, 0, font=font, fill=theme.TEXT_SECONDARY, anchor="e", tags="words", text=text)
            for text in ("+1 ms", "−1 ms")
        ]
        self._times: list[int] = []
        self.bind("<Configure>", lambda _event: self.paint())

    def set_series(self, series: Sequence[Series], span_s: float, now_s: float) -> None:
        """Show the last `span_s` seconds before `now_s`."""
        self._series, self._span_s, self._now_s = series, max(span_s, 1.0), now_s
        self.paint()

    def paint(self) -> None:
        width, height = self.winfo_width(), self.winfo_height()
        if width <= 1 or height <= 1:
            return
        if not self._series and not self._detailed:
            self._frame = None
            self.itemconfigure("all", state="hidden")
            return
        self._choose_scale()
        font = theme.canvas_font(theme.CAPTION)
        line = theme.line_height(font)
        left = theme.kept(("gutter", font), lambda: theme.measure("−2000 µs", font)) + theme.px(8)
        top = line // 2
        bottom = height - line // 2 - (line + theme.px(4) if self._detailed else 0) - 1
        right = width - theme.px(6)
        place = (left, top, right, bottom)
        frame = (place, self.scale_us, self._span_s)
        if frame != self._frame:
            self._frame = frame
            self._draw_frame(*place)
        self._used = dict.fromkeys(self._pool, 0)
        for one in self._series:
            self._draw(one, *place)
        for kind, items in self._pool.items():
            for item in items[self._used[kind] :]:
                self.itemconfigure(item, state="hidden")
        self.tag_raise("words")

    def _choose_scale(self) -> None:
        since = self._now_s - self._span_s
        limits = sorted(
            abs(error) + (band or 0.0) for one in self._series for t, error, band in one.points if t >= since
        )
        most = limits[math.ceil(SHOWN_SHARE * len(limits)) - 1] if limits else 0.0
        fitting = next((scale for scale in SCALES_US if most <= scale), SCALES_US[-1])
        # Hysteresis: a smaller scale must have 15 % of room, so that the scale does not alternate between two.
        if fitting > self.scale_us or most <= 0.85 * fitting:
            self.scale_us = fitting

    def _draw_frame(self, left: int, top: int, right: int, bottom: int) -> None:
        middle, half = (top + bottom) / 2, (bottom - top) / 2
        for i, item in enumerate(self._grid):
            y = round(middle + half * (i - 2) / 2)
            self.coords(item, left, y, right, y)
            self.itemconfigure(item, fill=theme.REST if i == 2 else theme.GRID, state="normal")
        limit = min(BAND_US / self.scale_us, 1.0) * half
        self.coords(self._band, left, middle - limit, right, middle + limit)
        self.itemconfigure(self._band, state="normal")
        visible = "normal" if self.scale_us >= BAND_US else "hidden"
        for item, sign in zip(self._edges, (-1, 1), strict=True):
            self.coords(item, left, round(middle + sign * limit), right, round(middle + sign * limit))
            self.itemconfigure(item, state=visible)
        for item, sign in zip(self._edge_labels, (-1, 1), strict=True):
            self.coords(item, left - theme.px(8), round(middle + sign * limit))
            self.itemconfigure(item, state="normal" if self.scale_us > BAND_US else "hidden")
        ms = self.scale_us >= 1000
        figure = f"{self.scale_us // 1000} ms" if ms else f"{self.scale_us} µs"
        for item, sign, text in zip(self._labels, (-1, 0, 1), (f"+{figure}", "0", f"−{figure}"), strict=True):
            self.coords(item, left - theme.px(8), round(middle + half * sign))
            self.itemconfigure(item, text=text, state="normal")
        if self._detailed:
            self._draw_times(left, right, bottom)

    def _draw_times(self, left: int, right: int, bottom: int) -> None:
        step = next((s for s in _TIMES_S if self._span_s / s <= 5), _TIMES_S[-1])
        marks = [i * step for i in range(int(self._span_s / step) + 1)]
        while len(self._times) < len(marks):
            item = self.create_text(
                0, 0, font=theme.canvas_font(theme.CAPTION), fill=theme.TEXT_SECONDARY, tags="words"
            )
            self._times.append(item)
        for item in self._times[len(marks) :]:
            self.itemconfigure(item, state="hidden")
        for item, ago_s in zip(self._times, marks, strict=False):
            x = right - (right - left) * ago_s / self._span_s
            text = tr("now") if not ago_s else f"−{ago_s // 60} min" if ago_s % 60 == 0 else f"−{ago_s} s"
            anchor = "ne" if not ago_s else "nw" if ago_s == self._span_s else "n"
            self.coords(item, x, bottom + theme.px(6))
            self.itemconfigure(item, text=text, anchor=anchor, state="normal")

    def _draw(self, one: Series, left: int, top: int, right: int, bottom: int) -> None:
        middle, per_us = (top + bottom) / 2, (bottom - top) / 2 / self.scale_us
        per_s, since = (right - left) / self._span_s, self._now_s - self._span_s
        colour = theme.MACHINES[one.colour_index % len(theme.MACHINES)]
        faint = theme.blend(colour, self.ground, 0.22)

        def y(error_us: float) -> float:
            return min(max(middle - error_us * per_us, top), bottom)

        run: list[float] = []
        upper: list[float] = []
        lower: list[float] = []
        before: float | None = None

        def end() -> None:
            if len(upper) >= 4:
                back = [value for i in range(len(lower) - 2, -2, -2) for value in lower[i : i + 2]]
                self._shape("area", [*upper, *back], faint)
            upper.clear()
            lower.clear()

        for t, error, band in one.points:
            if t < since or t > self._now_s:
                continue
            x = right - (self._now_s - t) * per_s
            if before is not None and t - before > GAP_S:
                self._run(run, colour)
                run = []
                end()
            if band is None:
                end()
            else:
                upper += (x, y(error + band))
                lower += (x, y(error - band))
            run += (x, y(error))
            before = t
        end()
        self._run(run, colour)
        if run:
            self._shape("end", run[-2:], colour)

    def _run(self, run: list[float], colour: str) -> None:
        if len(run) == 2:
            run = [run[0] - 1, run[1], run[0], run[1]]
        if run:
            self._shape("line", run, colour)

    def _shape(self, kind: str, points: list[float], colour: str) -> None:
        pool, at = self._pool[kind], self._used[kind]
        self._used[kind] += 1
        if kind == "end":
            r = theme.px(2.5)
            x, y = points
            points = [x - r, y - r, x + r, y + r]
        if at == len(pool):
            if kind == "area":
                item = self.create_polygon(points, width=0)
            elif kind == "line":
                item = self.create_line(points, width=max(theme.px(1.25), 1), joinstyle="round")
            else:
                item = self.create_oval(points, width=0)
            # Areas are below all lines, also areas that are created later.
            self.tag_lower(item, pool[0] if pool else self._grid[0]) if kind == "area" else self.tag_raise(item)
            pool.append(item)
        else:
            item = pool[at]
            self.coords(item, *points)
        self.itemconfigure(item, fill=colour, state="normal")
