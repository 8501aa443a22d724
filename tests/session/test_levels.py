"""The loudness of the machines, which a calibration hears, and the trims that make all equally loud."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from phaselock.model.microphone import HeardPass
from phaselock.model.sweeps import Arrival, Verdict
from phaselock.protocol.codec import ProtocolError, decode, encode
from phaselock.protocol.messages import TrimCommand
from phaselock.session.commands import Calibrate, EvenLevels, ResetLevels, StopCalibration, UndoLevels
from phaselock.session.events import PeersTrimmed, TrimRow, TrimSet
from phaselock.session.hearing_sentences import level_text
from phaselock.session.sentences import event_text
from tests.support.session_harness import HarnessPeer, SessionHarness, error, ready
from tests.support.simulation import SimulatedNode


def hear(harness: SessionHarness, levels_db: Sequence[float | None]) -> None:
    """The host's microphone hears the machines at these levels; None: not at all."""
    assert harness.host.listening is not None
    arrivals = [
        Arrival(Verdict.NOT_HEARD, None, 0, None)
        if level_db is None
        else Arrival(Verdict.HEARD, 0, 10_000, level_db + node.output.trim_db)
        for level_db, node in zip(levels_db, (harness.host, *harness.peers), strict=True)
    ]
    harness.host.call(harness.host.core.heard, harness.host.listening.number, HeardPass(tuple(arrivals)))


def calibrate(harness: SessionHarness, *levels_db: float | None) -> None:
    """A calibration in a room where the machines are so loud without trims."""
    harness.command(Calibrate())
    for _ in range(2):
        harness.run(0.5)
        if harness.host.listening is not None:
            hear(harness, levels_db)
    harness.run(0.5)


def apply(harness: SessionHarness, nodes: Sequence[SimulatedNode]) -> None:
    """Each machine applies the trim that it was last told, and reports it."""
    harness.run(0.3)
    for node in nodes:
        for event in node.events("trim_set"):
            node.output.trim_db = event.fields["trim_db"]
    harness.run(0.3)


def levels_db(harness: SessionHarness) -> list[float | None]:
    return [one.level_db for one in harness.host.snapshot().levels.machines]


def trims_db(nodes: Sequence[SimulatedNode]) -> list[float]:
    return [node.output.trim_db for node in nodes]


def heard(*db: float | None) -> tuple[SessionHarness, list[HarnessPeer], list[SimulatedNode]]:
    harness, peers = ready()
    calibrate(harness, *db)
    return harness, peers, [harness.host, *peers]


def test_a_calibration_tells_how_loud_the_machines_are() -> None:
    harness, _, _ = heard(-22.26, -20, -28.5)
    (event,) = harness.host.events("calibrated")
    assert [row["level_db"] for row in event.fields["machines"]] == [6.2, 8.5, 0]
    assert levels_db(harness) == [6.2, 8.5, 0]
    levels = harness.host.snapshot().levels
    assert levels.can_even and not levels.can_undo
    assert level_text(levels) == "Heard louder than Ben: Ana by 8.5 dB and Hana by 6.2 dB."
    assert not any(node.events("trim_set") for node in (harness.host, *harness.peers)), "nothing is done by itself"


def test_all_machines_become_as_loud_as_the_quietest_one() -> None:
    harness, (ana, ben), nodes = heard(-22.26, -20, -28.5)
    harness.command(EvenLevels())
    apply(harness, nodes)
    assert trims_db(nodes) == [-6.2, -8.5, 0] and not ben.events("trim_set")
    assert levels_db(harness) == [0, 0, 0]
    levels = harness.host.snapshot().levels
    assert not levels.can_even and levels.can_undo and not level_text(levels)
    assert [one.trim_db for one in levels.machines] == [-6.2, -8.5, 0]
    (told,) = harness.host.events("trimmed")
    assert told.fields == {"peers": [{"name": "Ana", "trim_db": -8.5}]}
    assert ana.events("trim_set")[0].session_ns is not None


def test_undo_gives_back_the_trims_of_before() -> None:
    harness, (ana, _), nodes = heard(-20, -23, -20)
    ana.output.trim_db = -3.0
    harness.run(0.5)
    calibrate(harness, -20, -17, -22)  # without her trim, Ana would be the loudest
    harness.command(EvenLevels())
    apply(harness, nodes)
    assert trims_db(nodes) == [-2, -5, 0]
    harness.command(EvenLevels())
    assert error(harness.host) == "The machines are as equally loud as trims can make them."
    harness.command(UndoLevels())
    apply(harness, nodes)
    assert trims_db(nodes) == [0, -3, 0]
    harness.command(UndoLevels())
    assert error(harness.host) == "No volume is trimmed."


def test_trims_do_not_add_up_from_one_calibration_to_the_next() -> None:
    harness, _, nodes = heard(-20, -26, -23)
    harness.command(EvenLevels())
    apply(harness, nodes)
    assert trims_db(nodes) == [-6, 0, -3]
    calibrate(harness, -20, -26, -23)
    (*_, event) = harness.host.events("calibrated")
    assert [row["level_db"] for row in event.fields["machines"]] == [0, 0, 0], "it has heard the trims"
    harness.command(EvenLevels())
    apply(harness, nodes)
    assert trims_db(nodes) == [-6, 0, -3]


