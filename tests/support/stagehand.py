"""The window and a program behind it that is none; hands and eyes for its tests.

Run as a program it is the real window, which does what it is told on standard input (see `Remote`).
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import pathlib
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

ROOT = pathlib.Path(__file__).parent.parent.parent
TIMEOUT_S = 30.0
ALT = {"win32": 0x20000, "darwin": 0x10}.get(sys.platform, 0x8)
ROW_HIGH = 56


class FakeProgram:
    """See ui/port.py: remembers every call, and gives what the test has put into it."""

    def __init__(self, display_name: str = "Ana", **preferences: Any) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.kept: dict[str, Any] = {
            "session_name": "Friday",
            "port": 17401,
            "clock_port": 17402,
            "volume": 0.5,
            "device": None,
            "ui": {},
            **preferences,
            "display_name": display_name,
        }
        self.now: Any = None
        self.now_ns: int | None = None
        self.letters: list[Any] = []
        self.closed = False

    def of(self, name: str) -> list[Any]:
        """What the calls of that name were given; the one argument, or all of them."""
        found = [call[1:] for call in self.calls if call[0] == name]
        return [one[0] if len(one) == 1 else one for one in found]

    def preferences(self) -> Any:
        from phaselock.ui.backend import Preferences

        return Preferences(**self.kept)

    def remember(self, **ui: object) -> None:
        self.kept["ui"] = {**self.kept["ui"], **ui}

    def state(self) -> Any:
        return self.now

    def mail(self, most: int) -> list[Any]:
        taken, self.letters = self.letters[:most], self.letters[most:]
        return taken

    def session_ns(self) -> int | None:
        return self.now_ns

    def set_volume(self, volume: float) -> None:
        self.kept["volume"] = volume
        self.calls.append(("set_volume", volume))

    def choose_output(self, name: str | None) -> None:
        self.kept["device"] = name
        self.calls.append(("choose_output", name))

    def close(self) -> None:
        self.closed = True

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name not in (
            "host join leave browse command add request set_correction_ms list_outputs picture shape".split()
        ):
            raise AttributeError(name)
        return lambda *arguments: self.calls.append((name, *arguments))


# -- hands -------------------------------------------------------------------------------------------------------------


def until(window: Any, true: Callable[[], object], seconds: float = TIMEOUT_S) -> None:
    """Let the window live until something is the case."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"it never came to be; to be read is {texts(window)}"
        window.update()
        time.sleep(0.005)


def settle(window: Any) -> None:
    """Have the pump look at everything now, rather than at its next beat."""
    pump, looked = window._pump, False
    while window.program.letters or not looked:
        window.after_cancel(pump._after)
        pump._after = beat = window.after(0, pump._beat)
        until(window, lambda beat=beat: pump._after != beat)
        looked = True
    window.update()


def forget(window: Any) -> None:
    """Of a window that is closed nothing stays: what is left of it must not end on another thread."""
    vars(window).clear()
    gc.collect()


def click(widget: Any, x: int | None = None, y: int | None = None, *, state: int = 0) -> None:
    """Press and release on a place of a widget, its middle unless told."""
    x = widget.winfo_width() // 2 if x is None else x
    y = widget.winfo_height() // 2 if y is None else y
    top = widget.winfo_toplevel()
    assert widget.winfo_viewable(), "what cannot be seen cannot be clicked"
    widget.event_generate("<Motion>", x=x, y=y)
    widget.event_generate("<ButtonPress-1>", x=x, y=y, state=state)
    widget.event_generate("<ButtonRelease-1>", x=x, y=y, state=state)
    top.update()


