from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.bench.lab.bottleneck import MS, S, bottleneck
from phaselock.network import congestion
from phaselock.network.congestion import CongestionWindow
from phaselock.protocol.codec import ProtocolError


@pytest.mark.parametrize("rtt_ms", [0.2, 2])
def test_five_flows_fill_the_link_and_leave_the_queue_short(rtt_ms: float) -> None:
    seen = bottleneck(100, rtt_ms, [0] * 5, until_s=8)
    assert seen.use > 0.93
    assert seen.wait_ms(0.5) < 10 and seen.wait_ms(0.95) < 12 and seen.wait_ms(1) < 30
    assert min(seen.shares) > 0.9


def test_one_flow_fills_the_link() -> None:
    seen = bottleneck(100, 0.5, [0], until_s=8)
    assert seen.use > 0.93 and seen.wait_ms(0.95) < 5


@pytest.mark.parametrize("starts_s", [[0, 0.3, 0.6, 0.9, 1.2], [0, 2.1, 2.5, 3.1, 3.3]])
def test_flows_that_start_at_different_times_keep_the_queue_short(starts_s: list[float]) -> None:
    seen = bottleneck(100, 0.5, starts_s, until_s=10)
    assert seen.use > 0.93
    assert seen.wait_ms(0.95) < 20 and seen.wait_ms(0.95, 5 * S) < 12


def test_latecomers_get_their_part() -> None:
    flows = [CongestionWindow() for _ in range(5)]
    seen = bottleneck(100, 0.5, [0, 0, 0, 0, 4], until_s=12, windows=flows)
    assert seen.wait_ms(0.95, 6 * S) < 12
    windows = [flow.window_bytes for flow in flows]
    assert max(windows) < 1.5 * min(windows)


@pytest.mark.parametrize("in_order", [True, False])
def test_jitter_is_no_queue(in_order: bool) -> None:
    seen = bottleneck(100, 0.5, [0] * 5, until_s=8, jitter_ms=10, in_order=in_order)
    assert seen.use > 0.85
    assert seen.wait_ms(0.5) < 35 and seen.wait_ms(0.95) < 50


@pytest.mark.parametrize("in_order", [True, False])
def test_jitter_does_not_throttle_one_flow(in_order: bool) -> None:
    assert bottleneck(100, 0.5, [0], until_s=8, jitter_ms=10, in_order=in_order).use > 0.85


def test_long_paths_are_filled() -> None:
    assert bottleneck(100, 60, [0], until_s=15).use > 0.85
    assert bottleneck(100, 60, [0] * 5, until_s=8).use > 0.85


def test_fast_links_are_filled() -> None:
    seen = bottleneck(1000, 0.5, [0] * 5, until_s=2)
    assert seen.use > 0.9 and seen.wait_ms(0.95) < 5


def test_slow_links_get_the_least_window() -> None:
    flows = [CongestionWindow() for _ in range(5)]
    assert bottleneck(1, 20, [0] * 5, until_s=8, windows=flows).use > 0.9
    assert {flow.window_bytes for flow in flows} == {congestion.MIN_WINDOW_BYTES}


@pytest.mark.parametrize("mbit", [5, 10])
@pytest.mark.parametrize("rtt_ms", [10, 40])
def test_a_call_beside_a_song_hardly_waits(mbit: int, rtt_ms: float) -> None:
    seen = bottleneck(mbit, rtt_ms, [0], until_s=12, call_s=0)
    assert seen.call_wait_ms(0.5, 2 * S) < 45 / mbit and seen.call_wait_ms(0.95, 2 * S) < 85 / mbit
    assert seen.call_wait_ms(1) < 20 + rtt_ms
    assert seen.use > 0.9


def test_a_call_beside_songs_for_five_friends_waits_little() -> None:
    seen = bottleneck(5, 40, [0] * 5, until_s=12, call_s=0)
    assert seen.call_wait_ms(0.5, 2 * S) < 12 and seen.call_wait_ms(0.95, 2 * S) < 20
    assert seen.call_wait_ms(1) < 80
    assert seen.use > 0.9 and min(seen.shares) > 0.8


def test_a_call_that_begins_later_gets_its_air() -> None:
    seen = bottleneck(5, 40, [0], until_s=12, call_s=6)
    assert seen.call_wait_ms(1) < 30 and seen.call_wait_ms(0.95, 8 * S) < 15


@pytest.mark.parametrize("in_order", [True, False])
def test_jitter_of_a_far_friend_is_no_queue(in_order: bool) -> None:
    assert bottleneck(20, 60, [0], until_s=10, jitter_ms=12, in_order=in_order).use > 0.8


