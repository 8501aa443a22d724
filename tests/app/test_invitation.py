"""The outside port of a program, and the places that it tells."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import socket
from typing import Any

import pytest

from phaselock.app.equipment import Equipment
from phaselock.app.invitation import OutsidePort, places
from phaselock.app.options import JoinOptions
from phaselock.app.session import open_peer_session
from phaselock.errors import PhaseLockError
from phaselock.internet.state import Pinhole, Problem, RouterState
from phaselock.model.address import DEFAULT_CLOCK_PORT, DEFAULT_OUTSIDE_PORT, DEFAULT_PORT, own_outside_port
from phaselock.model.heritage import HeirInvitation
from phaselock.model.invitation import Candidate, Nat, parse_invitation
from phaselock.model.notices import Code
from phaselock.model.snapshot import InvitationView
from phaselock.network.host import HostRunner
from phaselock.network.interfaces import OverlayAddress
from phaselock.protocol.messages import PROTOCOL_VERSION
from phaselock.session.commands import Invite, WithdrawInvitation
from phaselock.session.invitation_sentences import PROBLEMS
from phaselock.session.sentences import NoticeError
from phaselock.storage.settings import SettingsStore
from tests.support.closed_port import closed_address
from tests.support.fake_mapping import FakeMapping
from tests.support.network_session import NetworkFixture, played

CODE = "4829134471"


def state(nat: Nat = Nat.UNKNOWN, public: str = "", tcp: int = 0, udp: int = 0, **more: Any) -> RouterState:
    return RouterState(nat=nat, public=public, tcp=tcp, udp=udp, **more)


def view(runner: HostRunner) -> InvitationView:
    found = runner.snapshot().invitation
    assert found is not None
    return found


def test_the_own_network_comes_before_the_internet() -> None:
    router = state(Nat.OPEN, "45.32.1.1", 17401, 17402)
    found = places(["192.168.1.42", "100.70.1.2", "fd00::2"], 17404, 17402, router)
    assert found.candidates == (
        Candidate("192.168.1.42", 17404),
        Candidate("100.70.1.2", 17404),
        Candidate("45.32.1.1", 17401),
    )
    assert (found.nat, found.reachable, found.port) == (Nat.OPEN, True, 17404)


def test_another_clock_port_is_told() -> None:
    found = places(["192.168.1.42"], 17404, 17402, state(Nat.OPEN, "45.32.1.1", 20001, 20002))
    assert found.candidates[-1] == Candidate("45.32.1.1", 20001, 20002)


def test_pinholes_are_places() -> None:
    own = ["192.168.1.42", "2001:db8::7", "2a00::7"]
    router = state(Nat.CARRIER, pinholes=(Pinhole("2a00::7", 17404, 17402),))
    found = places(own, 17404, 17402, router)
    assert found.candidates == (Candidate("192.168.1.42", 17404), Candidate("2a00::7", 17404))
    assert found.reachable


@pytest.mark.parametrize(
    "router", [None, state(Nat.HOME, "45.32.1.1", problem=Problem.REFUSED), state(Nat.HOME, tcp=1, udp=1)]
)
def test_without_a_public_port_only_the_own_network_is_told(router: RouterState | None) -> None:
    found = places(["192.168.1.42"], 17404, 17402, router)
    assert found.candidates == (Candidate("192.168.1.42", 17404),) and not found.reachable


def test_a_router_behind_another_one_lets_no_friend_in() -> None:
    found = places(["192.168.1.42"], 17404, 17402, RouterState(nat=Nat.DOUBLE, public="10.0.0.2", tcp=17401, udp=17402))
    assert found.candidates == (Candidate("192.168.1.42", 17404),) and not found.reachable


def test_overlay_networks_come_last_and_have_names() -> None:
    overlays = [OverlayAddress("Tailscale", "100.101.2.3"), OverlayAddress("ZeroTier", "10.147.17.9")]
    own = ["192.168.1.42", "10.147.17.9", "100.101.2.3"]
    open_ = RouterState(nat=Nat.OPEN, public="45.32.1.1", tcp=17401, udp=17402)
    found = places(own, 17404, 17402, open_, overlays=overlays)
    assert [one.host for one in found.candidates] == ["192.168.1.42", "45.32.1.1", "100.101.2.3", "10.147.17.9"]
    assert found.overlays == ("Tailscale", "ZeroTier")
    crowded = places([f"192.168.1.{number}" for number in range(2, 20)], 17404, 17402, None, overlays=overlays)
    assert [one.host for one in crowded.candidates[-2:]] == ["100.101.2.3", "10.147.17.9"] and not crowded.reachable


def test_a_machine_with_a_public_address_needs_no_router() -> None:
    found = places(["45.32.1.1"], 17404, 17402, None)
    assert (found.candidates, found.nat, found.reachable) == ((Candidate("45.32.1.1", 17404),), Nat.PUBLIC, True)


def test_a_machine_without_ipv4_tells_what_it_has() -> None:
    assert places(["fd00::2", "fe80::1%eth0"], 17404, 17402, None).candidates == (Candidate("fd00::2", 17404),)


def test_all_that_the_router_may_answer_has_a_sentence() -> None:
    assert PROBLEMS.keys() == {one.value for one in Problem if one is not Problem.NONE}


def test_a_place_that_the_user_knows_is_told() -> None:
    found = places(["192.168.1.42"], 17404, 17402, None, (Candidate("jam.example", 17404),))
    assert found.candidates == (Candidate("192.168.1.42", 17404), Candidate("jam.example", 17404))


def test_an_invitation_is_how_to_join() -> None:
    line = parse_invitation("phaselock://10.0.0.1:1,45.32.1.1:2+3/4829134471/7-1f00ab42")
    options = JoinOptions().with_invitation(line)
    assert options.places == [("10.0.0.1", 1), ("45.32.1.1", 2)]
    assert options.clock_ports == {("45.32.1.1", 2): 3}
    assert (options.code, options.session_id, options.version) == ("4829134471", "1f00ab42", 7)
    assert JoinOptions(code="482913").with_invitation(line).code == "482913"


def why_not_joined(options: JoinOptions, folder: pathlib.Path) -> PhaseLockError:
    async def join() -> None:
        with contextlib.closing(SettingsStore(folder / "settings.json", lambda problem: None)) as store:
            with contextlib.closing(Equipment(options, store, lambda event: None)) as kit:
                async with open_peer_session(options, kit):
                    pass

    with pytest.raises(PhaseLockError) as raised:
        asyncio.run(join())
    return raised.value


def test_another_version_is_refused_before_anything_is_sent(tmp_path: pathlib.Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        options = JoinOptions([listener.getsockname()], version=PROTOCOL_VERSION + 1, display_name="Ana")
        error = why_not_joined(options, tmp_path)
        assert isinstance(error, NoticeError) and error.notice.code is Code.OTHER_VERSION
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_friend_is_told_what_to_do_when_the_host_is_not_reached(tmp_path: pathlib.Path) -> None:
    with closed_address() as place:
        options = JoinOptions([place], version=PROTOCOL_VERSION, display_name="Ana")
        assert "new invitation" in str(why_not_joined(options, tmp_path))


@played
async def test_the_outside_port_is_open_as_long_as_the_invitation(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    runner, news, router = network.host.runner, network.host.news, FakeMapping()
    port = OutsidePort(runner, 5000, news, port=0, new_mapping=router.open)
    runner.command(Invite(CODE))
    while not router.mapped:
        await asyncio.sleep(0)
    (ports,) = router.mapped
    assert ports["udp"] == (5000, DEFAULT_CLOCK_PORT) and ports["tcp"][1] == DEFAULT_PORT
    assert ports["instead"] is None
    router.tell(state(Nat.OPEN, "45.32.1.1", 17401, 17402))
    told = await news.wait_for("invitation", state="open", reachable=True)
    line = parse_invitation(str(told.fields["text"]))
    assert line.candidates[-1] == Candidate("45.32.1.1", 17401, 17402)
    friend = await network.join(stack, "Ana", code=CODE, places=[("127.0.0.1", ports["tcp"][0])])
    await friend.news.wait_for("joined")
    router.tell(state(Nat.OPEN, "45.32.1.9", 17401, 17402))
    while "45.32.1.9" not in view(runner).text:
        await asyncio.sleep(0)
    runner.command(WithdrawInvitation())
    assert router.closed == 0
    runner.command(Invite(CODE))
    port.use("jam.example+6000")
    assert f"jam.example:{ports['tcp'][0]}+6000" in view(runner).text
    await port.close()
    assert router.closed == 1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports["tcp"][0]))


@played
async def test_the_next_host_wants_the_public_ports_of_the_host_before_it_or_else_its_own(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    runner, news = network.host.runner, network.host.news
    usual, others = HeirInvitation(CODE), HeirInvitation(CODE, 0, 20_001, 20_002)
    for inherited, expected in ((usual, (DEFAULT_PORT, DEFAULT_CLOCK_PORT)), (others, (20_001, 20_002))):
        router = FakeMapping()
        port = OutsidePort(runner, 5000, news, port=0, new_mapping=router.open, inherited=inherited)
        runner.command(Invite(CODE))
        while not router.mapped:
            await asyncio.sleep(0)
        (ports,) = router.mapped
        assert (ports["tcp"][1], ports["udp"][1]) == expected
        assert ports["instead"] == (own_outside_port(runner.host_key),) * 2
        runner.command(WithdrawInvitation())
        await port.close()


@played
async def test_a_port_that_is_opened_again_is_the_same_and_waits_until_the_router_has_closed_it(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    runner, news, routers = network.host.runner, network.host.news, [FakeMapping(), FakeMapping()]
    spare = iter(routers)
    free = socket.create_server(("127.0.0.1", 0))
    number = free.getsockname()[1]
    free.close()
    port = OutsidePort(runner, 5000, news, port=number, new_mapping=lambda tell: next(spare).open(tell))
    runner.command(Invite(CODE))
    while not routers[0].mapped:
        await asyncio.sleep(0)
    runner.command(WithdrawInvitation())
    runner.command(Invite(CODE))
    while not routers[1].mapped:
        assert "error" not in news.names()
        await asyncio.sleep(0)
    assert routers[0].closed == 1 and routers[0].mapped == routers[1].mapped
    await port.close()


@played
async def test_another_port_is_used_if_the_usual_one_is_in_use(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    runner, news = network.host.runner, network.host.news
    with contextlib.suppress(OSError):  # another program may have it already
        stack.enter_context(socket.create_server(("127.0.0.1", DEFAULT_OUTSIDE_PORT)))
    port = OutsidePort(runner, 5000, news, bind_to="127.0.0.1")
    runner.command(Invite(CODE))
    told = await news.wait_for("invitation", state="open")
    ((host, number),) = parse_invitation(str(told.fields["text"])).places
    assert host == "127.0.0.1" and number != DEFAULT_OUTSIDE_PORT
    await port.close()


@played
async def test_a_port_that_cannot_be_opened_withdraws_the_invitation(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    runner, news = network.host.runner, network.host.news
    taken = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
    port = OutsidePort(runner, 5000, news, bind_to="127.0.0.1", port=taken)
    runner.command(Invite(CODE))
    failed = await news.wait_for("error")
    assert str(taken) in str(failed.fields["message"])
    await news.wait_for("invitation", state="closed")
    await port.close()