def drag(widget: Any, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Press at one place, move, let go at the other."""
    widget.event_generate("<Motion>", x=start[0], y=start[1])
    widget.event_generate("<ButtonPress-1>", x=start[0], y=start[1])
    for share in (0.2, 0.6, 1.0):
        x, y = (round(a + (b - a) * share) for a, b in zip(start, end, strict=True))
        widget.event_generate("<B1-Motion>", x=x, y=y)
        widget.winfo_toplevel().update()
    widget.event_generate("<ButtonRelease-1>", x=end[0], y=end[1])
    widget.winfo_toplevel().update()


def press(window: Any, sequence: str, **options: Any) -> None:
    """A key for whatever has the keyboard."""
    widget = window.focus_get() or window
    widget.event_generate(sequence, **options)
    if window.tk.call("info", "commands", ".") != "":
        window.update()


def row(rows: Any, index: int) -> tuple[int, int]:
    """A place in the title of that row."""
    return 90, index * ROW_HIGH + ROW_HIGH // 2


def action(rows: Any, index: int, name: str) -> tuple[int, int]:
    """The place of one of the small buttons of that row."""
    one = rows.rows[index]
    at = [what for what, _, _ in one.actions].index(name)
    return rows._action_places(one)[at] + 16, index * ROW_HIGH + ROW_HIGH // 2


# -- eyes --------------------------------------------------------------------------------------------------------------


def tree(widget: Any) -> Iterator[Any]:
    """The widget and all below it that can be seen."""
    if widget.winfo_viewable():
        yield widget
        for child in widget.winfo_children():
            if child.winfo_class() not in ("Menu", "Toplevel"):
                yield from tree(child)


def texts(widget: Any) -> list[str]:
    """All that is to be read there."""
    found: list[str] = []
    for one in tree(widget):
        kind = one.winfo_class()
        if kind == "Label":
            found.append(str(one.cget("text")))
        elif kind == "Canvas":
            items = [item for item in one.find_all() if one.type(item) == "text"]
            found += [one.itemcget(item, "text") for item in items if one.itemcget(item, "state") != "hidden"]
    return [text for text in found if text]


def reads(widget: Any, words: str) -> bool:
    """These words are to be read there."""
    return any(words in text for text in texts(widget))


def button(widget: Any, words: str) -> Any:
    """The button with these words on it, or with this tooltip."""
    found = [one for one in tree(widget) if words in (getattr(one, "_text", None), getattr(one, "_tooltip", None))]
    assert len(found) == 1, f"{words}: {found}"
    return found[0]


def controls(widget: Any) -> list[Any]:
    """Everything there that has something to do for a key."""
    from phaselock.ui.widgets.base import Drawing

    wanted = []
    for one in tree(widget):
        takes = isinstance(one, Drawing) and str(one.cget("takefocus")) not in ("0", "")
        if takes or one.winfo_class() in ("Entry", "Menubutton") or hasattr(one, "_dropdown_menu"):
            wanted.append(one)
    return wanted


def walk(window: Any) -> list[Any]:
    """What Tab reaches, in its order, until it comes round."""
    reached: list[Any] = []
    for _ in range(100):
        press(window, "<Tab>")
        one = window.focus_get()
        if one in reached:
            break
        reached.append(one)
    return reached


# -- the real window, in a process of its own --------------------------------------------------------------------------


class Remote:
    """A window elsewhere. `ask` has it evaluate an expression with `window`, `desktop` and all of this file at hand."""

    def __init__(self, home: pathlib.Path, *, prefix: Sequence[str] = (), bind: str = "127.0.0.1") -> None:
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [*prefix, sys.executable, "-m", "tests.support.stagehand", bind],
            cwd=ROOT,
            env={**os.environ, "PHASELOCK_HOME": os.fspath(home), "PHASELOCK_SCALE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, expression: str) -> Any:
        """What it comes to, by way of JSON."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, self.process.communicate()[1]
        value = json.loads(answer)
        assert "raised" not in value, value
        return value["value"]

    def wait(self, expression: str) -> None:
        """Until it is true there."""
        end = time.monotonic() + TIMEOUT_S
        while not self.ask(expression):
            assert time.monotonic() < end, (expression, self.ask("texts(window)"))
            time.sleep(0.02)

    def end(self) -> tuple[int, str, str]:
        """Exit status, last words and complaints, once its window has closed."""
        assert self.process.stdout and self.process.stderr
        said, complained = self.process.stdout.read(), self.process.stderr.read()  # what `ask` has not
        return self.process.wait(TIMEOUT_S), said.strip(), complained.strip()

    def kill(self) -> None:
        """If it still lives."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream
            with contextlib.suppress(OSError):
                stream.close()


def play_remote() -> None:
    """The other side of `Remote`. When the window is closed it says which threads are left."""
    from phaselock.app.window import WindowProgram
    from phaselock.ui.window import Window

    desktop = WindowProgram("null")
    desktop.bind = sys.argv[1]
    window: Any = Window(desktop)
    window.geometry("1100x720+1200+0")
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()
    reader = threading.Thread(target=lambda: [asked.put(line) for line in sys.stdin], daemon=True)
    reader.start()
    names = {**globals(), "window": window, "desktop": desktop}

    def answer() -> None:
        while not asked.empty():
            try:
                words = {"value": eval(asked.get(), names)}
            except Exception as error:
                words = {"raised": repr(error)}
            print(json.dumps(words, default=str), flush=True)
        if not window._closing:
            window.after(10, answer)

    window.update()
    answer()
    window.run()
    left = [one.name for one in threading.enumerate() if one not in (threading.main_thread(), reader)]
    print(json.dumps(left), flush=True)


if __name__ == "__main__":
    play_remote()
