"""Helpers for tests of the window: a fake program, simulated input, and functions that read what is shown.

`python -m tests.support.window_driver ADDRESS` runs the real window, controlled through standard input (see `Remote`).
"""

from __future__ import annotations

import contextlib
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

from phaselock.model.role import Role
from phaselock.ui.backend import Opened, Preferences, Program

ROOT = pathlib.Path(__file__).parents[2]
TIMEOUT_S = 30.0
ALT = {"win32": 0x20000, "darwin": 0x10}.get(sys.platform, 0x8)
ROW_HEIGHT = 56


class FakeProgram:
    """Implements `Program`: records every call, and returns what the test has set."""

    def __init__(self, display_name: str = "Ana", **preferences: Any) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.kept: dict[str, Any] = {
            "session_name": "Friday",
            "port": 17401,
            "clock_port": 17402,
            "with_code": False,
            "own_code": "",
            "max_peers": 5,
            "volume": 0.5,
            "muted": False,
            "role": "stereo",
            "loudness_lufs": -16.0,
            "device": None,
            "microphone": None,
            "may_host": True,
            "ui": {},
            **preferences,
            "display_name": display_name,
        }
        self.now: Any = None
        """What `state` returns."""
        self.now_ns: int | None = None
        """What `session_ns` returns."""
        self.unread: list[Any] = []
        """What `events` returns."""
        self.closed = False

    def of(self, name: str) -> list[Any]:
        """The arguments of each call of that name: the value if there is one, else a tuple."""
        found = [call[1:] for call in self.calls if call[0] == name]
        return [one[0] if len(one) == 1 else one for one in found]

    def preferences(self) -> Any:
        return Preferences(**self.kept)

    def remember(self, **ui: object) -> None:
        self.kept["ui"] = {**self.kept["ui"], **ui}

    def state(self) -> Any:
        return self.now

    def events(self, max_count: int) -> list[Any]:
        taken, self.unread = self.unread[:max_count], self.unread[max_count:]
        return taken

    def session_ns(self) -> int | None:
        return self.now_ns

    def remember_code(self, with_code: bool, own_code: str) -> None:
        self.kept["with_code"], self.kept["own_code"] = with_code, own_code

    def set_volume(self, volume: float, muted: bool = False) -> None:
        self.kept["volume"], self.kept["muted"] = volume, muted
        self.calls.append(("set_volume", 0.0 if muted else volume))

    def set_role(self, role: Role) -> None:
        self.kept["role"] = role
        self.calls.append(("set_role", role))

    def choose_output(self, name: str | None) -> None:
        self.kept["device"] = name
        self.calls.append(("choose_output", name))

    def close(self) -> None:
        self.closed = True

    def __getattr__(self, name: str) -> Callable[..., None]:
        if not hasattr(Program, name):
            raise AttributeError(name)
        return lambda *arguments: self.calls.append((name, *arguments))


# -- input -------------------------------------------------------------------------------------------------------------


def until(window: Any, true: Callable[[], object], seconds: float = TIMEOUT_S) -> None:
    """Process the window's events until `true()`; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"timeout; the window shows {texts(window)}"
        window.update()
        time.sleep(0.005)


def settle(window: Any) -> None:
    """Run the pump now, until it has delivered all events."""
    pump, ran = window._pump, False
    while window.program.unread or not ran:
        window.tk.call("after", "cancel", pump._after)  # `after_cancel` would delete the command of all ticks
        pump._after = tick = window.after(0, pump._tick)
        until(window, lambda tick=tick: pump._after != tick)
        ran = True
    window.update()


def go(window: Any, where: str) -> None:
    """Go to a screen, or open an overlay."""
    name = f"go_{where}" if where in ("home", "create", "browse") else f"open_{where}"
    getattr(window, name)()
    window.update()


def show(window: Any, state: Any) -> Any:
    """Let the program have this state; returns the screen."""
    first = window.program.now is None
    window.program.now = state
    if first:
        window.program.unread.append(Opened())
    settle(window)
    return window.screen


def deliver(window: Any, *events: Any) -> None:
    """Let the program report these events."""
    window.program.unread += events
    settle(window)


def forget(window: Any) -> None:
    """Let go of all objects of a closed window, which customtkinter keeps. tests/gui/conftest.py frees them."""
    vars(window).clear()


def click(widget: Any, x: int | None = None, y: int | None = None, *, state: int = 0) -> None:
    """Press and release the button at a place in a widget; by default its middle."""
    x = widget.winfo_width() // 2 if x is None else x
    y = widget.winfo_height() // 2 if y is None else y
    top = widget.winfo_toplevel()
    assert widget.winfo_viewable(), "only a visible widget can be clicked"
    widget.event_generate("<Motion>", x=x, y=y)
    widget.event_generate("<ButtonPress-1>", x=x, y=y, state=state)
    widget.event_generate("<ButtonRelease-1>", x=x, y=y, state=state)
    top.update()


def drag(widget: Any, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Press at one place, move, release at the other."""
    widget.event_generate("<Motion>", x=start[0], y=start[1])
    widget.event_generate("<ButtonPress-1>", x=start[0], y=start[1])
    for share in (0.2, 0.6, 1.0):
        x, y = (round(a + (b - a) * share) for a, b in zip(start, end, strict=True))
        widget.event_generate("<B1-Motion>", x=x, y=y)
        widget.winfo_toplevel().update()
    widget.event_generate("<ButtonRelease-1>", x=end[0], y=end[1])
    widget.winfo_toplevel().update()


