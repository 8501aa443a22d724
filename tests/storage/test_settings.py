from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import stat
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.model.calibration import NOT_CALIBRATED, Calibration
from phaselock.model.volume import gain_of
from phaselock.storage import settings as settings_module
from phaselock.storage.settings import (
    MAX_DEVICES,
    Settings,
    SettingsStore,
    load,
    save,
)

FULL = Settings(
    display_name="Ænima",
    session_name="Friday",
    device="Kitchen \udce9",
    corrections_ms={"Kitchen": -12.5, "Bluetooth": 180.0},
    calibrations={"Bluetooth": Calibration(182.4, 0.05, 1_795_000_000.0, 40.0, "Sofa", "speakers")},
    trims_db={"Kitchen": -6.2, "Bluetooth": 0.0},
    volume=0.25,
    muted=True,
    role="left",
    port=1,
    clock_port=65535,
    fallback="/music/calm.m3u8",
    with_code=True,
    own_code="Grüner Tee",
    may_host=False,
    ui={"place": [10, 20], "size": {"w": 1.5}, "dark": True},
)


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "config" / "settings.json"


@pytest.fixture
def stores(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[SettingsStore]]:
    """Two programs on one computer that write their changes only when they end."""
    monkeypatch.setattr(settings_module, "WRITE_DELAY_S", 1000.0)
    assert save(path, FULL) is None
    stores = [SettingsStore(path), SettingsStore(path)]
    yield stores
    for store in stores:
        store.close()


def write(path: pathlib.Path, data: bytes | str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)


def test_without_a_file_everything_is_default(path: pathlib.Path) -> None:
    assert load(path) == (Settings(), None)
    assert Settings().port == 17401 and Settings().clock_port == 17402 and Settings().volume == 1.0
    assert not path.parent.exists()


def test_saved_settings_are_loaded(path: pathlib.Path) -> None:
    assert save(path, FULL) is None
    assert load(path) == (FULL, None)
    assert save(path, Settings()) is None
    assert load(path) == (Settings(), None)
    assert os.listdir(path.parent) == ["settings.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="other rights there")
def test_only_the_user_may_read_them(path: pathlib.Path) -> None:
    save(path, FULL)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_stays_a_link(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere.json")
    assert save(path, FULL) is None
    assert path.is_symlink() and load(tmp_path / "elsewhere.json") == (FULL, None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe\x00binary\x00",
        b'{"volume": NaN}',
        b"[" * 100_000,
        b'{"port": ' + b"1" * 10_000 + b"}",
        b'{"x": "' + b"x" * (1 << 20) + b'"}',
    ],
    ids=range(9),
)
def test_a_file_without_sense_is_set_aside(path: pathlib.Path, data: bytes) -> None:
    for name in ("settings.json.broken", "settings.json.broken.2"):
        write(path, data)
        settings, warning = load(path)
        assert settings == Settings()
        assert warning == f"The settings {path} were broken; they are now in {name}."
        assert path.with_name(name).read_bytes() == data
        assert load(path) == (Settings(), None)


def test_a_folder_in_its_place_is_set_aside(path: pathlib.Path) -> None:
    (path / "x").mkdir(parents=True)
    assert load(path)[1] is not None
    assert path.with_name("settings.json.broken").is_dir()
    assert save(path, FULL) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(path: pathlib.Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path)
    assert load(path) == (Settings(), f"The settings {path} cannot be read: not a plain file.")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("display_name", 1),
        ("session_name", None),
        ("device", ""),
        ("device", "x" * 501),
        ("device", ["x"]),
        ("volume", 1.01),
        ("volume", -0.01),
        ("volume", "1"),
        ("volume", True),
        ("volume", 10**400),
        ("muted", 1),
        ("role", "centre"),
        ("role", None),
        ("role", ["left"]),
        ("port", 0),
        ("port", 65536),
        ("port", 17401.0),
        ("clock_port", False),
        ("with_code", "yes"),
        ("may_host", 1),
        ("own_code", "abc"),
        ("own_code", "x" * 65),
        ("own_code", 482913),
        ("ui", []),
        ("ui", {"x": "x" * 8192}),
        ("corrections_ms", []),
        ("corrections_ms", None),
    ],
)
def test_a_value_without_sense_is_its_default(path: pathlib.Path, name: str, value: object) -> None:
    save(path, FULL)
    write(path, json.dumps(json.loads(path.read_text("utf-8")) | {name: value}))
    settings, warning = load(path)
    assert settings == dataclasses.replace(FULL, **{name: getattr(Settings(), name)})
    assert warning == f"These settings in {path} make no sense and are left out: {name}."
    assert path.exists()


def test_sound_corrections_survive_others(path: pathlib.Path) -> None:
    write(path, '{"corrections_ms": {"a": 1, "b": "x", "c": 2001, "": 1, "d": -2000}}')
    settings, warning = load(path)
    assert settings.corrections_ms == {"a": 1.0, "d": -2000.0}
    assert warning is not None and "corrections_ms" in warning


