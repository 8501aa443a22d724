"""The calibration of the loudspeakers in the Sync overlay of the host."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest

from phaselock.model.calibration import Confirmation
from phaselock.model.notices import Code, Notice
from phaselock.model.snapshot import CalibrationView, CalibrationWait, CheckView
from phaselock.model.sweeps import Verdict
from phaselock.session import events as e
from phaselock.session.commands import Calibrate, CalibrateNext, Check, StopCalibration, StopCheck
from phaselock.ui.backend import SessionEvent
from phaselock.ui.viewmodel.calibration import calibration_share, calibration_text
from tests.support.session_views import guest, peer, playing
from tests.support.window_driver import button, click, commands, deliver, go, reads, show, texts

pytestmark = [pytest.mark.gui, pytest.mark.slow]
RUNNING = CalibrationView("Ana", False, 10**9, 2 * 10**9, ((0, "Ana"), (500_000_000, "Ben"), (10**9, "Ana")))


def running(view: CalibrationView) -> Any:
    state = playing(peer(), peer("Kitchen", 2))
    return dataclasses.replace(state, snapshot=dataclasses.replace(state.snapshot, calibration=view))


def test_a_click_calibrates_and_shows_who_plays_and_the_result(window: Any) -> None:
    show(window, playing(peer(), peer("Kitchen", 2)))
    go(window, "sync")
    part = window.overlay.calibration
    click(button(part, "Calibrate speakers"))
    assert commands(window) == [Calibrate(None)]
    window.program.now_ns = RUNNING.begin_session_ns + 600_000_000
    show(window, running(RUNNING))
    part.tick()
    assert reads(part, "Listening: Ben plays.")
    click(button(part, "Stop"))
    assert commands(window)[-1] == StopCalibration()
    rows = (
        e.CalibratedRow("Ana", Verdict.HEARD, 0.0, 0.0, 0.0, 0.0),
        e.CalibratedRow("Ben", Verdict.NOT_HEARD, None, None, 0.0, None),
        e.CalibratedRow("Kitchen", Verdict.HEARD, 182.4, 0.02, 182.4, 6.2),
    )
    show(window, playing(peer(), peer("Kitchen", 2)))
    deliver(window, SessionEvent(e.Calibrated(1, "Ana", rows)))
    assert reads(part, "Kitchen was 182.4 ms late; now within 0.1 ms.") and reads(part, "Heard at ")
    assert reads(part, "Calibrate speakers") and reads(part, "Ben was not heard.")


def test_a_click_checks_while_music_plays(window: Any) -> None:
    show(window, playing(peer(), peer("Kitchen", 2)))
    go(window, "sync")
    part = window.overlay.calibration
    click(button(part, "Check"))
    assert commands(window) == [Check(None)]
    view = CheckView("Ana", 10**9, 9 * 10**9, ((0, "Ana"), (3 * 10**9, "Kitchen"), (6 * 10**9, "Ana")))
    state = playing(peer(), peer("Kitchen", 2))
    show(window, dataclasses.replace(state, snapshot=dataclasses.replace(state.snapshot, check=view)))
    for now_ns, text in (
        (0, "The microphone of Ana listens. The machines play in turns."),
        (5 * 10**9, "Listening: Kitchen plays."),
        (11 * 10**9, "Comparing what was heard…"),
    ):
        window.program.now_ns = now_ns
        part.tick()
        assert reads(part, text)
    click(button(part, "Stop"))
    assert commands(window)[-1] == StopCheck()
    rows = (
        e.CheckedRow("Ana", Verdict.HEARD, 0.0),
        e.CheckedRow("Ben", Verdict.NOISE, None),
        e.CheckedRow("Kitchen", Verdict.HEARD, -4.21),
    )
    show(window, state)
    deliver(window, SessionEvent(e.Checked(1, "Ana", rows)))
    assert reads(part, "Kitchen is 4.2 ms early.") and reads(part, "To correct that, calibrate the speakers.")
    assert reads(part, "Heard at ") and button(part, "Check")


def test_an_older_view_does_not_cover_the_result(window: Any) -> None:
    show(window, running(RUNNING))
    go(window, "sync")
    part = window.overlay.calibration
    window.program.now_ns = RUNNING.begin_session_ns + 1
    deliver(window, SessionEvent(e.Failed(1, Notice(Code.MICROPHONE_LOST, peer="Ana"))))
    part.tick()
    assert reads(part, "The microphone of Ana was unplugged, or it stopped.")
    show(window, playing(peer(), peer("Kitchen", 2)))
    show(window, running(RUNNING))
    part.tick()
    assert reads(part, "Listening: Ana plays.")
    rows = (e.CalibratedRow("Ana", Verdict.HEARD, 0.0, 0.0, 0.0, 0.0),)
    deliver(window, SessionEvent(e.Calibrated(1, "Ana", rows)))
    part.tick()
    assert reads(part, "Heard at ")


def test_a_peer_may_listen(window: Any) -> None:
    show(window, playing(peer(microphone=True), peer("Kitchen", 2, microphone=True)))
    go(window, "sync")
    part = window.overlay.calibration
    assert part.listener.texts == ["This machine", "Ben", "Kitchen"]
    part.listener.choose("Kitchen")
    click(button(part, "Calibrate speakers"))
    assert commands(window) == [Calibrate("Kitchen")]


def test_a_peer_has_no_calibration(window: Any) -> None:
    show(window, guest())
    go(window, "sync")
    assert window.overlay.calibration is None


def test_the_progress_says_who_plays() -> None:
    begin = RUNNING.begin_session_ns
    assert calibration_text(RUNNING, begin - 1) == "The microphone of Ana listens. Please be quiet."
    assert calibration_text(RUNNING, begin) == "Listening: Ana plays."
    assert calibration_text(RUNNING, begin + 3 * 10**9) == "Comparing what was heard…"
    checking = dataclasses.replace(RUNNING, checking=True)
    assert calibration_text(checking, begin + 1) == "Checking: Ana plays."
    shares = [calibration_share(view, begin + ns) for view in (RUNNING, checking) for ns in (-1, 0, 10**9, 10**12)]
    assert shares == sorted(shares) and (shares[0], shares[-1]) == (0, 1)


def test_the_distances_are_asked_for_at_the_speakers_only(window: Any) -> None:
    show(window, playing(peer(), peer("Kitchen", 2)))
    go(window, "sync")
    part = window.overlay.calibration
    assert not part.distances.winfo_viewable() and window.overlay.plot.winfo_viewable()
    part.place.choose("At the speakers (metres)")
    window.update()
    assert [*part.distances.fields] == ["Hana", "Ben", "Kitchen"]
    assert not window.overlay.plot.winfo_viewable(), "the fields take its place"
    for name, text in (("Hana", "0"), ("Ben", "1,5"), ("Kitchen", "far")):
        part.distances.fields[name].set(text)
    click(button(part, "Calibrate speakers"))
    assert reads(part, "A number from 0 to 100, please.") and not commands(window)
    part.place.choose("For this spot")
    window.update()
    assert not reads(part, "please."), "another place has no such error"
    part.place.choose("At the speakers (metres)")
    window.update()
    part.distances.fields["Kitchen"].set("3.2 m")
    show(window, playing(peer(), peer("Kitchen", 2), peer("Sofa", 3)))
    part.distances.fields["Sofa"].set("100")
    click(button(part, "Calibrate speakers"))
    distances_m = (("Hana", 0.0), ("Ben", 1.5), ("Kitchen", 3.2), ("Sofa", 100.0))
    assert commands(window) == [Calibrate(None, distances_m)]
    window.close_overlay()
    go(window, "sync")
    part = window.overlay.calibration
    part.place.choose("At the speakers (metres)")
    assert part.distances.fields["Kitchen"].get() == "3.2", "they are remembered"
    part.place.choose("For this spot")
    click(button(part, "Calibrate speakers"))
    assert commands(window)[1:] == [Calibrate(None)]


def test_the_table_says_what_a_microphone_has_confirmed(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phaselock.ui.viewmodel.sync.moment_text", lambda unix_s: f"{time.time() - unix_s:.0f} s ago")
    window.program.now_ns = 100 * 10**9
    state = playing(peer(confirmed=Confirmation(70 * 10**9, 31_400, "spot")), peer("Kitchen", 2))
    show(window, state)
    go(window, "sync")
    table = window.overlay._table
    assert reads(table, "microphone") and reads(table, "30 s ago, within 0.03 ms")
    assert texts(table).count("not yet") == 2
    show(window, playing(peer(), peer("Kitchen", 2)))
    assert texts(table).count("not yet") == 3


def test_a_peer_shows_what_is_confirmed_of_itself(window: Any) -> None:
    window.program.now_ns = 100 * 10**9
    show(window, guest(confirmed=Confirmation(70 * 10**9, 1_000, "speakers")))
    go(window, "sync")
    assert reads(window.overlay._table, ", within 0.01 ms")


def test_on_a_walk_the_user_goes_on_at_each_loudspeaker(window: Any) -> None:
    state = playing(peer(), peer("Kitchen", 2))
    show(window, state)
    go(window, "sync")
    part = window.overlay.calibration
    part.place.choose("At the speakers (walk)")
    click(button(part, "Calibrate speakers"))
    assert commands(window) == [Calibrate(None, walk=True)] and not part.next.winfo_viewable()
    wait = CalibrationWait("Kitchen", True, "Kitchen", Verdict.TOO_QUIET)
    view = CalibrationView("Hana", False, 10**9, 0, (), 2, 2, wait)
    window.program.now_ns = 2 * 10**9
    show(window, running(view))
    part.tick()
    assert reads(
        part, "Kitchen is too quiet. Turn it up, or move the microphone closer. Put the microphone of Hana as "
    )
    assert reads(part, "Carry Hana as a whole") and reads(part, "(2/2)")
    click(button(part, "Go on"))
    assert commands(window)[-1] == CalibrateNext()
    show(window, running(dataclasses.replace(RUNNING, step=2, steps=2)))
    assert not part.next.winfo_viewable() and button(part, "Stop")
    shares = [calibration_share(one, 10**9) for one in (dataclasses.replace(view, step=1), view)]
    assert shares == [0, pytest.approx(0.3)]
    assert calibration_share(dataclasses.replace(RUNNING, step=2, steps=2), 2 * 10**9) == pytest.approx(
        0.3 + 0.3 * 2 / 7
    )
