"""Peers pass the pieces of a song on to each other: real sessions and connections on the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
import random
from uuid import UUID

from tests.support.network_session import NetworkFixture, Peer, played

SONG = random.Random(3).randbytes(3_000_001)
"""23 pieces."""
WIRED_NS = 200_000


async def on_a_switch(network: NetworkFixture, stack: contextlib.AsyncExitStack, count: int) -> list[Peer]:
    """Peers that pass songs on, as the host knows."""
    peers = [await network.join(stack, f"Peer {number}", least_rtt_ns=WIRED_NS) for number in range(count)]
    for peer in peers:
        await peer.news.wait_for("joined")
    relays = network.host.runner._session._sharing._relays
    async with asyncio.timeout(5):
        while not all(relays.sources(member, now_ns=0).relays for member in network.host.runner._session._members):
            await asyncio.sleep(0.01)
    return peers


async def all_have(network: NetworkFixture, peers: list[Peer]) -> UUID:
    path = network.folder / "long.mp3"
    path.write_bytes(SONG)
    track = network.host.add(path, SONG)
    for peer in peers:
        await peer.news.wait_for("file_ready")
        here = peer.runner.path(track.file_id)
        assert here is not None and here.read_bytes() == SONG
    return track.file_id


@played
async def test_peers_pass_a_song_on(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    peers = await on_a_switch(network, stack, 3)
    sources: list[int] = []
    for peer in peers:
        swarm = peer.runner._swarm
        swarm._ended = lambda *end, before=swarm._ended: (sources.append(end[2]), before(*end))  # type: ignore
    await all_have(network, peers)
    assert len(sources) == 3 * 23 and sources.count(0) < 2 * 23
