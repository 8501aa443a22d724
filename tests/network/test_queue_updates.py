"""A host that sends many messages leaves time for the user's commands."""

from __future__ import annotations

import asyncio
import contextlib
from uuid import UUID

import pytest

from phaselock.model.queue import ItemStatus, QueueItem
from phaselock.model.queue_change import QueueDifference
from phaselock.network import queue_updates
from phaselock.network.queue_updates import QueueUpdates
from phaselock.protocol import messages as m
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import frame
from phaselock.session.queue_updates import updated
from tests.support.network_session import NetworkFixture, played


def update(revision: int) -> m.QueueUpdate:
    return m.QueueUpdate((), revision)


def row(number: int) -> QueueItem:
    return QueueItem(UUID(int=number), f"{number}.mp3", 60.0, "Hana", ItemStatus.READY)


class Busy:
    """Takes updates, each of which takes this time on the clock of the loop."""

    def __init__(self, takes_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken: list[int] = []
        self.now_s = 0.0
        self._takes_s = takes_s
        self.updates = QueueUpdates(self._take, lambda: self.told)
        self.told = m.QueueUpdate((), 0)
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now_s)

    def _take(self, taken: m.QueueUpdate | m.QueueChange) -> None:
        self.told = taken if isinstance(taken, m.QueueUpdate) else updated(self.told, taken)
        self.taken.append(taken.revision)
        self.now_s += self._takes_s


def test_the_newest_update_is_taken_after_a_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        busy = Busy(0.1, monkeypatch)
        for revision in range(1, 6):
            busy.updates.add(update(revision))
        assert busy.taken == [1]
        busy.now_s += 0.1 * queue_updates.REST
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert busy.taken == [1, 5]
        busy.now_s += 100.0
        busy.updates.add(update(6))
        assert busy.taken == [1, 5, 6]
        busy.updates.drop()

    asyncio.run(story())


def test_changes_that_wait_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        busy, rows = Busy(0.1, monkeypatch), tuple(map(row, range(5)))
        busy.updates.add(m.QueueUpdate(rows[:1], 1))
        for number in range(1, 4):
            busy.updates.add(m.QueueChange(number, number + 1, QueueDifference(number, 0, (rows[number],), ())))
        with pytest.raises(ProtocolError):
            busy.updates.add(m.QueueChange(9, 10, QueueDifference(0, 0, (), ())))
        busy.updates.add(m.QueueChange(4, 5, QueueDifference(0, 1, (), ())))
        busy.updates.flush()
        busy.now_s += 100.0
        busy.updates.add(m.QueueChange(5, 6, QueueDifference(3, 0, (rows[4],), ())))
        assert busy.taken == [1, 5, 6] and busy.told == m.QueueUpdate(rows[1:], 6)

    asyncio.run(story())


def test_no_update_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        busy = Busy(60.0, monkeypatch)
        busy.updates.add(update(1))
        busy.now_s += queue_updates.MAX_REST_S
        busy.updates.add(update(2))
        assert busy.taken == [1, 2]

    asyncio.run(story())


def test_an_update_that_is_dropped_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        busy = Busy(0.1, monkeypatch)
        busy.updates.add(update(1))
        busy.updates.add(update(2))
        busy.updates.drop()
        busy.updates.flush()
        assert busy.taken == [1]

    asyncio.run(story())


async def send(network: NetworkFixture, *messages: m.Message) -> None:
    """Send these to the only peer, in one piece."""
    ((connection, _),) = network.host.runner._connections.values()
    connection.send_frame(b"".join(map(frame, messages)))


@played
async def test_a_peer_takes_the_newest_update_before_what_follows(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    ada = await network.join(stack, "Ada")
    await ada.news.wait_for("joined")
    ada.runner._updates._next_at_s = asyncio.get_running_loop().time() + 1000
    first = len(ada.news.told)
    await send(network, *map(update, range(100, 150)), m.Heartbeat(), update(150), m.VolumeCommand(30, None))
    await ada.news.wait_for("volume_set")
    told = [one for one in ada.news.told[first:] if one.name in ("queue", "volume_set")]
    assert [(one.name, one.fields.get("revision")) for one in told] == [("queue", 150), ("volume_set", None)]


@played
async def test_a_flood_of_messages_leaves_turns_for_others(
    network: NetworkFixture, stack: contextlib.AsyncExitStack
) -> None:
    ada = await network.join(stack, "Ada")
    await ada.news.wait_for("joined")
    count, turns = 2000, 0
    await send(network, *[m.VolumeCommand(30, None)] * count, m.VolumeCommand(31, None))
    while not any(one.fields.get("volume_percent") == 31 for one in ada.news.told):
        turns += 1
        await asyncio.sleep(0)
    assert turns > count / 16
