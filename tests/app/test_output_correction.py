"""The correction of the open output: what is kept, when it is set aside, and what undoes it."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from phaselock.app.output_correction import LOOKS, OutputCorrection
from phaselock.app.shell_base import Shell
from phaselock.model.calibration import NOT_CALIBRATED
from phaselock.session.events import DeviceChanged, Event, OutputCalibrated, OutputConfirmed
from phaselock.session.sentences import event_text
from phaselock.storage.settings import MAX_CORRECTION_MS, SettingsStore
from tests.console.test_lines import SYNC


class FakePlayer:
    """Plays on an output called Card, which tells its delay roughly."""

    def __init__(self) -> None:
        self.device_name: str | None = "Card"
        self.timing, self.latency_ms = "told", 12.0
        self.known = True
        self.corrections_ms: list[float] = []

    def status(self) -> FakePlayer:
        return self

    def platform_latency_ms(self) -> float:
        return self.latency_ms

    def knows_latency(self) -> bool:
        return self.known

    def set_correction_ms(self, correction_ms: float) -> None:
        self.corrections_ms.append(correction_ms)


class Machine:
    """A machine that has opened its output."""

    def __init__(self, store: SettingsStore, timing: str = "told", latency_ms: float = 12) -> None:
        self.player = FakePlayer()
        self.player.timing, self.player.latency_ms = timing, latency_ms
        self.told: list[Event] = []
        player: Any = self.player
        self.correction = OutputCorrection(player, store, self.told.append)
        self.open()

    def open(self) -> None:
        state: Any = "open" if self.player.device_name else "none"
        self.correction.hear(DeviceChanged(None, state, self.player.device_name, "", None))

    def hear(self, *late_ms: float) -> None:
        """A microphone hears the output so late; negative: that is undone."""
        for one in late_ms:
            self.correction.hear(OutputCalibrated(None, round(one * 1e6), 50_000, "Sofa", "spot"))

    def look(self, count: int = LOOKS) -> None:
        for _ in range(count):
            self.correction.hear(SYNC)

    @property
    def corrected_ms(self) -> float:
        return self.player.corrections_ms[-1]


@pytest.fixture
def store(tmp_path: pathlib.Path) -> Iterator[SettingsStore]:
    one = SettingsStore(tmp_path / "settings.json")
    yield one
    one.close()


@pytest.fixture
def machine(store: SettingsStore) -> Machine:
    return Machine(store)


def test_what_was_heard_is_kept_and_added_to_the_users_correction(machine: Machine, store: SettingsStore) -> None:
    machine.correction.set_ms(-20)
    machine.hear(182.4)
    assert machine.corrected_ms == pytest.approx(162.4)
    kept = machine.correction.view().kept
    assert (kept.late_ms, kept.latency_ms, kept.listener, kept.place) == (182.4, 12, "Sofa", "spot")
    assert Machine(store).corrected_ms == pytest.approx(162.4)
    machine.correction.forget()
    assert machine.corrected_ms == -20 and machine.correction.view().kept == NOT_CALIBRATED


def test_a_correction_that_was_undone_is_forgotten(machine: Machine) -> None:
    machine.hear(43.000351, -43.000351)
    assert machine.player.corrections_ms == [0, 43.000351, 0]
    assert machine.correction.view().kept == NOT_CALIBRATED


def test_an_undone_correction_leaves_the_one_before_as_it_was(machine: Machine) -> None:
    machine.hear(43)
    before = machine.correction.view().kept
    machine.hear(7, -7)
    assert machine.correction.view().kept == before and machine.corrected_ms == 43


def test_one_that_is_heard_again_without_a_change_is_for_the_new_place(machine: Machine) -> None:
    confirmed = OutputConfirmed(None, 30_000, "Kitchen", "speakers")
    machine.correction.hear(confirmed)
    assert machine.correction.view().kept == NOT_CALIBRATED, "there is nothing to keep"
    machine.hear(182.4)
    machine.correction.hear(confirmed)
    kept = machine.correction.view().kept
    assert (kept.late_ms, kept.listener, kept.place) == (182.4, "Kitchen", "speakers")
    machine.correction.hear(OutputCalibrated(None, 5_000_000, 0, "Sofa", "spot"))
    machine.correction.hear(OutputCalibrated(None, -5_000_000, 0, "Sofa", "spot"))
    assert machine.correction.view().kept == kept


def test_corrections_add_up_to_a_limit(machine: Machine) -> None:
    machine.hear(900, 900, 900)
    assert machine.corrected_ms == MAX_CORRECTION_MS


@pytest.mark.parametrize(
    ("timing", "change_ms", "fits"),
    [("exact", 200, True), ("told", 20, True), ("told", -40, False), ("unknown", 4, True), ("unknown", 6, False)],
)
def test_another_latency_sets_it_aside_if_it_tells_of_another_output(
    store: SettingsStore, timing: str, change_ms: float, fits: bool
) -> None:
    first = Machine(store, latency_ms=100)
    first.hear(182.4)
    second = Machine(store, timing, 100 + change_ms)
    assert second.corrected_ms == (182.4 if fits else 0)
    assert second.correction.view().set_aside != fits and bool(second.told) != fits
    assert second.correction.view().kept == first.correction.view().kept, "it is kept"


def test_it_says_why_it_is_set_aside_and_can_be_used_anyway(machine: Machine) -> None:
    machine.hear(182.4)
    machine.player.latency_ms = 212
    machine.look(LOOKS - 1)
    assert machine.corrected_ms == 182.4, "a difference must last"
    machine.look(1)
    assert machine.corrected_ms == 0
    assert [event_text(one) for one in machine.told] == [
        "Warning: Calibrated for another output (latency 12 ms then, 212 ms now). Calibrate again, or use it anyway. "
        "To use it: offset anyway"
    ]
    machine.correction.use_anyway()
    machine.look()
    assert machine.corrected_ms == 182.4 and machine.correction.view().kept.latency_ms == 212
    assert len(machine.told) == 1


def test_it_is_used_again_when_the_old_latency_is_back(machine: Machine) -> None:
    machine.hear(182.4)
    for latency_ms, corrected_ms in ((212, 0), (20, 182.4)):
        machine.player.latency_ms = latency_ms
        machine.look()
        assert machine.corrected_ms == corrected_ms


def test_a_latency_that_wavers_changes_nothing(machine: Machine) -> None:
    machine.hear(182.4)
    for latency_ms in (212, 12) * 10:
        machine.player.latency_ms = latency_ms
        machine.look(LOOKS - 1)
    assert machine.corrected_ms == 182.4 and not machine.told


def test_the_latency_of_a_young_stream_is_not_trusted(machine: Machine, store: SettingsStore) -> None:
    machine.hear(182.4)
    machine.player.known, machine.player.latency_ms = False, 2000
    machine.open()
    machine.look()
    assert machine.corrected_ms == 182.4
    machine.player.known = True
    machine.look()
    assert machine.corrected_ms == 0


def test_one_that_was_set_aside_is_replaced_by_a_new_one_and_comes_back_if_that_is_undone(machine: Machine) -> None:
    machine.hear(182.4)
    before = machine.correction.view().kept
    machine.player.latency_ms = 212
    machine.look()
    machine.hear(30)
    assert machine.corrected_ms == 30 and not machine.correction.view().set_aside
    machine.hear(-30)
    assert machine.corrected_ms == 0
    assert machine.correction.view().kept == before and machine.correction.view().set_aside


def test_another_output_has_none_and_says_which_one_has(machine: Machine) -> None:
    machine.hear(182.4)
    machine.player.device_name = "Kitchen bar"
    machine.open()
    assert machine.corrected_ms == 0
    view = machine.correction.view()
    assert (view.kept, view.set_aside, view.elsewhere) == (NOT_CALIBRATED, False, "Card")
    machine.player.device_name = None
    machine.correction.set_ms(5)
    machine.correction.use_anyway()
    machine.correction.forget()
    assert machine.correction.view().elsewhere == "", "no output is open"


def offset(machine: Machine, store: SettingsStore, *lines: str) -> list[str]:
    """The answers to these commands."""
    told: list[str] = []
    terminal: Any = type("Terminal", (), {"event": lambda _, event, **__: told.append(event_text(event))})()
    runner: Any = type("Runner", (), {"session_ns": lambda _: None})()
    player: Any = machine.player
    shell = type("OffsetShell", (Shell,), {"WORDS": Shell.COMMON_WORDS, "SYNONYMS": {}})(
        runner, player, machine.correction, store, terminal
    )
    for line in lines:
        shell.line(line)
    return told


def test_offset_shows_sets_and_forgets_it(
    machine: Machine, store: SettingsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phaselock.app.shell_base.date_text", lambda _: "2026-11-29 18:32")
    machine.hear(182.4)
    assert offset(machine, store, "offset -20") == [
        "Offset -20 ms.",
        "The microphone of Sofa has heard this output (2026-11-29 18:32). It plays 182.4 ms earlier because of that. "
        "That is right at the place of the microphone. The repeats differed by 0.05 ms.",
    ]
    machine.player.latency_ms = 212
    machine.look()
    aside = "Calibrated for another output (latency 12 ms then, 212 ms now). Calibrate again, or use it anyway."
    assert offset(machine, store, "offset") == ["Offset -20 ms.", aside]
    assert len(offset(machine, store, "offset anyway")) == 2 and machine.corrected_ms == pytest.approx(162.4)
    assert offset(machine, store, "offset forget", "offset reset") == ["Offset -20 ms.", "Offset 0 ms."]
    machine.hear(3)
    machine.player.device_name = "Kitchen bar"
    assert offset(machine, store, "offset") == [
        "Offset 0 ms.",
        "Calibrated for another output (Card). No microphone has heard this one.",
    ]
