from __future__ import annotations

from typing import Any

import pytest
from jeepney import DBusAddress, HeaderFields, new_method_call, new_signal

from phaselock.desktop import bus as bus_module
from phaselock.desktop.bus import MAX_MESSAGE_BYTES, Bus, BusError
from tests.desktop.conftest import Serve
from tests.support.message_bus import MessageBus

CALL = ("org.example.Echo", "/", "org.example.Echo", "Echo")


def test_there_is_no_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("unix:path=/nonexistent", "autolaunch:", "nonsense", "tcp:host=localhost,port=1"):
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        with pytest.raises(BusError):
            Bus()
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with pytest.raises(BusError):
        Bus()


def test_a_call_and_its_errors(service: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    service(CALL[0], lambda method, asked: ("s", (asked[0] * 2,)) if asked else None)
    bus = Bus()
    assert bus.call(*CALL, "s", ("ab",)).body == ("abab",)
    for call, error in (
        (lambda: bus.call(*CALL, timeout_s=0.1), "NoReply"),
        (lambda: bus.call("org.example.Missing", *CALL[1:]), "ServiceUnknown"),
        (lambda: bus.request_name("not a name"), "InvalidArgs"),
    ):
        with pytest.raises(BusError) as raised:
            call()
        assert raised.value.error.endswith(error)
    assert not bus.request_name(CALL[0])
    bus.close()


def test_large_and_broken_messages_are_skipped(message_bus: MessageBus) -> None:
    bus, hostile = Bus(), Bus()
    there = DBusAddress("/", bus_name=bus.name, interface="org.example.Echo")
    hostile.send(new_method_call(there, "Big", "ay", (bytes(4 * MAX_MESSAGE_BYTES),)))
    deep = "a" * 20 + "y"
    hostile.send(new_method_call(there, "Deep", deep, ([],)))
    hostile.send(new_method_call(there, "After", "s", ("here",)))
    bodies: list[Any] = []
    while not bodies or bodies[-1] != ("here",):
        bodies.append(bus.receive(10).body)
    assert all(len(str(body)) < 1000 for body in bodies)
    bus.close()
    hostile.close()


def test_messages_during_a_call_are_kept(service: Serve) -> None:
    service(CALL[0], lambda method, asked: ("", ()))
    bus, other = Bus(), Bus()
    here = DBusAddress("/", bus_name=bus.name, interface="org.example.Echo")
    other.send(new_method_call(here, "First"))
    bus.call(*CALL)
    members = [bus.receive(5).header.fields[HeaderFields.member] for _ in range(2)]
    assert members == ["NameAcquired", "First"]
    bus.listen("type='signal',interface='org.example.Echo'")
    other.send(new_signal(DBusAddress("/", interface="org.example.Echo"), "Signal", "u", (7,)))
    assert bus.receive(5).body == (7,)
    bus.close()
    other.close()


def test_the_end_of_the_bus(message_bus: MessageBus) -> None:
    bus = Bus()
    message_bus.end()
    with pytest.raises(BusError) as raised:
        while bus.receive(5):
            pass
    assert raised.value.error == bus_module.DISCONNECTED
    bus.close()
