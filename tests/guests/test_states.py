"""What the page sees of a session."""

from __future__ import annotations

import dataclasses
import json
from uuid import UUID

from phaselock.guests.states import MAX_ROWS, States, chat_text, state_text, timeline_text
from phaselock.language.message import ENGLISH
from phaselock.model.snapshot import ChatLine, GuestPage, RequestState, RequestView, SkipView
from phaselock.model.timeline import Timeline
from phaselock.model.types import Track
from phaselock.session.effects import Follow
from tests.support.guest_jam import EMPTY, NEW, row
from tests.support.session_views import peer

S = 1_000_000_000
LINE = Timeline(UUID(int=1), 1000, 5000, 10 * S)


def state(session_ns: int = 0, own: GuestPage = NEW, has_art: bool = False, **changes: object) -> dict[str, object]:
    snapshot = dataclasses.replace(EMPTY, **changes)  # type: ignore[arg-type]
    shared = States().shared(snapshot, session_ns, has_library=False, has_art=has_art)
    found: dict[str, object] = json.loads(state_text(shared, b"\1" * 16, own, ENGLISH))
    return found


def test_the_song_that_plays_goes_on_by_itself() -> None:
    playing = {"now": row(1), "timeline": LINE, "skip": SkipView(1, 3, False), "has_art": True}
    before, during = state(9 * S, **playing), state(12 * S, **playing)
    assert before["now"]["playing"] is False and during["now"]["playing"] is True
    assert during["now"] == state(60 * S, **playing)["now"], "no new state while it plays"
    assert (during["now"]["position_s"], during["now"]["at_ms"]) == (5.0, 10_000.0)
    assert during["now"]["art"] is True and during["now"]["skip"] == {"votes": 1, "needed": 3, "mine": False}


def test_a_pause() -> None:
    paused = dataclasses.replace(LINE, stop_session_ns=12 * S)
    now = state(13 * S, now=row(1), timeline=paused)["now"]
    assert (now["playing"], now["position_s"], now["at_ms"], now["skip"]) == (False, 7.0, 12_000.0, None)


def test_the_longest_queue_is_cut() -> None:
    found = state(queue=tuple(row(number) for number in range(1, MAX_ROWS + 100)), peers=(peer("Ben"),))
    assert len(found["queue"]) == MAX_ROWS and found["rows"] == MAX_ROWS + 99
    assert (found["people"], found["queue"][0]["ready"], found["queue"][0]["speakers"]) == (2, 2, 2)
    assert found["queue"][-1]["ready"] == 1


def test_requests_are_the_guests_own() -> None:
    request = RequestView(UUID(int=9), 1, "Ana", "a.mp3", 100, RequestState.REJECTED, 5, "The host has declined it.")
    found = state(own=dataclasses.replace(NEW, name="Ana", waiting=2, requests=(request,)))
    assert found["me"] == {"id": "01" * 16, "name": "Ana", "waiting": 2, "max_waiting": None}
    assert found["requests"][0]["state"] == "rejected" and found["requests"][0]["reason"]


def test_rows_are_made_once() -> None:
    states, snapshot = States(), dataclasses.replace(EMPTY, queue=(row(1), row(2)))
    first = states.shared(snapshot, 0, has_library=True, has_art=False)
    moved = dataclasses.replace(snapshot, queue=(row(2), row(1), row(3)))
    second = states.shared(moved, 0, has_library=True, has_art=False)
    assert second.rows[0] is first.rows[1] and second.rows[1] is first.rows[0]


def test_texts_of_others_stay_texts() -> None:
    hostile = '"},{"</script><img onerror=x>\u2028'
    found = state(queue=(row(1, title=hostile, added_by=hostile),), session_name=hostile)
    assert found["queue"][0]["title"] == hostile and found["session_name"] == hostile


def test_new_lines_of_the_chat() -> None:
    lines = tuple(ChatLine(number, "Ana", str(number), 0) for number in range(1, 80))
    assert len(json.loads(chat_text(lines, 0, "Ana") or "")["lines"]) == 50
    assert json.loads(chat_text(lines, 78, "Ben") or "")["lines"] == [
        {"number": 79, "name": "Ana", "text": "79", "mine": False}
    ]
    assert chat_text(lines, 79, "Ana") is None


def test_the_timeline_names_songs_that_are_here() -> None:
    tracks = {UUID(int=n): Track(UUID(int=n), f"{n}.mp3", n, b"", 1000, 9) for n in (1, 2, 3, 4)}
    queue = [row(n) for n in (1, 2, 3, 4)]
    then = dataclasses.replace(LINE, file_id=UUID(int=2), start_session_ns=20 * S, crossfade_ns=4 * S)
    found = json.loads(timeline_text(Follow(LINE.into(then), then, -1.0, -2.0), queue, tracks.get))
    assert [song["id"] for song in found["songs"]] == [str(UUID(int=n)) for n in (1, 2, 3)]
    assert found["current"]["fade_out"] == {"begin_session_ns": str(20 * S), "length_ns": str(4 * S)}
    assert (found["then"]["gain_db"], found["then"]["crossfade_ns"]) == (-2.0, str(4 * S))
    sweep = dataclasses.replace(LINE, file_id=UUID(int=77))
    assert json.loads(timeline_text(Follow(sweep), [], tracks.get)) == {
        "type": "timeline",
        "songs": [],
        "current": None,
        "then": None,
    }


def test_songs_of_the_host_were_asked_for_by_no_one() -> None:
    found = state(queue=(row(1), row(2, added_by="Ana")), now=row(1), timeline=LINE)
    assert [one["added_by"] for one in found["queue"]] == ["", "Ana"] and found["now"]["added_by"] == ""
