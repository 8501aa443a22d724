"""The relays by which friends connect where no direct way leads to the host, and how an invitation names them."""

from __future__ import annotations

import re

from phaselock.language.message import N_

EXTRA_COMMAND = "pip install 'iroh>=1.2,<2'"
"""Installs the extra `internet`. It does not name PhaseLock: on PyPI, that is another project."""
DEFAULT_RELAY = "n0"
"""The relays of number 0, the makers of iroh, and their directory, in which a friend finds the host's relay."""
DIRECT = "direct"
"""No relay: the bridge tries direct ways only."""
OFF = "off"
"""No bridge."""
RELAY_VARIABLE = "PHASELOCK_RELAY"
"""The environment variable with the relay of a program that is started without one."""
_URL = re.compile(r"https://([0-9A-Za-z.-]{1,120}(:[0-9]{1,5})?)/?")


def parse_relay(text: str) -> str:
    """DEFAULT_RELAY, DIRECT, OFF or the URL of a relay. ValueError, whose text is a message id for users."""
    if text in (DEFAULT_RELAY, DIRECT, OFF):
        return text
    if found := _URL.fullmatch(text):
        return f"https://{found[1]}"
    raise ValueError(N_("A relay is https://HOST, https://HOST:PORT, direct or off."))


def node_text(node: str, relay: str) -> str:
    """How an invitation names the host's end of the bridge: its id, and its relay if that is in no directory."""
    return f"{node}@{relay.removeprefix('https://')}" if _URL.fullmatch(relay) else node


def relay_of(node: str, own: str) -> str:
    """The relay by which a friend reaches the host that an invitation names so. `own`: what the friend has chosen;
    empty: nothing."""
    _, _, told = node.partition("@")
    return own or (f"https://{told}" if told else DEFAULT_RELAY)