def test_unknown_values_are_ignored(path: pathlib.Path) -> None:
    write(path, '{"color": "blue", "port": 5}')
    settings, warning = load(path)
    assert (settings, warning) == (Settings(port=5), None)
    save(path, settings)
    assert "color" not in path.read_text("utf-8")


@pytest.mark.parametrize("gain", [0.0, 0.01, 0.3, 0.5, 1.0])
def test_an_older_volume_is_converted_once_and_sounds_as_loud_as_before(path: pathlib.Path, gain: float) -> None:
    write(path, json.dumps({"volume": gain}))
    settings, warning = load(path)
    assert warning is None and gain_of(settings.volume) == pytest.approx(gain, abs=2e-4)
    assert save(path, settings) is None
    assert load(path) == (settings, None)


def test_the_volume_is_kept_while_muted(path: pathlib.Path) -> None:
    store = SettingsStore(path)
    store.update(volume=0.4, muted=True)
    store.close()
    kept = load(path)[0]
    assert (kept.volume, kept.muted, kept.audible_volume) == (0.4, True, 0.0)
    assert dataclasses.replace(kept, muted=False).audible_volume == 0.4


def test_names_are_made_safe_to_show(path: pathlib.Path) -> None:
    write(path, json.dumps({"display_name": "  A\n\u202eB ", "session_name": "x" * 1000}))
    settings, warning = load(path)
    assert settings.display_name == "AB" and len(settings.session_name) == 64
    assert warning is None


