"""Each playback command takes effect on all machines at one instant, in phase from the first sample."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose

from phaselock.model.transitions import Transitions
from phaselock.session.commands import Add, Autoplay, HostCommand, Next, Pause, Play, Resume, Seek, SetTransitions, Stop
from phaselock.session.host import members
from tests.support.audio_simulation import TURN_S, AudioSimulation, MachineSpec, compass_track
from tests.support.exchanges import WAN, WIFI, WIRED, Link
from tests.support.simulation import SECOND

IN_PHASE_US = 60.0
MIXED = (
    MachineSpec(),
    MachineSpec(block_frames=512, latency_ms=150),
    MachineSpec(card_hz=32000, card_ppm=80, clock_ppm=-50),
)


def settled(*machines: MachineSpec, seed: int = 1) -> AudioSimulation:
    """Nothing plays yet; every machine has the song and a good clock."""
    simulation = AudioSimulation(*machines, seed=seed)
    simulation.host.command(Add(compass_track()))
    simulation.run(5.0)
    return simulation


def apart_us(instants: list[float]) -> float:
    return (max(instants) - min(instants)) * 1e6


@pytest.mark.parametrize("link", [WIRED, WIFI, WAN], ids=["wired", "wifi", "wan"])
def test_each_command_takes_effect_at_one_instant(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    """Provided that the host waits for far machines with slow outputs; see test_far.py."""
    monkeypatch.setattr(members, "FAR_WAIT_NS", SECOND)
    simulation = settled(*(dataclasses.replace(machine, link=link) for machine in MIXED))
    limit_us = IN_PHASE_US if link is WIRED else 500.0
    said: list[tuple[HostCommand, str]] = [
        (Play(), "playing"),
        (Seek(200.13), "seeked"),
        (Pause(), "paused"),
        (Seek(60.27), "seeked"),
        (Resume(), "resumed"),
        (Stop(), "stopped"),
        (Play(), "playing"),
    ]
    for command, _ in said:
        simulation.host.command(command)
        simulation.run(2.5)
    told = simulation.host.events(*(name for _, name in said))
    assert [event.name for event in told] == [name for _, name in said]
    instants = [simulation.true_s(event) for event in told]
    meter = simulation.meter()
    ups = [capture.edges_s(rising=True) for capture in meter.captures]
    downs = [capture.edges_s(rising=False) for capture in meter.captures]
    # Heard: play, both sides of the seek, pause, resume, stop, play. A fade takes 5 ms up to or from the instant.
    for times, fade_s, expected in (
        (ups, +0.0025, [instants[k] for k in (0, 1, 4, 6)]),
        (downs, -0.0025, [instants[k] for k in (1, 2, 5)]),
    ):
        for k, instant_s in enumerate(expected):
            of_all = [times[node][k] for node in range(len(simulation.nodes))]
            late_ms = [(t - instant_s) * 1e3 for t in of_all]
            assert apart_us(of_all) < limit_us + 45, (k, late_ms)  # 45 us: a frame of the card
            assert all(abs(t - instant_s - fade_s) < 0.0027 for t in of_all), (k, late_ms)
        assert {len(t) for t in times} == {len(expected)}
    for k in (0, 1, 4, 6):
        assert meter.start(instants[k])[1] < limit_us


@pytest.mark.parametrize("latency_ms", [5.0, 30.0])
def test_play_is_audible_within_150_ms_and_the_output_latency(latency_ms: float) -> None:
    """On wired machines."""
    simulation = settled(*(MachineSpec(latency_ms=latency_ms),) * 3)
    clicked_s = simulation.now_s
    simulation.host.command(Play())
    simulation.run(2.0)
    heard_s = [capture.edges_s(rising=True)[0] for capture in simulation.meter().captures]
    assert max(heard_s) - clicked_s < 0.150 + latency_ms / 1e3


def test_a_fast_resume_after_a_pause_keeps_the_place() -> None:
    simulation = settled(*MIXED)
    for command, after_s in ((Play(), 3.0), (Pause(), 0.02), (Resume(), 2.0)):
        simulation.host.command(command)
        simulation.run(after_s)
    begun = simulation.start_times_s()
    _, apart = simulation.meter().apart_us(begun[0], simulation.now_s - 0.1)
    assert apart.max() < IN_PHASE_US


# -- tracks that follow each other -------------------------------------------------------------------------------------


def test_the_next_track_follows_without_losing_a_frame() -> None:
    """Both tracks are one continuous sound, cut at a whole turn: a time error at the seam shows as a bend."""
    simulation = AudioSimulation(*MIXED)
    turns = 25
    simulation.host.command(Add(compass_track(1, seconds=turns * TURN_S)))
    simulation.host.command(Add(compass_track(2, seconds=turns * TURN_S)))
    simulation.host.command(Autoplay(2))
    simulation.run_until(lambda: len(simulation.host.events("playing")) == 2, 60.0)
    simulation.run(4.0)
    first_s, seam_s = (simulation.true_s(event) for event in simulation.host.events("playing"))
    assert seam_s - first_s == pytest.approx(turns * TURN_S, abs=1e-8)
    meter = simulation.meter()
    for node, capture in zip(simulation.nodes, meter.captures, strict=True):
        near = np.abs(capture.at_s - seam_s) < 0.5
        at_s, (loudness, place_s) = capture.at_s[near], capture.heard(near)
        bend_us = (place_s - (at_s - seam_s) + TURN_S / 2) % TURN_S * 1e6 - TURN_S / 2 * 1e6
        before, after = bend_us[at_s < seam_s], bend_us[at_s >= seam_s]
        assert abs(after.mean() - before.mean()) < 5
        assert abs(bend_us - bend_us.mean()).max() < 5  # no frame is lost or doubled: a frame is 45 us
        assert loudness.min() > 0.999 and loudness.max() < 1.001
        print(f"{node.name}: bend {after.mean() - before.mean():.3f} us, loudness {loudness.min():.6f}")
    assert meter.apart_us(first_s + 0.01, simulation.now_s - 0.1)[1].max() < IN_PHASE_US
    assert not any(capture.silences(first_s + 0.01, simulation.now_s - 0.1) for capture in meter.captures)


def test_a_crossfade_is_the_same_on_all_machines() -> None:
    """Both tracks are one sound of equal phase, so their sum shows the gains of both."""
    simulation = AudioSimulation(*MIXED)
    turns, faded = 25, 5
    for number in (1, 2):
        simulation.host.command(Add(compass_track(number, seconds=turns * TURN_S)))
    simulation.host.command(SetTransitions(Transitions(faded * TURN_S)), Autoplay(2))
    simulation.run_until(lambda: len(simulation.host.events("playing")) == 2, 60.0)
    simulation.run(4.0)
    first_s, begin_s = (simulation.true_s(event) for event in simulation.host.events("playing"))
    assert begin_s - first_s == pytest.approx((turns - faded) * TURN_S, abs=1e-8)
    meter = simulation.meter()
    for capture in meter.captures:
        near = np.abs(capture.at_s - begin_s) < faded * TURN_S + 0.5
        at_s, (loudness, place_s) = capture.at_s[near], capture.heard(near)
        bend_us = (place_s - (at_s - begin_s) + TURN_S / 2) % TURN_S * 1e6 - TURN_S / 2 * 1e6
        assert abs(bend_us - bend_us.mean()).max() < 5
        quarter = np.pi / 2 * np.clip((at_s - begin_s) / (faded * TURN_S), 0, 1)
        assert_allclose(loudness, np.sin(quarter) + np.cos(quarter), rtol=0, atol=0.002)
    assert meter.apart_us(first_s + 0.01, simulation.now_s - 0.1)[1].max() < IN_PHASE_US


def test_a_pause_announced_before_the_seam_pauses_the_next_track() -> None:
    """Its instant lies in the next track, which starts and then pauses."""
    simulation = AudioSimulation(*MIXED)
    simulation.host.command(Add(compass_track(1, seconds=25 * TURN_S)))
    simulation.host.command(Add(compass_track(2)))
    simulation.host.command(Autoplay(2))
    simulation.run_until(lambda: bool(simulation.host.events("playing")))
    end_s = simulation.start_times_s()[0] + 25 * TURN_S
    simulation.run(end_s - 0.1 - simulation.now_s)
    for command, after_s in ((Pause(), 1.5), (Resume(), 2.0)):
        simulation.host.command(command)
        simulation.run(after_s)
    paused_s, resumed_s = (simulation.true_s(simulation.host.events(name)[0]) for name in ("paused", "resumed"))
    assert paused_s > end_s
    meter = simulation.meter()
    for capture in meter.captures:
        [(silent_s, length_s)] = capture.silences(end_s - 1, simulation.now_s - 0.1)
        assert silent_s == pytest.approx(paused_s, abs=0.001)
        assert length_s == pytest.approx(resumed_s - paused_s, abs=0.001)
    assert meter.apart_us(simulation.start_times_s()[0] + 0.01, simulation.now_s - 0.1)[1].max() < IN_PHASE_US


def test_next_takes_effect_at_one_instant() -> None:
    simulation = AudioSimulation(*MIXED)
    simulation.host.command(Add(compass_track(1)))
    simulation.host.command(Add(compass_track(2)))
    simulation.host.command(Autoplay(2))
    simulation.run(8.0)
    simulation.host.command(Next())
    simulation.run(3.0)
    late_s, start_us = simulation.meter().start(simulation.start_times_s()[1])
    assert late_s < 0.004 and start_us < IN_PHASE_US


# -- files while it plays ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("link", "limit_us"), [(WIRED, 60), (WIFI, 500), (WAN, 500)], ids=["wired", "wifi", "wan"])
def test_a_late_peer_is_in_phase_two_seconds_after_its_file(link: Link, limit_us: float) -> None:
    """The others are not disturbed."""
    simulation = AudioSimulation(MachineSpec(link=link), MachineSpec(link=link))
    simulation.host.command(Add(compass_track()))
    simulation.host.command(Autoplay(1))
    simulation.run(10.0)
    began_s = simulation.now_s
    late = simulation.join(MachineSpec(link=link, bytes_per_s=1e6, clock_ppm=30, card_ppm=-40))
    simulation.run_until(lambda: bool(late.events("file_ready")))
    ready_s = simulation.now_s
    simulation.run(12.0)
    took_s = simulation.meter().back_in_phase_s(ready_s, simulation.now_s - 0.1, limit_us)
    others, apart = (
        simulation.meter(simulation.host, simulation.peers[0]),
        simulation.meter().apart_us(ready_s, simulation.now_s)[1],
    )
    print(f"in phase {took_s:.2f} s after the file, {apart.max():.1f} us at worst from the first sample")
    assert took_s <= 2.0
    assert apart.max() < 1000
    assert others.apart_us(began_s, simulation.now_s - 0.1)[1].max() < limit_us
    assert not any(capture.silences(began_s, simulation.now_s - 0.1) for capture in others.captures)


@pytest.mark.slow
@pytest.mark.parametrize("queue_ms", [pytest.param(5.0, marks=pytest.mark.slow), 40.0])
def test_a_transfer_does_not_disturb_the_clock(queue_ms: float) -> None:
    """Packets of the clock wait behind those of the file, one way only, for 20 s."""
    busy = MachineSpec(link=WIRED, bytes_per_s=0.5e6, queue_ms=queue_ms)
    simulation = AudioSimulation(MachineSpec(), busy, busy)
    simulation.host.command(Add(compass_track()))
    simulation.host.command(Autoplay(2))
    simulation.run(20.0)
    began_s = simulation.now_s
    simulation.host.command(Add(compass_track(2, size=10_000_000)))
    simulation.run(22.0)
    assert all(peer.events("file_ready")[-1].fields["file_name"] == "song 2.mp3" for peer in simulation.peers)
    before, during = (simulation.meter().apart_us(at_s, at_s + 20.0)[1].max() for at_s in (began_s - 10.0, began_s))
    print(f"{before:.1f} us before, {during:.1f} us during the transfer")
    assert during < 30


@pytest.mark.slow
def test_a_peer_that_joins_during_its_transfers_is_in_phase() -> None:
    """A machine joins and fetches 20 s of files behind whose packets its first pings wait."""
    simulation = AudioSimulation(MachineSpec(), MachineSpec(), MachineSpec(bytes_per_s=0.5e6, queue_ms=40.0))
    simulation.host.command(Add(compass_track(1, size=500_000)))
    simulation.host.command(Add(compass_track(2, size=10_000_000)))
    simulation.host.command(Autoplay(2))
    simulation.run(40.0)
    begun_s = simulation.start_times_s()[0]
    _, apart = simulation.meter().apart_us(begun_s, simulation.now_s)
    print(f"p95 {np.percentile(apart, 95):.1f} max {apart.max():.1f} us, played after {begun_s:.1f} s")
    assert apart.max() < 1000


def test_a_corrupted_file_is_fetched_again_during_playback() -> None:
    simulation = AudioSimulation(MachineSpec(), MachineSpec(), MachineSpec())
    simulation.host.command(Add(compass_track()))
    simulation.host.command(Autoplay(2))
    simulation.run(5.0)
    began_s, peer = simulation.now_s, simulation.peers[1]
    peer.fetch_results = iter([False, True])
    simulation.host.command(Add(compass_track(2)))
    simulation.run(5.0)
    assert [event.fields["state"] for event in simulation.host.events("transfer")][-1] == "done"
    assert peer.events("file_ready")[-1].fields["file_name"] == "song 2.mp3"
    assert simulation.meter().apart_us(began_s, simulation.now_s - 0.1)[1].max() < IN_PHASE_US


def test_a_peer_that_joins_during_a_pause_resumes_with_the_others() -> None:
    simulation = AudioSimulation(MachineSpec(), MachineSpec())
    simulation.host.command(Add(compass_track()))
    simulation.host.command(Autoplay(1))
    simulation.run(6.0)
    simulation.host.command(Pause())
    simulation.run(1.0)
    simulation.join(MachineSpec())
    simulation.run(3.0)
    simulation.host.command(Resume())
    simulation.run(3.0)
    late_s, start_us = simulation.meter().start(simulation.start_times_s()[-1])
    assert late_s < 0.006 and start_us < IN_PHASE_US
