"""What a real host of many peers costs while it plays, by thread.

python -m tests.network.tools.crowd [--seconds 20] 5 10 20 40 63

The host is `phaselock host` with the null output. The peers are real runners with real clocks, in this process and
without sound, so that two cores carry many of them. All of them join at once. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import os
import pathlib
import tempfile
import time

import phaselock.data
from phaselock import _native
from phaselock.network.peer import PeerRunner
from phaselock.network.reach import connect
from phaselock.session.effects import Ended
from phaselock.session.peer.session import PeerSession
from phaselock.storage.cache import FileCache
from phaselock.sync.clock import PeerClocks
from phaselock.tools.processes import ProcessGroup, Program, open_process_group
from tests.support.network_session import LENGTH, News, Output

TUNE = pathlib.Path(phaselock.data.__path__[0]) / "tune.mp3"
TUNES = 10
JOIN_S = 120.0
SETTLE_S = 35.0
"""Young clocks send more pings."""
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def threads_s(pid: int) -> collections.Counter[str]:
    """The processor time so far of the threads of a process, in seconds. They have numbers in the order of their
    starts."""
    found: collections.Counter[str] = collections.Counter()
    for place, task in enumerate(sorted(pathlib.Path(f"/proc/{pid}/task").iterdir(), key=lambda one: int(one.name))):
        with contextlib.suppress(OSError):  # it has ended
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            found["network" if int(task.name) == pid else f"thread {place}"] += sum(map(int, fields[11:13])) * TICK_S
    return found


async def join(folder: pathlib.Path, port: int, number: int, ended: list[Ended]) -> tuple[News, asyncio.Task[None]]:
    """A peer that joins."""
    news, clocks = News(), PeerClocks("envelope")
    sock = await connect("127.0.0.1", port)
    runner = PeerRunner(
        PeerSession(display_name=f"Peer {number}"),
        Output(),
        clocks,
        FileCache(folder / f"peer{number}"),
        inspect=lambda path, sha256: LENGTH,
        volume=lambda: (100, False),
        role=lambda: "stereo",
        now_ns=_native.now_ns,
        on_event=news,
    )

    async def run() -> None:
        ended.append(await runner.run(sock))
        sock.close()

    return news, asyncio.create_task(run())


async def crowd(folder: pathlib.Path, programs: ProcessGroup, host: Program, number: int, seconds: float) -> None:
    """Join, and print what the host costs."""
    port = await asyncio.to_thread(lambda: programs.wait_for(host, "session")["port"])
    ended: list[Ended] = []
    began_s = time.monotonic()
    peers = await asyncio.gather(*(join(folder, port, one, ended) for one in range(1, number + 1)))
    try:
        async with asyncio.timeout(JOIN_S):
            await asyncio.gather(*(news.wait_for("joined") for news, _ in peers))
            joined_s = time.monotonic() - began_s
            await asyncio.to_thread(programs.wait_for, host, "playing", timeout_s=JOIN_S)
        playing_s = time.monotonic() - began_s
        await asyncio.sleep(SETTLE_S)
        before, began_s = threads_s(host.process.pid), time.monotonic()
        await asyncio.sleep(seconds)
        after, took_s = threads_s(host.process.pid), time.monotonic() - began_s
        costs = {name: 100 * (after[name] - before[name]) / took_s for name in after}
        names = ", ".join(f"{name} {cost:.2f}" for name, cost in sorted(costs.items(), key=lambda one: -one[1])[:5])
        print(
            f"{number:3} peers: joined after {joined_s:.1f} s, playing after {playing_s:.1f} s; "
            f"{sum(costs.values()):.2f} % of a core ({names})",
            flush=True,
        )
    except TimeoutError:
        missing = sum("joined" not in news.names() for news, _ in peers)
        print(f"{number:3} peers: {missing} have not joined; {[one.reason for one in ended][:3]}", flush=True)
    finally:
        host.say("quit")
        await asyncio.wait([task for _, task in peers], timeout=JOIN_S)


def main() -> None:
    """Print the costs for each number of peers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("peers", type=int, nargs="*", default=[5, 10, 20, 40, 63])
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    for number in options.peers:
        with tempfile.TemporaryDirectory(prefix="phaselock-crowd-") as folder, open_process_group(folder) as programs:
            local = ["--session", "crowd", "--bind", "127.0.0.1", "--port", "0", "--clock-port", "0", "--unlisted"]
            places = ["--max-peers", str(number), "--wait-peers", str(number), "--play", "--backend", "null"]
            host = programs.start("host", "host", *[str(TUNE)] * TUNES, *local, *places)
            asyncio.run(crowd(pathlib.Path(folder), programs, host, number, options.seconds))


if __name__ == "__main__":
    main()
