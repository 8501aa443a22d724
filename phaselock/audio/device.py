"""The playback device: miniaudio driven through the cffi library of its package, with a data callback in C; or, where
PipeWire runs, a stream of our own (audio/pipewire.py), for miniaudio does not speak to it.

The package's own wrapper is not imported: its callback takes the interpreter's lock, and it drags numpy and urllib in.

Every call that may wait for a sound server runs on one daemon thread of the device, with a time limit. A server that
does not answer costs that thread and the memory it may still touch, kept for good; it never hangs the program.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import math
import pathlib
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from _miniaudio import ffi, lib

from phaselock import _native
from phaselock.audio import alsa, handles, jack, pulse
from phaselock.audio.jack import playback_latency_ns, quieten_jack
from phaselock.audio.link import WORTH, Link, timing_of
from phaselock.audio.pipewire import PipeWire, Sink
from phaselock.audio.priority import Priority, Raiser
from phaselock.errors import AudioDeviceError
from phaselock.model.timing import Timing

BACKENDS = ("auto", "pipewire", "jack", "pulseaudio", "alsa", "wasapi", "coreaudio", "null")

USER_DATA_OFFSET: int = ffi.offsetof("ma_device", "pUserData")
"""Where a native callback finds its own pointer inside the ma_device that it is given."""

CHANNELS = 2

_CALL_LIMIT_S = 5.0
_CLOSE_LIMIT_S = 2.0
_SILENCE_LIMIT_NS = 400_000_000
# An idle PulseAudio sink may have silence prepared for two seconds when our stream comes.
_FIRST_SILENCE_LIMIT_NS = 3_000_000_000
_SETTLED_FRAMES = 20_000
_MAX_STEP_NS = 100_000_000
_DEFAULT_EVERY_NS = 1_000_000_000
# What miniaudio holds where the platform's own account cannot be asked: its three periods, and the one it works ahead.
_HELD_PERIODS = 4

_MA_BACKENDS = {
    "jack": lib.ma_backend_jack,
    "pulseaudio": lib.ma_backend_pulseaudio,
    "alsa": lib.ma_backend_alsa,
    "wasapi": lib.ma_backend_wasapi,
    "coreaudio": lib.ma_backend_coreaudio,
    "null": lib.ma_backend_null,
}

_ACCOUNTS: dict[str, Callable[[int, int], _native.Account | None]] = {
    # from the stream's handle and rate
    "jack": lambda handle, _rate_hz: _native.Account.jack(handle),
    "pulseaudio": lambda handle, _rate_hz: _native.Account.pulse(handle),
    "alsa": _native.Account.alsa,
    "wasapi": _native.Account.wasapi,
    "coreaudio": lambda handle, _rate_hz: _native.Account.coreaudio(handle),
}

_REASONS = {
    lib.MA_NO_BACKEND: "not running",
    lib.MA_FAILED_TO_INIT_BACKEND: "not running",
    lib.MA_FAILED_TO_OPEN_BACKEND_DEVICE: "the device is busy or gone",
    lib.MA_ACCESS_DENIED: "access denied",
    lib.MA_BUSY: "the device is busy",
    lib.MA_NO_DEVICE: "no such device",
}

_PINNED = ("wasapi", "coreaudio")
"""Where a stream of the default output would be moved by miniaudio itself, on a thread of the system's: it frees the
handle that the account asks, and does not look whether the device is being closed. There every stream is opened at a
named output, and the device is lost when another one becomes the default."""

_DUMMY = "auto_null"
"""The sink that PulseAudio and PipeWire invent while there is no card."""

_abandoned: list[object] = []
"""What a sound server that never answered may still touch."""

_Result = TypeVar("_Result")


@dataclasses.dataclass(frozen=True, slots=True)
class DeviceInfo:
    """An open output."""

    name: str
    backend: str
    rate_hz: int
    channels: int


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """Where a stream plays: the name of the output, and what is behind the account."""

    name: str
    link: Link


@dataclasses.dataclass(frozen=True, slots=True)
class ListedOutput:
    """An output of this machine. `timing` and `link` are what can be known without opening it."""

    backend: str
    name: str
    is_default: bool
    timing: Timing
    link: Link


class Device:
    """One playback device, float32 stereo at its native rate. Used from one thread at a time.

    The engine is called back on the sound system's audio thread, and held until that can happen no more. An output that
    asks the engine for nothing more is lost. `or_default`: where there is no output of that name, the default one has
    to do.
    """

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
            raise AudioDeviceError(f"Unknown audio backend: {backend}")
        self._engine = engine
        self._client_name = client_name
        self._backend = backend
        self._device_name = device_name
        self._or_default = or_default
        self._worker = _Worker()
        self._context: Any = None
        self._device: Any = None
        self._pipewire: PipeWire | None = None
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
        self._seen = -1
        self._looked_at_ns = 0
        self._silent_ns = 0

    def open(self) -> DeviceInfo:
        """Open the output, stopped. Raises AudioDeviceError."""
        error = AudioDeviceError("No audio output detected.")
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
        """Let the callbacks begin. Raises AudioDeviceError."""
        self._seen = -1
        if self._pipewire is not None:
            self._call(self._pipewire.start)
        else:
            result = self._call(lambda: int(lib.ma_device_start(self._device)))
            if result != lib.MA_SUCCESS:
                raise AudioDeviceError(f"The audio output cannot be started ({_reason(result)}).")
        self._raiser = Raiser(self._engine.thread)

    def is_running(self) -> bool:
        """Whether sound still leaves; False after the output or its server went away. Ask a few times a second."""
        if self._pipewire is not None:
            started = self._pipewire.is_connected()
        else:
            started = self._device is not None and bool(lib.ma_device_is_started(self._device))
        now_ns = time.monotonic_ns()
        calls_back = started and self._calls_back(self._engine.status().device_frames, now_ns)
        return calls_back and self._is_default(now_ns)

    def account(self) -> _native.Account | None:
        """The platform's account of this stream; None where it cannot be asked. Good until `close`."""
        return self._account

    def plays_on(self) -> str:
        """The name of the output that the stream plays on now: the server may have moved it."""
        return self._place_now().name

    def timing(self) -> Timing:
        """What is known of the moment at which a frame leaves the loudspeaker. May change while the stream runs."""
        if self._opened is not None and self._opened.backend == "null":
            return "exact"  # its frames leave when its own timer says so
        return "unknown" if self._account is None else timing_of(self._account.timing, self._place_now().link)

    def priority(self) -> Priority | None:
        """What the audio thread has, and why not more; None while that is not known."""
        return None if self._raiser is None else self._raiser.priority()

    def unreported_ns(self) -> int | None:
        """How far the account of this stream may be wrong as a whole; None: not known."""
        return None if self.timing() == "unknown" else WORTH[self._place_now().link][1]

    def output_latency_ns(self) -> int | None:
        """From the moment that the account tells of a frame (without one: from its callback) to the moment at which it
        leaves the loudspeaker; None while that is not known. May take some milliseconds."""
        if self._opened is None:
            return None
        if self._account is None or self._account.is_silent:
            periods = 1 if self._opened.backend == "null" else _HELD_PERIODS
            return self._period_frames * periods * 1_000_000_000 // self._opened.rate_hz
        latency_ns: Callable[[], int | None] = self._account.latency_ns
        if self._opened.backend == "jack" and self._handle is not None:
            latency_ns = functools.partial(playback_latency_ns, self._handle)
        try:
            return self._call(latency_ns)
        except AudioDeviceError:
            return None

    def close(self) -> bool:
        """Stop and let go, within seconds even if the sound server hangs: then False, and a callback may still come."""
        closed = True
        if self._raiser is not None:
            self._raiser.end()
        if self._opened is not None:
            try:
                self._call(self._close, _CLOSE_LIMIT_S)
            except AudioDeviceError:
                closed = False
        self._worker.end()
        return closed and not self._given_up

    def _open(self, backend: str, device_name: str | None) -> DeviceInfo:
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
            raise AudioDeviceError(f"The audio output cannot be opened ({backend}: {_reason(result)}).")
        return device

    def _close(self) -> None:
        device, context, pipewire = self._device, self._context, self._pipewire
        self._device = self._context = self._pipewire = self._opened = None
        if pipewire is not None:
            pipewire.close()
            return
        # Uninitialising alone would leave PulseAudio's thread waiting for an event that a dead server never sends.
        lib.ma_device_stop(device)
        lib.ma_device_uninit(device)
        if self._account is not None:
            self._account.end()
        lib.ma_context_uninit(context)

    def _calls_back(self, seen: int, now_ns: int) -> bool:
        # A pause of our own (a machine that slept, a stopped process) is not the device's silence.
        step_ns = min(now_ns - self._looked_at_ns, _MAX_STEP_NS)
        self._looked_at_ns = now_ns
        self._silent_ns = 0 if seen != self._seen else self._silent_ns + step_ns
        self._seen = seen
        return self._silent_ns < (_SILENCE_LIMIT_NS if seen > _SETTLED_FRAMES else _FIRST_SILENCE_LIMIT_NS)

    def _is_default(self, now_ns: int) -> bool:
        """Whether a stream that was opened at the default output is there still, as far as it can be known."""
        if self._default_id is None or now_ns - self._asked_default_ns < _DEFAULT_EVERY_NS:
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
            return self._worker.call(work, limit_s or _CALL_LIMIT_S)
        except TimeoutError:
            _abandoned.append(memory)
            self._given_up = True
            self._context = self._device = self._pipewire = self._opened = None
            raise AudioDeviceError("The sound system does not answer.") from None


