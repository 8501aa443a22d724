"""The line of succession and the heritage at the host, and handing over."""

from __future__ import annotations

import pytest

from phaselock.model.heritage import Hosting
from phaselock.protocol import messages as m
from phaselock.protocol.framing import frame
from phaselock.protocol.proof import heir_token
from phaselock.session import effects as e
from phaselock.session.commands import (
    Add,
    AllowGuest,
    HandOver,
    Leave,
    Move,
    Quit,
    RemoveGuest,
    UseFallback,
    VoteFor,
)
from phaselock.session.guest_actions import GuestHere, GuestVotes
from phaselock.session.host import estate
from phaselock.session.person_keys import FALLBACK_KEY
from phaselock.session.sentences import QUIT_HINT
from tests.support.heirs import LIAR, a_line, key_of, line_at, successor_of
from tests.support.raw_member import RawMember
from tests.support.session_harness import HarnessPeer, SessionHarness, error, ready
from tests.support.simulation import HOST_KEY, a_track
from tests.support.told import reason


def sizes(peer: HarnessPeer, since: int) -> list[int]:
    updates = [one for one in peer.received[since:] if isinstance(one, m.HeritageUpdate)]
    return [len(frame(one)) for one in updates]


def test_nothing_is_asked_before_the_host_knows_where_it_is() -> None:
    harness, peers = ready()
    harness.run(10)
    assert not any(peer.told(m.StandBy) or peer.told(m.SuccessionLine) for peer in peers)


def test_a_session_without_succession_says_nothing_of_it() -> None:
    harness = SessionHarness()
    harness.host.core._parts.reign.succession._is_on = False
    peer = harness.join("Ana")
    harness.host.call(harness.host.core.reachable_at, ("10.0.0.1",), 17401)
    harness.run(10)
    assert not peer.told(m.StandBy)
    assert not peer.told(m.SuccessionLine)
    harness.command(HandOver(None))
    assert error(harness.host) == f"No other machine may become the host of this jam. {QUIT_HINT}"


def test_three_of_the_willing_peers_are_in_the_line() -> None:
    harness, peers = a_line("Ana", "Ben", "Cleo", "Dan")
    assert [one.name for one in line_at(peers[3]).successors] == ["Ana", "Ben", "Cleo"]
    assert line_at(peers[0]).voters == 4
    assert [bool(peer.told(m.HeritageUpdate)) for peer in peers] == [True, True, True, False]
    assert harness.host.events("successors")[-1].fields["names"] == ["Ana", "Ben", "Cleo"]


def test_a_peer_on_a_cable_comes_first() -> None:
    harness, (ana, ben) = ready("Ana", "Ben")
    harness.host.call(harness.host.core.reachable_at, ("10.0.0.1",), 17401)
    harness.run(0.1)
    ana.call(ana.core.stands_by, 17401, 17402, key_of(ana), (), False)
    ben.call(ben.core.stands_by, 17401, 17402, key_of(ben), (), True)
    harness.run(0.3)
    assert [one.name for one in line_at(ana).successors] == ["Ben", "Ana"]


def test_a_key_is_once_in_the_line_and_the_hosts_not_at_all() -> None:
    harness, peers = a_line("Ana")
    same, hosts = harness.join("Ben"), harness.join("Cleo")
    harness.run(2.1)
    same.call(same.core.stands_by, 17403, 17404, key_of(peers[0]))
    hosts.call(hosts.core.stands_by, 17405, 17406, HOST_KEY)
    harness.run(11)
    assert [one.name for one in line_at(same).successors] == ["Ana"]
    assert not harness.host.events("peer_left")


def test_a_far_peer_is_not_asked() -> None:
    harness, (ana,) = ready("Ana")
    far = harness.join("Far", delay_ns=40_000_000)
    harness.host.call(harness.host.core.reachable_at, ("10.0.0.1",), 17401)
    harness.run(5)
    assert ana.told(m.StandBy)
    assert not far.told(m.StandBy)


def test_a_change_costs_a_successor_one_row() -> None:
    harness, (ana, ben) = a_line("Ana", "Ben", tracks=50)
    for change in (Move(harness.host.snapshot().queue[30].id, 3), VoteFor(harness.host.snapshot().queue[9].id, True)):
        since = len(ana.received)
        harness.command(change)
        harness.run(2)
        assert sum(sizes(ana, since)) < 1000
    since = len(ana.received)
    harness.run(5)
    assert not sizes(ana, since)


