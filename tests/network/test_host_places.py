"""Where a peer looks for the host that it has lost."""

from __future__ import annotations

import asyncio

import pytest

from phaselock.network.host_places import HostPlaces
from phaselock.network.reach import CannotConnect
from tests.support.closed_port import closed_address


def test_that_no_program_listens_is_told_before_the_network_is_searched() -> None:
    told: list[str] = []

    async def find(session_id: str, host_key: str) -> list[tuple[str, int]]:
        told.append("searched")
        return []

    with closed_address() as address:
        where = HostPlaces(find, {}, None)
        where.address = address
        with pytest.raises(CannotConnect):
            asyncio.run(where.connect_again(bytes(16), bytes(32), lambda: told.append("refused")))
    assert told == ["refused", "searched"]
