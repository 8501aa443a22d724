"""A private D-Bus message bus for tests, and a service on it that a test writes in a few lines."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from phaselock.desktop.bus import Bus, BusError
from tests.support.programs import ROOT


class MessageBus:
    """A bus that is the session bus and the system bus of the processes that it starts."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.address = f"unix:path={folder}/bus"
        self.environment = os.environ | {
            "DBUS_SYSTEM_BUS_ADDRESS": self.address,
            "DBUS_SESSION_BUS_ADDRESS": self.address,
            "PYTHONPATH": os.fspath(ROOT),
        }
        self._processes: list[subprocess.Popen[str]] = []
        # A configuration without the services of this machine: none of them may start.
        config = folder / "bus.conf"
        config.write_text(
            "<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen><policy context='default'>"
            "<allow send_destination='*' eavesdrop='true'/><allow eavesdrop='true'/><allow own='*'/>"
            "</policy></busconfig>"
        )
        self.start("dbus-daemon", f"--config-file={config}", "--nofork", "--print-address", f"--address={self.address}")

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a process on the bus and wait for its first line."""
        process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._processes.append(process)
        assert process.stdout is not None and process.stdout.readline()
        return process

    def start_python(self, script: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a script of tests/support."""
        return self.start(sys.executable, os.fspath(ROOT / "tests" / "support" / script), *arguments)

    def end(self) -> None:
        """End the bus and the processes."""
        while self._processes:
            process = self._processes.pop()
            process.kill()
            process.communicate()


Answer = tuple[str, tuple[Any, ...]]
"""The signature and the values of a reply."""


class ServiceError(Exception):
    """Raised by a service to reply with this D-Bus error."""


def serve(
    bus: Bus, name: str, answer: Callable[[str, tuple[Any, ...]], Answer | None], ready: Callable[[], None]
) -> None:
    """Own `name`, call `ready`, and answer calls: `answer` gets method and arguments; None: no reply. Returns when the
    bus ends."""
    from jeepney import HeaderFields, MessageType, new_error, new_method_return

    assert bus.request_name(name)
    ready()
    with contextlib.suppress(BusError):
        while True:
            message = bus.receive(3600)
            if message.header.message_type is not MessageType.method_call:
                continue
            try:
                found = answer(message.header.fields[HeaderFields.member], message.body)
            except ServiceError as error:
                bus.send(new_error(message, str(error)))
                continue
            if found is not None:
                signature, values = found
                bus.send(new_method_return(message, signature or None, values))
