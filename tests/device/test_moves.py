"""Playback on real sound servers, compared with recordings of their sinks. A song is in phase from the start, and
again soon after a user or the server has moved or stopped the stream.

All times come from the recordings, so a delayed test measures the same. But the player and the server must get the
processor in time: if they are interrupted for longer than their buffers last, the sound really is late. Therefore each
test has three tries.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.lone_player import TURN_S
from tests.support.pcm import loudness
from tests.support.programs import ROOT
from tests.support.sound_servers import TIMEOUT_S, PipeWireServer, PulseServer, Recording, SoundServer, until
from tests.support.tries import TRIES, best_of_tries

pytestmark = [
    pytest.mark.device,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the servers are Linux's"),
]

MAX_LATE_MS = 1.0
"""The promised limit. On a quiet computer the recordings show 0.2 to 0.5, of which 0.2 are errors of the recording."""
TIMEOUT_OPEN_S = 60.0
BACK_WITHIN_S = 2.0
UNSURE_S = 1.1
"""The mishap may affect the times of a recording from this long before it; see Recording.heard."""
BEFORE_S, AFTER_S = 4.0, 4.0
LAST_S = 0.5
"""The last part that was played may not have been recorded yet."""
WINDOW_NS = 20_000_000
MIN_GOOD = 0.9
"""Fraction of the windows that must be in phase."""


class Party:
    """A server with the sinks `a` (the default) and `b`, recordings of both, and a process that plays on it."""

    backend: str
    rates_hz = {"a": 48000, "b": 48000}

    def __init__(self, server: SoundServer) -> None:
        self.server = server
        self.recordings: list[tuple[str, Recording]] = []
        self.told: list[dict[str, Any]] = []
        self.listen()

    def record(self, sink: str) -> Recording:
        raise NotImplementedError

    def listen(self) -> None:
        """Start new recordings of both sinks."""
        for _, recording in self.recordings:
            recording.close()
        self.recordings += [(sink, self.record(sink)) for sink in self.rates_hz]

    def play(self, *options: str, after_s: float = 1.5) -> None:
        """Open an output, and start to play after this time. Returns when it plays."""
        command = [sys.executable, "-m", "tests.support.lone_player", self.backend, *options]
        self.player = subprocess.Popen(
            command, cwd=ROOT, env=self.server.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        until(lambda: bool(self.names()), TIMEOUT_OPEN_S)
        self.start_ns = time.monotonic_ns() + round(after_s * 1e9)
        assert self.player.stdin
        self.player.stdin.write(f"{self.start_ns}\n".encode())
        self.player.stdin.flush()
        until(lambda: time.monotonic_ns() > self.start_ns, after_s + TIMEOUT_S)

    def end(self) -> None:
        """End the player, then the recordings and the server."""
        if hasattr(self, "player"):
            assert self.player.stdin and self.player.stdout
            self.player.stdin.close()
            assert self.player.wait() == 0
            self._thread.join()
            self.player.stdout.close()
        for _, recording in self.recordings:
            recording.close()
        self.server.kill()

    def late_ms(self, sink: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """(local time in ns, how much later than planned the sink played) for windows of 20 ms; NaN where a
        window contains silence."""
        times, lates = [], []
        for name, recording in self.recordings:
            if name == sink:
                at_ns, sound = recording.heard()
                turn_ns = TURN_S * 1e9
                place_ns = np.arctan2(sound[:, 0], sound[:, 1]) / (2 * np.pi) * turn_ns
                late_ns = (at_ns - self.start_ns - place_ns + turn_ns / 2) % turn_ns - turn_ns / 2
                late_ns[loudness(sound) < 0.5] = np.nan
                frames = WINDOW_NS * recording.rate_hz // 1_000_000_000
                windows = len(late_ns) // frames
                lates.append(np.median(late_ns[: windows * frames].reshape(windows, frames), axis=1) / 1e6)
                times.append(at_ns[: windows * frames : frames])
        return np.concatenate(times), np.concatenate(lates)

    def assert_in_phase(self, sink: str, from_ns: float, until_ns: float) -> None:
        """The sink played without a gap and in phase, except for a few windows in which a process was interrupted."""
        times, late_ms = self.late_ms(sink)
        inside = (times > from_ns) & (times < until_ns)
        assert inside.sum() > 0.9 * (until_ns - from_ns) / WINDOW_NS
        good = np.abs(late_ms[inside]) < MAX_LATE_MS
        assert good.mean() > MIN_GOOD, self._story(sink, from_ns, times[inside], late_ms[inside])

    def names(self) -> list[str]:
        """The names of the output, in their order."""
        return [one["name"] for one in self.told if one["event"] == "device" and one["state"] == "open"]

    def _listen(self) -> None:
        assert self.player.stdout
        self.told.extend(map(json.loads, self.player.stdout))

    def _story(self, sink: str, from_ns: float, times: npt.NDArray[np.int64], late_ms: npt.NDArray[np.float64]) -> str:
        heard = [f"{(t - from_ns) / 1e9:.1f} s: {ms:.2f} ms" for t, ms in zip(times, late_ms, strict=True)][::10]
        keys = "at_ns", "device", "timing", "phase_error_ns", "lead_ns", "slips", "jumps", "underruns"
        looks = [tuple(one[key] for key in keys) for one in self.told if one["event"] == "look"][::5]
        events = [one for one in self.told if one["event"] == "device"]
        return f"{sink} played late by {heard}; since {from_ns:.0f}; told were {events}, {keys}: {looks}"


class PulseParty(Party):
    backend = "pulseaudio"
    tools = "pulseaudio", "pactl", "parec"
    rates_hz = {"a": 44100, "b": 48000}
    _LATENCIES_MS = {"a": 500, "b": 20}

    def __init__(self, folder: pathlib.Path) -> None:
        sink = "sink_name={0} rate={1} norewinds=1 format=float32le sink_properties=device.description=Sink-{0}"
        self.pulse = PulseServer(folder, [sink.format(name, rate_hz) for name, rate_hz in self.rates_hz.items()])
        super().__init__(self.pulse)

    def record(self, sink: str) -> Recording:
        # Recordings follow the default source: keep it when the default sink changes.
        self.pulse.ask("pactl", "set-default-source", "a.monitor")
        return self.pulse.record(sink, self.rates_hz[sink], self._LATENCIES_MS[sink])

    def move(self) -> None:
        self.pulse.move("b")

    def make_b_default(self) -> None:
        self.pulse.ask("pactl", "set-default-sink", "b")

    def take_a_away(self) -> None:
        number = self.pulse.ask("pactl", "list", "short", "modules").split()[0]
        self.pulse.ask("pactl", "unload-module", number)

    def hold_up(self) -> None:
        """The sink stops for a time that is too short to be noticed as a loss."""
        self.pulse.ask("pactl", "suspend-sink", "a", "1")
        time.sleep(0.2)
        self.pulse.ask("pactl", "suspend-sink", "a", "0")

    def stop_for_long(self) -> None:
        self.pulse.ask("pactl", "suspend-sink", "a", "1")
        time.sleep(3)
        self.pulse.ask("pactl", "suspend-sink", "a", "0")

    def change_buffers(self) -> None:
        """Another program requests less latency for some time: the sink changes to smaller blocks and back."""
        command = ["pacat", "--device=a", "--latency-msec=20", "/dev/zero"]
        with subprocess.Popen(command, env=self.server.environment) as other:
            time.sleep(2)
            other.kill()


class PipeWireParty(Party):
    backend = "pipewire"
    tools = "pipewire", "wireplumber", "dbus-daemon", "pw-record", "pw-metadata", "pw-dump", "pw-cli"

    def __init__(self, folder: pathlib.Path) -> None:
        sink = "node.name = {0} node.description = Sink-{0} priority.driver = {1} priority.session = {1} {2}"
        # The quantum of `b` is twice that of the graph, and it has its own timer.
        sinks = [sink.format("a", 2000, ""), sink.format("b", 1000, "node.force-quantum = 2048")]
        self.pipewire = PipeWireServer(folder, sinks)
        super().__init__(self.pipewire)

    def record(self, sink: str) -> Recording:
        return self.pipewire.record(sink, self.rates_hz[sink])

    def move(self) -> None:
        self.pipewire.move("phaselock-test", "b")

    def make_b_default(self) -> None:
        self.pipewire.make_default("b")

    def take_a_away(self) -> None:
        self.pipewire.remove("a")

    def change_buffers(self) -> None:
        self.pipewire.set("clock.force-quantum", 4096)

    def change_rate(self) -> None:
        self.rates_hz = {"a": 44100, "b": 44100}
        self.pipewire.set("clock.force-rate", 44100)
        self.listen()


PARTIES: dict[str, Any] = {"pulseaudio": PulseParty, "pipewire": PipeWireParty}


@pytest.fixture
def party(tmp_path: pathlib.Path) -> Iterator[Callable[[str], contextlib.AbstractContextManager[Any]]]:
    folders = (tmp_path / str(number) for number in range(TRIES))

    @contextlib.contextmanager
    def make(kind: str) -> Iterator[Any]:
        if not all(map(shutil.which, PARTIES[kind].tools)):
            pytest.skip(f"{kind} is not installed")
        folder = next(folders)
        folder.mkdir()
        one = PARTIES[kind](folder)
        try:
            yield one
        finally:
            one.end()

    return make


NewParty = Callable[[str], contextlib.AbstractContextManager[Any]]
both = pytest.mark.parametrize("kind", ["pulseaudio", "pipewire"])


def play_on(seconds: float) -> int:
    """Wait, and return the local time in ns afterwards."""
    time.sleep(seconds)
    return time.monotonic_ns()


def in_phase_again(
    kind: str, party: NewParty, mishap: Callable[[Any], None], sink: str = "a", options: Sequence[str] = ()
) -> None:
    """The player plays on `a` until the mishap and on `sink` soon after it, and reports these names."""

    def once() -> None:
        with party(kind) as one:
            one.play(*options)
            happened_ns = play_on(BEFORE_S)
            mishap(one)
            back_ns = time.monotonic_ns() + BACK_WITHIN_S * 1e9
            end_ns = play_on(BACK_WITHIN_S + AFTER_S) - LAST_S * 1e9
            one.assert_in_phase("a", one.start_ns + 1e9, happened_ns - UNSURE_S * 1e9)
            one.assert_in_phase(sink, back_ns, end_ns)
            assert (one.names()[0], one.names()[-1]) == ("Sink-a", f"Sink-{sink}")

    best_of_tries(once)


@both
def test_frames_leave_when_the_engine_says(kind: str, party: NewParty) -> None:
    def once() -> None:
        with party(kind) as one:
            one.play()
            end_ns = play_on(BEFORE_S + AFTER_S) - LAST_S * 1e9
            one.assert_in_phase("a", one.start_ns + 0.1e9, end_ns)

    best_of_tries(once)


def test_what_starts_after_a_rest_is_in_phase(party: NewParty) -> None:
    """After half a minute without a song, the account asks PulseAudio for a long buffer. The player tells the longer
    lead seconds before. When a song starts, the buffer becomes short again."""

    def once() -> None:
        with party("pulseaudio") as one:
            one.play("--at-last", after_s=38)
            end_ns = play_on(BEFORE_S + AFTER_S) - LAST_S * 1e9
            one.assert_in_phase("a", one.start_ns + 0.1e9, end_ns)
            leads_s = {
                (look["at_ns"] - one.start_ns) / 1e9: look["lead_ns"] / 1e9
                for look in one.told
                if look["event"] == "look"
            }
            assert max(lead_s for at_s, lead_s in leads_s.items() if -30 < at_s < -15) < 0.15
            assert min(lead_s for at_s, lead_s in leads_s.items() if -5 < at_s < 0) > 0.3
            assert min(lead_s for at_s, lead_s in leads_s.items() if at_s > 0) < 0.15

    best_of_tries(once)


def median_ms(late_ms: npt.NDArray[np.float64]) -> float:
    """Of the windows without silence. AssertionError if there are none."""
    assert np.isfinite(late_ms).any(), "nothing was heard"
    return float(np.nanmedian(late_ms))


def settled_ms(one: Party) -> float:
    """How late, in ms, it plays on its first sink."""
    play_on(BEFORE_S)
    times, late_ms = one.late_ms("a")
    return median_ms(late_ms[times > one.start_ns + 1e9])


@both
def test_a_wrong_report_is_found_in_the_recording(kind: str, party: NewParty) -> None:
    def once() -> None:
        with party(kind) as one:
            one.play("--correct=Sink-a=3")
            assert abs(settled_ms(one) + 3) < MAX_LATE_MS

    best_of_tries(once)


def test_by_its_callbacks_alone_a_stream_is_late(party: NewParty) -> None:
    """The buffer of PulseAudio for the stream."""

    def once() -> None:
        with party("pulseaudio") as one:
            one.play("--no-account")
            assert settled_ms(one) > 20

    best_of_tries(once)


@both
def test_a_stream_that_is_moved(kind: str, party: NewParty) -> None:
    in_phase_again(kind, party, lambda one: one.move(), "b")


@both
def test_another_default_output(kind: str, party: NewParty) -> None:
    in_phase_again(kind, party, lambda one: one.make_b_default(), "b")


@both
def test_an_output_that_is_taken_away(kind: str, party: NewParty) -> None:
    in_phase_again(kind, party, lambda one: one.take_a_away(), "b")


@both
def test_a_chosen_output_stays_when_the_default_changes(kind: str, party: NewParty) -> None:
    in_phase_again(kind, party, lambda one: one.make_b_default(), options=["--device=Sink-a"])


@both
def test_a_chosen_output_that_is_taken_away(kind: str, party: NewParty) -> None:
    in_phase_again(kind, party, lambda one: one.take_a_away(), "b", ["--device=Sink-a"])


@both
def test_the_correction_is_that_of_the_new_output(kind: str, party: NewParty) -> None:
    def once() -> None:
        with party(kind) as one:
            one.play("--correct=Sink-b=30")
            play_on(BEFORE_S)
            one.move()
            moved_ns = time.monotonic_ns()
            play_on(BACK_WITHIN_S + AFTER_S)
            times, late_ms = one.late_ms("b")
            after = late_ms[times > moved_ns + BACK_WITHIN_S * 1e9]
            assert abs(median_ms(after) + 30) < MAX_LATE_MS

    best_of_tries(once)


@both
def test_a_server_that_is_started_again(kind: str, party: NewParty) -> None:
    def restart(one: Party) -> None:
        one.server.kill()
        time.sleep(1)
        one.server.start()
        one.listen()

    in_phase_again(kind, party, restart)


@both
def test_buffers_that_the_server_changes(kind: str, party: NewParty) -> None:
    in_phase_again(kind, party, lambda one: one.change_buffers())


@both
def test_a_program_that_was_stopped(kind: str, party: NewParty) -> None:
    def stop(one: Party) -> None:
        one.player.send_signal(signal.SIGSTOP)
        time.sleep(3)
        one.player.send_signal(signal.SIGCONT)

    in_phase_again(kind, party, stop)


@both
def test_a_machine_that_slept(kind: str, party: NewParty) -> None:
    def sleep(one: Party) -> None:
        one.server.freeze()
        one.player.send_signal(signal.SIGSTOP)
        time.sleep(3)
        one.server.thaw()
        one.player.send_signal(signal.SIGCONT)

    in_phase_again(kind, party, sleep)


def test_a_sink_that_is_held_up(party: NewParty) -> None:
    in_phase_again("pulseaudio", party, lambda one: one.hold_up())


def test_a_sink_that_stops_for_long(party: NewParty) -> None:
    in_phase_again("pulseaudio", party, lambda one: one.stop_for_long())


def test_another_rate_of_the_graph(party: NewParty) -> None:
    in_phase_again("pipewire", party, lambda one: one.change_rate())
