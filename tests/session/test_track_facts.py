"""What a host knows of the sound of its tracks."""

from __future__ import annotations

from uuid import UUID

from phaselock.model.loudness import Loudness
from phaselock.model.measurement import Measurement
from phaselock.session.host.track_facts import HostTrackFacts, TrackFacts

ONE, OTHER = UUID(int=1), UUID(int=2)
TAGGED, MEASURED = Loudness(-12.0), Loudness(-10.0, 0.5)


def test_tags_count_until_the_track_is_measured() -> None:
    facts = HostTrackFacts()
    assert facts.of(ONE) == TrackFacts() and facts.sound_frames(ONE) is None
    facts.learn_tags(ONE, "A", TAGGED)
    assert facts.of(ONE).loudness == TAGGED and facts.sound_frames(ONE) is None
    facts.learn_measurement(ONE, Measurement(MEASURED, 5.0, 100, 900))
    facts.learn_tags(ONE, "B", TAGGED)
    assert facts.of(ONE).loudness == MEASURED and facts.of(ONE).album == "B"
    assert facts.sound_frames(ONE) == (100, 900) and facts.sound_frames(OTHER) is None


def test_the_revision_changes_with_the_facts() -> None:
    facts = HostTrackFacts()
    facts.learn_tags(ONE, "A", TAGGED)
    first = facts.revision
    facts.learn_tags(ONE, "A", TAGGED)
    assert facts.revision == first
    facts.learn_measurement(ONE, Measurement(MEASURED, None, 0, 1))
    assert facts.revision != first
