"""Songs that peers ask for: asked, decided, uploaded, added; every end of it is told in words."""

from __future__ import annotations

import itertools
from uuid import UUID

import pytest

from phaselock.model.names import FILE_BYTES
from phaselock.model.snapshot import RequestState, RequestView
from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.commands import Accept, Add, DropPeer, Reject, Request
from phaselock.session.host.requests import MAX_OPEN
from tests.support.party import SECOND, Guest, Party, a_track, error
from tests.support.told import reason

NEVER_NS = 10**15


def party_of_two() -> tuple[Party, Guest, Guest]:
    party = Party()
    guests = party.invite("Ana"), party.invite("Ben")
    party.run(0.3)
    return party, *guests


def ask(party: Party, guest: Guest, number: int = 1, *, size: int = 5000, name: str = "") -> UUID:
    """A wish for a song of that number, which reaches the host."""
    request_id = UUID(int=100 + number)
    request = Request(request_id, name or f"wish {number}.mp3", size, bytes([number]) * 32)
    party.on_guest(guest, guest.machine.command, request)
    party.run(0.01)
    return request_id


def at_host(party: Party) -> list[RequestView]:
    return list(party.machine.snapshot().requests)


def states(guest: Guest) -> list[tuple[RequestState, str]]:
    """How far its own wishes are, and the words."""
    return [(request.state, request.reason) for request in guest.machine.snapshot().requests]


def told(node: Party | Guest) -> list[tuple[object, object]]:
    """What people there were told of requests."""
    events = (node.host if isinstance(node, Party) else node).events("request")
    return [(event.fields["state"], event.fields["reason"]) for event in events]


def uploading(party: Party, guest: Guest, number: int = 1) -> e.Upload:
    """An accepted wish whose upload goes on until the test says so."""
    guest.fetch_ns = NEVER_NS
    party.say(Accept(ask(party, guest, number)))
    party.run(0.01)
    return guest.uploads[-1]


# -- decided -----------------------------------------------------------------------------------------------------------


def test_a_request_is_shown_at_the_host_and_decided_by_nobody_else() -> None:
    party, ana, ben = party_of_two()
    request_id = ask(party, ana)
    party.run(100)
    assert at_host(party) == [RequestView(request_id, 1, "Ana", "wish 1.mp3", 5000, RequestState.OPEN, 0, "")]
    assert ana.machine.snapshot().requests == party.machine.snapshot().requests
    assert ben.machine.snapshot().requests == () and party.machine.snapshot().queue == ()
    assert party.host.events("request")[0].fields == {
        "request_id": str(request_id), "number": 1, "peer": "Ana", "file_name": "wish 1.mp3", "size": 5000,
        "state": "open", "done_bytes": 0, "reason": "",
    }  # fmt: skip


def test_an_accepted_song_is_uploaded_appended_and_sent_to_the_others() -> None:
    party, ana, ben = party_of_two()
    party.say(Add(a_track(1)))
    request_id = ask(party, ana)
    party.say(Accept(request_id))
    party.run(1)
    (upload,) = ana.uploads
    assert (upload.request_id, upload.sha256, upload.size) == (request_id, bytes([1]) * 32, 5000)
    rows = party.machine.snapshot().queue
    assert [(row.file_name, row.added_by) for row in rows] == [("song 1.mp3", "Hana"), ("wish 1.mp3", "Ana")]
    assert [fetch.track.file_name for fetch in ben.fetches] == ["song 1.mp3", "wish 1.mp3"]
    assert all(peer.ready for peer in party.machine.snapshot().peers)
    assert states(ana) == [(RequestState.ADDED, "")] and at_host(party) == []
    assert told(ana) == [("open", ""), ("accepted", ""), ("added", "")] == told(party)
    assert ben.machine.snapshot().queue == rows


def test_a_rejected_one_is_told_in_words() -> None:
    party, ana, _ = party_of_two()
    party.say(Reject(ask(party, ana)))
    party.run(0.1)
    assert states(ana) == [(RequestState.REJECTED, "The host has declined it.")]
    assert told(party)[-1] == ("rejected", "") and at_host(party) == []
    assert not ana.uploads


def test_what_is_accepted_is_accepted_once() -> None:
    party, ana, _ = party_of_two()
    request_id = uploading(party, ana).request_id
    for one in (request_id, UUID(int=5)):
        party.say(Accept(one))
        assert error(party) == "That request is over."
    assert [request.state for request in at_host(party)] == [RequestState.ACCEPTED]


