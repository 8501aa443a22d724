"""Song requests of peers: asked, decided, uploaded, added; each outcome is reported with a reason."""

from __future__ import annotations

import itertools
from uuid import UUID

import pytest

from phaselock.model.names import FILE_BYTES
from phaselock.model.snapshot import RequestState, RequestView
from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.commands import Accept, Add, DropPeer, Play, Reject, Request
from phaselock.session.host.requests import MAX_OPEN
from tests.support.session_harness import HarnessPeer, SessionHarness, error, ready
from tests.support.simulation import SECOND, SimulatedNode, a_track, upload_proof
from tests.support.told import reason

NEVER_NS = 10**15
AGAIN = "You have asked for this song already."


def session_of_two() -> tuple[SessionHarness, HarnessPeer, HarnessPeer]:
    harness = SessionHarness()
    peers = harness.join("Ana"), harness.join("Ben")
    harness.run(0.3)
    return harness, *peers


def ask(harness: SessionHarness, peer: HarnessPeer, number: int = 1, *, size: int = 5000, name: str = "") -> UUID:
    """A request for a song of that number, which reaches the host."""
    request_id = UUID(int=100 + number)
    request = Request(request_id, name or f"wish {number}.mp3", size, bytes([number]) * 32)
    peer.call(peer.core.command, request)
    harness.run(0.01)
    return request_id


def at_host(harness: SessionHarness) -> list[RequestView]:
    return list(harness.host.snapshot().requests)


def states(peer: HarnessPeer) -> list[tuple[RequestState, str]]:
    """(state, reason) of the peer's own requests."""
    return [(request.state, request.reason) for request in peer.snapshot().requests]


def told(node: SimulatedNode) -> list[tuple[object, object]]:
    """(state, reason) of all request events of this node."""
    return [(event.fields["state"], event.fields["reason"]) for event in node.events("request")]


def uploading(harness: SessionHarness, peer: HarnessPeer, number: int = 1) -> e.Upload:
    """An accepted request whose upload never ends by itself."""
    peer.transfer_ns = NEVER_NS
    harness.command(Accept(ask(harness, peer, number)))
    harness.run(0.01)
    return peer.uploads[-1]


# -- decided -----------------------------------------------------------------------------------------------------------


def test_a_request_is_shown_at_the_host_and_stays_open() -> None:
    harness, ana, ben = session_of_two()
    request_id = ask(harness, ana)
    harness.run(100)
    assert at_host(harness) == [RequestView(request_id, 1, "Ana", "wish 1.mp3", 5000, RequestState.OPEN, 0, "")]
    assert ana.snapshot().requests == harness.host.snapshot().requests
    assert ben.snapshot().requests == () and harness.host.snapshot().queue == ()
    assert harness.host.events("request")[0].fields == {
        "request_id": str(request_id), "number": 1, "peer": "Ana", "file_name": "wish 1.mp3", "size": 5000,
        "state": "open", "done_bytes": 0, "reason": "", "title": "", "artist": "",
    }  # fmt: skip


def test_an_accepted_song_is_uploaded_appended_and_sent_to_the_others() -> None:
    harness, ana, ben = session_of_two()
    harness.command(Add(a_track(1)))
    request_id = ask(harness, ana)
    harness.command(Accept(request_id))
    harness.run(1)
    (upload,) = ana.uploads
    assert (upload.request_id, upload.sha256, upload.size) == (request_id, bytes([1]) * 32, 5000)
    rows = harness.host.snapshot().queue
    assert [(row.file_name, row.added_by) for row in rows] == [("song 1.mp3", "Hana"), ("wish 1.mp3", "Ana")]
    assert [fetch.track.file_name for fetch in ben.fetches] == ["song 1.mp3", "wish 1.mp3"]
    assert all(peer.ready for peer in harness.host.snapshot().peers)
    assert states(ana) == [(RequestState.ADDED, "")] and at_host(harness) == []
    assert told(ana) == [("open", ""), ("accepted", ""), ("added", "")] == told(harness.host)
    assert ben.snapshot().queue == rows


