"""What one address may cost: messages, joins, events, the lead time of commands, and the time for files."""

from __future__ import annotations

import collections
import random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phaselock.model.group import DEFAULT_PEERS
from phaselock.protocol import messages as m
from phaselock.session.commands import Add, Pause, Play
from phaselock.session.effects import Notify
from phaselock.session.host import budgets, members
from phaselock.session.host.budgets import MAX_SILENCE_NS, SILENCE_SHARE, Bucket, Budget, Budgets
from phaselock.session.host.requests import MAX_OPEN
from tests.support.raw_member import RawMember
from tests.support.session_harness import ReportedOutput, SessionHarness, line, ready
from tests.support.simulation import MS, SECOND, a_track

EVIL = "10.9.9.9"


def messages(harness: SessionHarness, event: str) -> list[str]:
    return [one.fields["message"] for one in harness.host.events(event)]


# -- messages and joins ------------------------------------------------------------------------------------------------


@pytest.fixture
def few_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the messages, so that the test is quick."""
    few = budgets.MAX_MESSAGES // 10
    for module in (budgets, members):
        monkeypatch.setattr(module, "MAX_MESSAGES", few)


@pytest.mark.usefixtures("few_messages")
def test_leaving_does_not_renew_the_budget_of_messages() -> None:
    harness, _ = ready("Ana", "Ben")
    said = 0
    for _ in range(budgets.MAX_JOINS):
        evil = RawMember(harness, "Evil", EVIL)
        for _ in range(budgets.MAX_MESSAGES - 1):
            if evil.is_closed:
                break
            evil.say(m.Heartbeat())
            said += 1
        evil.leave()
    most = budgets.MAX_MESSAGES * DEFAULT_PEERS + budgets.MAX_JOINS * (budgets.QUIET_MESSAGES + 1)
    assert budgets.MAX_MESSAGES * DEFAULT_PEERS < said <= most
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ana", "Ben"]


@pytest.mark.usefixtures("few_messages")
def test_a_quiet_member_stays_although_another_one_of_its_address_talks_too_much() -> None:
    harness = SessionHarness()
    ana, evil = RawMember(harness, "Ana", EVIL), RawMember(harness, "Evil", EVIL)
    while not harness.host.events("peer_left"):
        for _ in range(budgets.MAX_MESSAGES // 2):  # several memberships, one after the other
            if not evil.is_closed:
                evil.say(m.Heartbeat())
        evil.leave()
        evil = RawMember(harness, "Evil", EVIL)
        if evil.rejected:
            break
    for _ in range(20):
        ana.report()
        harness.run(1)
    assert "Ana" in [peer.name for peer in harness.host.snapshot().peers]


def test_joins_in_a_loop_are_refused_and_another_address_is_let_in() -> None:
    harness, _ = ready("Ana")
    before = len(harness.host.of(Notify))
    for _ in range(1000):
        RawMember(harness, "Evil", EVIL).leave()
        harness.run(0.01)
    assert len(harness.host.events("peer_joined")) <= 1 + budgets.MAX_JOINS + 10 // 2
    assert len(harness.host.of(Notify)) - before < 200
    RawMember(harness, "Evil", EVIL).leave()
    evil = RawMember(harness, "Evil", EVIL)
    assert evil.rejected == "This machine has joined too often. Please try again in a minute."
    assert RawMember(harness, "Zoe", "10.0.0.7").accepted is not None
    harness.run(6)
    assert RawMember(harness, "Eve", EVIL).accepted is not None


def test_a_lost_member_that_joins_too_often_may_try_again() -> None:
    harness, _ = ready("Ana")
    evil = RawMember(harness, "Ben", EVIL)
    assert evil.accepted is not None
    first = evil.accepted
    for _ in range(budgets.MAX_JOINS):
        evil.report()
        harness.host.connection_lost(evil.conn, "reset")
        evil = RawMember(harness, "Ben", EVIL, first)
    assert evil.is_closed and evil.rejected is None
    harness.run(6)
    assert RawMember(harness, "Ben", EVIL, first).accepted is not None


def test_one_ipv6_machine_has_one_budget_and_forgotten_ones_are_those_used_least() -> None:
    known = Budgets()
    first = known.of("fd00::1%eth0", now_ns=0)
    assert known.of("fd00::ffff:1", now_ns=0) is first and known.of("fd00:0:0:1::1", now_ns=0) is not first
    used = known.of("10.0.0.1", now_ns=0)
    used.messages.take(0)
    for number in range(2 * budgets.MAX_BUDGETS):
        known.of(f"10.1.{number >> 8}.{number & 255}", now_ns=0)
    assert known.of("10.0.0.1", now_ns=0) is used
    assert len(known._budgets) <= budgets.MAX_BUDGETS


@given(
    st.integers(1, 20),
    st.integers(1, 1000),
    st.lists(st.integers(0, 5000), max_size=100),
)
def test_a_bucket_never_lets_more_through_than_its_size_and_rate(size: int, every_ns: int, gaps: list[int]) -> None:
    bucket, now_ns, taken = Bucket(size, every_ns), 0, []
    for gap_ns in gaps:
        now_ns += gap_ns
        fits = bucket.fits(now_ns)
        assert bucket.take(now_ns) is fits
        taken += [now_ns] if fits else []
        assert 0 <= bucket.units(now_ns) <= size
    for first, start_ns in enumerate(taken):
        for number, end_ns in enumerate(taken[first:], 1):
            assert (number - size) * every_ns <= end_ns - start_ns


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 200)), max_size=30))
def test_the_silence_because_of_one_address_is_bounded_in_the_long_run(rounds: list[tuple[int, int]]) -> None:
    budget, now_ns, silent_ns = Budget(), 0, 0
    for quiet_s, wanted_s in rounds:
        now_ns += quiet_s * SECOND
        most_ns = budget.remaining_silence_ns(now_ns)
        assert 0 <= most_ns <= MAX_SILENCE_NS
        wait_ns = min(wanted_s * SECOND, most_ns)
        budget.silence(now_ns, now_ns + wait_ns)
        now_ns, silent_ns = now_ns + wait_ns, silent_ns + wait_ns
        assert silent_ns <= MAX_SILENCE_NS + now_ns // SILENCE_SHARE


# -- events ------------------------------------------------------------------------------------------------------------


def ask(member: RawMember, number: int) -> m.SongRequest:
    request = m.SongRequest(UUID(int=number), f"{number}.mp3", 1000)
    member.say(request)
    return request


def test_a_flood_of_requests_is_one_event_a_second_and_the_rest_is_counted() -> None:
    harness, _ = ready("Ana")
    evil = RawMember(harness, "Evil", EVIL)
    asked = 0
    for _ in range(100):
        for _ in range(4):
            asked += 1
            ask(evil, asked)
            evil.say(m.SongRequestWithdrawn(UUID(int=asked), "text of another machine"))
        evil.report()
        harness.run(0.1)
    harness.run(2)
    told = harness.host.events("request")
    assert len(told) <= 13
    evil.leave()
    (*_, last) = texts = messages(harness, "warning")
    numbers = [int(text.split()[4]) for text in texts if "withdrawn" in text]
    seen = {event.fields["request_id"] for event in told}
    assert sum(numbers) + len(seen) == asked and len(numbers) <= 3
    assert last.startswith("Evil has asked for ") and last.endswith(" more songs and withdrawn that.")


def test_several_requests_at_once_are_told_one_after_the_other_and_can_be_accepted_at_once() -> None:
    harness, _ = ready("Ana")
    ben = RawMember(harness, "Ben", EVIL)
    for number in range(1, 6):
        ask(ben, number)
    assert len(harness.host.snapshot().requests) == 5
    assert [event.fields["number"] for event in harness.host.events("request")] == [1]
    for _ in range(5):
        ben.report()
        harness.run(1)
    assert [event.fields["number"] for event in harness.host.events("request")] == [1, 2, 3, 4, 5]


def test_an_output_and_a_clock_that_come_and_go_are_told_rarely() -> None:
    harness, _ = ready("Ana")
    evil = RawMember(harness, "Evil", EVIL)
    before = len(harness.host.of(Notify))
    for number in range(1000):
        evil.report(device_name=f"card {number}", clock_usable=number % 2 == 0, output_latency_ns=number % 3 * SECOND)
        harness.run(0.05)
    told = len([one for one in harness.host.of(Notify)[before:] if one.event.event_name in ("device", "warning")])
    assert told <= budgets.MAX_REPORTS + 51


def test_files_that_cannot_be_played_are_told_in_moderation_and_counted() -> None:
    harness, _ = ready("Ana", tracks=1)
    evil = RawMember(harness, "Evil", EVIL)
    harness.command(*(Add(a_track(number)) for number in range(2, 61)))
    for number in range(1, 61):
        evil.report()
        harness.run(0.02)
        evil.say(m.FileReceived(UUID(int=number), True))
        evil.say(m.FileUnplayable(UUID(int=number), "text of another machine"))
    told = [text for text in messages(harness, "error") if text.startswith("Evil cannot play")]
    assert len(told) <= budgets.MAX_REPORTS + 5
    for _ in range(20):
        evil.report()
        harness.run(1)
    (counted,) = [text for text in messages(harness, "warning") if "more messages" in text]
    assert counted == f"{60 - len(told)} more messages about outputs, clocks and files of Evil are not shown."


class _Hostile:
    """One address that does what hypothesis says. Ana and Ben, who are elsewhere, only play."""

    def __init__(self) -> None:
        self.harness, self.others = ready("Ana", "Ben", tracks=3)
        self.harness.command(Play())
        self.harness.run(1)
        self.member = RawMember(self.harness, "Evil", EVIL)
        self._number = 0

    def act(self, action: str, number: int) -> None:
        file_id = UUID(int=number % 4)
        match action:
            case "join":
                self.member.leave()
                self.member = RawMember(self.harness, f"Evil {number % 3}", EVIL)
            case "ask":
                self._number += 1
                self.member.say(m.SongRequest(UUID(int=1000 + self._number), "x.mp3", 1000))
            case "withdraw":
                self.member.say(m.SongRequestWithdrawn(UUID(int=1000 + self._number), "x"))
            case "report":
                changes = {"output_latency_ns": number * SECOND, "clock_usable": number % 2 == 0}
                self.member.report(device_name=f"card {number}", **changes)
            case "received":
                self.member.say(m.FileReceived(file_id, number % 2 == 0))
            case "unplayable":
                self.member.say(m.FileUnplayable(file_id, "x"))
            case "wait":
                self.member.report()
                self.harness.run(number / 10)


ACTIONS = st.sampled_from(["join", "ask", "withdraw", "report", "received", "unplayable", "wait"])


@settings(max_examples=15)
@given(st.lists(st.tuples(ACTIONS, st.integers(0, 9), st.integers(1, 40)), max_size=30))
def test_one_hostile_address_causes_few_events_and_harms_no_other(steps: list[tuple[str, int, int]]) -> None:
    hostile = _Hostile()
    harness = hostile.harness
    before, since_ns = len(harness.host.of(Notify)), harness.now_ns
    for action, number, times in steps:
        for _ in range(1 if action == "wait" else times):
            hostile.act(action, number)
    seconds = (harness.now_ns - since_ns) / SECOND
    names = collections.Counter(one.event.event_name for one in harness.host.of(Notify)[before:])
    joins = budgets.MAX_JOINS + seconds / 2
    assert names["peer_joined"] <= joins
    assert names["device"] + names["error"] <= budgets.MAX_REPORTS + seconds + 1
    assert names["request"] <= seconds + (1 + 2 * MAX_OPEN) * (names["peer_joined"] + 1)
    assert names["warning"] <= budgets.MAX_REPORTS + seconds + 2 * names["peer_joined"] + 2
    assert {"Ana", "Ben"} <= {peer.name for peer in harness.host.snapshot().peers}
    assert all(peer.following == harness.host.following for peer in hostile.others)


# -- the lead time -----------------------------------------------------------------------------------------------------


def lead_ns(harness: SessionHarness) -> int:
    """From a command to its effect."""
    now_ns = harness.now_ns
    harness.command(Pause())
    stop_ns = line(harness).stop_session_ns
    assert stop_ns is not None
    harness.run((stop_ns - now_ns) / SECOND + 0.1)
    harness.command(Play())
    harness.run(1)
    return stop_ns - now_ns


@pytest.mark.parametrize(
    ("latency_ms", "rtt_ms", "most_ms"),
    [(60_000, 60_000, 200), (2000, 0, 200), (1499, 0, 1540), (700, 700, 1540), (400, 1, 501), (1000, 2, 1102)],
)
def test_the_reports_of_one_peer_cannot_make_every_command_slow(latency_ms: int, rtt_ms: int, most_ms: int) -> None:
    harness, _ = ready("Ana")
    harness.command(Play())
    harness.run(1)
    before_ns = lead_ns(harness)
    evil = RawMember(harness, "Evil", EVIL)
    evil.report(output_latency_ns=latency_ms * MS, rtt_ns=rtt_ms * MS)
    assert before_ns <= lead_ns(harness) <= most_ms * MS
    slow = [text for text in messages(harness, "warning") if "ms for each command" in text]
    assert len(slow) == (latency_ms + rtt_ms > 1500)


def test_a_slow_peer_is_told_that_it_is_not_waited_for() -> None:
    harness, _ = ready("Ana")
    ben = harness.join("Ben", output=ReportedOutput(latency_ns=1600 * MS))
    harness.run(3)
    (warning,) = [text for text in (one.fields["message"] for one in ben.events("warning")) if "1600 ms" in text]
    assert warning.startswith("This machine needs 1600 ms for each command of the host")
    ben.output.latency_ns = 300 * MS
    harness.run(3)
    harness.command(Play())
    harness.run(1)
    assert 340 * MS <= lead_ns(harness) <= 500 * MS


def test_a_member_that_reports_nothing_counts_as_absent_and_loses_its_place() -> None:
    harness, _ = ready("Ana")
    harness.command(Play())
    harness.run(1)
    before_ns = lead_ns(harness)
    evil = RawMember(harness, "Evil", EVIL)
    assert lead_ns(harness) > before_ns
    for second in range(14):
        evil.say(m.Heartbeat())
        harness.run(1)
        if second == 4:
            assert lead_ns(harness) == before_ns
            assert not harness.host.snapshot().peers[-1].waited_for
    evil.say(m.Heartbeat())
    harness.run(1.5)
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ana"]
    assert harness.host.events("peer_left")[0].fields["reason"] == "It told nothing about its output for 15 seconds."
    assert evil.told(m.SessionEnd)


def test_a_member_that_stops_reporting_is_not_waited_for_either() -> None:
    harness, _ = ready("Ana")
    evil = RawMember(harness, "Evil", EVIL)
    evil.report()
    for _ in range(6):
        evil.say(m.Heartbeat())
        harness.run(1)
    assert not harness.host.snapshot().peers[-1].waited_for
    evil.report()
    assert harness.host.snapshot().peers[-1].waited_for


# -- the time for files -----------------------------------------------------------------------------------------------


def test_play_goes_on_without_a_member_that_fetches_nothing() -> None:
    harness, (ana,) = ready("Ana", tracks=0)
    evil = RawMember(harness, "Evil", EVIL)
    harness.command(Add(a_track()))
    for _ in range(14):
        evil.report()
        harness.run(1)
    harness.command(Play())
    assert messages(harness, "error")[-1] == "Waiting for all peers to receive the file."
    evil.report()
    harness.run(1.1)
    assert harness.host.snapshot().peers[-1].stuck == {a_track().file_id}
    harness.command(Play())
    harness.run(1)
    assert line(harness).file_id == a_track().file_id and ana.following == harness.host.following
    assert messages(harness, "warning")[-1] == "Going on without Evil: it does not receive song 1.mp3 in time."


def test_play_waits_for_a_member_that_has_just_begun_to_fetch() -> None:
    harness, _ = ready("Ana", tracks=0)
    harness.run(60)
    harness.command(*(Add(a_track(number)) for number in range(1, 6)))
    harness.command(Play(a_track(5).file_id))  # it is not offered yet: there are others before it
    assert messages(harness, "error")[-1] == "Waiting for all peers to receive the file."


def test_a_member_that_is_not_waited_for_follows_the_next_song_that_it_has() -> None:
    """It knows the length of the song that it lacks, although it has others to fetch."""
    harness, (ana,) = ready("Ana", tracks=1)
    ana.transfer_ns = 10**15
    harness.command(*(Add(a_track(number)) for number in range(2, 8)))
    harness.run(16)
    harness.command(Play(a_track(6).file_id))
    harness.run(1)
    assert line(harness).file_id == a_track(6).file_id
    harness.command(Play(a_track(1).file_id))
    harness.run(1)
    assert ana.following is not None and ana.following.timeline == line(harness)


def test_play_goes_on_without_a_member_whose_transfer_was_given_up() -> None:
    harness, _ = ready("Ana", tracks=0)
    ben = harness.join("Ben")
    ben.fetch_results = iter([False] * 3)
    harness.run(0.1)
    harness.command(Add(a_track()))
    harness.run(5)
    harness.command(Play())
    assert messages(harness, "error")[-1] == "Waiting for all peers to receive the file."
    harness.run(11)
    harness.command(Play())
    assert line(harness).file_id == a_track().file_id


def test_whoever_joins_anew_has_no_more_time_for_the_files() -> None:
    harness, _ = ready("Ana", tracks=0)
    harness.command(Add(a_track()))
    for number in range(3):
        evil = RawMember(harness, f"Evil {number}", EVIL)
        for _ in range(6):
            evil.report()
            harness.run(1)
        evil.leave()
    RawMember(harness, "Evil", EVIL).report()
    harness.command(Play())
    assert line(harness).file_id == a_track().file_id


def test_a_member_that_lets_its_file_trickle_does_not_keep_it_from_starting() -> None:
    harness, _ = ready("Ana", tracks=0)
    evil = RawMember(harness, "Evil", EVIL)
    song = a_track(size=100_000_000)
    harness.command(Add(song))
    for second in range(118):
        evil.report()
        if second % 14 == 0:
            harness.host.call(harness.host.core.fetch_progress, 2, song.file_id, second * 100_000)
        harness.run(1)
    harness.command(Play())
    assert messages(harness, "error")[-1] == "Waiting for all peers to receive the file."
    for _ in range(3):
        evil.report()
        harness.run(1)
    harness.command(Play())
    assert line(harness).file_id == song.file_id


@pytest.mark.slow
def test_the_music_of_one_hour_is_silent_for_a_bounded_time_because_of_one_address() -> None:
    """It takes each second song at once and lets the next one trickle for as long as it is waited for."""
    harness, _ = ready("Ana", tracks=0)
    songs = [a_track(number, seconds=30.0, size=10_000_000) for number in range(1, 100)]
    harness.command(*map(Add, songs))
    evil = RawMember(harness, "Evil", EVIL)
    evil.report()
    harness.run(16)
    harness.command(Play())
    silent_s, choice, answered = 0, random.Random(17), set()
    for second in range(3600):
        evil.report()
        for start in evil.told(m.FileTransferStart):
            if start.file_id not in answered and (start.file_id.int % 2 or choice.random() < 0.02):
                answered.add(start.file_id)
                evil.say(m.FileReceived(start.file_id, True))
            elif start.file_id not in answered and second % 10 == 0:
                harness.host.call(harness.host.core.fetch_progress, 2, start.file_id, second * 100_000 % 9_000_000)
        harness.run(1)
        silent_s += harness.host.snapshot().timeline is None and bool(harness.host.snapshot().waiting_for)
        if len(harness.host.effects) > 10_000:
            harness.host.effects = [one for one in harness.host.effects if getattr(one, "conn", 0) == evil.conn]
    assert silent_s <= MAX_SILENCE_NS // SECOND + 3600 // SILENCE_SHARE
