"""Which channels of the songs a machine plays, and the texts about it for users."""

from __future__ import annotations

import typing
from typing import Literal

from phaselock.language.message import N_

Role = Literal["stereo", "left", "right", "mono"]
"""stereo: each output its own channel. left, right: both outputs this channel. mono: both outputs half the sum of the
channels."""

ROLES: tuple[Role, ...] = typing.get_args(Role)

ROLE_NAMES: dict[Role, str] = {
    "stereo": N_("Stereo"),
    "left": N_("Left"),
    "right": N_("Right"),
    "mono": N_("Mono"),
}
"""Texts to choose from, and in tables."""

ROLE_PHRASES: dict[Role, str] = {
    "stereo": N_("both channels"),
    "left": N_("the left channel"),
    "right": N_("the right channel"),
    "mono": N_("both channels as mono"),
}
"""What a machine plays, inside a sentence."""
