"""The overlays: sound, phase errors, shortcuts."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from phaselock.model.calibration import Calibration, OutputCalibration
from phaselock.model.transitions import Transitions
from phaselock.session import commands as c
from phaselock.session.events import RoleSet
from phaselock.ui.backend import Outputs, SessionEvent
from tests.support.session_views import CARD, QUEUE, guest, line, peer, playing
from tests.support.window_driver import (
    button,
    click,
    commands,
    deliver,
    go,
    press,
    reads,
    show,
    toasts,
)

pytestmark = [pytest.mark.gui, pytest.mark.slow]


@pytest.mark.parametrize("state", [playing(peer()), guest(now=QUEUE[0], timeline=line())], ids=["host", "peer"])
def test_escape_and_the_cross_close_an_overlay(window: Any, state: Any) -> None:
    shown = show(window, state)
    for control, words in ((button(shown, "Sound"), "Output"), (button(shown, "Details"), "underruns")):
        for close in (lambda: press(window, "<Key-Escape>"), lambda: click(button(window, "Close (Escape)"))):
            click(control)
            assert reads(window.overlay, words)
            if not window.overlay.beside:
                press(window, "<Key-space>")
                assert commands(window) == []
            close()
            assert window.overlay is None and shown.winfo_viewable()
    press(window, "<Key-question>")
    assert reads(window.overlay, "Play or pause")
    press(window, "<Key-Escape>")
    press(window, "<Key-Escape>")
    assert window.overlay is None


def test_the_keyboard_returns_to_the_widget_before_the_overlay(window: Any) -> None:
    details = button(show(window, playing()), "Details")
    while window.focus_get() is not details:
        press(window, "<Tab>")
    press(window, "<Key-Return>")
    press(window, "<Tab>")
    assert window.overlay is not None and window.focus_get() is not details
    press(window, "<Key-Escape>")
    assert window.focus_get() is details and details.keyboard
    click(details)
    press(window, "<Key-Escape>")
    assert window.focus_get() is window, "and a click leaves no ring"


def test_the_output_is_chosen_and_its_delay_corrected(window: Any) -> None:
    show(window, playing(own=CARD))
    go(window, "sound")
    sound = window.overlay
    assert window.program.of("list_outputs") == [()]
    assert reads(sound, "Playing on Card, delay 10\N{NARROW NO-BREAK SPACE}ms.")
    assert sound.correction.get() == "0 ms"
    deliver(window, Outputs(("Card", "Headphones")))
    assert sound.output.texts == ["Default output", "Card", "Headphones"]
    for name in ("Headphones", "Default output"):
        sound.output.choose(name)
    assert window.program.of("choose_output") == ["Headphones", None]
    assert sound.role.texts == ["Stereo", "Left", "Right", "Mono"] and sound.role.get() == "Stereo"
    sound.role.choose("Right")
    assert window.program.of("set_role") == ["right"]
    deliver(window, SessionEvent(RoleSet(None, "left")))
    assert sound.role.get() == "Left"
    for name, says in (("+10", "10 ms earlier"), ("−1", "9 ms earlier"), ("−10", "1 ms later"), ("+1", "Saved.")):
        click(button(sound, name))
        assert reads(sound, says) and reads(sound, "Saved."), "a step takes effect at once"
    assert window.program.of("set_correction_ms") == [10.0, 9.0, -1.0, 0.0]
    window.program.calls.clear()
    for text, valid in (("-12,5", True), ("2001", False), ("nan", False), ("much", False), ("", False), ("2000", True)):
        sound.correction.set(text)
        sound.correction.entry.event_generate("<Key-Return>")
        sound._correct()
        assert reads(sound, "A number from −2000 to 2000, please.") != valid
    assert set(window.program.of("set_correction_ms")) == {-12.5, 2000.0}
    click(button(sound, "+10"))
    assert window.program.of("set_correction_ms")[-1] == 2000.0
    show(window, playing(own=dataclasses.replace(CARD, device_name=None)))
    assert reads(sound, "No audio output detected.")


def test_the_menu_of_outputs_is_as_wide_as_its_field(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from phaselock.ui.widgets import choice

    widths: list[int] = []
    monkeypatch.setattr(choice, "popup", lambda *_place, least_width: widths.append(least_width))
    show(window, playing(own=CARD))
    go(window, "sound")
    click(window.overlay.output)
    assert widths == [window.overlay.output.winfo_width()]
    panel = window.overlay.panel
    assert button(panel.header, "Display").winfo_viewable(), "no text is indented against those of the body"


def test_what_a_microphone_has_heard_is_shown_and_can_be_forgotten(window: Any) -> None:
    show(window, playing(own=CARD))
    go(window, "sound")
    sound = window.overlay
    assert reads(sound, "Heard too late: press +") and not sound._forget.winfo_viewable()
    heard = OutputCalibration(Calibration(182.4, 0.05, 1_795_000_000.0, 12.0, "Sofa", "spot"))
    show(window, playing(own=dataclasses.replace(CARD, calibration=heard)))
    assert reads(sound, "It plays 182.4 ms earlier because of that.") and not sound._use.winfo_viewable()
    click(button(sound, "Forget calibration"))
    assert window.program.of("forget_calibration") == [()]
    aside = dataclasses.replace(heard, set_aside=True, latency_ms=212.0)
    show(window, playing(own=dataclasses.replace(CARD, calibration=aside)))
    assert reads(sound, "Calibrated for another output (latency 12 ms then, 212 ms now).")
    click(button(sound, "Use it anyway"))
    assert window.program.of("use_calibration") == [()] and button(sound, "Forget calibration")
    other = OutputCalibration(elsewhere="Kitchen bar")
    show(window, playing(own=dataclasses.replace(CARD, calibration=other)))
    assert reads(sound, "Calibrated for another output (Kitchen bar). No microphone has heard this one.")
    show(window, playing(own=CARD))
    assert reads(sound, "Heard too late: press +") and not sound._forget.winfo_viewable()


def test_a_trim_is_shown_and_can_be_forgotten(window: Any) -> None:
    show(window, guest(own=dataclasses.replace(CARD, trim_db=-6.2)))
    go(window, "sound")
    sound = window.overlay
    click(button(sound, "Trim −6.2 dB: forget"))
    assert window.program.of("forget_trim") == [()] and not sound._forget.winfo_viewable()
    heard = OutputCalibration(Calibration(182.4, 0.05, 1_795_000_000.0, 12.0, "Sofa", "spot"))
    kept = dataclasses.replace(CARD, trim_db=-12.0, calibration=heard)
    show(window, guest(own=kept))
    assert button(sound, "Trim −12.0 dB: forget").winfo_viewable() and sound._forget.winfo_viewable()
    show(window, guest(own=CARD))
    assert not sound._forget_trim.winfo_viewable() and not sound._forget.winfo_viewable()


@pytest.mark.parametrize("state", [playing(own=CARD), guest(now=QUEUE[0], timeline=line())], ids=["host", "peer"])
def test_sound_takes_the_place_of_the_queue_and_leaves_the_player(window: Any, state: Any) -> None:
    shown = show(window, state)
    before = shown.playing.winfo_rootx(), shown.playing.winfo_width()
    place = shown._queue_panel.winfo_rootx(), shown._queue_panel.winfo_width()
    click(button(shown, "Sound"))
    window.update()
    assert not shown.queue.winfo_viewable() and shown.playing.seekbar.winfo_viewable()
    assert (shown.playing.winfo_rootx(), shown.playing.winfo_width()) == before
    assert (window.overlay.winfo_rootx(), window.overlay.winfo_width()) == place
    press(window, "<Control-Key-Up>")
    assert window.program.of("set_volume") == [0.55], "the keys of the player work"
    press(window, "<Key-Escape>")
    window.update()
    assert window.overlay is None and shown.queue.winfo_viewable()
    assert (shown._queue_panel.winfo_rootx(), shown._queue_panel.winfo_width()) == place


def test_the_smallest_window_has_room_for_the_whole_panel(window: Any) -> None:
    window.geometry("900x600")
    name = "Built-in Audio Analog Stereo (HDA Intel PCH)"
    show(window, playing(own=dataclasses.replace(CARD, device_name=name, timing="unknown")))
    go(window, "sound")
    last = button(window.overlay, "Display")
    assert last.winfo_height() == last.winfo_reqheight()


def test_the_host_chooses_how_loud_songs_play_and_how_they_follow_each_other(
    window: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from phaselock.ui.screens import host_queue

    menus: list[Any] = []
    monkeypatch.setattr(host_queue, "popup", lambda _widget, items, _x, _y: menus.append(items))
    plain = playing(own=CARD)
    chosen = Transitions(11.0, skip_silence=True)
    other = dataclasses.replace(plain.snapshot, loudness_lufs=-14.0, transitions=chosen)
    show(window, plain)
    click(button(window.screen._queue_panel, "More"))
    dict(menus[0])["Loudness and crossfade"]()
    window.update()
    songs = window.overlay
    assert reads(songs, "Crossfade") and songs.crossfade.cget("text") == "Off" and not songs.shorter.enabled
    click(songs.even)
    click(songs.longer)
    click(songs.silence)
    show(window, dataclasses.replace(plain, snapshot=other))
    assert songs.crossfade.cget("text") == "11 s"
    click(songs.even)
    click(songs.shorter)
    click(songs.longer)
    assert commands(window) == [
        c.SetLoudness(-16.0),
        c.SetTransitions(Transitions(1.0)),
        c.SetTransitions(Transitions(skip_silence=True)),
        c.SetLoudness(None),
        c.SetTransitions(Transitions(10.0, skip_silence=True)),
        c.SetTransitions(Transitions(12.0, skip_silence=True)),
    ]


def test_sound_without_a_session_and_with_a_missing_output(make: Callable[..., Any]) -> None:
    window = make(device="USB")
    click(button(window, "Ana  ·  Sound: USB"))
    sound = window.overlay
    deliver(window, Outputs(("Card",)))
    assert sound.output.texts == ["Default output", "Card", "USB"] and sound.output.get() == "USB"
    assert not sound.correction.winfo_viewable()
    sound.output.choose("Card")
    press(window, "<Key-Escape>")
    assert reads(window, "Ana  ·  Sound: Card"), "the first screen shows the chosen output"


def test_the_sync_overlay_shows_and_exports_the_phase_errors(window: Any, tmp_path: pathlib.Path) -> None:
    shown = show(window, playing(peer()))
    click(button(shown, "Details"))
    sync = window.overlay
    assert reads(sync, "Both speakers within 0.03") and reads(sync, "Ben") and reads(sync, "+3.1")
    target = tmp_path / "sync.csv"
    window.ask_save = lambda name: str(target) if name == "phaselock-sync.csv" else ""
    click(button(sync, "Export as CSV"))
    assert target.read_bytes() == window.history.csv().encode()
    head, *lines = window.history.csv().splitlines()
    assert head.startswith("time_s,machine,phase_error_us") and len(lines) == 2
    assert toasts(window) == (f"Saved as {target}",)
    window.ask_save = lambda name: str(tmp_path)
    click(button(sync, "Export as CSV"))
    with pytest.raises(OSError) as refused:
        tmp_path.write_text("")
    assert toasts(window)[-1] == f"Cannot write {tmp_path}: {refused.value.strerror}"
    window.ask_save = lambda name: ""
    click(button(sync, "Export as CSV"))
    assert len(toasts(window)) == 2
    cells = sync._table.winfo_children()
    show(window, playing(peer(phase_error_ns=400_000)))
    assert reads(sync, "Both speakers within 0.4") and reads(sync, "0.4")
    assert sync._table.winfo_children() == cells, "labels are reused"
    show(window, playing(own=CARD))
    assert reads(sync, "This speaker plays alone.") and not reads(sync._table, "Ben")