def press(window: Any, sequence: str, **options: Any) -> None:
    """Send a key to the widget that has the focus."""
    if window.focus_get() is None:  # another window has the keyboard
        (window.focus_lastfor() or window).focus_force()
        window.update()
    (window.focus_get() or window).event_generate(sequence, **options)
    if window.tk.call("info", "commands", ".") != "":
        window.update()


def paste(window: Any, text: str) -> None:
    """Let the clipboard have this text, and paste it."""
    window.clipboard_clear()
    window.clipboard_append(text)
    press(window, "<Control-v>")


def row(rows: Any, index: int) -> tuple[int, int]:
    """A place in the title of that row."""
    return 90, index * ROW_HEIGHT + ROW_HEIGHT // 2


def action(rows: Any, index: int, name: str) -> tuple[int, int]:
    """The place of one of the small buttons of that row."""
    one = rows.rows[index]
    at = [what for what, _, _ in one.actions].index(name)
    painter = rows._painter
    return painter.action_places(one)[at] + 16, index * rows._view.row_height + painter._action_y(name)


# -- output -----------------------------------------------------------------------------------------------------------


def tree(widget: Any) -> Iterator[Any]:
    """The widget and its visible descendants."""
    if widget.winfo_viewable():
        yield widget
        for child in widget.winfo_children():
            if child.winfo_class() not in ("Menu", "Toplevel"):
                yield from tree(child)


def texts(widget: Any) -> list[str]:
    """All visible texts."""
    return [text for one in tree(widget) for text in own_texts(one) if text]


def own_texts(widget: Any) -> list[str]:
    """The visible texts of a widget without those of its descendants."""
    if widget.winfo_class() == "Label":
        return [str(widget.cget("text"))]
    if widget.winfo_class() != "Canvas":
        return []
    items = [item for item in widget.find_all() if widget.type(item) == "text"]
    return [widget.itemcget(item, "text") for item in items if widget.itemcget(item, "state") != "hidden"]


def all_texts(widget: Any) -> Iterator[str]:
    """All texts of the visible widgets, complete: also those that appear under the pointer, in entries and in menus."""
    from phaselock.ui.widgets.rows import RowList

    for one in tree(widget):
        rows = one.rows if isinstance(one, RowList) else ()
        for shown in rows:
            yield from (shown.title, shown.subtitle, shown.right, shown.tooltip, *(shown.chip or ())[:1])
            yield from (tooltip for _, _, tooltip in shown.actions)
        tooltip = getattr(one, "_tooltip", "")
        yield tooltip() if callable(tooltip) else tooltip
        if hasattr(one, "_dropdown_menu"):
            yield from one.cget("values")
        if one.winfo_class() == "Entry":
            yield one.get()
        elif hasattr(one, "_text") and one.winfo_class() == "Canvas":
            yield one._text
        elif not rows:
            yield from own_texts(one)


def screen(window: Any) -> str:
    """The class name of the screen."""
    return type(window.screen).__name__


def toasts(window: Any) -> tuple[str, ...]:
    """The texts of the toasts, oldest first."""
    return tuple(window.toasts.texts)


def commands(window: Any) -> list[Any]:
    """The commands that the session received."""
    return list(window.program.of("command"))


def reads(widget: Any, words: str) -> bool:
    """Whether a visible text contains these words."""
    return any(words in text for text in texts(widget))


def button(widget: Any, words: str) -> Any:
    """The button with this text or tooltip."""
    found = [one for one in tree(widget) if words in (getattr(one, "_text", None), getattr(one, "_tooltip", None))]
    assert len(found) == 1, f"{words}: {found}"
    return found[0]


def controls(widget: Any) -> list[Any]:
    """All visible widgets that react to keys."""
    from phaselock.ui.widgets.base import Drawing

    wanted = []
    for one in tree(widget):
        takes = isinstance(one, Drawing) and str(one.cget("takefocus")) not in ("0", "")
        if takes or one.winfo_class() in ("Entry", "Menubutton") or hasattr(one, "_dropdown_menu"):
            wanted.append(one)
    return wanted


