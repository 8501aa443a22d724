"""The lines for people about events."""

from __future__ import annotations

import dataclasses
import time
from typing import Any
from uuid import UUID

import pytest

from phaselock.console import events as ce
from phaselock.console.columns import width
from phaselock.console.lines import event_lines, progress_line
from phaselock.model.notices import Code, Notice
from phaselock.model.party import Order, PartyRules
from phaselock.model.queue import ItemStatus
from phaselock.model.snapshot import LatencyClass, LevelView
from phaselock.model.sweeps import Verdict
from phaselock.session import events as e
from phaselock.session.sentences import event_text, with_songs

SONG = UUID(int=1)
PLAYING = e.Playing(17, SONG, "a.mp3", 0.0)
NO_OUTPUT = "Warning: No audio output detected. This machine plays no sound. What to do: phaselock doctor"
SYNC = e.SyncMeasured(18, True, -0.4, 3.2, 0.0, 0.0, 0.5, 0, "exact", 2.0, 10.0)


def status(state: Any, **more: Any) -> e.StatusReported:
    return e.StatusReported(None, "Jam", "Host", "Host", state, True, **more)


def test_the_progress_line() -> None:
    playing = status("playing", file_name="a.mp3", duration_s=225.4, position_s=83.9)
    assert progress_line(playing, SYNC) == "playing a.mp3  1:23 / 3:45  in phase within 6 µs"
    hosting = dataclasses.replace(playing, peers=2, title="Song", artist="Band")
    assert progress_line(hosting, SYNC) == "playing Song – Band  1:23 / 3:45  2 peers"
    untold = dataclasses.replace(SYNC, timing="unknown")
    assert progress_line(status("playing"), untold) == "playing  delay not known"
    assert progress_line(status("stopped", peers=1)) == "stopped  1 peer"
    unknown = dataclasses.replace(SYNC, offset_uncertainty_us=None, playing=False)
    assert progress_line(status("stopped"), unknown) == "stopped  listening to the host's clock"
    assert progress_line(status("stopped"), dataclasses.replace(SYNC, playing=False)) == "stopped"
    late = dataclasses.replace(SYNC, phase_error_us=-1500.0)
    assert progress_line(playing, late) == "playing a.mp3  1:23 / 3:45  in phase within 1.5 ms"
    away = dataclasses.replace(playing, connected=False)
    assert progress_line(away) == "playing a.mp3  1:23 / 3:45  host not heard"


def test_the_progress_line_fits_a_narrow_terminal() -> None:
    long = status(
        "playing", file_name="x.mp3", title="A very long title", artist="夜", duration_s=9, position_s=1, peers=2
    )
    for columns in (20, 30, 40, 80):
        assert width(progress_line(long, columns=columns)) <= columns


def test_the_rules_one_a_line() -> None:
    rules = PartyRules(accept=True, order=Order.FAIR, skip_vote=True)
    assert event_lines(e.RulesChanged(None, rules), columns=60) == [
        "Songs are accepted at once.",
        "The order is fair: each person's first song, then each",
        "person's second; votes order each round.",
        "A song is left when more than half of the people want that.",
    ]


def test_the_queue_as_a_table() -> None:
    rows = [
        e.QueueRow(UUID(int=1), "a.mp3", "", "", 61.0, "Ada", ItemStatus.PLAYED),
        e.QueueRow(UUID(int=2), "b.mp3", "夜のパーティー", "Band", 3661.0, "Bob", ItemStatus.PLAYING),
        e.QueueRow(
            UUID(int=3), "c.mp3", "A title that is longer than forty columns are", "", 5.0, "Bob", ItemStatus.READY
        ),
    ]
    told = e.QueueChanged(None, None, tuple(rows), True)
    assert event_lines(told) == [
        "     song                                            length  state    added by",
        "  1  a.mp3                                             1:01  played   Ada",
        "▶ 2  夜のパーティー – Band                          1:01:01  playing  Bob",
        "  3  A title that is longer than forty columns are     0:05  ready    Bob",
    ]
    votes = (e.VotesRow(UUID(int=3), 2, ("Ada", "Cleo")), e.VotesRow(UUID(int=9), 1), e.VotesRow(UUID(int=2), 1))
    assert event_lines(dataclasses.replace(told, votes=votes))[4:] == [
        "Song 3 has 2 votes: Ada and Cleo.",
        "Song 2 has 1 vote.",
    ]
    assert event_lines(told, columns=40) == [
        "     song                         length",
        "  1  a.mp3                          1:01",
        "▶ 2  夜のパーティー – Band       1:01:01",
        "  3  A title that is longer th…     0:05",
    ]
    assert {width(line) for line in event_lines(told, columns=40)} == {40}


PEER = e.PeerRow(
    "Ada",
    True,
    2,
    2,
    True,
    (),
    "good",
    2.1,
    LatencyClass.GREEN,
    4.2,
    False,
    0.0,
    3.0,
    5.0,
    6.0,
    0.0,
    10.0,
    "Box",
    "exact",
    0,
    100,
    False,
    "stereo",
    None,
    (),
)


