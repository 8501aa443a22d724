"""A process that announces or finds sessions, to be run in a network namespace.

announce NAME ID: writes "up"; a number on standard input is the number of peers; ends with standard input.
browse: writes each list of sessions as JSON until the end of standard input; {"error": ...} if it cannot browse.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys

from phaselock.errors import PhaseLockError
from phaselock.network.discovery import Announcer, Browser, FoundSession, usable_addresses


async def standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def say(words: object) -> None:
    print(json.dumps(words), flush=True)


async def announce(name: str, session_id: str) -> None:
    announcer = Announcer(name, "Ada", bytes.fromhex(session_id), 17401, usable_addresses(), refresh=usable_addresses)
    await announcer.start()
    say("up")
    async for line in await standard_input():
        announcer.set_peers(int(line))
    await announcer.close()


def show(sessions: tuple[FoundSession, ...]) -> None:
    say([dataclasses.asdict(one) for one in sessions])


async def browse() -> None:
    browser = Browser()
    await browser.start(show)
    say([])
    await (await standard_input()).read()
    await browser.close()


if __name__ == "__main__":
    try:
        asyncio.run({"announce": announce, "browse": browse}[sys.argv[1]](*sys.argv[2:]))  # type: ignore[operator]
    except PhaseLockError as problem:
        say({"error": str(problem)})