@given(st.binary(max_size=300) | st.builds(lambda x: json.dumps(x).encode(), st.dictionaries(
    st.sampled_from([field.name for field in dataclasses.fields(Settings)]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    ),
)))  # fmt: skip
def test_no_file_breaks_the_program(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("config") / "settings.json"
    path.write_bytes(data)
    settings, _ = load(path)
    assert save(path, settings) is None
    assert load(path) == (settings, None)


def test_a_failed_save_is_reported(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    path = tmp_path / "file" / "settings.json"
    problem = save(path, FULL)
    assert problem is not None and problem.startswith(f"The settings {path} cannot be saved: ")
    store = SettingsStore(path)
    store.update(volume=0.5)
    store.close()
    assert store.settings.volume == 0.5
    assert store.warning is not None and "cannot be saved" in store.warning


def test_a_failed_save_is_told_once(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    path = tmp_path / "file" / "settings.json"
    told: list[str] = []
    tried = threading.Semaphore(0)
    write = SettingsStore._write

    def watched(self: SettingsStore, *arguments: Any) -> Any:
        try:
            return write(self, *arguments)
        finally:
            tried.release()

    monkeypatch.setattr(settings_module, "WRITE_DELAY_S", 0.0)
    monkeypatch.setattr(SettingsStore, "_write", watched)
    store = SettingsStore(path, told.append)
    for volume in (0.5, 0.6, 0.7):
        store.update(volume=volume)
        assert tried.acquire(timeout=60)
    store.close()
    assert told == [store.warning]


def test_a_failed_write_leaves_the_old_file(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(path, FULL)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    assert save(path, Settings()) == f"The settings {path} cannot be saved: No space left on device."
    assert load(path) == (FULL, None)
    assert os.listdir(path.parent) == ["settings.json"]


def test_a_change_counts_at_once_and_is_written_at_the_end(stores: list[SettingsStore], path: pathlib.Path) -> None:
    store = stores[0]
    store.update(volume=0.5, display_name="Me")
    store.update(volume=0.75)
    assert store.settings == dataclasses.replace(FULL, volume=0.75, display_name="Me")
    assert load(path) == (FULL, None)
    store.close()
    store.close()
    assert load(path) == (store.settings, None)
    store.update(volume=0)
    assert store.settings.volume == 0.75


def test_a_change_is_written_without_an_end(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_module, "WRITE_DELAY_S", 0.0)
    written = threading.Event()
    real = settings_module.save

    def tell(path: pathlib.Path, settings: Settings) -> str | None:
        try:
            return real(path, settings)
        finally:
            written.set()

    monkeypatch.setattr(settings_module, "save", tell)
    store = SettingsStore(path)
    for volume in (0.5, 0.25):
        written.clear()
        store.update(volume=volume)
        assert written.wait(30)
        assert load(path) == (Settings(volume=volume), None)
    store.close()


def test_no_change_writes_nothing(stores: list[SettingsStore], path: pathlib.Path) -> None:
    before = path.stat().st_mtime_ns
    stores[0].update(volume=FULL.volume, corrections_ms={"Kitchen": -12.5}, ui=dict(FULL.ui))
    stores[0].close()
    assert path.stat().st_mtime_ns == before


def test_two_programs_do_not_undo_each_other(stores: list[SettingsStore], path: pathlib.Path) -> None:
    one, other = stores
    one.update(volume=0.5, corrections_ms={"Kitchen": 1.0, "new": 2.0})
    other.update(display_name="Other", corrections_ms={"Bluetooth": 3.0})
    other.update(corrections_ms={**other.settings.corrections_ms, "more": 4.0})
    one.close()
    other.close()
    assert load(path) == (
        dataclasses.replace(
            FULL,
            volume=0.5,
            display_name="Other",
            corrections_ms={"Kitchen": 1.0, "new": 2.0, "Bluetooth": 3.0, "more": 4.0},
        ),
        None,
    )


def test_a_file_that_became_invalid_or_disappeared_is_written_again(
    stores: list[SettingsStore], path: pathlib.Path
) -> None:
    one, other = stores
    one.update(volume=0.5)
    path.write_bytes(b"{")
    one.close()
    assert one.warning is not None and "broken" in one.warning
    assert load(path) == (dataclasses.replace(FULL, volume=0.5), None)
    other.update(volume=0.125)
    path.unlink()
    other.close()
    assert load(path) == (dataclasses.replace(FULL, volume=0.125), None)


@pytest.mark.parametrize("changes", [{"volume": 2}, {"port": "x"}, {"corrections_ms": {"a": "b"}}, {"ui": {"a": {1}}}])
def test_a_wrong_change_is_refused(stores: list[SettingsStore], changes: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        stores[0].update(**changes)
    assert stores[0].settings == FULL


def test_an_unknown_change_is_refused(stores: list[SettingsStore]) -> None:
    with pytest.raises(TypeError):
        stores[0].update(color="blue")


def test_the_oldest_corrections_are_forgotten(stores: list[SettingsStore], path: pathlib.Path) -> None:
    store = stores[0]
    for number in range(MAX_DEVICES):
        store.update(corrections_ms={f"device {number}": 1.0})
    store.update(corrections_ms={"device 0": 2.0})
    store.update(corrections_ms={"last": 1.0})
    assert len(store.settings.corrections_ms) == MAX_DEVICES
    assert "device 0" in store.settings.corrections_ms and "device 1" not in store.settings.corrections_ms
    store.close()
    assert load(path) == (store.settings, None)


def test_changing_a_mapping_after_the_update_has_no_effect(stores: list[SettingsStore]) -> None:
    ui: dict[str, object] = {"size": [1, 2]}
    stores[0].update(ui=ui)
    ui["size"] = 3
    assert stores[0].settings.ui == {"size": [1, 2]}


def test_many_threads_change_settings(stores: list[SettingsStore], path: pathlib.Path) -> None:
    def work(name: int) -> None:
        for number in range(20):
            stores[0].update(corrections_ms={f"{name}/{number}": 1.0}, volume=number / 20)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stores[0].close()
    assert len(stores[0].settings.corrections_ms) == 82
    assert load(path) == (stores[0].settings, None)


def test_no_failure_ends_the_writer(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, bugs: list[str]) -> None:
    tried = threading.Event()
    save_file = settings_module.save

    def fail(path: pathlib.Path, settings: Settings) -> None:
        tried.set()
        raise TypeError("odd")

    monkeypatch.setattr(settings_module, "WRITE_DELAY_S", 0.0)
    monkeypatch.setattr(settings_module, "save", fail)
    store = SettingsStore(path)
    store.update(volume=0.5)
    assert tried.wait(60)
    monkeypatch.setattr(settings_module, "save", save_file)
    store.update(port=1234)
    store.close()
    assert load(path)[0] == Settings(volume=0.5, port=1234)
    assert bugs == ["writing the settings failed: TypeError('odd')"]


def test_a_damaged_calibration_is_left_out(path: pathlib.Path) -> None:
    assert (FULL.correction_ms("Kitchen"), FULL.correction_ms(None)) == (-12.5, 0)
    sound = dataclasses.asdict(FULL.calibrations["Bluetooth"])
    damaged = [{}, [], None, *({**sound, field: value} for field in sound for value in (7 * ["x"], None, 1e99))]
    write(path, json.dumps({"calibrations": {"Card": sound, **{f"card {k}": one for k, one in enumerate(damaged)}}}))
    settings, warning = load(path)
    assert settings.calibrations == {"Card": FULL.calibrations["Bluetooth"]}
    assert warning is not None and "calibrations" in warning


def test_a_trim_belongs_to_an_output_and_is_within_its_bounds(path: pathlib.Path) -> None:
    assert (FULL.trim_db("Kitchen"), FULL.trim_db("Card"), FULL.trim_db(None)) == (-6.2, 0, 0)
    wrong: list[object] = ["x", None, True, 0.1, -12.1, [-1]]
    write(path, json.dumps({"trims_db": {"Card": -12, **{f"card {k}": one for k, one in enumerate(wrong)}}}))
    settings, warning = load(path)
    assert settings.trims_db == {"Card": -12}
    assert warning is not None and "trims_db" in warning
    store = SettingsStore(path)
    for one in (0.1, -12.1, float("nan"), "x"):
        with pytest.raises(ValueError):
            store.update(trims_db={"Card": one})
    store.close()


def test_a_calibration_can_be_forgotten(path: pathlib.Path) -> None:
    store = SettingsStore(path)
    store.update(calibrations=FULL.calibrations)
    store.update(calibrations={"Bluetooth": NOT_CALIBRATED})
    store.close()
    settings, warning = load(path)
    assert settings.calibration("Bluetooth") == NOT_CALIBRATED and warning is None
