"""The advice of `phaselock doctor`: how to fix what it finds."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from phaselock.language.message import Message

CHANGE_PORTS = Message("Close that program, or host on other ports: phaselock host --port 17411 --clock-port 17412")
SAME_NETWORK = Message("See whether the address is right, that machine is on, and both are in the same network.")
ISOLATION = Message(
    "If both machines are in one Wi-Fi, log in to its router and switch off what it calls AP isolation or client\n"
    "isolation, and leave the guest network; the hotspot of a phone does instead."
)
JOIN_NETWORK = Message("Join the Wi-Fi that the others are in, or plug a network cable in.")
OUTPUT = {
    "win32": Message("Open Settings, System, Sound and choose an output. phaselock devices lists what there is."),
    "darwin": Message("Open System Settings, Sound, Output and choose one. phaselock devices lists what there is."),
    "linux": Message(
        "Plug a loudspeaker in, and see whether a sound server runs: systemctl --user status pipewire pulseaudio\n"
        "phaselock devices lists what there is."
    ),
}
WIFI = Message(
    "Use a cable, or the 5 GHz Wi-Fi instead of 2.4 GHz, near the router; stop downloads; switch power saving off:\n"
    "Windows: Settings, System, Power, Best performance. Mac: plug the charger in.\n"
    "Linux: sudo iw dev wlan0 set power_save off"
)


def open_firewall(port: int, protocol: str) -> Message:
    """How to open a port ("TCP" or "UDP") in the firewall of the host's machine. Its system is not known here: all
    three are named."""
    return Message(
        "On the host's machine, let {protocol} port {port} through the firewall:\n"
        "Windows: Windows Security, Firewall & network protection, Allow an app: tick Python under Private.\n"
        "Mac: System Settings, Network, Firewall, Options: allow Python.\n"
        "Linux: sudo ufw allow {rule}   or   sudo firewall-cmd --add-port={rule}",
        protocol=protocol,
        port=port,
        rule=f"{port}/{protocol.lower()}",
    )


def for_platform(fixes: Mapping[str, Message]) -> Message:
    """The fix for this platform."""
    return fixes.get(sys.platform, fixes["linux"])