def peers(*rows: e.PeerRow) -> e.PeersListed:
    return e.PeersListed(None, rows)


def device(state: Any, name: str | None, timing: Any, peer: str | None = None, detail: str = "") -> e.DeviceChanged:
    return e.DeviceChanged(None, state, name, detail, timing, peer)


def transfer(state: e.TransferState, peer: str | None) -> e.TransferChanged:
    return e.TransferChanged(None, SONG, "a.mp3", 10, state, peer)


def listed(timing: Any, link: str) -> ce.OutputListed:
    return ce.OutputListed(None, "pipewire", "Box", True, timing, link)


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        (transfer(e.TransferState.DONE, "Ada"), ["Ada has received a.mp3."]),
        (transfer(e.TransferState.SENDING, "Ada"), []),
        (
            dataclasses.replace(transfer(e.TransferState.FAILED, None), reason="The disk is full."),
            ["a.mp3 did not arrive: The disk is full."],
        ),
        (device("lost", None, None, None, "It is gone."), ["It is gone."]),
        (device("lost", None, None, "Ada", "It is gone."), []),
        (device("open", "Box", "exact"), ["The output is Box."]),
        (
            device("open", "Box", "unknown"),
            ["The output is Box. This output does not tell its delay; set an offset by ear."],
        ),
        (device("open", "Box", "exact", "Ada"), []),
        (device("open", "Box", "told", "Ada"), ["Ada plays on Box: delay roughly known."]),
        (device("none", None, None, "Ada"), ["Ada has no audio output."]),
        (e.PeerJoined(None, 1, "{file_name} {0}", again=False), ["{file_name} {0} has joined."]),
        (e.PeerLeft(None, 1, "Ada", Notice(Code.PEER_LEFT)), ["Ada has left."]),
        (e.PeerLeft(None, 1, "Ada", Notice(Code.PEER_CONNECTION_LOST)), ["Ada has left."]),
        (listed("exact", "wire"), ["pipewire    delay known           Box  (default)"]),
        (listed("told", "hdmi"), ["pipewire    delay roughly known   Box, by HDMI  (default)"]),
        (listed("unknown", "server"), ["pipewire    delay not known       Box  (default)"]),
        (e.Seeked(None, SONG, "a.mp3", 61.5), ["Going to 1:01."]),
        (e.QueueChanged(None, 1), []),
        (e.QueueChanged(None, asked=True), ["The queue is empty."]),
        (peers(), ["Nobody has joined yet."]),
        (e.RequestsListed(None, ()), ["There are no requests."]),
        (SYNC, []),
        (e.SessionEnded(None, Notice(Code.HOST_LOST), True), []),  # said at the very end
        (e.SessionEnded(None, Notice(Code.SESSION_ENDED)), ["Session ended."]),
        (
            e.HelpTold(None, (e.HelpRow("add", "add PATH", "add a file"), e.HelpRow("quit", "quit", "end"))),
            ["add PATH  add a file", "quit      end"],
        ),
        (e.Answered(None, Notice(Code.VOLUME, number=40)), ["Volume 40 %."]),
        (e.Warned(None, Notice(Code.NO_OUTPUT)), [NO_OUTPUT]),
        (device("none", None, None, None, "No audio output detected."), [NO_OUTPUT]),
        (
            ce.SessionFound(None, "Jam", "Ada", 5, 5, ("10.0.0.1",), 17401, "00", 3, False, "", True, "10.0.0.1"),
            ["Jam — hosted by Ada — 5/5 peers  (full)  10.0.0.1"],
        ),
        (
            ce.SessionFound(None, "Jam", "Ada", 1, 5, ("10.0.0.1",), 17401, "00", 3, True, "", False, "10.0.0.1"),
            ["Jam — hosted by Ada — 1/5 peers  (with a code)  10.0.0.1"],
        ),
    ],
)
def test_an_event_in_words(event: e.Event, lines: list[str]) -> None:
    assert event_lines(event) == lines


def test_the_peers_as_a_table() -> None:
    rows = (
        PEER,
        dataclasses.replace(PEER, name="Bob", timing="unknown", latency_ms=120.0, latency_class=LatencyClass.RED),
        dataclasses.replace(PEER, name="Eve", device=None, files_ready=1, waited_for=False, clock="none"),
        dataclasses.replace(PEER, name="Lee", role="left"),
    )
    assert event_lines(peers(*rows)) == [
        "name  in phase within  heard by a microphone              network  songs  output",
        "Ada             14 µs  not yet                             2.1 ms    2/2  Box",
        "Bob   delay not known  not yet                120.0 ms (too slow)    2/2  Box",
        "Eve      no clock yet  not yet                             2.1 ms    1/2  no output, not waited for",
        "Lee             14 µs  not yet                             2.1 ms    2/2  Box, Left",
    ]


