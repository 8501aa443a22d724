"""What a host knows of the sound of its tracks."""

from __future__ import annotations

from uuid import UUID

from phaselock.model.loudness import Loudness, Tagged
from phaselock.model.measurement import Measurement
from phaselock.session.host.track_facts import HostTrackFacts, TrackFacts

ONE, OTHER = UUID(int=1), UUID(int=2)
TAGGED, MEASURED = Tagged("A", loudness=Loudness(-12.0)), Measurement(Loudness(-10.0, 0.5), 5.0, 100, 900)


def test_where_the_sound_is_is_known_when_it_is_measured() -> None:
    facts = HostTrackFacts()
    assert facts.of(ONE) == TrackFacts() and facts.sound_frames(ONE) is None
    facts.learn_tags(ONE, TAGGED)
    assert facts.of(ONE) == TrackFacts(TAGGED) and facts.sound_frames(ONE) is None
    facts.learn_measurement(ONE, MEASURED)
    assert facts.of(ONE) == TrackFacts(TAGGED, MEASURED)
    assert facts.sound_frames(ONE) == (100, 900) and facts.sound_frames(OTHER) is None
    facts.learn_tags(ONE, Tagged("B"))
    assert facts.of(ONE) == TrackFacts(Tagged("B"), MEASURED)


def test_the_revision_changes_with_the_facts() -> None:
    facts = HostTrackFacts()
    facts.learn_tags(ONE, TAGGED)
    first = facts.revision
    facts.learn_tags(ONE, TAGGED)
    assert facts.revision == first
    facts.learn_measurement(ONE, MEASURED)
    assert facts.revision != first
