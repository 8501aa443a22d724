"""The playback device: miniaudio, called through the cffi library of its package, with a data callback in C. PipeWire,
which miniaudio does not support, has its own stream (audio/pipewire.py).

The Python wrapper of the miniaudio package is not imported: its callback takes the GIL, and it imports numpy and
urllib.

Every call that may wait for a sound server runs on one daemon thread of the device, with a timeout. If a server does
not answer, that thread and the memory that it may still use are never freed, but the program does not hang.
"""

from __future__ import annotations

import contextlib
import functools
import math
import pathlib
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from _miniaudio import ffi, lib

from phaselock import _native
from phaselock.audio import alsa, handles, jack, pulse
from phaselock.audio.jack import playback_latency_ns, quieten_jack
from phaselock.audio.link import LINK_TIMINGS, Link, timing_of
from phaselock.audio.pipewire import PipeWire, Sink
from phaselock.audio.priority import Priority, Raiser
from phaselock.audio.worker import Worker
from phaselock.errors import AudioDeviceError
from phaselock.frozen import frozen
from phaselock.language.message import N_, Message
from phaselock.model.choices import BACKENDS
from phaselock.model.timing import Timing

USER_DATA_OFFSET: int = ffi.offsetof("ma_device", "pUserData")
"""Offset in bytes of the user pointer in the ma_device that a data callback gets."""

CHANNELS = 2

_TIMEOUT_CALL_S = 5.0
_TIMEOUT_CLOSE_S = 2.0
_TIMEOUT_CALLBACK_NS = 400_000_000
"""A stream without a callback for this long is lost."""
_TIMEOUT_FIRST_CALLBACKS_NS = 3_000_000_000
"""The same until the stream has played `_SETTLED_FRAMES`: an idle PulseAudio sink may have two seconds of silence in
its buffer when the stream starts."""
_SETTLED_FRAMES = 20_000
_MAX_STEP_NS = 200_000_000
"""Longest time between two calls of `is_running` that counts as silence of the device."""
_CHECK_DEFAULT_EVERY_NS = 1_000_000_000
_HELD_PERIODS = 4
"""Periods that miniaudio buffers (three, and one that it fills ahead): the latency if there is no account."""

_MA_BACKENDS = {
    "jack": lib.ma_backend_jack,
    "pulseaudio": lib.ma_backend_pulseaudio,
    "alsa": lib.ma_backend_alsa,
    "wasapi": lib.ma_backend_wasapi,
    "coreaudio": lib.ma_backend_coreaudio,
}

_ACCOUNTS: dict[str, Callable[[int, int], _native.Account | None]] = {
    # backend: function of the stream's handle and its rate in Hz
    "jack": lambda handle, _rate_hz: _native.Account.jack(handle),
    "pulseaudio": lambda handle, _rate_hz: _native.Account.pulse(handle),
    "alsa": _native.Account.alsa,
    "wasapi": _native.Account.wasapi,
    "coreaudio": lambda handle, _rate_hz: _native.Account.coreaudio(handle),
}

_REASONS = {
    lib.MA_NO_BACKEND: N_("not running"),
    lib.MA_FAILED_TO_INIT_BACKEND: N_("not running"),
    lib.MA_FAILED_TO_OPEN_BACKEND_DEVICE: N_("the device is busy or gone"),
    lib.MA_ACCESS_DENIED: N_("access denied"),
    lib.MA_BUSY: N_("the device is busy"),
    lib.MA_NO_DEVICE: N_("no such device"),
}

_PINNED = ("wasapi", "coreaudio")
"""Backends on which miniaudio itself moves a stream of the default output, on a system thread: it frees the handle that
the account uses, even while the device is being closed. Here every stream is opened on a named output, and the device
counts as lost when another output becomes the default."""

_RESTING = ("alsa",)
"""Backends whose stream rests while nothing plays. Without a sound server, its thread wakes the processor for
each period. A server wakes it more seldom, and takes seconds to tell exactly when a new stream leaves. (Under wine, a
stream that was stopped and started plays up to 40 ms later than WASAPI tells.)"""

