"""The media keys and the "now playing" of Windows: SystemMediaTransportControls, through ctypes.

Not tried on Windows. The order of the methods is that of windows.media.h of the Windows SDK. The packages that wrap
this interface (winrt-runtime and others) would add some megabytes for these few calls.
"""

from __future__ import annotations

import contextlib
import ctypes
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from phaselock.desktop.controls import Action, Do, Mail, NowPlaying

CLASS = "Windows.Media.SystemMediaTransportControls"
IID_INTEROP = "ddb0472d-c911-4a1f-86d9-dc3d71a95f5a"
IID_CONTROLS = "99fa3ff4-1742-42a6-902e-087d41f965ec"
IID_HANDLER = "0557e996-7b23-5bae-aa81-ea0d671143a4"
"""TypedEventHandler<SystemMediaTransportControls, SystemMediaTransportControlsButtonPressedEventArgs>"""
IID_UNKNOWN = "00000000-0000-0000-c000-000000000046"
IID_AGILE = "94ea2b94-e9cc-49e0-c0ff-ee64ca8f5b90"
STATUS = {"Stopped": 2, "Playing": 3, "Paused": 4}
BUTTONS = {0: Action.PLAY, 1: Action.PAUSE, 2: Action.STOP, 6: Action.NEXT, 7: Action.PREVIOUS}
MUSIC = 1
MULTITHREADED = 1
E_NOINTERFACE = -0x7FFFBFFE

# Places in the tables of methods: RELEASE of every interface, then those of one interface each.
RELEASE = 2
GET_FOR_WINDOW = 6
PUT_STATUS, GET_UPDATER, PUT_ENABLED, PUT_PLAY, PUT_STOP, PUT_PAUSE = 7, 8, 11, 13, 15, 17
PUT_PREVIOUS, PUT_NEXT, ADD_BUTTON, REMOVE_BUTTON = 25, 27, 32, 33
PUT_TYPE, GET_MUSIC, CLEAR, UPDATE = 7, 12, 16, 17
PUT_TITLE, PUT_ARTIST = 7, 11
GET_BUTTON = 6

_windows: Any = ctypes
"""ctypes has these members on Windows only."""


def serve(mail: Mail, do: Do, window: int) -> None:
    """Serve until the mail is closed. `window` is the HWND."""
    with contextlib.suppress(OSError, AttributeError):  # a Windows without this service
        combase = _windows.WinDLL("combase")
        _check(combase.RoInitialize(MULTITHREADED))
        try:
            with _controls(combase, window) as controls, _pressed(controls, do):
                shown: NowPlaying | None = None
                while not mail.closed:
                    if mail.now is not None and mail.now is not shown:
                        shown = mail.now
                        _show(combase, controls, shown)
                    mail.wait()
                _call(controls, PUT_ENABLED, ctypes.c_bool(False))
        finally:
            combase.RoUninitialize()


def _show(combase: Any, controls: ctypes.c_void_p, now: NowPlaying) -> None:
    can = now.can_control and now.can_play
    for place in (PUT_PLAY, PUT_PAUSE, PUT_STOP, PUT_NEXT, PUT_PREVIOUS):
        _call(controls, place, ctypes.c_bool(can))
    _call(controls, PUT_ENABLED, ctypes.c_bool(True))
    _call(controls, PUT_STATUS, ctypes.c_int(STATUS[now.status]))
    with _got(controls, GET_UPDATER) as updater:
        if now.track:
            _call(updater, PUT_TYPE, ctypes.c_int(MUSIC))
            with _got(updater, GET_MUSIC) as music:
                for place, text in ((PUT_TITLE, now.title), (PUT_ARTIST, now.artist)):
                    with _string(combase, text) as string:
                        _call(music, place, string)
        else:
            _call(updater, CLEAR)
        _call(updater, UPDATE)


