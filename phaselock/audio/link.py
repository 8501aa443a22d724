"""The link behind an output: what follows after the point whose delay the sound system reports, and how much delay the
link adds that is not reported.

The account of an output is the platform's report of when its frames are played."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from phaselock.model.timing import Timing

Link = Literal["wire", "bluetooth", "hdmi", "server", "pipewire-jack"]

LINK_TIMINGS: dict[Link, tuple[Timing, int | None]] = {
    "wire": ("exact", 0),
    # The sound system estimates the delay of the codec and the radio. The loudspeaker does not report its buffer.
    "bluetooth": ("told", 300_000_000),
    # A television delays the sound to match its picture processing, and does not report that.
    "hdmi": ("told", 100_000_000),
    # The account comes from a plugin or protocol in front of another sound server. In measurements it was wrong by 5 to
    # 104 ms, with a different error in every session.
    "server": ("unknown", None),
    # PipeWire takes the time of a JACK cycle from the card's pointer, which moves in bursts (see PL_NOISE_BURST).
    "pipewire-jack": ("exact", 350_000),
}

"""The best timing that an account can have with this link, and the delay in ns that it may leave out (None:
unknown)."""

_ORDER: tuple[Timing, ...] = ("exact", "told", "unknown")


def timing_of(account: Timing, link: Link) -> Timing:
    """The timing of an output: the worse one of its account and its link."""
    return max(account, LINK_TIMINGS[link][0], key=_ORDER.index)


def link_of(properties: Mapping[str, str]) -> Link:
    """The link of a sink, from its properties in PulseAudio or PipeWire."""
    bus, api, name = (properties.get(key, "") for key in ("device.bus", "device.api", "node.name"))
    if bus == "bluetooth" or api.startswith("bluez") or name.startswith(("bluez_output.", "bluez_sink.")):
        return "bluetooth"
    places = (name, *(properties.get(key, "") for key in ("device.profile.name", "device.string", "active.port")))
    return "hdmi" if any("hdmi" in place.lower() for place in places) else "wire"
