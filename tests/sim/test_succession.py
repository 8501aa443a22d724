"""Whole sessions whose host changes: see tests/support/evening.py."""

from __future__ import annotations

from uuid import UUID

import pytest

from phaselock.model.party import Order, PartyRules
from phaselock.model.transitions import Transitions
from phaselock.session.commands import (
    Accept,
    ChangeCode,
    DropPeer,
    HandOver,
    Play,
    Repeat,
    Request,
    Say,
    SetLoudness,
    SetRules,
    SetTransitions,
    VoteFor,
)
from tests.support.evening import Evening, Machine


def jam(*names: str, tracks: int = 3, playing: bool = True, **options: object) -> tuple[Evening, list[Machine]]:
    """A session in which everybody has every file, and the line of succession is known. The first one is the host."""
    evening = Evening()
    drifts = 12.0, -17.0, 31.0, -40.0, 5.0, 22.0
    machines = [evening.machine(name, ppm) for name, ppm in zip(names, drifts, strict=False)]
    machines[0].host(**options)
    evening.run(0.5)
    for one in machines[1:]:
        one.join(machines[0])
    evening.run(1)
    for _ in range(tracks):
        machines[0].add()
    evening.run(4)
    if playing:
        machines[0].command(Play())
        evening.run(2)
    return evening, machines


def songs(host: Machine) -> list[bytes]:
    """The hashes of the songs in its queue."""
    return [entry.track.sha256 for entry in host.core._parts.queue.rows.entries]  # type: ignore[union-attr]


def test_a_session_is_handed_over_without_a_gap() -> None:
    evening, (hana, ana, ben, cleo) = jam("Hana", "Ana", "Ben", "Cleo")
    before, queue = hana.snapshot().timeline, [row.id for row in hana.snapshot().queue]
    hana.command(HandOver(None))
    evening.run(2)
    assert [one.is_host for one in (hana, ana, ben, cleo)] == [False, True, False, False]
    for one in (hana, ana, ben, cleo):
        assert one.is_connected
        assert one.snapshot().timeline == before
        assert [row.id for row in one.snapshot().queue] == queue


def test_the_host_crashes_and_the_first_in_line_takes_over() -> None:
    evening, (hana, ana, ben, cleo) = jam("Hana", "Ana", "Ben", "Cleo")
    before, queue = ana.snapshot().timeline, [row.id for row in ana.snapshot().queue]
    assert before is not None
    hana.crash()
    took_s = evening.run_until(lambda: all(one.is_connected and one.core for one in (ana, ben, cleo)) and ana.is_host)
    assert took_s < 3
    for one in (ana, ben, cleo):
        assert one.snapshot().timeline == before
        assert [row.id for row in one.snapshot().queue] == queue
    hana.join(ana)
    evening.run(3)
    assert {peer.name for peer in ana.snapshot().peers} == {"Hana", "Ben", "Cleo"}


@pytest.mark.slow
def test_the_battery_of_the_host_is_empty() -> None:
    evening, (hana, ana, ben, cleo) = jam("Hana", "Ana", "Ben", "Cleo")
    hana.switch_off()
    took_s = evening.run_until(lambda: all(one.is_connected for one in (ana, ben, cleo)) and ana.is_host)
    assert took_s < 9


@pytest.mark.slow
def test_the_next_in_line_takes_over_if_the_first_is_gone_too() -> None:
    evening, (hana, ana, ben, cleo, dan) = jam("Hana", "Ana", "Ben", "Cleo", "Dan")
    hana.switch_off()
    ana.switch_off()
    evening.run_until(lambda: all(one.is_connected for one in (ben, cleo, dan)) and ben.is_host)


@pytest.mark.slow
def test_three_successions_in_a_row() -> None:
    evening, machines = jam("Hana", "Ana", "Ben", "Cleo", "Dan")
    line = machines[-1].snapshot().timeline
    for _ in range(3):
        host = next(one for one in machines if one.is_host)
        host.crash()
        evening.run(12)
    (host,) = [one for one in machines if one.is_host]
    (peer,) = [one for one in machines if one.core is not None and not one.is_host]
    assert peer.is_connected
    assert peer.snapshot().timeline == host.snapshot().timeline == line


