"""What people are told about the invitation for friends elsewhere: what is between this machine and the internet, and
what helps."""

from __future__ import annotations

from phaselock.language.message import N_, Message
from phaselock.model.invitation import InvitationState, Nat
from phaselock.session.commands import InvitationPlaces

WRONG_INVITATION = N_("This invitation is wrong or no longer valid. Ask the host for a new one.")
_NOTHING = Message("")
_BY_HAND = N_(
    "Switch on UPnP, NAT-PMP or PCP in the router, or let it forward TCP port {port} and UDP port {clock_port} to this "
    "machine."
)
_ROUTER_OPENS = N_("The router lets your friend in.")
_PUBLIC = N_("This machine has a public address. Only a firewall can keep your friend out.")
_RELAYS = N_(
    "You then meet over {relays}: there both internet addresses are seen, and how much is sent, but nothing of the "
    "music."
)
_EXTRA_MISSING = N_(
    "Or leave the router as it is, and install an extra for that on both machines: {command}. Then start PhaseLock "
    "again, and invite again."
)
WHAT_IT_IS: dict[Nat, str] = {
    Nat.OPEN: N_("The router opens only one of the two ports that your friend needs."),
    Nat.PUBLIC: N_("A firewall may keep your friend out."),
    Nat.HOME: N_("The router does not let your friend in by itself."),
    Nat.DOUBLE: N_("There are two routers between this machine and the internet, and the outer one lets no friend in."),
    Nat.CARRIER: N_("The internet provider shares one address among many homes, so no friend can connect to this one."),
    Nat.UNKNOWN: N_("It is not known whether your friend can reach this machine."),
}
"""What is said when a friend cannot reach this machine."""
PROBLEMS = {
    "no_router": N_("This machine has no connection to the internet."),
    "no_answer": N_("The router opens no ports by itself."),
    "no_upnp_library": N_(
        "The router is asked by PCP and NAT-PMP only, and does not answer: miniupnpc is missing here."
    ),
    "refused": N_("The router refuses to let your friend in."),
    "no_public_address": N_("The router has no connection to the internet, or no public address."),
    "no_ports": N_("The router has no free port for your friend."),
    "failed": N_("The router did not open the ports."),
}
"""The same for what the mapper tells (internet/state.py), in place of the verdicts HOME and UNKNOWN."""
WHAT_HELPS: dict[Nat, str] = {
    Nat.OPEN: _BY_HAND,
    Nat.PUBLIC: N_("Open TCP port {port} and UDP port {clock_port} on this machine."),
    Nat.HOME: _BY_HAND,
    Nat.DOUBLE: N_("Connect this machine to the outer router, or let that one forward to the inner one."),
    Nat.CARRIER: N_("Ask the provider for an address of your own, or use a network such as Tailscale on both sides."),
    Nat.UNKNOWN: _BY_HAND,
}


def way_sentence(state: InvitationState, places: InvitationPlaces, clock_port: int, reached: str = "") -> Message:
    """What is known of the way to this machine, and what helps. Empty: there is nothing to say. `reached`: the public
    address at which a friend has come in; empty: none has."""
    match state:
        case InvitationState.OPENING:
            return Message("The router is asked to let your friend in.")
        case InvitationState.WITHDRAWN:
            return Message("The invitation is withdrawn. Those who came in by it stay.")
        case InvitationState.CLOSED:
            return _NOTHING
    over = [
        Message("A friend in the same {overlay} network can join in any case.", overlay=overlay)
        for overlay in places.overlays
    ]
    if places.reachable:
        return Message.joined(" ", [Message(_PUBLIC if places.nat is Nat.PUBLIC else _ROUTER_OPENS), *over])
    if reached:
        return Message.joined(" ", [Message("A friend has come in at the address {address}.", address=reached), *over])
    if places.given:
        hoped = Message(
            "Whether {address} leads to this machine is known when a friend comes in.", address=places.given
        )
        return Message.joined(" ", [hoped, *over])
    helps = [Message(WHAT_HELPS[places.nat], port=places.port, clock_port=clock_port)]
    if places.node:
        helps = [Message("Your friend can join if the extra internet of PhaseLock is installed there, too.")]
        if places.relays is not None:
            helps.append(Message(_RELAYS, relays=places.relays))
    elif places.extra:
        helps.append(Message(_EXTRA_MISSING, command=places.extra))
    what_it_is = PROBLEMS.get(places.problem, "") if places.nat in (Nat.HOME, Nat.UNKNOWN) else ""
    return Message.joined(" ", [Message(what_it_is or WHAT_IT_IS[places.nat]), *helps, *over])