def test_a_rejected_request_is_reported_with_a_reason() -> None:
    harness, ana, _ = session_of_two()
    harness.command(Reject(ask(harness, ana)))
    harness.run(0.1)
    assert states(ana) == [(RequestState.REJECTED, "The host has declined it.")]
    assert told(harness.host)[-1] == ("rejected", "") and at_host(harness) == []
    assert not ana.uploads


def test_a_request_cannot_be_accepted_twice() -> None:
    harness, ana, _ = session_of_two()
    request_id = uploading(harness, ana).request_id
    for one in (request_id, UUID(int=5)):
        harness.command(Accept(one))
        assert error(harness.host) == "That request is over."
    assert [request.state for request in at_host(harness)] == [RequestState.ACCEPTED]


def test_a_request_can_be_rejected_during_its_upload() -> None:
    harness, ana, _ = session_of_two()
    request_id = uploading(harness, ana).request_id
    assert harness.host.core.wants_upload(request_id)
    harness.command(Reject(request_id))
    assert not harness.host.core.wants_upload(request_id) and at_host(harness) == []
    harness.run(0.1)
    assert states(ana)[-1] == (RequestState.REJECTED, "The host has declined it.")
    harness.command(Reject(request_id))
    assert error(harness.host) == "That request is over."


def test_the_number_of_upload_attempts_is_limited() -> None:
    harness, ana, _ = session_of_two()
    upload = uploading(harness, ana)
    tries = [
        harness.host.core.authorise_upload(upload.peer_id, upload_proof(upload.token), upload.request_id, upload.sha256)
        is not None
        for _ in range(9)
    ]
    assert tries.count(True) <= 6 and not any(tries[6:])


def test_two_peers_ask_and_each_hears_its_own_answer() -> None:
    harness, ana, ben = session_of_two()
    first, second, third = ask(harness, ana, 1), ask(harness, ben, 2), ask(harness, ana, 3)
    assert [(r.number, r.peer_name) for r in at_host(harness)] == [(1, "Ana"), (2, "Ben"), (3, "Ana")]
    harness.command(Reject(first), Accept(second))
    harness.run(1)
    assert [state for state, _ in states(ana)] == [RequestState.REJECTED, RequestState.OPEN]
    assert [state for state, _ in states(ben)] == [RequestState.ADDED]
    assert [r.request_id for r in at_host(harness)] == [third]
    assert [row.added_by for row in harness.host.snapshot().queue] == ["Ben"]


def test_a_peer_has_five_open_requests_at_most() -> None:
    harness, ana, ben = session_of_two()
    ids = [ask(harness, ana, number) for number in range(1, MAX_OPEN + 2)]
    assert states(ana)[-1] == (
        RequestState.REJECTED, "Too many of your requests are open. Please wait until the host has answered.",
    )  # fmt: skip
    assert len(at_host(harness)) == MAX_OPEN == 5
    ask(harness, ben, 50)
    assert len(at_host(harness)) == 6
    ana.transfer_ns = NEVER_NS
    harness.command(Accept(ids[0]))  # an accepted request counts until it is uploaded
    assert states(ana)[-1][0] is RequestState.REJECTED
    ask(harness, ana, 60)
    assert states(ana)[-1][0] is RequestState.REJECTED
    harness.command(Reject(ids[1]))
    ask(harness, ana, 61)
    assert states(ana)[-1][0] is RequestState.OPEN


def test_asking_twice_under_one_id_is_a_breach() -> None:
    harness, ana, _ = session_of_two()
    ask(harness, ana)
    harness.host.receive(ana.conn, m.SongRequest(UUID(int=101), "x.mp3", 1))
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ben"]
    assert at_host(harness) == []


def test_file_names_of_requests_are_reduced_to_plain_names() -> None:
    harness, ana, _ = session_of_two()
    harness.host.receive(ana.conn, m.SongRequest(UUID(int=9), "../../\x1b[2Jetc/\u202ex.mp3\n", 1))
    assert at_host(harness)[0].file_name == "x.mp3"
    harness.host.receive(ana.conn, m.SongRequest(UUID(int=10), "x" * FILE_BYTES, 1))
    assert len(at_host(harness)[1].file_name) == 200