def test_the_only_peer_takes_over_when_the_program_of_the_host_has_ended() -> None:
    evening, (hana, ana) = jam("Hana", "Ana")
    hana.crash()
    evening.run(2)
    assert ana.is_host


@pytest.mark.slow
def test_the_only_peer_waits_for_a_host_that_is_silent() -> None:
    evening, (hana, ana) = jam("Hana", "Ana", tracks=6)
    hana.switch_off()
    evening.run(50)
    assert not ana.is_host
    evening.run(25)
    assert ana.is_host


@pytest.mark.slow
def test_a_minority_does_not_take_over_while_the_host_lives() -> None:
    evening, (hana, ana, ben, cleo, dan) = jam("Hana", "Ana", "Ben", "Cleo", "Dan")
    evening.cut([ana, ben])
    evening.run(50)
    assert evening.hosts() == [hana]
    evening.heal()
    evening.run(10)
    assert {peer.name for peer in hana.snapshot().peers} == {"Ana", "Ben", "Cleo", "Dan"}


def test_both_halves_of_a_cut_network_go_on_and_the_younger_one_joins_the_older_one() -> None:
    evening, (hana, ana, ben, cleo, dan) = jam("Hana", "Ana", "Ben", "Cleo", "Dan")
    evening.cut([hana, dan])
    evening.run(12)
    assert evening.hosts() == [hana, ana]
    assert {peer.name for peer in ana.snapshot().peers} == {"Ben", "Cleo"}
    young, old = ana.add(), hana.add()
    evening.run(5)
    evening.heal()
    evening.run(10)
    assert evening.hosts() == [hana]
    assert {peer.name for peer in hana.snapshot().peers} == {"Ana", "Ben", "Cleo", "Dan"}
    hashes = songs(hana)
    assert {young.sha256, old.sha256} <= set(hashes)
    assert len(hashes) == len(set(hashes))
    for one in (ana, ben, cleo, dan):
        assert one.is_connected
        assert one.snapshot().timeline == hana.snapshot().timeline
        assert one.snapshot().queue == hana.snapshot().queue


def test_the_machines_of_a_line_bring_the_songs_of_a_host_that_dies_when_two_parts_meet() -> None:
    evening, (hana, ana, ben, cleo, dan) = jam("Hana", "Ana", "Ben", "Cleo", "Dan")
    evening.cut([hana, dan])
    evening.run(12)
    young = ana.add()
    evening.run(5)
    evening.heal()
    ana.switch_off()
    evening.run(15)
    assert evening.hosts() == [hana]
    (row,) = [one for one in hana.core._parts.queue.rows.entries if one.track.sha256 == young.sha256]  # type: ignore[union-attr]
    assert (row.added_by, row.asker) == ("Ana", "peer:1")
    assert len(songs(hana)) == len(set(songs(hana)))
    assert not hana.snapshot().requests


def test_a_machine_that_takes_over_keeps_the_songs_that_it_was_bringing(monkeypatch: pytest.MonkeyPatch) -> None:
    evening, (hana, ana) = jam("Hana", "Ana")
    evening.cut([ana])
    evening.run(80)
    assert evening.hosts() == [hana, ana]
    young = ana.add()
    evening.heal()
    monkeypatch.setattr(ana, "_uploaded", lambda upload: None)  # as if the upload took long
    evening.run(8)
    assert evening.hosts() == [hana]
    assert young.sha256 not in songs(hana)
    hana.crash()
    evening.run(3)
    assert evening.hosts() == [ana]
    assert songs(ana).count(young.sha256) == 1


def test_hosts_of_two_parts_meet_that_do_not_know_each_other() -> None:
    """Each of them has joined the session, or was in the line, after the other one was gone."""
    evening = Evening()
    hana, ana, eva = (evening.machine(name) for name in ("Hana", "Ana", "Eva"))
    hana.host()
    ana.join(hana)
    evening.run(5)
    evening.cut([ana])
    evening.run(80)
    assert evening.hosts() == [hana, ana]
    eva.join(hana)
    evening.run(5)
    hana.command(HandOver(None))
    evening.run(3)
    hana.switch_off()
    evening.heal()
    evening.run(10)
    assert len(evening.hosts()) == 1
    assert ana.is_connected
    assert eva.is_connected


