"""How exactly the time is known at which a frame leaves the loudspeaker, and the texts about it for users."""

from __future__ import annotations

from typing import Literal

from phaselock.language.message import N_

Timing = Literal["exact", "told", "unknown"]
"""exact: the platform reports the delay of our stream up to the connector. told: the report is indirect, or a link
after the output adds a delay that is not reported. unknown: no reliable report."""

DeviceState = Literal["open", "lost", "none"]
"""open: the output plays. lost: it has failed and is tried again. none: there is no output."""

TIMING_PHRASES: dict[Timing, str] = {
    "exact": N_("delay known"),
    "told": N_("delay roughly known"),
    "unknown": N_("delay not known"),
}
"""Texts beside the name of an output."""

TIMING_SENTENCES: dict[Timing, str] = {
    "exact": "",
    "told": N_("This output tells its delay only roughly; if it plays late, set an offset."),
    "unknown": N_("This output does not tell its delay; set an offset by ear."),
}
"""Advice for the user of an output; may be empty."""
