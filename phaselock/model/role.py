"""Which channels of the songs a machine plays."""

from __future__ import annotations

import typing
from typing import Literal

Role = Literal["stereo", "left", "right", "mono"]
"""stereo: each output its own channel. left, right: both outputs this channel. mono: both outputs half the sum of the
channels."""

ROLES: tuple[Role, ...] = typing.get_args(Role)
