"""MPRIS: the media keys and the "now playing" of Linux desktops, and their notifications.

The D-Bus interfaces org.mpris.MediaPlayer2 and .Player, version 2.2:
https://specifications.freedesktop.org/mpris-spec/latest/
"""

from __future__ import annotations

import contextlib
import html
import math
import os
import time
from typing import Any

from phaselock.desktop.bus import Bus, BusError, sender_of
from phaselock.desktop.controls import MIN_NOTES_S, Action, Do, Mail, NowPlaying

NAME = "org.mpris.MediaPlayer2.phaselock"
PATH = "/org/mpris/MediaPlayer2"
ROOT, PLAYER, PROPERTIES = "org.mpris.MediaPlayer2", "org.mpris.MediaPlayer2.Player", "org.freedesktop.DBus.Properties"
INTROSPECTABLE, PEER = "org.freedesktop.DBus.Introspectable", "org.freedesktop.DBus.Peer"
NOTIFICATIONS, NOTIFICATIONS_PATH = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"
NO_TRACK = "/org/mpris/MediaPlayer2/TrackList/NoTrack"
TRACKS = "/com/phaselock/track/"
MAX_CALLS = 500
"""Limit of the messages that are read in a second. Later ones wait in the bus, so that a program that calls without end
takes no computing time from the music."""
MAX_ACTIONS = 20
"""Limit of the actions in a second; others are refused."""
MIN_JUMP_S = 0.7
"""A position that differs by more than this from the expected one is reported as a jump."""
_ERROR = "org.freedesktop.DBus.Error."
_NO_REPLY_EXPECTED = 1

Value = tuple[str, Any]
"""A D-Bus variant: its signature and its value."""

# The signature of the arguments of each method.
METHODS = {
    ROOT: {"Raise": "", "Quit": ""},
    PLAYER: {
        **dict.fromkeys(("Next", "Previous", "Pause", "PlayPause", "Stop", "Play"), ""),
        "Seek": "x",
        "SetPosition": "ox",
        "OpenUri": "s",
    },
    PROPERTIES: {"Get": "ss", "GetAll": "s", "Set": "ssv"},
    INTROSPECTABLE: {"Introspect": ""},
    PEER: {"Ping": ""},
}
BUTTONS = {
    "Next": Action.NEXT,
    "Previous": Action.PREVIOUS,
    "Pause": Action.PAUSE,
    "PlayPause": Action.PLAY_PAUSE,
    "Stop": Action.STOP,
    "Play": Action.PLAY,
}
WRITABLE = {"Volume": "d", "LoopStatus": "s", "Shuffle": "b", "Rate": "d"}


class CallError(Exception):
    """A call that is answered with an error; the argument is the name of the error."""


def serve(mail: Mail, do: Do) -> None:
    """Serve until the mail is closed or the bus ends."""
    try:
        bus = Bus()
    except BusError:
        return
    try:
        if any(map(bus.request_name, (NAME, f"{NAME}.instance{os.getpid()}"))):
            _Service(bus, mail, do).run()
    except BusError:
        pass  # the user logs out
    finally:
        bus.close()


