"""A peer that reaches its host by a bridge, because no place of the invitation leads to it."""

from __future__ import annotations

import contextlib

from phaselock.errors import PhaseLockError
from phaselock.model.heritage import HostContact
from phaselock.network.host_places import HostPlaces
from phaselock.network.reach import Place
from tests.support.closed_port import closed_address
from tests.support.network_session import NetworkFixture, Peer, played
from tests.support.outside_port import CODE, neighbour, outside

CLOCK_PORT = 6000


class Bridge:
    """Leads to this place; None: to nothing."""

    def __init__(self, to: Place | None) -> None:
        self._to = to
        self.place: Place | None = None
        self.clock_port = 0
        self.asked = 0

    async def reach(self) -> Place:
        self.asked += 1
        if self._to is None:
            raise PhaseLockError("Nothing leads there.")
        self.place, self.clock_port = self._to, CLOCK_PORT
        return self._to


async def beside_a_neighbour(network: NetworkFixture, stack: contextlib.AsyncExitStack, bridge: Bridge) -> Peer:
    """A friend with an invitation whose only place leads to another host."""
    session = network.host.runner.session_id[:4]
    places = [(await neighbour(network, stack)).host.address]
    return await network.join(stack, "Ana", code=CODE, places=places, session=session, bridge=bridge)


@played
async def test_the_bridge_is_used_if_other_machines_have_the_addresses_of_the_host(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    bridge = Bridge(outside(network, stack))
    friend = await beside_a_neighbour(network, stack, bridge)
    await friend.news.wait_for("joined")
    assert friend.clock.asked == ("127.0.0.1", CLOCK_PORT, 1)
    assert bridge.asked == 1


@played
async def test_a_lost_host_is_looked_for_by_the_bridge_that_led_to_it(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    bridge = Bridge(outside(network, stack))
    friend = await beside_a_neighbour(network, stack, bridge)
    await friend.news.wait_for("joined")
    assert friend.runner._connection is not None
    friend.runner._connection.abort("a test")
    await friend.news.wait_for("joined", again=True)
    assert friend.clock.asked == ("127.0.0.1", CLOCK_PORT, 1)
    assert bridge.asked == 2


@played
async def test_the_next_host_may_be_behind_the_bridge(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    bridge = Bridge(network.host.address)
    places = HostPlaces(None, {}, bridge)
    with closed_address() as (ip, port):
        places.follow(HostContact(1, "Ben", (ip,), port, port, b"k" * 32))
        found = stack.enter_context(await places.connect_again(b"", b""))
    assert found.getpeername() == network.host.address and bridge.asked == 1


@played
async def test_the_bridge_is_not_asked_if_a_place_of_the_invitation_leads_to_the_host(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    bridge, place = Bridge(None), outside(network, stack)
    friend = await network.join(stack, "Ana", code=CODE, places=[place], bridge=bridge)
    await friend.news.wait_for("joined")
    assert bridge.asked == 0


@played
async def test_a_bridge_that_leads_nowhere_ends_the_attempt(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    friend = await beside_a_neighbour(network, stack, Bridge(None))
    ended = await friend.ended
    assert ended.failed and str(ended.reason.detail) == "Nothing leads there."


@played
async def test_a_bridge_to_another_session_ends_the_attempt(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    wrong = (await neighbour(network, stack)).host.address
    friend = await network.join(
        stack, "Ana", code=CODE, places=[network.host.address], session=b"abcd", bridge=Bridge(wrong)
    )
    ended = await friend.ended
    assert ended.failed and ended.reason.code == "invitation_old"
