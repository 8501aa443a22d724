"""Real sessions and runners on the loopback interface: playing together, and connections that break."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Coroutine
from typing import Any
from unittest import mock

import pytest

from phaselock.audio.interface import DecodeFailed, DeviceChanged, LevelsChanged
from phaselock.errors import PhaseLockError
from phaselock.model.types import AudioStatus
from phaselock.network import peer as peer_module
from phaselock.network import runner as runner_module
from phaselock.network.reach import connect
from phaselock.network.runner import sync_event
from phaselock.protocol.messages import (
    FileReceived,
    FileTransferStart,
    Heartbeat,
    PlayCommand,
)
from phaselock.session import commands as c
from phaselock.sync.clock import PeerClocks
from tests.support.closed_port import closed_address
from tests.support.identity import IDENTITY
from tests.support.network_session import DATA, NetworkFixture, played
from tests.support.told import Over, told


@played
async def test_a_file_reaches_everybody_and_all_follow_one_line(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    host = network.host
    track = host.add(network.song)
    peers = [await network.join(stack, name) for name in ("Ada", "Bob")]
    for peer in peers:
        await peer.news.wait_for("file_ready")
        await host.news.wait_for("transfer", state="done", peer=(await peer.news.wait_for("joined")).fields["name"])
        assert peer.clock.asked and peer.clock.asked[:2] == ("127.0.0.1", 17402)
    measured = {peer.clock.asked[2]: ("127.0.0.1", peer.clock.key) for peer in peers if peer.clock.asked}
    assert host.clock.allowed == measured and len(set(measured.values())) == 2  # each peer has a key of its own
    host.runner.command(c.Play())
    for peer in peers:
        await peer.news.wait_for("playing")
    plans = [program.output.followed[-1][0] for program in (host, *peers)]
    assert all(plan and plan.track == track and plan.path.read_bytes() == DATA for plan in plans)
    assert len({plan.timeline for plan in plans if plan}) == 1

    sync = await peers[0].news.wait_for("sync", playing=True)
    assert sync.session_ns
    assert dict(sync.fields) == {
        "playing": True,
        "phase_error_us": 1.5,
        "offset_uncertainty_us": 1.0,
        "drift_ppm": 0.0,
        "correction_ppm": 0.25,
        "rtt_ms": 0.5,
        "underruns": 0,
        "timing": "exact",
        "dac_uncertainty_us": 1.0,
        "output_latency_ms": 10.0,
    }

    peers[0].runner.command(c.Leave())
    assert not (await peers[0].ended).failed
    await host.news.wait_for("peer_left", name="Ada")
    assert len(host.clock.allowed) == 1 and peers[0].clock.asked is None
    host.runner.command(c.Quit())
    assert not (await host.ended).failed
    assert not (await peers[1].ended).failed


def test_an_uncertainty_that_is_not_known_is_no_figure() -> None:
    status = AudioStatus("Speaker", 48000, 0, 900, None, "unknown", True, 1500, 0.25, 0, 1.0)
    fields = told(sync_event(None, status, PeerClocks("envelope").status(5))).fields  # before the first measurement
    assert (fields["timing"], fields["dac_uncertainty_us"], fields["offset_uncertainty_us"]) == ("unknown", None, None)
    assert (fields["drift_ppm"], fields["rtt_ms"]) == (None, None)


@played
async def test_events_of_the_output_reach_the_machine(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    track = network.host.add(network.song)
    peer = await network.join(stack, "Ada")
    await network.host.news.wait_for("transfer", state="done")
    network.host.runner.command(c.Play())
    await peer.news.wait_for("playing")
    plan = peer.output.followed[-1][0]
    assert plan and plan.track == track
    await asyncio.to_thread(peer.output.on_event, DeviceChanged("lost", None, "It is gone."))
    await peer.news.wait_for("device", state="lost")
    await asyncio.to_thread(peer.output.on_event, DecodeFailed(plan, "nothing but noise"))
    error = await network.host.news.wait_for("error")
    assert error.fields["peer"] == "Ada" and "nothing but noise" in str(error.fields["message"])


@played
async def test_another_volume_is_told_before_the_next_second(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    stack.enter_context(mock.patch.object(runner_module, "STATUS_EVERY_S", 1000.0))
    stack.enter_context(mock.patch.object(runner_module, "SETTLING_S", -1.0))  # as some seconds later
    peer = await network.join(stack, "Ada")
    await peer.news.wait_for("joined")
    volumes = [60]
    peer.runner._volume = lambda: (volumes[0], False)
    for volumes[0] in (60, 30):
        await asyncio.to_thread(peer.output.on_event, LevelsChanged())
        async with asyncio.timeout(60):
            while [one.volume_percent for one in network.host.runner.snapshot().peers] != volumes:
                await asyncio.sleep(0.01)


@played
async def test_timed_commands_are_chased_so_that_a_loss_shows_at_once(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    track = network.host.add(network.song)
    async with network.raw_client() as control:
        await control.join()
        while not isinstance(message := await control.read(), FileTransferStart):
            assert message
        await control.send(FileReceived(track.file_id, True))
        await network.host.news.wait_for("transfer", state="done")
        network.host.runner.command(c.Play())
        while not isinstance(message := await control.read(), PlayCommand):
            assert message
        # The host drops this silent client before three regular heartbeats, so these are the additional ones.
        heartbeats = 0
        while heartbeats < 3:
            assert (message := await control.read())
            heartbeats += isinstance(message, Heartbeat)


@played
async def test_a_loss_is_told_in_a_sentence(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    async with network.raw_client() as gone:
        await gone.join()
    left = await network.host.news.wait_for("peer_left")
    assert left.fields["reason"] == "The connection was lost: the other side closed it."
    bad = await stack.enter_async_context(network.raw_client())
    await bad.join()
    await bad.send(b"\0\0\0\0")
    left = await network.host.news.wait_for("peer_left", peer_id=2)
    assert left.fields["reason"] == "That machine broke the protocol: a frame of 0 bytes is not allowed here."


@played
async def test_a_broken_connection_is_made_again(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    network.host.add(network.song)
    peer = await network.join(stack, "Ada")
    await network.host.news.wait_for("transfer", state="done")
    network.host.runner.command(c.Play())
    await peer.news.wait_for("playing")
    followed, asked, key = len(peer.output.followed), peer.clock.asked, peer.clock.key
    for connection, _ in network.host.runner._connections.values():
        connection.abort("as a router does")
    joined = await peer.news.wait_for("joined", again=True)
    assert joined.fields["name"] == "Ada" and joined.fields["peer_id"] == 1
    await network.host.news.wait_for("peer_joined", again=True)
    await network.host.news.wait_for("transfer", state="done")
    assert len(peer.output.followed) == followed and peer.clock.asked == asked
    assert network.host.clock.allowed == {1: ("127.0.0.1", peer.clock.key)} and peer.clock.key != key
    assert not peer.ended.done()


@played
async def test_a_host_that_is_gone_ends_the_session(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    peer = await network.join(stack, "Ada")
    await peer.news.wait_for("joined")
    peer.runner._where.address = stack.enter_context(closed_address())
    for connection, _ in network.host.runner._connections.values():
        connection.abort("it crashed")
    assert await peer.ended == Over("Host disconnected — session ended.", failed=True)


@played
async def test_a_host_that_has_moved_is_found_again_by_its_session(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    asked = []

    async def find(session_id: str, host_key: str) -> list[tuple[str, int]]:
        asked.append((session_id, host_key))
        return [network.host.address]

    peer = await network.join(stack, "Ada", find=find)
    await peer.news.wait_for("joined")
    peer.runner._where.address = stack.enter_context(closed_address())
    for connection, _ in network.host.runner._connections.values():
        connection.abort("its address has changed")
    assert (await peer.news.wait_for("joined", again=True)).fields["name"] == "Ada"
    assert asked == [(network.host.runner.session_id.hex(), IDENTITY.host_key.hex())]
    assert peer.runner._where.address == network.host.address


@played
async def test_a_clock_that_the_system_refuses_is_told_and_tried_again(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    stack.enter_context(mock.patch.object(peer_module, "CLOCK_AGAIN_S", 0.01))
    peer = await network.join(stack, "Ada")
    peer.clock.refusals = [PermissionError(errno.EPERM, ""), PermissionError(errno.EACCES, "")]
    warning = await peer.news.wait_for("warning", code="clock_unreachable")
    assert "UDP port 17402 (Operation not permitted)" in str(warning.fields["message"])
    await peer.news.wait_for("sync", rtt_ms=0.5)
    assert peer.clock.own_ip == "127.0.0.1" and not peer.clock.refusals
    assert peer.news.names().count("warning") == 1


def test_nobody_there_in_plain_words() -> None:
    def reach(host: str, port: int) -> Coroutine[Any, Any, socket.socket]:
        return connect(host, port)

    with closed_address() as (ip, port):
        with pytest.raises(PhaseLockError, match=f"Cannot reach {ip} on port {port}: no jam is open there"):
            asyncio.run(reach(ip, port))
    with pytest.raises(PhaseLockError, match="Cannot reach host.invalid on port 1: no address was found"):
        asyncio.run(reach("host.invalid", 1))
