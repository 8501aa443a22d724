"""Where a machine can be reached as a host, and which machines are hosts of its session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from phaselock.app.host_key import host_identity
from phaselock.errors import PhaseLockError, bug_net
from phaselock.network import discovery
from phaselock.network.interfaces import adapters, is_wired, usable_addresses
from phaselock.network.service_record import FoundSession
from phaselock.network.succession import HostPorts, StandByPorts
from phaselock.storage.paths import host_key_path
from phaselock.storage.settings import SettingsStore

if TYPE_CHECKING:
    from phaselock.network.host import HostRunner
    from phaselock.network.peer import PeerRunner

LOOPBACK = "127.0.0.1"
MEET_AGAIN_S = 5.0
"""Time in seconds from one report of the other hosts to the next one."""
SEARCH_AGAIN_S = 30.0
"""Time in seconds from a search for other hosts that was impossible to the next one."""


async def stand_by_ports(store: SettingsStore, page_port: int) -> StandByPorts:
    """Open the ports at which this machine can become a host. `page_port`: of its page for guests, which is not open
    before. PhaseLockError if that is impossible."""
    identity = await asyncio.to_thread(host_identity, host_key_path())
    reach = await asyncio.to_thread(_reach, "")
    return StandByPorts(HostPorts.open_any(identity, store.settings.port, store.settings.clock_port), *reach, page_port)


class HostPlace:
    """Tells the session of a host where the host is. For the network thread, except `addresses`."""

    def __init__(self, runner: HostRunner, bind_to: str, port: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._runner = runner
        self._bind_to, self._port = bind_to, port
        self._told: tuple[tuple[str, ...], bool | None] | None = None

    async def tell(self) -> None:
        """Tell the session the addresses of this machine."""
        self._tell(await asyncio.to_thread(_reach, self._bind_to))

    def addresses(self) -> tuple[str, ...]:
        """The addresses now. The session is told if they have changed. Call it in a worker thread."""
        found = _reach(self._bind_to)
        self._loop.call_soon_threadsafe(self._tell, found)
        return found[0]

    def _tell(self, found: tuple[tuple[str, ...], bool | None]) -> None:
        if found != self._told:
            self._told = found
            addresses, wired = found
            # Without a network, peers may come from this computer.
            self._runner.reachable_at(addresses or (self._bind_to or LOOPBACK,), self._port, wired)


async def meet_hosts(runner: HostRunner | PeerRunner) -> None:
    """Tell the session of a runner every machine that announces itself as its host, until this is cancelled."""
    browser = discovery.Browser()

    def meet(_: tuple[FoundSession, ...]) -> None:
        for one in browser.announcements(runner.session_id.hex()):
            if one.host_key and not runner.host_key.hex().startswith(one.host_key):
                runner.met(one.addresses[0], one.port, bytes.fromhex(one.host_key))

    try:
        while True:
            try:
                with bug_net("the search for other hosts", PhaseLockError):
                    await browser.start(meet)
                    while True:  # the list may not change when a host can be reached again
                        await asyncio.sleep(MEET_AGAIN_S)
                        meet(())
            except PhaseLockError:
                await asyncio.sleep(SEARCH_AGAIN_S)
    finally:
        await browser.close()


def _reach(bind_to: str) -> tuple[tuple[str, ...], bool | None]:
    """The addresses of this machine, the best first, and whether the first one is on a cable. May block."""
    addresses = usable_addresses(bind_to)
    return addresses, is_wired(addresses[0], adapters()) if addresses else None