def test_what_is_on_its_way_may_still_be_rejected() -> None:
    party, ana, _ = party_of_two()
    request_id = uploading(party, ana).request_id
    assert party.machine.wants_upload(request_id)
    party.say(Reject(request_id))
    assert not party.machine.wants_upload(request_id) and at_host(party) == []
    party.run(0.1)
    assert states(ana)[-1] == (RequestState.REJECTED, "The host has declined it.")
    party.say(Reject(request_id))
    assert error(party) == "That request is over."


def test_nobody_uploads_without_end() -> None:
    party, ana, _ = party_of_two()
    upload = uploading(party, ana)
    tries = [
        party.machine.authorise_upload(upload.peer_id, upload.token, upload.request_id) is not None for _ in range(9)
    ]
    assert tries.count(True) <= 6 and not any(tries[6:])


def test_two_peers_ask_and_each_hears_its_own_answer() -> None:
    party, ana, ben = party_of_two()
    first, second, third = ask(party, ana, 1), ask(party, ben, 2), ask(party, ana, 3)
    assert [(r.number, r.peer_name) for r in at_host(party)] == [(1, "Ana"), (2, "Ben"), (3, "Ana")]
    party.say(Reject(first), Accept(second))
    party.run(1)
    assert [state for state, _ in states(ana)] == [RequestState.REJECTED, RequestState.OPEN]
    assert [state for state, _ in states(ben)] == [RequestState.ADDED]
    assert [r.request_id for r in at_host(party)] == [third]
    assert [row.added_by for row in party.machine.snapshot().queue] == ["Ben"]


def test_five_are_open_at_most() -> None:
    party, ana, ben = party_of_two()
    ids = [ask(party, ana, number) for number in range(1, MAX_OPEN + 2)]
    assert states(ana)[-1] == (
        RequestState.REJECTED, "You have 5 open requests already. Please wait until the host has answered.",
    )  # fmt: skip
    assert len(at_host(party)) == MAX_OPEN == 5
    ask(party, ben, 50)
    assert len(at_host(party)) == 6
    ana.fetch_ns = NEVER_NS
    party.say(Accept(ids[0]))  # what is on its way is not over either
    assert states(ana)[-1][0] is RequestState.REJECTED
    ask(party, ana, 60)
    assert states(ana)[-1][0] is RequestState.REJECTED
    party.say(Reject(ids[1]))
    ask(party, ana, 61)
    assert states(ana)[-1][0] is RequestState.OPEN


def test_asking_twice_under_one_id_is_a_breach() -> None:
    party, ana, _ = party_of_two()
    ask(party, ana)
    party.receive(ana.conn, m.SongRequest(UUID(int=101), "x.mp3", 1))
    assert [peer.name for peer in party.machine.snapshot().peers] == ["Ben"]
    assert at_host(party) == []


def test_the_names_of_wishes_are_plain_names() -> None:
    party, ana, _ = party_of_two()
    party.receive(ana.conn, m.SongRequest(UUID(int=9), "../../\x1b[2Jetc/\u202ex.mp3\n", 1))
    assert at_host(party)[0].file_name == "x.mp3"
    party.receive(ana.conn, m.SongRequest(UUID(int=10), "x" * FILE_BYTES, 1))
    assert len(at_host(party)[1].file_name) == 200


# -- the upload --------------------------------------------------------------------------------------------------------


def test_only_what_was_accepted_may_be_uploaded_and_only_by_whoever_asked() -> None:
    party, ana, ben = party_of_two()
    upload = uploading(party, ana)
    other, undecided = uploading(party, ben, 2), ask(party, ana, 3)
    allowed = party.machine.authorise_upload
    request = allowed(upload.peer_id, upload.token, upload.request_id)
    assert request is not None and (request.size, request.file_name) == (5000, "wish 1.mp3")
    assert allowed(upload.peer_id, other.token, upload.request_id) is None
    assert allowed(upload.peer_id, b"", upload.request_id) is None
    assert allowed(other.peer_id, other.token, upload.request_id) is None
    assert allowed(upload.peer_id, upload.token, other.request_id) is None
    assert allowed(upload.peer_id, upload.token, undecided) is None
    assert allowed(upload.peer_id, upload.token, UUID(int=5)) is None
    assert allowed(99, upload.token, upload.request_id) is None
    party.on_host(party.machine.uploaded, upload.request_id, a_track(7))
    assert allowed(upload.peer_id, upload.token, upload.request_id) is None


