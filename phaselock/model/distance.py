"""Which machines are far: in no room with the host. They are no part of what is said of the room."""

from __future__ import annotations

from phaselock.language.message import N_

FAR_NS = 10_000_000
"""Least round trip of a far machine. On Wi-Fi the least one of a minute is a few milliseconds, however late single
packets are."""
FAR_OUTSIDE_NS = 5_000_000
"""The same for a machine that has come in from outside: by an invitation, and not by this house's own network."""
BACK_SHARE = 0.7
"""A far machine is near after all if its path has changed, so that its least round trip is below this part of the
limit."""

FAR_SENTENCE = N_("{name}, {distance} away, within {time} by the clock; the path's asymmetry cannot be known.")
"""What is known of a far machine that plays: its clock's two paths may differ, and no measurement shows that."""
FAR_AWAY = N_("{name}, {distance} away.")
"""The same while it does not play."""


def is_far(least_rtt_ns: int, *, outside: bool = False, was_far: bool = False) -> bool:
    """Whether a machine with this least round trip is far. `outside`: it has come in by the outside port."""
    limit_ns = FAR_OUTSIDE_NS if outside else FAR_NS
    return least_rtt_ns >= (limit_ns * BACK_SHARE if was_far else limit_ns)
