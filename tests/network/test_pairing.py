"""Joining a session that has a code, over real connections."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import pathlib
import socket
from unittest import mock

import pytest

from phaselock.model.notices import Code
from phaselock.network.connection import Connection, ConnectionLost
from phaselock.network.pairing import Pairing
from phaselock.network.runner import log
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import SESSION_CAP, Framer
from phaselock.protocol.messages import (
    PROTOCOL_VERSION,
    CodeNeeded,
    Heartbeat,
    JoinAccepted,
    JoinRejected,
    JoinRequest,
    PairingProof,
    PairingReply,
    PairingStart,
    SessionInfo,
)
from phaselock.session.commands import ChangeCode
from phaselock.session.effects import Pair
from phaselock.session.events import CodeSet
from tests.support.identity import IDENTITY, greet, new_identity
from tests.support.network_session import NetworkFixture, played
from tests.support.raw_client import RawClient

CODE = "482913"


def exchanged(peer_code: str, host_code: str, peer_key: bytes, host_key: bytes) -> tuple[bool, bool]:
    """Whether host and peer find that the other one knows the code."""
    peer, host = Pairing(peer_code, peer_key, is_host=False), Pairing(host_code, host_key, is_host=True)
    peer.take(host.share)
    host.take(peer.share)
    return host.is_proof(peer.proof), peer.is_proof(host.proof)


def test_the_same_code_and_the_same_key_pair() -> None:
    assert exchanged(CODE, CODE, b"k" * 32, b"k" * 32) == (True, True)


def test_another_code_or_somebody_between_them_with_another_key_does_not() -> None:
    assert exchanged(CODE, "482914", b"k" * 32, b"k" * 32) == (False, False)
    assert exchanged(CODE, CODE, b"k" * 32, b"x" * 32) == (False, False)


def test_a_reflected_share_or_proof_is_refused() -> None:
    peer, host = Pairing(CODE, b"k" * 32, is_host=False), Pairing(CODE, b"k" * 32, is_host=True)
    peer.take(host.share)
    host.take(peer.share)
    assert not peer.is_proof(peer.proof)
    with pytest.raises(ProtocolError):
        Pairing(CODE, b"k" * 32, is_host=False).take(peer.share)


@pytest.mark.parametrize(
    "share", [b"", b"A" + bytes(32), b"B" + bytes(32), b"B" + b"\xff" * 32, b"B" + b"\1" + bytes(31)]
)
def test_a_share_that_is_none_is_refused(share: bytes) -> None:
    with pytest.raises(ProtocolError):
        Pairing(CODE, b"k" * 32, is_host=False).take(share)


async def joined(network: NetworkFixture, stack: contextlib.AsyncExitStack, name: str, code: str) -> str:
    """Join with this code. Return "" after a success, else the code of the notice."""
    peer = await network.join(stack, name, code=code)
    if not code or code != CODE:
        return str((await peer.ended).reason.code.value)
    await peer.news.wait_for("joined")
    return ""


@played
async def test_only_who_knows_the_code_joins(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    network.host.runner.command(ChangeCode("482 913"))
    assert await joined(network, stack, "Ada", "") == Code.CODE_NEEDED
    assert await joined(network, stack, "Bob", "482914") == Code.CODE_WRONG
    assert await joined(network, stack, "Cleo", CODE) == ""
    assert [peer.name for peer in network.host.runner.snapshot().peers] == ["Cleo"]


@played
async def test_a_peer_with_a_code_does_not_join_where_none_is_asked_for(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    """A faked host without a code must not get a peer whose user has typed one."""
    peer = await network.join(stack, "Ada", code=CODE)
    assert (await peer.ended).reason.code is Code.CODE_NOT_ASKED


@played
async def test_a_returning_peer_needs_no_code(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    network.host.runner.command(ChangeCode(CODE))
    peer = await network.join(stack, "Ada", code=CODE)
    await peer.news.wait_for("joined")
    while (
        network.host.runner._session._parts.members.members[1].reports.latest is None
    ):  # before, a lost peer is forgotten
        await asyncio.sleep(0.01)
    network.host.runner.command(ChangeCode("another one"))
    network.host.runner._connections[1][0].abort("the network is cut")
    await peer.news.wait_for("joined", again=True)


async def guess(client: RawClient, code: str) -> object:
    """The host's answer to this guess."""
    pairing = Pairing(code, IDENTITY.host_key, is_host=False)
    await client.send(PairingStart(pairing.share))
    reply = await client.read()
    if not isinstance(reply, PairingReply):
        return reply
    pairing.take(reply.share)
    await client.send(PairingProof(pairing.proof))
    answer = await client.read()
    assert not isinstance(answer, PairingProof) or pairing.is_proof(answer.proof)
    return answer


