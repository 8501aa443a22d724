"""Recorded clock exchanges in a text file, to compare clock filters with the packets of a real network.

    {"format": "phaselock clock trace", "version": 1, "phaselock": ..., "recorded": ..., "seconds": ..., "session": ...,
     "host": ..., "count": 2}                               (one line)
    peer_send host_recv host_send peer_recv                 (count lines, in the order of peer_recv)

Times are in nanoseconds, each on the clock of its own computer. `recorded` is the start time in UTC (ISO 8601).
"""

from __future__ import annotations

import json
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from phaselock import __version__
from phaselock.errors import PhaseLockError, message_of
from phaselock.frozen import frozen
from phaselock.language.message import Message
from phaselock.model.names import person_name
from phaselock.storage.files import open_regular

FORMAT = "phaselock clock trace"
VERSION = 1
MAX_BYTES = 64 << 20
"""Largest file."""
MAX_EXCHANGES = 1_000_000
MAX_TIME_NS = 86_400_000_000_000
"""One day: the memory that a filter benchmark needs grows with the length of the trace."""
MAX_CLOCK_NS = 2**62
"""Largest reading of a clock, as in ext/pl_udp.c: sums and differences of two readings cannot overflow."""
MAX_RTT_NS = 10_000_000_000
"""Longest round trip: five times the one that the pinger accepts."""

_MAX_HEADER_BYTES = 4096
_LINE = re.compile(rb"(\d{1,19}) (\d{1,19}) (\d{1,19}) (\d{1,19})\r?")

Exchange: TypeAlias = tuple[int, int, int, int]
"""(peer_send, host_recv, host_send, peer_recv) in ns."""


@frozen
class Trace:
    """A recording. The texts of the header are reduced to characters that are safe to show."""

    header: dict[str, Any]
    exchanges: list[Exchange]


def round_trip_ns(exchange: Exchange) -> int:
    """The round trip in ns, without the time that the host took."""
    peer_send, host_recv, host_send, peer_recv = exchange
    return peer_recv - peer_send - (host_send - host_recv)


def trace_bytes(exchanges: Sequence[Exchange], about: Mapping[str, object]) -> bytes:
    """The content of the file. `about` has the fields `recorded`, `seconds`, `session` and `host`."""
    header = {"format": FORMAT, "version": VERSION, "phaselock": __version__, **about, "count": len(exchanges)}
    lines = [json.dumps(header), *(" ".join(map(str, exchange)) for exchange in exchanges)]
    return "\n".join([*lines, ""]).encode()


def read_trace(path: os.PathLike[str] | str) -> Trace:
    """Read a file of `phaselock trace`. PhaseLockError if it cannot be read or is not valid."""
    name = pathlib.Path(path).name
    try:
        with open_regular(pathlib.Path(path)) as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = message_of(error) if isinstance(error, OSError) else Message("no such file")
        raise PhaseLockError(
            "The clock trace {file_name} cannot be read ({reason}).", file_name=name, reason=reason
        ) from None
    if len(data) > MAX_BYTES:
        raise PhaseLockError("{file_name} is too large for a clock trace.", file_name=name)
    first, _, rest = data.partition(b"\n")
    header = _header(first, name)
    if header["count"] > MAX_EXCHANGES:
        raise PhaseLockError(
            "The clock trace {file_name} has more than {number} exchanges.", file_name=name, number=MAX_EXCHANGES
        )
    if rest.count(b"\n") != header["count"] or (rest and not rest.endswith(b"\n")):
        raise PhaseLockError("The clock trace {file_name} is cut short or damaged.", file_name=name)
    exchanges: list[Exchange] = []
    for number, line in enumerate(rest.split(b"\n")[:-1], 2):
        found = _LINE.fullmatch(line)
        exchange = (int(found[1]), int(found[2]), int(found[3]), int(found[4])) if found else None
        if exchange is None or not _possible(exchange, exchanges[-1][3] if exchanges else 0):
            raise PhaseLockError(
                "Line {number} of the clock trace {file_name} cannot be what was measured.",
                number=number,
                file_name=name,
            )
        exchanges.append(exchange)
    if exchanges and exchanges[-1][3] - min(exchange[0] for exchange in exchanges) > MAX_TIME_NS:
        raise PhaseLockError("The clock trace {file_name} is longer than a day.", file_name=name)
    return Trace(header, exchanges)


def _header(line: bytes, name: str) -> dict[str, Any]:
    try:
        header = json.loads(line) if len(line) <= _MAX_HEADER_BYTES else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise PhaseLockError("{file_name} is no clock trace; phaselock trace ADDRESS records one.", file_name=name)
    if type(header.get("version")) is not int or header["version"] != VERSION:
        raise PhaseLockError("The clock trace {file_name} was written by another version of PhaseLock.", file_name=name)
    texts = {key: header.get(key) for key in ("phaselock", "recorded", "session", "host")}
    seconds, count = header.get("seconds"), header.get("count")
    numbers = isinstance(seconds, int | float) and 0 <= seconds <= 1e9 and isinstance(count, int) and count >= 0
    if not numbers or not all(isinstance(text, str) for text in texts.values()):
        raise PhaseLockError("The first line of the clock trace {file_name} is damaged.", file_name=name)
    shown = {key: person_name(str(text)) for key, text in texts.items()}
    return {"format": FORMAT, "version": VERSION, **shown, "seconds": seconds, "count": count}


def _possible(exchange: Exchange, earliest_recv_ns: int) -> bool:
    """True if no clock runs backwards, no packet arrives before it is sent, and all times are within their limits."""
    peer_send, host_recv, host_send, peer_recv = exchange
    return (
        0 < peer_send <= peer_recv <= MAX_CLOCK_NS
        and 0 < host_recv <= host_send <= MAX_CLOCK_NS
        and peer_recv >= earliest_recv_ns
        and 0 <= round_trip_ns(exchange) <= MAX_RTT_NS
    )
