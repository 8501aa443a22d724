"""How exact the machines play: sentences and figures, without a display."""

from __future__ import annotations

from typing import Any

import pytest

from phaselock.model.snapshot import PeerView
from phaselock.ui.backend import LocalStatus, SessionView
from phaselock.ui.viewmodel import host_view, output_text, peer_view
from tests.support.session_views import CARD, QUEUE, guest, host, line, off, peer, plain, playing
from tests.support.simulation import MS

UNTOLD = off(timing="unknown", dac_uncertainty_ns=None)


UNKNOWABLE = "the path's asymmetry cannot be known."


def far(**changes: Any) -> PeerView:
    """A peer in another town."""
    usual = {"name": "Ana", "peer_id": 2, "far": True, "away_ns": 41 * MS, "offset_uncertainty_ns": 395_000}
    return peer(**{**usual, **changes})


FAR = far()


def untold(name: str = "Ben", peer_id: int = 1) -> PeerView:
    return peer(name, peer_id, timing="unknown", dac_uncertainty_ns=None)


@pytest.mark.parametrize(
    ("state", "sentence", "kind"),
    [
        (host(), "Nothing is playing.", "neutral"),
        (playing(peer(), timeline=line(stop_ns=5)), "Paused", "neutral"),
        (playing(), "This speaker plays alone.", "neutral"),
        (playing(own=None), "Measuring…", "neutral"),
        (playing(own=off(playing=False)), "Measuring…", "neutral"),
        (playing(own=off(dac_uncertainty_ns=None)), "Measuring…", "neutral"),
        (playing(own=off(device_name=None)), "This machine has no audio output.", "error"),
        (playing(peer()), "Both speakers within 0.03 ms", "good"),
        (playing(peer(), peer("Cleo", 2), peer("Dan", 3)), "All 4 speakers within 0.03 ms", "good"),
        (playing(peer(), peer("Cleo", 2, reported=False)), "Measuring…", "neutral"),
        (playing(peer(dac_uncertainty_ns=None)), "Measuring…", "neutral"),
        (playing(peer(dac_uncertainty_ns=2 * MS)), "Both speakers within 2.1 ms", "warning"),
        (playing(own=UNTOLD), "This speaker plays alone.", "neutral"),
        (
            playing(untold()),
            "How far apart they play is not known. The output of Ben does not tell its delay.",
            "warning",
        ),
        (
            playing(untold(), own=UNTOLD),
            "How far apart they play is not known. The output of this machine does not tell its delay. "
            "1 more machine has a problem.",
            "warning",
        ),
        (
            playing(peer(), untold("Cleo", 2)),
            "2 of 3 speakers within 0.03 ms. The output of Cleo does not tell its delay.",
            "warning",
        ),
        (playing(peer(phase_error_ns=-3_200_000)), "Ben is 3.2 ms late.", "warning"),
        (
            playing(peer(phase_error_ns=-3_200_000), peer("Cleo", 2, phase_error_ns=1_500_000)),
            "Ben is 3.2 ms late and Cleo is 1.5 ms early.",
            "warning",
        ),
        (playing(peer(), own=off(phase_error_ns=-45 * MS)), "This speaker is 45 ms late.", "warning"),
        (
            playing(peer(), peer("Cleo", 2, device_name=None)),
            "2 of 3 speakers within 0.03 ms. Cleo has no audio output.",
            "warning",
        ),
        (
            playing(peer(), peer("Cleo", 2, have=frozenset()), peer("Dan", 3, clock_usable=False)),
            "2 of 4 speakers within 0.03 ms. Cleo has not got the song. 1 more machine has a problem.",
            "warning",
        ),
        (playing(peer(clock_stale=True)), "Only this speaker plays. Ben is not in time.", "warning"),
        (
            playing(peer(), own=off(device_name=None)),
            "Only Ben plays. This machine has no audio output.",
            "warning",
        ),
        (playing(peer(), FAR), "Both speakers within 0.03 ms", "good"),
        (playing(peer(), far(phase_error_ns=9 * MS)), "Both speakers within 0.03 ms", "good"),
        (playing(peer(), far(have=frozenset()), peer("Cleo", 3)), "All 3 speakers within 0.03 ms", "good"),
        (playing(FAR), f"Ana, 41 ms away, within 0.41 ms by the clock; {UNKNOWABLE}", "neutral"),
        (playing(far(have=frozenset())), "Ana, 41 ms away.", "neutral"),
        (playing(FAR, own=off(device_name=None)), "This machine has no audio output.", "error"),
        (
            playing(peer(device_name=None), own=off(device_name=None)),
            "Nobody plays. This machine has no audio output. 1 more machine has a problem.",
            "warning",
        ),
        (
            playing(peer(device_name=None), peer("Cleo", 2, device_name=None), own=off(device_name=None)),
            "Nobody plays. This machine has no audio output. 2 more machines have a problem.",
            "warning",
        ),
    ],
)
def test_the_sentence_of_the_host(state: SessionView, sentence: str, kind: str) -> None:
    view = host_view(state).sync
    assert (plain(view.sentence), view.kind) == (sentence, kind)


