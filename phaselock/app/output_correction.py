"""By how much the open output plays earlier: the user's correction, and what a microphone has heard of it.

A calibration is kept for an output by its name. It says what the output hides behind the delay that it tells. If the
told delay changes, another loudspeaker or another codec may have taken its place. The calibration is then set aside:
kept and shown, but not applied.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from phaselock.model.calibration import NOT_CALIBRATED, Calibration, OutputCalibration
from phaselock.model.notices import Code, Notice
from phaselock.model.timing import Timing
from phaselock.model.types import AudioStatus
from phaselock.session.events import DeviceChanged, Event, OutputCalibrated, OutputConfirmed, SyncMeasured, Warned
from phaselock.session.hearing_sentences import set_aside_text
from phaselock.storage.settings import MAX_CORRECTION_MS, SettingsStore

MAX_LATENCY_CHANGE_MS: Mapping[Timing, float | None] = {
    # The latency is an account of all buffers up to the connector. What was heard lies behind that, and stays.
    "exact": None,
    # The buffers are accounted for too: they differ by a period or two. Another codec or device differs by more.
    "told": 30.0,
    # The latency is an estimate from the size of the buffers. What was heard includes the error of that estimate.
    "unknown": 5.0,
}
"""A calibration is right for an output of this timing if its latency has not changed by more. None: in any case."""
LOOKS = 3
"""This number of looks in succession, one a second, decides that a calibration is right again or is not."""


class CorrectedPlayer(Protocol):
    """What the correction needs of a player."""

    def status(self) -> AudioStatus: ...
    def platform_latency_ms(self) -> float: ...
    def knows_latency(self) -> bool: ...
    def set_correction_ms(self, correction_ms: float) -> None: ...


class OutputCorrection:
    """Corrects the output of `player`. For the network thread. `tell` shows an event to the user."""

    def __init__(self, player: CorrectedPlayer, store: SettingsStore, tell: Callable[[Event], None]) -> None:
        self._player = player
        self._store = store
        self._tell = tell
        self._set_aside = False
        self._looks = 0
        """Looks in succession that contradict `_set_aside`."""
        self._replaced: tuple[int, Calibration] | None = None
        """The last change in ns, and the calibration before it."""

    def hear(self, event: Event) -> None:
        """An event of the session."""
        match event:
            case DeviceChanged(state="open", peer=None):
                self._looks = 0
                self._set_aside = self._player.knows_latency() and self._differs()
                self._apply()
                self._warn()
            case SyncMeasured():
                self._look()
            case OutputCalibrated():
                self._calibrated(event)
            case OutputConfirmed() if self._kept().heard_at:
                kept, listener, place = self._kept(), event.listener, event.place
                self._keep(dataclasses.replace(kept, heard_at=time.time(), listener=listener, place=place))

    def view(self) -> OutputCalibration:
        """What is kept for the open output."""
        kept = self._kept()
        elsewhere = [name for name, one in self._store.settings.calibrations.items() if one.heard_at]
        return OutputCalibration(
            kept,
            set_aside=self._set_aside and bool(kept.heard_at),
            latency_ms=self._player.platform_latency_ms(),
            elsewhere=elsewhere[-1] if elsewhere and self._device() and not kept.heard_at else "",
        )

    def set_ms(self, correction_ms: float) -> None:
        """Save the user's correction for the open output, and apply it."""
        if (device := self._device()) is not None:
            self._store.update(corrections_ms={device: correction_ms})
            self._apply()

    def forget(self) -> None:
        """Forget what a microphone has heard of the open output."""
        self._keep(NOT_CALIBRATED)

    def use_anyway(self) -> None:
        """Apply the calibration that was set aside, from now on with the present latency."""
        kept, latency_ms = self._kept(), self._player.platform_latency_ms()
        if kept.heard_at:
            self._keep(dataclasses.replace(kept, latency_ms=latency_ms))

    def _calibrated(self, event: OutputCalibrated) -> None:
        """A microphone has heard the open output, or its last correction is undone."""
        before = self._kept()
        if self._replaced is not None and self._replaced[0] == -event.late_ns:
            restored, self._replaced = self._replaced[1], None
            self._keep(restored)
            return
        self._replaced = event.late_ns, before
        late_ms = (0.0 if self._set_aside else before.late_ms) + event.late_ns / 1e6
        self._keep(
            Calibration(
                late_ms=round(max(-MAX_CORRECTION_MS, min(late_ms, MAX_CORRECTION_MS)), 6),
                spread_ms=event.spread_ns / 1e6,
                heard_at=time.time(),
                latency_ms=self._player.platform_latency_ms(),
                listener=event.listener,
                place=event.place,
            )
        )

    def _keep(self, calibration: Calibration) -> None:
        if (device := self._device()) is not None:
            self._store.update(calibrations={device: calibration})
            self._looks, self._set_aside = 0, self._differs()
            self._apply()

    def _look(self) -> None:
        """The latency of a stream wavers, most of all at its beginning. A difference must last."""
        if not self._player.knows_latency() or self._differs() == self._set_aside:
            self._looks = 0
            return
        self._looks += 1
        if self._looks >= LOOKS:
            self._looks, self._set_aside = 0, not self._set_aside
            self._apply()
            self._warn()

    def _differs(self) -> bool:
        kept, limit_ms = self._kept(), MAX_LATENCY_CHANGE_MS[self._player.status().timing]
        if limit_ms is None or not kept.heard_at:
            return False
        return abs(self._player.platform_latency_ms() - kept.latency_ms) > limit_ms

    def _apply(self) -> None:
        heard_ms = 0.0 if self._set_aside else self._kept().late_ms
        self._player.set_correction_ms(self._store.settings.correction_ms(self._device()) + heard_ms)

    def _warn(self) -> None:
        if self._set_aside:
            self._tell(Warned(None, Notice(Code.CALIBRATION_SET_ASIDE, set_aside_text(self.view()))))

    def _kept(self) -> Calibration:
        return self._store.settings.calibration(self._device())

    def _device(self) -> str | None:
        return self._player.status().device_name
