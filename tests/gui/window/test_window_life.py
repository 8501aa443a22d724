"""The window: its stored settings, its pump, the desktop."""

from __future__ import annotations

import dataclasses
import gc
import os
import signal
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from phaselock.os_packages import tk_advice
from phaselock.ui.backend import ArtworkRead, Closed, SessionClock
from phaselock.ui.signals import ended_by_signals
from tests.support.session_views import WISH, host, peer, playing
from tests.support.window_driver import ROOT, FakeProgram, deliver, go, press, settle, show, until

pytestmark = [pytest.mark.gui, pytest.mark.slow]


# -- window and pump ---------------------------------------------------------------------------------------------------


def test_position_volume_and_output_are_stored(make: Callable[..., Any]) -> None:
    program = FakeProgram()
    window = make(program)
    window.geometry("1000x640+30+40")
    window.update()
    show(window, host())
    press(window, "<Control-Key-Up>")
    program.now = None
    window.close()
    assert program.kept["ui"] == {"geometry": "1000x640+30+40"} and program.kept["volume"] == 0.55
    again = make(FakeProgram(**program.kept))
    from phaselock.ui.placement import geometry

    assert geometry(program.kept["ui"]["geometry"], again) == "1000x640+30+40"
    assert show(again, host()).volume.value == 0.55
    assert geometry("1000x640+-8+0", again) == "1000x640+-8+0"
    assert geometry("1000x640", again) == "1000x640"
    for useless in (None, 7, "big", "100x100+0+0", "1000x640+99999+0", "1000x640+0+99999", "1000x640+-5000+0"):
        assert geometry(useless, again) == "1100x720"


def test_a_position_that_the_user_has_not_chosen_is_not_stored(make: Callable[..., Any]) -> None:
    program = FakeProgram()
    window = make(program)  # a window manager would put it somewhere, too
    window.geometry("1000x640")
    window.update()
    window.close()
    assert program.kept["ui"]["geometry"] == "1000x640"
    program = FakeProgram(ui={"geometry": "1000x640+0+0"})
    window = make(program)
    window.close()
    assert program.kept["ui"]["geometry"] == "1100x720+0+0", "a position that was once chosen stays"


@pytest.mark.parametrize(
    ("screen", "first"), [((900, 600), "900x560"), ((1024, 600), "1024x560"), ((1280, 800), "1100x720")]
)
def test_a_window_leaves_room_for_its_title_bar(
    window: Any, monkeypatch: pytest.MonkeyPatch, screen: tuple[int, int], first: str
) -> None:
    from phaselock.ui.placement import MIN_SIZE, fits, geometry

    monkeypatch.setattr(type(window), "winfo_screenwidth", lambda _self: screen[0])
    monkeypatch.setattr(type(window), "winfo_screenheight", lambda _self: screen[1])
    assert geometry(None, window) == first == geometry("{}x{}+0+0".format(*screen), window)
    assert window.tk.call("wm", "minsize", ".") == MIN_SIZE and fits(1.0, window)
    assert not fits(screen[1] / MIN_SIZE[1], window)


def test_unchanged_parts_are_not_drawn(window: Any) -> None:
    state = playing(peer(), requests=(WISH,))
    shown = show(window, state)
    drawn: list[str] = []
    for name in ("peers", "queue", "requests"):
        getattr(shown, name).set_rows = lambda rows, name=name: drawn.append(name)
    shown._title.configure = shown._subtitle.configure = lambda **_options: drawn.append("header")
    shown.playing._song.configure = shown.playing._sentence.configure = lambda **_options: drawn.append("playing")
    for same in (dataclasses.replace(state), playing(peer(), requests=(WISH,))):
        show(window, same)
    assert drawn == []
    show(window, playing(peer(rtt_ns=50_000_000), requests=(WISH,)))
    assert drawn == ["peers"]


