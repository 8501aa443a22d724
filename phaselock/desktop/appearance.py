"""What the user has set for all programs: high contrast and reduced motion (Linux, by the desktop portal)."""

from __future__ import annotations

import dataclasses
import sys

from phaselock.desktop.bus import Bus, BusError

PORTAL = "org.freedesktop.portal.Desktop"
PORTAL_PATH = "/org/freedesktop/portal/desktop"
_HINTS = (
    ("org.freedesktop.appearance", "contrast", 1, "high_contrast"),
    ("org.gnome.desktop.a11y.interface", "high-contrast", True, "high_contrast"),
    ("org.freedesktop.appearance", "reduced-motion", 1, "reduced_motion"),
    ("org.gnome.desktop.interface", "enable-animations", False, "reduced_motion"),
)
"""Namespace, key and value of a setting, and the field that it makes true. Older portals have only those of GNOME."""


@dataclasses.dataclass(frozen=True, slots=True)
class Appearance:
    """The user's wishes; False if they are unknown."""

    high_contrast: bool = False
    reduced_motion: bool = False


def read_appearance() -> Appearance:
    """Ask the desktop portal. This may take seconds, so call it on a thread that may wait. Never raises."""
    if not sys.platform.startswith("linux"):
        return Appearance()
    try:
        bus = Bus()
        try:
            spaces = sorted({space for space, *_ in _HINTS})
            reply = bus.call(PORTAL, PORTAL_PATH, "org.freedesktop.portal.Settings", "ReadAll", "as", (spaces,))
        finally:
            bus.close()
    except BusError:
        return Appearance()
    return _appearance(reply.body)


def _appearance(body: object) -> Appearance:
    """From the reply: one dictionary of namespaces, each a dictionary of (signature, value)."""
    match body:
        case (dict(found),):
            wishes = {}
            for space, key, wanted, field in _HINTS:
                match found.get(space):
                    case {**settings} if key in settings:
                        match settings[key]:
                            case ("b" | "u" | "i", value) if value == wanted:
                                wishes[field] = True
            return Appearance(**wishes)
    return Appearance()
