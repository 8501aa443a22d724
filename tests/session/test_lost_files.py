"""A new host gets the songs that it lacks from members, which may lie."""

from __future__ import annotations

import pytest

from phaselock.model.types import Track
from phaselock.protocol import messages as m
from phaselock.protocol.proof import UPLOAD, membership_proof
from phaselock.session import effects as e
from phaselock.session.host.session import HostSession
from tests.support.heirs import a_line, successor_of
from tests.support.raw_member import REPORT
from tests.support.simulation import SECOND

TOKEN, ANA = b"t" * 16, b"Ana".ljust(32, b"k")


def lacking(*names: str) -> tuple[HostSession, list[Track], int]:
    """Ana is the new host and has no song, and these are its members, on connections from 1 on. The time."""
    harness, (ana,) = a_line("Ana")
    ana.core._parts.files._files.clear()
    host, now_ns = successor_of(harness, ana), harness.host.now_ns
    for conn, name in enumerate(names, 1):
        host.connected(conn, f"10.0.0.{conn}", now_ns=now_ns)
        host.received(conn, m.JoinRequest(name, m.PROTOCOL_VERSION), now_ns=now_ns)
    return host, [entry.track for entry in host._parts.queue.rows.entries], now_ns


def asked(effects: list[e.Effect]) -> list[int]:
    """The connections on which a song is asked for."""
    sent = [one for one in effects if isinstance(one, e.Send)]
    return [one.conn for one in sent if isinstance(one.message, m.SongRequestAccepted)]


@pytest.mark.parametrize("lies", [False, True])
def test_a_member_cannot_send_another_song_in_place_of_a_lost_one(lies: bool) -> None:
    host, (song, *_), now_ns = lacking("Ben")
    assert asked(host.received(1, m.SongsFound((song.file_id,)), now_ns=now_ns)) == [1]
    (ben,) = host._parts.members
    proof = membership_proof(TOKEN, UPLOAD, ANA)
    sha256 = b"another song".ljust(32) if lies else song.sha256
    assert (host.authorise_upload(ben.peer_id, proof, song.file_id, sha256) is None) is lies


def test_a_member_that_sends_a_song_without_end_is_given_up() -> None:
    host, (song, *_), now_ns = lacking("Ben", "Cleo")
    for conn in (1, 2):
        host.received(conn, m.SongsFound((song.file_id,)), now_ns=now_ns)
    for second in range(4, 400, 4):
        host.upload_progress(song.file_id, second, now_ns=now_ns + second * SECOND)
        for conn in (1, 2):
            host.received(conn, REPORT, now_ns=now_ns + second * SECOND)
        if 2 in asked(host.timer(now_ns=now_ns + second * SECOND)):
            break
    else:
        pytest.fail("Cleo is never asked")
