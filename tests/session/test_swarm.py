"""Which peer fetches which piece from which source, on a simulated switch with 100 Mbit/s a port."""

from __future__ import annotations

from uuid import UUID

import pytest

from phaselock.session.host.swarm import HOST, MAX_LINKS, MAX_TASKS, Sources, Swarm, Task
from tests.support.swarm_simulation import FILE_ID, PORT_BYTES_PER_S, SwarmSimulation

SONG_BYTES = 20_000_000
ALONE_S = SwarmSimulation(1, SONG_BYTES).run()
"""How long one peer takes."""
SECOND = 1_000_000_000


def test_one_peer_gets_the_whole_rate_of_its_port() -> None:
    assert ALONE_S < 1.02 * SONG_BYTES / PORT_BYTES_PER_S


@pytest.mark.parametrize("peers", [2, 5])
def test_the_last_of_several_peers_is_hardly_later_than_one_alone(peers: int) -> None:
    swarm = SwarmSimulation(peers, SONG_BYTES)
    assert swarm.run() < 1.25 * ALONE_S
    assert swarm.sent_bytes[HOST] < 1.2 * SONG_BYTES
    assert max(map(len, swarm.links.values())) <= MAX_LINKS + 1


def test_no_source_is_given_up_because_all_ports_are_slow() -> None:
    """5 Mbit/s: a piece takes half a second, because several arrive at once."""
    rate = PORT_BYTES_PER_S / 20
    swarm = SwarmSimulation(5, SONG_BYTES, rate=rate)
    assert swarm.run() < 1.15 * SONG_BYTES / rate
    assert not swarm.avoided


@pytest.mark.slow
@pytest.mark.parametrize(("peers", "ratio"), [(3, 1.1), (10, 1.25), (20, 1.3), (40, 1.3), (63, 1.4)])
def test_many_peers(peers: int, ratio: float) -> None:
    swarm = SwarmSimulation(peers, SONG_BYTES)
    assert swarm.run() < ratio * ALONE_S
    assert swarm.sent_bytes[HOST] < 1.3 * SONG_BYTES


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "ratio"),
    [
        ({"liars": frozenset({3})}, 1.4),
        ({"slow": {3: 200_000.0}}, 1.4),
        ({"dies": {3: 0.8}}, 1.4),
        ({"dies": {3: 0.8}, "silent": True}, 1.6),
    ],
    ids=["it lies", "it is slow", "it dies", "it falls silent"],
)
def test_a_bad_relay_costs_the_others_little(trouble: dict[str, object], ratio: float) -> None:
    swarm = SwarmSimulation(10, SONG_BYTES, **trouble)  # type: ignore[arg-type]
    assert swarm.run() < ratio * ALONE_S


def test_several_liars_do_not_stop_the_song() -> None:
    swarm = SwarmSimulation(5, 3_000_000, liars=frozenset({1, 2}))
    swarm.run()
    assert swarm.left_out == {1, 2} and swarm.done_at_s.keys() == swarm.peers


def test_without_relays_all_fetch_from_the_host() -> None:
    swarm = SwarmSimulation(3, 4_000_000, sources=lambda peer: Sources(()))
    assert swarm.run() == pytest.approx(3 * 4_000_000 / PORT_BYTES_PER_S, rel=0.1)
    assert all(links == {HOST} for links in swarm.links.values())


def test_a_remote_site_fetches_once_and_shares() -> None:
    """The host's line to them has a tenth of the rate of their network."""
    swarm = SwarmSimulation(3, 4_000_000, slow={HOST: PORT_BYTES_PER_S / 10})
    swarm._sources = lambda peer: Sources(swarm._everybody(peer).relays, spare_host=True)
    assert swarm.run() < 1.1 * 4_000_000 / (PORT_BYTES_PER_S / 10)
    assert swarm.sent_bytes[HOST] < 1.02 * 4_000_000


# -- single decisions --------------------------------------------------------------------------------------------------


def begun(*peers: int, size: int = 1 << 20) -> Swarm:
    """Eight pieces."""
    swarm = Swarm()
    for peer in peers:
        swarm.begin(peer, FILE_ID, size, now_ns=0)
    return swarm


def everybody(*peers: int) -> dict[int, Sources]:
    return {peer: Sources(tuple(set(peers) - {peer})) for peer in peers}


