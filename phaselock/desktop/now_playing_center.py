"""The media keys and the "now playing" of macOS: MPNowPlayingInfoCenter and MPRemoteCommandCenter, through ctypes.

Not tried on macOS. pyobjc-framework-MediaPlayer, which wraps this interface, and what it depends on would add tens of
megabytes for these few calls. The commands arrive on the main thread, in the event loop of the window.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from ctypes import c_bool, c_char_p, c_double, c_long, c_ulong, c_void_p
from typing import Any

from phaselock.desktop.controls import Action, Do, Mail, NowPlaying

FRAMEWORK = "/System/Library/Frameworks/MediaPlayer.framework/MediaPlayer"
STATES = {"Playing": 1, "Paused": 2, "Stopped": 3}
COMMANDS = {
    b"playCommand": Action.PLAY,
    b"pauseCommand": Action.PAUSE,
    b"togglePlayPauseCommand": Action.PLAY_PAUSE,
    b"stopCommand": Action.STOP,
    b"nextTrackCommand": Action.NEXT,
    b"previousTrackCommand": Action.PREVIOUS,
    b"changePlaybackPositionCommand": Action.SEEK,
}
SUCCESS = 0


def serve(mail: Mail, do: Do) -> None:
    """Serve until the mail is closed."""
    with contextlib.suppress(OSError, AttributeError, ValueError):  # a macOS without this service
        runtime = _Runtime()
        with runtime.pool():
            commands = runtime.listen(do)
        shown: NowPlaying | None = None
        try:
            while not mail.closed:
                if mail.now is not None and mail.now is not shown:
                    shown = mail.now
                    with runtime.pool():
                        runtime.show(commands, shown)
                mail.wait()
        finally:
            with runtime.pool():
                runtime.end(commands)


class _Runtime:
    """Calls of the Objective-C runtime. Objects are pointers."""

    def __init__(self) -> None:
        self._objc = ctypes.CDLL("/usr/lib/libobjc.dylib")
        self._player = ctypes.CDLL(FRAMEWORK)
        for name in ("objc_getClass", "sel_registerName", "objc_autoreleasePoolPush", "objc_allocateClassPair"):
            getattr(self._objc, name).restype = c_void_p
        self._objc.objc_autoreleasePoolPop.argtypes = (c_void_p,)
        self._center = self._send(self._class(b"MPNowPlayingInfoCenter"), b"defaultCenter")
        self._press: Any = None

    @contextlib.contextmanager
    def pool(self) -> Iterator[None]:
        """A block whose temporary objects are released at its end."""
        pool = self._objc.objc_autoreleasePoolPush()
        try:
            yield
        finally:
            self._objc.objc_autoreleasePoolPop(pool)

    def listen(self, do: Do) -> dict[int, Action]:
        """Call `do` for the commands of the system. The commands, by object."""
        center = self._send(self._class(b"MPRemoteCommandCenter"), b"sharedCommandCenter")
        commands = {self._send(center, name): action for name, action in COMMANDS.items()}

        def press(_this: int, _selector: int, event: int) -> int:
            action = commands.get(self._send(event, b"command"))
            if action is not None:
                seeks = action is Action.SEEK
                do(action, self._send(event, b"positionTime", result=c_double) if seeks else 0.0)
            return SUCCESS

        self._press = ctypes.CFUNCTYPE(c_long, c_void_p, c_void_p, c_void_p)(press)
        # A class may have been registered by an earlier session of this process: each needs a name of its own.
        name = f"PhaseLockMediaKeys{id(self)}".encode()
        kind = c_void_p(self._objc.objc_allocateClassPair(c_void_p(self._class(b"NSObject")), name, 0))
        self._objc.class_addMethod(kind, c_void_p(self._selector(b"press:")), self._press, c_char_p(b"q@:@"))
        self._objc.objc_registerClassPair(kind)
        target = self._send(kind.value or 0, b"new")
        for command in commands:
            self._send(command, b"addTarget:action:", c_void_p(target), c_void_p(self._selector(b"press:")))
        return commands

    def show(self, commands: dict[int, Action], now: NowPlaying) -> None:
        """Show this."""
        for command in commands:
            self._send(command, b"setEnabled:", c_bool(now.can_control and now.can_play), result=None)
        info = self._send(self._class(b"NSMutableDictionary"), b"dictionary")
        if now.track:
            texts = {"MPMediaItemPropertyTitle": now.title, "MPMediaItemPropertyArtist": now.artist}
            numbers = {
                "MPMediaItemPropertyPlaybackDuration": now.duration_s,
                "MPNowPlayingInfoPropertyElapsedPlaybackTime": now.position_s,
                "MPNowPlayingInfoPropertyPlaybackRate": float(now.status == "Playing"),
            }
            values = {name: self._text(text) for name, text in texts.items()}
            values |= {name: self._number(number) for name, number in numbers.items()}
            for name, value in values.items():
                key = c_void_p.in_dll(self._player, name)
                self._send(info, b"setObject:forKey:", c_void_p(value), key, result=None)
        self._send(self._center, b"setNowPlayingInfo:", c_void_p(info), result=None)
        self._send(self._center, b"setPlaybackState:", c_ulong(STATES[now.status]), result=None)

    def end(self, commands: dict[int, Action]) -> None:
        """Show nothing, and hear no more commands."""
        for command in commands:
            self._send(command, b"removeTarget:", c_void_p(None), result=None)
        self._send(self._center, b"setNowPlayingInfo:", c_void_p(None), result=None)

    def _text(self, text: str) -> int:
        plain = text.replace("\0", "").encode("utf-8", "replace")
        return int(self._send(self._class(b"NSString"), b"stringWithUTF8String:", c_char_p(plain)))

    def _number(self, value: float) -> int:
        return int(self._send(self._class(b"NSNumber"), b"numberWithDouble:", c_double(value)))

    def _class(self, name: bytes) -> int:
        return int(self._objc.objc_getClass(name) or 0)

    def _selector(self, name: bytes) -> int:
        return int(self._objc.sel_registerName(name))

    def _send(self, receiver: int, selector: bytes, *arguments: Any, result: Any = c_void_p) -> Any:
        """Send a message; the result is a number or, as a pointer, an object (0: none)."""
        kind = ctypes.CFUNCTYPE(result, c_void_p, c_void_p, *(type(one) for one in arguments))
        answer = kind(("objc_msgSend", self._objc))(c_void_p(receiver), c_void_p(self._selector(selector)), *arguments)
        return (answer or 0) if result is c_void_p else answer
