"""How the tracks of a host's queue follow each other, by the user's choice and by what is known of the tracks."""

from __future__ import annotations

from phaselock.model.transitions import Ends, Transition, Transitions, first_frame, transition
from phaselock.model.types import Track
from phaselock.session.host.track_facts import HostTrackFacts


class HostTransitions:
    """The transitions of a host session."""

    def __init__(self, facts: HostTrackFacts, chosen: Transitions) -> None:
        self._facts = facts
        self.chosen = chosen
        """What the user has chosen. The transition into a track that is armed follows a change, if there is time."""

    def first_frame(self, track: Track) -> int:
        """The frame at which a track begins."""
        return first_frame(self._ends(track), self.chosen)

    def between(self, before: Track, behind: Track) -> Transition:
        """How `behind` follows `before`."""
        return transition(self._ends(before), self._ends(behind), self.chosen)

    def _ends(self, track: Track) -> Ends:
        sound, tagged = self._facts.sound_frames(track.file_id), self._facts.of(track.file_id).tagged
        return Ends(track.rate_hz, track.frames, tagged, sound)
