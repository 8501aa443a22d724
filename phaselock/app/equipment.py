"""What a machine keeps while its role in a session changes: the output that plays, the session clock, the files."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import pathlib
from collections.abc import Callable

from phaselock import _native
from phaselock.app.analyser import Analyser
from phaselock.app.hearing import hear_pass, hear_song
from phaselock.app.memory import QueueMemory
from phaselock.app.options import HostOptions, JoinOptions
from phaselock.app.output_correction import OutputCorrection
from phaselock.app.person import suggested_name
from phaselock.audio.device import USER_DATA_OFFSET, Device
from phaselock.audio.formats.base import Source
from phaselock.audio.interface import Plan, SweepPlan
from phaselock.audio.music import Inspector
from phaselock.audio.player import Output, Player
from phaselock.audio.sweeps import SweepSource
from phaselock.audio.virtual_device import VirtualOutput
from phaselock.errors import PhaseLockError
from phaselock.model.names import person_name
from phaselock.network.runner import Hear, HearSong
from phaselock.session.events import DeviceChanged, Event, TrimSet
from phaselock.storage.cache import FileCache
from phaselock.storage.paths import cache_dir
from phaselock.storage.settings import SettingsStore

DEFAULT_DEVICE = "default"


class Equipment:
    """For the network thread, except `clock_map`. `on_event` gets the events of the session and of these parts. The
    display name of `wish` is saved; PhaseLockError if it has no visible characters."""

    def __init__(
        self, wish: HostOptions | JoinOptions, store: SettingsStore, on_event: Callable[[Event], None]
    ) -> None:
        self.name = display_name(wish.display_name, store)
        self.wish = wish
        """How the program has begun: its output and microphone are used in every role."""
        self.store = store
        self.clock_map = _native.ClockMap(identity=isinstance(wish, HostOptions))
        """Converts local time to session time. For any thread."""
        self.inspect = Inspector()
        cache = wish.cache if isinstance(wish, JoinOptions) else None
        self.cache = FileCache(pathlib.Path(cache) if cache else cache_dir())
        self.player = _player(self.clock_map, self.name, wish, store, self.inspect)
        self.analyser = Analyser(self.inspect)
        self.correction = OutputCorrection(self.player, store, on_event)
        microphone = functools.partial(_input, wish.microphone, store)
        self.hear: Hear = functools.partial(hear_pass, self.clock_map, microphone)
        self.hear_song: HearSong = functools.partial(hear_song, self.clock_map, microphone, self.inspect)
        self.on_event = on_event
        self._told: DeviceChanged | None = None
        """What the user was told of the output last."""
        self._queue_memory = QueueMemory(asyncio.get_running_loop().call_later)

    def tell(self, event: Event) -> None:
        """An event of the session."""
        self._opened(event)
        self.correction.hear(event)
        self._queue_memory.tell(event)
        if isinstance(event, DeviceChanged) and event.peer is None:
            told, self._told = self._told, dataclasses.replace(event, session_ns=None)
            if told == self._told:  # a new stage learns of the output that is open
                return
        self.on_event(event)

    def close(self) -> None:
        """Stop the sound."""
        self.analyser.close()
        self.player.close()

    def _opened(self, event: Event) -> None:
        """After an output is opened: apply its trim, and save the output if the user requested it. After it was
        trimmed: save that for the output, and apply it."""
        device = self.player.status().device_name
        if isinstance(event, TrimSet) and device is not None:
            self.store.update(trims_db={device: event.trim_db})
            self.player.set_trim_db(event.trim_db)
        if isinstance(event, DeviceChanged) and event.state == "open" and event.peer is None:
            if self.wish.device == event.name:
                self.store.update(device=event.name)
            self.player.set_trim_db(self.store.settings.trim_db(event.name))


def display_name(wish: str | None, store: SettingsStore) -> str:
    """The display name: `wish`, which is saved; if None, the saved one or `suggested_name`. PhaseLockError if `wish`
    has no visible characters."""
    if wish is None:
        return store.settings.display_name or suggested_name()
    name = person_name(wish)
    if not name:
        raise PhaseLockError("Please choose a display name.")
    store.update(display_name=name)
    return name


def _input(wish: str | None, store: SettingsStore) -> str | None:
    """The name of the sound input to record; None: the default one of the system."""
    return wish or store.settings.microphone


def _player(
    clock_map: _native.ClockMap,
    name: str,
    wish: HostOptions | JoinOptions,
    store: SettingsStore,
    inspect: Inspector,
) -> Player:
    """A player on the requested output and no other. Without a request it plays on the output of the settings if that
    exists, else on the default one."""
    if wish.device == DEFAULT_DEVICE:
        store.update(device=None)
    wished = wish.device if wish.device != DEFAULT_DEVICE else None

    def new_output(engine: _native.Engine) -> Output:
        if wish.backend == "virtual":
            return VirtualOutput(engine, wish.card, name)
        return Device(
            engine,
            f"phaselock-{name}",
            wish.backend,
            wished or (store.settings.device if wish.backend == "auto" else None),
            or_default=wished is None,
        )

    def open_source(plan: Plan | SweepPlan) -> Source:
        if isinstance(plan, SweepPlan):
            return SweepSource(plan.sounds)
        return inspect.still(plan.path, plan.track.file_name, plan.track.sha256).open(plan.path)

    _native.Engine.set_user_offset(USER_DATA_OFFSET)
    player = Player(clock_map, new_output, open_source)
    player.set_volume(store.settings.audible_volume)
    player.set_role(store.settings.role)
    return player
