"""What lies behind the account of an output, and how much of the delay it keeps to itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from phaselock.model.timing import Timing

Link = Literal["wire", "bluetooth", "hdmi", "server", "pipewire-jack"]

WORTH: dict[Link, tuple[Timing, int | None]] = {
    # The best timing that an account can have with this link behind it, and the ns that stay untold.
    "wire": ("exact", 0),
    # The sound system estimates what the codec and the radio take. What the loudspeaker buffers is not told.
    "bluetooth": ("told", 300_000_000),
    # A television delays the sound to match its picture processing, and does not tell.
    "hdmi": ("told", 100_000_000),
    # The account is that of a plugin or a protocol in front of another sound server: measured, it was wrong by 5 to
    # 104 ms, and by another amount in every session.
    "server": ("unknown", None),
    # PipeWire takes the time of JACK's cycles from the card's pointer, which moves in bursts (see PL_NOISE_BURST).
    "pipewire-jack": ("exact", 350_000),
}

_ORDER: tuple[Timing, ...] = ("exact", "told", "unknown")


def timing_of(account: Timing, link: Link) -> Timing:
    """The timing of an output by what its account and its link are worth."""
    return max(account, WORTH[link][0], key=_ORDER.index)


def link_of(properties: Mapping[str, str]) -> Link:
    """The link of a sink, by the properties that PulseAudio and PipeWire give it."""
    bus, api, name = (properties.get(key, "") for key in ("device.bus", "device.api", "node.name"))
    if bus == "bluetooth" or api.startswith("bluez") or name.startswith(("bluez_output.", "bluez_sink.")):
        return "bluetooth"
    places = (name, *(properties.get(key, "") for key in ("device.profile.name", "device.string", "active.port")))
    return "hdmi" if any("hdmi" in place.lower() for place in places) else "wire"
