"""The microphone in the window: which one, whether the host may listen by it, and the question of a host."""

from __future__ import annotations

from typing import Any

import pytest

from phaselock.model.notices import Code, Notice
from phaselock.model.snapshot import CalibrationView, MicrophoneView
from phaselock.session import events as e
from phaselock.session.commands import Calibrate
from phaselock.ui.backend import Inputs, SessionEvent
from phaselock.ui.viewmodel.calibration import calibration_share, calibration_text
from tests.support.session_views import guest, host, peer
from tests.support.window_driver import button, click, commands, deliver, go, reads, show

pytestmark = [pytest.mark.gui, pytest.mark.slow]


def microphone(*, permitted: bool = False, asked: bool = False, listening: bool = False) -> MicrophoneView:
    return MicrophoneView(permitted, asked, listening)


def test_the_question_of_the_host_is_allowed_or_refused(window: Any) -> None:
    show(window, guest(microphone=microphone()))
    for text, allowed in (("Allow", True), ("No", False)):
        show(window, guest(microphone=microphone(asked=True)))
        assert reads(window.screen, "Hana wants to listen by this machine's microphone for about 15 seconds")
        click(button(window.screen, text))
        assert window.program.of("answer_microphone")[-1] is allowed
        show(window, guest(microphone=microphone()))
        assert not reads(window.screen, "Hana wants to listen")


def test_the_screen_says_that_the_host_listens(window: Any) -> None:
    show(window, guest(microphone=microphone(listening=True)))
    assert reads(window.screen, "The host listens by this microphone.")
    show(window, guest(microphone=microphone()))
    assert reads(window.screen, "Connected") and not reads(window.screen, "The host listens")


def test_a_peer_permits_its_microphone_in_the_sound_panel(window: Any) -> None:
    show(window, guest(microphone=microphone()))
    go(window, "sound")
    part = window.overlay.microphone
    assert part.permission.get() == "Ask me first"
    part.permission.choose("Until I leave the jam")
    assert window.program.of("permit_microphone") == [True]
    show(window, guest(microphone=microphone(permitted=True)))
    assert part.permission.get() == "Until I leave the jam"
    part.permission.choose("Ask me first")
    assert window.program.of("permit_microphone")[-1] is False


def test_the_input_is_chosen_in_the_sound_panel(window: Any) -> None:
    show(window, host(peer()))
    go(window, "sound")
    part = window.overlay.microphone
    assert part.permission is None and part.input.get() == "Default"
    deliver(window, Inputs(("Built-in", "USB")))
    assert part.input.texts == ["Default", "Built-in", "USB"]
    part.input.choose("USB")
    deliver(window, Inputs(("Built-in",)))  # it was unplugged, and stays the chosen one
    assert part.input.texts[-1] == part.input.get() == "USB"
    part.input.choose("Default")
    assert window.program.of("choose_microphone") == ["USB", None]


def test_the_host_sees_who_has_allowed_its_microphone(window: Any) -> None:
    show(window, host(peer(), peer("Kitchen", 2, microphone=True)))
    go(window, "sync")
    part = window.overlay.calibration
    assert part.listener.texts == ["This machine", "Ben (will be asked)", "Kitchen"]
    part.listener.choose("Ben (will be asked)")
    show(window, host(peer(microphone=True), peer("Kitchen", 2)))
    assert part.listener.get() == "Ben"
    click(button(part, "Calibrate speakers"))
    assert commands(window) == [Calibrate("Ben")]


def test_a_listener_that_has_left_is_no_longer_chosen(window: Any) -> None:
    show(window, host(peer(), peer("Kitchen", 2, microphone=True)))
    go(window, "sync")
    part = window.overlay.calibration
    part.listener.choose("Kitchen")
    show(window, host(peer()))
    assert part.listener.get() == "This machine"


def test_the_host_waits_for_an_answer() -> None:
    asking = CalibrationView("Ben", False, 0, 0, (), asking=True)
    assert calibration_text(asking, 10**12) == "Ben is asked whether its microphone may listen…"
    assert calibration_share(asking, 10**12) == 0


def test_a_fault_is_a_toast(window: Any) -> None:
    show(window, host(peer()))
    deliver(window, SessionEvent(e.Failed(None, Notice(Code.MICROPHONE_LOST, peer="Ben"))))
    assert "The microphone of Ben was unplugged, or it stopped." in [one.text for one in window.toasts._toasts]