def test_the_largest_row_is_small() -> None:
    name = "\N{SNOWMAN}" * 60
    harness, (ana, ben) = a_line("Ana", "Ben")
    since = len(ana.received)
    track = a_track(99, file_name=name + ".mp3", title=name, artist=name)
    harness.command(Add(track))
    harness.run(2)
    assert sum(sizes(ana, since)) < 1500


def test_a_successor_learns_no_secret_of_another_member() -> None:
    harness, (ana, ben, cleo) = a_line("Ana", "Ben", "Cleo")
    members = list(harness.host.core._parts.members)
    members[2].outside = True  # its address is that of a home elsewhere
    harness.run(1)
    tokens = {member.peer_id: member.token for member in members}
    told = {one.peer_id: one for update in ana.told(m.HeritageUpdate) for one in update.members}
    assert told.keys() == tokens.keys() - {1}
    assert all(one.token == heir_token(tokens[peer_id], key_of(ana)) for peer_id, one in told.items())
    assert [one.ip for one in told.values()] == [ben.ip, ""]
    members[2].call_back_port = 40404  # it may be called there
    harness.run(1)
    assert ana.told(m.HeritageUpdate)[-1].members[0].ip == cleo.ip


def test_a_crowd_that_came_and_went_does_not_hide_who_was_lost_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estate, "MAX_MEMBERS", 3)
    harness, (ana, _) = a_line("Ana", "Ben")
    for name in ("Crowd", "Dan"):
        member = RawMember(harness, name, "10.0.0.66")
        member.report()
        harness.host.connection_lost(member.conn, "reset")
        harness.run(1)
    names = {one.name for one in ana.core._parts.succession.estate.members.values()}
    assert names == {"Ben", "Dan"}


@pytest.mark.parametrize("message", [m.StandingBy(17401, 17402, LIAR), m.TookOver()])
def test_a_member_that_was_not_asked_breaks_the_protocol(message: m.Message) -> None:
    harness, (ana, ben) = ready("Ana", "Ben")
    harness.host.receive(ana.conn, message)
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ben"]


def test_a_member_that_changes_the_line_again_and_again_is_told_of_once() -> None:
    harness, (ana, ben) = a_line("Ana", "Ben")
    before = len(ben.told(m.SuccessionLine))
    for port in range(1, 51):
        harness.host.receive(ana.conn, m.StandingBy(port, port, key_of(ana)))
    harness.run(11)
    assert len(ben.told(m.SuccessionLine)) == before + 1
    assert line_at(ben).successors[0].control_port == 50


def test_the_user_learns_why_a_session_cannot_be_handed_over() -> None:
    harness, (ana,) = ready("Ana")
    harness.host.call(harness.host.core.reachable_at, ("10.0.0.1",), 17401)
    for command, sentence in (
        (HandOver(None), f"No other machine is ready to become the host. {QUIT_HINT}"),
        (HandOver("Ana"), "Ana cannot become the host."),
        (HandOver("Nobody"), "There is no peer called Nobody."),
    ):
        harness.command(command)
        assert error(harness.host) == sentence


def test_the_host_goes_on_if_the_successor_does_not_answer() -> None:
    harness, (ana, ben) = a_line("Ana", "Ben")
    ana.cut()
    harness.command(HandOver("Ana"))
    harness.command(Move(harness.host.snapshot().queue[0].id, 2))
    assert error(harness.host) == "The jam is being handed over. Please wait a moment."
    harness.run(4)
    assert error(harness.host) == "Ana did not take over. This machine is still the host."
    assert not ben.told(m.HostMoved)
    harness.command(Quit())
    assert ben.ended is None or not harness.host.of(e.FollowHost)


def test_a_host_that_leaves_asks_the_next_in_line_if_the_first_one_does_not_answer() -> None:
    harness, (ana, ben) = a_line("Ana", "Ben")
    ana.cut()
    harness.command(Leave())
    assert not ben.told(m.HostMoved)
    harness.run(4)
    assert [one.host.name for one in ben.told(m.HostMoved)] == ["Ben"]
    assert reason(harness.host.ended) == "Ben is the host now. You left the jam."


