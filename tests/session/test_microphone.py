"""Whether a host may listen by a peer's microphone, and what is told of a microphone's faults."""

from __future__ import annotations

import pytest

from phaselock.model.microphone import MAX_CLOCK_PPM, HeardPass, MicrophoneFault
from phaselock.model.notices import Code
from phaselock.model.snapshot import MicrophoneView
from phaselock.model.sweeps import Arrival, Verdict, schedule
from phaselock.protocol import messages as m
from phaselock.session.commands import AnswerMicrophone, Calibrate, PermitMicrophone, Play, StopCalibration
from phaselock.session.effects import Notify
from phaselock.session.events import Calibrated
from phaselock.session.host.calibration import ASK_NS
from phaselock.session.peer.microphone import ONCE_NS
from phaselock.session.sentences import NOTICES, event_text
from tests.support.session_harness import HarnessPeer, SessionHarness, error, line, ready
from tests.support.simulation import SECOND, SimulatedNode

SILENT = Arrival(Verdict.NOT_HEARD, None, 0, None)
HEARD = Arrival(Verdict.HEARD, 0, 10_000, -20.0)


def asked() -> tuple[SessionHarness, list[HarnessPeer]]:
    """Music plays, and the host has asked Ana for her microphone."""
    harness, peers = ready()
    harness.command(Play())
    harness.run(2)
    harness.command(Calibrate("Ana"))
    harness.run(0.2)
    return harness, peers


def hears(node: SimulatedNode, heard: HeardPass) -> None:
    node.call(node.core.heard, node.listening.number, heard)


def microphone(peer: HarnessPeer) -> MicrophoneView:
    view = peer.snapshot().microphone
    assert view is not None
    return view


def used(peer: HarnessPeer) -> list[object]:
    return [event.fields["listening"] for event in peer.events("microphone_used")]


def test_a_peer_is_asked_while_the_music_goes_on() -> None:
    harness, (ana, _) = asked()
    assert microphone(ana) == MicrophoneView(permitted=False, asked=True, listening=False)
    assert ana.events("microphone_asked")[0].fields == {"host": "Hana"}
    shown = harness.host.snapshot().calibration
    assert shown is not None and shown.asking
    assert line(harness).stop_session_ns is None and ana.listening is None
    assert not harness.host.events("calibration_began")


def test_what_the_user_allows_lasts_for_one_calibration() -> None:
    harness, (ana, _) = asked()
    ana.call(ana.core.command, AnswerMicrophone(True))
    harness.run(0.2)
    assert microphone(ana) == MicrophoneView(permitted=False, asked=False, listening=True)
    assert harness.host.events("calibration_began")[0].fields["listener"] == "Ana"
    hears(ana, HeardPass((HEARD, SILENT, SILENT)))
    harness.run(0.2)
    assert harness.host.events("calibrated") and used(ana) == [True, False]
    harness.command(Calibrate("Ana"))
    harness.run(0.2)
    assert microphone(ana).asked and ana.listening is None


def test_a_refusal_is_told_and_changes_nothing() -> None:
    harness, (ana, _) = asked()
    ana.call(ana.core.command, AnswerMicrophone(False))
    harness.run(0.2)
    assert error(harness.host) == "Ana has not allowed its microphone."
    assert harness.host.events("error")[-1].fields["code"] == "microphone_not_allowed"
    assert line(harness).stop_session_ns is None and harness.host.snapshot().calibration is None


def test_a_question_that_nobody_answers_ends() -> None:
    harness, (ana, _) = asked()
    harness.run(ASK_NS / SECOND)
    assert error(harness.host) == "Ana has not allowed its microphone."
    assert not microphone(ana).asked
    ana.call(ana.core.command, AnswerMicrophone(True))  # too late
    harness.run(0.2)
    assert ana.listening is None and harness.host.snapshot().calibration is None


def test_a_host_that_stops_withdraws_the_question() -> None:
    harness, (ana, _) = asked()
    harness.command(StopCalibration())
    harness.run(0.2)
    assert not microphone(ana).asked


