from __future__ import annotations

import asyncio
import socket

import pytest

from phaselock.network import connection as module
from phaselock.network.connection import Connection, ConnectionLost
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import GREETING_CAP, SESSION_CAP, Framer, frame
from phaselock.protocol.messages import Heartbeat, JoinRejected, JoinRequest, Message, SessionEnd

Pair = tuple[socket.socket, socket.socket]
TIMEOUT_S = 30


def connection(sock: socket.socket) -> Connection:
    return Connection(sock, Framer(SESSION_CAP))


def read_all(sock: socket.socket) -> bytes:
    sock.settimeout(TIMEOUT_S)
    return b"".join(iter(lambda: sock.recv(1 << 20), b""))


def test_messages_cross_in_order(tcp_pair: Pair) -> None:
    sent: list[Message] = [JoinRequest("Ada", 1), Heartbeat(), SessionEnd("bye")]

    async def run() -> list[Message]:
        ours, theirs = map(connection, tcp_pair)
        for message in sent:
            ours.send(message)
        received = [await theirs.receive() for _ in sent]
        await asyncio.gather(ours.close(), theirs.close())
        return received

    assert asyncio.run(run()) == sent


def test_a_message_in_single_bytes(tcp_pair: Pair) -> None:
    async def run() -> Message:
        theirs = connection(tcp_pair[1])
        receiving = asyncio.create_task(theirs.receive())
        for byte in frame(JoinRequest("Ada", 1)):
            tcp_pair[0].send(bytes((byte,)))
            await asyncio.sleep(0)
        message = await receiving
        tcp_pair[0].close()
        await theirs.close()
        return message

    assert asyncio.run(run()) == JoinRequest("Ada", 1)


def test_commands_do_not_wait_for_company(tcp_pair: Pair) -> None:
    async def run() -> None:
        ours = connection(tcp_pair[0])
        assert tcp_pair[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        tcp_pair[1].close()
        await ours.close()

    asyncio.run(run())


def test_the_end_of_the_other_side_is_reported(tcp_pair: Pair) -> None:
    async def run() -> None:
        theirs = connection(tcp_pair[1])
        tcp_pair[0].sendall(frame(Heartbeat()))
        tcp_pair[0].close()
        assert await theirs.receive() == Heartbeat()
        with pytest.raises(ConnectionLost):
            await theirs.receive()
        await theirs.close()

    asyncio.run(run())


def test_nonsense_is_a_protocol_error(tcp_pair: Pair) -> None:
    async def run() -> None:
        theirs = connection(tcp_pair[1])
        tcp_pair[0].sendall(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ProtocolError):
            await theirs.receive()
        tcp_pair[0].close()
        await theirs.close()

    asyncio.run(run())


def test_the_cap_may_grow_between_two_messages_of_one_packet(tcp_pair: Pair) -> None:
    long = SessionEnd("x" * 500)

    async def run() -> None:
        theirs = Connection(tcp_pair[1], Framer(100))
        tcp_pair[0].sendall(frame(Heartbeat()) + frame(long))
        assert await theirs.receive() == Heartbeat()
        theirs.framer.cap = GREETING_CAP
        assert await theirs.receive() == long
        tcp_pair[0].close()
        await theirs.close()

    asyncio.run(run())


def test_end_wakes_the_receiver_and_drops_received_messages(tcp_pair: Pair) -> None:
    async def run() -> None:
        theirs = connection(tcp_pair[1])
        receiving = asyncio.create_task(theirs.receive())
        await asyncio.sleep(0)
        theirs.end("enough")
        with pytest.raises(ConnectionLost, match="enough"):
            await receiving
        tcp_pair[0].sendall(frame(Heartbeat()))
        with pytest.raises(ConnectionLost, match="enough"):
            await theirs.receive()
        tcp_pair[0].close()
        await theirs.close()

    asyncio.run(run())


def test_a_cancellation_beside_the_end_is_not_lost(tcp_pair: Pair) -> None:
    """A session that ends while its connection does would go on."""

    async def run() -> None:
        theirs = connection(tcp_pair[1])
        receiving = asyncio.create_task(theirs.receive())
        await asyncio.sleep(0)
        theirs.end("enough")
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        tcp_pair[0].close()
        await theirs.close()

    asyncio.run(run())


def test_the_last_words_arrive_though_input_is_unread(tcp_pair: Pair) -> None:
    async def run() -> bytes:
        ours = connection(tcp_pair[0])
        tcp_pair[1].sendall(frame(Heartbeat()) * 100)
        ours.send(JoinRejected("Session is full."))
        ours.end("full")
        reading = asyncio.create_task(asyncio.to_thread(read_and_close, tcp_pair[1]))
        await ours.close()
        return await reading

    def read_and_close(sock: socket.socket) -> bytes:
        with sock:
            return read_all(sock)

    assert asyncio.run(run()) == frame(JoinRejected("Session is full."))


def test_bytes_that_the_socket_does_not_take_at_once_are_sent_later(tcp_pair: Pair) -> None:
    tcp_pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    tcp_pair[1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sent = [SessionEnd(f"{n:04}" + "x" * 500) for n in range(1000)]

    async def run() -> list[Message]:
        ours, theirs = map(connection, tcp_pair)
        for message in sent:
            ours.send(message)
        received = [await theirs.receive() for _ in sent]
        await asyncio.gather(ours.close(), theirs.close())
        return received

    assert asyncio.run(run()) == sent


def test_a_peer_that_does_not_read_is_dropped(tcp_pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNSENT_BYTES", 100_000)
    word = SessionEnd("x" * 500)

    async def run() -> None:
        ours = connection(tcp_pair[0])
        receiving = asyncio.create_task(ours.receive())
        await asyncio.sleep(0)
        for _ in range(100_000):
            ours.send(word)
            if receiving.cancelling() or ours._over:
                break
        with pytest.raises(ConnectionLost, match="does not read"):
            await receiving
        assert len(ours._unsent) < 110_000
        await ours.close()  # it does not wait for the sender

    asyncio.run(run())


def test_a_bug_in_the_sender_ends_the_connection(
    tcp_pair: Pair, bugs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async def fail(_sock: socket.socket, _data: bytes) -> None:
            raise ValueError("a bug")

        monkeypatch.setattr(asyncio.get_running_loop(), "sock_sendall", fail)
        ours = connection(tcp_pair[0])
        receiving = asyncio.create_task(ours.receive())
        while not ours._sender:  # until the socket takes no more
            ours.send(SessionEnd("x" * 500))
        with pytest.raises(ConnectionLost, match="inside PhaseLock"):
            await asyncio.wait_for(receiving, TIMEOUT_S)
        await ours.close()

    asyncio.run(run())
    assert bugs == ["sending to a connection failed: ValueError('a bug')"]


def test_a_flood_does_not_hold_up_the_end(tcp_pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_CLOSE_S", 0.0)

    async def story() -> None:
        connection = Connection(tcp_pair[0], Framer())
        flood = iter([b"x"] * 1000)

        async def receive(sock: socket.socket, size: int) -> bytes:
            return next(flood)

        monkeypatch.setattr(asyncio.get_running_loop(), "sock_recv", receive)
        await connection.close()

    asyncio.run(story())
