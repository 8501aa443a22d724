"""ALSA's account, compiled against a simulated stream: the time of each frame of its card is known."""

from __future__ import annotations

import ctypes
import pathlib
import shutil
import subprocess
import sys

import pytest

from phaselock import _native

HERE = pathlib.Path(__file__).parent
EXT = HERE.parent.parent / "ext"
HZ = 48000
PERIOD = 960
BEGAN_NS = 5_000_000_000


@pytest.fixture
def shim(tmp_path: pathlib.Path) -> ctypes.CDLL:
    if sys.platform != "linux" or shutil.which("gcc") is None:
        pytest.skip("this needs gcc on Linux")
    sources = [str(EXT / "pl_account_alsa.c"), str(HERE / "alsa_shim.c")]
    command = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-Dnanosleep=shim_nanosleep"]
    command += ["-D_POSIX_C_SOURCE=200809L", f"-I{EXT}", *sources, "-o", str(tmp_path / "shim.so"), "-lm"]
    subprocess.run(command, check=True)
    shim = ctypes.CDLL(str(tmp_path / "shim.so"))
    shim.open_account.restype = ctypes.c_void_p
    shim.query.restype = ctypes.c_bool
    return shim


class Stream:
    """A stream that is called back every period, and the output clock of its account."""

    def __init__(self, shim: ctypes.CDLL, *, burst: int, ppm: float) -> None:
        self.shim = shim
        self.true_hz = HZ * (1 + ppm * 1e-6)
        ctypes.c_double.in_dll(shim, "burst_frames").value = burst
        ctypes.c_double.in_dll(shim, "true_rate").value = self.true_hz
        self.now_ns = ctypes.c_int64.in_dll(shim, "now_ns")
        self.began_ns = ctypes.c_int64.in_dll(shim, "began_ns")
        self.offset_frames = ctypes.c_int64.in_dll(shim, "offset_frames")
        self.running = ctypes.c_int32.in_dll(shim, "running")
        self.began_ns.value = self.now_ns.value = BEGAN_NS
        self.account = ctypes.c_void_p(shim.open_account())
        self.clock = _native.OutputClock("burst", HZ)
        self.frame = 0
        self.burst_ns = 0.0

    def run(self, seconds: float) -> Stream:
        for _ in range(round(seconds * HZ / PERIOD)):
            self.now_ns.value = BEGAN_NS + 3_000_000 + self.frame * 1_000_000_000 // HZ
            frame, burst_ns = ctypes.c_double(), ctypes.c_double()
            leaves_ns, after_ns, restarted = ctypes.c_int64(), ctypes.c_int64(), ctypes.c_bool()
            moment = frame, leaves_ns, after_ns, burst_ns, restarted
            written = 3 * PERIOD + self.frame
            if self.shim.query(self.account, ctypes.c_int64(written), *map(ctypes.byref, moment)):
                self.burst_ns = burst_ns.value
                bounds = after_ns.value, burst_ns.value, restarted.value
                self.clock.add(frame.value, leaves_ns.value, self.now_ns.value, PERIOD, *bounds)
            self.frame += PERIOD
        return self

    @property
    def error_us(self) -> float:
        """By how much the next frame leaves later than the output clock says, negated."""
        frame = self.frame - self.offset_frames.value
        leaves_ns = self.began_ns.value + frame * 1e9 / self.true_hz
        return (self.clock.leaves_ns(self.frame) - leaves_ns) / 1e3


@pytest.mark.parametrize("ppm", [25, -80])
def test_a_pointer_that_moves_frame_by_frame(shim: ctypes.CDLL, ppm: float) -> None:
    stream = Stream(shim, burst=1, ppm=ppm).run(10)
    assert stream.burst_ns == pytest.approx(1e9 / HZ)
    assert abs(stream.error_us) < 25


@pytest.mark.parametrize("ppm", [25, -80])
def test_a_pointer_that_moves_ten_milliseconds_at_a_time(shim: ctypes.CDLL, ppm: float) -> None:
    """Callbacks come at one place of a burst; the account reads the pointer at all places."""
    stream = Stream(shim, burst=480, ppm=ppm).run(10)
    assert stream.burst_ns == pytest.approx(10e6)
    assert abs(stream.error_us) < 300
    stream.run(20)
    assert abs(stream.error_us) < 100


@pytest.mark.parametrize("burst", [1, 32, 480])
@pytest.mark.parametrize("is_seen", [True, False])
def test_a_restarted_stream(shim: ctypes.CDLL, burst: int, is_seen: bool) -> None:
    """After an underrun, which callbacks may not see, the pointer starts elsewhere: this is not one of its steps."""
    stream = Stream(shim, burst=burst, ppm=25).run(10)
    if is_seen:
        stream.running.value = 0
        stream.run(0.1)
        stream.running.value = 1
    stream.offset_frames.value = 101
    stream.run(0.5)
    assert stream.clock.slips == 1
    stream.run(9.5)
    assert abs(stream.error_us) < (300 if burst == 480 else burst * 21 + 25)
    assert burst < 480 or (stream.clock.slips == 1 and stream.burst_ns == pytest.approx(10e6))