_DUMMY = "auto_null"
"""Name of the sink that PulseAudio and PipeWire create if there is no card."""

_NULL = "null"
"""Name of the only output of that backend."""

_abandoned: list[object] = []
"""Memory that a sound server which never answered may still use. It is never freed."""

_Result = TypeVar("_Result")


@frozen
class DeviceInfo:
    """An open output: its name, its backend (one of BACKENDS), its sample rate and its channels."""

    name: str
    backend: str
    rate_hz: int
    channels: int


@frozen
class _Place:
    """Where a stream plays: the name of the output, and the link behind it."""

    name: str
    link: Link


@frozen
class ListedOutput:
    """An output of this computer. `timing` and `link` are what is known without opening it."""

    backend: str
    name: str
    is_default: bool
    timing: Timing
    link: Link


class _NullOutput:
    """A card without a loudspeaker, and its thread."""

    def __init__(self, engine: _native.Engine) -> None:
        self._card = _native.NullCard(engine)
        self._thread = threading.Thread(target=self._card.run, name="null card", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def is_running(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        self._card.stop()
        if self._thread.ident is not None:  # it was started
            self._thread.join()


class Device:
    """One playback device, float32 stereo at its native rate. For one thread at a time.

    The sound system calls the engine on its audio thread; the engine is kept alive until that has ended. An output that
    makes no more callbacks counts as lost. `backend` is one of `model.choices.BACKENDS`. `device_name` None means the
    default output; with `or_default`, the default output is also used if there is none with that name. AudioDeviceError
    for an unknown backend."""

    def __init__(
        self,
        engine: _native.Engine,
        client_name: str,
        backend: str = "auto",
        device_name: str | None = None,
        *,
        or_default: bool = False,
    ) -> None:
        if backend not in BACKENDS:
            raise AudioDeviceError("Unknown audio backend: {backend}", backend=backend)
        self._engine = engine
        self._client_name = client_name
        self._backend = backend
        self._device_name = device_name
        self._or_default = or_default
        self._worker = Worker()
        self._context: Any = None
        self._device: Any = None
        self._pipewire: PipeWire | None = None
        self._null: _NullOutput | None = None
        self._account: _native.Account | None = None
        self._handle: int | None = None
        self._opened: DeviceInfo | None = None
        self._place = _Place("", "wire")
        self._pulse_sink: int | None = None
        self._period_frames = 0
        self._raiser: Raiser | None = None
        self._default_id: bytes | None = None
        self._asked_default_ns = 0
        self._given_up = False
        self._rests = False
        self._seen = -1
        self._looked_at_ns = 0
        self._silent_ns = 0

    def open(self) -> DeviceInfo:
        """Open the output without starting it. AudioDeviceError if that fails."""
        error = _not_found(None if self._or_default else self._device_name)
        names = [self._device_name] if self._device_name is None or not self._or_default else [self._device_name, None]
        for name in names:
            for backend in _real_backends() if self._backend == "auto" else (self._backend,):
                try:
                    return self._call(functools.partial(self._open, backend, name))
                except AudioDeviceError as this_error:
                    if self._backend != "auto":
                        error = this_error
        raise error

    def start(self) -> None:
        """Start the callbacks, also after a rest. AudioDeviceError if that fails."""
        self._seen, self._rests = -1, False
        if self._null is not None:
            self._null.start()
        elif self._pipewire is not None:
            self._call(self._pipewire.start)
        else:
            result = self._call(lambda: int(lib.ma_device_start(self._device)))
            if result != lib.MA_SUCCESS:
                raise AudioDeviceError("The audio output cannot be started ({reason}).", reason=_reason(result))
        if self._raiser is not None:
            self._raiser.end()
        self._raiser = Raiser(self._engine.thread)

    def can_rest(self) -> bool:
        """Whether `rest` is of use, and does no harm. A television may be silent for the first second of a stream, and
        without an exact account a new stream takes seconds to be in phase."""
        return self._opened is not None and self._opened.backend in _RESTING and self.timing() == "exact"

    def rest(self) -> None:
        """Stop the callbacks until the next `start`, and make a new account for what plays after it. AudioDeviceError
        if that fails."""
        self._rests = True
        self._call(self._stop)

    def is_running(self) -> bool:
        """False if the output or its server is gone. Call this a few times a second: it measures the time without
        callbacks."""
        if self._null is not None:
            return self._null.is_running()
        if self._rests:
            return self._handle is None or alsa.is_plugged(self._handle)
        if self._pipewire is not None:
            started = self._pipewire.is_connected()
        else:
            started = self._device is not None and bool(lib.ma_device_is_started(self._device))
        now_ns = time.monotonic_ns()
        calls_back = started and self._calls_back(self._engine.status().device_frames, now_ns)
        return calls_back and self._is_default(now_ns)

    def account(self) -> _native.Account | None:
        """The platform's account of this stream, valid until `close`; None if it has none."""
        return self._account

    def plays_on(self) -> str:
        """Name of the output that the stream plays on now; the sound server may have moved it."""
        return self._place_now().name

    def timing(self) -> Timing:
        """How exactly the time is known at which a frame leaves the loudspeaker. May change while the stream runs."""
        if self._null is not None:
            return "exact"  # it defines when a frame leaves
        return "unknown" if self._account is None else timing_of(self._account.timing, self._place_now().link)

    def priority(self) -> Priority | None:
        """The priority of the audio thread; None until it is known."""
        return None if self._raiser is None else self._raiser.priority()

    def unreported_ns(self) -> int | None:
        """Largest constant error of the account of this stream; None if unknown."""
        return None if self.timing() == "unknown" else LINK_TIMINGS[self._place_now().link][1]

    def output_latency_ns(self) -> int | None:
        """Time from the moment that the account reports for a frame (without an account: from its callback) until the
        frame leaves the loudspeaker; None if unknown. May take some milliseconds."""
        if self._opened is None:
            return None
        if self._null is not None:
            return _native.NULL_LATENCY_NS
        if self._account is None or self._account.is_silent:
            return self._period_frames * _HELD_PERIODS * 1_000_000_000 // self._opened.rate_hz
        latency_ns: Callable[[], int | None] = self._account.latency_ns
        if self._opened.backend == "jack" and self._handle is not None:
            latency_ns = functools.partial(playback_latency_ns, self._handle)
        try:
            return self._call(latency_ns)
        except AudioDeviceError:
            return None

    def close(self) -> bool:
        """Stop and close the output, within seconds. Return False if the sound server hangs: callbacks may still
        come."""
        closed = True
        if self._raiser is not None:
            self._raiser.end()
        if self._opened is not None:
            try:
                self._call(self._close, _TIMEOUT_CLOSE_S)
            except AudioDeviceError:
                closed = False
        self._worker.end()
        return closed and not self._given_up

    def _open(self, backend: str, device_name: str | None) -> DeviceInfo:
        if backend == "null":
            if device_name not in (None, _NULL):
                raise _not_found(device_name)
            self._null, self._place = _NullOutput(self._engine), _Place(_NULL, "wire")
            self._opened = DeviceInfo(_NULL, backend, _native.NULL_RATE_HZ, CHANNELS)
            return self._opened
        if backend == "pipewire":
            return self._open_pipewire(device_name)
        context = _open_context(backend, self._client_name)
        try:
            found = _find_output(context, device_name, real=self._backend == "auto")
            self._period_frames = _period_frames(context, backend, found)
            by_name = device_name is not None or backend in _PINNED
            device = self._init_device(context, backend, found, by_name=by_name)
        except AudioDeviceError:
            lib.ma_context_uninit(context)
            raise
        self._context, self._device = context, device
        self._default_id = _id(found) if device_name is None and backend in _PINNED else None
        self._handle = handles.handle(device, backend)
        self._account = None if self._handle is None else _open_account(backend, self._handle, device.sampleRate)
        self._place = _Place(_name(found), "wire")
        with contextlib.suppress(AudioDeviceError):
            self._find_place(backend)
        self._opened = DeviceInfo(_name(found), backend, int(device.sampleRate), CHANNELS)
        return self._opened

    def _place_now(self) -> _Place:
        if self._pipewire is not None:
            sink = self._pipewire.plays_to()
            self._place = self._place if sink is None else _Place(sink.description, sink.link)
        elif self._handle is not None and self._opened is not None and self._opened.backend == "pulseaudio":
            if pulse.sink_index(self._handle) not in (self._pulse_sink, None):
                with contextlib.suppress(AudioDeviceError):
                    self._call(functools.partial(self._find_place, "pulseaudio"))
        return self._place

    def _find_place(self, backend: str) -> None:
        if self._handle is None:
            return
        if backend == "pulseaudio":
            sink_index = pulse.sink_index(self._handle)
            self._place = _pulse_place(self._client_name, sink_index) or self._place
            self._pulse_sink = sink_index
        elif backend == "alsa":
            link = alsa.link_behind(self._handle)
            self._place = _Place(self._place.name, _alsa_link(self._place.name) if link == "wire" else link)
        elif backend == "jack" and jack.is_pipewire():
            self._place = _Place(self._place.name, "pipewire-jack")

    def _open_pipewire(self, device_name: str | None) -> DeviceInfo:
        pipewire = PipeWire(self._client_name)
        try:
            sinks = [sink for sink in _real_sinks(pipewire) if device_name in (None, sink.description)]
            if not sinks:
                raise _not_found(device_name)
            self._account = pipewire.prepare(self._engine, None if device_name is None else sinks[0])
        except BaseException:
            pipewire.close()
            raise
        self._pipewire, self._place = pipewire, _Place(sinks[0].description, sinks[0].link)
        self._opened = DeviceInfo(sinks[0].description, "pipewire", pipewire.rate_hz(), CHANNELS)
        return self._opened

    def _init_device(self, context: Any, backend: str, output: Any, *, by_name: bool) -> Any:
        stream_name = ffi.new("char[]", self._client_name.encode())
        config = ffi.new("ma_device_config *", lib.ma_device_config_init(lib.ma_device_type_playback))
        config.playback.format = lib.ma_format_f32
        config.playback.channels = CHANNELS
        if by_name:
            config.playback.pDeviceID = ffi.addressof(output, "id")
        config.periodSizeInFrames = self._period_frames
        handles.let_callbacks_vary(config)
        config.dataCallback = ffi.cast("ma_device_data_proc", self._engine.callback_address)
        config.pUserData = ffi.cast("void *", self._engine.address)
        config.wasapi.usage = lib.ma_wasapi_usage_pro_audio
        config.pulse.pStreamNamePlayback = stream_name
        device = ffi.new("ma_device *")
        result = lib.ma_device_init(context, config, device)
        if result != lib.MA_SUCCESS:
            raise AudioDeviceError(
                "The audio output cannot be opened ({backend}: {reason}).", backend=backend, reason=_reason(result)
            )
        return device

    def _stop(self) -> None:
        lib.ma_device_stop(self._device)
        if self._account is not None and self._opened is not None and self._handle is not None:
            self._account.end()
            self._account = _open_account(self._opened.backend, self._handle, self._opened.rate_hz)

    def _close(self) -> None:
        device, context, pipewire, null = self._device, self._context, self._pipewire, self._null
        self._device = self._context = self._pipewire = self._null = self._opened = None
        if null is not None:
            null.close()
            return
        if pipewire is not None:
            pipewire.close()
            return
        # Without the stop, PulseAudio's thread would wait for an event that a dead server never sends.
        lib.ma_device_stop(device)
        lib.ma_device_uninit(device)
        if self._account is not None:
            self._account.end()
        lib.ma_context_uninit(context)

    def _calls_back(self, seen: int, now_ns: int) -> bool:
        # A pause of this process (suspended computer, stopped process) does not count as silence of the device.
        step_ns = min(now_ns - self._looked_at_ns, _MAX_STEP_NS)
        self._looked_at_ns = now_ns
        self._silent_ns = 0 if seen != self._seen else self._silent_ns + step_ns
        self._seen = seen
        return self._silent_ns < (_TIMEOUT_CALLBACK_NS if seen > _SETTLED_FRAMES else _TIMEOUT_FIRST_CALLBACKS_NS)

    def _is_default(self, now_ns: int) -> bool:
        """False if the stream was opened on the default output and another output is the default now."""
        if self._default_id is None or now_ns - self._asked_default_ns < _CHECK_DEFAULT_EVERY_NS:
            return True
        self._asked_default_ns = now_ns
        try:
            default = self._call(functools.partial(_find_output, self._context, None, real=False))
        except AudioDeviceError:
            return True
        return _id(default) == self._default_id

    def _call(self, work: Callable[[], _Result], limit_s: float | None = None) -> _Result:
        memory = (self._context, self._device, self._pipewire, self._account, self._engine)
        try:
            return self._worker.call(work, limit_s or _TIMEOUT_CALL_S)
        except TimeoutError:
            _abandoned.append(memory)
            self._given_up = True
            self._context = self._device = self._pipewire = self._opened = None
            raise AudioDeviceError("The sound system does not answer.") from None


def list_outputs() -> list[ListedOutput]:
    """All outputs of this computer. A backend that fails or does not answer is left out."""
    worker = Worker()
    outputs: list[ListedOutput] = []
    for backend in _real_backends():
        with contextlib.suppress(AudioDeviceError, TimeoutError):
            outputs += worker.call(functools.partial(_list_backend, backend), _TIMEOUT_CALL_S)
    worker.end()
    return outputs


def _real_backends() -> tuple[str, ...]:
    """The backends of this platform that may have an output, the preferred one first."""
    if sys.platform == "win32":
        return ("wasapi",)
    if sys.platform == "darwin":
        return ("coreaudio",)
    # Without a card libasound prints errors to standard error.
    cards = ("alsa",) if any(pathlib.Path("/dev/snd").glob("pcm*p")) else ()
    # PipeWire also serves clients of JACK and PulseAudio; with PulseAudio's protocol the delay that it reports varies.
    return ("pipewire", "jack", "pulseaudio", *cards)


def _open_account(backend: str, handle: int, rate_hz: int) -> _native.Account | None:
    return _ACCOUNTS[backend](handle, rate_hz) if backend in _ACCOUNTS else None


def _pulse_place(client_name: str, sink_index: int | None) -> _Place | None:
    """The place of this sink; None if the server has no such sink."""
    server = pulse.ask_server(client_name)
    for sink in server.sinks:
        if sink.index == sink_index:
            return _Place(sink.description, "server" if server.is_pipewire else sink.link)
    return None


def _alsa_link(name: str) -> Link:
    return "hdmi" if "hdmi" in name.lower() else "wire"


def _period_frames(context: Any, backend: str, output: Any) -> int:
    """The period to request; 0 if the platform decides."""
    if backend == "jack":
        return 0
    detail = ffi.new("ma_device_info *")
    lib.ma_context_get_device_info(context, lib.ma_device_type_playback, ffi.addressof(output, "id"), detail)
    rate_hz = detail.nativeDataFormats[0].sampleRate if detail.nativeDataFormatCount > 0 else 0
    # The depth of the buffer does not affect the phase; a deep one covers moments in which the processor is busy. With
    # PulseAudio the period is the whole buffer, with the others a third of it.
    seconds = _native.PULSE_BUFFER_NS / 1e9 if backend == "pulseaudio" else 0.02
    return math.ceil((rate_hz or 48000) * seconds / 16) * 16


def _open_context(backend: str, client_name: str) -> Any:
    if backend == "jack":
        quieten_jack()
    elif backend == "alsa":
        alsa.quieten_alsa()
    name = ffi.new("char[]", client_name.encode())
    config = ffi.new("ma_context_config *", lib.ma_context_config_init())
    config.jack.pClientName = name
    config.jack.tryStartServer = False
    config.pulse.pApplicationName = name
    config.pulse.tryAutoSpawn = False
    context = ffi.new("ma_context *")
    result = lib.ma_context_init(ffi.new("ma_backend[1]", [_MA_BACKENDS[backend]]), 1, config, context)
    if result != lib.MA_SUCCESS:
        raise AudioDeviceError(
            "The audio backend is not available ({backend}: {reason}).", backend=backend, reason=_reason(result)
        )
    return context


def _find_output(context: Any, device_name: str | None, *, real: bool) -> Any:
    found = [info for info in _outputs(context) if device_name in (None, _name(info))]
    if real:
        found = [info for info in found if not _is_dummy(info)]
    if not found:
        raise _not_found(device_name)
    return max(found, key=lambda info: bool(info.isDefault))


def _not_found(device_name: str | None) -> AudioDeviceError:
    if device_name is None:
        return AudioDeviceError("No audio output detected.")
    return AudioDeviceError("No audio output is named {name}.", name=device_name)


def _list_backend(backend: str) -> list[ListedOutput]:
    if backend == "pipewire":
        pipewire = PipeWire("phaselock")
        try:
            sinks = _real_sinks(pipewire)
            return [_listed(backend, sink.description, place == 0, sink.link) for place, sink in enumerate(sinks)]
        finally:
            pipewire.close()
    context = _open_context(backend, "phaselock")
    try:
        infos = [info for info in _outputs(context) if not _is_dummy(info)]
        links = _links(backend, infos)
        return [
            _listed(backend, _name(info), bool(info.isDefault), link) for info, link in zip(infos, links, strict=True)
        ]
    finally:
        lib.ma_context_uninit(context)


def _listed(backend: str, name: str, is_default: bool, link: Link) -> ListedOutput:
    known = backend == "pipewire" or backend in _ACCOUNTS and handles.known()
    return ListedOutput(backend, name, is_default, timing_of("exact", link) if known else "unknown", link)


def _links(backend: str, infos: list[Any]) -> list[Link]:
    """The link behind each of these outputs, as far as it is known without opening it."""
    if backend == "pulseaudio":
        server = pulse.ask_server("phaselock")
        links = {sink.description: sink.link for sink in server.sinks}
        return ["server" if server.is_pipewire else links.get(_name(info), "wire") for info in infos]
    if backend == "alsa":
        by_default: Link = "server" if alsa.is_default_a_server() else "wire"
        return [by_default if _id(info).startswith(b"default\0") else _alsa_link(_name(info)) for info in infos]
    return ["pipewire-jack" if backend == "jack" and jack.is_pipewire() else "wire" for _ in infos]


def _outputs(context: Any) -> list[Any]:
    infos = ffi.new("ma_device_info **")
    count = ffi.new("ma_uint32 *")
    if lib.ma_context_get_devices(context, infos, count, ffi.NULL, ffi.NULL) != lib.MA_SUCCESS:
        return []
    return [infos[0][i] for i in range(count[0])]


def _is_dummy(info: Any) -> bool:
    return _id(info).startswith(_DUMMY.encode() + b"\0")


def _real_sinks(pipewire: PipeWire) -> list[Sink]:
    return [sink for sink in pipewire.sinks() if sink.name != _DUMMY]


def _id(info: Any) -> bytes:
    return bytes(ffi.buffer(ffi.addressof(info, "id")))


def _name(info: Any) -> str:
    return bytes(ffi.string(info.name)).decode("utf-8", "replace")


def _reason(result: int) -> Message:
    return Message(_REASONS[result]) if result in _REASONS else Message("error {number}", number=result)