def cruising(delay_ns: int = MS) -> tuple[CongestionWindow, Callable[..., int]]:
    """A flow that has found its window on a path with the delay `delay_ns`, and a function that sends a number of
    further pieces and returns the time after them."""
    flow = CongestionWindow()
    now_ns = acked = 0

    def go_on(pieces: int, extra_ns: int = 0) -> int:
        nonlocal now_ns, acked
        for _ in range(pieces):
            if not (size := flow.may_send(now_ns)):
                assert flow.wake_at_ns is not None
                now_ns = flow.wake_at_ns
                size = flow.may_send(now_ns)
            flow.sent(size, now_ns)
            now_ns += delay_ns + extra_ns
            acked += size
            flow.acknowledged(acked, now_ns)
        return now_ns

    return flow, go_on


def probed(flow: CongestionWindow, sent: int, now_ns: int, probes: int, delay_ns: int = MS) -> int:
    """Send further probes after `sent` bytes; the time after them."""
    for _ in range(probes):
        assert flow.may_send(now_ns) == congestion.PROBE_BYTES
        flow.sent(congestion.PROBE_BYTES, now_ns)
        assert not flow.may_send(now_ns)
        now_ns += delay_ns
        sent += congestion.PROBE_BYTES
        flow.acknowledged(sent, now_ns)
    return now_ns


def test_the_first_pieces_are_small() -> None:
    flow = CongestionWindow()
    assert flow.may_send(0) == congestion.PROBE_BYTES
    flow.sent(congestion.PROBE_BYTES + 70, 0)
    assert flow.may_send(0) == 0 and flow.wake_at_ns is None
    flow.acknowledged(congestion.PROBE_BYTES + 70, MS)
    assert flow.may_send(MS) == congestion.PROBE_BYTES
    now_ns = probed(flow, congestion.PROBE_BYTES + 70, MS, congestion.FIRST_PROBES - 1)
    assert flow.may_send(now_ns) == congestion.MIN_PIECE_BYTES
    assert flow.window_bytes == congestion.MIN_WINDOW_BYTES


def test_a_radio_is_no_slow_link_although_jitter_makes_most_pairs_slow() -> None:
    flow = CongestionWindow()
    now_ns = sent = 0
    for delay_ms in (1, 9, 4, 12, 2, 8, 5, 7):
        now_ns = probed(flow, sent, now_ns, 1, delay_ms * MS)
        sent += congestion.PROBE_BYTES
    for gap_ms in (3, 3, 0, 3):
        acknowledge_pair(flow, now_ns, gap_ms * MS)
        now_ns += 20 * MS
    assert not flow._is_slow


def test_equal_pairs_beside_jitter_are_a_slow_link() -> None:
    flow = CongestionWindow()
    now_ns = sent = 0
    for delay_ms in (1, 9, 4, 12, 2, 8, 5, 7):
        now_ns = probed(flow, sent, now_ns, 1, delay_ms * MS)
        sent += congestion.PROBE_BYTES
    for _ in range(4):
        acknowledge_pair(flow, now_ns, 3 * MS)
        now_ns += 20 * MS
    assert flow._is_slow


def acknowledge_pair(flow: CongestionWindow, now_ns: int, gap_ns: int) -> None:
    """Send two pieces together; the second one is acknowledged this much later than the first."""
    begin = flow._sent_bytes
    flow.sent(congestion.MIN_PIECE_BYTES, now_ns)
    flow.sent(congestion.MIN_PIECE_BYTES, now_ns)
    flow.acknowledged(begin + congestion.MIN_PIECE_BYTES, now_ns + 10 * MS)
    flow.acknowledged(begin + 2 * congestion.MIN_PIECE_BYTES, now_ns + 10 * MS + gap_ns)


def test_a_far_path_is_probed_once() -> None:
    flow = CongestionWindow()
    probed(flow, 0, 0, 1, congestion.FIRST_PROBE_NS)
    assert flow.window_bytes == congestion.MIN_WINDOW_BYTES


def test_two_pieces_are_under_way_in_the_least_window_although_frames_are_longer() -> None:
    flow = CongestionWindow()
    now_ns = probed(flow, 0, 0, congestion.FIRST_PROBES)
    flow.sent(flow.may_send(now_ns) + 70, now_ns)
    assert flow.may_send(now_ns) > congestion.MIN_PIECE_BYTES // 2


def test_a_window_that_is_not_used_does_not_grow() -> None:
    flow, go_on = cruising()
    go_on(1000)
    assert flow.window_bytes <= 4 * congestion.MIN_WINDOW_BYTES


