"""Every widget in every state in one window: `python -m tests.gui.tools.gallery [--save FILE.png] [--scale N]`.

Saving needs ImageMagick's `import`. Without a display, run it under `xvfb-run -s "-screen 0 2600x2000x24"`.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import subprocess
import tkinter as tk
from typing import Any

from phaselock.ui import theme
from phaselock.ui.widgets.artwork import Artwork
from phaselock.ui.widgets.base import Drawing, frame
from phaselock.ui.widgets.buttons import IconButton, MainButton, SecondaryButton, TextButton
from phaselock.ui.widgets.chip import Chip
from phaselock.ui.widgets.covers import Covers
from phaselock.ui.widgets.entry import Field
from phaselock.ui.widgets.icons import SHAPES
from phaselock.ui.widgets.logo import Logo, icon_images
from phaselock.ui.widgets.panel import Panel
from phaselock.ui.widgets.plot import Series, SyncPlot
from phaselock.ui.widgets.rows import Row, RowList
from phaselock.ui.widgets.seekbar import SeekBar
from phaselock.ui.widgets.slider import VolumeSlider
from phaselock.ui.widgets.spectrum import Spectrum
from phaselock.ui.widgets.toast import Toasts
from phaselock.ui.widgets.transport import Transport

CHANCE = random.Random(7)
px = theme.px


def nothing(*_args: Any) -> None:
    pass


def label(master: Any, text: str, size: int, colour: str = theme.TEXT, bold: bool = False) -> tk.Label:
    font = theme.canvas_font(size, bold)
    return tk.Label(master, text=text, bg=theme.behind(master), fg=colour, font=font, anchor="w")


def show_head(root: Any) -> None:
    """Logo, name and icons."""
    icons = icon_images(root)
    root.iconphoto(True, *icons)
    root.icons = icons
    head = frame(root)
    head.pack(fill="x", padx=px(24), pady=(px(24), px(12)))
    Logo(head, 64).pack(side="left")
    words = frame(head)
    words.pack(side="left", padx=px(16))
    label(words, "PhaseLock", theme.TITLE, bold=True).pack(anchor="w")
    label(words, "Your speakers, in phase.", theme.BODY, theme.TEXT_SECONDARY).pack(anchor="w")
    for picture in icons:
        tk.Label(head, image=picture, bg=theme.REST, borderwidth=0).pack(side="right", padx=px(8))


def show_buttons(body: Any) -> None:
    """Every kind of text button in every state."""
    button: Drawing
    for kind, text in ((MainButton, "Create jam"), (SecondaryButton, "Join jam"), (TextButton, "Details")):
        for state in ("rest", "hover", "focus", "off"):
            if state == "rest":
                line = frame(body)
                line.pack(fill="x", pady=(0, px(8)))
            button = kind(line, text if state in ("rest",) else state.capitalize(), nothing)
            if state == "off":
                button.set_enabled(False)
            elif state == "hover":
                button.hovered = True
            elif state == "focus":
                button.keyboard = True
            button.configure(width=px(64)) if state != "rest" else None
            if state == "rest":
                button.pack(fill="x")
                line = frame(body)
                line.pack(fill="x", pady=(0, px(8)))
            else:
                button.configure(width=px(84))
                button.pack(side="left", padx=(0, px(8)))


def show_controls(body: Any) -> None:
    """Icons, chips and fields."""
    grid = frame(body)
    grid.pack(fill="x", pady=(px(8), 0))
    for i, name in enumerate(SHAPES):
        IconButton(grid, name, nothing, tooltip=name).grid(row=i // 7, column=i % 7)
    states = frame(body)
    states.pack(fill="x", pady=(px(8), 0))
    for i, (hovered, keyboard, enabled) in enumerate(((1, 0, 1), (0, 1, 1), (0, 0, 0))):
        one = IconButton(states, "settings", nothing)
        one.hovered, one.keyboard = bool(hovered), bool(keyboard)
        one.set_enabled(bool(enabled))
        one.paint()
        one.grid(row=0, column=i)
        disc = IconButton(states, "play", nothing, diameter=56, filled=True)
        disc.hovered, disc.keyboard = bool(hovered), bool(keyboard)
        disc.set_enabled(bool(enabled))
        disc.paint()
        disc.grid(row=0, column=i + 3)
    chips = frame(body)
    chips.pack(fill="x", pady=px(12))
    for text, kind_of in (
        ("3 of 5 ready", "neutral"),
        ("±0.02 ms", "good"),
        ("late", "warning"),
        ("no output", "error"),
    ):
        chip = Chip(chips)
        chip.set(text, kind_of)  # type: ignore[arg-type]
        chip.pack(side="left", padx=(0, px(6)))
    Field(body, "Your name", "", "Kitchen").pack(fill="x")
    field = Field(body, "Port", "174011", numeric=True)
    field.set_error("A port is a number from 1 to 65535.")
    field.pack(fill="x", pady=px(8))


def show_player(panel: Panel) -> list[Drawing]:
    """Artwork, spectrum, seek bars and transport; gives what must be painted again in its state."""
    chip = Chip(panel.header)
    chip.set("±0.02 ms", "good")
    chip.pack(side="right")
    art = frame(panel.body)
    art.pack()
    Artwork(art, Covers(nothing), 120).pack(side="left", padx=px(8))
    spectrum = Spectrum(panel.body, height=40)
    spectrum.pack(fill="x", pady=px(8))
    peaks = bytes(
        min(255, int(abs(math.sin(i / 23)) * 150 + CHANCE.random() * 90 * (0.4 + abs(math.sin(i / 90)))))
        for i in range(600)
    )
    bars = []
    for wave, hover in ((peaks, True), (None, True), (None, False)):
        bar = SeekBar(panel.body, on_seek=nothing, height=64 if wave else 40)
        bar.set_peaks(wave)
        bar.set_position(74, 228)
        bar.pack(fill="x")
        bar._hovered = hover
        bars.append(bar)
    controls = frame(panel.body)
    controls.pack(fill="x", pady=px(8))
    transport = Transport(controls, dict.fromkeys(("shuffle", "stop", "previous", "play", "next", "repeat"), nothing))
    transport.set(True, {"play", "stop", "next"}, "Pause")
    transport.pack(side="left")
    volume = VolumeSlider(controls, nothing)
    volume.set(0.6)
    volume.track.hovered = True
    volume.pack(side="right")
    for _ in range(2):
        spectrum.show(bytes(int(250 * abs(math.sin(i / 4)) * (1 - i / 40)) for i in range(24)))
    return [volume.track, *bars]


def show_plots(panel: Panel) -> None:
    """The plot in both sizes."""
    for detailed, worst in ((False, 30.0), (True, 900.0)):
        plot = SyncPlot(panel.body, height=170 if detailed else 96, detailed=detailed)
        plot.pack(fill="x", pady=(px(8), 0))
        names = ("This machine", "Kitchen", "Balcony with a long name", "Bath")
        plot.set_series(
            [
                Series(
                    name,
                    i,
                    [
                        (
                            t / 2,
                            worst * 0.3 * math.sin(t / (14 + 5 * i) + i)
                            + CHANCE.gauss(0, worst / 16)
                            + worst * 0.1 * i,
                            worst / 8,
                        )
                        for t in range(240 if i != 2 else 130)
                    ],
                )
                for i, name in enumerate(names)
            ],
            120,
            120,
        )


def show_queue(queue: Panel) -> RowList:
    """Every kind of song row."""
    TextButton(queue.header, "Add songs", nothing).pack(side="right")
    rows = RowList(queue.body, on_open=nothing, on_move=nothing, on_delete=nothing, on_action=nothing)
    tools: dict[str, Any] = {"actions": (("remove", "close", "Remove"),), "draggable": True}
    rows.set_rows(
        [
            Row("a", "A song with a rather long title that does not fit", "Some Artist", "A", right="3:12", **tools),
            Row("b", "The one that plays", "Another Artist", "T", right="2:34", playing=True, **tools),
            Row("c", "Hovered", "Artist · added by Sam", "H", right="4:01", **tools),
            Row("d", "Selected", "Artist · 3 of 5 ready", "S", right="5:20", progress=0.4, **tools),
            Row("e", "Not here any more", "The file is missing", "N", right="0:59", dimmed=True),
            *(Row(str(i), f"Song {i}", "Artist", "S", right="3:33") for i in range(60)),
        ]
    )  # fmt: skip
    rows.pack(fill="both", expand=True)
    return rows


def show_peers(people: Panel) -> RowList:
    """Every kind of peer row."""
    peers = RowList(people.body, on_action=nothing, on_select=nothing)
    answers = (("accept", "tick", "Accept"), ("reject", "cross", "Reject"))
    peers.set_rows(
        [
            Row("1", "Alex", "2 ms", "A", colour_dot=theme.PRIMARY, chip=("±0.02 ms", theme.TEXT)),
            Row("2", "Sam", "45 ms", "S", colour_dot=theme.WARNING, chip=("late", theme.WARNING), progress=0.7),
            Row("3", "Jordan", "No sound output", "J", colour_dot=theme.ERROR, dimmed=True),
            Row("4", "New track", "asked by Sam · 4.2 MB", right="2:34", actions=answers, actions_shown=True),
        ]
    )  # fmt: skip
    peers.pack(fill="both", expand=True)
    return peers


def show_toasts(root: Any) -> None:
    toasts = Toasts(root)
    toasts.show("Jordan left the jam.", seconds=600)
    toasts.show("“NewTrack.mp3” was removed.", action=("Undo", nothing), seconds=600)
    toasts.show(
        "The sound output was unplugged. Playing goes on as soon as it is back.", kind="error", seconds=600,
        action=("Retry", nothing),
    )  # fmt: skip


def show(save: str | None) -> None:
    """Open the window; save a picture of it, or wait until it is closed."""
    theme.prepare()
    root = theme.ctk.CTk(fg_color=theme.BACKGROUND)
    theme.setup(root)
    root.title("Gallery")
    root.geometry(f"{px(1180)}x{px(1000)}+0+0")
    show_head(root)
    columns = frame(root)
    columns.pack(fill="both", expand=True, padx=px(24), pady=(0, px(24)))
    columns.grid_rowconfigure(0, weight=1)
    for i, (weight, least) in enumerate(((0, 300), (1, 400), (0, 340))):
        columns.grid_columnconfigure(i, weight=weight, minsize=px(least))
    left = Panel(columns, "Controls")
    left.grid(row=0, column=0, sticky="nsew")
    show_buttons(left.body)
    show_controls(left.body)
    middle = Panel(columns, "Now playing")
    middle.grid(row=0, column=1, sticky="nsew", padx=px(12))
    drawn = show_player(middle)
    show_plots(middle)
    right = frame(columns)
    right.grid(row=0, column=2, sticky="nsew")
    right.grid_rowconfigure((0, 1), weight=1)
    right.grid_columnconfigure(0, weight=1)
    queue, people = Panel(right, "Queue"), Panel(right, "Peers")
    queue.grid(row=0, column=0, sticky="nsew")
    people.grid(row=1, column=0, sticky="nsew", pady=(px(12), 0))
    rows, peers = show_queue(queue), show_peers(people)
    root.update()
    show_toasts(root)
    rows.select(["d"])
    rows._over = (2, 0)
    peers.keyboard, peers._selection.cursor = True, "2"
    for one in (rows, peers, *drawn):
        one.paint()
    if save is None:
        root.mainloop()
        return
    root.event_generate("<Motion>", warp=True, x=2, y=2)
    root.after(600, lambda: root.quit())
    root.mainloop()
    subprocess.run(["import", "-window", str(root.winfo_id()), save], check=True)
    root.destroy()


def main() -> None:
    parser = argparse.ArgumentParser(description="Every widget in every state.")
    parser.add_argument("--save", help="write a picture instead of waiting")
    parser.add_argument("--scale", default="1.0")
    options = parser.parse_args()
    os.environ["PHASELOCK_SCALE"] = options.scale
    show(options.save)


if __name__ == "__main__":
    main()
