"""How loud a track is after EBU R 128, and the gain that makes all tracks equally loud."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from phaselock.frozen import frozen

DEFAULT_LUFS = -16.0
MIN_LUFS, MAX_LUFS = -30.0, -8.0
"""Limits of the target."""
MIN_GAIN_DB, MAX_GAIN_DB = -24.0, 12.0
MAX_TRUE_PEAK_DB = -1.0
"""A track is made louder only as far as its true peak stays at or below this level (R 128: -1 dBTP)."""
REPLAY_GAIN_LUFS = -18.0
"""The loudness that ReplayGain 2.0 tags lead to."""
R128_LUFS = -23.0
"""The loudness that the R128 tags of Opus (RFC 7845) lead to."""
TRACK_GAINS = "replaygain_track_gain", "replaygain_track_peak", "r128_track_gain"
ALBUM_GAINS = "replaygain_album_gain", "replaygain_album_peak", "r128_album_gain"
"""The keys of tags that say how loud a track and its album are, in lower case."""
MAX_TAGGED_DB = 60.0
"""A tag with a larger gain makes no sense."""

LoudnessChoice: TypeAlias = float | Literal["on", "off"]
"""What a user can ask for: a target in LUFS, the last one again, or none."""


def parse_choice(text: str) -> LoudnessChoice:
    """The choice in a text. ValueError if there is none, or if the target is out of its limits."""
    if text.casefold() == "on":
        return "on"
    if text.casefold() == "off":
        return "off"
    target_lufs = float(text)
    if not MIN_LUFS <= target_lufs <= MAX_LUFS:
        raise ValueError(text)
    return target_lufs


@frozen
class Loudness:
    """The loudness of a whole track."""

    integrated_lufs: float | None
    """None: it is silent, or too short to be measured."""
    true_peak: float = 1.0
    """Largest absolute value between and at the samples, 1 for full scale."""

    @property
    def true_peak_db(self) -> float:
        """In dBTP, at least -120."""
        return 20 * math.log10(max(self.true_peak, 1e-6))


@frozen
class Tagged:
    """What the tags of a track say of its album and of its loudness."""

    album: str = ""
    """Empty: none."""
    place: tuple[int, int] | None = None
    """Number of its disc, 1 if there is none, and of the track on it; None: not known."""
    loudness: Loudness | None = None
    album_loudness: Loudness | None = None

    def is_followed_by(self, other: Tagged) -> bool:
        """`other` is of the same album, and not before this one in its order, as far as it is known."""
        if not self.album or self.album != other.album:
            return False
        return self.place is None or other.place is None or self.place < other.place


@frozen
class Song:
    """A track in its place in the queue."""

    tagged: Tagged
    duration_s: float
    measured: Loudness | None
    """None: not measured yet."""

    @property
    def loudness(self) -> Loudness | None:
        """As it was measured, else as its tags say; None if it is not known."""
        return self.measured or self.tagged.loudness or self.tagged.album_loudness


def gain_db(loudness: Loudness, target_lufs: float) -> float:
    """The gain that brings a track to the target. It has steps of 0.1 dB, so that the gain of an album settles while
    its songs become known. 0 for silence."""
    if loudness.integrated_lufs is None:
        return 0.0
    wanted_db = target_lufs - loudness.integrated_lufs
    room_db = MAX_TRUE_PEAK_DB - loudness.true_peak_db
    allowed_db = min(round(wanted_db, 1), max(0.0, math.floor(10 * room_db) / 10))
    return min(max(allowed_db, MIN_GAIN_DB), MAX_GAIN_DB) + 0.0  # never -0.0


def gains_db(songs: Sequence[Song], target_lufs: float | None) -> list[float]:
    """The gain of each song of a queue. Consecutive songs of one album, in its order, share the gain of the album, as
    far as it is known, so that they keep their relation. No target, or nothing known: 0."""
    if target_lufs is None:
        return [0.0] * len(songs)
    gains: list[float] = []
    begin = 0
    for end in range(1, len(songs) + 1):
        if end == len(songs) or not songs[end - 1].tagged.is_followed_by(songs[end].tagged):
            loudness = _of_run(songs[begin:end])
            gains += [0.0 if loudness is None else gain_db(loudness, target_lufs)] * (end - begin)
            begin = end
    return gains


def tagged_loudness(gain: str, peak: str, r128_gain: str) -> Loudness | None:
    """The loudness that the texts of the tags TRACK_GAINS or ALBUM_GAINS stand for (empty: no tag); None if none makes
    sense. The gains are relative to REPLAY_GAIN_LUFS in decibels, and to R128_LUFS in steps of 1/256 dB. Without the
    peak no gain is safe: it counts as full scale."""
    for text, scale, reference_lufs in ((gain, 1.0, REPLAY_GAIN_LUFS), (r128_gain, 1 / 256, R128_LUFS)):
        tagged_db = _number_in(text)
        if tagged_db is not None and abs(tagged_db * scale) <= MAX_TAGGED_DB:
            largest = _number_in(peak)
            return Loudness(reference_lufs - tagged_db * scale, largest if largest and largest > 0 else 1.0)
    return None


def _number_in(text: str) -> float | None:
    """The number at the beginning of a text such as "-7.03 dB"; None if there is none."""
    found = re.match(r"\s*[+-]?\d{1,6}(\.\d{0,10})?", text, re.ASCII)
    return float(found[0]) if found else None


def _of_run(songs: Sequence[Song]) -> Loudness | None:
    """The loudness of consecutive songs of an album, or of one song; None if nothing is known."""
    if len(songs) == 1:
        return songs[0].loudness
    if any(song.measured is None for song in songs):
        tagged = next((song.tagged.album_loudness for song in songs if song.tagged.album_loudness is not None), None)
        if tagged is not None:
            return tagged
    return _mean(songs)


def _mean(songs: Sequence[Song]) -> Loudness | None:
    """The mean of the songs' loudness by energy and duration, and their largest peak; None if nothing is known."""
    known = [(song.duration_s, song.loudness) for song in songs if song.loudness is not None]
    if not known:
        return None
    peak = max(loudness.true_peak for _, loudness in known)
    heard = [(length_s, one.integrated_lufs) for length_s, one in known if one.integrated_lufs is not None]
    total_s = sum(length_s for length_s, _ in heard)
    if total_s <= 0:
        return Loudness(None, peak)
    energy = sum(length_s * 10 ** (lufs / 10) for length_s, lufs in heard) / total_s
    return Loudness(10 * math.log10(energy), peak)