def test_a_pause_lets_the_queue_run_empty() -> None:
    flow = CongestionWindow()
    seen = bottleneck(100, 0.5, [0], until_s=0.4, windows=[flow])
    assert seen.use > 0.8
    assert flow.may_send(500 * MS) == 0
    assert flow.wake_at_ns is None  # some bytes are not acknowledged
    assert flow.may_send(500 * MS + congestion.MAX_PAUSE_NS) == 0
    flow.acknowledged(flow._sent_bytes, 501 * MS)
    assert flow.may_send(501 * MS) == 0
    now_ns = flow.wake_at_ns
    assert now_ns and 500 * MS + congestion.MIN_PAUSE_NS <= now_ns <= 500 * MS + congestion.MAX_PAUSE_NS
    now_ns = probed(flow, flow._sent_bytes, now_ns, congestion.NEXT_PROBES)
    flow.sent(flow.may_send(now_ns), now_ns)
    assert flow.may_send(now_ns) == 0
    wake_at_ns = flow.wake_at_ns
    assert wake_at_ns is not None and not flow.may_send(wake_at_ns - MS // 100) and flow.may_send(wake_at_ns)


def test_a_busy_machine_does_not_make_up_for_a_late_return_in_one_burst() -> None:
    flow = CongestionWindow()
    bottleneck(5, 40, [0], until_s=5.9, windows=[flow])
    pause_ns = flow._pause_at_ns
    assert flow.may_send(pause_ns) == 0
    flow.acknowledged(flow._sent_bytes, pause_ns + 60 * MS)
    sent = 0
    for now_ns in (pause_ns + 60 * MS, pause_ns + 100 * MS):
        while size := flow.may_send(now_ns):
            flow.sent(size, now_ns)
            sent += size
    assert sent <= 4 * congestion.MIN_PIECE_BYTES * 3 < flow._old_bytes


def test_a_longer_path_is_accepted_after_some_minutes() -> None:
    flow, go_on = cruising(2 * MS)
    until_ns = go_on(200) + congestion.BASE_MINUTES * congestion.MINUTE_NS
    while go_on(1, 100 * MS) < until_ns:
        pass
    assert flow.window_bytes == congestion.MIN_WINDOW_BYTES
    until_ns += 2 * congestion.MINUTE_NS
    while go_on(1, 100 * MS) < until_ns:
        pass
    assert min(least for _, least in flow._minima) == 102 * MS


@pytest.mark.parametrize("acked", [0, -1, 2001, 2**62])
def test_bytes_that_were_not_sent_cannot_be_acknowledged(acked: int) -> None:
    flow = CongestionWindow()
    flow.sent(2000, 0)
    with pytest.raises(ProtocolError, match="acknowledged"):
        flow.acknowledged(acked, MS)


@pytest.mark.parametrize("again", [1000, 999])
def test_a_repeated_acknowledgement_is_refused(again: int) -> None:
    flow = CongestionWindow()
    flow.sent(2000, 0)
    flow.acknowledged(1000, MS)
    with pytest.raises(ProtocolError):
        flow.acknowledged(again, MS)


def test_there_are_no_more_acknowledgements_than_pieces() -> None:
    flow = CongestionWindow()
    for number in range(3):
        flow.sent(1000, number)
    for acked in range(1, 4 + congestion.MAX_SPARE_ACKNOWLEDGEMENTS):
        flow.acknowledged(acked, MS)
    with pytest.raises(ProtocolError, match="more acknowledgements"):
        flow.acknowledged(3000, MS)
    flow.sent(1000, MS)
    flow.acknowledged(3000, MS)


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**9)), max_size=200))
def test_with_any_delays_the_window_stays_in_its_bounds_and_sending_continues(steps: list[tuple[int, int]]) -> None:
    flow, now_ns, sent, acked, pieces = CongestionWindow(), 0, 0, 0, congestion.MAX_SPARE_ACKNOWLEDGEMENTS
    for ack, later_ns in steps:
        while size := flow.may_send(now_ns):
            assert 0 < size <= congestion.MAX_PIECE_BYTES and isinstance(size, int)
            flow.sent(size, now_ns)
            sent, pieces = sent + size, pieces + 1
        assert flow.unacknowledged_bytes <= congestion.MAX_WINDOW_BYTES
        assert flow.unacknowledged_bytes or flow.wake_at_ns is not None
        assert flow.wake_at_ns is None or flow.wake_at_ns > now_ns
        now_ns += later_ns
        if sent > acked and pieces:
            acked, pieces = min(acked + ack, sent), pieces - 1
            flow.acknowledged(acked, now_ns)
        assert isinstance(flow.window_bytes, int) and flow.window_bytes <= congestion.MAX_WINDOW_BYTES
