"""File transfers: offers, attempts, failures, credentials."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from phaselock.model.queue import ItemStatus
from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.commands import Add, Play
from tests.support.session_harness import SessionHarness
from tests.support.simulation import MS, a_track, fetch_proof


def statuses(harness: SessionHarness) -> list[ItemStatus]:
    return [item.status for item in harness.host.snapshot().queue]


def test_a_track_goes_to_everybody_and_is_ready_when_all_have_it() -> None:
    harness = SessionHarness()
    ana, ben = harness.join("Ana"), harness.join("Ben")
    ben.transfer_ns = 3000 * MS
    harness.run(0.1)
    track = a_track()
    harness.command(Add(track))
    assert statuses(harness) == [ItemStatus.TRANSFERRING]
    harness.run(1)
    assert [fetch.track for fetch in ana.fetches + ben.fetches] == [track, track]
    assert ana.events("file_ready") and not ben.events("file_ready")
    assert statuses(harness) == [ItemStatus.TRANSFERRING]
    assert not harness.host.events("file_ready")
    harness.run(3)
    assert statuses(harness) == [ItemStatus.READY]
    assert len(harness.host.events("file_ready")) == 1
    for peer in (ana, ben):
        assert peer.snapshot().queue == harness.host.snapshot().queue


def test_without_peers_a_track_is_ready_at_once() -> None:
    harness = SessionHarness()
    harness.command(Add(a_track()))
    assert statuses(harness) == [ItemStatus.READY]


def test_a_newcomer_gets_every_file() -> None:
    harness = SessionHarness()
    harness.command(Add(a_track(1)), Add(a_track(2)))
    ana = harness.join("Ana")
    harness.run(0.02)
    assert [fetch.track.file_id.int for fetch in ana.fetches] == [1, 2]
    assert statuses(harness) == [ItemStatus.TRANSFERRING] * 2
    harness.run(1)
    assert statuses(harness) == [ItemStatus.READY] * 2
    assert harness.host.snapshot().peers[0].ready


def test_a_wrong_hash_is_tried_three_times_and_then_the_host_is_told() -> None:
    harness = SessionHarness()
    ana, ben = harness.join("Ana"), harness.join("Ben")
    ana.fetch_results = itertools.repeat(False)
    harness.run(0.1)
    harness.command(Add(a_track()))
    harness.run(10)
    assert len(ana.fetches) == 3
    assert len(ben.fetches) == 1
    (told,) = harness.host.events("error")
    assert told.fields["message"] == (
        "Ana could not receive song 1.mp3 in 3 tries. Try again (retry Ana) or go on without it (without Ana)."
    )
    assert told.fields["peer"] == "Ana" and told.fields["file_id"] == str(a_track().file_id)
    assert statuses(harness) == [ItemStatus.READY]
    assert ana.ended is None


def test_the_third_try_may_succeed() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    ana.fetch_results = iter([False, False, True])
    harness.run(0.1)
    harness.command(Add(a_track()))
    harness.run(10)
    assert len(ana.fetches) == 3
    assert statuses(harness) == [ItemStatus.READY]
    assert not harness.host.events("error")
    states = [event.fields["state"] for event in harness.host.events("transfer")]
    assert states == ["started", "retry", "started", "retry", "started", "done"]


def test_the_next_attempt_waits_half_a_second() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    ana.fetch_results = itertools.chain([False], itertools.repeat(True))
    harness.run(0.1)
    harness.command(Add(a_track()))
    harness.run(0.5)
    assert len(ana.fetches) == 1
    harness.run(0.1)
    assert len(ana.fetches) == 2


def test_a_peer_that_left_is_not_waited_for() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    ana.transfer_ns = 10**12
    harness.run(0.1)
    harness.command(Add(a_track()))
    harness.run(0.1)
    ana.leave()
    harness.run(0.1)
    assert statuses(harness) == [ItemStatus.READY]


def test_a_bulk_connection_needs_the_credentials_of_a_member_who_waits_for_that_file() -> None:
    harness = SessionHarness()
    ana, ben = harness.join("Ana"), harness.join("Ben")
    ana.transfer_ns = ben.transfer_ns = 10**12
    harness.run(0.1)
    track = a_track()
    harness.command(Add(track))
    harness.run(0.1)
    a, b = ana.fetches[0], ben.fetches[0]
    allowed = harness.host.core.authorise_fetch
    assert allowed(a.peer_id, fetch_proof(a.token), track.file_id) == track
    assert allowed(a.peer_id, fetch_proof(b.token), track.file_id) is None
    assert allowed(a.peer_id, b"", track.file_id) is None
    assert allowed(99, fetch_proof(a.token), track.file_id) is None
    assert allowed(a.peer_id, fetch_proof(a.token), a_track(2).file_id) is None
    ana.call(ana.core.file_ready, track.file_id)
    harness.run(0.1)
    assert (
        allowed(a.peer_id, fetch_proof(a.token), track.file_id) == track
    )  # a peer whose cache evicted the file fetches it again
    ben.leave()
    harness.run(0.1)
    assert allowed(b.peer_id, fetch_proof(b.token), track.file_id) is None


def test_a_second_answer_to_one_attempt_is_a_breach() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    harness.run(0.1)
    harness.command(Add(a_track()))
    harness.run(1)
    harness.host.receive(ana.conn, m.FileReceived(a_track().file_id, True))
    assert harness.host.snapshot().peers == ()


def test_an_answer_between_two_attempts_is_a_breach() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    ana.fetch_results = itertools.repeat(False)
    harness.run(0.1)
    harness.command(Add(a_track()))
    harness.run(0.1)
    harness.host.receive(ana.conn, m.FileReceived(a_track().file_id, False))
    assert harness.host.snapshot().peers == ()


def test_messages_about_files_that_left_the_queue_are_ignored() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    harness.run(0.1)
    harness.command(Add(a_track()))
    harness.run(1)
    before = harness.host.snapshot()
    for gone in (m.FileReceived(a_track(9).file_id, True), m.FileUnplayable(a_track(9).file_id, "why")):
        harness.host.receive(ana.conn, gone)
    assert harness.host.snapshot() == before
    assert not harness.host.events("error")


def test_progress_is_reported_every_tenth() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    ana.transfer_ns = 10**12
    harness.run(0.1)
    harness.command(Add(a_track()))
    harness.run(0.1)
    for sent in range(0, 1001, 20):
        harness.host.call(harness.host.core.fetch_progress, 1, a_track().file_id, sent)
    sending = [event.fields for event in harness.host.events("transfer") if event.fields["state"] == "sending"]
    assert [event["done_bytes"] for event in sending] == list(range(100, 1001, 100))
    assert {event["peer"] for event in sending} == {"Ana"}


def test_a_file_that_the_host_cannot_read_is_a_warning() -> None:
    harness = SessionHarness()
    harness.join("Ana")
    harness.run(0.1)
    harness.command(Add(a_track()))
    harness.host.call(harness.host.core.fetch_failed, 1, a_track().file_id, "No such file.")
    assert harness.host.events("warning")[0].fields["message"] == "song 1.mp3 cannot be sent: No such file."


def test_a_track_that_one_peer_cannot_decode_plays_for_the_others() -> None:
    harness = SessionHarness()
    ana, ben = harness.join("Ana"), harness.join("Ben")
    harness.run(0.1)
    harness.command(Add(a_track()))
    harness.run(1)
    ana.call(ana.core.decode_failed, a_track().file_id, "Invalid or corrupted MP3 file: x")
    ana.call(ana.core.decode_failed, a_track().file_id, "Invalid or corrupted MP3 file: x")
    harness.run(0.1)
    assert len(harness.host.events("error")) == 1
    assert "Ana cannot play song 1.mp3" in str(harness.host.events("error")[0].fields["message"])
    harness.command(Play())
    harness.run(1)
    assert ana.following is None
    assert ben.following is not None
    assert ana.ended is None


def test_a_file_that_is_no_mp3_on_receipt_is_not_waited_for() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    ana.transfer_ns = 10**12
    harness.run(0.1)
    harness.command(Add(a_track()))
    harness.run(0.1)
    ana.call(ana.core.decode_failed, a_track().file_id, "Invalid or corrupted MP3 file: song 1.mp3")
    harness.run(0.1)
    assert statuses(harness) == [ItemStatus.READY]
    assert len(ana.fetches) == 1
    assert len(harness.host.events("error")) == 1
    harness.command(Play())
    harness.run(1)
    assert ana.following is None and ana.ended is None


def test_the_host_reports_a_track_that_it_cannot_decode() -> None:
    harness = SessionHarness()
    harness.command(Add(a_track()))
    harness.host.call(harness.host.core.decode_failed, a_track().file_id, "bad")
    assert harness.host.events("error")[0].fields["message"] == "This machine cannot play song 1.mp3: bad"


def test_a_file_whose_description_changes_is_a_breach() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    harness.run(0.1)
    harness.command(Add(a_track()))
    harness.run(1)
    start = next(message for message in ana.received if isinstance(message, m.FileTransferStart))
    ana.call(ana.core.received, start)
    assert ana.ended is None and len(ana.fetches) == 1
    ana.call(ana.core.received, dataclasses.replace(start, size=7))
    assert ana.ended is not None


def test_the_fetch_of_a_track_that_left_the_queue_is_cancelled() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    ana.transfer_ns = 10**12
    harness.run(0.1)
    harness.command(Add(a_track(1)), Add(a_track(2)))
    harness.run(0.1)
    rest = tuple(item for item in harness.host.snapshot().queue if item.id.int == 2)
    ana.call(ana.core.received, m.QueueUpdate(rest, 99))
    assert ana.of(e.CancelFetch) == [e.CancelFetch(a_track(1).file_id)]


def test_file_names_are_reduced_to_plain_names() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    harness.run(0.1)
    harness.command(Add(dataclasses.replace(a_track(), file_name="/music/../x\u202e\n.mp3")))
    harness.run(1)
    assert ana.fetches[0].track.file_name == "x.mp3"
    assert ana.snapshot().queue[0].file_name == "x.mp3"


@pytest.mark.parametrize("size", [0, m.MAX_FILE_BYTES + 1])
def test_a_file_of_invalid_size_is_not_added(size: int) -> None:
    harness = SessionHarness()
    harness.command(Add(dataclasses.replace(a_track(), size=size)))
    assert harness.host.snapshot().queue == ()
    assert harness.host.events("error")


def test_adding_to_a_full_queue_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phaselock.session.host.queue.MAX_ITEMS", 3)
    harness = SessionHarness()
    harness.command(*(Add(a_track(number)) for number in range(1, 5)))
    assert [row.id.int for row in harness.host.snapshot().queue] == [1, 2, 3]
    assert harness.host.events("error")[-1].fields["message"] == "The queue is full: it holds 3 tracks."
