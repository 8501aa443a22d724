"""TLS 1.3 between two machines. Nothing here reads or writes a socket: the owners of the sockets do.

A host has a key of its own and a certificate that it signed itself. No authority vouches for it: a peer keeps the
SHA-256 of the certificate (`host_key`) and compares it when it connects again, and a code, if the session has one,
proves it (network/pairing.py).
"""

from __future__ import annotations

import dataclasses
import errno
import functools
import hashlib
import pathlib
import ssl
from typing import Protocol

from phaselock.frozen import frozen

MAX_HANDSHAKE_BYTES = 16 * 1024
"""Most bytes that the other side may send before the handshake is complete. One with an EC key has less than 2,000."""
MAX_BARREN_BYTES = 32 * 1024
"""Most bytes that bring no plaintext: part of a record, and what TLS itself says, which costs much and is never needed
here."""
_BYTES_FOR_ONE = 8
"""This number of bytes is paid for by one of plaintext: the shortest frame has 5, in a record of 27."""
_RECORD_BYTES = 16 * 1024
"""Most plaintext of one TLS record."""
_HANDSHAKE_RECORD = 0x16
HEAD_BYTES = 3
"""The first bytes of a connection, from which `is_tls` tells what follows."""


class Channel(Protocol):
    """Converts the bytes of one connection. For one thread at a time. `read` raises ConnectionError for bytes that the
    other side did not encrypt for this connection."""

    def encrypt(self, data: bytes | memoryview) -> bytes:
        """The bytes to send for `data`."""

    def feed(self, received: bytes | memoryview) -> None:
        """Take bytes of the socket."""

    def read(self, max_bytes: int) -> bytes:
        """The bytes that the other side has sent, as far as they were fed; empty: feed more."""


class PlainChannel:
    """Passes everything through: for what a version without encryption says."""

    def __init__(self) -> None:
        self._received = bytearray()

    def encrypt(self, data: bytes | memoryview) -> bytes:
        return bytes(data)

    def feed(self, received: bytes | memoryview) -> None:
        self._received += received

    def read(self, max_bytes: int) -> bytes:
        data = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        return data


@frozen
class HostIdentity:
    """The key of a host, and its certificate."""

    host_key: bytes
    """SHA-256 of the certificate in DER, 32 bytes."""
    context: ssl.SSLContext = dataclasses.field(repr=False)

    @classmethod
    def load(cls, path: pathlib.Path) -> HostIdentity:
        """Read a PEM file with a private key and a certificate. OSError or ValueError if it has none."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.num_tickets = 0  # each connection makes its own handshake
        text = path.read_text("ascii")
        context.load_cert_chain(path, password=lambda: "")  # no question in the terminal
        if path.read_text("ascii") != text:  # another process has replaced it meanwhile
            return cls.load(path)
        certificate = text[text.index(ssl.PEM_HEADER) :]
        return cls(hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).digest(), context)


class SecureChannel:
    """One TLS connection. Call `handshake` until it is `established`, and then the methods of Channel."""

    def __init__(self, identity: HostIdentity | None = None) -> None:
        """The side of the host, which has an identity, or that of a peer."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = identity.context if identity else _peer_context()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=identity is not None)
        self._handshake_bytes = self._barren_bytes = 0
        self.established = False
        self._own_key = identity.host_key if identity else b""

    @property
    def host_key(self) -> bytes:
        """SHA-256 of the certificate of the host, on both sides, once the channel is established."""
        return self._own_key or hashlib.sha256(self._tls.getpeercert(binary_form=True) or b"").digest()

    def handshake(self, received: bytes) -> bytes:
        """Take bytes of the other side (none at first) and return what to send. ConnectionError if it does not speak
        TLS 1.3."""
        self._handshake_bytes += len(received)
        self._incoming.write(received)
        try:
            self._tls.do_handshake()
            self.established = True
        except ssl.SSLWantReadError:
            if self._handshake_bytes > MAX_HANDSHAKE_BYTES:
                raise _broken() from None
        except ssl.SSLError:
            raise _broken() from None
        return self._outgoing.read()

    def encrypt(self, data: bytes | memoryview) -> bytes:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._tls.write(rest) :]
        except ssl.SSLError:
            raise _broken() from None
        return self._outgoing.read()

    def feed(self, received: bytes | memoryview) -> None:
        self._barren_bytes += len(received)
        self._incoming.write(received)

    def read(self, max_bytes: int) -> bytes:
        pieces, ended = [], False
        try:
            while max_bytes > 0:
                piece = self._tls.read(min(max_bytes, _RECORD_BYTES))
                if not piece:  # a close_notify, which we never send: what follows would stay in memory
                    ended = True
                    break
                pieces.append(piece)
                max_bytes -= len(piece)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            ended = True
        data = b"".join(pieces)
        self._barren_bytes = max(self._barren_bytes - _BYTES_FOR_ONE * len(data), 0)
        if not data and (ended or self._barren_bytes > MAX_BARREN_BYTES):
            raise _broken()
        return data


def is_tls(head: bytes) -> bool:
    """Whether a connection that begins with these HEAD_BYTES is a TLS connection. A frame of an older version begins
    with a length below GREETING_CAP, whose third byte is 0."""
    return head[0] == _HANDSHAKE_RECORD and head[1] == 3 and head[2] != 0


@functools.cache
def _peer_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # see above: the key is compared, not a name
    return context


def _broken() -> ConnectionError:
    return ConnectionResetError(errno.ECONNRESET, "the other side does not encrypt as it should")
