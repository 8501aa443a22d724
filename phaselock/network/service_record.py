"""The mDNS records of a session: its service name and its TXT record, written and read."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence

from phaselock.frozen import frozen
from phaselock.model.group import DEFAULT_PEERS
from phaselock.model.names import person_name
from phaselock.network.interfaces import Address, Network, reachable_first
from phaselock.network.reach import Place

SERVICE_TYPE = "_phaselock._tcp.local."
MAX_LABEL_BYTES = 63
"""Of one label of a DNS name (RFC 1035)."""
MAX_TXT_STRING_BYTES = 255
"""Of one "key=value" in a TXT record (RFC 6763)."""
ID_DIGITS = range(8, 65, 2)
"""Allowed numbers of hex digits in a session id."""
MAX_SHOWN_PEERS = 999
MAX_VERSION = 65535
KEY_BYTES = 16
"""Of `key`: the first bytes of the SHA-256 of the host's certificate."""


@frozen
class FoundSession:
    """A session as it announces itself. `addresses` are in the order to try; `session_id` is in hex digits. All of it
    is a claim: everybody on the network can announce it."""

    session_name: str
    host_name: str
    peers: int
    max_peers: int
    addresses: tuple[str, ...]
    port: int
    session_id: str
    version: int
    needs_code: bool = False
    """A machine that joins is asked for the code that the host shows."""
    host_key: str = ""
    """The first KEY_BYTES of the SHA-256 of the host's certificate in lower-case hex digits, to compare with the
    certificate of the machine that answers there; empty: not announced."""
    rivals: tuple[Place, ...] = ()
    """Other machines that announce the same session: only one of them can be its host."""

    @property
    def full(self) -> bool:
        """True if no more peers can join."""
        return self.peers >= self.max_peers


def instance_name(session_name: str, session_id: bytes) -> str:
    """The full name of the service: different for sessions with the same name, constant for one session."""
    digits = session_id.hex()[:6]
    # A dot would end the label.
    label = _cut(person_name(session_name).replace(".", "-"), MAX_LABEL_BYTES - 1 - len(digits)).strip()
    return f"{label} {digits}.{SERVICE_TYPE}".lstrip()


def txt_record(
    session_name: str,
    host_name: str,
    peers: int,
    max_peers: int,
    session_id: bytes,
    version: int,
    *,
    needs_code: bool = False,
    host_key: str = "",
) -> bytes:
    """The TXT record in the format of DNS-SD (RFC 6763, section 6)."""
    fields = {
        "name": person_name(session_name),
        "host": person_name(host_name),
        "peers": max(0, peers),
        "max_peers": max(0, max_peers),
        "id": session_id.hex(),
        "version": version,
        **({"code": 1} if needs_code else {}),
        **({"key": host_key} if host_key else {}),
    }
    texts = [_cut(f"{key}={value}", MAX_TXT_STRING_BYTES).encode() for key, value in fields.items()]
    return b"".join(bytes([len(text)]) + text for text in texts)


def txt_fields(record: bytes) -> dict[bytes, bytes]:
    """The fields of a TXT record by lower-case key. A string without "=" is skipped; of a repeated key the first
    counts."""
    fields: dict[bytes, bytes] = {}
    at = 0
    while at < len(record):
        end = at + 1 + record[at]
        key, equals, value = record[at + 1 : end].partition(b"=")
        if equals:
            fields.setdefault(key.lower(), value)
        at = end
    return fields


def found_session(
    port: int, record: bytes, addresses: Iterable[Address], networks: Sequence[Network] = ()
) -> FoundSession | None:
    """The session in these records, or None if they are not valid or have no reachable address. `networks` are those of
    this computer."""
    fields = txt_fields(record)
    session_id = fields.get(b"id", b"").decode("ascii", "replace").lower()
    session_name = person_name(fields.get(b"name", b"").decode("utf-8", "replace"))
    reachable = reachable_first(addresses, networks)
    if len(session_id) not in ID_DIGITS or set(session_id) - set(string.hexdigits):
        return None
    if not session_name or not reachable or not 0 < port < 65536:
        return None
    return FoundSession(
        session_name,
        person_name(fields.get(b"host", b"").decode("utf-8", "replace")),
        _number(fields.get(b"peers", b""), 0, MAX_SHOWN_PEERS),
        _number(fields.get(b"max_peers", b""), DEFAULT_PEERS, MAX_SHOWN_PEERS),
        reachable,
        port,
        session_id,
        _number(fields.get(b"version", b""), 0, MAX_VERSION),
        needs_code=fields.get(b"code") == b"1",
        host_key=_host_key(fields.get(b"key", b"")),
    )


def _host_key(text: bytes) -> str:
    """The key in lower-case hex digits; empty if it does not have the form of one."""
    key = text.decode("ascii", "replace").lower()
    return key if len(key) == 2 * KEY_BYTES and not set(key) - set(string.hexdigits) else ""


def _number(text: bytes, default: int, most: int) -> int:
    """The number, clamped to [0, most]; `default` if the text is not a number."""
    try:
        return min(max(int(text[:20]), 0), most)
    except ValueError:
        return default


def _cut(text: str, size: int) -> str:
    """The first whole characters of the text, at most `size` bytes of UTF-8."""
    return text.encode()[:size].decode(errors="ignore")
