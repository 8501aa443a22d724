"""Songs that arrive in pieces: which peers pass them on, and what happens when that fails."""

from __future__ import annotations

import pytest

from phaselock.model.types import Track
from phaselock.protocol import messages as m
from phaselock.protocol.proof import piece_access
from phaselock.session import effects as e
from phaselock.session.commands import Add, Invite, Remove
from phaselock.session.host.sharing import MIN_SHARED_BYTES
from tests.support.session_harness import HarnessPeer, SessionHarness
from tests.support.simulation import ROOT, a_track

SONG = a_track(1, size=3_000_000)
"""23 pieces."""
PIECES = 23
KEY = b"k" * 32


def willing(harness: SessionHarness, name: str, *, wireless: bool = False, **how: object) -> HarnessPeer:
    """A peer that passes pieces on."""
    peer = harness.join(name, **how)  # type: ignore[arg-type]
    peer.passes_on = m.PiecesAt("192.168.1.7", 40000, KEY, wireless)
    return peer


def added(*peers: HarnessPeer, song: Track = SONG, seconds: float = 2.5) -> list[bytes | None]:
    """The roots with which each of the peers is offered the song first."""
    harness = peers[0].simulation
    harness.run(0.5)
    harness.host.command(Add(song))
    harness.run(seconds)
    return [peer.told(m.FileTransferStart)[0].root for peer in peers]


def sources(peer: HarnessPeer) -> set[int]:
    return {source for _, _, source in peer.piece_tasks}


def test_peers_on_a_switch_pass_a_song_on() -> None:
    harness = SessionHarness()
    ana, ben = willing(harness, "Ana"), willing(harness, "Ben")
    assert added(ana, ben) == [ROOT, ROOT]
    assert harness.host.hashed == [SONG]
    assert all(member.has(SONG.file_id) for member in harness.host.core._parts.members)
    assert len(ana.piece_tasks) == len(ben.piece_tasks) == PIECES
    assert sources(ana) == {0, 2} and sources(ben) == {0, 1}
    (told,) = ana.told(m.PieceSource)
    assert (told.source, told.address, told.port, told.host_key) == (2, ben.ip, 40000, KEY)
    assert told.access == piece_access(ben.piece_keys[-1], 1, SONG.file_id)


def test_a_peer_that_was_alone_helps_those_who_join_later() -> None:
    harness = SessionHarness()
    ana = willing(harness, "Ana")
    harness.run(2)
    ben = willing(harness, "Ben")
    assert added(ana, ben) == [ROOT, ROOT]
    assert sources(ben) == {0, 1}


def test_a_late_peer_fetches_from_those_who_have_the_song() -> None:
    harness = SessionHarness()
    ana, ben = willing(harness, "Ana"), willing(harness, "Ben")
    added(ana, ben)
    cleo = willing(harness, "Cleo")
    harness.run(5)
    assert {1, 2} <= sources(cleo)
    assert SONG.file_id in cleo.tracks


def test_one_peer_fetches_the_whole_song_from_the_host() -> None:
    harness = SessionHarness()
    assert added(willing(harness, "Ana")) == [None]
    assert harness.host.hashed == []


def test_a_small_song_goes_to_everybody_at_once() -> None:
    harness = SessionHarness()
    small = a_track(1, size=MIN_SHARED_BYTES - 1)
    assert added(willing(harness, "Ana"), willing(harness, "Ben"), song=small) == [None, None]


@pytest.mark.parametrize("how", [{"wireless": True}, {"delay_ns": 900_000}], ids=["it says so", "its clock shows it"])
def test_on_a_radio_nobody_passes_songs_on(how: dict[str, object]) -> None:
    harness = SessionHarness()
    peers = [willing(harness, "Ana", **how), willing(harness, "Ben", **how)]  # type: ignore[arg-type]
    assert added(*peers) == [None, None]


def test_a_wired_peer_helps_one_on_a_radio() -> None:
    harness = SessionHarness()
    ana, ben = willing(harness, "Ana"), willing(harness, "Ben", wireless=True)
    assert added(ana, ben) == [None, ROOT]
    assert 1 in sources(ben)


def test_peers_of_one_house_elsewhere_fetch_once_and_share() -> None:
    harness = SessionHarness()
    harness.command(Invite("4829134471"))
    elsewhere = {"outside": True, "ip": "203.0.113.5", "delay_ns": 15_000_000, "code": "4829134471"}
    ana, ben = (willing(harness, name, wireless=True, **elsewhere) for name in ("Ana", "Ben"))
    cleo = willing(harness, "Cleo")
    assert added(ana, ben, cleo) == [ROOT, ROOT, None]
    assert all(SONG.file_id in peer.tracks for peer in (ana, ben, cleo))
    from_host = [piece for peer in (ana, ben) for _, piece, source in peer.piece_tasks if source == 0]
    assert sorted(from_host) == list(range(PIECES))
    assert ana.told(m.PieceSource)[0].address == "192.168.1.7"


