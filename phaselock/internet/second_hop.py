"""The second router on the way to the internet: is there a NAT outside of a router that tells nothing itself?

One packet is sent to an address at which there is no computer, and may pass one router only: the second one says that
it has dropped it. It never travels further. On macOS only the administrator may hear of that.
"""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import struct
import sys

_NOWHERE = ("203.0.113.1", 33434)
"""An address for documentation."""
_HOPS = 2
_TIMEOUT_S = 1.0
_TRIES = 2

_IP_RECVERR, _FROM_ICMP, _TIME_EXCEEDED = 11, 2, 11
"""From linux/in.h and linux/errqueue.h."""
_TTL_EXPIRED = 11013
"""IP_TTL_EXPIRED_TRANSIT of ipexport.h."""


def second_router() -> str:
    """Its IPv4 address; empty: it does not say. Blocks for up to two seconds."""
    for _ in range(_TRIES):
        with contextlib.suppress(OSError):
            if found := _ask_windows() if sys.platform == "win32" else _ask_linux():
                return found
    return ""


def _ask_linux() -> str:
    if sys.platform != "linux":
        return ""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, _HOPS)
        sock.sendto(b"", _NOWHERE)
        poll = select.poll()
        poll.register(sock, 0)  # errors are always told
        poll.poll(_TIMEOUT_S * 1000)
        _, errors, _, _ = sock.recvmsg(0, 512, socket.MSG_ERRQUEUE)
    return next((dropper(data) for _, kind, data in errors if kind == _IP_RECVERR), "")


def dropper(error: bytes) -> str:
    """Who has dropped a packet, from a sock_extended_err and the address behind it; empty: none has for its hops."""
    if len(error) < 24 or (error[4], error[5]) != (_FROM_ICMP, _TIME_EXCEEDED):
        return ""
    return str(ipaddress.IPv4Address(error[20:24]))


def _ask_windows() -> str:
    import ctypes  # late: Linux does not need it

    iphlpapi = ctypes.CDLL("iphlpapi")
    iphlpapi.IcmpCreateFile.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(iphlpapi.IcmpCreateFile())
    options = ctypes.create_string_buffer(struct.pack("BBBBP", _HOPS, 0, 0, 0, 0))  # an IP_OPTION_INFORMATION
    reply = ctypes.create_string_buffer(256)
    to = ctypes.c_uint32(int.from_bytes(socket.inet_aton(_NOWHERE[0]), sys.byteorder))
    try:
        timeout_ms = int(_TIMEOUT_S * 1000)
        count = iphlpapi.IcmpSendEcho(handle, to, None, 0, options, reply, len(reply), timeout_ms)
    finally:
        iphlpapi.IcmpCloseHandle(handle)
    return dropper_of_echo(reply.raw) if count else ""


def dropper_of_echo(reply: bytes) -> str:
    """The same from the beginning of an ICMP_ECHO_REPLY."""
    (status,) = struct.unpack_from("<I", reply, 4)
    return str(ipaddress.IPv4Address(reply[:4])) if status == _TTL_EXPIRED else ""
