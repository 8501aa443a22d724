"""When the bridge over iroh is opened, and what is said about it. tests/internet/test_iroh.py runs it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
from collections.abc import Callable
from typing import Any

import pytest

from phaselock.app import bridge
from phaselock.app.invitation import OutsidePort
from phaselock.internet.state import RouterState
from phaselock.model.heritage import Hosting
from phaselock.model.invitation import Nat, parse_invitation
from phaselock.model.notices import Code
from phaselock.model.relay import DEFAULT_RELAY, DIRECT, EXTRA_COMMAND, OFF
from phaselock.session.commands import Invite, WithdrawInvitation
from phaselock.session.events import Event, Warned
from phaselock.session.sentences import NoticeError, notice_text
from tests.support.fake_mapping import FakeMapping
from tests.support.network_session import NetworkFixture, played

NODE = "1f" * 32
CODE = "4829134471"


class FakeProcess:
    """Stands for the child process of a bridge, which says the node id at once."""

    started: list[dict[str, Any]]
    newest: FakeProcess

    def __init__(
        self, code: str, name: str, on_line: Callable[[dict[str, Any]], None], on_end: Callable[[], None]
    ) -> None:
        self.on_line = on_line
        FakeProcess.newest = self

    def say(self, line: dict[str, Any]) -> None:
        FakeProcess.started.append(line)
        self.on_line({"node": NODE})

    def end(self, timeout_s: float) -> None: ...


@pytest.fixture(autouse=True)
def fake_process(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeProcess.started = []
    monkeypatch.setattr(bridge, "LineProcess", FakeProcess)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())


async def opened(network: NetworkFixture, router: FakeMapping, relay: str) -> OutsidePort:
    runner = network.host.runner
    port = OutsidePort(runner, 5000, network.host.news, port=0, new_mapping=router.open, relay=relay)
    runner.command(Invite(CODE))
    while not router.mapped:
        await asyncio.sleep(0)
    return port


def sentence(network: NetworkFixture) -> str:
    """What the host is told about the way to it."""
    invitation = network.host.runner.snapshot().invitation
    return invitation.sentence if invitation is not None else ""


def invitation_line(network: NetworkFixture) -> str:
    found = network.host.runner.snapshot().invitation
    assert found is not None
    return found.text


@played
async def test_the_bridge_is_opened_if_the_router_lets_no_friend_in(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    router, news = FakeMapping(), network.host.news
    port = await opened(network, router, "")
    router.tell(RouterState(nat=Nat.CARRIER))
    warning = await news.wait_for("warning")
    assert warning.fields["code"] == Code.RELAYS_USED
    await news.wait_for("invitation", state="open")
    while not parse_invitation(invitation_line(network)).node:
        await asyncio.sleep(0)
    assert parse_invitation(invitation_line(network)).node == NODE
    assert "over the relays of n0.computer" in sentence(network)
    (order,) = FakeProcess.started
    assert order["serve"]["relay"] == DEFAULT_RELAY and order["serve"]["udp"] == 5000
    hosting = network.host.runner.hosting
    assert hosting.bridge_key == bytes.fromhex(order["serve"]["key"]) and hosting.relay == DEFAULT_RELAY
    await port.close()


@played
async def test_the_next_host_goes_on_with_the_bridge(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    """Also if its router lets friends in: one that has come by the bridge knows no other way."""
    for told, relay in (("https://relay.org", "https://relay.org"), ("nonsense", DEFAULT_RELAY)):
        FakeProcess.started.clear()
        runner, router = network.host.runner, FakeMapping()
        runner.hosts_with(Hosting(bridge_key=b"k" * 32, relay=told))
        port = await opened(network, router, "")
        router.tell(RouterState(nat=Nat.OPEN, public="45.32.1.1", tcp=17401, udp=17402))
        while not FakeProcess.started:
            await asyncio.sleep(0)
        order = FakeProcess.started[0]["serve"]
        assert (order["key"], order["relay"]) == ((b"k" * 32).hex(), relay)
        assert runner.hosting == Hosting(bridge_key=b"k" * 32, relay=relay)
        runner.command(WithdrawInvitation())
        await port.close()
        assert runner.hosting == Hosting()


@pytest.mark.parametrize(("relay", "nat", "starts"), [("", Nat.OPEN, 0), (OFF, Nat.CARRIER, 0), (DIRECT, Nat.OPEN, 1)])
def test_when_the_bridge_is_opened(tmp_path: Any, relay: str, nat: Nat, starts: int) -> None:
    @played
    async def story(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
        router = FakeMapping()
        port = await opened(network, router, relay)
        reachable = nat is Nat.OPEN
        router.tell(RouterState(nat=nat, public="45.32.1.1" if reachable else "", tcp=17401, udp=17402))
        await network.host.news.wait_for("invitation", state="open")
        while len(FakeProcess.started) < starts:
            await asyncio.sleep(0)
        assert len(FakeProcess.started) == starts
        await port.close()

    story(tmp_path)


@played
async def test_a_host_without_the_extra_is_told_once(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        router, news = FakeMapping(), network.host.news
        port = await opened(network, router, "")
        router.tell(RouterState(nat=Nat.CARRIER))
        warning = await news.wait_for("warning")
        assert warning.fields["code"] == Code.INTERNET_EXTRA_MISSING
        await news.wait_for("invitation", state="open")
        assert EXTRA_COMMAND in sentence(network)
        await port.close()


def test_a_friend_without_the_extra_is_told_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    async def reach() -> None:
        await bridge.FriendBridgeProcess(NODE, "", [], lambda event: None, lambda: None).reach()

    with pytest.raises(NoticeError) as caught:
        asyncio.run(reach())
    assert notice_text(caught.value.notice).endswith("install them: pip install 'iroh>=1.2,<2'")


@pytest.mark.parametrize(
    ("node", "relay", "said"),
    [
        (NODE, "", "the relays of n0.computer"),
        (f"{NODE}@relay.example.org", "", "the relay https://relay.example.org"),
        (f"{NODE}@relay.example.org", "https://own.example.org", "the relay https://own.example.org"),
    ],
)
def test_a_friend_is_told_whose_relays_are_used_before_the_bridge_starts(node: str, relay: str, said: str) -> None:
    told: list[str] = []

    def tell(event: Event) -> None:
        assert isinstance(event, Warned) and not FakeProcess.started
        told.append(notice_text(event.notice))

    async def start() -> None:
        friend = bridge.FriendBridgeProcess(node, relay, [], tell, lambda: None)
        reaching = asyncio.create_task(friend.reach())
        while not FakeProcess.started:
            await asyncio.sleep(0)
        reaching.cancel()

    asyncio.run(start())
    assert said in told[0]


def test_the_clock_starts_anew_with_each_connection_and_each_change_of_its_path() -> None:
    """Also if the path of a connection was not told before it was lost."""
    lines: dict[str, dict[str, Any]] = {
        "place": {"place": {"tcp": 5001, "udp": 5002}},
        "path": {"path": {"address": "203.0.113.7:17401", "relay": False, "rtt_ms": 1}},
        "lost": {"lost": True},
    }
    told: list[str] = []

    async def story(names: str) -> None:
        friend = bridge.FriendBridgeProcess(NODE, "", [], lambda event: None, lambda: told.append("ANEW"))
        reaching = asyncio.create_task(friend.reach())
        while not FakeProcess.started:
            await asyncio.sleep(0)
        for name in names.split():
            told.append(name)
            FakeProcess.newest.on_line(lines[name])
            await asyncio.sleep(0)
        reaching.cancel()

    asyncio.run(story("place lost place path path lost place lost place path"))
    assert " ".join(told) == "place lost place ANEW path path ANEW lost place ANEW lost place ANEW path"
