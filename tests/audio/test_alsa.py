"""libasound must write nothing to standard error: the program reports once that there is no card."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ALSA is Linux's")

TRY = """
import ctypes
from phaselock import _native
from phaselock.audio.device import USER_DATA_OFFSET, Device
from phaselock.errors import AudioDeviceError
_native.Engine.set_user_offset(USER_DATA_OFFSET)
device = Device(_native.Engine(_native.ClockMap(identity=True)), "test", "alsa", "no such card")
try:
    device.open()
except AudioDeviceError as error:
    print(error)
device.close()
opened = ctypes.CDLL("libasound.so.2").snd_pcm_open(ctypes.byref(ctypes.c_void_p()), b"no such card", 0, 0)
assert opened < 0
"""


def test_only_the_program_reports_that_there_is_no_card() -> None:
    alsa = pytest.importorskip("phaselock.audio.alsa")
    if alsa._library() is None:
        pytest.skip("ALSA is not installed")
    done = subprocess.run([sys.executable, "-c", TRY], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == "" and len(done.stdout.splitlines()) == 1, done
