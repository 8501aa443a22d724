"""Songs of another part of the session, as a host takes them and as a peer brings them."""

from __future__ import annotations

import dataclasses

import pytest

from phaselock.model.heritage import Bequest, BequestSong, Claim, Election, HostContact
from phaselock.protocol import messages as m
from phaselock.protocol.proof import bequest_purpose, membership_proof
from phaselock.session import effects as e
from phaselock.session.claims import loss_vote
from phaselock.session.commands import Accept, DropPeer, Reject, Remove
from phaselock.session.host.requests import TOO_MANY
from phaselock.session.outbox import Outbox
from phaselock.session.peer.bequest import PeerBequest
from tests.session.test_succession import a_line, key_of, line_at, successor_of
from tests.support.session_harness import HarnessPeer, SessionHarness
from tests.support.simulation import HOST_KEY, a_track

LIAR = b"L" * 32
SONG = a_track(77)


def offer(number: int = 77) -> m.SongBequest:
    t = a_track(number)
    return m.SongBequest(t.file_id, t.file_name, t.size, "", "", 60.0, t.sha256, "Cleo", 3)


def other_part(
    harness: SessionHarness, one: HarnessPeer, voters: list[HarnessPeer], candidate: bytes, secret: bytes | None = None
) -> m.OtherPart:
    """What `one` says of the part whose host these peers have elected."""
    votes = tuple(
        loss_vote(peer.core._seat.peer_id, peer.core._seat.token, 0, HOST_KEY, line_at(peer).successors, candidate)
        for peer in voters
    )
    claim = Claim(1, (HOST_KEY, candidate), (0, 0), has_members=True, elections=(Election(1, 3, votes),))
    known = secret or harness.host.core._parts.reign._lineage.secret
    return m.OtherPart(claim, membership_proof(known, bequest_purpose(one.core._seat.peer_id), HOST_KEY))


def answers(harness: SessionHarness, peer: HarnessPeer) -> list[m.Message]:
    """What the host has answered to its requests."""
    kinds = m.SongRequestAccepted, m.SongRequestAdded, m.SongRequestRejected
    sent = [one for one in harness.host.of(e.Send) if one.conn == peer.conn]
    return [one.message for one in sent if isinstance(one.message, kinds)]


def reunited() -> tuple[SessionHarness, HarnessPeer, HarnessPeer]:
    """Two members that were in the line of Cleo in another part have each offered the first of these songs."""
    harness, (ana, ben, cleo) = a_line("Ana", "Ben", "Cleo")
    for one in (ana, ben):
        harness.host.receive(one.conn, other_part(harness, one, [ana, ben], key_of(cleo)))
        harness.host.receive(one.conn, offer())
    return harness, ana, ben


# -- the host ----------------------------------------------------------------------------------------------------------


def test_a_song_that_several_members_bring_is_taken_once() -> None:
    harness, ana, ben = reunited()
    assert answers(harness, ana) == [m.SongRequestAccepted(SONG.file_id)]
    assert not answers(harness, ben)
    here = a_track(1000, sha256=SONG.sha256)
    harness.host.call(harness.host.core.uploaded, SONG.file_id, here)
    assert answers(harness, ana)[1:] == answers(harness, ben) == [m.SongRequestAdded(SONG.file_id)]
    (entry,) = [one for one in harness.host.core._parts.queue.rows.entries if one.track.sha256 == SONG.sha256]
    assert (entry.added_by, entry.asker) == ("Cleo", "peer:3")


def test_a_member_brings_one_song_at_a_time() -> None:
    harness, ana, _ = reunited()
    harness.host.receive(ana.conn, offer(78))
    assert answers(harness, ana) == [
        m.SongRequestAccepted(SONG.file_id),
        m.SongRequestRejected(a_track(78).file_id, TOO_MANY),
    ]


def test_the_next_member_is_asked_if_the_first_one_is_gone() -> None:
    harness, ana, ben = reunited()
    harness.command(DropPeer("Ana"))
    assert answers(harness, ben) == [m.SongRequestAccepted(SONG.file_id)]


def test_a_song_that_the_user_rejects_is_not_offered_by_the_next_member() -> None:
    harness, (ana, ben) = a_line("Ana", "Ben")
    for one in (ana, ben):
        harness.host.receive(one.conn, offer())
    harness.command(Reject(SONG.file_id))
    assert answers(harness, ana) == answers(harness, ben) == [m.SongRequestRejected(SONG.file_id)]
    assert not harness.host.snapshot().requests


def test_a_song_of_the_queue_does_not_come_back() -> None:
    """It was brought before, to another host, and has another id here."""
    harness, (ana,) = a_line("Ana")
    known = harness.host.core._parts.queue.rows.entries[0].track
    harness.host.receive(ana.conn, dataclasses.replace(offer(), sha256=known.sha256))
    assert answers(harness, ana) == [m.SongRequestAdded(SONG.file_id)]
    assert not harness.host.snapshot().requests


