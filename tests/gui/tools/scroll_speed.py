"""How long a frame takes while a list of 2,000 rows scrolls, and what the frequent redraws cost; figures in ms.

`python -m tests.gui.tools.scroll_speed [--rows N] [--scale N]`. Without a display, run it under xvfb-run.
"""

from __future__ import annotations

import argparse
import math
import os
import pathlib
import time
import tkinter as tk
from collections.abc import Callable
from typing import Any


def timed(name: str, window: Any, count: int, act: Callable[[int], object]) -> None:
    """Call `act` `count` times and wait for the display each time; prints the durations in ms."""
    took = []
    for i in range(count):
        start = time.perf_counter()
        act(i)
        window.update()
        window.tk.call("winfo", "pointerxy", ".")  # a round trip: the display has drawn
        took.append((time.perf_counter() - start) * 1000)
    took.sort()
    print(f"{name:36} median {took[count // 2]:7.2f}   p95 {took[count * 95 // 100]:7.2f}   most {took[-1]:7.2f}")


def cover(size: int, seed: int) -> bytes:
    """A picture of the format PPM, with another colour for each seed."""
    return b"P6 %d %d 255\n" % (size, size) + bytes((seed * 37 + i * 11) % 256 for i in range(3)) * size * size


def memory() -> str:
    """Resident and private memory of this process (Linux only)."""
    try:
        text = pathlib.Path("/proc/self/smaps_rollup").read_text("ascii")
    except OSError:
        return "not told by this system"
    kb = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
    return f"RSS {kb['Rss'] / 1024:.1f} MB, USS {(kb['Private_Clean'] + kb['Private_Dirty']) / 1024:.1f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description="Frame times of the lists.")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--scale", default="1.0")
    options = parser.parse_args()
    os.environ["PHASELOCK_SCALE"] = options.scale

    from phaselock.ui import theme
    from phaselock.ui.widgets.plot import Series, SyncPlot
    from phaselock.ui.widgets.rows import Row, RowList
    from phaselock.ui.widgets.seekbar import SeekBar
    from phaselock.ui.widgets.spectrum import Spectrum

    theme.prepare()
    window = theme.ctk.CTk(fg_color=theme.BACKGROUND)
    theme.setup(window)
    window.geometry(f"{theme.px(1100)}x{theme.px(720)}+0+0")
    window.update()
    print("an empty window:", memory())
    side = tk.Frame(window, background=theme.SURFACE)
    side.pack(side="left", fill="both", expand=True)
    covers = [tk.PhotoImage(master=window, data=cover(theme.px(40), i), format="ppm") for i in range(64)]
    rows = RowList(window, picture_of=lambda key: covers[int(key) % 64] if int(key) % 4 else None)
    rows.configure(width=theme.px(320))
    rows.pack(side="right", fill="y")
    remove = (("remove", "close", "Remove"),)

    def row(i: int, **more: Any) -> Row:
        return Row(
            str(i), f"A song with a title of its own, number {i}", f"Artist {i % 37} · added by Sam", "A",
            number=str(i + 1), right=f"{i % 7}:{i % 60:02}",
            chip=("ready", theme.TEXT_SECONDARY) if i % 5 == 0 else None,
            playing=i == 3, actions=remove, draggable=True, **more,
        )  # fmt: skip

    many = [row(i) for i in range(options.rows)]
    start = time.perf_counter()
    rows.set_rows(many)
    window.update()
    print(f"{len(many)} rows shown in {(time.perf_counter() - start) * 1000:.1f} ms; {len(rows.find_all())} items")
    step = theme.px(84)
    timed("scroll by a notch of the wheel", window, 400, lambda i: rows._scroll_to(i * step))
    timed("scroll by a page", window, 100, lambda i: rows._scroll_to(i * rows.winfo_height()))
    timed("scroll by 7 pixels", window, 400, lambda i: rows._scroll_to(i * 7))
    timed("the same rows again", window, 200, lambda i: rows.set_rows(list(many)))
    rows._scroll_to(0)
    timed(
        "one row changes",
        window,
        200,
        lambda i: rows.set_rows([*many[:4], row(4, progress=(i % 100) / 100), *many[5:]]),
    )
    bar = SeekBar(side, on_seek=print)
    bar.pack(fill="x")
    bar.set_peaks(bytes(int(127 + 120 * math.sin(i / 9)) for i in range(600)))
    plot, spectrum = SyncPlot(side, detailed=True, height=200), Spectrum(side)
    plot.pack(fill="x")
    spectrum.pack(fill="x")
    window.update()
    timed("seek bar, 30 a second", window, 300, lambda i: bar.set_position(i / 30, 228))
    timed("spectrum", window, 300, lambda i: spectrum.show(bytes((i * 37 + j * 53) % 256 for j in range(24))))
    series = [Series(f"M{k}", k, [(t / 1.0, 30 * math.sin(t / 9 + k), 4.0) for t in range(240)]) for k in range(6)]
    timed("plot of 6 machines, 120 points", window, 200, lambda i: plot.set_series(series, 120, 120 + i / 4))
    print("with the list, seek bar, plot and spectrum:", memory())
    window.destroy()


if __name__ == "__main__":
    main()