def test_a_request_tells_what_the_song_is() -> None:
    harness, ana, _ = session_of_two()
    ana.call(ana.core.command, Request(UUID(int=5), "a.mp3", 9, bytes(32), "Night Drive", "The Phases", 154.7))
    harness.run(0.01)
    for (shown,) in (at_host(harness), ana.snapshot().requests):
        assert (shown.title, shown.artist, shown.duration_secs) == ("Night Drive", "The Phases", 154.7)
    harness.host.receive(ana.conn, m.SongRequest(UUID(int=9), "b.mp3", 1, "\x1b[2J\u202eTitle\n", "\u200b", 1.0))
    assert (at_host(harness)[1].title, at_host(harness)[1].artist) == ("[2JTitle", "")


# -- the upload --------------------------------------------------------------------------------------------------------


def test_an_upload_needs_an_accepted_request_of_the_same_peer() -> None:
    harness, ana, ben = session_of_two()
    upload = uploading(harness, ana)
    other, undecided = uploading(harness, ben, 2), ask(harness, ana, 3)
    allowed = harness.host.core.authorise_upload
    request = allowed(upload.peer_id, upload_proof(upload.token), upload.request_id, upload.sha256)
    assert request is not None and (request.size, request.file_name) == (5000, "wish 1.mp3")
    assert allowed(upload.peer_id, upload_proof(other.token), upload.request_id, upload.sha256) is None
    assert allowed(upload.peer_id, b"", upload.request_id, upload.sha256) is None
    assert allowed(other.peer_id, upload_proof(other.token), upload.request_id, upload.sha256) is None
    assert allowed(upload.peer_id, upload_proof(upload.token), other.request_id, upload.sha256) is None
    assert allowed(upload.peer_id, upload_proof(upload.token), undecided, upload.sha256) is None
    assert allowed(upload.peer_id, upload_proof(upload.token), UUID(int=5), upload.sha256) is None
    assert allowed(99, upload_proof(upload.token), upload.request_id, upload.sha256) is None
    harness.host.call(harness.host.core.uploaded, upload.request_id, a_track(7))
    assert allowed(upload.peer_id, upload_proof(upload.token), upload.request_id, upload.sha256) is None


def test_an_upload_without_an_accepted_request_changes_nothing() -> None:
    harness, ana, _ = session_of_two()
    undecided = ask(harness, ana)
    before = harness.host.snapshot()
    for request_id in (undecided, UUID(int=5)):
        harness.host.call(harness.host.core.upload_progress, request_id, 10)
        harness.host.call(harness.host.core.uploaded, request_id, a_track(7))
    assert harness.host.snapshot() == before


def test_the_size_of_an_upload_is_that_of_the_request() -> None:
    harness, ana, _ = session_of_two()
    ana.transfer_ns = NEVER_NS
    request_id = ask(harness, ana, size=4321)
    harness.command(Accept(request_id))
    harness.run(0.01)
    upload = ana.uploads[0]
    request = harness.host.core.authorise_upload(upload.peer_id, upload_proof(upload.token), request_id, upload.sha256)
    assert request is not None and request.size == at_host(harness)[0].size == upload.size == 4321


def test_progress_is_reported_every_tenth() -> None:
    harness, ana, _ = session_of_two()
    request_id = uploading(harness, ana).request_id
    for done in range(0, 5001, 50):
        harness.host.call(harness.host.core.upload_progress, request_id, done)
    accepted = [event.fields["done_bytes"] for event in harness.host.events("request") if event.fields["done_bytes"]]
    assert accepted == list(range(500, 5001, 500))
    assert at_host(harness)[0].done_bytes == 5000


def test_a_request_is_withdrawn_after_three_failed_uploads() -> None:
    harness, ana, _ = session_of_two()
    ana.upload_results = itertools.repeat(False)
    harness.command(Accept(ask(harness, ana)))
    harness.run(1)
    assert len(ana.uploads) == 3
    assert states(ana) == [(RequestState.FAILED, "The connection was lost.")]
    assert told(harness.host)[-1] == ("failed", "The connection was lost.") and at_host(harness) == []
    assert harness.host.snapshot().queue == ()


