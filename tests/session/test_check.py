"""The check of all loudspeakers by one microphone while music plays."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from phaselock.model.microphone import HeardPass, MicrophoneFault
from phaselock.model.sweeps import Arrival, Verdict
from phaselock.model.turns import FADE_NS, length_ns, quiet, turns
from phaselock.protocol import messages as m
from phaselock.session.commands import (
    AnswerMicrophone,
    Calibrate,
    Check,
    HostCommand,
    Pause,
    PeerCommand,
    PermitMicrophone,
    Play,
    Seek,
    Stop,
    StopCheck,
)
from phaselock.session.effects import Notify
from phaselock.session.events import Checked
from phaselock.session.host.calibration import ASK_NS
from phaselock.session.host.check import ANSWER_NS
from phaselock.session.sentences import event_text
from phaselock.ui.viewmodel.check import check_text
from tests.support.session_harness import HarnessPeer, SessionHarness, line, ready
from tests.support.simulation import MS, SECOND, SimulatedNode


def started(listener: str | None = None) -> tuple[SessionHarness, list[HarnessPeer]]:
    harness, peers = ready()
    for peer in peers:
        peer.call(peer.core.command, PermitMicrophone(True))
    harness.command(Play())
    harness.run(3)
    harness.command(Check(listener))
    harness.run(0.2)
    return harness, peers


def heard(node: SimulatedNode, offsets_ms: Sequence[float | None]) -> None:
    """The microphone of this node hears the machines at these offsets; None: not at all."""
    assert node.listening_to_song is not None
    arrivals = [
        Arrival(Verdict.NOT_HEARD, None, 0, None)
        if offset_ms is None
        else Arrival(Verdict.HEARD, round(offset_ms * MS), 10_000, None)
        for offset_ms in offsets_ms
    ]
    node.call(node.core.heard, node.listening_to_song.number, HeardPass(tuple(arrivals)))


def result(harness: SessionHarness) -> Checked:
    (event,) = (one.event for one in harness.host.effects if isinstance(one, Notify) and isinstance(one.event, Checked))
    return event


def last_code(harness: SessionHarness) -> object:
    return harness.host.events("error")[-1].fields["code"]


def is_quiet(node: SimulatedNode, session_ns: int) -> bool:
    return any(begin_ns + FADE_NS <= session_ns <= end_ns - FADE_NS for begin_ns, end_ns in node.quiet)


def nobody_is_quiet(harness: SessionHarness) -> bool:
    nodes: list[SimulatedNode] = [harness.host, *harness.peers]
    return not any(node.quiet or node.listening_to_song for node in nodes)


@pytest.mark.parametrize("machines", [1, 2, 6])
def test_at_any_time_of_a_check_one_machine_plays_or_two_fade(machines: int) -> None:
    order = turns(machines)
    assert [one for one, _ in order] == [*range(machines), 0]
    for at_ns in range(FADE_NS, length_ns(machines) - FADE_NS, 50 * MS):
        silent = [
            any(span.begin_ns + FADE_NS <= at_ns <= span.end_ns - FADE_NS for span in quiet(one, machines))
            for one in range(machines)
        ]
        playing = {one for one, turn in order if turn.begin_ns < at_ns < turn.end_ns}
        assert {one for one in range(machines) if not silent[one]} == playing
        assert 1 <= len(playing) <= 2


def test_the_machines_play_in_turns_and_the_music_goes_on() -> None:
    harness, (ana, ben) = started()
    before = line(harness)
    assert before.stop_session_ns is None
    task = harness.host.listening_to_song
    assert task is not None and task.timeline == before and task.roles == ("stereo",) * 3
    assert ana.listening_to_song is None and ben.listening_to_song is None
    for number, (one, turn) in enumerate(turns(3)):
        middle_ns = task.begin_session_ns + (turn.begin_ns + turn.end_ns) // 2
        assert [is_quiet(node, middle_ns) for node in (harness.host, ana, ben)] == [k != one for k in range(3)], number
    shown = harness.host.snapshot().check
    assert shown is not None and [name for _, name in shown.turns] == ["Hana", "Ana", "Ben", "Hana"]
    harness.run(length_ns(3) / SECOND + 1)
    heard(harness.host, [0, 3.24, -0.04])
    harness.run(0.2)
    assert line(harness) == before and nobody_is_quiet(harness) and harness.host.snapshot().check is None
    assert event_text(result(harness)).splitlines() == [
        "Hana was heard. The others are compared with it.",
        "Ana is 3.2 ms late.",
        "Ben is right: within 0.1 ms.",
        "To correct that, calibrate the speakers.",
    ]
    assert not any(node.events("output_calibrated") for node in (harness.host, ana, ben))


def test_the_listener_knows_which_channels_each_machine_plays() -> None:
    harness, _ = ready()
    harness.host.output.role = "left"
    harness.command(Play())
    harness.run(3)
    harness.command(Check())
    assert harness.host.listening_to_song is not None
    assert harness.host.listening_to_song.roles == ("left", "stereo", "stereo")


def test_a_machine_that_is_right_needs_no_calibration() -> None:
    harness, _ = started()
    heard(harness.host, [None, 0, None])
    harness.run(0.2)
    assert event_text(result(harness)).splitlines() == [
        "Hana was not heard. Is it muted, or does it play on another output?",
        "Only Ana was heard.",
        "Ben was not heard. Is it muted, or does it play on another output?",
    ]


def test_a_peer_may_listen() -> None:
    harness, (ana, _) = started("ana")
    assert ana.listening_to_song is not None and harness.host.listening_to_song is None
    assert ana.listening_to_song.timeline == line(harness)
    heard(ana, [0, 0, 0])
    harness.run(0.2)
    assert result(harness).listener == "Ana" and nobody_is_quiet(harness)


def test_a_microphone_that_fails_ends_the_check() -> None:
    harness, (ana, _) = started("Ana")
    assert ana.listening_to_song is not None
    ana.call(ana.core.heard, ana.listening_to_song.number, HeardPass(fault=MicrophoneFault.LOST))
    harness.run(0.2)
    assert last_code(harness) == "microphone_lost" and nobody_is_quiet(harness)


def asked() -> tuple[SessionHarness, HarnessPeer]:
    """Ana's user is asked whether her microphone may listen; meanwhile the music plays on everywhere."""
    harness, (ana, _) = ready()
    harness.command(Play())
    harness.run(3)
    harness.command(Check("Ana"))
    harness.run(0.2)
    assert ana.core.snapshot().microphone.asked and nobody_is_quiet(harness)
    shown = harness.host.snapshot().check
    assert shown is not None and check_text(shown, 1) == "Ana is asked whether its microphone may listen…"
    return harness, ana


