"""CoreAudio's account, compiled as for a Mac, against a simulated output unit that follows Apple's documentation."""

from __future__ import annotations

import ctypes
import pathlib
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
EXT = HERE.parent.parent / "ext"
MACH_TIME = """
typedef struct { unsigned numer, denom; } mach_timebase_info_data_t;
int mach_timebase_info(mach_timebase_info_data_t *);
"""
PRE_RENDER, POST_RENDER = 1 << 2, 1 << 3
SAMPLE_TIME_VALID, HOST_TIME_VALID = 1 << 0, 1 << 1
NOW_NS = 5_000_000_000_000
LEAVES_NS = NOW_NS + 25_000_000
TICK_NS = 125 / 3
STAMPED = (PRE_RENDER, 0, round(LEAVES_NS / TICK_NS), SAMPLE_TIME_VALID | HOST_TIME_VALID)


@pytest.fixture
def shim(tmp_path: pathlib.Path) -> ctypes.CDLL:
    if sys.platform != "linux" or shutil.which("gcc") is None:
        pytest.skip("this needs gcc on Linux")
    (tmp_path / "mach").mkdir()
    (tmp_path / "mach" / "mach_time.h").write_text(MACH_TIME)
    sources = [str(EXT / "pl_account_coreaudio.c"), str(HERE / "coreaudio_shim.c")]
    command = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-multichar", "-shared", "-fPIC", "-D__APPLE__"]
    subprocess.run([*command, f"-I{tmp_path}", f"-I{EXT}", *sources, "-o", str(tmp_path / "shim.so")], check=True)
    shim = ctypes.CDLL(str(tmp_path / "shim.so"))
    shim.open_account.restype = ctypes.c_void_p
    shim.latency.restype = ctypes.c_int64
    shim.query.restype = ctypes.c_bool
    return shim


class Unit:
    """The unit and its account."""

    def __init__(self, shim: ctypes.CDLL) -> None:
        self.shim = shim
        self._account = ctypes.c_void_p(shim.open_account())

    def render(self, action: int, bus: int, host_time: int, flags: int) -> None:
        uint32 = ctypes.c_uint32
        self.shim.render(uint32(action), uint32(bus), ctypes.c_uint64(host_time), uint32(flags))

    def ask(self, frame: int, now_ns: int = NOW_NS) -> tuple[float, int] | None:
        """The moment of the account: (frame, local time in ns); None where it gives none."""
        told, leaves_ns = ctypes.c_double(), ctypes.c_int64()
        frame_, now_ = ctypes.c_int64(frame), ctypes.c_int64(now_ns)
        if not self.shim.query(self._account, frame_, now_, ctypes.byref(told), ctypes.byref(leaves_ns)):
            return None
        return told.value, leaves_ns.value

    def latency_ns(self) -> int:
        return int(self.shim.latency(self._account))


def test_the_first_frame_of_a_buffer_leaves_at_its_stamp(shim: ctypes.CDLL) -> None:
    unit = Unit(shim)
    assert unit.ask(0) is None
    unit.render(*STAMPED)
    moment = unit.ask(480)
    assert moment is not None
    assert moment[0] == 480
    assert abs(moment[1] - (LEAVES_NS + 7)) <= TICK_NS  # 7 is what the shim's local clock is ahead


def test_only_the_first_callback_of_a_buffer_has_a_moment(shim: ctypes.CDLL) -> None:
    unit = Unit(shim)
    unit.render(*STAMPED)
    assert unit.ask(480) is not None
    assert unit.ask(736) is None
    unit.render(*STAMPED)
    assert unit.ask(960) is not None


@pytest.mark.parametrize(
    "other",
    [(POST_RENDER, *STAMPED[1:]), (PRE_RENDER, 1, *STAMPED[2:]), (*STAMPED[:3], SAMPLE_TIME_VALID)],
    ids=["after the rendering", "of the input", "without a host time"],
)
def test_other_notifications_are_ignored(shim: ctypes.CDLL, other: tuple[int, int, int, int]) -> None:
    unit = Unit(shim)
    unit.render(*other)
    assert unit.ask(480) is None


@pytest.mark.parametrize("now_ns", [NOW_NS - 2_000_000_000, NOW_NS + 2_000_000_000])
def test_a_stamp_of_another_time_is_ignored(shim: ctypes.CDLL, now_ns: int) -> None:
    unit = Unit(shim)
    unit.render(*STAMPED)
    assert unit.ask(480, now_ns) is None


def test_the_latency_is_the_sum_of_unit_device_and_stream(shim: ctypes.CDLL) -> None:
    unit = Unit(shim)
    assert unit.latency_ns() == 1_000_000 + 1_000_000 + 500_000
    ctypes.c_double.in_dll(shim, "device_rate").value = float("nan")
    assert unit.latency_ns() == 1_000_000
    ctypes.c_double.in_dll(shim, "unit_latency_s").value = float("nan")
    assert unit.latency_ns() == 0


def test_without_the_functions_there_is_no_account(shim: ctypes.CDLL) -> None:
    ctypes.c_int32.in_dll(shim, "missing").value = 1
    assert shim.open_account() is None