def test_a_view_with_another_clock_is_compared_once_a_second(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from phaselock.ui import pump

    now_s = [0.0]
    monkeypatch.setattr(pump.time, "perf_counter", lambda: now_s[0])
    shown, seen = show(window, state := playing()), []
    shown.on_state = seen.append
    for offset_ns in (1, 2):
        show(window, dataclasses.replace(state, clock=SessionClock(0, offset_ns, 0.0)))
    assert seen == [] and window.program.now.clock.offset_ns == 2
    now_s[0] = pump.STATE_AGAIN_S
    show(window, last := dataclasses.replace(state, clock=SessionClock(0, 3, 0.0)))
    assert seen == [last]


def test_the_pump_goes_on_after_a_failure_and_loses_nothing(window: Any) -> None:
    shown = show(window, playing())
    taken: list[Any] = []

    def on_event(event: Any) -> None:
        taken.append(event)
        if len(taken) == 2:
            raise ValueError("once")

    shown.on_event = on_event
    events = [ArtworkRead(UUID(int=number), 40, True, None) for number in range(6)]
    deliver(window, *events)
    assert taken == events and [str(error) for error in window.raised] == ["once"]
    window.raised.clear()
    shown.tick = lambda _ns: (_ for _ in ()).throw(ValueError("always"))
    show(window, playing(peer()))
    until(window, lambda: len(window.raised) > 3)
    assert len(shown.peers.rows) == 1
    del shown.tick
    window.raised.clear()


def test_a_silent_window_seldom_ticks_until_somebody_uses_it(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from phaselock.ui import pump

    now_s = [0.0]
    monkeypatch.setattr(pump.time, "perf_counter", lambda: now_s[0])
    clock = window._pump
    clock._state = None
    assert clock._wait_ms() == pump.IDLE_TICK_MS
    clock._state = playing()
    assert clock._wait_ms() < pump.IDLE_TICK_MS
    clock._state = host()
    assert clock._wait_ms() == pump.IDLE_TICK_MS
    waiting = clock._after
    window.event_generate("<ButtonPress-3>")
    assert clock._after != waiting, "the next tick comes sooner"
    assert clock._wait_ms() == pump.CALM_TICK_MS
    now_s[0] = pump.ALERT_S
    assert clock._wait_ms() == pump.IDLE_TICK_MS
    window.event_generate("<KeyPress-x>")
    assert clock._wait_ms() == pump.CALM_TICK_MS


def test_a_key_during_a_tick_begins_no_second_row_of_ticks(window: Any) -> None:
    """An event may ask the user something, and wait for the answer."""
    clock = window._pump
    clock._alert_until_s = 0.0
    waiting: list[Any] = []

    def on_event(_event: Any) -> None:
        window.event_generate("<KeyPress-x>")
        waiting.append(clock._after)

    window.on_event = on_event
    window.program.unread = ["asked"]
    until(window, lambda: bool(waiting))
    assert waiting == [None]


def test_the_pump_limits_the_time_for_events(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from phaselock.ui import pump

    clock = [0.0]
    monkeypatch.setattr(pump.time, "perf_counter", lambda: clock[0])
    taken: list[Any] = []
    window.on_event = lambda event: (taken.append(event), clock.__setitem__(0, clock[0] + 0.0015))
    window.program.unread = list(range(100))
    pump.Pump(window, window.program, window)._deliver()
    assert len(taken) == 3 and window.program.unread == list(range(3, 100))


def test_garbage_is_collected_on_the_thread_of_the_window(window: Any) -> None:
    """A Tk object that another thread collects would have to wait for this thread."""
    ends: list[threading.Thread] = []

    class Loop:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            ends.append(threading.current_thread())

    Loop()
    other = threading.Thread(target=lambda: [[number] for number in range(200_000)])
    other.start()
    other.join()
    assert ends == []
    kept = [[number] for number in range(200_000)]
    until(window, lambda: ends)
    assert kept and ends == [threading.main_thread()]
    window.close()
    assert gc.isenabled()


def test_nothing_is_left_when_the_window_has_closed(make: Callable[..., Any]) -> None:
    window = make()
    show(window, playing(peer(), requests=(WISH,)))
    go(window, "sync")
    window.show_toast("Soon over")
    window.screen.transport.play.event_generate("<Enter>", x=5, y=5)
    scheduled: list[Any] = []
    destroy = window.destroy
    window.destroy = lambda: (scheduled.extend(window.tk.splitlist(window.tk.call("after", "info"))), destroy())
    window.close()
    window._question.act.invoke()
    window.close()
    assert window.program.closed
    assert not [one for one in scheduled if "_tick" in str(one)]


def test_an_idle_window_has_one_timer(window: Any) -> None:
    """Without a session only the pump is scheduled, after customtkinter has set up the window."""
    settle(window)
    until(window, lambda: len(window.tk.splitlist(window.tk.call("after", "info"))) == 1)


# -- the desktop -------------------------------------------------------------------------------------------------------


def as_on_windows(monkeypatch: pytest.MonkeyPatch, module: Any) -> None:
    """Let this module alone take its way of Windows."""
    monkeypatch.setattr(module, "sys", types.SimpleNamespace(**{**vars(sys), "platform": "win32"}))


def test_customtkinter_does_not_replace_the_icon_on_windows(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import tkinter

    from customtkinter.windows import ctk_tk

    as_on_windows(monkeypatch, ctk_tk)
    icons: list[Any] = []
    done: list[bool] = []
    set_icon, set_theirs = tkinter.Wm.wm_iconbitmap, ctk_tk.CTk._windows_set_titlebar_icon
    monkeypatch.setattr(tkinter.Wm, "wm_iconbitmap", lambda self, *which: icons.append(which) or set_icon(self, *which))
    monkeypatch.setattr(ctk_tk.CTk, "_windows_set_titlebar_icon", lambda self: done.append(set_theirs(self) is None))
    window = make()
    until(window, lambda: done)
    assert [which for which in icons if any(which)] == []


def test_windows_is_told_the_identity_of_the_program_before_the_window_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ctypes

    from phaselock.ui import theme

    as_on_windows(monkeypatch, theme)
    told: list[str] = []
    shell32 = types.SimpleNamespace(SetCurrentProcessExplicitAppUserModelID=told.append)
    monkeypatch.setattr(ctypes, "windll", types.SimpleNamespace(shell32=shell32), raising=False)
    theme.prepare()
    assert told == [theme.APP_USER_MODEL_ID]


@pytest.mark.parametrize("system", ["X and Windows", "macOS"])
def test_a_logout_closes_at_once_although_a_session_runs(window: Any, system: str) -> None:
    show(window, playing())
    # What Tk calls when the system asks to end the session.
    window.tk.call("::tk::mac::Quit" if system == "macOS" else window.protocol("WM_SAVE_YOURSELF"))
    assert window.program.closed


@pytest.mark.parametrize(
    "name", [name for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
)
def test_a_signal_closes_the_window_with_a_goodbye(window: Any, name: str) -> None:
    show(window, playing())
    number = getattr(signal, name)
    before = signal.signal(number, signal.default_int_handler)  # the tests may run where it is ignored
    try:
        window.after(0, signal.raise_signal, number)
        with ended_by_signals(lambda: window.after(0, window.end)):
            window.mainloop()
        assert window.program.closed
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)


def test_memory_is_freed_after_a_session_and_never_in_one(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phaselock.ui.window.TIDY_AFTER_MS", 0)
    show(window, playing())
    window.program.now = None
    deliver(window, Closed("Session ended.", failed=False))
    until(window, lambda: window.program.of("free_memory"))
    assert len(window.program.of("free_memory")) == 1
    show(window, playing())
    window._free_memory()  # a new session has begun within the second
    assert len(window.program.of("free_memory")) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither nohup nor background programs of a shell")
def test_of_the_ignored_signals_only_that_of_nohup_stays_ignored(window: Any) -> None:
    numbers = (signal.SIGHUP, signal.SIGINT)
    usual = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        with ended_by_signals(lambda: window.after(0, window.end)):
            ignored = [number for number in numbers if signal.getsignal(number) is signal.SIG_IGN]
        assert ignored == [signal.SIGHUP]
        assert [signal.getsignal(number) for number in numbers] == [signal.SIG_IGN] * 2
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def test_an_exception_in_a_callback_is_logged(
    window: Any, bugs: list[str], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    error = ValueError("nobody expected this")
    type(window).report_callback_exception(window, ValueError, error, None)
    assert "nobody expected this" in capfd.readouterr().err
    (record,) = caplog.records
    assert record.exc_info and record.exc_info[1] is error
    assert bugs == [f"a callback of the window failed: {error!r}"]


# -- without a window --------------------------------------------------------------------------------------------------


def no_window(*arguments: str, **environment: str) -> list[str]:
    """Standard error of `phaselock` without a command, where no window can be opened."""
    env = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env={**env, **environment}, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr.splitlines()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="there is always a screen")
def test_without_a_display_it_says_so(display: str) -> None:
    (words,) = no_window("-m", "phaselock")
    assert "no screen" in words and "phaselock host" in words and "phaselock join" in words


@pytest.mark.parametrize(
    ("module", "words"), [("tkinter", tk_advice()), ("_tkinter", tk_advice()), ("customtkinter", "customtkinter")]
)
def test_without_a_gui_library_it_says_what_to_install(module: str, words: str) -> None:
    (said,) = no_window(
        "-c", f"import sys; sys.modules[{module!r}] = None; from phaselock import cli; sys.exit(cli.main([]))"
    )
    assert words in said and "phaselock host" in said and "phaselock join" in said
    assert (tk_advice() in said) == (words == tk_advice())