def test_a_host_that_leaves_ends_the_session_if_nobody_takes_over() -> None:
    harness, (ana, ben) = a_line("Ana", "Ben")
    ana.cut()
    ben.cut()
    harness.command(Leave())
    harness.run(4)
    assert harness.host.ended is None
    harness.run(4)
    assert reason(harness.host.ended) == "Session ended."


def test_a_host_that_leaves_without_a_line_ends_the_session() -> None:
    harness, (ana,) = ready("Ana")
    harness.command(Leave())
    harness.run(1)
    assert reason(harness.host.ended) == reason(ana.ended) == "Session ended."


def test_a_host_may_leave_while_it_hands_over() -> None:
    harness, (ana, ben) = a_line("Ana", "Ben")
    harness.command(HandOver("Ben"))
    harness.command(Leave())
    harness.run(4)
    assert reason(harness.host.ended) == "Ben is the host now. You left the jam."
    assert not harness.host.of(e.FollowHost)


# -- the page for guests -----------------------------------------------------------------------------------------------


def test_the_guests_are_the_same_at_the_new_host() -> None:
    harness, (ana,) = a_line("Ana")
    zoe, mia = b"z" * 16, b"m" * 16
    song = harness.host.snapshot().queue[2].id
    for guest_id, name in ((zoe, "Zoë"), (mia, "Mia")):
        harness.host.call(harness.host.core.guest, guest_id, GuestHere(name, "10.0.0.9"))
    harness.host.call(harness.host.core.guest, zoe, GuestVotes(song, True))
    harness.command(RemoveGuest(mia))
    harness.host.call(harness.host.core.hosts_with, Hosting(b"s" * 16, 8000, unlisted=True))
    harness.run(2)
    core = successor_of(harness, ana)
    assert core.hosting == Hosting(b"s" * 16, 8000, unlisted=True)
    assert core.is_removed_guest(mia)
    now_ns = harness.host.now_ns
    core.guest(zoe, GuestHere("Zoë", "10.0.0.1"), now_ns=now_ns)
    page = core.guest_page(zoe, now_ns=now_ns)
    assert page is not None
    assert (page.name, page.voted) == ("Zoë", {song})


def test_a_guest_that_was_let_in_again_is_let_in_at_the_new_host() -> None:
    harness, (ana,) = a_line("Ana")
    mia = b"m" * 16
    harness.host.call(harness.host.core.guest, mia, GuestHere("Mia", "10.0.0.9"))
    harness.command(RemoveGuest(mia))
    harness.run(2)
    harness.command(AllowGuest("Mia"))
    harness.run(2)
    assert not successor_of(harness, ana).is_removed_guest(mia)


def test_many_guests_that_do_nothing_cost_the_successors_nothing() -> None:
    harness, (ana,) = a_line("Ana")
    for number in range(200):
        name = f"Guest {number}"
        harness.host.call(harness.host.core.guest, number.to_bytes(16, "big"), GuestHere(name, f"10.0.1.{number}"))
    harness.run(2)
    assert sum(sizes(ana, 0)) > 200 * 50
    since = len(ana.received)
    harness.run(5)
    assert not sizes(ana, since)


def test_phones_are_told_where_the_next_hosts_would_serve_the_page() -> None:
    harness, (ana, ben) = a_line("Ana", "Ben")
    ben.call(ben.core.stands_by, 17401, 17402, key_of(ben), ("10.0.0.77",), True, 8000)
    harness.run(11)
    pages = harness.host.core.next_pages()
    ips = {member.name: member.ip for member in harness.host.core._parts.members}
    assert pages == ((ips["Ben"], 8000), (ips["Ana"], 17403), ("10.0.0.77", 8000))
    new = successor_of(harness, ana)
    assert new.next_pages() == (("10.0.0.1", 17403),)


def test_the_new_host_is_told_that_a_fallback_plays() -> None:
    harness, (ana,) = a_line("Ana")
    harness.command(UseFallback(True), Add(a_track(9), fallback=True))
    harness.run(2)
    me = line_at(ana).successors[0]
    ana.call(ana.core.received, m.HostMoved(me, 1, (HOST_KEY, me.host_key)))
    heritage = ana.of(e.TakeOver)[0].heritage
    assert heritage.settings.fallback
    assert [one.file_id for one in heritage.songs if one.asker == FALLBACK_KEY] == [a_track(9).file_id]
