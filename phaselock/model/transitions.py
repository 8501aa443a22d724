"""How the songs of a queue follow each other: with a crossfade, and with or without the silence at their ends."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from phaselock.frozen import frozen
from phaselock.model.bounds import Within
from phaselock.model.loudness import Tagged

MAX_CROSSFADE_S = 12.0
CrossfadeNs: TypeAlias = Annotated[int, Within(0, round(MAX_CROSSFADE_S * 1e9))]
SHORTEST_NS = 10_000_000
"""Length of the crossfade where a track ends in its silence."""
_KEPT_BEFORE_S, _KEPT_BEHIND_S = 0.02, 0.2
"""Silence that is kept at the beginning and at the end of a track, for a soft attack and a quiet reverberation."""
_GAPLESS_S = 0.1
"""Two tracks of an album without more silence than this at the ends that meet are heard without a gap."""


@frozen
class Transitions:
    """What the user has chosen."""

    crossfade_s: float = 0.0
    """0 to MAX_CROSSFADE_S; 0: none."""
    skip_silence: bool = False
    """Leave out the silence at the beginning and at the end of tracks."""


PLAIN = Transitions()


def parse_crossfade(text: str) -> float:
    """The length of a crossfade in a text, in seconds. ValueError if there is none, or if it is out of its limits."""
    crossfade_s = 0.0 if text.casefold() == "off" else float(text)
    if not 0 <= crossfade_s <= MAX_CROSSFADE_S:
        raise ValueError(text)
    return crossfade_s


@frozen
class Ends:
    """What the transition between two tracks depends on, of one of them."""

    rate_hz: int
    frames: int
    tagged: Tagged
    """Its tags."""
    sound: tuple[int, int] | None
    """Where its sound begins, and the frame behind the end of its sound; None: not measured yet."""


@frozen
class Transition:
    """How a track follows another one."""

    end_frame: int
    """Where the track before ends: the crossfade ends there too."""
    begin_frame: int
    """The first frame of the track behind."""
    crossfade_ns: int = 0
    """0: the track behind starts where the track before ends."""


def first_frame(track: Ends, chosen: Transitions) -> int:
    """The frame at which a track begins."""
    if not chosen.skip_silence or track.sound is None:
        return 0
    return max(0, track.sound[0] - round(_KEPT_BEFORE_S * track.rate_hz))


def transition(before: Ends, behind: Ends, chosen: Transitions) -> Transition:
    """How `behind` follows `before`. Tracks of one album that are heard without a gap, or are not measured yet, keep
    every frame. A crossfade takes at most half of each track, so at most two tracks sound at once."""
    if before.tagged.is_followed_by(behind.tagged) and _is_gapless(before, behind):
        return Transition(before.frames, 0)
    end_frame, begin_frame = before.frames, first_frame(behind, chosen)
    if chosen.skip_silence and before.sound is not None:
        end_frame = min(end_frame, before.sound[1] + round(_KEPT_BEHIND_S * before.rate_hz))
    before_s = (end_frame - first_frame(before, chosen)) / before.rate_hz
    behind_s = (behind.frames - begin_frame) / behind.rate_hz
    crossfade_ns = round(max(0.0, min(chosen.crossfade_s, before_s / 2, behind_s / 2)) * 1e9)
    if end_frame < before.frames:
        crossfade_ns = max(crossfade_ns, SHORTEST_NS)
    return Transition(end_frame, begin_frame, crossfade_ns)


def _is_gapless(before: Ends, behind: Ends) -> bool:
    if before.sound is None or behind.sound is None:
        return True
    silence_s = (before.frames - before.sound[1]) / before.rate_hz, behind.sound[0] / behind.rate_hz
    return max(silence_s) <= _GAPLESS_S
