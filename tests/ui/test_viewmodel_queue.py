"""The rows of the queue and the requests, without a display."""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import UUID

import pytest

from phaselock.model.queue import ItemStatus, QueueItem
from phaselock.model.snapshot import FileState, RequestState, RequestView
from phaselock.ui.viewmodel import QueueRows, host_view, peer_view
from tests.support.session_views import ALL, QUEUE, file, guest, host, item, peer, plain, request

# -- the queue ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "title", "subtitle"),
    [
        ({}, "Song 1", "Band · added by Ana"),
        ({"artist": ""}, "Song 1", "added by Ana"),
        ({"added_by": ""}, "Song 1", "Band"),
        ({"artist": "", "added_by": ""}, "Song 1", ""),
        ({"added_by": "Hana"}, "Song 1", "Band"),
        ({"title": "", "artist": ""}, "1", "added by Ana"),
        ({"title": ""}, "1", "Band · added by Ana"),
        ({"title": "", "file_name": ".mp3"}, ".mp3", "Band · added by Ana"),
    ],
)
def test_a_row_of_the_queue(changes: dict[str, Any], title: str, subtitle: str) -> None:
    (shown,) = host_view(host(queue=(item(1, **changes),))).queue
    assert (shown.number, shown.title, shown.subtitle, shown.duration_text) == (1, title, subtitle, "2:34")
    assert (shown.status, shown.status_text, shown.progress) == ("ready", "", None)


@pytest.mark.parametrize(
    ("status", "shows"),
    [
        (ItemStatus.PLAYING, ("playing", True, False)),
        (ItemStatus.PLAYED, ("played", False, True)),
        (ItemStatus.READY, ("ready", False, False)),
        (ItemStatus.TRANSFERRING, ("transferring", False, False)),
    ],
)
def test_the_status_of_a_row(status: ItemStatus, shows: tuple[str, bool, bool]) -> None:
    for view in (host_view(host(queue=(item(1, status),))), peer_view(guest(queue=(item(1, status),)))):
        (shown,) = view.queue
        assert (shown.status, shown.playing, shown.played) == shows and shown.status_text == ""


def test_how_far_a_row_is_at_the_peers() -> None:
    queue = (item(1, ItemStatus.TRANSFERRING), item(2, ItemStatus.TRANSFERRING), item(3))
    ana = peer("Ana", 1, have=frozenset({UUID(int=1)}), files=(file(2, FileState.SENDING, 500),))
    ben = peer("Ben", 2, have=frozenset(), files=(file(1, FileState.SENDING, 400), file(2, FileState.SENDING, 100)))
    cleo = peer("Cleo", 3, have=ALL, files=(file(3, FileState.UNPLAYABLE, 1000),))
    rows = host_view(host(ana, ben, cleo, queue=queue)).queue
    assert [shown.status_text for shown in rows] == ["2 of 3 ready", "1 of 3 ready", "Cleo cannot play it"]
    assert [shown.progress for shown in rows] == [0.4, pytest.approx(0.3), None]
    given_up = peer("Dan", 4, have=ALL - {UUID(int=3)}, files=(file(3, FileState.FAILED),))
    assert host_view(host(given_up, queue=queue)).queue[2].status_text == "Dan has not got it"


@pytest.mark.parametrize(
    ("queue", "note"),
    [((), ""), ((item(1),), "1 track, 3 min"), (QUEUE, "3 tracks, 8 min"), (QUEUE * 10, "30 tracks, 1 h 17 min")],
)
def test_the_line_above_the_queue(queue: tuple[QueueItem, ...], note: str) -> None:
    queue = tuple(dataclasses.replace(one, id=UUID(int=place)) for place, one in enumerate(queue))
    assert plain(host_view(host(queue=queue)).queue_note) == note
    assert plain(peer_view(guest(queue=queue)).queue_note) == note


def test_rows_that_did_not_change_are_the_same_and_others_are_right() -> None:
    """After any earlier state, the rows are equal to those made without it."""
    one, two, three = QUEUE
    queues = [
        (one, two, three),
        (two, three),
        (three, two, one),
        (one, item(2, ItemStatus.TRANSFERRING), three),
        (one, item(2, ItemStatus.PLAYING), three),
        (),
        (one,),
        (item(1, title="Other"), two),
    ]
    peers = [(), (peer(),), (peer(have=frozenset()), peer("Ana", 2)), (peer(files=(file(2, FileState.SENDING, 5),)),)]
    states = [host(*some, queue=queue) for queue in queues for some in peers]
    rows = QueueRows()
    fresh = [host_view(state) for state in states]
    assert [host_view(state, rows) for state in states] == fresh
    assert [host_view(state, rows) for state in reversed(states)] == fresh[::-1]
    before = host_view(states[0], rows).queue
    after = host_view(host(queue=(*QUEUE, item(4))), rows).queue
    assert all(old is new for old, new in zip(before, after, strict=False))


# -- requests ----------------------------------------------------------------------------------------------------------


def test_the_host_decides_open_requests_first() -> None:
    view = host_view(
        host(
            requests=(
                request(1, RequestState.ACCEPTED, done_bytes=2_100_000),
                request(2),
                request(3),
                request(4),
                request(5),
            )
        )
    )
    assert [(shown.number, shown.decidable) for shown in view.requests] == [(4, True), (3, True), (2, True)]
    assert view.more_requests == 2
    first = view.requests[2]
    assert (first.title, plain(first.subtitle), first.duration_text) == ("New 2", "asked by Sam · 4.2 MB", "")
    known = host(requests=(request(2, title="Night Drive", artist="The Phases", duration_secs=154.7),))
    (shown,) = host_view(known).requests
    assert (shown.title, plain(shown.subtitle)) == ("Night Drive", "asked by Sam · The Phases · 4.2 MB")
    assert shown.duration_text == "2:34"


def test_an_accepted_request_is_on_its_way() -> None:
    (shown,) = host_view(host(requests=(request(1, RequestState.ACCEPTED, done_bytes=2_100_000),))).requests
    assert (shown.title, shown.subtitle) == ("New 1", "on its way from Sam")
    assert (shown.progress, shown.decidable) == (0.5, False)
    assert host_view(host()).requests == () and host_view(host()).more_requests == 0


@pytest.mark.parametrize(
    ("wish", "text", "progress"),
    [
        (request(1), "the host was asked", None),
        (request(1, RequestState.ACCEPTED, done_bytes=42_000, artist="Band"), "on its way to the host · Band", 0.01),
        (request(1, RequestState.ADDED), "in the queue", None),
        (
            request(1, RequestState.REJECTED, reason="The host has declined it."),
            "not added – The host has declined it.",
            None,
        ),
        (request(1, RequestState.FAILED, reason="{Odd}."), "not added – {Odd}.", None),
    ],
)
def test_what_has_become_of_the_own_requests(wish: RequestView, text: str, progress: float | None) -> None:
    (shown,) = peer_view(guest(requests=(wish,))).requests
    assert (shown.title, shown.subtitle) == ("New 1", text)
    assert (shown.progress, shown.decidable) == (progress, False)


def test_the_own_requests_latest_first() -> None:
    view = peer_view(guest(requests=tuple(map(request, range(1, 6)))))
    assert [shown.number for shown in view.requests] == [5, 4, 3]