@pytest.mark.slow
def test_a_host_that_is_cut_off_alone_joins_the_others() -> None:
    evening, (hana, ana, ben, cleo) = jam("Hana", "Ana", "Ben", "Cleo")
    evening.cut([hana])
    evening.run(30)
    assert evening.hosts() == [hana, ana]
    evening.heal()
    evening.run(10)
    assert evening.hosts() == [ana]
    assert {peer.name for peer in ana.snapshot().peers} == {"Hana", "Ben", "Cleo"}


@pytest.mark.slow
def test_a_host_that_has_slept_joins_the_others() -> None:
    evening, (hana, ana, ben, cleo) = jam("Hana", "Ana", "Ben", "Cleo")
    hana.sleep(300)
    evening.run(310)
    assert evening.hosts() == [ana]
    assert hana.is_connected


def test_a_host_that_was_stopped_joins_the_others() -> None:
    """It is asked before it notices that its members are gone."""
    evening, (hana, ana, ben) = jam("Hana", "Ana", "Ben")
    for seconds in (15, 15.5, 16, 16.5):
        hana.stop(seconds)
        evening.run(seconds + 10)
        (host,) = evening.hosts()
        assert host is not hana
        assert hana.is_connected and ana.is_connected and ben.is_connected
        host.command(HandOver("Hana"))
        evening.run(10)
        assert evening.hosts() == [hana]


def test_a_former_host_finds_the_next_one_if_it_loses_the_new_one_before_it_has_joined() -> None:
    evening, (hana, ana, ben) = jam("Hana", "Ana", "Ben")
    evening.cut([hana])
    evening.run(30)
    evening.heal()
    evening.run_until(lambda: not hana.is_host)
    assert not hana.is_connected
    ana.crash()
    evening.run(15)
    assert evening.hosts() == [ben]
    assert hana.is_connected


def test_a_new_host_gets_the_songs_that_it_lacks_from_the_peers() -> None:
    evening, (hana, ana, ben, cleo) = jam("Hana", "Ana", "Ben", "Cleo")
    lacking = [row.track for row in hana.core._parts.queue.waiting()]  # type: ignore[union-attr]
    assert len(lacking) == 2
    ana.core._parts.files._files.clear()  # type: ignore[union-attr]  # as if they had not arrived yet
    for track in lacking:
        ana.files.discard(track.sha256)
    hana.crash()
    evening.run(5)
    assert ana.is_host
    assert {track.sha256 for track in lacking} <= ana.files
    assert not ana.core._parts.members.lost_files  # type: ignore[union-attr]


@pytest.mark.slow
def test_a_firewall_of_the_first_in_line_lets_the_next_one_take_over() -> None:
    evening, (hana, ana, ben) = jam("Hana", "Ana", "Ben")
    ana.is_walled = True
    hana.crash()
    evening.run(12)
    assert evening.hosts() == [ben]
    assert ana.is_connected


def test_what_people_have_done_stays_when_the_host_is_lost() -> None:
    """Who asked, votes, rules, names, removed machines, open requests and the chat."""
    evening, (hana, ana, ben, cleo, dan) = jam("Hana", "Ana", "Ben", "Cleo", "Dan", tracks=2)
    rules = PartyRules(order=Order.FAIR, max_waiting=2, skip_vote=True)
    hana.command(SetRules(rules), SetTransitions(Transitions(3.0, skip_silence=True)), SetLoudness(-14.0), Repeat(True))
    wish = Request(UUID(int=700), "wish.mp3", 900, bytes(range(32)), "Wish", "Who")
    open_wish = Request(UUID(int=701), "other.mp3", 901, bytes(range(1, 33)))
    ben.command(wish)
    evening.run(0.5)
    hana.command(Accept(wish.request_id))
    evening.run(1)
    ben.command(open_wish)
    row = next(row for row in hana.snapshot().queue if row.added_by == "Ben")
    cleo.command(VoteFor(row.id, wanted=True))
    hana.command(VoteFor(row.id, wanted=True), Say("Hello."), DropPeer("Dan"))
    evening.run(3)
    before = hana.snapshot()
    hana.crash()
    evening.run(5)
    assert ana.is_host
    now = ana.snapshot()
    assert (now.rules, now.transitions, now.loudness_lufs, now.repeat) == (
        rules,
        Transitions(3.0, skip_silence=True),
        -14.0,
        True,
    )
    assert [row.id for row in now.queue] == [row.id for row in before.queue]
    assert [row.added_by for row in now.queue] == [row.added_by for row in before.queue]
    assert [one.text for one in now.chat] == ["Hello."]
    assert now.removed == ("Dan",)
    (votes,) = now.votes
    assert (votes.file_id, votes.votes) == (row.id, 1)  # Hana is not here
    assert [(one.peer_name, one.file_name) for one in now.requests] == [("Ben", "other.mp3")]
    dan.join(ana)
    evening.run(2)
    assert dan.ended is not None and dan.ended.reason.code == "barred"
    hana.join(ana)
    evening.run(2)
    assert hana.snapshot().display_name == "Hana"
    asked = {entry.asker for entry in ana.core._parts.queue.waiting()}  # type: ignore[union-attr]
    assert asked <= {f"peer:{peer.peer_id}" for peer in now.peers} | {"peer:0"}