def test_the_third_try_may_succeed() -> None:
    harness, ana, _ = session_of_two()
    ana.upload_results = iter([False, False, True])
    harness.command(Accept(ask(harness, ana)))
    harness.run(1)
    assert states(ana) == [(RequestState.ADDED, "")]
    assert told(ana) == [("open", ""), ("accepted", ""), ("added", "")]


def test_an_uploaded_song_that_is_no_mp3_is_refused_with_a_reason() -> None:
    harness, ana, _ = session_of_two()
    reason = "Invalid or corrupted MP3 file: wish 1.mp3"
    ana.upload_results = itertools.repeat(reason)
    harness.command(Accept(ask(harness, ana)))
    harness.run(1)
    assert states(ana) == [(RequestState.REJECTED, reason)]
    assert told(harness.host)[-1] == ("failed", reason)
    assert harness.host.snapshot().queue == () and at_host(harness) == []


@pytest.fixture
def short_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phaselock.session.host.queue.MAX_ITEMS", 2)


@pytest.mark.usefixtures("short_queues")
def test_a_request_cannot_be_accepted_into_a_full_queue() -> None:
    harness, ana, _ = session_of_two()
    harness.command(Add(a_track(1)), Add(a_track(2)))
    request_id = ask(harness, ana)
    harness.command(Accept(request_id))
    assert error(harness.host) == "The queue is full."
    assert [request.state for request in at_host(harness)] == [RequestState.OPEN]


@pytest.mark.usefixtures("short_queues")
def test_an_upload_into_a_full_queue_is_refused_with_a_reason() -> None:
    harness, ana, _ = session_of_two()
    upload = uploading(harness, ana)
    harness.command(Add(a_track(1)), Add(a_track(2)))
    harness.host.call(harness.host.core.uploaded, upload.request_id, a_track(7))
    harness.run(0.1)
    assert states(ana) == [(RequestState.REJECTED, "The queue is full.")]
    assert told(harness.host)[-1] == ("failed", "The queue is full.")
    assert [row.id.int for row in harness.host.snapshot().queue] == [1, 2]


def test_an_upload_without_progress_for_a_minute_is_given_up() -> None:
    harness, ana, _ = session_of_two()
    upload = uploading(harness, ana)
    harness.run(59.9)
    assert at_host(harness)
    harness.host.call(harness.host.core.upload_progress, upload.request_id, 10)
    harness.run(59.9)
    assert at_host(harness)
    harness.run(0.2)
    assert at_host(harness) == []
    assert told(harness.host)[-1] == ("failed", "The song was not sent.")
    assert states(ana) == [(RequestState.REJECTED, "The song was not sent.")]
    assert ana.of(e.CancelUpload) == [e.CancelUpload(upload.request_id)]


def test_a_conversion_is_told_at_the_host_and_at_the_peer_that_asked() -> None:
    harness, ana, ben = session_of_two()
    upload = uploading(harness, ana)
    for share in (0.0, 0.05, 0.39, 0.4, 1.0):
        harness.host.call(harness.host.core.upload_converting, upload.request_id, share)
        harness.run(0.7)  # two calls a report
        at_both = [request.converted_percent for request in (*at_host(harness), *ana.snapshot().requests)]
        assert at_both == [{0.0: 0, 0.05: 0, 0.39: 39, 0.4: 39, 1.0: 100}[share]] * 2
    assert [request.state for request in at_host(harness)] == [RequestState.CONVERTING] == [states(ana)[0][0]]
    harness.host.call(harness.host.core.uploaded, upload.request_id, a_track(7))
    harness.run(0.1)
    for node in (harness.host, ana):
        told_percent = [
            (row["state"], row.get("converted_percent")) for row in (e.fields for e in node.events("request"))
        ]
        steps = [("converting", percent) for percent in (0, 39, 100)]
        assert told_percent == [("open", None), ("accepted", None), *steps, ("added", None)]
    assert not ben.events("request") and [row.added_by for row in harness.host.snapshot().queue] == ["Ana"]


