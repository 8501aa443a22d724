"""What the host sees of each peer, without a display."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from phaselock.model.snapshot import FileState, PeerView
from phaselock.ui.viewmodel import PeerRow, host_view
from tests.support.session_views import ALL, QUEUE, file, host, line, peer, plain, playing
from tests.support.simulation import MS


def row(one: PeerView, **changes: Any) -> PeerRow:
    """The row of a peer while the first song plays."""
    (shown,) = host_view(playing(one, **changes)).peers
    return shown


@pytest.mark.parametrize(
    ("rtt_ns", "usable", "latency_class", "text"),
    [
        (800_000, True, "green", "Network: <1 ms"),
        (4_200_000, True, "green", "Network: 2 ms"),
        (19_999_999, True, "green", "Network: 10 ms"),
        (20_000_000, True, "yellow", "Network: 10 ms"),
        (90_000_000, True, "yellow", "Network: 45 ms"),
        (200_000_002, True, "red", "Network: 100 ms"),
        (4_200_000, False, "red", "Network: 2 ms"),
    ],
)
def test_latency_as_a_colour_and_as_a_figure(rtt_ns: int, usable: bool, latency_class: str, text: str) -> None:
    shown = row(peer(rtt_ns=rtt_ns, clock_usable=usable))
    assert (shown.latency_class, plain(shown.latency_text)) == (latency_class, text)


def test_a_far_peer_is_not_called_in_phase_with_the_room() -> None:
    shown = row(peer(far=True, away_ns=41 * MS, rtt_ns=90 * MS, offset_uncertainty_ns=395_000))
    assert (plain(shown.latency_text), plain(shown.chip_text)) == ("41 ms away", "far away ±0.41 ms")
    assert shown.chip_kind == "neutral"
    assert plain(shown.tooltip).endswith(
        "Ben, 41 ms away, within 0.41 ms by the clock; the path's asymmetry cannot be known."
    )


def test_before_the_first_report_nothing_is_claimed() -> None:
    shown = row(peer(reported=False, clock_usable=False, device_name=None, rtt_ns=0))
    assert (shown.latency_class, shown.latency_text, shown.trouble) == ("yellow", "Network: –", "")
    assert (shown.chip_text, shown.chip_kind) == ("not in time yet", "neutral")
    assert shown.tooltip == "Nothing is known of it yet."


@pytest.mark.parametrize(
    ("changes", "text", "kind"),
    [
        ({}, "in phase ±0.02 ms", "good"),
        ({"phase_error_ns": -300_000}, "in phase ±0.31 ms", "good"),
        ({"phase_error_ns": 989_000}, "in phase ±1.0 ms", "good"),
        ({"phase_error_ns": 990_000}, "up to 1.0 ms off", "warning"),
        ({"phase_error_ns": -3_200_000}, "up to 3.3 ms off", "warning"),
        ({"dac_uncertainty_ns": 40 * MS}, "up to 41 ms off", "warning"),
        ({"dac_uncertainty_ns": None}, "not in time yet", "neutral"),
        ({"dac_uncertainty_ns": None, "timing": "unknown"}, "delay not known", "warning"),
        ({"offset_uncertainty_ns": None, "clock_usable": False}, "not in time yet", "neutral"),
        ({"clock_stale": True}, "not in time yet", "neutral"),
        ({"have": ALL - {UUID(int=1)}}, "not playing", "neutral"),
        ({"device_name": None}, "no output", "error"),
    ],
)
def test_the_chip_tells_how_far_off_it_may_be(changes: dict[str, Any], text: str, kind: str) -> None:
    shown = row(peer(**changes))
    assert (plain(shown.chip_text), shown.chip_kind) == (text, kind)


def test_chips_while_nothing_plays() -> None:
    for state in (host(peer()), playing(peer(), timeline=line(stop_ns=5)), host(peer(reported=False))):
        assert host_view(state).peers[0].chip_text == "not playing"


def test_a_track_that_was_taken_out_still_plays_everywhere() -> None:
    (shown,) = host_view(playing(peer(have=frozenset({UUID(int=2)})), queue=QUEUE[1:])).peers
    assert plain(shown.chip_text) == "in phase ±0.02 ms"


@pytest.mark.parametrize(
    ("changes", "detail", "progress", "can_retry"),
    [
        ({}, "has all files", None, False),
        ({"files_total": 0, "have": frozenset()}, "ready", None, False),
        ({"have": frozenset({UUID(int=1)}), "ready": False}, "1 of 3 ready", None, False),
        ({"files": (file(2, FileState.SENDING, 429),), "ready": False}, "receiving Song 2 – 42 %", 0.429, False),
        (
            {"files": (file(1, FileState.SENDING), file(2, FileState.SENDING, 100)), "ready": False},
            "receiving Song 2 – 10 %",
            0.1,
            False,
        ),
        ({"files": (file(3, FileState.SENDING, 1001),)}, "receiving Song 3 – 100 %", 1.0, False),
        ({"files": (file(2, FileState.FAILED),), "ready": False}, "could not receive Song 2", None, True),
        ({"files": (file(3, FileState.UNPLAYABLE, 1000),)}, "cannot play Song 3", None, False),
        (
            {"files": (file(1, FileState.SENDING, 500), file(3, FileState.FAILED)), "ready": False},
            "could not receive Song 3",
            0.5,
            True,
        ),
        ({"files": (file(9, FileState.UNPLAYABLE),)}, "cannot play a song", None, False),
    ],
)
def test_how_far_its_files_are(changes: dict[str, Any], detail: str, progress: float | None, can_retry: bool) -> None:
    shown = row(peer(**changes))
    assert (plain(shown.detail), shown.progress, shown.can_retry) == (detail, progress, can_retry)


@pytest.mark.parametrize(
    ("changes", "trouble"),
    [
        ({}, ""),
        ({"device_name": None, "clock_usable": False, "waited_for": False}, "No audio output"),
        ({"clock_usable": False, "waited_for": False}, "Clock not in time"),
        ({"clock_stale": True}, "Clock not in time"),
        ({"waited_for": False}, "Not waited for"),
    ],
)
def test_trouble(changes: dict[str, Any], trouble: str) -> None:
    assert row(peer(**changes)).trouble == trouble


def test_the_tooltip_has_the_rest() -> None:
    assert plain(row(peer(underruns=2)).tooltip).splitlines() == [
        "Output: Speakers, delay 12 ms",
        "Round trip: 4.2 ms",
        "Clock: within 0.01 ms, drift +3.1 ppm",
        "Interruptions: 2",
    ]
    assert "Output: Speakers, delay about 12 ms" in plain(row(peer(timing="told")).tooltip)
    assert "Output: Speakers, delay not known" in row(peer(timing="unknown")).tooltip
    tooltip = row(peer(device_name=None, clock_usable=False)).tooltip
    assert "Output: none" in tooltip and "Clock: not in time" in tooltip and "Interruptions" not in tooltip


def test_the_channels_of_a_peer() -> None:
    for role, text, network in (
        ("stereo", "Channels of Ben: Stereo", "Network: 2\N{NARROW NO-BREAK SPACE}ms"),
        ("left", "Channels of Ben: Left", "Left · 2\N{NARROW NO-BREAK SPACE}ms"),
        (None, "", "Network: 2\N{NARROW NO-BREAK SPACE}ms"),
    ):
        shown = row(peer(role=role))
        assert (shown.channels_text, shown.latency_text) == (text, network)


def test_the_volume_of_a_peer() -> None:
    shown = row(peer(volume_percent=40))
    assert (shown.volume_percent, shown.muted, shown.mute_text) == (40, False, "Mute Ben (40 %)")
    assert row(peer(muted=True)).mute_text == "Unmute Ben"