@pytest.mark.slow
def test_the_host_hands_over_to_a_chosen_machine_and_leaves() -> None:
    evening, (hana, ana, ben, cleo) = jam("Hana", "Ana", "Ben", "Cleo")
    line = hana.snapshot().timeline
    hana.command(HandOver("Cleo", stay=False))
    evening.run(3)
    assert hana.ended is not None and hana.ended.reason.code == "handed_over"
    assert evening.hosts() == [cleo]
    assert all(one.is_connected and one.snapshot().timeline == line for one in (ana, ben, cleo))


@pytest.mark.slow
def test_a_former_host_can_become_the_host_again() -> None:
    evening, (hana, ana, ben) = jam("Hana", "Ana", "Ben")
    line = hana.snapshot().timeline
    hana.command(HandOver("Ana"))
    evening.run(8)
    ana.command(HandOver("Hana"))
    evening.run(8)
    assert evening.hosts() == [hana]
    hana.crash()
    evening.run(3)
    (host,) = evening.hosts()
    assert all(one.is_connected and one.snapshot().timeline == line for one in (ana, ben))
    assert host in (ana, ben)


@pytest.mark.slow
def test_a_new_host_that_dies_at_once_is_followed_by_the_next() -> None:
    evening, (hana, ana, ben, cleo) = jam("Hana", "Ana", "Ben", "Cleo")
    hana.crash()
    evening.run_until(lambda: ana.is_host)
    evening.run(0.5)
    ana.crash()
    evening.run(10)
    assert evening.hosts() == [ben]
    assert cleo.is_connected


@pytest.mark.slow
def test_a_machine_that_is_never_host_does_not_take_over_but_votes() -> None:
    evening = Evening()
    hana, ana, ben = evening.machine("Hana"), evening.machine("Ana", may_host=False), evening.machine("Ben")
    hana.host()
    ana.join(hana)
    ben.join(hana)
    evening.run(5)
    hana.switch_off()
    evening.run(12)
    assert evening.hosts() == [ben]
    assert ana.is_connected


@pytest.mark.slow
def test_without_succession_a_session_ends_with_its_host() -> None:
    evening, (hana, ana, ben) = jam("Hana", "Ana", "Ben", succession=False)
    hana.crash()
    evening.run(2)
    assert [one.ended.reason.code for one in (ana, ben) if one.ended] == ["host_lost", "host_lost"]


@pytest.mark.slow
def test_people_who_joined_another_part_by_a_code_follow_it() -> None:
    evening, (hana, ana, ben, cleo) = jam("Hana", "Ana", "Ben", "Cleo")
    hana.command(ChangeCode("123456"))
    evening.run(2)
    new = evening.machine("New")
    evening.cut([hana, cleo])
    evening.run(12)
    new.join(ana, code="123456")
    evening.run(5)
    assert new.is_connected
    evening.heal()
    evening.run(12)
    assert evening.hosts() == [hana]
    assert {peer.name for peer in hana.snapshot().peers} == {"Ana", "Ben", "Cleo", "New"}
