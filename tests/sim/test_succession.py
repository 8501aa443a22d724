"""Whole sessions whose host changes: see tests/support/evening.py."""

from __future__ import annotations

from phaselock.session.commands import HandOver, Play
from tests.support.evening import Evening, Machine


def jam(*names: str, tracks: int = 3, playing: bool = True, **options: object) -> tuple[Evening, list[Machine]]:
    """A session in which everybody has every file, and the line of succession is known. The first one is the host."""
    evening = Evening()
    drifts = 12.0, -17.0, 31.0, -40.0, 5.0, 22.0
    machines = [evening.machine(name, ppm) for name, ppm in zip(names, drifts, strict=False)]
    machines[0].host(**options)
    evening.run(0.5)
    for one in machines[1:]:
        one.join(machines[0])
    evening.run(1)
    for _ in range(tracks):
        machines[0].add()
    evening.run(4)
    if playing:
        machines[0].command(Play())
        evening.run(2)
    return evening, machines


def test_a_session_is_handed_over_without_a_gap() -> None:
    evening, (hana, ana, ben, cleo) = jam("Hana", "Ana", "Ben", "Cleo")
    before, queue = hana.snapshot().timeline, [row.id for row in hana.snapshot().queue]
    hana.command(HandOver(None))
    evening.run(2)
    assert [one.is_host for one in (hana, ana, ben, cleo)] == [False, True, False, False]
    for one in (hana, ana, ben, cleo):
        assert one.is_connected
        assert one.snapshot().timeline == before
        assert [row.id for row in one.snapshot().queue] == queue
