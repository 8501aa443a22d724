"""What anyone on the internet can find out at the public address of a host: `python -m tests.support.outside_attack
ADDRESS SESSION` tries it from where it runs, and writes it as JSON.

SESSION is the beginning of the session's id in hex digits, which an invitation tells. The ports are the usual ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import uuid
from collections.abc import AsyncIterator

from phaselock.network.pairing import prove_code
from phaselock.protocol import messages as m
from phaselock.protocol.codec import ProtocolError
from tests.support.raw_client import RawClient

PORT, CLOCK_PORT = 17401, 17402
SCANNED = (22, 80, 443, 5000, 5351, 5555, *range(17399, 17410))
WAIT_S = 0.7
CLOSED_S = 6.0
"""In this time the host closes a connection that does not speak TLS."""
PINGS = [bytes([kind]) + os.urandom(36) for kind in range(8)]
"""Datagrams of the size of a ClockPing, and some smaller and larger ones."""
GUESSES = 4


async def scanned(address: str) -> list[int]:
    """The TCP ports that accept connections."""

    async def accepts(port: int) -> bool:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(WAIT_S):
                _, writer = await asyncio.open_connection(address, port)
                writer.close()
                return True
        return False

    found = await asyncio.gather(*map(accepts, SCANNED))
    return [port for port, is_open in zip(SCANNED, found, strict=True) if is_open]


async def told_to(address: str, data: bytes) -> str:
    """What the TCP port answers to these bytes until it closes, in hex digits; empty: nothing."""
    reader, writer = await asyncio.open_connection(address, PORT)
    writer.write(data)
    answer = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(CLOSED_S):
            answer = await reader.read()
    writer.close()
    return answer.hex()


def pongs(address: str) -> int:
    """How many datagrams the clock's port answers."""
    answers = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((address, CLOCK_PORT))
        sock.settimeout(WAIT_S)
        for ping in PINGS:
            for data in (ping, ping[:4], ping * 20):
                sock.send(data)
        with contextlib.suppress(OSError):
            while sock.recv(2048):
                answers += 1
    return answers


@contextlib.asynccontextmanager
async def client(address: str) -> AsyncIterator[tuple[RawClient, m.Message | None]]:
    """An encrypted connection, and what the host says first."""
    sock = socket.socket()
    sock.setblocking(False)
    with sock:
        await asyncio.get_running_loop().sock_connect(sock, (address, PORT))
        found = await RawClient.secured(sock)
        yield found, await found.read()


async def answer_to(address: str, message: m.Message | bytes) -> str:
    """The type of the answer to a first message; empty: the connection is closed."""
    async with client(address) as (found, _):
        await found.send(message)
        answer = await found.read()
        return type(answer).__name__ if answer is not None else ""


async def guess(address: str, code: str) -> str:
    """Why this code does not open; empty: it does."""
    async with client(address) as (found, _):
        await found.send(m.JoinRequest("Mallory", m.PROTOCOL_VERSION))
        assert isinstance(await found.read(), m.CodeNeeded)
        to_send: list[m.Message] = []

        async def receive() -> m.Message:
            await found.send(*to_send)
            to_send.clear()
            answer = await found.read()
            if answer is None:
                raise ProtocolError("closed")
            return answer

        try:
            await prove_code(code, found.host_key, to_send.append, receive, None)
        except ProtocolError as error:
            rejected = error.args[1] if len(error.args) > 1 else None
            return rejected.reason if isinstance(rejected, m.JoinRejected) else str(error)
        return ""


async def main(address: str, session: bytes) -> None:
    loop = asyncio.get_running_loop()
    async with client(address) as (_, info):
        assert isinstance(info, m.SessionInfo) and info.session_id.startswith(session)
    greeting = info.session_name, info.host_name, info.peers
    no_proof = bytes(32)
    first = (
        m.JoinRequest("Mallory", m.PROTOCOL_VERSION, 1, no_proof),
        m.FileRequest(1, no_proof, uuid.uuid4(), 0),
        m.SongUploadStart(1, no_proof, uuid.uuid4(), no_proof),
        m.ChatSay("hello"),
        b"\xff" * 64,
    )
    refused = [await answer_to(address, message) for message in first]
    guesses = [await guess(address, f"{number:010}") for number in range(GUESSES)]
    found = {
        "open": await scanned(address),
        "silent": {
            "tcp": await told_to(address, b""),
            "udp": await loop.run_in_executor(None, pongs, address),
            "plain": await told_to(address, b"GET / HTTP/1.1\r\n\r\n"),
        },
        "greeting": greeting,
        "refused": refused,
        "guesses": guesses,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], bytes.fromhex(sys.argv[2])))
