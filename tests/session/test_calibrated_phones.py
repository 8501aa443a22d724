"""Phones of guests in a calibration: they are corrected like machines, and change nothing for the loudspeakers."""

from __future__ import annotations

from typing import Any

import pytest

from phaselock.model.calibration import Confirmation
from phaselock.model.snapshot import GuestView
from phaselock.session import effects as e
from phaselock.session import events
from phaselock.session.commands import Calibrate, Check, EvenLevels, Play, RemoveGuest, StopCalibration
from phaselock.session.guest_actions import GuestAction, GuestGone, GuestHere, GuestListens
from phaselock.session.host.calibration import MAX_WITH_PHONES, PHONE_LEAD_NS
from phaselock.session.sentences import event_text
from tests.session.test_calibration import calibrated, corrections_ms, heard
from tests.support.session_harness import HarnessPeer, SessionHarness, error, ready
from tests.support.simulation import MS

PHONE = bytes([7]) * 16


def act(harness: SessionHarness, guest_id: bytes, action: GuestAction) -> None:
    harness.host.call(harness.host.core.guest, guest_id, action)


def listens(harness: SessionHarness, guest_id: bytes, name: str) -> None:
    act(harness, guest_id, GuestHere(name))
    act(harness, guest_id, GuestListens(True, 100 * MS))


def started(*names: str) -> tuple[SessionHarness, list[HarnessPeer]]:
    """A calibration with a phone."""
    harness, peers = ready(*names)
    listens(harness, PHONE, "Pia")
    harness.command(Calibrate())
    harness.run(0.2)
    return harness, peers


def told(harness: SessionHarness, kind: type[Any], guest_id: bytes = PHONE) -> list[Any]:
    """What the page of this guest was told."""
    return [one for one in harness.host.for_guests if isinstance(one, kind) and one.guest_id == guest_id]


def kept_ms(harness: SessionHarness) -> list[float]:
    return [one.late_ns / MS for one in told(harness, e.GuestCalibrated)]


def pia(harness: SessionHarness) -> GuestView:
    return harness.host.snapshot().guests[0]


def rows(harness: SessionHarness) -> list[tuple[object, ...]]:
    shown = ("name", "verdict", "before_ms", "after_ms", "corrected_ms", "level_db", "phone")
    return [tuple(row[key] for key in shown) for row in calibrated(harness).fields["machines"]]


def sentences(harness: SessionHarness, kind: type[Any]) -> list[str]:
    notes = [one.event for one in harness.host.effects if isinstance(one, e.Notify)]
    return [line for event in notes if isinstance(event, kind) for line in event_text(event).splitlines()]


def test_a_phone_that_listens_plays_its_own_sounds() -> None:
    harness, (ana, ben) = started()
    (sweep,) = told(harness, e.GuestSweep)
    assert harness.host.listening is not None
    assert harness.host.listening.machines == (harness.host.sounds, ana.sounds, ben.sounds, sweep.sounds)
    assert sweep.begin_session_ns == harness.host.listening.begin_session_ns
    assert sweep.begin_session_ns >= harness.now_ns - 0.2e9 + PHONE_LEAD_NS
    assert sweep.late_ns == 0
    assert harness.host.events("calibration_began")[0].fields["machines"] == ["Hana", "Ana", "Ben", "Pia"]


@pytest.mark.parametrize(("late_ms", "leaves"), [(120.0, (False,)), (-35.5, (True, None, True))])
def test_a_phone_tries_its_correction_and_keeps_it_when_it_was_heard_again(
    late_ms: float, leaves: tuple[Any, ...]
) -> None:
    harness, (ana, ben) = started()
    heard(harness.host, [0, 30, 2, late_ms])
    harness.run(0.2)
    assert told(harness, e.GuestSweep)[1].late_ns == late_ms * MS
    assert kept_ms(harness) == [] and pia(harness).confirmed is None
    heard(harness.host, [0, 0.05, 0, 1.5])
    harness.run(0.2)
    assert kept_ms(harness) == [late_ms]
    assert corrections_ms(ana) == [30] and corrections_ms(ben) == [2] and not corrections_ms(harness.host)
    assert rows(harness)[-1] == ("Pia", "heard", late_ms, 1.5, late_ms, None, True)
    how = "late" if late_ms > 0 else "early"
    assert sentences(harness, events.Calibrated)[-1] == f"Pia was {abs(late_ms)} ms {how}; now within 1.5 ms."
    confirmed = pia(harness).confirmed
    assert isinstance(confirmed, Confirmation) and confirmed.within_ns == 1.5 * MS
    assert told(harness, e.GuestSweepEnd)
    act(harness, PHONE, GuestGone())
    act(harness, PHONE, GuestHere("Pia"))
    act(harness, PHONE, GuestListens(True))
    assert pia(harness).confirmed is not None, "a phone that sleeps for a moment keeps it"
    act(harness, PHONE, GuestListens(*leaves))
    assert pia(harness).confirmed is None


@pytest.mark.parametrize(
    ("again_ms", "sentence"),
    [
        (-90, "Pia was 40.0 ms late, but not the second time. It is left as it was."),
        (None, "Pia was 40.0 ms late. It could not be heard again, so it is left as it was."),
    ],
)
def test_a_phone_whose_passes_disagree_is_left_as_it_was(again_ms: float | None, sentence: str) -> None:
    harness, (ana, _) = started()
    heard(harness.host, [0, 3, 0, 40])
    harness.run(0.2)
    heard(harness.host, [0, 0.01, 0, again_ms])
    harness.run(0.2)
    assert kept_ms(harness) == [] and pia(harness).confirmed is None
    assert corrections_ms(ana) == [3]
    assert sentences(harness, events.Calibrated)[-1] == sentence