@played
async def test_the_way_of_a_client_that_pairs(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    network.host.runner.command(ChangeCode(CODE))
    async with network.raw_client() as client:
        assert isinstance(await client.read(), SessionInfo)
        await client.send(JoinRequest("Ada", PROTOCOL_VERSION))
        assert await client.read() == CodeNeeded()
        assert isinstance(await guess(client, CODE), PairingProof)
        await client.send(JoinRequest("Ada", PROTOCOL_VERSION))
        assert isinstance(await client.read(), JoinAccepted)


@played
async def test_guesses_are_limited(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    network.host.runner.command(ChangeCode(CODE))
    answers = []
    for number in range(5):
        async with network.raw_client() as client:
            assert isinstance(await client.read(), SessionInfo)
            answers.append(await guess(client, f"{number:06}"))
    assert all(isinstance(answer, JoinRejected) and answer.kind == "code" for answer in answers)
    reasons = [answer.reason for answer in answers if isinstance(answer, JoinRejected)]
    assert reasons[:3] == ["The code is wrong."] * 3
    assert all("half a minute" in reason for reason in reasons[3:])


@pytest.mark.parametrize("second", [Heartbeat(), PairingStart(b"A" * 33), None])
def test_a_pairing_that_does_not_go_on_ends(second: object, tmp_path: pathlib.Path) -> None:
    async def story(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
        network.host.runner.command(ChangeCode(CODE))
        async with network.raw_client() as client:
            await client.send(PairingStart(Pairing(CODE, IDENTITY.host_key, is_host=False).share))
            if second is not None:
                await client.send(second)  # type: ignore[arg-type]
                found = await client.read_to_end()
                assert isinstance(found[-1], JoinRejected)
        assert await joined(network, stack, "Cleo", CODE) == ""

    played(story)(tmp_path)


@played
async def test_a_pairing_is_not_expected_without_a_code_or_of_a_member(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    start = PairingStart(Pairing(CODE, IDENTITY.host_key, is_host=False).share)
    async with network.raw_client() as client:
        await client.send(start)
        assert [type(message) for message in await client.read_to_end()] == [SessionInfo]
    async with network.raw_client() as client:
        await client.join()
        await client.send(start)
        await client.read_to_end()
    assert not network.host.runner.snapshot().peers


@played
async def test_a_host_that_asks_for_the_code_but_does_not_know_it_is_left(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    network.host.runner.command(ChangeCode(CODE))
    network.host.runner._identity = dataclasses.replace(IDENTITY, host_key=new_identity().host_key)
    peer = await network.join(stack, "Ada", code=CODE)
    assert (await peer.ended).reason.code is Code.CODE_WRONG


@played
async def test_a_false_host_tests_one_guess_of_a_peer(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    """It asks for the code again instead of proving that it knows it."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    listener.setblocking(False)
    network.host.address = listener.getsockname()
    peer = await network.join(stack, "Ada", code=CODE)
    sock, _ = await asyncio.get_running_loop().sock_accept(listener)
    false = Connection(sock, Framer(SESSION_CAP))
    await greet(false, SessionInfo(PROTOCOL_VERSION, bytes(16), "Jam", "Host", (), 5))
    assert isinstance(await false.receive(), JoinRequest)
    false.send(CodeNeeded())
    assert isinstance(await false.receive(), PairingStart)
    false.send(PairingReply(Pairing("000000", IDENTITY.host_key, is_host=True).share))
    assert isinstance(await false.receive(), PairingProof)
    false.send(CodeNeeded())
    with pytest.raises(ConnectionLost):
        await false.receive()
    await false.close()
    assert (await peer.ended).reason.code is Code.HOST_BROKE_PROTOCOL


@played
async def test_without_the_code_the_names_of_the_members_are_not_told(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    network.host.runner.command(ChangeCode(CODE))
    assert await joined(network, stack, "Ada", CODE) == ""
    async with network.raw_client() as client:
        info = await client.read()
    assert isinstance(info, SessionInfo) and info.peers == ("?",)


@played
async def test_a_code_is_not_in_the_log(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    with mock.patch.object(log, "log") as logged, mock.patch.object(log, "isEnabledFor", return_value=True):
        network.host.runner.command(ChangeCode("482913"))
        network.host.runner.command(ChangeCode(""))
    told = [str(call.args) for call in logged.call_args_list if "code_set" in str(call.args)]
    assert len(told) == 2 and "482913" not in "".join(told)
    assert "482913" not in repr([ChangeCode("482913"), CodeSet(None, "482913"), Pair("482913")])


@played
async def test_who_has_proved_the_code_does_not_pair_again(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    network.host.runner.command(ChangeCode(CODE))
    async with network.raw_client() as client:
        assert isinstance(await client.read(), SessionInfo)
        assert isinstance(await guess(client, CODE), PairingProof)
        assert await guess(client, CODE) is None