def test_a_conversion_may_take_longer_than_an_upload_may_rest() -> None:
    harness, ana, _ = session_of_two()
    upload = uploading(harness, ana)
    for _ in range(5):
        harness.host.call(harness.host.core.upload_converting, upload.request_id, 0.5)
        harness.run(50)
    assert at_host(harness)
    harness.run(11)
    assert at_host(harness) == [] and states(ana) == [(RequestState.REJECTED, "The song was not sent.")]


def test_a_request_can_be_rejected_during_its_conversion() -> None:
    harness, ana, _ = session_of_two()
    upload = uploading(harness, ana)
    harness.host.call(harness.host.core.upload_converting, upload.request_id, 0.5)
    harness.run(0.1)
    harness.host.call(harness.host.core.upload_progress, upload.request_id, 10)  # a late report changes nothing
    assert harness.host.core.wants_upload(upload.request_id)
    assert (
        harness.host.core.authorise_upload(upload.peer_id, upload_proof(upload.token), upload.request_id, upload.sha256)
        is None
    )
    ana.call(ana.core.upload_ended, upload.request_id, "The connection was lost.")  # the host has the song already
    harness.run(0.1)
    assert states(ana) == [(RequestState.CONVERTING, "")] and len(ana.uploads) == 1
    harness.command(Reject(upload.request_id))
    assert not harness.host.core.wants_upload(upload.request_id)
    harness.host.call(harness.host.core.upload_converting, upload.request_id, 0.9)
    harness.run(0.1)
    assert states(ana) == [(RequestState.REJECTED, "The host has declined it.")] and at_host(harness) == []


def test_a_peer_that_is_lost_during_the_conversion_asks_again() -> None:
    harness, ana, _ = session_of_two()
    upload = uploading(harness, ana)
    harness.host.call(harness.host.core.upload_converting, upload.request_id, 0.5)
    ana.cut()
    harness.run(10)
    assert states(ana) == [(RequestState.OPEN, "")] and ana.snapshot().requests[0].converted_percent is None
    ana.repair()
    harness.run(4)
    assert [request.request_id for request in at_host(harness)] == [upload.request_id]


def test_an_undecided_request_does_not_expire() -> None:
    harness, ana, _ = session_of_two()
    ask(harness, ana)
    harness.run(600)
    assert [request.state for request in at_host(harness)] == [RequestState.OPEN]


# -- leaving and coming back -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["leave", "crash", "drop"])
def test_the_requests_of_a_peer_that_left_are_removed(how: str) -> None:
    harness, ana, ben = session_of_two()
    ask(harness, ana, 7)
    upload = uploading(harness, ana)
    ask(harness, ben, 2)
    match how:
        case "leave":
            ana.leave()
        case "crash":
            ana.crash()
        case _:
            harness.command(DropPeer("Ana"))
    harness.run(0.1)
    assert [request.peer_name for request in at_host(harness)] == ["Ben"]
    assert told(harness.host)[-2:] == [("failed", "Ana has left.")] * 2
    assert (
        harness.host.core.authorise_upload(upload.peer_id, upload_proof(upload.token), upload.request_id, upload.sha256)
        is None
    )
    harness.host.call(harness.host.core.uploaded, upload.request_id, a_track(7))
    harness.run(100)
    assert harness.host.snapshot().queue == ()


def test_a_returning_peer_repeats_its_open_requests() -> None:
    harness, ana, _ = session_of_two()
    undecided, upload = ask(harness, ana, 7), uploading(harness, ana)
    ana.cut()
    harness.run(10)
    assert at_host(harness) == [] and ana.of(e.CancelUpload) == [e.CancelUpload(upload.request_id)]
    assert [state for state, _ in states(ana)] == [RequestState.OPEN] * 2
    ana.repair()
    harness.run(4)
    assert [request.request_id for request in at_host(harness)] == [undecided, upload.request_id]
    ana.transfer_ns = SECOND
    harness.command(Accept(upload.request_id))
    harness.run(2)
    assert [state for state, _ in states(ana)] == [RequestState.OPEN, RequestState.ADDED]
    assert [row.added_by for row in harness.host.snapshot().queue] == ["Ana"]


