"""Measures the bridge over iroh on this machine: memory, throughput, round trip, and how far the clock is off.

Both ends use the same clock, so the true offset is zero. `python -m tests.internet.bridge_figures`
"""

from __future__ import annotations

import asyncio
import os
import pathlib
import socket
import statistics
import time

from phaselock import _native
from phaselock.app import bridge
from phaselock.model.relay import DIRECT
from phaselock.sync.clock import HostClock, PeerClocks

SECONDS = 20
MEGABYTES = 32
IP = "127.0.0.1"


async def main() -> None:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind((IP, 0))
    host_clock, peer_clock = HostClock(bound), PeerClocks("envelope")
    server = await asyncio.start_server(_swallow, IP, 0)
    tcp, udp = server.sockets[0].getsockname()[1], bound.getsockname()[1]
    nodes = asyncio.Queue[str]()
    host = bridge.HostBridgeProcess(DIRECT, print, nodes.put_nowait)
    began_s = time.monotonic()
    host.open(IP, tcp, udp)
    node = await nodes.get()
    told_s = time.monotonic()
    friend = bridge.FriendBridgeProcess(node, DIRECT, [(IP, tcp)], print, lambda: None)
    ip, port = await friend.reach()
    print(f"host's bridge after {told_s - began_s:.2f} s, friend's after {time.monotonic() - told_s:.2f} s")
    reader, writer = await asyncio.open_connection(ip, port)
    writer.write(b"\n")  # a stream opens with its first byte
    source = (await reader.readline()).decode().strip()

    key = os.urandom(16)
    host_clock.allow(1, source, key)
    peer_clock.start(ip, friend.clock_port, 1, ip, key)
    await _measure(peer_clock, "alone")
    sending = asyncio.create_task(_send(writer))
    await _measure(peer_clock, "beside a transfer")
    sending.cancel()
    peer_clock.start_anew()
    await _measure(peer_clock, "after a change of path")
    for name, end in (("host's", host), ("friend's", friend)):
        print(f"memory of the {name} bridge: {_memory_mb(end._process._process.pid):.0f} MB")  # type: ignore[union-attr]
    peer_clock.stop()
    host_clock.close()
    await friend.close()
    await host.close()
    server.close()


async def _measure(clock: PeerClocks, name: str) -> None:
    offsets, rtts = [], []
    until_s = time.monotonic() + SECONDS
    usable_s = None
    while time.monotonic() < until_s:
        await asyncio.sleep(0.1)
        status = clock.status(_native.now_ns())
        if status.usable and status.offset_ns is not None:
            usable_s = usable_s or SECONDS - (until_s - time.monotonic())
            offsets.append(abs(status.offset_ns) / 1e3)
    for t1, t2, t3, t4 in clock._clock.exchanges()[-2000:]:  # type: ignore[union-attr]
        rtts.append((t4 - t1 - (t3 - t2)) / 1e3)
    last = clock.status(_native.now_ns())
    print(
        f"{name}: usable after {usable_s or -1:.1f} s; off by {statistics.median(offsets):.0f} µs in the median, "
        f"{max(offsets):.0f} at most, {offsets[-1]:.0f} at last, "
        f"said to be within {(last.uncertainty_ns or 0) / 1e3:.0f}; "
        f"round trip {min(rtts):.0f} µs at least, median {statistics.median(rtts):.0f}"
    )


async def _send(writer: asyncio.StreamWriter) -> None:
    sent, began_s = 0, time.monotonic()
    try:
        while True:
            writer.write(bytes(1 << 16))
            await writer.drain()
            sent += 1 << 16
    finally:
        print(f"throughput {sent / 1e6 / (time.monotonic() - began_s):.1f} MB/s")


async def _swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(writer.get_extra_info("peername")[0].encode() + b"\n")
    while await reader.read(1 << 16):
        pass
    writer.close()


def _memory_mb(pid: int) -> float:
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    asyncio.run(main())