@pytest.mark.parametrize("leave", [GuestGone(), GuestListens(False), None])
def test_a_phone_that_goes_away_was_not_heard_and_disturbs_no_machine(leave: GuestAction | None) -> None:
    harness, (ana, _) = started()
    if leave is None:
        harness.command(RemoveGuest(PHONE))
    else:
        act(harness, PHONE, leave)
    heard(harness.host, [0, 3, 0, 40])
    harness.run(0.2)
    heard(harness.host, [0, 0.01, 0, 0])
    harness.run(0.2)
    assert rows(harness)[-1] == ("Pia", "not_heard", None, None, 0, None, True)
    assert corrections_ms(ana) == [3] and kept_ms(harness) == []


def test_a_phone_that_goes_away_before_the_second_pass_is_heard_keeps_nothing() -> None:
    harness, (ana, _) = started()
    heard(harness.host, [0, 3, 0, 40])
    harness.run(0.2)
    act(harness, PHONE, GuestGone())
    heard(harness.host, [0, 0.01, 0, 0.1])
    harness.run(0.2)
    assert rows(harness)[-1] == ("Pia", "heard", 40, None, 0, None, True)
    assert corrections_ms(ana) == [3] and kept_ms(harness) == []


def test_no_loudspeaker_is_corrected_to_a_phone() -> None:
    harness, peers = started()
    heard(harness.host, [None, None, None, 0])
    harness.run(0.2)
    assert [row[2] for row in rows(harness)] == [None] * 4
    assert sentences(harness, events.Calibrated)[-1] == "Pia was not measured: no other machine was heard."
    assert not any(map(corrections_ms, (harness.host, *peers)))


def test_a_phone_beside_the_host_alone_is_corrected_and_confirms_no_loudspeaker() -> None:
    harness = SessionHarness()
    harness.run(2)
    harness.command(Calibrate())
    assert harness.host.events("calibration_began") == [] and error(harness.host)
    listens(harness, PHONE, "Pia")
    harness.command(Calibrate())
    harness.run(0.2)
    heard(harness.host, [0, 250])
    harness.run(0.2)
    heard(harness.host, [0, 0.4])
    harness.run(0.2)
    assert kept_ms(harness) == [250]
    assert harness.host.snapshot().confirmed is None, "one loudspeaker was compared with none"


def test_phones_have_no_levels() -> None:
    harness, _ = started()
    heard(harness.host, [0, 0, 0, 1])
    harness.run(0.2)
    heard(harness.host, [0, 0, 0, 0])
    harness.run(0.2)
    assert [one.name for one in harness.host.snapshot().levels.machines] == ["Hana", "Ana", "Ben"]
    harness.command(EvenLevels())
    assert [row[5] for row in rows(harness)] == [0, 0, 0, None]


def test_a_calibration_that_is_stopped_leaves_the_phone_as_it_was() -> None:
    harness, _ = started()
    heard(harness.host, [0, 3, 0, 40])
    harness.run(0.2)
    harness.command(StopCalibration())
    assert kept_ms(harness) == [] and told(harness, e.GuestSweepEnd)
    assert pia(harness).confirmed is None


def test_peers_come_before_phones_and_phones_that_were_heard_come_last() -> None:
    harness, peers = ready("Ana", "Ben", "Cem", "Dino")
    phones = {bytes([number]) * 16: f"Phone {number}" for number in (1, 2, 3)}
    for guest_id, name in phones.items():
        listens(harness, guest_id, name)
    harness.command(Calibrate())
    harness.run(0.2)
    began = harness.host.events("calibration_began")[-1].fields
    assert len(began["machines"]) == MAX_WITH_PHONES
    assert began["machines"][-1] == "Phone 1" and began["left_out"] == ["Phone 2", "Phone 3"]
    (*_, sentence) = sentences(harness, events.CalibrationBegan)
    assert sentence == "These phones are left out this time: Phone 2 and Phone 3."
    heard(harness.host, [0] * MAX_WITH_PHONES)
    harness.run(0.2)
    heard(harness.host, [0] * MAX_WITH_PHONES)
    harness.run(0.2)
    harness.command(Calibrate())
    harness.run(0.2)
    assert harness.host.events("calibration_began")[-1].fields["left_out"] == ["Phone 3", "Phone 1"]


@pytest.mark.parametrize(
    "command", [Calibrate(walk=True), Calibrate(None, (("Hana", 0.0), ("Ana", 1.0), ("Ben", 2.0)))]
)
def test_phones_are_left_out_of_a_walk_and_where_distances_are_told(command: Calibrate) -> None:
    harness, _ = ready()
    listens(harness, PHONE, "Pia")
    harness.command(command)
    harness.run(0.2)
    began = harness.host.events("calibration_began")[0].fields
    assert began["machines"] == ["Hana", "Ana", "Ben"] and began["left_out"] == ["Pia"]
    assert "Pia" in sentences(harness, events.CalibrationBegan)[-1]
    assert told(harness, e.GuestSweep) == []


def test_phones_are_left_out_of_a_check() -> None:
    harness, _ = ready()
    listens(harness, PHONE, "Pia")
    harness.command(Play())
    harness.run(3)
    harness.command(Check())
    harness.run(0.2)
    began = harness.host.events("check_began")[0].fields
    assert began["machines"] == ["Hana", "Ana", "Ben"] and began["left_out"] == ["Pia"]
    assert sentences(harness, events.CheckBegan)[-1] == "These phones are left out, and silent meanwhile: Pia."
