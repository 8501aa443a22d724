"""A process that announces or finds sessions, to be run in a network namespace.

announce NAME ID: writes "up"; a number on standard input is the number of peers; ends with standard input.
disturb ADDRESS NAME ID: from this address, announces 40 false sessions, and for 4 s the end of the session, from this
address and as the host itself.
browse: writes each list of sessions as JSON until the end of standard input; {"error": ...} if it cannot browse.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
import sys

from zeroconf import (  # type: ignore[attr-defined]  # missing in its __all__
    DNSAddress,
    DNSOutgoing,
    DNSPointer,
    DNSService,
    DNSText,
)

from phaselock.errors import PhaseLockError
from phaselock.network.discovery import Announcer, Browser, FoundSession, usable_addresses
from phaselock.network.service_record import SERVICE_TYPE, instance_name, txt_record

RESPONSE = 0x8400
FLUSH = 0x8000
"""The bit of the class that says: forget all other records of this name and type (RFC 6762, section 10.2)."""


async def standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def say(words: object) -> None:
    print(json.dumps(words), flush=True)


async def announce(name: str, session_id: str) -> None:
    announcer = Announcer(name, "Ada", bytes.fromhex(session_id), 17401, usable_addresses(), refresh=usable_addresses)
    await announcer.start()
    say("up")
    async for line in await standard_input():
        announcer.set_peers(int(line))
    await announcer.close()


def show(sessions: tuple[FoundSession, ...]) -> None:
    say([dataclasses.asdict(one) for one in sessions])


async def browse() -> None:
    browser = Browser()
    await browser.start(show)
    say([])
    await (await standard_input()).read()
    await browser.close()


async def disturb(address: str, name: str, session_id: str) -> None:
    said = [packet("False", number.to_bytes(16, "big"), address, 4500) for number in range(40)]
    goodbye = packet(name, bytes.fromhex(session_id), address, 0)
    for one in said:
        send(address, one)
    say("up")
    for _ in range(40):
        for source in (address, *usable_addresses()):
            send(source, goodbye)
        await asyncio.sleep(0.1)
    say("over")


def packet(name: str, session_id: bytes, address: str, ttl: int) -> bytes:
    out = DNSOutgoing(RESPONSE)
    service, server = instance_name(name, session_id), f"phaselock-{session_id.hex()[:16]}.local."
    text = txt_record(name, "Eve", 0, 5, session_id, 1)
    for record in (
        DNSPointer(SERVICE_TYPE, 12, 1, ttl, service),
        DNSService(service, 33, FLUSH | 1, ttl, 0, 0, 17401, server),
        DNSText(service, 16, FLUSH | 1, ttl, text),
        DNSAddress(server, 1, FLUSH | 1, ttl, socket.inet_aton(address)),
    ):
        out.add_answer_at_time(record, 0)
    (data,) = out.packets()
    return bytes(data)


def send(source: str, data: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((source, 5353))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(source))
        sock.sendto(data, ("224.0.0.251", 5353))


if __name__ == "__main__":
    try:
        asyncio.run({"announce": announce, "browse": browse, "disturb": disturb}[sys.argv[1]](*sys.argv[2:]))  # type: ignore[operator]
    except PhaseLockError as problem:
        say({"error": str(problem)})