class _Service:
    def __init__(self, bus: Bus, mail: Mail, do: Do) -> None:
        self._bus, self._mail, self._do = bus, mail, do
        self._now = NowPlaying("Stopped", 1.0)
        self._shown = properties(self._now)
        self._second, self._calls, self._actions = 0.0, 0, 0
        self._notes: _Notes | None = None

    def run(self) -> None:
        while not self._mail.closed:
            if self._mail.now is not None and self._mail.now is not self._now:
                self._show(self._mail.now)
            due_s = self._notify()
            if self._may_call():
                message = self._bus.receive()
                if message is None:
                    self._mail.wait(due_s, self._bus.fileno())
                else:
                    self._take(message)
            else:
                self._mail.wait(0.05)

    def _may_call(self) -> bool:
        now_s = time.monotonic()
        if now_s - self._second >= 1:
            self._second, self._calls, self._actions = now_s, 0, 0
        return self._calls < MAX_CALLS

    # -- signals ----------------------------------------------------------------------------------------------------

    def _show(self, now: NowPlaying) -> None:
        before, self._now = self._now, now
        new = properties(now)
        for interface, values in new.items():
            changed = {name: value for name, value in values.items() if value != self._shown[interface][name]}
            if changed:
                self._signal(PROPERTIES, "PropertiesChanged", "sa{sv}as", (interface, changed, []))
        self._shown = new
        if now.track == before.track:
            at_s = now.at_s
            if abs(now.position_at(at_s) - before.position_at(at_s)) > MIN_JUMP_S:
                self._signal(PLAYER, "Seeked", "x", (microseconds(now.position_at(time.monotonic())),))

    def _signal(self, interface: str, member: str, signature: str, body: tuple[Any, ...]) -> None:
        from jeepney import DBusAddress, new_signal

        self._bus.send(new_signal(DBusAddress(PATH, interface=interface), member, signature, body))

    # -- calls ------------------------------------------------------------------------------------------------------

    def _take(self, message: Any) -> None:
        from jeepney import HeaderFields, MessageType, new_error, new_method_return

        self._calls += 1
        if message.header.message_type is MessageType.signal and self._notes is not None:
            if self._notes.is_click(message):
                with contextlib.suppress(CallError):  # too many at once
                    self._act(Action.RAISE)
        if message.header.message_type is not MessageType.method_call:
            return
        fields = message.header.fields
        try:
            reply = self._answer(
                fields.get(HeaderFields.path),
                fields.get(HeaderFields.interface, ""),
                fields.get(HeaderFields.member, ""),
                fields.get(HeaderFields.signature, ""),
                message.body,
            )
            answer = new_method_return(message, *([reply[0], (reply[1],)] if reply else []))
        except CallError as error:
            answer = new_error(message, _ERROR + str(error))
        if not message.header.flags & _NO_REPLY_EXPECTED:
            self._bus.send(answer)

    def _answer(self, path: object, interface: str, member: str, signature: str, body: tuple[Any, ...]) -> Value | None:
        """The result of a call, or None if it has none. A call without an interface means any that has the member."""
        if interface == PEER and member == "Ping":
            return None
        if path != PATH:
            if member == "Introspect" and str(PATH).startswith(str(path).rstrip("/") + "/"):
                return "s", f'<node><node name="{PATH[len(str(path).rstrip("/")) + 1 :].partition("/")[0]}"/></node>'
            raise CallError("UnknownObject")
        found = [one for one, methods in METHODS.items() if member in methods and interface in ("", one)]
        if not found:
            raise CallError("UnknownMethod" if interface in METHODS or not interface else "UnknownInterface")
        if METHODS[found[0]][member] != signature:
            raise CallError("InvalidArgs")
        if found[0] == INTROSPECTABLE:
            return "s", introspection()
        if found[0] == PROPERTIES:
            return self._property(member, *body)
        self._call(member, *body)
        return None

    def _property(self, member: str, interface: str, name: str = "", value: Value = ("", None)) -> Value | None:
        if interface not in self._shown:
            raise CallError("UnknownInterface")
        position: Value = ("x", microseconds(self._now.position_at(time.monotonic())))
        values = {**self._shown[interface], **({"Position": position} if interface == PLAYER else {})}
        if member == "GetAll":
            return "a{sv}", values
        if name not in values:
            raise CallError("UnknownProperty")
        if member == "Get":
            return "v", values[name]
        if interface != PLAYER or name not in WRITABLE:
            raise CallError("PropertyReadOnly")
        if value[0] != WRITABLE[name]:
            raise CallError("InvalidArgs")
        self._set(name, value[1])
        return None

    def _set(self, name: str, value: Any) -> None:
        if name == "Volume" and math.isfinite(value):
            self._act(Action.VOLUME, min(max(value, 0.0), 1.0))
        elif name == "LoopStatus":
            if value not in ("None", "Playlist"):  # one track is not repeated
                raise CallError("NotSupported")
            self._act(Action.REPEAT, float(value == "Playlist"), needs_control=True)
        elif name == "Shuffle":
            self._act(Action.SHUFFLE, float(value), needs_control=True)
        elif name == "Rate" and value == 0:
            self._act(Action.PAUSE, needs_control=True)

    def _call(self, member: str, *body: Any) -> None:
        now, now_s = self._now, time.monotonic()
        if member in BUTTONS:
            self._act(BUTTONS[member], needs_control=True)
        elif member == "Raise":
            if now.can_raise:
                self._act(Action.RAISE)
        elif member == "Quit":
            self._act(Action.QUIT)
        elif member == "OpenUri":
            raise CallError("NotSupported")
        elif not now.track or not now.can_control:
            return
        elif member == "Seek":
            to_s = now.position_at(now_s) + body[0] / 1e6
            if to_s > now.duration_s:
                self._act(Action.NEXT)
            else:
                self._act(Action.SEEK, max(0.0, to_s))
        elif body[0] == TRACKS + now.track and 0 <= body[1] / 1e6 <= now.duration_s:  # SetPosition; else it is too late
            self._act(Action.SEEK, body[1] / 1e6)

    def _act(self, action: Action, value: float = 0.0, *, needs_control: bool = False) -> None:
        if needs_control and not self._now.can_control:
            return
        self._actions += 1
        if self._actions > MAX_ACTIONS:
            raise CallError("LimitsExceeded")
        self._do(action, value)

    # -- notifications ----------------------------------------------------------------------------------------------

    def _notify(self) -> float | None:
        """Show the notification that waits, if it is time. In how many seconds it is; None: nothing waits."""
        note = self._mail.note
        if note is None:
            return None
        if self._notes is None:
            self._notes = _Notes(self._bus)
        wait_s = self._notes.due_s - time.monotonic()
        if wait_s > 0:
            return wait_s
        self._mail.note = None
        self._notes.show(*note)
        return None