def test_a_returning_peer_does_not_repeat_a_request_that_was_fulfilled() -> None:
    harness, ana, _ = session_of_two()
    upload = uploading(harness, ana)
    ana.cut()
    harness.host.call(harness.host.core.uploaded, upload.request_id, a_track(7))
    harness.run(10)
    ana.repair()
    harness.run(4)
    assert at_host(harness) == [] and states(ana) == [(RequestState.ADDED, "")]
    assert len(harness.host.snapshot().queue) == 1


def test_an_answer_to_an_unknown_request_is_a_breach() -> None:
    for message in (
        m.SongRequestAccepted(UUID(int=5)),
        m.SongRequestRejected(UUID(int=5)),
        m.SongRequestAdded(UUID(int=5)),
        m.SongRequestConverting(UUID(int=5), 50),
    ):
        harness, ana, _ = session_of_two()
        ana.call(ana.core.received, message)
        assert ana.ended is not None and "never made" in reason(ana.ended)


def test_an_answer_that_comes_twice_changes_nothing() -> None:
    harness, ana, _ = session_of_two()
    upload = uploading(harness, ana)
    ana.call(ana.core.received, m.SongRequestAccepted(upload.request_id))
    assert len(ana.uploads) == 1
    ana.call(ana.core.received, m.SongRequestAdded(upload.request_id))
    for again in (m.SongRequestRejected, m.SongRequestAccepted, m.SongRequestAdded):
        ana.call(ana.core.received, again(upload.request_id))
    assert states(ana) == [(RequestState.ADDED, "")] and len(ana.uploads) == 1 and ana.ended is None


def test_a_peer_cannot_withdraw_the_request_of_another() -> None:
    harness, ana, ben = session_of_two()
    request_id = ask(harness, ana)
    harness.host.receive(ben.conn, m.SongRequestWithdrawn(request_id, "ha"))
    harness.host.receive(ben.conn, m.SongRequestWithdrawn(UUID(int=5), "ha"))
    assert len(at_host(harness)) == 1 and len(harness.host.snapshot().peers) == 2


def test_a_peer_keeps_open_requests_and_the_newest_finished_ones() -> None:
    harness, ana, _ = session_of_two()
    kept = ask(harness, ana, 1)
    for number in range(2, 60):
        harness.command(Reject(ask(harness, ana, number)))
        harness.run(0.01)
    mine = ana.snapshot().requests
    assert mine[0].request_id == kept and mine[-1].number == 59
    assert 20 <= len(mine) <= 22


def test_a_finished_request_disappears_after_a_minute() -> None:
    harness, ana, _ = session_of_two()
    kept = ask(harness, ana, 1)
    declined = ask(harness, ana, 2)
    harness.command(Reject(declined))
    harness.run(59)
    assert [one.request_id for one in ana.snapshot().requests] == [kept, declined]
    harness.run(2)
    assert [one.request_id for one in ana.snapshot().requests] == [kept]
    ana.call(ana.core.received, m.SongRequestRejected(declined))  # a late answer is no breach
    assert ana.ended is None


def test_a_song_that_is_queued_or_requested_is_not_requested_again() -> None:
    harness, (ana, _) = ready(seconds=5)
    harness.command(Play())
    ask(harness, ana, 2)
    harness.run(1)
    for sha256, text in ((a_track(1).sha256, "song 1.mp3 is in the queue already."), (bytes([2]) * 32, AGAIN)):
        ana.call(ana.core.command, Request(UUID(int=7), "again.mp3", 5000, sha256))
        assert error(ana) == text
    assert len(at_host(harness)) == 1
    harness.command(Add(a_track(3)))
    harness.run(10)  # song 1 was played: it may be wished again
    ana.call(ana.core.command, Request(UUID(int=8), "again.mp3", 5000, a_track(1).sha256))
    harness.run(1)
    assert len(at_host(harness)) == 2
