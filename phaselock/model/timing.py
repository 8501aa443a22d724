"""How exactly the time is known at which a frame leaves the loudspeaker, and the texts about it for users."""

from __future__ import annotations

from typing import Literal

Timing = Literal["exact", "told", "unknown"]
"""exact: the platform reports the delay of our stream up to the connector. told: the report is indirect, or a link
behind the output adds a delay that it does not report. unknown: no reliable report."""

DeviceState = Literal["open", "lost", "none"]
"""open: it plays. lost: it is gone and is tried again. none: there is no output."""

TIMING_PHRASES: dict[Timing, str] = {
    "exact": "delay known",
    "told": "delay roughly known",
    "unknown": "delay not known",
}
"""Shown beside the name of an output."""

TIMING_SENTENCES: dict[Timing, str] = {
    "exact": "",
    "told": "This output tells its delay only roughly; if it plays late, set an offset.",
    "unknown": "This output does not tell its delay; set an offset by ear.",
}
"""Advice about an output for its user; may be empty."""
