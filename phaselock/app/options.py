"""What a program knows of the session that it opens, before it is open."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from phaselock.audio.virtual_device import VirtualCard
from phaselock.model.loudness import LoudnessChoice
from phaselock.model.party import PartyRules
from phaselock.network.reach import Place


@dataclasses.dataclass(frozen=True, slots=True)
class HostOptions:
    """How to host. None: use the value of the settings."""

    session_name: str | None = None
    display_name: str | None = None
    bind: str = ""
    port: int | None = None
    clock_port: int | None = None
    unlisted: bool = False
    backend: str = "auto"
    device: str | None = None
    card: VirtualCard = VirtualCard()
    microphone: str = ""
    """The sound input for `calibrate`; empty: the one of the settings, or the default one of the system."""
    loudness: LoudnessChoice | None = None
    """The loudness of all songs."""
    crossfade_s: float | None = None
    """How long the songs cross-fade."""
    skip_silence: bool | None = None
    """Leave out the silence at the ends of songs."""
    rules: PartyRules | None = None
    """By which songs that people ask for are taken and ordered."""
    code: str = dataclasses.field(default="", repr=False)
    """What others must know to join, in its normal form; empty: everybody may join."""
    library: str | None = None
    """The folder whose songs can be searched; empty: none."""
    guest_port: int | None = None
    """TCP port of the page for guests, if it is switched on. None: DEFAULT_GUEST_PORT."""


@dataclasses.dataclass(frozen=True, slots=True)
class JoinOptions:
    """How to join. `places` empty: search for the session on the network. Other options None: use the settings."""

    places: Sequence[Place] = ()
    """Where the host is; all of them lead to one host."""
    session_name: str | None = None
    """The session to search for; with `places`, the name of the one that is there, if it is known."""
    session_id: str = ""
    """With `places`: in hex digits, of the one that is announced there. Another one is not joined. Empty: any."""
    host_key: str = ""
    """With `places`: the beginning of the key, in hex digits, that is announced there. A host with another one is not
    joined. Empty: any."""
    display_name: str | None = None
    cache: str | None = None
    backend: str = "auto"
    device: str | None = None
    card: VirtualCard = VirtualCard()
    clock_filter: str = "envelope"
    code: str = dataclasses.field(default="", repr=False)
    """The code of the session, in its normal form; empty: the user was told none."""
    microphone: str | None = None
    """The sound input that the host may use for `calibrate`; empty: the one of the settings, or the default one of the
    system. None: the host may use it only if the user permits it later."""
