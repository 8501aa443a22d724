"""Keys of hosts, made once in each run."""

from __future__ import annotations

import pathlib
import tempfile

from phaselock.network.certificate import new_key_and_certificate
from phaselock.network.connection import Connection
from phaselock.network.secure import HostIdentity, SecureChannel
from phaselock.protocol.messages import Message


def new_identity() -> HostIdentity:
    """A host's identity that no other has."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "key.pem")
        path.write_bytes(new_key_and_certificate())
        return HostIdentity.load(path)


IDENTITY = new_identity()


async def greet(connection: Connection, *messages: Message) -> None:
    """What a host does first: the handshake of TLS, and these messages."""
    await connection.secure(SecureChannel(IDENTITY))
    for message in messages:
        connection.send(message)
