"""The latency that the kernel tells of an ALSA output, in /proc/asound. Its format is tested; a card never was."""

from __future__ import annotations

import os
import pathlib
import re

from phaselock.audio.latency.probe import Asked, LowestSums, PeriodProbe, frames_ns


class AlsaProbe(PeriodProbe):
    """Reads the state of the playback substream that a thread of this process opened. Where there is none (the output
    is a plugin), only the period is told."""

    def __init__(
        self, rate_hz: int, period_frames: int, asked: Asked, root: pathlib.Path = pathlib.Path("/proc/asound")
    ) -> None:
        super().__init__(rate_hz, period_frames)
        self._root = root
        self._sums = LowestSums(rate_hz, period_frames, asked, self._waits_ns)

    def latency_ns(self) -> int | None:
        latency_ns = self._sums.latency_ns()
        return self.period_ns if latency_ns is None else latency_ns

    def _waits_ns(self) -> int | None:
        for status in self._root.glob("card*/pcm*p/sub*/status"):
            try:
                told = dict(re.findall(r"^(\w+) *: *(\S+)", status.read_text(), re.MULTILINE))
                if told.get("state") != "RUNNING" or not os.path.exists(f"/proc/self/task/{told['owner_pid']}"):
                    continue
                rate = re.search(r"^rate: (\d+)", status.with_name("hw_params").read_text(), re.MULTILINE)
                if rate is not None:
                    return frames_ns(int(told["delay"]), int(rate[1]))
            except (OSError, KeyError, ValueError):
                continue
        return None