def test_a_request_under_the_id_of_a_song_keeps_no_proven_song_out() -> None:
    harness, (ana, ben, cleo) = a_line("Ana", "Ben", "Cleo")
    harness.host.receive(cleo.conn, m.SongRequest(SONG.file_id, "other.mp3", 5))
    harness.host.receive(ana.conn, other_part(harness, ana, [ana, ben], key_of(cleo)))
    harness.host.receive(ana.conn, offer())
    assert answers(harness, cleo) == [m.SongRequestRejected(SONG.file_id)]
    assert answers(harness, ana) == [m.SongRequestAccepted(SONG.file_id)]


def test_another_file_under_the_id_of_a_song_keeps_no_proven_song_out() -> None:
    harness, (ana, ben, cleo) = a_line("Ana", "Ben", "Cleo")
    harness.host.receive(cleo.conn, m.SongRequest(SONG.file_id, "other.mp3", 5))
    harness.command(Accept(SONG.file_id))
    harness.host.receive(ana.conn, other_part(harness, ana, [ana, ben], key_of(cleo)))
    harness.host.receive(ana.conn, offer())
    assert not answers(harness, ana)
    harness.host.call(harness.host.core.uploaded, SONG.file_id, a_track(1000))
    assert answers(harness, ana) == [m.SongRequestAccepted(SONG.file_id)]


def test_a_song_that_was_removed_does_not_come_back_at_the_next_host() -> None:
    harness, (ana, ben) = a_line("Ana", "Ben")
    removed = harness.host.core._parts.queue.rows.entries[2].track
    harness.command(Remove(removed.file_id))
    harness.run(1)
    new = successor_of(harness, ana)
    assert removed.file_id in new._parts.queue.seen
    assert not new.has_song(removed.file_id)


@pytest.mark.parametrize("lie", ["secret", "own vote", "other number", "candidate"])
def test_a_member_without_a_proof_brings_songs_only_as_requests(lie: str) -> None:
    harness, (ana, ben, cleo) = a_line("Ana", "Ben", "Cleo")
    voters = [ana] if lie == "own vote" else [ana, ben]
    secret = b"guess of secret!" if lie == "secret" else None
    said = other_part(harness, ben if lie == "other number" else ana, voters, key_of(cleo), secret)
    if lie == "candidate":
        said = dataclasses.replace(said, claim=dataclasses.replace(said.claim, chain=(HOST_KEY, LIAR)))
    harness.host.receive(ana.conn, said)
    harness.host.receive(ana.conn, offer())
    (request,) = harness.host.snapshot().requests
    assert (request.peer_name, request.state) == ("Ana", "open")


# -- a peer ------------------------------------------------------------------------------------------------------------


def test_a_machine_of_the_line_brings_its_songs_one_by_one_and_keeps_their_files() -> None:
    harness, (ana, ben) = a_line("Ana", "Ben")
    waiting = [entry.track for entry in harness.host.core._parts.queue.waiting()]
    there = HostContact(9, "Other", ("10.0.0.66",), 17401, 17402, LIAR)
    ana.call(ana.core.received, m.HostMoved(there, 1, (HOST_KEY, LIAR)))
    ana.call(ana.core.connected, LIAR)
    ana.call(ana.core.received, m.SessionInfo(m.PROTOCOL_VERSION, ana.core.session_id, "Friday", "Other", (), 0))
    since = len(ana.effects)
    state = m.SessionState((), 1)
    ana.call(ana.core.received, m.JoinAccepted(4, state, b"t" * 16, 17402, "Ana", b"k" * 16))
    said = [one.message for one in ana.effects[since:] if isinstance(one, e.Send)]
    assert [type(one) for one in said if not isinstance(one, m.PeerStatus)] == [m.OtherPart, m.SongBequest]
    secret = harness.host.core._parts.reign._lineage.secret
    (part,) = [one for one in said if isinstance(one, m.OtherPart)]
    assert part.proof == membership_proof(secret, bequest_purpose(4), LIAR)
    for number, track in enumerate(waiting):
        (song,) = [one.message for one in ana.of(e.Send) if isinstance(one.message, m.SongBequest)][number:]
        assert (song.request_id, song.sha256) == (track.file_id, track.sha256)
        assert ana.of(e.Keep)[-1].hashes == {one.sha256 for one in waiting[number:]}
        ana.call(ana.core.received, m.SongRequestAdded(song.request_id))
    assert not ana.of(e.Keep)[-1].hashes


def test_a_machine_that_was_never_in_a_line_brings_nothing() -> None:
    harness, (*_, dan) = a_line("Ana", "Ben", "Cleo", "Dan")
    there = HostContact(9, "Other", ("10.0.0.66",), 17401, 17402, LIAR)
    dan.call(dan.core.received, m.HostMoved(there, 1, (HOST_KEY, LIAR)))
    assert not dan.core._parts.bequest.songs


def test_the_songs_that_a_machine_brings_are_bounded() -> None:
    held: list[int] = []
    bequest = PeerBequest(Outbox(), lambda tracks: held.append(sum(track.size for track in tracks)))
    songs = tuple(BequestSong(a_track(number, size=600 << 20), "Ana", 1) for number in range(10))
    for _ in range(2):
        bequest.give(Bequest(songs, Claim(0, (HOST_KEY,), (0,), has_members=True), b"s" * 16))
    assert held[-1] == 3 * (600 << 20)
    assert [one.track.file_id for one in bequest.songs] == [one.track.file_id for one in songs[:3]]