def test_a_permission_lasts_until_it_is_withdrawn() -> None:
    harness, (ana, ben) = ready()
    ana.call(ana.core.command, PermitMicrophone(True))
    harness.run(0.2)
    assert [peer.microphone for peer in harness.host.snapshot().peers] == [True, False]
    harness.command(Calibrate("Ana"))
    harness.run(0.2)
    assert ana.listening is not None and not ana.events("microphone_asked")
    ana.call(ana.core.command, PermitMicrophone(False))
    harness.run(0.2)
    assert ana.listening is None and used(ana) == [True, False]
    assert error(harness.host) == "Ana has not allowed its microphone."
    assert not harness.host.snapshot().peers[0].microphone


def test_a_permission_answers_the_open_question() -> None:
    harness, (ana, _) = asked()
    ana.call(ana.core.command, PermitMicrophone(True))
    harness.run(0.2)
    assert microphone(ana) == MicrophoneView(permitted=True, asked=False, listening=True)


def test_a_host_cannot_listen_without_a_permission() -> None:
    harness, (ana, _) = ready()
    machines, begin_ns = schedule(3, 2), harness.host.now_ns + SECOND
    ana.call(ana.core.received, m.ListenCommand(1, begin_ns, machines))
    assert ana.listening is None
    ana.call(ana.core.received, m.MicrophoneRequest(2))
    ana.call(ana.core.received, m.ListenCommand(2, begin_ns, machines))
    assert ana.listening is None
    ana.call(ana.core.command, AnswerMicrophone(True))
    ana.call(ana.core.received, m.ListenCommand(3, begin_ns, machines))
    assert ana.listening is not None
    harness.run(ONCE_NS / SECOND + 1)  # the host never ends its calibration
    assert ana.listening is None and not microphone(ana).listening
    ana.call(ana.core.received, m.ListenCommand(4, begin_ns, machines))
    assert ana.listening is None


def test_an_answer_of_another_peer_or_question_is_ignored() -> None:
    harness, (ana, ben) = asked()
    harness.host.receive(ben.conn, m.MicrophoneAnswer(1, True))
    harness.host.receive(ana.conn, m.MicrophoneAnswer(7, True))
    harness.run(0.2)
    shown = harness.host.snapshot().calibration
    assert shown is not None and shown.asking


def test_a_lost_host_listens_no_more() -> None:
    harness, (ana, _) = asked()
    ana.call(ana.core.command, AnswerMicrophone(True))
    harness.run(0.2)
    ana.cut()
    harness.run(8)
    assert ana.listening is None and not microphone(ana).listening


@pytest.mark.parametrize("fault", MicrophoneFault)
def test_every_fault_has_its_own_sentence(fault: MicrophoneFault) -> None:
    harness, (ana, _) = ready()
    ana.call(ana.core.command, PermitMicrophone(True))
    harness.command(Calibrate("Ana"))
    harness.run(0.2)
    hears(ana, HeardPass(fault=fault))
    harness.run(0.2)
    failed = harness.host.events("error")[-1].fields
    assert (failed["code"], failed["peer"]) == (fault.value, "Ana")
    assert failed["message"] == ana.events("error")[-1].fields["message"]
    sentences = {code: NOTICES[code] for code in map(Code, MicrophoneFault)}
    assert len(set(sentences.values())) == len(MicrophoneFault) and all(sentences.values())


def test_the_clock_of_a_microphone_that_is_far_off_is_told() -> None:
    harness, (ana, _) = ready()
    ana.call(ana.core.command, PermitMicrophone(True))
    for ppm, told in ((63.24, False), (-912.04, True)):
        harness.command(Calibrate("Ana"))
        harness.run(0.2)
        hears(ana, HeardPass((HEARD, SILENT, SILENT), microphone_ppm=ppm))
        harness.run(0.2)
        assert harness.host.events("calibrated")[-1].fields["microphone_ppm"] == round(ppm, 1)
        event = [one.event for one in harness.host.effects if isinstance(one, Notify)][-1]
        assert isinstance(event, Calibrated)
        assert ("The clock of this microphone is off by 912 ppm." in event_text(event)) is told


def test_an_absurd_clock_breaks_no_protocol() -> None:
    harness, (ana, _) = ready()
    ana.call(ana.core.command, PermitMicrophone(True))
    harness.command(Calibrate("Ana"))
    harness.run(0.2)
    hears(ana, HeardPass((HEARD, SILENT, SILENT), microphone_ppm=9 * MAX_CLOCK_PPM))
    harness.run(0.2)
    assert harness.host.events("calibrated")
