"""The record of each machine's phase error, and its CSV file."""

from __future__ import annotations

import csv
import dataclasses
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.ui.backend import SessionView
from phaselock.ui.viewmodel import History
from phaselock.ui.viewmodel.history import BREAK_S, COLOURS, KEPT_S, UNCHANGED_S
from tests.support.session_views import CARD, QUEUE, guest, line, off, peer, playing

HEADER = "time_s,machine,phase_error_us,uncertainty_us,drift_ppm,correction_ppm"


def at(ns: int, *names: str) -> SessionView:
    """A state in which the host and these peers play, all with this phase error in ns."""
    peers = (peer(name, number, phase_error_ns=ns) for number, name in enumerate(names, 1))
    return playing(*peers, own=off(phase_error_ns=ns))


def filled(seconds: float, *names: str) -> History:
    history = History()
    for tenth in range(round(seconds * 10)):
        history.take(at(1000 * tenth, *names), tenth / 10)
    return history


def rows(history: History) -> list[list[str]]:
    return list(csv.reader(io.StringIO(history.csv(), newline="")))


def test_every_machine_has_its_line() -> None:
    history = History()
    history.take(playing(peer(phase_error_ns=-12_000), peer("Cleo", 2)), 5.0)
    own, ben, cleo = history.series(120, 5.0)
    assert [(one.key, one.name, one.colour_index) for one in (own, ben, cleo)] == [
        (0, "Hana", 0),
        (1, "Ben", 1),
        (2, "Cleo", 2),
    ]
    (point,) = ben.points
    assert (point.t_s, point.error_us, point.uncertainty_us) == (5.0, -12.0, 10.0)
    assert own.points[0].uncertainty_us == 5.0


def test_a_peer_sees_its_own_line_only() -> None:
    history = History()
    history.take(guest(now=QUEUE[0], timeline=line()), 1.0)
    (own,) = history.series(120, 1.0)
    assert (own.key, own.name) == (0, "Ben")


def test_two_points_a_second_however_often_it_is_asked() -> None:
    history = History()
    for tick in range(300):
        history.take(at(tick, "Ben"), tick / 30)
    for one in history.series(120, 10):
        assert 18 <= len(one.points) <= 22


def test_a_report_that_repeats_itself_keeps_the_line_whole() -> None:
    history = History()
    for tick in range(300):
        history.take(at(7000), tick / 30)
    (own,) = history.series(120, 10)
    times = [point.t_s for point in own.points]
    assert len(times) == 5 and all(b - a <= UNCHANGED_S + 0.1 < BREAK_S for a, b in zip(times, times[1:], strict=False))


def test_only_the_last_minutes_are_kept_and_only_the_last_of_them_shown() -> None:
    history = filled(KEPT_S + 60, "Ben")
    now_s = KEPT_S + 60
    for span_s in (KEPT_S, 120):
        for one in history.series(span_s, now_s):
            assert now_s - span_s <= one.points[0].t_s <= now_s - span_s + 1
    assert history.series(9999, now_s)[0].points[0].t_s >= now_s - KEPT_S - 1


@pytest.mark.parametrize(
    "state",
    [
        playing(timeline=line(stop_ns=5)),
        playing(own=None),
        playing(own=off(playing=False)),
        playing(own=off(device_name=None)),
        guest(off(clock_uncertainty_ns=None, playing=False), now=QUEUE[0], timeline=line()),
    ],
)
def test_what_does_not_play_has_no_points(state: SessionView) -> None:
    history = History()
    history.take(state, 1.0)
    assert history.series(120, 1.0) == ()


def test_a_machine_that_has_lost_the_time_has_no_band() -> None:
    history = History()
    history.take(playing(peer(clock_stale=True)), 1.0)
    own, ben = history.series(120, 1.0)
    assert own.points[0].uncertainty_us == 5.0 and ben.points[0].uncertainty_us is None


def test_colours_stay_with_their_machines_and_are_free_again_when_these_are_forgotten() -> None:
    history = filled(2, "Ben", "Cleo")
    both = playing(peer("Cleo", 2), peer("Dan", 3))
    history.take(both, 3.0)
    assert {one.name: one.colour_index for one in history.series(120, 3.0)} == {
        "Hana": 0,
        "Ben": 1,
        "Cleo": 2,
        "Dan": 3,
    }
    for second in range(4, 400):
        history.take(both, float(second))
    history.take(playing(peer("Cleo", 2), peer("Dan", 3), peer("Eve", 4)), 400.0)
    assert {one.name: one.colour_index for one in history.series(300, 400.0)} == {
        "Hana": 0,
        "Eve": 1,
        "Cleo": 2,
        "Dan": 3,
    }


def test_there_is_a_colour_for_everybody() -> None:
    history = History()
    history.take(playing(*(peer(f"P{number}", number) for number in range(1, 10))), 1.0)
    indices = [one.colour_index for one in history.series(120, 1.0)]
    assert set(indices) == set(range(COLOURS)) and len(indices) == 10


def test_the_series_is_the_same_until_something_comes() -> None:
    history = filled(5, "Ben")
    assert history.series(120, 5.0) == history.series(120, 5.3)


def test_the_file_has_everything_and_says_its_units() -> None:
    history = History()
    history.take(playing(peer(phase_error_ns=-12_345)), 100.0)
    history.take(playing(peer(clock_stale=True), own=off(phase_error_ns=1_500)), 101.0)
    assert history.csv().splitlines()[0] == HEADER
    assert rows(history)[1:] == [
        ["0.0", "Hana", "-4.0", "5.0", "0.0", "12.34"],
        ["0.0", "Ben", "-12.345", "10.0", "3.1", ""],
        ["1.0", "Hana", "1.5", "5.0", "0.0", "12.34"],
        ["1.0", "Ben", "3.0", "", "3.1", ""],
    ]
    history.clear()
    assert history.csv() == HEADER + "\r\n" and history.series(300, 101.0) == ()


@given(st.one_of(st.text(min_size=1), st.text("=+-@;,\"'\t a1＝＋－＠\n|", min_size=1)))
def test_no_name_becomes_a_formula_whatever_separates_the_cells(name: str) -> None:
    history = History()
    history.take(playing(own=CARD, display_name=name), 1.0)
    text = history.csv()
    ((_, written, *_),) = rows(history)[1:]
    assert written.replace("'", "") == name.replace("'", "")
    cells = [text] + [cell for mark in ',;\t"\n ' for cell in text.removeprefix(HEADER).split(mark)]
    for cell in cells:
        start = cell.strip().lstrip('"').lstrip()[:1]
        assert start not in ("=", "+", "@", "＝", "＋", "－", "＠") or not start
        assert start != "-" or cell.strip().startswith("-4.0")


def test_an_ordinary_name_is_left_as_it_is() -> None:
    history = History()
    history.take(dataclasses.replace(playing(display_name="Anna-Lena, “DJ”")), 1.0)
    assert rows(history)[1][1] == "Anna-Lena, “DJ”"
