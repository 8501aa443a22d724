from __future__ import annotations

from typing import Any

import pytest

from phaselock.desktop.appearance import PORTAL, Appearance, read_appearance
from tests.desktop.conftest import Serve


@pytest.mark.parametrize(
    ("settings", "wishes"),
    [
        ({}, Appearance()),
        ({"org.freedesktop.appearance": {"contrast": ("u", 1), "reduced-motion": ("u", 1)}}, Appearance(True, True)),
        ({"org.freedesktop.appearance": {"contrast": ("u", 0), "reduced-motion": ("u", 2)}}, Appearance()),
        ({"org.gnome.desktop.interface": {"enable-animations": ("b", False)}}, Appearance(False, True)),
        ({"org.gnome.desktop.a11y.interface": {"high-contrast": ("b", True)}}, Appearance(True, False)),
        ({"org.freedesktop.appearance": {"contrast": ("as", ["1"])}}, Appearance()),
    ],
)
def test_what_the_portal_tells(service: Serve, settings: dict[str, Any], wishes: Appearance) -> None:
    service(PORTAL, lambda method, asked: ("a{sa{sv}}", (settings,)))
    assert read_appearance() == wishes


def test_an_answer_without_sense(service: Serve) -> None:
    service(PORTAL, lambda method, asked: ("as", (["contrast"],)))
    assert read_appearance() == Appearance()


def test_no_bus_and_no_portal(service: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_appearance() == Appearance()
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    assert read_appearance() == Appearance()