def test_a_far_peer_is_told_of_below_the_table() -> None:
    far = dataclasses.replace(PEER, name="Ana", far=True, away_ms=40.8, latency_ms=45.0, offset_uncertainty_us=395.0)
    rows = (PEER, far, dataclasses.replace(far, name="Eve", clock="none"))
    assert event_lines(peers(*rows)) == [
        "name  in phase within  heard by a microphone     network  songs  output",
        "Ada             14 µs  not yet                    2.1 ms    2/2  Box",
        "Ana          far away  not yet                41 ms away    2/2  Box",
        "Eve      no clock yet  not yet                41 ms away    2/2  Box",
        "Ana, 41 ms away, within 404 µs by the clock; the path's asymmetry cannot be known.",
        "Eve, 41 ms away.",
    ]


def test_the_levels_as_a_table() -> None:
    rows = (LevelView("Hana", 0.0, 6.2, -6.2), LevelView("Ben", 0.0, 0.0, 0.0), LevelView("Eve", None, None, None))
    assert event_lines(e.LevelsListed(None, rows, can_even=True)) == [
        "name  louder    trim  trim to be even",
        "Hana  6.2 dB  0.0 dB          -6.2 dB",
        "Ben   0.0 dB  0.0 dB           0.0 dB",
        "Eve        -       -                -",
        "To trim all to the quietest one, type levels even.",
    ]
    assert len(event_lines(e.LevelsListed(None, rows, can_even=False))) == 4
    assert (
        event_lines(e.LevelsListed(None, rows[2:], can_even=False))[-1] == "To hear how loud they are, type calibrate."
    )


def test_a_calibration_offers_to_even_out_the_volumes() -> None:
    rows = [e.CalibratedRow(name, Verdict.HEARD, 0.0, 0.0, 0.0, db) for name, db in (("Hana", 6.2), ("Ben", 0.0))]
    assert event_lines(e.Calibrated(1, "Hana", tuple(rows))) == [
        "Hana is right: within 0.1 ms.\nBen is right: within 0.1 ms.",
        "Hana is heard 6.2 dB louder than Ben. To trim all to the quietest one, type levels even.",
    ]
    rows[0] = dataclasses.replace(rows[0], level_db=0.9)
    assert len(event_lines(e.Calibrated(1, "Hana", tuple(rows)))) == 1


def test_what_a_microphone_has_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute ago by session time is a minute ago by the clock on the wall."""
    monkeypatch.setattr("phaselock.console.lines.moment_text", lambda unix_s: f"{time.time() - unix_s:.0f} s ago")
    heard = e.ConfirmedRow(40_000_000_000, 31.4, "spot")
    listed = e.PeersListed(100_000_000_000, (dataclasses.replace(PEER, confirmed=heard),))
    assert "  60 s ago, within 0.03 ms  " in event_lines(listed)[1]
    own = dataclasses.replace(status("stopped", device="Box", confirmed=heard), session_ns=41_000_000_000)
    assert "Microphone  1 s ago, within 0.03 ms" in event_lines(own)


def test_the_state_of_everything() -> None:
    playing = {"file_name": "a.mp3", "title": "Song", "artist": "Band", "duration_s": 225.4, "position_s": 83.9}
    here = {"address": "10.0.0.1", "device": "Box", "timing": "exact", "volume": 40, "trim_db": -6.2, "role": "left"}
    here["offset_ms"] = -12.5
    host = status("playing", **playing, **here, peers=1, peer_names=("Ada",), repeat=True)
    assert event_lines(host) == [
        "Jam         Jam, hosted by Host",
        "You are     Host",
        "Address     10.0.0.1",
        "Song        Song – Band, playing, 1:23 / 3:45",
        "Output      Box (delay known)",
        "Volume      40 %, -6.2 dB",
        "Channels    Left",
        "Offset      -12.5 ms",
        "Microphone  has not heard this speaker yet",
        "Repeat      on",
        "Peers       Ada",
    ]
    peer = status("stopped", address="10.0.0.1", volume=100, clock_within_us=12.3)
    assert event_lines(peer)[3:] == [
        "Song     stopped",
        "Output   none",
        "Volume   100 %",
        "Clock    known within 12 µs",
    ]
    narrow = event_lines(host, columns=30)
    assert narrow[:2] == ["Jam", "    Jam, hosted by Host"]


def test_a_song_has_its_title_in_a_sentence() -> None:
    names = {SONG: "Song – Band"}
    missing = e.Warned(None, Notice(Code.STARTS_WHEN_RECEIVED, "", SONG, "a.mp3", peers=("Ada",)))
    assert event_text(with_songs(PLAYING, names.get)) == "Playing Song – Band."
    assert event_text(with_songs(missing, names.get)).startswith("Warning: Song – Band starts as soon as it is there.")
    assert with_songs(PLAYING, {}.get) is PLAYING
    nothing = e.Failed(None, Notice(Code.NOTHING_PLAYING))
    assert with_songs(nothing, names.get) is nothing
