"""TLS without sockets, the connections that use it, and machines that do not encrypt or have another key."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import pathlib
import selectors
import socket
import ssl

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phaselock.model.notices import Code
from phaselock.network import host as host_module
from phaselock.network.connection import Connection, ConnectionLost
from phaselock.network.file_connection import FileConnection
from phaselock.network.reach import connect
from phaselock.network.secure import MAX_HANDSHAKE_BYTES, PlainChannel, SecureChannel, is_tls
from phaselock.protocol.framing import SESSION_CAP, Framer, frame
from phaselock.protocol.messages import (
    PROTOCOL_VERSION,
    Heartbeat,
    JoinAccepted,
    JoinRejected,
    JoinRequest,
    SessionInfo,
)
from phaselock.protocol.proof import JOIN, membership_proof
from tests.support.file_transfer import TIMEOUT_S, Pair
from tests.support.identity import IDENTITY, new_identity
from tests.support.network_session import NetworkFixture, played

SAME_ONE = "same one on both machines"


def channels() -> tuple[SecureChannel, SecureChannel]:
    """A peer and a host that have made the handshake."""
    peer, host = SecureChannel(), SecureChannel(IDENTITY)
    to_host, to_peer = peer.handshake(b""), b""
    while not (peer.established and host.established):
        to_peer = host.handshake(to_host)
        to_host = peer.handshake(to_peer)
    return peer, host


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 70_000)), max_size=6), st.integers(1, 40_000))
def test_both_sides_read_what_the_other_wrote(writes: list[tuple[bool, int]], read_bytes: int) -> None:
    peer, host = channels()
    for from_peer, size in writes:
        sender, receiver = (peer, host) if from_peer else (host, peer)
        data = bytes(number % 251 for number in range(size))
        sent = sender.encrypt(data)
        assert size < 20 or data not in sent
        received = b""
        for at in range(0, len(sent), 9_000):
            receiver.feed(sent[at : at + 9_000])
            while part := receiver.read(read_bytes):
                received += part
        assert received == data


def test_both_sides_know_the_key_of_the_host() -> None:
    peer, host = channels()
    assert peer.host_key == host.host_key == IDENTITY.host_key
    assert new_identity().host_key != IDENTITY.host_key


def test_a_changed_and_a_repeated_record_are_refused() -> None:
    for spoil in (lambda record: record[:-1] + bytes([record[-1] ^ 1]), lambda record: record + record):
        peer, host = channels()
        host.feed(spoil(peer.encrypt(b"play")))
        with pytest.raises(ConnectionError):
            while host.read(100):
                pass


def test_what_follows_the_handshake_at_once_is_not_lost() -> None:
    peer, host = SecureChannel(), SecureChannel(IDENTITY)
    finished = peer.handshake(host.handshake(peer.handshake(b"")))
    data = bytes(2 * MAX_HANDSHAKE_BYTES)
    host.handshake(finished + peer.encrypt(data))
    assert host.established and host.read(len(data)) == data


@pytest.mark.parametrize("sent", ["a close_notify", "records without an end"])
def test_what_brings_no_plaintext_is_not_kept(sent: str) -> None:
    """It would fill the memory of the other side, or keep its thread busy."""
    peer, host = channels()
    if sent == "a close_notify":
        with contextlib.suppress(ssl.SSLWantReadError):
            peer._tls.unwrap()
        host.feed(peer._outgoing.read())
        with pytest.raises(ConnectionError):
            host.read(1000)
        return
    with pytest.raises(ConnectionError):
        for number in range(10_000):
            host.feed(b"\x17\x03\x03\x40\x00"[: 5 * (not number)] + bytes(1000))
            host.read(1000)


def test_an_older_version_of_tls_is_refused() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    sent = ssl.MemoryBIO()
    old = context.wrap_bio(ssl.MemoryBIO(), sent)
    with contextlib.suppress(ssl.SSLWantReadError):
        old.do_handshake()
    with pytest.raises(ConnectionError):
        SecureChannel(IDENTITY).handshake(sent.read())


def test_a_handshake_without_end_is_refused() -> None:
    host = SecureChannel(IDENTITY)
    with pytest.raises(ConnectionError):
        host.handshake(b"\x16\x03\x01\x40\x00" + bytes(MAX_HANDSHAKE_BYTES))


@given(st.sampled_from([SessionInfo, JoinRequest, None]), st.text(max_size=100))
def test_no_first_frame_of_an_older_version_looks_like_tls(kind: type | None, name: str) -> None:
    if kind is SessionInfo:
        first = frame(SessionInfo(4, bytes(16), name[:30], name[:30], (name[:30],) * 5, 5))
    elif kind is JoinRequest:
        first = frame(JoinRequest(name[:30], 4))
    else:
        first = frame(Heartbeat())
    assert not is_tls(first[:3])
    assert is_tls(SecureChannel().handshake(b"")[:3])


def test_file_connections_encrypt_and_lose_nothing(tcp_pair: Pair, worker: concurrent.futures.Executor) -> None:
    def host() -> bytes:
        connection = FileConnection(tcp_pair[1], PlainChannel())
        connection.handshake(SecureChannel(IDENTITY))
        received, buffer = b"", memoryview(bytearray(50_000))
        while len(received) < len(data):
            try:
                received += buffer[: connection.read(buffer)]
            except BlockingIOError:
                connection.wait(selectors.EVENT_READ)
        connection.send_all(b"thanks")
        return received

    data = bytes(range(256)) * 4_000
    for sock in tcp_pair:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    receiving = worker.submit(host)
    connection, channel = FileConnection(tcp_pair[0], PlainChannel()), SecureChannel()
    connection.handshake(channel)
    assert channel.host_key == IDENTITY.host_key
    connection.send_all(data)
    buffer, answer = memoryview(bytearray(100)), b""
    while answer != b"thanks":
        try:
            answer += buffer[: connection.read(buffer)]
        except BlockingIOError:
            connection.wait(selectors.EVENT_READ)
    assert receiving.result(TIMEOUT_S) == data


# -- machines that do not encrypt --------------------------------------------------------------------------------------


async def plain_words(sock: socket.socket) -> list[object]:
    """What a host says to a peer of a version without encryption."""
    framer, found, loop = Framer(SESSION_CAP), list[object](), asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        while data := await loop.sock_recv(sock, 4096):
            found += framer.feed(data)
    return found


@pytest.mark.parametrize("first", [frame(JoinRequest("Old", 4)), b"GET / HTTP/1.1\r\n\r\n", b""])
def test_a_peer_that_does_not_encrypt_learns_that_the_versions_differ(
    first: bytes, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_module, "UNENCRYPTED_S", 0.05)

    async def story(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
        sock = stack.enter_context(await connect(*network.host.address))
        await asyncio.get_running_loop().sock_sendall(sock, first)
        info, refusal = await plain_words(sock)
        assert info == SessionInfo(PROTOCOL_VERSION, network.host.runner.session_id, "", "", (), 5)
        assert isinstance(refusal, JoinRejected) and SAME_ONE in refusal.reason

    played(story)(tmp_path)


def test_a_slow_handshake_is_not_answered_in_plain_text(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where many join at once, the rest of the handshake takes its time."""
    monkeypatch.setattr(host_module, "UNENCRYPTED_S", 1.0)  # longer than a busy machine pauses
    monkeypatch.setattr(host_module, "HANDSHAKE_S", 1.2)

    async def story(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
        sock, loop = stack.enter_context(await connect(*network.host.address)), asyncio.get_running_loop()
        await loop.sock_sendall(sock, SecureChannel().handshake(b""))
        heard = b""
        while data := await loop.sock_recv(sock, 4096):
            heard += data
        assert heard[0] == 0x16 and b"session_name" not in heard

    played(story)(tmp_path)


@played
async def test_a_request_without_a_version_is_refused_in_words(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    async with network.raw_client() as client:
        payload = b"\2" + msgpack.packb({"display_name": "Old"})
        await client.send(len(payload).to_bytes(4, "little") + payload)
        info, refusal = await client.read_to_end()
    assert isinstance(info, SessionInfo)
    assert isinstance(refusal, JoinRejected) and SAME_ONE in refusal.reason


async def served(stack: contextlib.AsyncExitStack) -> socket.socket:
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    listener.setblocking(False)
    return listener


@pytest.mark.parametrize("version", [4, PROTOCOL_VERSION])
def test_a_host_that_does_not_encrypt_is_not_joined(version: int, tmp_path: pathlib.Path) -> None:
    async def story(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
        listener = await served(stack)
        network.host.address = listener.getsockname()
        peer = await network.join(stack, "Ada")
        sock, _ = await asyncio.get_running_loop().sock_accept(listener)
        with sock:
            sock.sendall(frame(SessionInfo(version, bytes(16), "Jam", "Host", (), 5)))
            ended = await peer.ended
        assert ended.failed
        if version == PROTOCOL_VERSION:
            assert (ended.reason.code, "it does not encrypt" in ended.reason.detail) == (
                Code.HOST_CONNECTION_LOST,
                True,
            )
        else:
            assert ended.reason.code is Code.OTHER_VERSION

    played(story)(tmp_path)


# -- machines with another key -----------------------------------------------------------------------------------------


@played
async def test_a_peer_does_not_return_to_a_machine_with_another_key(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    """An attacker has taken over the host's address: it gets neither the name nor a proof of this peer."""
    peer = await network.join(stack, "Ada")
    await peer.news.wait_for("joined")
    listener = await served(stack)
    peer.runner._where.address, peer.runner._where.places = listener.getsockname(), ()
    network.host.runner._connections[1][0].abort("the network is cut")
    sock, _ = await asyncio.get_running_loop().sock_accept(listener)
    thief = Connection(sock, Framer(SESSION_CAP))
    identity = new_identity()
    assert await thief.secure(SecureChannel(identity))
    thief.send(SessionInfo(PROTOCOL_VERSION, network.host.runner.session_id, "Jam", "Host", (), 5))
    with pytest.raises(ConnectionLost):
        assert not await thief.receive()
    await thief.close()
    assert not peer.ended.done()


@played
async def test_a_machine_with_another_key_at_its_address_does_not_hide_a_host_that_has_moved(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    async def find(session_id: str, host_key: str) -> list[tuple[str, int]]:
        return [network.host.address]

    async def serve() -> None:
        while True:
            sock, _ = await asyncio.get_running_loop().sock_accept(listener)
            false = Connection(sock, Framer(SESSION_CAP))
            with contextlib.suppress(ConnectionLost):
                await false.secure(SecureChannel(identity))
                await false.receive()
            await false.close()

    peer = await network.join(stack, "Ada", find=find)
    await peer.news.wait_for("joined")
    listener, identity = await served(stack), new_identity()
    serving = asyncio.create_task(serve())
    peer.runner._where.address, peer.runner._where.places = listener.getsockname(), ()
    network.host.runner._connections[1][0].abort("it has moved")
    await peer.news.wait_for("joined", again=True)
    assert peer.runner._where.address == network.host.address
    serving.cancel()
    await asyncio.wait([serving])


@played
async def test_a_proof_for_one_host_is_of_no_use_at_another(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    async with network.raw_client() as client:
        accepted = await client.join()
    await network.host.news.wait_for("peer_left")
    proof = membership_proof(accepted.token, JOIN, new_identity().host_key)
    async with network.raw_client() as client:
        await client.send(JoinRequest("Thief", PROTOCOL_VERSION, accepted.peer_id, proof))
        answers = [await client.read(), await client.read()]
    again = [answer for answer in answers if isinstance(answer, JoinAccepted)]
    assert again and again[0].peer_id != accepted.peer_id


@played
async def test_nothing_of_a_session_is_readable_on_the_way(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    heard = bytearray()

    async def relay(source: socket.socket, target: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(source, 65536):
            heard.extend(data)
            await loop.sock_sendall(target, data)

    real = network.host.address
    listener = await served(stack)
    loop = asyncio.get_running_loop()

    async def serve() -> None:
        while True:
            inner, _ = await loop.sock_accept(listener)
            outer = stack.enter_context(await connect(*real))
            stack.enter_context(inner)
            tasks.extend([loop.create_task(relay(inner, outer)), loop.create_task(relay(outer, inner))])

    tasks = [loop.create_task(serve())]
    network.host.address = listener.getsockname()
    peer = await network.join(stack, "Adalbert")
    await peer.news.wait_for("joined")
    network.host.add(network.song)
    await peer.news.wait_for("file_ready")
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert len(heard) > network.song.stat().st_size
    for secret in (b"Adalbert", b"song.mp3", b"display_name", network.song.read_bytes()[5000:5016]):
        assert secret not in heard
