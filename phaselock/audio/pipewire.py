"""PipeWire: its sinks, and a stream whose callbacks PipeWire's audio thread makes directly to the engine.

The library is loaded when it is needed. Its structures are declared here as far as they are used; they are stable in
libpipewire-0.3. Calls may wait for the daemon, so audio/device.py makes them on a worker thread with a timeout.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_size_t, c_uint32, c_void_p
from typing import Any

from phaselock import _native
from phaselock.audio.link import Link, link_of
from phaselock.errors import AudioDeviceError
from phaselock.frozen import frozen

_LATENCY_S = 2048 / 48000
"""Length of a cycle that the stream asks for."""
_TIMEOUT_ANSWER_S = 2.0
_DEFAULT_RATE_HZ = 48000

_ANY = 0xFFFFFFFF
_OUTPUT = 1
_AUTOCONNECT, _MAP_BUFFERS, _RT_PROCESS, _DONT_RECONNECT = 1 << 0, 1 << 2, 1 << 4, 1 << 7
_CONNECTING = 1  # pw_stream_state: lower values are "error" and "unconnected"
_HOOK_BYTES = 48
_EVENTS_VERSION = 2

_NODE, _DEVICE, _METADATA, _LINK = (f"PipeWire:Interface:{kind}" for kind in ("Node", "Device", "Metadata", "Link"))


@frozen
class Sink:
    """An output of PipeWire."""

    node: int
    name: str
    description: str
    link: Link


class _Interface(ctypes.Structure):  # spa_interface
    _fields_ = (("type", c_char_p), ("version", c_uint32), ("methods", c_void_p), ("data", c_void_p))


class _Item(ctypes.Structure):  # spa_dict_item
    _fields_ = (("key", c_char_p), ("value", c_char_p))


class _Dict(ctypes.Structure):  # spa_dict
    _fields_ = (("flags", c_uint32), ("count", c_uint32), ("items", POINTER(_Item)))


_Done = CFUNCTYPE(None, c_void_p, c_uint32, c_int)
_Global = CFUNCTYPE(None, c_void_p, c_uint32, c_uint32, c_char_p, c_uint32, POINTER(_Dict))
_Removed = CFUNCTYPE(None, c_void_p, c_uint32)
_Property = CFUNCTYPE(c_int, c_void_p, c_uint32, c_char_p, c_char_p, c_char_p)

# Methods: (index in the interface's table, after the version; C type).
_ADD_LISTENER = 0, CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_void_p)
_CORE_SYNC = 2, CFUNCTYPE(c_int, c_void_p, c_uint32, c_int)
_CORE_GET_REGISTRY = 5, CFUNCTYPE(c_void_p, c_void_p, c_uint32, c_size_t)
_REGISTRY_BIND = 1, CFUNCTYPE(c_void_p, c_void_p, c_uint32, c_char_p, c_uint32, c_size_t)


class _CoreEvents(ctypes.Structure):
    _fields_ = (("version", c_uint32), ("info", c_void_p), ("done", _Done), ("rest", c_void_p * 6))


class _RegistryEvents(ctypes.Structure):
    _fields_ = (("version", c_uint32), ("add", _Global), ("remove", _Removed))


class _MetadataEvents(ctypes.Structure):
    _fields_ = (("version", c_uint32), ("property", _Property))


class _StreamEvents(ctypes.Structure):
    _fields_ = (
        ("version", c_uint32),
        ("before", c_void_p * 3),
        ("io_changed", c_void_p),
        ("between", c_void_p * 3),
        ("process", c_void_p),
        ("after", c_void_p * 3),
    )


@functools.cache
def _library() -> Any:
    """libpipewire, initialised; AudioDeviceError if it is not installed."""
    try:
        library: Any = ctypes.CDLL("libpipewire-0.3.so.0")
    except OSError:
        raise AudioDeviceError(
            "The audio backend is not available ({backend}: its library is missing).", backend="pipewire"
        ) from None
    pointers = ("thread_loop_new", "thread_loop_get_loop", "context_new", "context_connect", "properties_new_string")
    for name in (*pointers, "stream_new"):
        getattr(library, f"pw_{name}").restype = c_void_p
    library.pw_init(None, None)
    return library


def _call(proxy: int, method: tuple[int, Any], *arguments: object) -> Any:
    """Call a method of a PipeWire object."""
    interface = ctypes.cast(proxy, POINTER(_Interface)).contents
    place, kind = method
    table = ctypes.cast(interface.methods, POINTER(c_void_p))
    return kind(table[1 + place])(interface.data, *arguments)


class PipeWire:
    """A connection to the daemon: the objects of its graph, and at most one stream. `close` ends it.

    The constructor and the methods raise AudioDeviceError if no daemon runs or it does not answer.
    """

    def __init__(self, client_name: str) -> None:
        self._library = _library()
        self._keep: list[object] = []
        self._objects: dict[int, tuple[str, dict[str, str]]] = {}
        self._settings: dict[str, str] = {}
        self._answers: dict[int, threading.Event] = {}
        self._stream = 0
        self._account: _native.Account | None = None
        self._client_name = client_name
        self._target: Sink | None = None
        self._rate_hz = _DEFAULT_RATE_HZ
        self._loop = self._library.pw_thread_loop_new(b"pipewire", None)
        self._context = self._library.pw_context_new(
            c_void_p(self._library.pw_thread_loop_get_loop(c_void_p(self._loop))), None, c_size_t(0)
        )
        self._core = self._library.pw_context_connect(c_void_p(self._context), None, c_size_t(0))
        if not self._core:
            self.close()
            raise AudioDeviceError("The audio backend is not available ({backend}: not running).", backend="pipewire")
        try:
            self._library.pw_thread_loop_start(c_void_p(self._loop))
            with self._locked():
                self._listen(self._core, _CoreEvents(version=0, done=_Done(self._on_done)))
                self._registry = _call(self._core, _CORE_GET_REGISTRY, 3, 0)
                events = _RegistryEvents(0, _Global(self._on_global), _Removed(self._on_removed))
                self._listen(self._registry, events)
            self._wait_for_answer()  # for the objects
            self._wait_for_answer()  # for the properties of the metadata objects
        except BaseException:
            self.close()
            raise

    def sinks(self) -> list[Sink]:
        """All sinks, the default one first."""
        default = self._name_in("default.audio.sink")
        found = []
        for id_, (kind, of) in list(self._objects.items()):
            if kind == _NODE and of.get("media.class") == "Audio/Sink":
                name = of.get("node.name", "")
                link = link_of(self._device_of(of) | of)
                found.append(Sink(id_, name, of.get("node.description") or of.get("node.nick") or name, link))
        return sorted(found, key=lambda sink: sink.name != default)

    def _device_of(self, node: Mapping[str, str]) -> dict[str, str]:
        """The properties of the device that a node belongs to."""
        number = node.get("device.id", "")
        return self._objects.get(int(number), ("", {}))[1] if number.isdecimal() else {}

    def rate_hz(self) -> int:
        """The sample rate of the graph."""
        for key in ("clock.force-rate", "clock.rate"):
            with contextlib.suppress(ValueError):
                if 8000 <= (rate := int(self._settings.get(key, "0"))) <= 768_000:
                    return rate
        return _DEFAULT_RATE_HZ

    def prepare(self, engine: _native.Engine, target: Sink | None) -> _native.Account:
        """Create a stream that `engine` fills, to this sink or (None) to the default one. `start` starts it."""
        self._rate_hz = self.rate_hz()
        self._target = target
        wanted = {
            "media.type": "Audio",
            "media.category": "Playback",
            "media.role": "Music",
            "application.name": "PhaseLock",
            "node.name": self._client_name,
            "node.latency": f"{round(_LATENCY_S * self._rate_hz)}/{self._rate_hz}",
        }
        if target is not None:
            wanted["target.object"] = target.name
            wanted["node.dont-reconnect"] = "true"
        properties = self._library.pw_properties_new_string(json.dumps(wanted).encode())
        with self._locked():
            stream = self._library.pw_stream_new(c_void_p(self._core), self._client_name.encode(), c_void_p(properties))
            self._stream = stream or 0
            account = _native.Account.pipewire(self._stream, self._rate_hz, engine) if self._stream else None
            if account is None:
                raise AudioDeviceError("The audio output cannot be opened (pipewire: its library is too old).")
            self._account = account
            events = stream_events(_native.PIPEWIRE_PROCESS, io_changed=_native.PIPEWIRE_IO_CHANGED)
            hook = ctypes.create_string_buffer(_HOOK_BYTES)
            self._keep += [hook, events]
            self._library.pw_stream_add_listener(
                c_void_p(self._stream), hook, ctypes.byref(events), c_void_p(account.address)
            )
        return account

    def start(self) -> None:
        """Start the callbacks of the stream."""
        formats = stream_formats(self._rate_hz)
        flags = _AUTOCONNECT | _MAP_BUFFERS | _RT_PROCESS | (_DONT_RECONNECT if self._target else 0)
        with self._locked():
            result = self._library.pw_stream_connect(
                c_void_p(self._stream), _OUTPUT, c_uint32(_ANY), flags, formats, c_uint32(1)
            )
        if result < 0:
            raise AudioDeviceError("The audio output cannot be started (pipewire: error {number}).", number=-result)

    def is_connected(self) -> bool:
        """False after the stream has lost the daemon, or has lost its sink and may not move to another."""
        return bool(self._stream) and self._library.pw_stream_get_state(c_void_p(self._stream), None) >= _CONNECTING

    def plays_to(self) -> Sink | None:
        """The sink that the stream is linked to now, or None."""
        if not self._stream:
            return None
        node = str(self._library.pw_stream_get_node_id(c_void_p(self._stream)))
        links = [of for kind, of in list(self._objects.values()) if kind == _LINK]
        targets = {of.get("link.input.node") for of in links if of.get("link.output.node") == node}
        return next((sink for sink in self.sinks() if str(sink.node) in targets), None)

    def close(self) -> None:
        """End the stream and the connection."""
        self._library.pw_thread_loop_stop(c_void_p(self._loop))
        if self._stream:
            self._library.pw_stream_destroy(c_void_p(self._stream))
            self._stream = 0
        self._library.pw_context_destroy(c_void_p(self._context))  # and everything that was created with it
        self._library.pw_thread_loop_destroy(c_void_p(self._loop))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._library.pw_thread_loop_lock(c_void_p(self._loop))
        try:
            yield
        finally:
            self._library.pw_thread_loop_unlock(c_void_p(self._loop))

    def _listen(self, proxy: int, events: ctypes.Structure) -> None:
        hook = ctypes.create_string_buffer(_HOOK_BYTES)
        self._keep += [hook, events]
        _call(proxy, _ADD_LISTENER, ctypes.addressof(hook), ctypes.addressof(events), None)

    def _wait_for_answer(self) -> None:
        """Wait until the daemon has handled all requests made before."""
        answer = threading.Event()
        with self._locked():
            self._answers[_call(self._core, _CORE_SYNC, 0, 0)] = answer
        if not answer.wait(_TIMEOUT_ANSWER_S):
            raise AudioDeviceError("The sound system does not answer.")

    def _name_in(self, key: str) -> str:
        with contextlib.suppress(ValueError, AttributeError):
            return str(json.loads(self._settings.get(key, "{}")).get("name", ""))
        return ""

    # ---- on the loop's thread ----

    def _on_done(self, _data: object, _id: int, number: int) -> None:
        if (answer := self._answers.pop(number, None)) is not None:
            answer.set()

    def _on_global(self, _data: object, id_: int, _rights: int, kind: bytes, version: int, props: Any) -> None:
        of = _strings(props)
        if (name := kind.decode()) in (_NODE, _DEVICE, _LINK):
            self._objects[id_] = name, of
        if name == _METADATA and of.get("metadata.name") in ("default", "settings"):
            proxy = _call(self._registry, _REGISTRY_BIND, id_, kind, min(version, 3), 0)
            self._listen(proxy, _MetadataEvents(0, _Property(self._on_property)))

    def _on_removed(self, _data: object, id_: int) -> None:
        self._objects.pop(id_, None)

    def _on_property(self, _data: object, _subject: int, key: bytes, _kind: bytes, value: bytes) -> int:
        if key and value:
            self._settings[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
        return 0


def stream_events(process: int | None, *, io_changed: int | None = None) -> ctypes.Structure:
    """The table of callbacks of a stream, from the addresses of C functions."""
    return _StreamEvents(version=_EVENTS_VERSION, io_changed=io_changed, process=process)


def stream_formats(rate_hz: int) -> Any:
    """The list of formats for pw_stream_connect: 32-bit float stereo at this rate."""
    format_ = ctypes.create_string_buffer(_format(rate_hz))
    return (POINTER(ctypes.c_char * len(format_)) * 1)(ctypes.pointer(format_))


def _strings(dictionary: Any) -> dict[str, str]:
    if not dictionary:
        return {}
    items = dictionary.contents.items
    pairs = ((items[i].key or b"", items[i].value or b"") for i in range(dictionary.contents.count))
    return {key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in pairs}


def _format(rate_hz: int) -> bytes:
    """32-bit float stereo at this rate as a PipeWire "pod"; the layout is in spa/pod/pod.h and spa/param/format.h."""
    id_, int_, array, object_ = 3, 4, 13, 15

    def prop(key: int, kind: int, body: bytes) -> bytes:
        return struct.pack("=IIII", key, 0, len(body), kind) + body + bytes(-len(body) % 8)

    word: Callable[[int], bytes] = struct.Struct("=I").pack
    body = struct.pack("=II", 0x40003, 3)  # SPA_TYPE_OBJECT_Format, SPA_PARAM_EnumFormat
    body += prop(1, id_, word(1)) + prop(2, id_, word(1))  # audio, raw
    body += prop(0x10001, id_, word(0x11B if sys.byteorder == "little" else 0x11C))  # float, native
    body += prop(0x10003, int_, word(rate_hz)) + prop(0x10004, int_, word(2))
    body += prop(0x10005, array, struct.pack("=IIII", 4, id_, 3, 4))  # front left, front right
    return struct.pack("=II", len(body), object_) + body
