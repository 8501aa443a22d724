"""The outside port of a host, over real sockets, and peers that try several places."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from phaselock.model.group import DEFAULT_PEERS
from phaselock.model.invitation import Candidate
from phaselock.network import arrivals
from phaselock.network.host_places import HostPlaces
from phaselock.network.reach import connect
from phaselock.protocol import messages as m
from phaselock.session.commands import ChangeCode, Invite, WithdrawInvitation
from phaselock.session.effects import UsePlaces
from phaselock.session.sentences import notice_text
from tests.support.closed_port import closed_address
from tests.support.network_session import NetworkFixture, played
from tests.support.outside_port import CODE, listener, neighbour, outside
from tests.support.raw_client import RawClient


@played
async def test_a_friend_joins_at_the_outside_port_and_receives_a_song(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    place = outside(network, stack)
    network.host.runner.command(ChangeCode("482913"))
    friend = await network.join(stack, "Ana", code=CODE, places=[place], clock_ports={place: 5000})
    joined = await friend.news.wait_for("joined")
    assert joined.fields["session_name"] == "Jam" and joined.fields["host_name"] == "Host"
    assert friend.clock.asked == ("127.0.0.1", 5000, 1)
    track = network.host.add(network.song)
    await friend.news.wait_for("file_ready", file_id=str(track.file_id))


@played
async def test_the_outside_port_says_nothing_to_a_connection_that_does_not_encrypt(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    place = outside(network, stack)
    for said in (b"GET / HTTP/1.0\r\n\r\n", b"\x05\x01\x00\x00\x00"):
        sock = stack.enter_context(await connect(*place))
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, said)
        with contextlib.suppress(ConnectionResetError):
            assert await loop.sock_recv(sock, 1000) == b""


@played
async def test_the_outside_port_names_nothing_before_the_code_is_proved(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    place = outside(network, stack)
    await (await network.join(stack, "Ben")).news.wait_for("joined")
    client = await RawClient.secured(stack.enter_context(await connect(*place)))
    assert await client.read() == m.SessionInfo(
        m.PROTOCOL_VERSION, network.host.runner.session_id, "", "", (), DEFAULT_PEERS
    )
    await client.send(m.JoinRequest("Eve", m.PROTOCOL_VERSION))
    assert await client.read() == m.CodeNeeded()
    await client.send(m.JoinRequest("Eve", m.PROTOCOL_VERSION + 1))
    assert isinstance(await client.read(), m.JoinRejected)


@played
async def test_a_machine_that_connects_too_often_is_closed_at_once_and_others_are_served(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    stack.enter_context(pytest.MonkeyPatch.context()).setattr(arrivals, "EVERY_S", 1000.0)  # on a busy machine, too
    host, port = outside(network, stack)
    loop = asyncio.get_running_loop()

    def come(ip: str) -> socket.socket:
        sock = stack.enter_context(socket.create_connection((host, port), source_address=(ip, 0)))
        sock.setblocking(False)
        return sock

    for _ in range(arrivals.AT_ONCE):
        with come("127.0.0.9") as sock:
            await loop.sock_sendall(sock, b"GET / HTTP/1.0\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                await loop.sock_recv(sock, 1000)
    assert await loop.sock_recv(come("127.0.0.9"), 1) == b""
    assert not (await RawClient.secured(come("127.0.0.9"))).host_key
    assert isinstance(await (await RawClient.secured(come("127.0.0.1"))).read(), m.SessionInfo)


@played
async def test_a_closed_outside_port_takes_no_connections(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    runner, sock = network.host.runner, listener(stack)
    closed = asyncio.Event()
    runner.open_outside, runner.close_outside = lambda: runner.listen_outside(sock), closed.set
    runner.command(Invite(CODE))
    runner.command(WithdrawInvitation())
    await closed.wait()
    await runner.stop_outside(sock)
    client = stack.enter_context(await connect(*sock.getsockname()))
    sock.close()
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.get_running_loop().sock_recv(client, 1) == b""


@played
async def test_a_machine_with_the_same_address_in_the_house_of_a_friend_is_left_out(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    other = await neighbour(network, stack)
    printer, place = listener(stack), outside(network, stack)

    async def print_something() -> None:
        sock, _ = await asyncio.get_running_loop().sock_accept(printer)
        with sock:
            await asyncio.get_running_loop().sock_sendall(sock, b"220 ready to print\r\n")

    printing = asyncio.create_task(print_something())
    session = network.host.runner.session_id[:4]
    places = [other.host.address, printer.getsockname(), place]
    friend = await network.join(stack, "Ana", code=CODE, places=places, session=session)
    await friend.news.wait_for("joined")
    await printing
    assert other.host.news.names().count("peer_joined") == 0


@played
async def test_a_friend_who_finds_only_another_session_is_told(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    friend = await network.join(stack, "Ana", places=[network.host.address], session=b"abcd")
    ended = await friend.ended
    assert ended.failed and ended.reason.code == "invitation_old"


@played
async def test_a_friend_who_finds_another_machine_and_then_none_is_told_in_one_sentence(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    with closed_address() as closed:
        friend = await network.join(stack, "Ana", places=[network.host.address, closed], session=b"abcd")
        told = notice_text((await friend.ended).reason)
    assert told == "The connection to the host was lost: no jam is open there."


@played
async def test_places_that_the_host_tells_without_end_do_not_pile_up(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    place = outside(network, stack)
    runner = (await network.join(stack, "Ana", code=CODE, places=[place], clock_ports={place: 5000})).runner
    for number in range(1, 200):
        runner._execute(UsePlaces((Candidate(f"45.32.1.{number}", 17401, 17403),)))
    assert dict(runner._where._clock_ports) == {place: 5000} and dict(runner._where._told_clock_ports) == {
        ("45.32.1.199", 17401): 17403
    }


@played
async def test_a_clock_that_has_moved_is_asked_where_the_host_says(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    """The router of the next host has given another port than was foretold."""
    place = outside(network, stack)
    friend = await network.join(stack, "Ana", code=CODE, places=[place], clock_ports={place: 5000})
    await friend.news.wait_for("joined")
    friend.runner._execute(UsePlaces((Candidate(*place, 6000),)))
    assert friend.clock.asked == ("127.0.0.1", 6000, 1)


@played
async def test_a_lost_host_is_looked_for_where_the_next_one_would_be(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    sock = listener(stack)
    next_host = Candidate(*sock.getsockname(), 20_001)
    with closed_address() as closed:
        places = HostPlaces(None, {}, None)
        places.address = closed
        places.use((Candidate(*closed, 17402),), (next_host,))
        found = stack.enter_context(await places.connect_again(b"", b""))
        assert found.getpeername() == next_host.place
    places.found(next_host.place)
    assert places.clock_port(17402) == 20_001
    places.use((Candidate(*closed, 17402),))
    assert places.clock_port(17402) == 17402
