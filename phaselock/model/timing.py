"""What an output knows of the moment at which a frame leaves the loudspeaker, and how people are told."""

from __future__ import annotations

from typing import Literal

Timing = Literal["exact", "told", "unknown"]
"""exact: the platform's account of our own stream, down to the plug. told: second-hand, or with a link behind it that
keeps a part to itself. unknown: nothing that could be relied on."""

DeviceState = Literal["open", "lost", "none"]
"""open: it plays. lost: it is gone and is tried again. none: there is no output."""

TIMING_PHRASES: dict[Timing, str] = {
    "exact": "delay known",
    "told": "delay roughly known",
    "unknown": "delay not known",
}
"""Beside the name of an output."""

TIMING_SENTENCES: dict[Timing, str] = {
    "exact": "",
    "told": "This output tells its delay only roughly; if it plays late, set an offset.",
    "unknown": "This output does not tell its delay; set an offset by ear.",
}
"""What the user of an output should know of it; empty: nothing."""