@contextlib.contextmanager
def _controls(combase: Any, window: int) -> Iterator[ctypes.c_void_p]:
    """The controls of a window."""
    factory, controls = ctypes.c_void_p(), ctypes.c_void_p()
    with _string(combase, CLASS) as name:
        _check(combase.RoGetActivationFactory(name, _guid(IID_INTEROP), ctypes.byref(factory)))
    try:
        _call(factory, GET_FOR_WINDOW, ctypes.c_void_p(window), _guid(IID_CONTROLS), ctypes.byref(controls))
    finally:
        _release(factory)
    try:
        yield controls
    finally:
        _release(controls)


@contextlib.contextmanager
def _pressed(controls: ctypes.c_void_p, do: Do) -> Iterator[None]:
    """Within the block, the buttons call `do`, on a thread of the system."""
    pointer, result = ctypes.c_void_p, ctypes.c_long

    def invoke(_this: object, _sender: object, arguments: int) -> int:
        button = ctypes.c_int()
        _call(ctypes.c_void_p(arguments), GET_BUTTON, ctypes.byref(button))
        if button.value in BUTTONS:
            do(BUTTONS[button.value], 0.0)
        return 0

    known = {uuid.UUID(one).bytes_le for one in (IID_UNKNOWN, IID_AGILE, IID_HANDLER)}

    def query(this: int, iid: int, found: Any) -> int:
        is_known = ctypes.string_at(iid, 16) in known
        found[0] = this if is_known else None
        return 0 if is_known else E_NOINTERFACE

    # The object lives as long as this block, so its count of references does not matter.
    methods = (
        _windows.WINFUNCTYPE(result, pointer, pointer, ctypes.POINTER(pointer))(query),
        _windows.WINFUNCTYPE(ctypes.c_ulong, pointer)(lambda _this: 2),
        _windows.WINFUNCTYPE(ctypes.c_ulong, pointer)(lambda _this: 1),
        _windows.WINFUNCTYPE(result, pointer, pointer, pointer)(invoke),
    )
    table = (pointer * len(methods))(*(ctypes.cast(one, pointer) for one in methods))
    handler = (pointer * 1)(ctypes.addressof(table))
    token = ctypes.c_int64()
    _call(controls, ADD_BUTTON, ctypes.byref(handler), ctypes.byref(token))
    try:
        yield
    finally:
        _call(controls, REMOVE_BUTTON, token)


def _call(this: ctypes.c_void_p, place: int, *arguments: Any) -> None:
    """Call the method at this place of the object's table. OSError if it fails."""
    table = ctypes.cast(this, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p)))[0]
    kinds = [ctypes.c_void_p if isinstance(one, ctypes.c_void_p) else type(one) for one in arguments]
    kinds = [ctypes.c_void_p if kind.__name__ == "CArgObject" else kind for kind in kinds]
    method = _windows.WINFUNCTYPE(ctypes.c_long, ctypes.c_void_p, *kinds)(table[place])
    _check(method(this, *arguments))


@contextlib.contextmanager
def _got(this: ctypes.c_void_p, place: int) -> Iterator[ctypes.c_void_p]:
    """The object that a method returns."""
    found = ctypes.c_void_p()
    _call(this, place, ctypes.byref(found))
    try:
        yield found
    finally:
        _release(found)


def _release(this: ctypes.c_void_p) -> None:
    table = ctypes.cast(this, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p)))[0]
    release: Callable[[ctypes.c_void_p], int] = _windows.WINFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)(table[RELEASE])
    release(this)


@contextlib.contextmanager
def _string(combase: Any, text: str) -> Iterator[ctypes.c_void_p]:
    """A string of the Windows Runtime."""
    string = ctypes.c_void_p()
    length = len(text.encode("utf-16-le", "surrogatepass")) // 2
    _check(combase.WindowsCreateString(ctypes.c_wchar_p(text), length, ctypes.byref(string)))
    try:
        yield string
    finally:
        combase.WindowsDeleteString(string)


def _guid(text: str) -> Any:
    return ctypes.byref(ctypes.create_string_buffer(uuid.UUID(text).bytes_le, 16))


def _check(result: int) -> None:
    if result < 0:
        raise OSError(f"HRESULT {result & 0xFFFFFFFF:08x}")
