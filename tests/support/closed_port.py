from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def closed_address() -> Iterator[tuple[str, int]]:
    """An IP address and a port at which every connection is refused. The port stays taken, so that no other program of
    this machine opens it meanwhile."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()
