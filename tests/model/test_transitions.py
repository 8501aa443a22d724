"""How two songs follow each other."""

from __future__ import annotations

import dataclasses

import pytest

from phaselock.model.loudness import Tagged
from phaselock.model.transitions import PLAIN, SHORTEST_NS, Ends, Transition, Transitions, first_frame, transition

HZ = 1000
SECOND = 1_000_000_000
SONG = Ends(HZ, 60 * HZ, Tagged(), (2 * HZ, 55 * HZ))
"""A minute with 2 s of silence before and 5 s behind."""
FADED, SKIPPED = Transitions(crossfade_s=4.0), Transitions(skip_silence=True)


def test_by_default_every_frame_is_played() -> None:
    assert transition(SONG, SONG, PLAIN) == Transition(60 * HZ, 0)
    assert first_frame(SONG, PLAIN) == 0


def test_a_crossfade_ends_with_the_song() -> None:
    assert transition(SONG, SONG, FADED) == Transition(60 * HZ, 0, 4 * SECOND)


def test_silence_at_the_ends_is_skipped_up_to_a_short_rest() -> None:
    assert first_frame(SONG, SKIPPED) == 1980
    assert transition(SONG, SONG, SKIPPED) == Transition(55_200, 1980, SHORTEST_NS)
    both = Transitions(4.0, skip_silence=True)
    assert transition(SONG, SONG, both) == Transition(55_200, 1980, 4 * SECOND)


def test_a_song_that_was_not_measured_is_played_whole() -> None:
    unknown = dataclasses.replace(SONG, sound=None)
    assert transition(unknown, unknown, SKIPPED) == Transition(60 * HZ, 0)


def test_a_song_without_silence_at_its_ends_is_played_whole() -> None:
    full = dataclasses.replace(SONG, sound=(0, 60 * HZ))
    assert transition(full, full, SKIPPED) == Transition(60 * HZ, 0)


@pytest.mark.parametrize(("frames", "longest_s"), [(6 * HZ, 3.0), (HZ, 0.5), (1, 0.0005)])
def test_a_crossfade_takes_at_most_half_of_the_shorter_song(frames: int, longest_s: float) -> None:
    short = Ends(HZ, frames, Tagged(), None)
    for before, behind in ((short, SONG), (SONG, short)):
        assert transition(before, behind, FADED).crossfade_ns == round(longest_s * SECOND)


@pytest.mark.parametrize("chosen", [FADED, SKIPPED])
def test_an_album_without_gaps_keeps_every_frame(chosen: Transitions) -> None:
    first = Ends(HZ, 60 * HZ, Tagged("Live", (1, 1)), (2 * HZ, 60 * HZ - 50))
    second = Ends(HZ, 50 * HZ, Tagged("Live", (1, 2)), (50, 45 * HZ))
    assert transition(first, second, chosen) == Transition(60 * HZ, 0)
    for unknown in (dataclasses.replace(first, sound=None), first):
        assert transition(unknown, dataclasses.replace(second, sound=None), chosen) == Transition(60 * HZ, 0)


def test_an_album_with_gaps_is_treated_like_other_songs() -> None:
    song = dataclasses.replace(SONG, tagged=Tagged("Best of"))
    assert transition(song, song, FADED).crossfade_ns == 4 * SECOND
    other = dataclasses.replace(song, tagged=Tagged("Live"), sound=(0, 60 * HZ))
    assert transition(dataclasses.replace(other, tagged=Tagged("Best of")), other, FADED).crossfade_ns == 4 * SECOND


def test_songs_of_silence_are_not_left_out() -> None:
    silent = Ends(HZ, 4 * HZ, Tagged(), (0, 4 * HZ))
    assert transition(silent, silent, Transitions(12.0, skip_silence=True)) == Transition(4 * HZ, 0, 2 * SECOND)
