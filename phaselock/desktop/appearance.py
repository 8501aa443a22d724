"""What the user has set for all programs: high contrast and reduced motion.

On Linux the desktop portal tells it. The functions for Windows and macOS have not been tried there.
"""

from __future__ import annotations

import sys

from phaselock.desktop.bus import Bus, BusError
from phaselock.frozen import frozen

PORTAL = "org.freedesktop.portal.Desktop"
PORTAL_PATH = "/org/freedesktop/portal/desktop"
_HINTS = (
    ("org.freedesktop.appearance", "contrast", 1, "high_contrast"),
    ("org.gnome.desktop.a11y.interface", "high-contrast", True, "high_contrast"),
    ("org.freedesktop.appearance", "reduced-motion", 1, "reduced_motion"),
    ("org.gnome.desktop.interface", "enable-animations", False, "reduced_motion"),
)
"""Namespace, key and value of a setting, and the field that it makes true. Older portals have only those of GNOME."""


@frozen
class Appearance:
    """The user's wishes; False if they are unknown."""

    high_contrast: bool = False
    reduced_motion: bool = False


def read_appearance() -> Appearance:
    """Ask the system. This may take seconds, so call it on a thread that may wait. Never raises."""
    try:
        if sys.platform == "win32":
            return _of_windows()
        if sys.platform == "darwin":
            return _of_macos()
    except (AttributeError, OSError):
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


def _of_windows() -> Appearance:
    """SystemParametersInfoW with SPI_GETHIGHCONTRAST and SPI_GETCLIENTAREAANIMATION."""
    import ctypes

    class HighContrast(ctypes.Structure):
        _fields_ = (("size", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("scheme", ctypes.c_void_p))

    ask = ctypes.CDLL("user32").SystemParametersInfoW
    contrast, animated = HighContrast(ctypes.sizeof(HighContrast)), ctypes.c_int(1)
    ask(0x0042, contrast.size, ctypes.byref(contrast), 0)
    ask(0x1042, 0, ctypes.byref(animated), 0)
    return Appearance(bool(contrast.flags & 1), not animated.value)


def _of_macos() -> Appearance:
    """Two properties of NSWorkspace, by the runtime of Objective-C."""
    import ctypes

    ctypes.CDLL("/System/Library/Frameworks/AppKit.framework/AppKit")
    objc = ctypes.CDLL("/usr/lib/libobjc.A.dylib")
    objc.objc_getClass.restype = objc.sel_registerName.restype = ctypes.c_void_p

    def send(target: int, name: bytes, result: type) -> int:
        call = ctypes.CFUNCTYPE(result, ctypes.c_void_p, ctypes.c_void_p)(("objc_msgSend", objc))
        return call(target, objc.sel_registerName(name)) or 0

    workspace = send(objc.objc_getClass(b"NSWorkspace"), b"sharedWorkspace", ctypes.c_void_p)
    wishes = b"accessibilityDisplayShouldIncreaseContrast", b"accessibilityDisplayShouldReduceMotion"
    return Appearance(*(bool(send(workspace, name, ctypes.c_bool)) for name in wishes))


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
