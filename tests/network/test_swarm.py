"""Peers pass the pieces of a song on to each other: real sessions and connections on the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import pathlib
import random
from collections.abc import Callable
from uuid import UUID

import pytest

from phaselock.model.pieces import MIN_PIECE_BYTES, HashTree, leaf_hash, piece_span
from phaselock.model.types import Track
from phaselock.network.peer_swarm import PeerSwarm
from phaselock.network.piece_fetch import FileInPieces
from phaselock.network.piece_service import Pieces
from phaselock.storage.cache import FileCache
from tests.support.network_session import NetworkFixture, Peer, played

SONG = random.Random(3).randbytes(3_000_001)
PIECES = 23
WIRED_NS = 200_000


async def on_a_switch(network: NetworkFixture, stack: contextlib.AsyncExitStack, count: int) -> list[Peer]:
    """Peers that pass songs on, as the host knows."""
    peers = [await network.join(stack, f"Peer {number}", least_rtt_ns=WIRED_NS) for number in range(1, count + 1)]
    for peer in peers:
        await peer.news.wait_for("joined")
    session = network.host.runner._session
    relays = session._parts.sharing._relays
    while not all(relays.sources(member, now_ns=0).relays for member in session._parts.members):
        await asyncio.sleep(0.01)
    return peers


def listened(peer: Peer, ended: Callable[[int, str], None]) -> None:
    """`ended` hears the source and the result of each task of the peer."""
    swarm, before = peer.runner._swarm, peer.runner._swarm._ended

    def tell(file_id: UUID, piece: int, source: int, result: str) -> None:
        ended(source, result)
        before(file_id, piece, source, result)  # type: ignore[arg-type]

    swarm._ended = tell


def add_song(network: NetworkFixture) -> UUID:
    path = network.folder / "long.mp3"
    path.write_bytes(SONG)
    return network.host.add(path, SONG).file_id


async def has(peer: Peer, file_id: UUID) -> None:
    await peer.news.wait_for("file_ready")
    path = peer.runner.path(file_id)
    assert path is not None and path.read_bytes() == SONG


@pytest.mark.slow
@played
async def test_peers_pass_a_song_on(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    peers = await on_a_switch(network, stack, 3)
    passed_on: list[int] = []
    for peer in peers:
        listened(peer, lambda source, result: passed_on.append(source) if source and result == "right" else None)
    song = add_song(network)
    for peer in peers:
        await has(peer, song)
    assert len(passed_on) > PIECES // 2
    late = await network.join(stack, "Late", least_rtt_ns=WIRED_NS)
    await has(late, song)


@pytest.mark.slow
@played
async def test_a_relay_that_lies_is_left_out(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    peers = await on_a_switch(network, stack, 2)
    liar, before = peers[0].runner._swarm._port, peers[0].runner._swarm._find
    assert liar is not None

    class Lie:
        def __init__(self, pieces: Pieces) -> None:
            self.size, self._pieces = pieces.size, pieces

        def read(self, piece: int) -> tuple[bytes, tuple[bytes, ...]]:
            data, path = self._pieces.read(piece)
            return bytes(len(data)), path

    def lie(file_id: UUID) -> Pieces | None:
        pieces = before(file_id)
        return Lie(pieces) if pieces is not None else None

    liar._find = lie
    song = add_song(network)
    for peer in peers:
        await has(peer, song)
    warning = await network.host.news.wait_for("warning", code="relay_left_out")
    assert dict(warning.fields)["peer"] == "Peer 1"


def test_pieces_that_are_here_are_kept_when_the_host_is_lost(tmp_path: pathlib.Path) -> None:
    tree = HashTree([leaf_hash(SONG[at : at + MIN_PIECE_BYTES]) for at in range(0, len(SONG), MIN_PIECE_BYTES)])
    track = Track(UUID(int=1), "song", len(SONG), hashlib.sha256(SONG).digest(), 44100, 1)

    def take(file: FileInPieces, piece: int) -> None:
        offset, length = piece_span(len(SONG), piece)
        assert file.take(piece, SONG[offset : offset + length], tree.proof(piece))

    async def run() -> None:
        ended: list[tuple[UUID, int, int, str]] = []
        swarm = PeerSwarm(FileCache(tmp_path), lambda *end: ended.append(end), {}.get, None, lambda: None)
        file = swarm.begin(track, tree.root)
        waiting = asyncio.create_task(swarm.arrive(file))
        while track.file_id in swarm._early:
            await asyncio.sleep(0.001)
        for piece in (3, 7):
            take(file, piece)
        swarm.cancel(track.file_id)
        assert await waiting is None
        again = swarm.begin(track, tree.root)
        waiting = asyncio.create_task(swarm.arrive(again))
        while track.file_id in swarm._early:
            await asyncio.sleep(0.001)
        assert ended == [(track.file_id, 3, 0, "right"), (track.file_id, 7, 0, "right")]
        for piece in set(range(PIECES)) - {3, 7}:
            take(again, piece)
        swarm._take_end(again, 0, 0, "right")
        path = await waiting
        assert path is not None and path.read_bytes() == SONG
        assert again.read(5) == (SONG[5 * MIN_PIECE_BYTES : 6 * MIN_PIECE_BYTES], tree.proof(5))
        assert not again.take(5, b"another", tree.proof(5))
        swarm.close()
        swarm.shutdown()

    asyncio.run(run())


@pytest.mark.slow
@played
async def test_a_relay_that_dies_costs_nothing_but_time(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    peers = await on_a_switch(network, stack, 3)

    def die(source: int, result: str) -> None:
        peers[0].ended.cancel()

    listened(peers[0], die)
    song = add_song(network)
    for peer in peers[1:]:
        await has(peer, song)


@pytest.mark.slow
@played
async def test_pieces_of_the_host_that_do_not_come_are_fetched_as_a_whole(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    peers = await on_a_switch(network, stack, 2)
    network.host.runner._sender._pieces = type("Nothing", (dict,), {"__setitem__": lambda *item: None})()
    song = add_song(network)
    for peer in peers:
        await has(peer, song)


@played
async def test_a_stranger_gets_no_piece(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    peers = await on_a_switch(network, stack, 2)
    song = add_song(network)
    for peer in peers:
        await has(peer, song)
    port = peers[0].runner._swarm._port
    assert port is not None
    served: list[UUID] = []
    before = port._find
    port._find = lambda file_id: (served.append(file_id), before(file_id))[1]
    port.key = b"another key now!"
    file = FileInPieces(peers[0].runner._files[song][0], b"")
    swarm = peers[1].runner._swarm
    results = asyncio.Queue[str]()
    swarm._files[song] = file
    listened(peers[1], lambda source, result: results.put_nowait(result))
    swarm._complete[song] = asyncio.get_running_loop().create_future()
    member = next(one for one in network.host.runner._session._parts.members if one.name == "Peer 2")
    source = network.host.runner._session._parts.sharing._relays.describe(1, member, song)
    for _, link in swarm._links.values():
        link.cancel()
    swarm.fetch(song, source, (0,), peers[1].runner._access(member.peer_id, member.token))
    assert await results.get() == "lost"
    assert served == []