def list_outputs() -> list[ListedOutput]:
    """Every output of this machine."""
    worker = _Worker()
    outputs: list[ListedOutput] = []
    for backend in _real_backends():
        with contextlib.suppress(AudioDeviceError, TimeoutError):
            outputs += worker.call(functools.partial(_list_backend, backend), _CALL_LIMIT_S)
    worker.end()
    return outputs


class _Worker:
    """One daemon thread that runs calls which might never return."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def call(self, work: Callable[[], _Result], limit_s: float) -> _Result:
        """The result of `work`, or its exception; TimeoutError when it takes longer."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="audio device", daemon=True)
            self._thread.start()
        future: concurrent.futures.Future[_Result] = concurrent.futures.Future()

        def job() -> None:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)

        self._jobs.put(job)
        return future.result(limit_s)

    def end(self) -> None:
        """Let the thread go, and wait for it a little."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(0.2)
            self._thread = None

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _real_backends() -> tuple[str, ...]:
    """The platform's backends that may have an output, the preferred one first."""
    if sys.platform == "win32":
        return ("wasapi",)
    if sys.platform == "darwin":
        return ("coreaudio",)
    # Without a card libasound complains on standard error.
    cards = ("alsa",) if any(pathlib.Path("/dev/snd").glob("pcm*p")) else ()
    # Where PipeWire runs it serves the other two as well. By the PulseAudio protocol it tells a delay that wanders.
    return ("pipewire", "jack", "pulseaudio", *cards)


