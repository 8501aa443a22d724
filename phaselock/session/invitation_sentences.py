"""What people are told about the invitation for friends elsewhere: what is between this machine and the internet, and
what helps."""

from __future__ import annotations

from phaselock.language.message import N_, Message
from phaselock.model.invitation import InvitationState, Nat
from phaselock.session.commands import InvitationPlaces

_NOTHING = Message("")
_BY_HAND = N_(
    "Switch on UPnP, NAT-PMP or PCP in it, or let it forward TCP port {port} and UDP port {clock_port} to this machine."
)
REACHABLE: dict[Nat, str] = {
    Nat.OPEN: N_("This machine can be reached from the internet."),
    Nat.PUBLIC: N_("This machine can be reached from the internet."),
}
"""What is said when a friend can reach this machine; for all other verdicts `_ROUTER_OPENS`."""
_ROUTER_OPENS = N_("The router lets your friend in.")
WHAT_IT_IS: dict[Nat, str] = {
    Nat.OPEN: N_("A firewall may keep your friend out."),
    Nat.PUBLIC: N_("A firewall may keep your friend out."),
    Nat.HOME: N_("The router does not let your friend in by itself."),
    Nat.DOUBLE: N_("There are two routers between this machine and the internet, and the outer one lets no friend in."),
    Nat.CARRIER: N_("The internet provider shares one address among many homes, so no friend can connect to this one."),
    Nat.UNKNOWN: N_("It is not known whether your friend can reach this machine."),
}
"""What is said when a friend cannot."""
WHAT_HELPS: dict[Nat, str] = {
    Nat.OPEN: N_("Open TCP port {port} and UDP port {clock_port} on this machine."),
    Nat.PUBLIC: N_("Open TCP port {port} and UDP port {clock_port} on this machine."),
    Nat.HOME: _BY_HAND,
    Nat.DOUBLE: N_("Connect this machine to the outer router, or let that one forward to the inner one."),
    Nat.CARRIER: N_("Ask the provider for an address of your own, or use a network such as Tailscale on both sides."),
    Nat.UNKNOWN: _BY_HAND,
}


def way_sentence(state: InvitationState, places: InvitationPlaces, clock_port: int) -> Message:
    """What is known of the way to this machine, and what helps. Empty: there is nothing to say."""
    match state:
        case InvitationState.OPENING:
            return Message("The router is asked to let your friend in.")
        case InvitationState.WITHDRAWN:
            return Message("The invitation is withdrawn. Who came in by it stays.")
        case InvitationState.CLOSED:
            return _NOTHING
    if places.reachable:
        return Message(REACHABLE.get(places.nat, _ROUTER_OPENS))
    helps = Message(WHAT_HELPS[places.nat], port=places.port, clock_port=clock_port)
    return Message.joined(" ", [Message(WHAT_IT_IS[places.nat]), helps])
