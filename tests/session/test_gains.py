"""All machines play a song at the gain that the host has told."""

from __future__ import annotations

import math
from uuid import UUID

import msgpack
import pytest

from phaselock.model.loudness import Loudness, Tagged
from phaselock.model.measurement import Measurement
from phaselock.model.queue import MAX_ITEMS
from phaselock.model.snapshot import LoudnessView
from phaselock.model.sweeps import SWEEP_ID
from phaselock.protocol.codec import ProtocolError, decode
from phaselock.protocol.messages import TYPE_OF, TrackGain, TrackGains
from phaselock.session import commands as c
from phaselock.session.effects import Send
from tests.support.session_harness import HarnessPeer, SessionHarness, all_follow_the_same, ready
from tests.support.simulation import SimulatedNode

LOUD, QUIET = Loudness(-10.0, 1.0), Loudness(-22.0, 0.2)


def even(*names: str, tracks: int = 2, seconds: float = 60.0) -> tuple[SessionHarness, list[HarnessPeer]]:
    harness, peers = ready(*names, tracks=tracks, seconds=seconds)
    harness.command(c.SetLoudness(-16.0))
    return harness, peers


def learn(harness: SessionHarness, number: int, loudness: Loudness | None, album: str = "") -> None:
    core, file_id, now_ns = harness.host.core, UUID(int=number), harness.host.now_ns
    harness.host.do(core.learn_tags(file_id, Tagged(album, loudness=loudness), now_ns=now_ns))


def measure(harness: SessionHarness, number: int, loudness: Loudness) -> None:
    core, measurement = harness.host.core, Measurement(loudness, 3.0, 0, 1)
    harness.host.do(core.learn_measurement(UUID(int=number), measurement, now_ns=harness.host.now_ns))


def gains(node: SimulatedNode) -> tuple[float, float]:
    """Of the current and the next song at the output."""
    following = node.following
    assert following is not None
    return following.gain_db, following.then_gain_db


def test_a_song_starts_at_its_gain_on_all_machines() -> None:
    harness, peers = even()
    learn(harness, 1, LOUD)
    learn(harness, 2, QUIET)
    harness.command(c.Play())
    harness.run(1)
    assert gains(harness.host) == (-6.0, 6.0) and all_follow_the_same(harness, peers)


def test_no_machine_ever_starts_a_known_song_at_another_gain() -> None:
    harness, peers = even()
    learn(harness, 1, LOUD)
    harness.command(c.Play())
    harness.run(1)
    for node in (harness.host, *peers):
        assert all(one.gain_db == -6.0 for one in node.of(type(node.following)) if one.timeline is not None)


def test_a_gain_that_is_found_while_the_song_plays_arrives_everywhere() -> None:
    harness, peers = even()
    harness.command(c.Play())
    harness.run(1)
    assert gains(harness.host) == (0, 0)
    learn(harness, 1, LOUD)
    harness.run(0.3)
    assert gains(harness.host) == (-6.0, 0) and all_follow_the_same(harness, peers)


def test_measured_follows_tagged() -> None:
    harness, peers = even()
    learn(harness, 1, Loudness(-12.0))
    measure(harness, 1, LOUD)
    learn(harness, 1, Loudness(-13.0))
    harness.command(c.Play())
    harness.run(1)
    assert gains(peers[0])[0] == -6.0


def test_who_joins_later_knows_the_gains() -> None:
    harness, _ = even()
    learn(harness, 1, LOUD)
    harness.command(c.Play())
    harness.run(1)
    cleo = harness.join("Cleo")
    harness.run(2)
    assert gains(cleo)[0] == -6.0 and all_follow_the_same(harness, [cleo])


def test_who_comes_back_follows_what_has_changed_meanwhile() -> None:
    harness, (ana, ben) = even()
    learn(harness, 1, LOUD)
    harness.command(c.Play())
    harness.run(1)
    ana.do(ana.core.disconnected("cut", now_ns=ana.now_ns))
    harness.command(c.SetLoudness(None))
    harness.run(8)
    assert gains(harness.host)[0] == 0 and all_follow_the_same(harness, [ana, ben])


def test_the_switch() -> None:
    harness, peers = even()
    learn(harness, 1, LOUD)
    harness.command(c.Play(), c.SetLoudness(-20.0))
    harness.run(1)
    assert gains(peers[0])[0] == -10.0 and harness.host.snapshot().loudness_lufs == -20.0
    harness.command(c.SetLoudness(None))
    harness.run(1)
    assert all(gains(node)[0] == 0 for node in (harness.host, *peers))
    told = [one.fields["target_lufs"] for one in harness.host.events("loudness_set")]
    assert told == [-16.0, -20.0, None]
    assert harness.host.snapshot().loudness_lufs is None