def _open_account(backend: str, handle: int, rate_hz: int) -> _native.Account | None:
    return _ACCOUNTS[backend](handle, rate_hz) if backend in _ACCOUNTS else None


def _pulse_place(client_name: str, sink_index: int | None) -> _Place | None:
    """None: the server knows no such sink (any more)."""
    server = pulse.ask_server(client_name)
    for sink in server.sinks:
        if sink.index == sink_index:
            return _Place(sink.description, "server" if server.is_pipewire else sink.link)
    return None


def _alsa_link(name: str) -> Link:
    return "hdmi" if "hdmi" in name.lower() else "wire"


def _period_frames(context: Any, backend: str, output: Any) -> int:
    """The period to ask for; 0 where the platform dictates it."""
    if backend == "jack":
        return 0
    if backend == "null":
        # It polls its clock every 10 ms: of many short callbacks in a row the last one is in time.
        return 96
    detail = ffi.new("ma_device_info *")
    lib.ma_context_get_device_info(context, lib.ma_device_type_playback, ffi.addressof(output, "id"), detail)
    rate_hz = detail.nativeDataFormats[0].sampleRate if detail.nativeDataFormatCount > 0 else 0
    # A timeline is met at any depth of the buffer; a deep one bridges the moments in which the processor is busy. Of
    # PulseAudio the period is all that is buffered, of the others a third.
    seconds = 0.08 if backend == "pulseaudio" else 0.02
    return math.ceil((rate_hz or 48000) * seconds / 16) * 16


def _open_context(backend: str, client_name: str) -> Any:
    if backend == "jack":
        quieten_jack()
    name = ffi.new("char[]", client_name.encode())
    config = ffi.new("ma_context_config *", lib.ma_context_config_init())
    config.jack.pClientName = name
    config.jack.tryStartServer = False
    config.pulse.pApplicationName = name
    config.pulse.tryAutoSpawn = False
    context = ffi.new("ma_context *")
    result = lib.ma_context_init(ffi.new("ma_backend[1]", [_MA_BACKENDS[backend]]), 1, config, context)
    if result != lib.MA_SUCCESS:
        raise AudioDeviceError(f"The audio backend is not available ({backend}: {_reason(result)}).")
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
    return AudioDeviceError(f"No audio output is named {device_name}.")


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
    """What is behind each of these outputs, as far as can be known without opening it."""
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


def _reason(result: int) -> str:
    return _REASONS.get(result, f"error {result}")
