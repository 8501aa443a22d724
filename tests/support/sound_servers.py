"""Private sound servers with null sinks, whose monitors are recorded: which sound was played, and when.

A null sink is an output of known timing. PulseAudio's takes a block when the time of the block before
is over (module-null-sink), PipeWire's in each cycle of its timer, and nothing lies behind either: a block begins to
sound when it is taken. PulseAudio's monitor carries the block at that moment. PipeWire's carries it in the next cycle
(measured with 0.3.65: a capture that is linked to a stream hears it in the same cycle, one that is linked to the
monitor of the stream's sink exactly one quantum later).

So a block sounds when it, or the one before it, arrives, or a little sooner: about 0.2 ms for the way through the
server, the recorder and a pipe, more where one of them waits for the processor; never later.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.pcm import stereo

TIMEOUT_S = 15.0
QUIET_MS = 3
"""The gap between two blocks is longer than this, the gap between the parts of one block shorter."""
NEAR_NS = 1_000_000_000
FRAME_BYTES = 8


def until(true: Callable[[], bool], limit_s: float = TIMEOUT_S) -> None:
    """Poll until it is true; AssertionError after `limit_s`."""
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@functools.cache
def _in_real_time() -> Sequence[str]:
    """What begins a command that gets the processor before others, as a desktop's sound server does. Nothing where this
    process may not start one."""
    prefix = ("chrt", "--rr", "5")
    allowed = shutil.which(prefix[0]) and subprocess.run([*prefix, "true"], stderr=subprocess.DEVNULL).returncode == 0
    return prefix if allowed else ()


class Recording:
    """What a command writes to its standard output: 32-bit stereo as it arrives, a block `lag` blocks after it sounds.
    `close` ends it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], rate_hz: int, lag: int = 0) -> None:
        self.rate_hz = rate_hz
        self._lag = lag
        null = subprocess.DEVNULL
        command = [*_in_real_time(), *command]
        self._process = subprocess.Popen(command, env=environment, stdin=null, stdout=subprocess.PIPE, stderr=null)
        self._parts: list[bytes] = []
        self._begins: list[tuple[int, int]] = []
        """(number of the first frame, arrival in local ns) of every block."""
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        until(lambda: len(self._begins) > 1)

    def close(self) -> None:
        """End the recording."""
        self._process.kill()
        self._process.wait()
        self._thread.join()
        assert self._process.stdout
        self._process.stdout.close()

    def heard(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """(local time in ns, stereo) of every frame so far.

        The time of a frame is that of the few blocks within a second before or after it that nothing held up. (A server
        may count the time of its blocks in whole microseconds: there is no one line through all of them.) A sink that
        stood still plays all that follows later: the later one of the two is right.
        """
        begins = np.array(self._begins, np.int64)
        first, arrived_ns = begins[self._lag :, 0], begins[: len(begins) - self._lag, 1]
        sound = stereo(b"".join(self._parts)[: self._bytes()])
        nominal_ns, base_ns = first * 1e9 / self.rate_hz, int(arrived_ns[0])
        late_ns = arrived_ns - base_ns - nominal_ns
        here = np.arange(len(first))
        from_ = np.searchsorted(nominal_ns, nominal_ns - NEAR_NS)
        to = np.searchsorted(nominal_ns, nominal_ns + NEAR_NS, side="right")

        def in_time_ns(begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
            return np.array([np.percentile(late_ns[a:b], 5) for a, b in zip(begins, ends, strict=True)])

        line_ns = np.maximum(in_time_ns(from_, here + 1), in_time_ns(here, to))
        frames_ns = np.arange(len(sound)) * 1e9 / self.rate_hz
        return base_ns + (frames_ns + np.interp(frames_ns, nominal_ns, line_ns)).astype(np.int64), sound

    def _bytes(self) -> int:
        return sum(map(len, self._parts)) // FRAME_BYTES * FRAME_BYTES

    def _listen(self) -> None:
        assert self._process.stdout
        pipe, frames_bytes = self._process.stdout.fileno(), 0
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        while True:
            begins = not poll.poll(QUIET_MS)
            if begins:
                poll.poll()
            now_ns = time.monotonic_ns()
            part = os.read(pipe, 1 << 20)
            if not part:
                return
            if begins:
                self._begins.append((frames_bytes // FRAME_BYTES, now_ns))
            self._parts.append(part)
            frames_bytes += len(part)


class SoundServer:
    """The processes of a private sound server. A client finds it with `environment`, where `variables` are changed."""

    def __init__(self, folder: pathlib.Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self.variables = {"XDG_RUNTIME_DIR": str(folder), **variables}
        homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"), str(folder))
        self.environment = {**os.environ, **homes, **self.variables}
        self._processes: list[subprocess.Popen[bytes]] = []

    def run(self, command: Sequence[str], ready: Callable[[], bool]) -> None:
        """Start a process of the server. Skips the test if it does not start."""
        null = subprocess.DEVNULL
        process = subprocess.Popen(
            [*_in_real_time(), *command], env=self.environment, stdin=null, stdout=null, stderr=null
        )
        self._processes.append(process)
        deadline = time.monotonic() + TIMEOUT_S
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.skip(f"{command[0]} does not start here")
            time.sleep(0.01)

    def ask(self, *command: str) -> str:
        """The output of a tool that asks the server. Skips the test if the tool is not installed."""
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed")
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=TIMEOUT_S)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def freeze(self) -> None:
        """Suspend its processes: the clients get neither answers nor errors."""
        for process in self._processes:
            process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        for process in self._processes:
            process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it."""
        for process in reversed(self._processes):
            process.kill()
            process.wait()
        self._processes = []


class PulseServer(SoundServer):
    """A PulseAudio with null sinks, each given by the arguments of module-null-sink. The first is the default one.

    To be recorded, a sink needs `norewinds=1`: otherwise a monitor carries twice what is taken back.
    """

    def __init__(self, folder: pathlib.Path, sinks: Sequence[str]) -> None:
        self.socket = folder / "native"
        super().__init__(folder, {"PULSE_SERVER": f"unix:{self.socket}"})
        lines = [f"load-module module-null-sink {sink}" for sink in sinks]
        lines += [f"load-module module-native-protocol-unix socket={self.socket} auth-anonymous=1"]
        (folder / "script").write_text("\n".join(lines) + "\n")
        self.start()

    def start(self) -> None:
        """Start it, also again after `kill`."""
        self.socket.unlink(missing_ok=True)
        options = "--daemonize=no", "--exit-idle-time=-1", "-n", "-F", str(self.folder / "script")
        self.run(["pulseaudio", *options], self.socket.exists)

    def move(self, sink: str) -> None:
        """Have the only stream play on another sink."""
        self.ask("pactl", "move-sink-input", self.ask("pactl", "list", "short", "sink-inputs").split()[0], sink)

    def record(self, sink: str, rate_hz: int, latency_ms: int = 500) -> Recording:
        """Record what a sink plays at this rate. The sink takes blocks of at most this length from then on."""
        command = ["parec", f"--device={sink}.monitor", "--raw", "--format=float32le", f"--rate={rate_hz}"]
        return Recording([*command, "--channels=2", f"--latency-msec={latency_ms}"], self.environment, rate_hz)


class PipeWireServer(SoundServer):
    """A PipeWire with null sinks, each given by its properties, and the session manager that links streams to them."""

    def __init__(self, folder: pathlib.Path, sinks: Sequence[str]) -> None:
        super().__init__(folder, {"PIPEWIRE_RUNTIME_DIR": str(folder)})
        configuration = folder / "pipewire" / "pipewire.conf.d" / "test.conf"
        configuration.parent.mkdir(parents=True)
        properties = 'factory.name = support.null-audio-sink media.class = Audio/Sink audio.position = "FL,FR"'
        objects = "\n".join(
            f"{{ factory = adapter args = {{ {properties} object.linger = true node.driver = true {sink} }} }}"
            for sink in sinks
        )
        configuration.write_text(
            f"context.properties = {{ support.dbus = false log.level = 0 }}\ncontext.objects = [ {objects} ]\n"
        )
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={folder}/bus"
        self.start()

    def start(self) -> None:
        """Start it, also again after `kill`."""
        for socket in ("bus", "pipewire-0"):
            (self.folder / socket).unlink(missing_ok=True)
        bus = self.environment["DBUS_SESSION_BUS_ADDRESS"]
        self.run(["dbus-daemon", "--session", "--nofork", f"--address={bus}"], (self.folder / "bus").exists)
        self.run(["pipewire"], (self.folder / "pipewire-0").exists)
        self.run(["wireplumber"], lambda: "default.audio.sink" in self.ask("pw-metadata", "0"))

    def speak_pulseaudio(self) -> dict[str, str]:
        """Answer clients of PulseAudio too. Returns the variables with which they find it. Skips the test if
        pipewire-pulse is not installed."""
        if shutil.which("pipewire-pulse") is None:
            pytest.skip("pipewire-pulse is not installed")
        self.environment["PULSE_RUNTIME_PATH"] = str(self.folder / "pulse")
        variables = {"PULSE_SERVER": f"unix:{self.folder}/pulse/native"}
        self.environment |= variables
        self.run(["pipewire-pulse"], (self.folder / "pulse" / "native").exists)
        return variables

    def move(self, stream: str, sink: str) -> None:
        """Have the stream of this name play on another sink."""
        self.ask("pw-metadata", self._node(stream), "target.object", sink)

    def remove(self, sink: str) -> None:
        """Remove a sink."""
        self.ask("pw-cli", "destroy", self._node(sink))

    def make_default(self, sink: str) -> None:
        """Have all streams play on this sink that follow the default one."""
        self.ask("pw-metadata", "0", "default.configured.audio.sink", json.dumps({"name": sink}), "Spa:String:JSON")

    def set(self, key: str, value: int) -> None:
        """Change a setting of the graph."""
        self.ask("pw-metadata", "-n", "settings", "0", key, str(value))

    def record(self, sink: str, rate_hz: int) -> Recording:
        """Record what a sink plays. The rate must be the graph's: a resampled recording would be late."""
        properties = "{ stream.capture.sink = true node.dont-reconnect = true }"
        command = ["pw-record", f"--target={sink}", f"--properties={properties}", "--format=f32", "--channels=2"]
        return Recording([*command, f"--rate={rate_hz}", "-"], self.environment, rate_hz, lag=1)

    def _node(self, name: str) -> str:
        objects = json.loads(self.ask("pw-dump"))
        names = {one["id"]: one.get("info", {}).get("props", {}).get("node.name") for one in objects}
        return str(next(id_ for id_, its in names.items() if its == name))
