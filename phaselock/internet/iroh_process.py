"""The child process of a bridge (iroh_bridge.py). It talks in lines of JSON, and ends with its standard input.

The first line says what to do:

    {"serve": {"relay": RELAY, "key": HEX, "port": UDP, "ip": "127.0.0.1", "tcp": PORT, "udp": PORT}}  at the host
    {"reach": {"relay": RELAY, "node": ID, "addresses": ["203.0.113.7:17401", …]}}                     at a friend

RELAY is "n0" (the relays of number 0), "direct" (none of them) or the URL of a relay. What it says:

    {"node": ID}                                        the host's node id: friends may come
    {"place": {"tcp": PORT, "udp": PORT}}               the host is reached at these ports of 127.0.0.1
    {"path": {"address": A, "relay": BOOL, "rtt_ms": N}}  the path of what is sent, whenever it is another one
    {"lost": true}                                      the host is not heard any more; the bridge connects again
    {"problem": CODE, "reason": TEXT}                   "no_iroh", "unreachable" (it tries again) or "failed" (it ends)
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import threading
from typing import Any

CLOSE_S = 1.0
"""How long the other machines may take to hear that this one goes, in seconds."""


def main() -> None:
    """Do what the first line says until standard input ends."""
    order = json.loads(sys.stdin.buffer.readline() or b"{}")
    try:
        import iroh  # noqa: F401  (late, and only to see whether the extra is there)
    except (ImportError, OSError) as error:
        tell({"problem": "no_iroh", "reason": str(error)})
    else:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(_run(order))
    sys.stdout.flush()
    os._exit(0)  # iroh's own threads abort the process in the usual end of Python


def tell(line: dict[str, Any]) -> None:
    """Say something to the program that started this process."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def _run(order: dict[str, Any]) -> None:
    import iroh

    from phaselock.internet.iroh_bridge import FriendBridge, HostBridge, endpoint

    loop = asyncio.get_running_loop()
    assert isinstance(loop, asyncio.BaseEventLoop)
    iroh.iroh_ffi.uniffi_set_event_loop(loop)  # its threads call back
    working = asyncio.current_task()
    assert working

    def wait_for_end() -> None:
        while sys.stdin.buffer.readline():
            pass
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(working.cancel)

    threading.Thread(target=wait_for_end, daemon=True).start()
    what = order.get("serve") or order["reach"]
    key = bytes.fromhex(what["key"]) if "key" in what else None
    try:
        end = await endpoint(what["relay"], key, what.get("port", 0))
        try:
            if "serve" in order:
                tell({"node": str(end.id())})
                await HostBridge(end, what["ip"], what["tcp"], what["udp"]).run()
            else:
                await FriendBridge(end, what["node"], what["addresses"], what["relay"], tell).run()
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await end.close()
    except iroh.IrohError as error:
        tell({"problem": "failed", "reason": error.message()})