def test_what_comes_unasked_changes_nothing() -> None:
    party, ana, _ = party_of_two()
    undecided = ask(party, ana)
    before = party.machine.snapshot()
    for request_id in (undecided, UUID(int=5)):
        party.on_host(party.machine.upload_progress, request_id, 10)
        party.on_host(party.machine.uploaded, request_id, a_track(7))
    assert party.machine.snapshot() == before


def test_the_size_is_the_one_that_was_asked_for() -> None:
    party, ana, _ = party_of_two()
    ana.fetch_ns = NEVER_NS
    request_id = ask(party, ana, size=4321)
    party.say(Accept(request_id))
    party.run(0.01)
    upload = ana.uploads[0]
    request = party.machine.authorise_upload(upload.peer_id, upload.token, request_id)
    assert request is not None and request.size == at_host(party)[0].size == upload.size == 4321


def test_progress_is_told_every_tenth() -> None:
    party, ana, _ = party_of_two()
    request_id = uploading(party, ana).request_id
    for done in range(0, 5001, 50):
        party.on_host(party.machine.upload_progress, request_id, done)
    accepted = [event.fields["done_bytes"] for event in party.host.events("request") if event.fields["done_bytes"]]
    assert accepted == list(range(500, 5001, 500))
    assert at_host(party)[0].done_bytes == 5000


def test_an_upload_is_tried_three_times_and_then_withdrawn_with_its_reason() -> None:
    party, ana, _ = party_of_two()
    ana.upload_results = itertools.repeat(False)
    party.say(Accept(ask(party, ana)))
    party.run(1)
    assert len(ana.uploads) == 3
    assert states(ana) == [(RequestState.FAILED, "The connection was lost.")]
    assert told(party)[-1] == ("failed", "The connection was lost.") and at_host(party) == []
    assert party.machine.snapshot().queue == ()


def test_the_third_try_may_succeed() -> None:
    party, ana, _ = party_of_two()
    ana.upload_results = iter([False, False, True])
    party.say(Accept(ask(party, ana)))
    party.run(1)
    assert states(ana) == [(RequestState.ADDED, "")]
    assert told(ana) == [("open", ""), ("accepted", ""), ("added", "")]


def test_a_song_that_is_no_mp3_is_refused_in_words() -> None:
    party, ana, _ = party_of_two()
    reason = "Invalid or corrupted MP3 file: wish 1.mp3"
    ana.upload_results = itertools.repeat(reason)
    party.say(Accept(ask(party, ana)))
    party.run(1)
    assert states(ana) == [(RequestState.REJECTED, reason)]
    assert told(party)[-1] == ("failed", reason)
    assert party.machine.snapshot().queue == () and at_host(party) == []


@pytest.fixture
def short_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phaselock.session.host.transport.MAX_ITEMS", 2)


@pytest.mark.usefixtures("short_queues")
def test_a_full_queue_takes_no_request() -> None:
    party, ana, _ = party_of_two()
    party.say(Add(a_track(1)), Add(a_track(2)))
    request_id = ask(party, ana)
    party.say(Accept(request_id))
    assert error(party) == "The queue is full."
    assert [request.state for request in at_host(party)] == [RequestState.OPEN]


@pytest.mark.usefixtures("short_queues")
def test_a_queue_that_was_filled_meanwhile_refuses_the_song_in_words() -> None:
    party, ana, _ = party_of_two()
    upload = uploading(party, ana)
    party.say(Add(a_track(1)), Add(a_track(2)))
    party.on_host(party.machine.uploaded, upload.request_id, a_track(7))
    party.run(0.1)
    assert states(ana) == [(RequestState.REJECTED, "The queue is full.")]
    assert told(party)[-1] == ("failed", "The queue is full.")
    assert [row.id.int for row in party.machine.snapshot().queue] == [1, 2]


def test_an_upload_of_which_nothing_comes_for_a_minute_is_given_up() -> None:
    party, ana, _ = party_of_two()
    upload = uploading(party, ana)
    party.run(59.9)
    assert at_host(party)
    party.on_host(party.machine.upload_progress, upload.request_id, 10)
    party.run(59.9)
    assert at_host(party)
    party.run(0.2)
    assert at_host(party) == []
    assert told(party)[-1] == ("failed", "The song was not sent.")
    assert states(ana) == [(RequestState.REJECTED, "The song was not sent.")]
    assert ana.of(e.CancelUpload) == [e.CancelUpload(upload.request_id)]