@pytest.mark.parametrize(
    ("own", "sentence", "kind"),
    [
        (CARD, "This speaker is within 0.01 ms of the host.", "good"),
        (off(clock_uncertainty_ns=1), "This speaker is within 0.02 ms of the host.", "good"),
        (off(dac_uncertainty_ns=2 * MS), "This speaker is within 2.1 ms of the host.", "warning"),
        (off(phase_error_ns=3_200_000), "This speaker is 3.2 ms early.", "warning"),
        (off(least_rtt_ns=9 * MS), "This speaker is within 0.01 ms of the host.", "good"),
        (off(least_rtt_ns=82 * MS), f"This speaker, 41 ms away, within 0.01 ms by the clock; {UNKNOWABLE}", "neutral"),
        (off(playing=False), "This speaker is not playing.", "neutral"),
        (off(clock_uncertainty_ns=None), "Measuring…", "neutral"),
        (off(device_name=None), "No audio output detected.", "error"),
        (UNTOLD, "This output does not tell its delay; set an offset by ear.", "warning"),
        (None, "Measuring…", "neutral"),
    ],
)
def test_the_sentence_of_a_peer(own: LocalStatus | None, sentence: str, kind: str) -> None:
    view = peer_view(guest(own, now=QUEUE[0], timeline=line())).sync
    assert (plain(view.sentence), view.kind) == (sentence, kind)
    assert peer_view(guest(own)).sync.sentence == "Nothing is playing."


@pytest.mark.parametrize(
    ("state", "short"),
    [
        (host(), ""),
        (playing(), ""),
        (playing(peer()), "Both within 0.03 ms"),
        (playing(peer(), peer("Cleo", 2), peer("Dan", 3)), "All 4 within 0.03 ms"),
        (playing(peer(), peer("Cleo", 2, device_name=None)), "2 of 3 within 0.03 ms"),
        (playing(peer(phase_error_ns=-3_200_000), peer("Cleo", 2, phase_error_ns=1_500_000)), "Up to 3.2 ms off"),
        (playing(peer(clock_stale=True)), ""),
        (guest(now=QUEUE[0], timeline=line()), "Within 0.01 ms of the host"),
        (guest(off(phase_error_ns=3_200_000), now=QUEUE[0], timeline=line()), "Up to 3.2 ms off"),
        (guest(off(device_name=None), now=QUEUE[0], timeline=line()), ""),
        (guest(off(least_rtt_ns=82 * MS), now=QUEUE[0], timeline=line()), "Within 0.01 ms by the clock"),
        (playing(peer(), FAR), "Both within 0.03 ms"),
        (playing(FAR), "Far away: 1"),
    ],
)
def test_the_figure_of_the_sentence_alone(state: SessionView, short: str) -> None:
    view = host_view(state) if state.hosting else peer_view(state)
    assert plain(view.sync.short) == short


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (playing(peer()), ""),
        (playing(peer(), FAR), f"Ana, 41 ms away, within 0.41 ms by the clock; {UNKNOWABLE}"),
        (host(peer(), FAR), "Ana, 41 ms away."),
        (
            playing(FAR, far(away_ns=80 * MS, name="Ben")),
            "Far away: Ana (41 ms) and Ben (80 ms), within 0.41 ms by the clock; "
            "the asymmetry of the paths cannot be known.",
        ),
        (playing(peer(), FAR, far(device_name=None)), "Far away: Ana (41 ms) and Ana (41 ms)."),
        (guest(off(least_rtt_ns=82 * MS), now=QUEUE[0], timeline=line()), ""),
    ],
)
def test_far_machines_have_a_sentence_of_their_own(state: SessionView, text: str) -> None:
    sync = host_view(state).sync if state.hosting else peer_view(state).sync
    assert text in (plain(sync.far), plain(sync.sentence))


def test_a_missing_output_is_said_once() -> None:
    for timeline in (line(), line(stop_ns=5)):
        view = peer_view(guest(off(device_name=None), now=QUEUE[0], timeline=timeline))
        assert (view.now.note, view.now.artist, view.sync.sentence) == ("", "Band", "No audio output detected.")
    stopped = peer_view(guest(off(device_name=None)))
    assert stopped.now.note == "No audio output detected." != stopped.sync.sentence


@pytest.mark.parametrize(
    ("own", "text"),
    [
        (CARD, "Playing on Card, delay 10 ms."),
        (
            off(timing="told"),
            "Playing on Card, delay about 10 ms.\n"
            "This output tells its delay only roughly; if it plays late, set an offset.",
        ),
        (UNTOLD, "Playing on Card.\nThis output does not tell its delay; set an offset by ear."),
        (off(device_name=None), "No audio output detected."),
        (None, "No audio output detected."),
    ],
)
def test_the_sound_panel_tells_what_is_known_of_the_delay(own: LocalStatus | None, text: str) -> None:
    assert plain(output_text(host(own=own))) == text


def test_the_figures_of_all_machines() -> None:
    rough = peer("Eve", 4, timing="told", dac_uncertainty_ns=100 * MS)
    state = playing(peer(phase_error_ns=-12_400, underruns=1), peer("Cleo", 2, reported=False), untold("Dan", 3), rough)
    figures = host_view(state).sync.machines
    texts = [
        (one.name, one.error_text, one.uncertainty_text, one.drift_text, one.correction_text, one.underruns)
        for one in figures
    ]
    assert [tuple(plain(str(text)) for text in row) for row in texts] == [
        ("Hana", "−4 µs", "±5 µs", "0.0 ppm", "+12.3 ppm", "0"),
        ("Ben", "−12 µs", "±10 µs", "+3.1 ppm", "–", "1"),
        ("Cleo", "–", "–", "–", "–", "0"),
        ("Dan", "–", "–", "+3.1 ppm", "–", "0"),
        ("Eve", "+3 µs", "±101 ms", "+3.1 ppm", "–", "0"),
    ]