def walk(window: Any) -> list[Any]:
    """The widgets that Tab reaches, in order, each once."""
    reached: list[Any] = []
    for _ in range(100):
        press(window, "<Tab>")
        one = window.focus_get()
        if one in reached:
            break
        reached.append(one)
    return reached


# -- the real window, in a child process -------------------------------------------------------------------------------


class Remote:
    """A window in a child process, which executes the commands of `commands_of`."""

    def __init__(
        self,
        home: pathlib.Path,
        *,
        prefix: Sequence[str] = (),
        python: Sequence[str] = (sys.executable,),
        bind: str = "127.0.0.1",
    ) -> None:
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [*prefix, *python, "-m", "tests.support.window_driver", bind],
            cwd=ROOT,
            env={**os.environ, "PHASELOCK_HOME": os.fspath(home), "PHASELOCK_SCALE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def do(self, name: str, *arguments: Any) -> Any:
        """Execute a command; its result. One JSON line each way."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps([name, arguments]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, self.process.communicate()[1]
        value = json.loads(answer)
        assert "raised" not in value, value
        return value["value"]

    def wait_until(self, name: str, *arguments: Any, true: Callable[[Any], object] = bool) -> None:
        """Repeat a command until `true` of its result."""
        end = time.monotonic() + TIMEOUT_S
        while not true(value := self.do(name, *arguments)):
            assert time.monotonic() < end, (name, arguments, value, self.do("texts"))
            time.sleep(0.02)

    def wait_for(self, name: str, expected: Any) -> None:
        """Repeat a command without arguments until its result is `expected`."""
        self.wait_until(name, true=lambda value: value == expected)

    def end(self) -> tuple[int, str, str]:
        """After the window has closed: exit status, standard output and standard error."""
        assert self.process.stdout and self.process.stderr
        output, errors = self.process.stdout.read(), self.process.stderr.read()
        return self.process.wait(TIMEOUT_S), output.strip(), errors.strip()

    def kill(self) -> None:
        """Kill the process if it runs."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream
            with contextlib.suppress(OSError):
                stream.close()


def commands_of(window: Any) -> dict[str, Callable[..., Any]]:
    """The commands that a window in a child process executes, by name."""
    from phaselock.ui.viewmodel import position_s

    program = window.program
    return {
        "host": program.host,
        "address": lambda: program.state().address,
        "create": window.go_create,
        "click": lambda words: click(button(window, words)),
        "click_row": lambda index: click(window.screen.rows, *row(window.screen.rows, index)),
        "enter": lambda field, text: getattr(window.screen, field).set(text),
        "submit": lambda: window.screen.submit(),
        "paste": lambda text: paste(window, text),
        "choose_song": lambda path: setattr(window, "ask_song", lambda: path),
        "close": window.close,
        "agree": lambda: window._question.act.invoke(),
        "log_out": lambda: window.tk.call(window.protocol("WM_SAVE_YOURSELF")),
        "screen": lambda: screen(window),
        "title": window.title,
        "iconify": window.iconify,
        "state": window.state,
        "texts": lambda: texts(window),
        "reads": lambda words: reads(window, words),
        "toasts": lambda: list(window.toasts.texts),
        "waiting": lambda: list(window.waiting),
        "queue": lambda: [one.title for one in window.screen.queue.rows],
        "stopped": lambda: program.state().snapshot.timeline.stop_session_ns is not None,
        "position_s": lambda: position_s(program.state(), program.session_ns()),
    }


def run_child() -> None:
    """The other side of `Remote`. After the window has closed, write the names of the threads that are left."""
    from phaselock.app.window import WindowProgram
    from phaselock.ui.window import Window

    program = WindowProgram("null")
    program.bind = sys.argv[1]
    window: Any = Window(program)
    window.geometry("1100x720+1200+0")
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    reader = threading.Thread(target=lambda: [lines.put(line) for line in sys.stdin], daemon=True)
    reader.start()
    commands = commands_of(window)

    def execute() -> None:
        while not lines.empty():
            name, arguments = json.loads(lines.get())
            try:
                answer = {"value": commands[name](*arguments)}
            except Exception as error:
                answer = {"raised": repr(error)}
            print(json.dumps(answer), flush=True)
        if not window._closing:
            window.after(10, execute)

    window.update()
    execute()
    window.run()
    left = [one.name for one in threading.enumerate() if one not in (threading.main_thread(), reader)]
    print(json.dumps(left), flush=True)


if __name__ == "__main__":
    run_child()