def test_each_peer_gets_other_pieces_from_the_host_first() -> None:
    tasks = begun(1, 2).plan(everybody(1, 2), [FILE_ID], now_ns=0)
    assert {task.source for task in tasks} == {HOST}
    assert len({task.piece for task in tasks}) == len(tasks) == 8


def test_what_one_has_the_other_fetches_there() -> None:
    swarm = begun(1, 2)
    swarm.has_all(1, FILE_ID, 1 << 20)
    tasks = swarm.plan(everybody(1, 2), [FILE_ID], now_ns=0)
    assert tasks[0] == Task(2, FILE_ID, tasks[0].piece, 1)
    assert len(tasks) <= MAX_TASKS


def test_the_files_are_fetched_in_the_order_of_need() -> None:
    swarm = begun(1)
    swarm.begin(1, UUID(int=2), 1 << 20, now_ns=0)
    tasks = swarm.plan(everybody(1), [UUID(int=2), FILE_ID], now_ns=0)
    assert [task.file_id.int for task in tasks] == [2, 2, 2, 2, 1, 1, 1, 1]


def test_a_failed_piece_is_planned_again() -> None:
    swarm = begun(1, size=1)
    (task,) = swarm.plan(everybody(1), [FILE_ID], now_ns=0)
    assert swarm.plan(everybody(1), [FILE_ID], now_ns=0) == []
    swarm.failed(task)
    assert not swarm.is_task(task)
    assert swarm.plan(everybody(1), [FILE_ID], now_ns=0) == [task]


def test_the_tasks_at_a_member_that_leaves_are_over() -> None:
    swarm = begun(1, 2, size=1)
    swarm.has_all(1, FILE_ID, 1)
    (task,) = swarm.plan(everybody(1, 2), [FILE_ID], now_ns=0)
    assert task.source == 1
    swarm.left(1)
    assert not swarm.is_task(task)
    assert swarm.plan(everybody(2), [FILE_ID], now_ns=0) == [Task(2, FILE_ID, 0, HOST)]


def test_a_source_is_overdue_only_while_others_send() -> None:
    swarm = begun(1, 2)
    swarm.has_all(1, FILE_ID, 1 << 20)
    tasks = swarm.plan(everybody(1, 2), [FILE_ID], now_ns=0)
    first, second, third = (task for task in tasks if task.source == 1)
    (of_host, *_) = (task for task in tasks if task.source == HOST)
    assert swarm.overdue(now_ns=60 * SECOND) == []
    swarm.done(first, now_ns=SECOND // 10)
    assert swarm.overdue(now_ns=60 * SECOND) == []
    swarm.done(of_host, now_ns=2 * SECOND // 10)
    assert swarm.overdue(now_ns=9 * SECOND // 10) == []  # the others wait since the first one arrived
    assert swarm.overdue(now_ns=60 * SECOND) == [second, third]
    assert not swarm.is_task(second)


def test_members_that_send_nothing_are_not_waited_for_without_end() -> None:
    swarm = begun(1, 2)
    swarm.has_all(1, FILE_ID, 1 << 20)
    sources = {2: Sources((1,), spare_host=True)}
    tasks = swarm.plan(sources, [FILE_ID], now_ns=0)
    assert {task.source for task in tasks} == {1}
    assert swarm.overdue(now_ns=5 * SECOND) == []
    assert swarm.overdue(now_ns=60 * SECOND) == tasks
    assert {task.source for task in swarm.plan({2: Sources(())}, [FILE_ID], now_ns=60 * SECOND)} == {HOST}


def test_pieces_beyond_the_end_and_late_pieces_are_harmless() -> None:
    swarm = begun(1, 2)
    swarm.done(Task(1, FILE_ID, 99, HOST), now_ns=0)
    assert swarm.done_bytes(1, FILE_ID, 1 << 20) == 0
    swarm.done(Task(1, FILE_ID, 7, 2), now_ns=0)
    assert swarm.done_bytes(1, FILE_ID, 1 << 20) == 1 << 17


def test_a_forgotten_file_leaves_no_load() -> None:
    swarm = begun(1, 2)
    swarm.plan(everybody(1, 2), [FILE_ID], now_ns=0)
    assert swarm.active and swarm.fetching == {1, 2}
    swarm.forget(FILE_ID)
    assert not swarm.active and swarm.file_ids == ()
    swarm.begin(1, FILE_ID, 1 << 20, now_ns=0)
    assert len(swarm.plan(everybody(1), [FILE_ID], now_ns=0)) > 0