def test_a_machine_that_has_become_the_quietest_loses_its_trim() -> None:
    harness, _, nodes = heard(-20, -26, -26)
    harness.command(EvenLevels())
    apply(harness, nodes)
    assert trims_db(nodes) == [-6, 0, 0]
    calibrate(harness, -29, -26, -26)  # the host was moved away
    assert levels_db(harness) == [0, 9, 9]
    harness.command(EvenLevels())
    apply(harness, nodes)
    assert trims_db(nodes) == [0, -3, -3]


def test_a_trim_is_at_most_12_db() -> None:
    harness, _, nodes = heard(-10, -25, -25)
    levels = harness.host.snapshot().levels
    assert level_text(levels) == "Hana is heard 15.0 dB louder than Ana. At most 12 dB can be taken away."
    assert levels.can_even
    harness.command(EvenLevels())
    apply(harness, nodes)
    assert trims_db(nodes) == [-12, 0, 0]
    levels = harness.host.snapshot().levels
    assert not levels.can_even
    assert level_text(levels) == "Hana is heard 3.0 dB louder than Ana. At most 12 dB can be taken away."


def test_a_difference_that_is_hardly_heard_is_not_offered() -> None:
    harness, _, _ = heard(-20, -20.9, -20)
    assert not harness.host.snapshot().levels.can_even
    assert level_text(harness.host.snapshot().levels) == ""


def test_only_machines_that_were_heard_take_part() -> None:
    harness, (_, ben), nodes = heard(-20, -30, None)
    assert levels_db(harness) == [10, 0, None]
    harness.command(EvenLevels())
    apply(harness, nodes)
    assert trims_db(nodes) == [-10, 0, 0] and not ben.events("trim_set")


def test_one_machine_alone_has_no_level() -> None:
    harness, _, _ = heard(-20, None, None)
    assert levels_db(harness) == [None, None, None]
    assert harness.host.events("calibrated")[0].fields["machines"][0]["level_db"] is None
    harness.command(EvenLevels())
    assert error(harness.host) == "No microphone has heard how loud the machines are. First: calibrate"


def test_the_offer_ends_when_a_machine_leaves() -> None:
    harness, (ana, _), _ = heard(-20, -30, -25)
    ana.leave()
    harness.run(0.3)
    assert levels_db(harness) == [None, None] and not harness.host.snapshot().levels.can_even


def test_the_offer_ends_when_a_machine_changes_its_output() -> None:
    harness, (ana, _), nodes = heard(-20, -30, -25)
    harness.command(EvenLevels())
    ana.output.device_name = "headphones"
    harness.run(0.5)
    levels = harness.host.snapshot().levels
    assert not levels.can_even and not levels.can_undo
    harness.host.output.device_name = "other"
    calibrate(harness, -20, -30, -25)
    apply(harness, nodes)
    assert harness.host.snapshot().levels.can_even is False, "its trim is in force"
    harness.host.output.device_name = "another"
    harness.run(0.5)
    assert levels_db(harness) == [None, None, None]


def test_the_offer_ends_when_another_calibration_begins() -> None:
    harness, _, _ = heard(-20, -30, -25)
    harness.command(Calibrate())
    assert not harness.host.snapshot().levels.can_even
    for command in (EvenLevels(), UndoLevels(), ResetLevels()):
        harness.command(command)
        assert error(harness.host) == "A calibration runs already."
    harness.command(StopCalibration())
    assert not harness.host.snapshot().levels.can_even, "it was not measured to its end"


def test_all_trims_are_forgotten_also_those_that_are_not_reported_yet() -> None:
    harness, (ana, ben), nodes = heard(-20, -30, -30)
    ben.output.trim_db = -4.0
    harness.run(0.5)
    harness.command(EvenLevels(), ResetLevels())
    apply(harness, nodes)
    assert trims_db(nodes) == [0, 0, 0] and not ana.events("trim_set")
    harness.command(ResetLevels())
    assert error(harness.host) == "No volume is trimmed."


@pytest.mark.parametrize("trim_db", [0.1, -12.1, float("nan"), -1])
def test_a_trim_from_the_network_is_within_its_bounds(trim_db: float) -> None:
    kind, *payload = encode(TrimCommand(trim_db))
    with pytest.raises(ProtocolError):
        decode(kind, bytes(payload))


def test_sentences_about_trims() -> None:
    assert event_text(TrimSet(None, -6.24)) == "This speaker plays 6.2 dB quieter than its volume says."
    assert event_text(TrimSet(None, 0.0)) == "This speaker plays as loud as its volume says."
    rows = (TrimRow("Ana", -6.2), TrimRow("Ben", 0.0))
    assert event_text(PeersTrimmed(1, rows)).splitlines() == [
        "Ana plays 6.2 dB quieter than its volume says.",
        "Ben plays as loud as its volume says.",
    ]
