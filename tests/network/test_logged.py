"""What the runners write to the log, and at which level."""

from __future__ import annotations

import contextlib
import logging

from phaselock.protocol.messages import Heartbeat
from tests.support.closed_port import closed_address
from tests.support.network_session import DATA, NetworkFixture, played


class Lines(logging.Handler):
    """The lines of the log of both runners: level and text."""

    def __init__(self, stack: contextlib.ExitStack | contextlib.AsyncExitStack) -> None:
        super().__init__()
        self.lines: list[tuple[str, str]] = []
        logger = logging.getLogger("phaselock.session")
        stack.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.DEBUG)
        logger.addHandler(self)
        stack.callback(logger.removeHandler, self)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelname, record.getMessage()))

    def at(self, words: str) -> list[str]:
        """The levels of the lines with these words."""
        return [level for level, line in self.lines if words in line]


@played
async def test_a_wrong_hash_and_connections(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    lines = Lines(stack)
    network.song.write_bytes(DATA[:-1] + b"\0")
    network.host.add(network.song, DATA)
    await network.join(stack, "Ada")
    await network.host.news.wait_for("transfer", state="failed", peer="Ada")
    assert set(lines.at("state='started'")) == {"INFO"}
    assert lines.at("state='retry'") == ["ERROR", "ERROR"]
    assert set(lines.at("state='failed'")) == {"ERROR"}
    assert set(lines.at("connection 1 from 127.0.0.1")) == {"DEBUG"}
    assert lines.at("control connection to ") == ["DEBUG"]


@played
async def test_a_lost_host(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    lines = Lines(stack)
    peer = await network.join(stack, "Ada")
    await peer.news.wait_for("joined")
    peer.runner._where.address = stack.enter_context(closed_address())
    for connection, _ in network.host.runner._connections.values():
        connection.abort("it crashed")
    assert (await peer.ended).failed
    assert lines.at("over: Host disconnected — session ended.") == ["ERROR"]


@played
async def test_strangers_that_break_the_protocol(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    lines = Lines(stack)
    for _ in range(5):
        async with network.raw_client() as stranger:
            await stranger.send(Heartbeat())
            await stranger.read_to_end()
    assert lines.at("127.0.0.1 was refused: Heartbeat before JoinRequest; 1 since") == ["INFO"]
    assert len(lines.at("was refused")) == 1