def test_nobody_is_hurried_to_decide() -> None:
    party, ana, _ = party_of_two()
    ask(party, ana)
    party.run(600)
    assert [request.state for request in at_host(party)] == [RequestState.OPEN]


# -- leaving and coming back -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["leave", "crash", "drop"])
def test_who_leaves_in_the_middle_of_it_leaves_nothing_behind(how: str) -> None:
    party, ana, ben = party_of_two()
    ask(party, ana, 7)
    upload = uploading(party, ana)
    ask(party, ben, 2)
    match how:
        case "leave":
            party.leave(ana)
        case "crash":
            party.crash(ana)
        case _:
            party.say(DropPeer("Ana"))
    party.run(0.1)
    assert [request.peer_name for request in at_host(party)] == ["Ben"]
    assert told(party)[-2:] == [("failed", "Ana has left.")] * 2
    assert party.machine.authorise_upload(upload.peer_id, upload.token, upload.request_id) is None
    party.on_host(party.machine.uploaded, upload.request_id, a_track(7))
    party.run(100)
    assert party.machine.snapshot().queue == ()


def test_who_comes_back_asks_again_by_itself() -> None:
    party, ana, _ = party_of_two()
    undecided, upload = ask(party, ana, 7), uploading(party, ana)
    party.cut(ana)
    party.run(10)
    assert at_host(party) == [] and ana.of(e.CancelUpload) == [e.CancelUpload(upload.request_id)]
    assert [state for state, _ in states(ana)] == [RequestState.OPEN] * 2
    party.mend(ana)
    party.run(4)
    assert [request.request_id for request in at_host(party)] == [undecided, upload.request_id]
    ana.fetch_ns = SECOND
    party.say(Accept(upload.request_id))
    party.run(2)
    assert [state for state, _ in states(ana)] == [RequestState.OPEN, RequestState.ADDED]
    assert [row.added_by for row in party.machine.snapshot().queue] == ["Ana"]


def test_what_was_added_while_it_was_away_is_not_asked_for_again() -> None:
    party, ana, _ = party_of_two()
    upload = uploading(party, ana)
    party.cut(ana)
    party.on_host(party.machine.uploaded, upload.request_id, a_track(7))
    party.run(10)
    party.mend(ana)
    party.run(4)
    assert at_host(party) == [] and states(ana) == [(RequestState.ADDED, "")]
    assert len(party.machine.snapshot().queue) == 1


def test_what_the_host_says_of_requests_that_nobody_made_is_a_breach() -> None:
    for message in (
        m.SongRequestAccepted(UUID(int=5)),
        m.SongRequestRejected(UUID(int=5)),
        m.SongRequestAdded(UUID(int=5)),
    ):
        party, ana, _ = party_of_two()
        party.on_guest(ana, ana.machine.received, message)
        assert ana.ended is not None and "never made" in reason(ana.ended)


def test_an_answer_that_comes_twice_changes_nothing() -> None:
    party, ana, _ = party_of_two()
    upload = uploading(party, ana)
    party.on_guest(ana, ana.machine.received, m.SongRequestAccepted(upload.request_id))
    assert len(ana.uploads) == 1
    party.on_guest(ana, ana.machine.received, m.SongRequestAdded(upload.request_id))
    for again in (m.SongRequestRejected, m.SongRequestAccepted, m.SongRequestAdded):
        party.on_guest(ana, ana.machine.received, again(upload.request_id))
    assert states(ana) == [(RequestState.ADDED, "")] and len(ana.uploads) == 1 and ana.ended is None


def test_a_peer_cannot_withdraw_the_wish_of_another() -> None:
    party, ana, ben = party_of_two()
    request_id = ask(party, ana)
    party.receive(ben.conn, m.SongRequestWithdrawn(request_id, "ha"))
    party.receive(ben.conn, m.SongRequestWithdrawn(UUID(int=5), "ha"))
    assert len(at_host(party)) == 1 and len(party.machine.snapshot().peers) == 2


def test_a_peer_remembers_what_is_open_and_the_newest_of_the_rest() -> None:
    party, ana, _ = party_of_two()
    kept = ask(party, ana, 1)
    for number in range(2, 60):
        party.say(Reject(ask(party, ana, number)))
        party.run(0.01)
    mine = ana.machine.snapshot().requests
    assert mine[0].request_id == kept and mine[-1].number == 59
    assert 20 <= len(mine) <= 22
