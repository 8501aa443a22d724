"""What a program knows of the session that it opens, before it is open."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from phaselock.audio.virtual_device import VirtualCard
from phaselock.frozen import frozen
from phaselock.model.invitation import Invitation
from phaselock.model.loudness import LoudnessChoice
from phaselock.model.party import PartyRules
from phaselock.network.reach import Place


@frozen
class HostOptions:
    """How to host. None: use the value of the settings."""

    session_name: str | None = None
    display_name: str | None = None
    bind: str = ""
    port: int | None = None
    clock_port: int | None = None
    max_peers: int | None = None
    """How many peers may join, 1 to MAX_PEERS."""
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
    outside_port: int | None = None
    """TCP port for friends elsewhere, while an invitation is open. None: DEFAULT_OUTSIDE_PORT, or another one."""
    succession: bool = True
    """Another machine becomes the host when this one is lost, or hands the session over."""
    relay: str = ""
    """By which friends come in where the router does not let them in: see model/relay.py. Empty: the default one,
    if the extra is installed."""


@frozen
class JoinOptions:
    """How to join. `places` empty: search for the session on the network. Other options None: use the settings."""

    places: Sequence[Place] = ()
    """Where the host is; all of them lead to one host."""
    session_name: str | None = None
    """The session to search for; with `places`, the name of the one that is there, if it is known."""
    session_id: str = ""
    """With `places`: in hex digits, of the one that is announced there, or its beginning. Another one is not joined.
    Empty: any."""
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
    may_host: bool = True
    """This machine may become the host."""
    microphone: str | None = None
    """The sound input that the host may use for `calibrate`; empty: the one of the settings, or the default one of the
    system. None: the host may use it only if the user permits it later."""
    clock_ports: Mapping[Place, int] = dataclasses.field(default_factory=dict)
    """The UDP port of a place, where it is not the one that the host tells."""
    version: int = 0
    """Of the host's protocol; 0: not known. The host of another one is not joined."""
    node: str = ""
    """How the host is found by the bridge over iroh; empty: not at all. See app/bridge.py."""
    relay: str = ""
    """The relay of this bridge: see model/relay.py. Empty: what `node` says."""

    def with_invitation(self, invitation: Invitation) -> JoinOptions:
        """With the places that an invitation tells, and with its code if there is no other one."""
        return dataclasses.replace(
            self,
            places=invitation.places,
            clock_ports=invitation.clock_ports,
            session_id=invitation.session.hex(),
            version=invitation.version,
            node=invitation.node,
            code=self.code or invitation.code,
        )
