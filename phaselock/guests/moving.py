"""How an open page finds the next host of its session.

The host tells each page the addresses of the pages of the next hosts, and what each of them will say to this guest: a
proof that it knows the secret of the page and is reached at this very address. A page that has lost its host asks them.
It goes to the one that proves itself, and takes its token along. So a machine that is no member of the session gets no
token, also if it has such an address, or passes the question on to a member.
"""

from __future__ import annotations

import contextlib
import ipaddress
import urllib.parse
from collections.abc import Collection

from phaselock.guests.access import GUEST_ID_BYTES, Access
from phaselock.guests.connection import Connection
from phaselock.guests.http import Head
from phaselock.guests.states import dumps
from phaselock.model.address import origin

Places = Collection[tuple[str, int]]
"""Addresses and TCP ports of pages."""


def hosts_text(access: Access, guest_id: bytes, places: Places) -> str:
    """What the page of this guest is told of the next hosts, in JSON."""
    pages = [origin(*place) for place in places if "%" not in place[0]]
    hosts = [{"at": page, "proof": access.host_proof(guest_id, page)} for page in pages]
    return dumps({"type": "hosts", "guest": guest_id.hex(), "hosts": hosts})


def answer_seeker(connection: Connection, head: Head, access: Access) -> None:
    """A page asks whether this machine is the next host. It is a page of another machine of this network."""
    guest_id = b""
    with contextlib.suppress(ValueError):
        guest_id = bytes.fromhex(head.query.get("guest", ""))
    asker = head.headers.get("origin", "")
    if len(guest_id) != GUEST_ID_BYTES or not _is_local(asker):
        connection.reply_json(403, {"error": "host"})
        return
    allowed = {"Access-Control-Allow-Origin": asker, "Vary": "Origin"}
    connection.reply_json(200, {"proof": access.host_proof(guest_id, connection.own_origin)}, allowed)


def _is_local(asker: str) -> bool:
    """Whether a page of this origin may be one of a home: it has no name of the internet."""
    try:
        parts = urllib.parse.urlsplit(asker)
    except ValueError:
        return False
    name = parts.hostname or ""
    with contextlib.suppress(ValueError):
        return parts.scheme == "http" and bool(ipaddress.ip_address(name))
    return parts.scheme == "http" and bool(name) and ("." not in name or name.endswith(".local"))