class _Notes:
    """Notifications. A newer one replaces the one before."""

    def __init__(self, bus: Bus) -> None:
        self.due_s = 0.0
        self._bus = bus
        self._id = 0
        self._server = ""
        self._markup = False
        bus.listen(f"type='signal',interface='{NOTIFICATIONS}',member='ActionInvoked'")

    def show(self, summary: str, text: str) -> None:
        self.due_s = time.monotonic() + MIN_NOTES_S
        try:
            if not self._server:
                can = self._bus.call(NOTIFICATIONS, NOTIFICATIONS_PATH, NOTIFICATIONS, "GetCapabilities")
                self._server, self._markup = sender_of(can), "body-markup" in can.body[0]
            body = html.escape(text, quote=False) if self._markup else text
            hints = {"desktop-entry": ("s", "phaselock"), "category": ("s", "im.received")}
            arguments = ("PhaseLock", self._id, "phaselock", clean(summary), clean(body), ["default", ""], hints, -1)
            reply = self._bus.call(
                NOTIFICATIONS, NOTIFICATIONS_PATH, NOTIFICATIONS, "Notify", "susssasa{sv}i", arguments
            )
            self._id = int(reply.body[0])
        except BusError:
            self._server = ""  # there is no such service, or another one comes

    def is_click(self, message: Any) -> bool:
        """Whether this signal says that the user has clicked on our notification."""
        return bool(self._id and sender_of(message) == self._server and message.body[:1] == (self._id,))


def properties(now: NowPlaying) -> dict[str, dict[str, Value]]:
    """All properties except Position, by interface."""
    can = now.can_control and now.can_play
    return {
        ROOT: {
            "CanQuit": ("b", True),
            "CanRaise": ("b", now.can_raise),
            "HasTrackList": ("b", False),
            "Identity": ("s", "PhaseLock"),
            "DesktopEntry": ("s", "phaselock"),
            "SupportedUriSchemes": ("as", []),
            "SupportedMimeTypes": ("as", []),
        },
        PLAYER: {
            "PlaybackStatus": ("s", now.status),
            "LoopStatus": ("s", "Playlist" if now.repeat else "None"),
            "Rate": ("d", 1.0),
            "Shuffle": ("b", now.shuffle),
            "Metadata": ("a{sv}", metadata(now)),
            "Volume": ("d", now.volume),
            "MinimumRate": ("d", 1.0),
            "MaximumRate": ("d", 1.0),
            "CanGoNext": ("b", can),
            "CanGoPrevious": ("b", can),
            "CanPlay": ("b", can),
            "CanPause": ("b", can),
            "CanSeek": ("b", can and bool(now.track)),
            "CanControl": ("b", True),
        },
    }


def metadata(now: NowPlaying) -> dict[str, Value]:
    """The tags of the track."""
    if not now.track:
        return {"mpris:trackid": ("o", NO_TRACK)}
    found: dict[str, Value] = {
        "mpris:trackid": ("o", TRACKS + now.track),
        "mpris:length": ("x", microseconds(now.duration_s)),
        "xesam:title": ("s", clean(now.title)),
    }
    if now.artist:
        found["xesam:artist"] = "as", [clean(now.artist)]
    if now.album:
        found["xesam:album"] = "s", clean(now.album)
    if now.art_url:
        found["mpris:artUrl"] = "s", now.art_url
    return found


def clean(text: str) -> str:
    """The text as D-Bus allows it: the bus ends the connection of a program that sends other texts."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def microseconds(seconds: float) -> int:
    return round(seconds * 1e6)


def introspection() -> str:
    """The description of the interfaces, in XML."""
    lines = ["<node>"]
    for interface, methods in METHODS.items():
        lines.append(f'<interface name="{interface}">')
        for name, signature in methods.items():
            out = {"Get": "v", "GetAll": "a{sv}", "Introspect": "s"}.get(name)
            arguments = "".join(f'<arg direction="in" type="{one}"/>' for one in signature)
            result = f'<arg direction="out" type="{out}"/>' if out else ""
            lines.append(f'<method name="{name}">{arguments}{result}</method>')
        for name, (kind, _) in properties(NowPlaying("Stopped", 1.0)).get(interface, {}).items():
            access = "readwrite" if name in WRITABLE else "read"
            lines.append(f'<property name="{name}" type="{kind}" access="{access}"/>')
        if interface == PLAYER:
            lines.append('<property name="Position" type="x" access="read"/>')
            lines.append('<signal name="Seeked"><arg type="x"/></signal>')
        if interface == PROPERTIES:
            lines.append('<signal name="PropertiesChanged"><arg type="s"/><arg type="a{sv}"/><arg type="as"/></signal>')
        lines.append("</interface>")
    return "\n".join([*lines, "</node>"])
