"""The calibration of all machines by one microphone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from phaselock.model.calibration import Confirmation
from phaselock.model.microphone import HeardPass, MicrophoneFault
from phaselock.model.sweeps import MAX_PASS_NS, SWEEP_ID, Arrival, Verdict
from phaselock.protocol import messages as m
from phaselock.session.commands import (
    AnswerMicrophone,
    Calibrate,
    CalibrateNext,
    PermitMicrophone,
    Play,
    StopCalibration,
)
from phaselock.session.effects import Notify
from phaselock.session.events import Calibrated, CalibratedRow
from phaselock.session.sentences import event_text
from tests.support.session_harness import HarnessPeer, ReportedOutput, SessionHarness, error, line, ready
from tests.support.simulation import MS, SimulatedNode
from tests.support.told import Told


def heard(node: SimulatedNode, offsets_ms: Sequence[float | None]) -> None:
    """The microphone of this node hears the machines at these offsets; None: not at all."""
    assert node.listening is not None
    arrivals = [
        Arrival(Verdict.NOT_HEARD, None, 0, None)
        if offset_ms is None
        else Arrival(Verdict.HEARD, round(offset_ms * MS), 10_000, -20.0)
        for offset_ms in offsets_ms
    ]
    node.call(node.core.heard, node.listening.number, HeardPass(tuple(arrivals)))


def follows_sweeps(node: SimulatedNode) -> bool:
    return (
        node.following is not None
        and node.following.timeline is not None
        and (node.following.timeline.file_id == SWEEP_ID)
    )


def corrections_ms(node: SimulatedNode) -> list[float]:
    return [event.fields["late_ns"] / MS for event in node.events("output_calibrated")]


def calibrated(harness: SessionHarness) -> Told:
    (event,) = harness.host.events("calibrated")
    return event


def started(
    listener: str | None = None, distances_m: tuple[tuple[str, float], ...] | None = None
) -> tuple[SessionHarness, list[HarnessPeer]]:
    """A calibration. The peers allow their microphones."""
    harness, peers = ready()
    for peer in peers:
        peer.call(peer.core.command, PermitMicrophone(True))
    harness.command(Calibrate(listener, distances_m))
    harness.run(0.2)
    return harness, peers


def test_all_machines_play_their_own_sweeps_on_one_timeline() -> None:
    harness, peers = started()
    nodes = [harness.host, *peers]
    assert all(map(follows_sweeps, nodes))
    assert len({node.following.timeline for node in nodes}) == 1
    assert len({node.sounds for node in nodes}) == len(nodes)
    assert harness.host.listening is not None and not any(peer.listening for peer in peers)
    assert harness.host.listening.machines == tuple(node.sounds for node in nodes)
    assert harness.host.listening.begin_session_ns == harness.host.following.timeline.start_session_ns
    shown = harness.host.snapshot().calibration
    assert shown is not None and not shown.checking
    assert [name for _, name in shown.turns].count("Hana") == 4
    assert harness.host.events("calibration_began")[0].fields == {
        "listener": "Hana",
        "machines": ["Hana", *(peer.name for peer in peers)],
        "walk": False,
        "left_out": [],
    }


def test_machines_are_corrected_and_measured_again() -> None:
    harness, (ana, ben) = started()
    heard(harness.host, [0, 182.4, -3])
    harness.run(0.2)
    assert corrections_ms(harness.host) == [3] and corrections_ms(ana) == [185.4] and not corrections_ms(ben)
    assert all(map(follows_sweeps, (harness.host, ana, ben)))
    shown = harness.host.snapshot().calibration
    assert shown is not None and shown.checking
    heard(harness.host, [0.02, 0.05, 0])
    harness.run(0.2)
    rows = [(row["name"], row["before_ms"], row["after_ms"]) for row in calibrated(harness).fields["machines"]]
    assert rows == [("Hana", 3, 0.02), ("Ana", 185.4, 0.05), ("Ben", 0, 0)]
    assert not any(map(follows_sweeps, (harness.host, ana, ben)))
    assert harness.host.snapshot().calibration is None and harness.host.listening is None


def test_what_played_is_paused_and_goes_on_where_it_was() -> None:
    harness, (ana, _) = ready()
    harness.command(Play())
    harness.run(5)
    harness.command(Calibrate())
    harness.run(0.2)
    paused = line(harness)
    assert paused.stop_session_ns is not None and follows_sweeps(ana)
    assert harness.host.listening.begin_session_ns > paused.stop_session_ns
    heard(harness.host, [0, None, None])
    harness.run(0.2)
    resumed = line(harness)
    assert resumed.stop_session_ns is None
    assert resumed.anchor_frame == paused.frame_at(paused.stop_session_ns)
    assert ana.following == harness.host.following and not follows_sweeps(ana)
    assert [row["verdict"] for row in calibrated(harness).fields["machines"]] == ["heard", "not_heard", "not_heard"]


def test_a_machine_that_becomes_worse_gets_its_old_correction_back() -> None:
    harness, (ana, ben) = started()
    heard(harness.host, [0, 40, 30])
    harness.run(0.2)
    heard(harness.host, [0, -90, None])
    harness.run(0.2)
    assert corrections_ms(ana) == [40, -40] and corrections_ms(ben) == [30, -30]
    assert [row["corrected_ms"] for row in calibrated(harness).fields["machines"]] == [0, 0, 0]


def test_a_machine_that_was_late_only_once_gets_its_old_correction_back() -> None:
    harness, (ana, _) = started()
    heard(harness.host, [0, 0.9, 0])
    harness.run(0.2)
    heard(harness.host, [0, -0.9, 0])
    harness.run(0.2)
    assert corrections_ms(ana) == [0.9, -0.9]
    (event,) = (
        one.event for one in harness.host.effects if isinstance(one, Notify) and isinstance(one.event, Calibrated)
    )
    assert event_text(event).splitlines() == [
        "Hana is right: within 0.1 ms.",
        "Ana was 0.9 ms late, but not the second time. It is left as it was.",
        "Ben is right: within 0.1 ms.",
    ]


def test_a_sound_far_from_where_it_must_be_is_another_one() -> None:
    harness, (ana, _) = started()
    heard(harness.host, [0, 400, 0])
    harness.run(0.2)
    heard(harness.host, [0, -330, 0])
    harness.run(0.2)
    assert corrections_ms(ana) == [400, -400]
    assert calibrated(harness).fields["machines"][1]["after_ms"] is None


def test_a_play_command_ends_the_calibration() -> None:
    harness, (ana, _) = started()
    harness.command(Play())
    harness.run(0.5)
    assert line(harness).file_id.int == 1 and ana.following == harness.host.following
    assert harness.host.listening is None and not harness.host.events("calibrated")


def test_the_user_stops_a_calibration() -> None:
    harness, _ = ready()
    harness.command(Play())
    harness.run(2)
    harness.command(Calibrate())
    harness.run(1)
    harness.command(StopCalibration())
    harness.run(0.5)
    assert line(harness).stop_session_ns is None and not follows_sweeps(harness.host)
    harness.command(StopCalibration())  # there is none
    assert len(harness.host.events("error")) == 1


def test_what_was_not_measured_again_is_undone() -> None:
    harness, (ana, _) = started()
    heard(harness.host, [0, 40, 0])
    harness.run(0.2)
    harness.command(StopCalibration())
    harness.run(0.2)
    assert corrections_ms(ana) == [40, -40]


def test_a_late_answer_of_an_earlier_pass_is_ignored() -> None:
    harness, _ = started()
    first = harness.host.listening
    assert first is not None
    harness.command(StopCalibration(), Calibrate())
    harness.run(0.2)
    harness.host.call(harness.host.core.heard, first.number, HeardPass(fault=MicrophoneFault.LOST))
    assert harness.host.snapshot().calibration is not None


def test_the_microphone_of_a_peer_listens() -> None:
    harness, (ana, ben) = started("ANA")
    assert ana.listening is not None and harness.host.listening is None
    assert ana.listening.machines == (harness.host.sounds, ana.sounds, ben.sounds)
    heard(ana, [0, 0, 20])
    harness.run(0.2)
    assert corrections_ms(ben) == [20]
    assert ana.listening is not None
    heard(ana, [0, 0, 0])
    harness.run(0.2)
    assert calibrated(harness).fields["listener"] == "Ana"


def test_a_microphone_that_fails_ends_the_calibration() -> None:
    harness, (ana, _) = ready()
    ana.call(ana.core.command, PermitMicrophone(True))
    harness.command(Play())
    harness.run(2)
    harness.command(Calibrate("Ana"))
    harness.run(0.2)
    ana.call(ana.core.heard, ana.listening.number, HeardPass(fault=MicrophoneFault.LOST))
    harness.run(0.2)
    assert error(harness.host) == error(ana) == "The microphone of Ana was unplugged, or it stopped."
    assert line(harness).stop_session_ns is None


def test_a_listener_that_leaves_ends_the_calibration() -> None:
    harness, (ana, ben) = started("Ana")
    ana.crash()
    harness.run(0.2)
    assert error(harness.host) == "The microphone of Ana does not answer."
    assert not follows_sweeps(ben)


def test_a_listener_that_never_answers_ends_the_calibration() -> None:
    harness, _ = started()
    harness.run(20)
    assert error(harness.host) == "The microphone of Hana does not answer."
    assert harness.host.snapshot().calibration is None


def test_a_peer_that_leaves_was_not_heard() -> None:
    harness, (ana, ben) = started()
    ana.leave()
    harness.run(0.2)
    heard(harness.host, [0, None, 7])
    harness.run(0.2)
    heard(harness.host, [0, None, 0])
    harness.run(0.2)
    assert corrections_ms(ben) == [7]
    assert [row["verdict"] for row in calibrated(harness).fields["machines"]] == ["heard", "not_heard", "heard"]


def test_a_calibration_needs_another_machine_with_an_output() -> None:
    harness = SessionHarness()
    harness.run(1)
    harness.command(Calibrate())
    assert error(harness.host) == "No other machine plays here, so there is nothing to compare."
    assert harness.host.snapshot().calibration is None


def test_one_calibration_runs_at_a_time() -> None:
    harness, _ = started()
    harness.command(Calibrate())
    assert error(harness.host) == "A calibration runs already."
    harness.command(Calibrate("Nobody"))
    assert error(harness.host) == "There is no peer called Nobody."


def test_arrivals_that_nobody_asked_for_change_nothing() -> None:
    harness, (ana, ben) = started("Ben")
    late, number = Arrival(Verdict.HEARD, MAX_PASS_NS, 0, None), ben.listening.number
    harness.host.receive(ana.conn, m.HeardReport(number, (late, late, late)))
    harness.host.receive(ben.conn, m.HeardReport(number - 1, (late, late, late)))  # of another pass
    harness.run(0.2)
    assert not corrections_ms(ben) and harness.host.snapshot().calibration is not None
    harness.host.receive(ben.conn, m.HeardReport(number, (late,)))  # of another number of machines
    assert harness.host.snapshot().calibration is None


def test_a_peer_that_loses_its_host_stops_the_sweeps() -> None:
    harness, (ana, _) = started("Ana")
    ana.cut()
    harness.run(8)
    assert not follows_sweeps(ana) and ana.listening is None


# -- at the speakers ---------------------------------------------------------------------------------------------------


def test_the_travel_of_the_sound_is_taken_out() -> None:
    """Ana is 34.32 m away, which is 100 ms, and hides 40 ms. Ben is near, and hides 60 ms."""
    harness, (ana, ben) = started(distances_m=(("hana", 0), ("Ana", 34.32), ("BEN", 0)))
    heard(harness.host, [0, 140, 60])
    harness.run(0.2)
    assert not corrections_ms(harness.host) and corrections_ms(ana) == [40] and corrections_ms(ben) == [60]
    heard(harness.host, [0, 100.02, 0])
    harness.run(0.2)
    rows = [(row["name"], row["before_ms"], row["after_ms"]) for row in calibrated(harness).fields["machines"]]
    assert rows == [("Hana", 0, 0), ("Ana", 40, 0.02), ("Ben", 60, 0)]
    assert calibrated(harness).fields["place"] == "speakers"
    assert {one.fields["place"] for one in ana.events("output_calibrated")} == {"speakers"}


def test_a_distance_that_is_not_right_is_undone_like_any_other_error() -> None:
    harness, (ana, _) = started(distances_m=(("Hana", 3.432), ("Ana", 0), ("Ben", 3.432)))
    heard(harness.host, [10, 20, 10])
    harness.run(0.2)
    assert corrections_ms(ana) == [20]
    heard(harness.host, [10, -20, 10])
    harness.run(0.2)
    assert corrections_ms(ana) == [20, -20]


def test_all_machines_need_a_distance_before_anything_sounds() -> None:
    for distances_m, says in (
        ((("Hana", 1),), "How far from the microphone is the loudspeaker of Ana and Ben? Please say so in metres."),
        ((), "How far from the microphone is the loudspeaker of Hana, Ana and Ben? Please say so in metres."),
        ((("Hana", 1), ("Ana", 1), ("Ben", 1), ("Eve", 1)), "There is no peer called Eve."),
    ):
        harness, (ana, _) = started(distances_m=distances_m)
        assert error(harness.host) == says
        assert not follows_sweeps(ana) and harness.host.snapshot().calibration is None


def test_a_calibration_for_the_spot_forgets_the_distances_of_the_last_one() -> None:
    harness, (ana, _) = started(distances_m=(("Hana", 0), ("Ana", 34.32), ("Ben", 0)))
    harness.command(StopCalibration(), Calibrate())
    harness.run(0.2)
    heard(harness.host, [0, 100, 0])
    harness.run(0.2)
    assert corrections_ms(ana) == [100]
    assert {one.fields["place"] for one in ana.events("output_calibrated")} == {"spot"}


def test_the_result_says_that_it_is_at_the_speakers() -> None:
    rows = (CalibratedRow("Ana", Verdict.HEARD, 0.0, 0.0, 0.0, None),)
    assert event_text(Calibrated(1, "Hana", rows, "speakers")).splitlines() == [
        "Ana is right: within 0.1 ms.",
        "That is right at the loudspeakers.",
    ]


# -- the proof ---------------------------------------------------------------------------------------------------------


def confirmed_ms(harness: SessionHarness) -> dict[str, float | None]:
    """Within which distance a microphone has confirmed each machine, as the host and the machines themselves know."""
    snapshot = harness.host.snapshot()
    known = {"Hana": snapshot.confirmed, **{peer.name: peer.confirmed for peer in snapshot.peers}}
    for peer in harness.peers:
        if peer.name in known:
            assert peer.snapshot().confirmed == known[peer.name]
    return {name: None if one is None else one.within_ns / MS for name, one in known.items()}


def confirmed() -> tuple[SessionHarness, list[HarnessPeer]]:
    """Ana was late and is corrected; Ben was not heard."""
    harness, peers = started()
    heard(harness.host, [0, 40, None])
    peers[0].output.correction_ns = 40 * MS
    harness.run(3)
    assert confirmed_ms(harness) == {"Hana": None, "Ana": None, "Ben": None}
    heard(harness.host, [0, 0.03, None])
    harness.run(0.2)
    return harness, peers


def test_a_microphone_confirms_what_it_has_heard_again() -> None:
    harness, _ = confirmed()
    assert confirmed_ms(harness) == {"Hana": 0.01, "Ana": 0.03, "Ben": None}
    assert harness.host.snapshot().confirmed == Confirmation(calibrated(harness).session_ns, 10_000, "spot")
    harness.run(60)
    assert confirmed_ms(harness) == {"Hana": 0.01, "Ana": 0.03, "Ben": None}


def test_the_proof_ends_when_the_output_or_the_correction_changes_or_the_peer_leaves() -> None:
    harness, (ana, _) = confirmed()
    ana.output.correction_ns += MS
    harness.run(0.3)
    assert confirmed_ms(harness) == {"Hana": 0.01, "Ana": None, "Ben": None}
    ana.output.correction_ns -= MS
    harness.run(0.3)
    assert confirmed_ms(harness)["Ana"] is None, "it was changed in between"
    harness.host.output.device_name = "other card"
    harness.run(0.3)
    assert confirmed_ms(harness)["Hana"] is None
    harness, (ana, _) = confirmed()
    ana.cut(8)
    harness.run(20)
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ben", "Ana"]
    assert confirmed_ms(harness) == {"Hana": 0.01, "Ben": None, "Ana": None}


def test_what_was_undone_is_not_confirmed() -> None:
    harness, (ana, ben) = started()
    heard(harness.host, [0, 40, 30])
    ana.output.correction_ns, ben.output.correction_ns = 40 * MS, 30 * MS
    harness.run(3)
    heard(harness.host, [0, -90, None])
    harness.run(0.2)
    assert confirmed_ms(harness) == {"Hana": 0.01, "Ana": None, "Ben": None}


# -- a walk from one loudspeaker to the next ---------------------------------------------------------------------------


class Flat:
    """Loudspeakers of Hana, Ana and Ben that hide delays, and the ways of sound between them; all in milliseconds."""

    def __init__(self, *late_ms: float, ways_ms: tuple[float, float, float] = (10, 20, 25), carried: int | None = 0):
        self.late_ms = late_ms
        self.ways_ms = ways_ms
        """Hana to Ana, Hana to Ben, Ana to Ben."""
        self.carried = carried

    def beside(self, place: int, corrected_ms: tuple[float, ...] = (0, 0, 0)) -> list[float | None]:
        """What a microphone beside this loudspeaker hears."""

        def way_ms(k: int) -> float:
            apart = {place, k}
            return 0 if len(apart) == 1 or self.carried in apart else self.ways_ms[sum(apart) - 1]

        return [late - done + way_ms(k) for k, (late, done) in enumerate(zip(self.late_ms, corrected_ms, strict=True))]


def walking(listener: str | None = None, **output: Any) -> tuple[SessionHarness, list[HarnessPeer]]:
    harness, peers = ready()
    for name, value in output.items():
        setattr(harness.host.output, name, value)
    harness.run(1)
    harness.command(Calibrate(listener, walk=True))
    harness.run(0.2)
    return harness, peers


def waits_for(harness: SessionHarness) -> str | None:
    """Beside whose loudspeaker the microphone must be."""
    shown = harness.host.snapshot().calibration
    return shown.wait.beside if shown is not None and shown.wait is not None else None


def go_on(harness: SessionHarness, offsets_ms: Sequence[float | None], listener: SimulatedNode | None = None) -> None:
    """The user goes on, and the microphone hears this."""
    harness.command(CalibrateNext())
    harness.run(0.2)
    heard(listener or harness.host, offsets_ms)
    harness.run(0.2)


def test_the_listening_machine_is_carried_to_each_other_loudspeaker() -> None:
    flat = Flat(0, 40, 60)
    harness, (ana, ben) = walking()
    assert waits_for(harness) == "Ana" and not follows_sweeps(ana) and harness.host.listening is None
    assert harness.host.events("calibration_waits")[0].fields == {
        "listener": "Hana",
        "step": 1,
        "steps": 2,
        "beside": "Ana",
        "carried": True,
        "unheard": None,
        "verdict": None,
    }
    harness.command(CalibrateNext())
    harness.run(0.2)
    assert follows_sweeps(ana) and follows_sweeps(harness.host) and waits_for(harness) is None
    heard(harness.host, flat.beside(1))
    harness.run(0.2)
    assert waits_for(harness) == "Ben" and not corrections_ms(ana)
    assert not any(map(follows_sweeps, (harness.host, ana, ben)))
    go_on(harness, flat.beside(2))
    assert corrections_ms(ana) == [40] and corrections_ms(ben) == [60] and not corrections_ms(harness.host)
    heard(harness.host, [one and one + 0.03 * (k == 1) for k, one in enumerate(flat.beside(2, (0, 40, 60)))])
    harness.run(0.2)
    rows = [(row["name"], row["before_ms"], row["after_ms"]) for row in calibrated(harness).fields["machines"]]
    assert rows == [("Hana", 0, 0), ("Ana", 40, 0.03), ("Ben", 60, 0)]
    assert calibrated(harness).fields["place"] == "speakers"
    assert corrections_ms(ana) == [40] and corrections_ms(ben) == [60]


def test_a_microphone_without_a_loudspeaker_goes_to_all() -> None:
    flat = Flat(0, 40, 60, carried=None)
    harness, (ana, ben) = walking(device_name=None)
    assert waits_for(harness) == "Ana"
    beside = [[None, *flat.beside(place)[1:]] for place in (1, 2)]
    go_on(harness, beside[0])
    assert waits_for(harness) == "Ben"
    go_on(harness, beside[1])
    assert not corrections_ms(ana) and corrections_ms(ben) == [20]
    heard(harness.host, [None, *flat.beside(2, (0, 0, 20))[1:]])
    harness.run(0.2)
    assert [row["after_ms"] for row in calibrated(harness).fields["machines"]] == [None, 0, 0]


def test_a_walk_needs_two_loudspeakers() -> None:
    for listener in (None, "Ana"):
        harness = SessionHarness(output=ReportedOutput(device_name=None))
        harness.join("Ana")
        harness.run(2)
        harness.command(Calibrate(listener, walk=True))
        assert error(harness.host) == "No other machine plays here, so there is nothing to compare."
        assert harness.host.snapshot().calibration is None


def test_a_peer_may_carry_the_microphone() -> None:
    flat = Flat(60, 0, 40, carried=1)
    harness, (ana, ben) = walking("Ana")
    ana.call(ana.core.command, AnswerMicrophone(True))  # once: for all places
    harness.run(0.2)
    assert waits_for(harness) == "Hana"
    go_on(harness, flat.beside(0), ana)
    assert waits_for(harness) == "Ben"
    go_on(harness, flat.beside(2), ana)
    assert corrections_ms(harness.host) == [60] and corrections_ms(ben) == [40]


def test_a_machine_that_is_not_heard_from_the_last_place_keeps_what_was_heard_beside_it() -> None:
    flat = Flat(0, 40, 60)
    harness, (ana, ben) = walking()
    go_on(harness, flat.beside(1))
    go_on(harness, [0, None, 60])
    heard(harness.host, [0, None, 0])
    harness.run(0.2)
    assert corrections_ms(ana) == [40] and corrections_ms(ben) == [60]
    (event,) = (
        one.event for one in harness.host.effects if isinstance(one, Notify) and isinstance(one.event, Calibrated)
    )
    assert event_text(event).splitlines()[1] == (
        "Ana was 40.0 ms late, and is corrected. It is too far from the last place to check that."
    )
    assert harness.host.snapshot().peers[0].confirmed is None


def test_a_walk_that_the_check_does_not_confirm_is_undone() -> None:
    flat = Flat(0, 40, 60)
    harness, (ana, ben) = walking()
    go_on(harness, flat.beside(1))
    go_on(harness, flat.beside(2))
    heard(harness.host, [0, 20 + 60, 0.01])
    harness.run(0.2)
    assert corrections_ms(ana) == [40, -40] and corrections_ms(ben) == [60]
    harness, (ana, ben) = walking()
    go_on(harness, flat.beside(1))
    go_on(harness, [0, None, 60])
    heard(harness.host, [None, None, 0])
    harness.run(0.2)
    assert corrections_ms(ana) == [40, -40] and corrections_ms(ben) == [60, -60]


def test_a_place_is_tried_twice_and_then_left_out() -> None:
    harness, (ana, ben) = walking()
    go_on(harness, [0, None, 85])
    assert waits_for(harness) == "Ana"
    last = harness.host.events("calibration_waits")[-1]
    assert (last.fields["unheard"], last.fields["verdict"], last.fields["step"]) == ("Ana", "not_heard", 1)
    go_on(harness, [0, None, 85])
    assert waits_for(harness) == "Ben"
    go_on(harness, [0, None, 60])
    heard(harness.host, [0, None, 0])
    harness.run(0.2)
    assert corrections_ms(ben) == [60] and not corrections_ms(ana)
    assert [row["verdict"] for row in calibrated(harness).fields["machines"]] == ["heard", "not_heard", "heard"]


def test_the_last_place_may_fail() -> None:
    flat = Flat(0, 40, 60)
    harness, (ana, ben) = walking()
    go_on(harness, flat.beside(1))
    for _ in range(2):
        go_on(harness, [0, 65, None])
    assert corrections_ms(ana) == [40]
    heard(harness.host, [0, 25, None])
    harness.run(0.2)
    assert [row["after_ms"] for row in calibrated(harness).fields["machines"]] == [0, 0, None]


def test_a_walk_on_which_nothing_is_heard_changes_nothing() -> None:
    harness, _ = walking()
    for _ in range(4):
        go_on(harness, [0, None, None])
    assert not any(row["corrected_ms"] for row in calibrated(harness).fields["machines"])
    assert harness.host.snapshot().calibration is None


def test_places_that_contradict_each_other_change_nothing() -> None:
    harness, (ana, ben) = walking(device_name=None)
    flat = Flat(0, 40, 60, carried=None)
    for place in (2, 1):  # the wrong way round
        go_on(harness, [None, *flat.beside(place)[1:]])
    assert str(error(harness.host)).startswith("What was heard at the loudspeakers does not fit together.")
    assert not corrections_ms(ana) and not corrections_ms(ben)


def test_the_music_stays_paused_on_a_walk_and_the_user_may_stop_it_or_forget_it() -> None:
    harness, _ = ready()
    harness.command(Play())
    harness.run(2)
    harness.command(Calibrate(walk=True))
    harness.run(60)
    assert line(harness).stop_session_ns is not None and waits_for(harness) == "Ana"
    harness.command(StopCalibration())
    harness.run(0.2)
    assert line(harness).stop_session_ns is None
    harness.command(Calibrate(walk=True))
    harness.run(301)
    assert harness.host.snapshot().calibration is None
    assert error(harness.host) == "The calibration was stopped. It has changed nothing."
    harness.command(CalibrateNext())
    assert error(harness.host) == "No calibration waits for you."


def test_a_peer_that_leaves_has_no_place_any_more() -> None:
    harness, (ana, ben) = walking()
    ana.leave()
    harness.run(0.2)
    assert waits_for(harness) == "Ben"
    go_on(harness, [0, None, 60])
    assert corrections_ms(ben) == [60]
    harness, (ana, ben) = walking()
    go_on(harness, [0, 40, 85])
    ben.leave()
    harness.run(0.2)
    assert corrections_ms(ana) == [40]
    harness, (ana, ben) = walking()
    ana.leave()
    ben.leave()
    harness.run(0.5)
    assert harness.host.snapshot().calibration is None