@pytest.mark.parametrize("address", ["127.0.0.1", "8.8.8.8", "0.0.0.0", "224.0.0.1", "router.local", ""])
def test_a_peer_elsewhere_cannot_name_an_address_outside_of_its_house(address: str) -> None:
    harness = SessionHarness()
    harness.command(Invite("4829134471"))
    peers = [harness.join(name, outside=True, ip="203.0.113.5", code="4829134471") for name in ("Ana", "Ben")]
    for peer in peers:
        peer.passes_on = m.PiecesAt(address, 40000, KEY, False)
    assert added(*peers) == [None, None]


def test_a_relay_whose_pieces_are_wrong_is_left_out() -> None:
    harness = SessionHarness()
    ana, ben, cleo = (willing(harness, name) for name in ("Ana", "Ben", "Cleo"))
    for peer in (ben, cleo):
        peer.piece_results = lambda piece, source: "wrong" if source == 1 else "right"
    added(ana, ben, cleo, song=a_track(1, size=20_000_000), seconds=20)
    assert all(1 in peer.tracks or len(peer.tracks) == 1 for peer in (ana, ben, cleo))
    assert [dict(one.fields)["code"] for one in harness.host.events("warning")] == ["relay_left_out"]
    assert len([1 for _, _, source in [*ben.piece_tasks, *cleo.piece_tasks] if source == 1]) < 10


def test_one_member_is_not_two_accusers_by_joining_again() -> None:
    harness = SessionHarness()
    ana, ben, _ = (willing(harness, name) for name in ("Ana", "Ben", "Cleo"))
    harness.run(1)
    host, relays = harness.host, harness.host.core._parts.sharing._relays
    relays.wrong(host.core._parts.members.members[ben.conn], 1, now_ns=host.now_ns)
    host.connection_lost(ben.conn, "reset")
    again = willing(harness, "Neb")
    harness.run(1)
    relays.wrong(host.core._parts.members.members[again.conn], 1, now_ns=host.now_ns)
    assert not relays._relays[1].left_out
    host.connection_lost(again.conn, "reset")
    host.connection_lost(ana.conn, "reset")
    assert relays._relays.keys() == {3}


def test_a_relay_that_is_not_reached_is_left_alone_for_a_while() -> None:
    harness = SessionHarness()
    ana, ben = willing(harness, "Ana"), willing(harness, "Ben")
    ana.piece_results = lambda piece, source: "lost" if source else "right"
    added(ana, ben, seconds=4)
    assert SONG.file_id in ana.tracks
    assert len([1 for _, _, source in ana.piece_tasks if source == 2]) <= 4
    assert harness.host.events("warning") == []


def test_a_peer_that_the_host_sends_no_pieces_fetches_the_whole_song() -> None:
    harness = SessionHarness()
    ana, ben = willing(harness, "Ana"), willing(harness, "Ben")
    ana.piece_results = lambda piece, source: "right" if source else "lost"
    added(ana, ben)
    assert [start.root for start in ana.told(m.FileTransferStart)] == [ROOT, None]
    assert SONG.file_id in ana.tracks


def test_a_peer_that_leaves_is_asked_no_more() -> None:
    harness = SessionHarness()
    ana, ben = willing(harness, "Ana"), willing(harness, "Ben")
    big = a_track(1, size=40_000_000)
    added(ana, ben, song=big, seconds=0.3)
    ana.leave()
    harness.run(0.1)
    before = len(ben.piece_tasks)
    harness.run(30)
    assert 1 not in {source for _, _, source in ben.piece_tasks[before:]}
    assert big.file_id in ben.tracks


def test_a_song_that_is_removed_is_not_fetched_on() -> None:
    harness = SessionHarness()
    ana, ben = willing(harness, "Ana"), willing(harness, "Ben")
    added(ana, ben, song=a_track(1, size=40_000_000), seconds=0.3)
    harness.command(Remove(a_track(1).file_id))
    harness.run(1)
    count = len(ana.piece_tasks)
    harness.run(5)
    assert len(ana.piece_tasks) == count and not ana.in_pieces


def test_reports_of_a_peer_about_files_that_it_does_not_fetch_are_harmless() -> None:
    harness = SessionHarness()
    ana, ben = willing(harness, "Ana"), willing(harness, "Ben")
    added(ana, ben)
    for end in (m.PieceEnd(5, 9, "wrong"), m.PieceEnd(1000, 0, "right")):
        ana.execute(e.Send(0, m.PiecesEnded(SONG.file_id, (end,))))
        ana.execute(e.Send(0, m.PiecesEnded(a_track(7).file_id, (end,))))
    harness.run(1)
    assert len(harness.host.core._parts.members) == 2


@pytest.mark.parametrize(
    "message",
    [
        m.PieceTasks(SONG.file_id, (m.PieceTask(PIECES, 0),)),
        m.PieceTasks(SONG.file_id, (m.PieceTask(1, 9),)),
        m.PiecesKey(b"k" * 16),
    ],
    ids=["a piece beyond the end", "an unknown source", "a key for nothing"],
)
def test_a_host_that_breaks_the_rules_of_pieces(message: m.Message) -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    harness.run(0.5)
    start = m.FileTransferStart(
        SONG.file_id, SONG.file_name, SONG.size, SONG.sha256, SONG.rate_hz, SONG.frames, root=ROOT
    )
    ana.call(ana.core.received, start)
    ana.call(ana.core.received, message)
    assert ana.gone