def test_how_loud_the_song_is_that_plays() -> None:
    harness, _ = even()
    assert harness.host.snapshot().now_loudness is None
    harness.command(c.Play())
    harness.run(1)
    assert harness.host.snapshot().now_loudness == LoudnessView(False, None, None, None, 0.0)
    learn(harness, 1, Loudness(-12.0))
    assert harness.host.snapshot().now_loudness == LoudnessView(False, -12.0, None, None, -4.0)
    measure(harness, 1, LOUD)
    assert harness.host.snapshot().now_loudness == LoudnessView(True, -10.0, 0.0, 3.0, -6.0)


def test_an_album_in_order_has_one_gain() -> None:
    harness, peers = even(tracks=3)
    learn(harness, 1, LOUD, "A")
    learn(harness, 2, QUIET, "A")
    learn(harness, 3, LOUD, "B")
    harness.command(c.Play())
    harness.run(1)
    current, then = gains(peers[0])
    assert current == then == -3.3
    harness.command(c.Move(UUID(int=3), 1))
    harness.run(1)
    assert gains(peers[0]) == (-6.0, -6.0) and all_follow_the_same(harness, peers)


def test_a_shuffled_album_has_a_gain_for_each_song() -> None:
    harness, peers = even(tracks=3)
    for number, loudness in ((1, LOUD), (2, QUIET), (3, LOUD)):
        tagged = Tagged("A", (1, number), loudness, Loudness(-14.0))
        harness.host.do(harness.host.core.learn_tags(UUID(int=number), tagged, now_ns=harness.host.now_ns))
    harness.command(c.Play())
    harness.run(1)
    assert gains(peers[0]) == (-2.0, -2.0)
    harness.command(c.Move(UUID(int=3), 1))
    harness.run(1)
    assert gains(peers[0]) == (-2.0, -2.0), "1 and 3 are in order"
    harness.command(c.Move(UUID(int=3), 0))
    harness.run(1)
    assert harness.host.snapshot().queue[0].id == UUID(int=3)
    assert gains(peers[0]) == (-2.0, -2.0) and all_follow_the_same(harness, peers), "1 and 2 are in order"
    harness.command(c.Remove(UUID(int=2)))
    harness.run(1)
    assert gains(harness.host)[0] == -6.0 and all_follow_the_same(harness, peers), "1 stands alone"


def test_a_removed_song_keeps_its_gain_while_it_plays() -> None:
    harness, peers = even()
    learn(harness, 1, LOUD)
    harness.command(c.Play())
    harness.run(1)
    harness.command(c.Remove(UUID(int=1)))
    harness.run(1)
    assert gains(harness.host)[0] == -6.0 and all_follow_the_same(harness, peers)


def test_sweeps_have_no_gain() -> None:
    harness, peers = even()
    learn(harness, 1, LOUD)
    harness.command(c.Play())
    harness.run(1)
    harness.command(c.Calibrate())
    harness.run(3)
    for node in (harness.host, *peers):
        following = node.following
        assert following is not None and following.timeline is not None
        assert following.timeline.file_id == SWEEP_ID and following.gain_db == 0


def test_few_bytes_for_each_song() -> None:
    harness, _ = even(tracks=3)
    learn(harness, 1, LOUD)
    learn(harness, 1, LOUD)
    told = [one.message for one in harness.host.of(Send) if isinstance(one.message, TrackGains)]
    assert len(told) <= 2 and all(len(one.gains) == 1 for one in told), "a known gain is not told again"


def test_gains_out_of_bounds_break_the_protocol() -> None:
    for gain_db, valid in ((-24.0, True), (12.0, True), (12.1, False), (-24.1, False), (math.nan, False)):
        payload = msgpack.packb({"gains": [{"file_id": bytes(16), "gain_db": gain_db}]})
        if valid:
            assert decode(TYPE_OF[TrackGains], payload) == TrackGains((TrackGain(UUID(int=0), gain_db),))
        else:
            with pytest.raises(ProtocolError):
                decode(TYPE_OF[TrackGains], payload)


def test_a_host_cannot_fill_the_memory_of_a_peer() -> None:
    _, (ana, _) = ready()
    for number in range(5 * MAX_ITEMS):
        ana.do(ana.core.received(TrackGains((TrackGain(UUID(int=number), 1.0),)), now_ns=ana.now_ns))
        if ana.ended:
            break
    assert ana.ended and number <= 4 * MAX_ITEMS