def test_a_peer_is_asked_for_its_microphone_and_may_allow_it_once() -> None:
    harness, ana = asked()
    ana.call(ana.core.command, AnswerMicrophone(True))
    harness.run(0.2)
    heard(ana, [0, 0, 0])
    harness.run(0.2)
    assert result(harness).listener == "Ana" and nobody_is_quiet(harness)
    harness.command(Check("Ana"))
    harness.run(0.2)
    assert ana.listening_to_song is None and ana.core.snapshot().microphone.asked


@pytest.mark.parametrize("answer", [AnswerMicrophone(False), None])
def test_a_microphone_that_is_not_allowed_ends_the_check(answer: PeerCommand | None) -> None:
    harness, ana = asked()
    if answer is not None:
        ana.call(ana.core.command, answer)
    harness.run(0.2 if answer else ASK_NS / SECOND + 1)
    assert last_code(harness) == "microphone_not_allowed" and harness.host.snapshot().check is None
    ana.call(ana.core.command, AnswerMicrophone(True))
    harness.run(0.2)
    assert nobody_is_quiet(harness)


def test_a_host_that_does_not_ask_is_refused() -> None:
    harness, (ana, _) = ready()
    harness.command(Play())
    harness.run(3)
    ana.call(ana.core.received, m.ListenToSongCommand(7, line(harness).start_session_ns, ("stereo",)))
    harness.run(0.2)
    assert ana.listening_to_song is None


@pytest.mark.parametrize("command", [Pause(), Seek(20), Stop()])
def test_a_change_of_the_music_ends_the_check(command: HostCommand) -> None:
    harness, _ = started()
    harness.command(command)
    harness.run(0.5)
    assert last_code(harness) == "check_disturbed" and nobody_is_quiet(harness)


def test_the_user_may_stop_it() -> None:
    harness, _ = started()
    before = line(harness)
    harness.command(StopCheck())
    harness.run(0.2)
    assert last_code(harness) == "check_stopped" and nobody_is_quiet(harness) and line(harness) == before


def test_a_listener_that_leaves_or_does_not_answer_ends_the_check() -> None:
    for leave in (True, False):
        harness, (ana, _) = started("Ana")
        if leave:
            ana.cable.cut()
        harness.run((length_ns(3) + ANSWER_NS) / SECOND + 1)
        assert last_code(harness) == "listener_silent"
        assert not harness.host.quiet


def before_playing(harness: SessionHarness) -> None:
    harness.command(Check())


def late_in_the_song(harness: SessionHarness) -> None:
    harness.command(Play())
    harness.run(1)
    harness.command(Seek(50))
    harness.run(2)
    harness.command(Check())


def twice(harness: SessionHarness) -> None:
    harness.command(Play())
    harness.run(3)
    harness.command(Check())
    harness.command(Check())


def while_calibrating(harness: SessionHarness) -> None:
    harness.command(Calibrate())
    harness.command(Check())


def before_calibrating(harness: SessionHarness) -> None:
    harness.command(Play())
    harness.run(3)
    harness.command(Check())
    harness.command(Calibrate())


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (before_playing, "check_needs_music"),
        (late_in_the_song, "check_song_ends"),
        (twice, "check_runs"),
        (while_calibrating, "calibration_runs"),
        (before_calibrating, "check_runs"),
    ],
)
def test_a_check_that_cannot_begin_says_why(ask: Callable[[SessionHarness], None], code: str) -> None:
    harness, _ = ready()
    ask(harness)
    assert last_code(harness) == code
