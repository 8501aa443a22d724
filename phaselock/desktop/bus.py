"""A connection to a D-Bus message bus (Linux).

jeepney encodes and decodes the messages. Reading is done here: every wait has a limit, and a message that is too large
or has no meaning is skipped, because every program on the bus may send messages to this one.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import os
import selectors
import socket
import time
from collections.abc import Iterator
from typing import Any, Literal

TIMEOUT_S = 3.0
"""How long a call waits for its reply; also the limit of connecting."""
MAX_MESSAGE_BYTES = 1 << 20
"""Larger messages are skipped. D-Bus permits 128 MiB."""
_MAX_WAITING = 1000
"""Limit of the messages that arrive while a call waits for its reply; the oldest are dropped."""
_CHUNK_BYTES = 1 << 16
_BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")

Name = Literal["session", "system"]


class BusError(Exception):
    """There is no bus, or a call has failed. `error` is the name of the D-Bus error; empty if there is no bus."""

    def __init__(self, error: str = "") -> None:
        super().__init__(error or "no message bus")
        self.error = error


NO_REPLY = "org.freedesktop.DBus.Error.NoReply"
DISCONNECTED = "org.freedesktop.DBus.Error.Disconnected"


class Bus:
    """A private connection, for one thread. The constructor and all methods except `close` raise BusError."""

    def __init__(self, name: Name = "session") -> None:
        self._socket = _connect(name)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._serials = itertools.count(1)
        self._read = bytearray()
        self._skip_bytes = 0
        self._waiting: collections.deque[Any] = collections.deque(maxlen=_MAX_WAITING)
        try:
            self.name = str(self.call(*_BUS, "Hello").body[0])
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the connection. The bus then releases its names."""
        self._selector.close()
        self._socket.close()

    def fileno(self) -> int:
        """The socket, to wait for messages. After each wait, `receive` must be called until it returns None."""
        return self._socket.fileno()

    def request_name(self, name: str) -> bool:
        """Take a name on the bus; False if another program has it."""
        do_not_queue, primary_owner = 4, 1
        return bool(self.call(*_BUS, "RequestName", "su", (name, do_not_queue)).body[0] == primary_owner)

    def listen(self, rule: str) -> None:
        """Receive the signals that this match rule describes."""
        self.call(*_BUS, "AddMatch", "s", (rule,))

    def call(
        self,
        service: str,
        path: str,
        interface: str,
        method: str,
        signature: str = "",
        arguments: tuple[Any, ...] = (),
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> Any:
        """Call a method. Return its reply, a jeepney.Message: `body` is the tuple of results."""
        from jeepney import DBusAddress, HeaderFields, MessageType, new_method_call

        address = DBusAddress(path, bus_name=service, interface=interface)
        serial = self.send(new_method_call(address, method, signature or None, arguments))
        until_s = time.monotonic() + timeout_s
        while (message := self._next(until_s - time.monotonic())) is not None:
            if message.header.fields.get(HeaderFields.reply_serial) != serial:
                self._waiting.append(message)
            elif message.header.message_type is MessageType.error:
                raise BusError(message.header.fields.get(HeaderFields.error_name, ""))
            else:
                return message
        raise BusError(NO_REPLY)

    def send(self, message: Any) -> int:
        """Send a jeepney.Message; return its serial number."""
        serial = next(self._serials)
        try:
            self._socket.sendall(message.serialise(serial))
        except OSError:  # also if the bus does not read for TIMEOUT_S
            raise BusError(DISCONNECTED) from None
        return serial

    def receive(self, timeout_s: float = 0.0) -> Any:
        """The next message that is no reply to a call; None if there is none in this time."""
        return self._waiting.popleft() if self._waiting else self._next(timeout_s)

    def _next(self, timeout_s: float) -> Any:
        until_s = time.monotonic() + timeout_s
        while True:
            for message in self._complete():
                return message
            if not self._selector.select(max(0.0, until_s - time.monotonic())):
                return None
            try:
                data = self._socket.recv(_CHUNK_BYTES)
            except OSError:
                data = b""
            if not data:
                raise BusError(DISCONNECTED)
            skipped = min(self._skip_bytes, len(data))
            self._skip_bytes -= skipped
            self._read += data[skipped:]

    def _complete(self) -> Iterator[Any]:
        """Take complete messages from the bytes that were read."""
        from jeepney import Message
        from jeepney.low_level import calc_msg_size

        while len(self._read) >= 16:  # the size is in the first 16 bytes
            size = calc_msg_size(bytes(self._read[:16]))
            if size > MAX_MESSAGE_BYTES:
                self._skip_bytes = max(0, size - len(self._read))
                del self._read[:size]
                continue
            if len(self._read) < size:
                return
            data = bytes(self._read[:size])
            del self._read[:size]
            with contextlib.suppress(Exception):  # jeepney raises many types for messages that it cannot decode
                yield Message.from_buffer(data)


def sender_of(message: Any) -> str:
    """The unique name of the program that has sent a message; the bus guarantees it."""
    from jeepney import HeaderFields

    return str(message.header.fields.get(HeaderFields.sender, ""))


def _connect(name: Name) -> socket.socket:
    """A socket that the bus has authenticated."""
    addresses = _addresses(name)
    if not addresses:  # jeepney takes 1.3 MB
        raise BusError
    from jeepney.bus import get_connectable_addresses
    from jeepney.io.blocking import prep_socket

    try:
        for address in get_connectable_addresses(addresses):
            with contextlib.suppress(OSError):  # TimeoutError is one
                connected: socket.socket = prep_socket(address, timeout=TIMEOUT_S)
                connected.settimeout(TIMEOUT_S)
                return connected
    except (ValueError, RuntimeError):  # an address that jeepney does not know
        pass
    raise BusError


def _addresses(name: Name) -> str:
    """The addresses of a bus, as the standard library of D-Bus finds them."""
    if name == "system":
        return os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or "unix:path=/var/run/dbus/system_bus_socket"
    if address := os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return address
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return f"unix:path={runtime}/bus" if runtime else ""
