"""The local clock, and the clock map from local to session time."""

from __future__ import annotations

import subprocess
import sys
import time

from phaselock import _native

python_clock_ns = time.perf_counter_ns if sys.platform == "win32" else time.monotonic_ns
"""Python's monotonic clock is too coarse on Windows before 3.13."""


def test_python_and_c_read_the_same_clock() -> None:
    for _ in range(1000):
        before = python_clock_ns()
        between = _native.now_ns()
        after = python_clock_ns()
        assert before <= between <= after


def test_a_skewed_clock_is_ahead_and_runs_fast() -> None:
    program = (
        "import time\nfrom phaselock import _native\n"
        "_native.set_clock_skew(50000.0, 3_000_000_000_000)\n"
        "a, b = time.monotonic_ns(), _native.now_ns()\n"
        "assert 0 <= b - a - 3_000_000_000_000 < 10**9\n"
        "while time.monotonic_ns() - a < 200_000_000: pass\n"
        "c, d = _native.now_ns(), time.monotonic_ns()\n"
        "print((c - b) / (d - a))"
    )
    ratio = float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)
    assert 1.04 < ratio < 1.06


def test_an_identity_map_is_exact() -> None:
    clock_map = _native.ClockMap(identity=True)
    assert clock_map.value().valid
    for local_ns in (0, 1, 1_800_000_000_123_456_789):
        assert clock_map.session_from_local(local_ns) == local_ns
        assert clock_map.local_from_session(local_ns) == local_ns


def test_a_map_is_not_valid_until_it_is_written() -> None:
    assert not _native.ClockMap().value().valid


def test_a_map_and_its_inverse_agree_at_large_values() -> None:
    clock_map = _native.ClockMap()
    now_ns = 1_800_000_000_123_456_789
    clock_map.set(now_ns, -600_000_000_001, 100e-6, 1000.0, 1e-7)
    for away_ns in (-3_600_000_000_000, -1, 0, 7, 7_200_000_000_000):
        session_ns = clock_map.session_from_local(now_ns + away_ns)
        assert abs(session_ns - (now_ns + away_ns - 600_000_000_001 + away_ns // 10_000)) <= 2
        assert abs(clock_map.local_from_session(session_ns) - (now_ns + away_ns)) <= 1
