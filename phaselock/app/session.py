"""Opens a session with all its parts: sockets, clock, player, session logic, runner, announcement.

The command line and the window both use it: they give commands to the runner, and receive its events.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import logging
import os
import pathlib
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from phaselock import _native
from phaselock.app.analyser import Analyser
from phaselock.app.call_back import CallBackPort
from phaselock.app.converter import Converter
from phaselock.app.finding import address_text, connect, find_again, only_session, places_of
from phaselock.app.guests import GuestPage
from phaselock.app.hearing import hear_pass, hear_song
from phaselock.app.host_key import host_identity
from phaselock.app.importer import Importer, import_file, played
from phaselock.app.invitation import OutsidePort, router_mapping
from phaselock.app.library import MusicFolder
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
from phaselock.errors import PhaseLockError, bug_net
from phaselock.language.catalogue import tr
from phaselock.language.message import Message
from phaselock.model.key_words import key_words
from phaselock.model.names import person_name
from phaselock.model.notices import Code, Notice
from phaselock.model.relay import OFF, RELAY_VARIABLE, parse_relay
from phaselock.network import discovery
from phaselock.network.interfaces import usable_addresses
from phaselock.network.listener import bind
from phaselock.network.reach import Place
from phaselock.network.service_record import KEY_BYTES
from phaselock.protocol.messages import PROTOCOL_VERSION
from phaselock.session.effects import Ended
from phaselock.session.events import (
    CodeSet,
    DeviceChanged,
    Event,
    Joined,
    LoudnessSet,
    PeerJoined,
    PeerLeft,
    RoleSet,
    RulesChanged,
    SessionEnded,
    TransitionsSet,
    TrimSet,
    VolumeSet,
    Warned,
)
from phaselock.session.sentences import NoticeError, notice_text
from phaselock.session.states import other_version
from phaselock.storage.cache import FileCache
from phaselock.storage.known_hosts import meet_host
from phaselock.storage.paths import (
    cache_dir,
    guest_secret_path,
    host_key_path,
    known_hosts_path,
    library_dir,
    measurements_path,
)
from phaselock.storage.settings import SettingsStore
from phaselock.sync.clock import HostClock, PeerClocks

if TYPE_CHECKING:
    from phaselock.app.fallback import Fallback
    from phaselock.network.host import HostRunner
    from phaselock.network.peer import PeerRunner

DEFAULT_DEVICE = "default"

_log = logging.getLogger("phaselock.app.session")


@dataclasses.dataclass(slots=True)
class OpenHostSession:
    """The host's open session. For the network thread, except `clock_map`."""

    runner: HostRunner
    player: Player
    correction: OutputCorrection
    clock_map: _native.ClockMap
    """Converts local time to session time. For any thread."""
    analyser: Analyser
    intake: Importer
    music: MusicFolder
    fallback: Fallback
    session_name: str
    host_name: str
    port: int
    clock_port: int
    address: str
    """The address that `phaselock join` takes."""
    addresses: tuple[str, ...]
    host_words: str
    """This machine's key as four short words."""
    guest_page: GuestPage
    """Off at first."""
    outside: OutsidePort
    """Closed at first."""
    _listener: socket.socket

    async def run(self) -> Ended:
        """Serve until the session ends."""
        return await self.runner.run([self._listener])


@dataclasses.dataclass(slots=True)
class OpenPeerSession:
    """An open connection to a host. For the network thread, except `clock_map`."""

    runner: PeerRunner
    player: Player
    correction: OutputCorrection
    clock_map: _native.ClockMap
    """Converts local time to session time. For any thread."""
    analyser: Analyser
    address: str
    """Where the host is, as it was announced or typed: its connection may use another of its addresses."""
    places: Sequence[Place]
    _control: socket.socket

    async def run(self) -> Ended:
        """Take part until the session ends."""
        return await self.runner.run(self._control, self.places)


@contextlib.asynccontextmanager
async def open_host_session(
    wish: HostOptions, store: SettingsStore, on_event: Callable[[Event], None]
) -> AsyncIterator[OpenHostSession]:
    """Open a session; the given names, ports and output are saved in the settings. PhaseLockError if opening fails.

    `on_event` is called on the network thread. The end of the context closes everything.
    """
    from phaselock.app.fallback import Fallback
    from phaselock.app.loudness import LoudnessWatch  # late: a peer does not need them
    from phaselock.network.host import HostRunner
    from phaselock.session.host.session import HostSession
    from phaselock.storage.measurements import KeptMeasurements

    with contextlib.ExitStack() as stack:
        identity = await asyncio.to_thread(host_identity, host_key_path())
        name = display_name(wish.display_name, store)
        asked = person_name(wish.session_name or "") or store.settings.session_name
        session_name = asked or tr("{name}'s jam").format(name=name)
        wanted_port = store.settings.port if wish.port is None else wish.port
        wanted_clock_port = store.settings.clock_port if wish.clock_port is None else wish.clock_port
        listener = stack.enter_context(bind(wish.bind, wanted_port, socket.SOCK_STREAM))
        clock_socket = bind(wish.bind, wanted_clock_port, socket.SOCK_DGRAM)
        port, clock_port = listener.getsockname()[1], clock_socket.getsockname()[1]
        clock = HostClock(clock_socket)
        stack.callback(clock.close)
        inspect = Inspector()
        microphone = functools.partial(_input, wish.microphone, store)
        player = _player(clock.clock_map, name, wish, store, inspect)
        stack.callback(player.close)
        correction = OutputCorrection(player, store, on_event)

        queue_memory = QueueMemory(asyncio.get_running_loop().call_later)

        def tell(event: Event) -> None:
            _opened(event, player, store, wish.device)
            correction.hear(event)
            queue_memory.tell(event)
            if isinstance(event, SessionEnded):
                converter.close()
            if isinstance(event, LoudnessSet):
                store.update(**_loudness_settings(event.target_lufs))
            if isinstance(event, TransitionsSet):
                store.update(crossfade_s=event.crossfade_s, skip_silence=event.skip_silence)
            if isinstance(event, RulesChanged):
                store.update(rules=event.rules)
            watch.tell(event)
            on_event(event)
            if isinstance(event, CodeSet):
                announcement.set_needs_code(bool(event.code))
            if isinstance(event, PeerJoined | PeerLeft):
                announcement.set_peers(len(runner.snapshot().peers))

        if wish.loudness is not None:
            store.update(**_loudness_settings(store.settings.chosen_lufs(wish.loudness)))
        if wish.crossfade_s is not None:
            store.update(crossfade_s=wish.crossfade_s)
        if wish.skip_silence is not None:
            store.update(skip_silence=wish.skip_silence)
        if wish.rules is not None:
            store.update(rules=wish.rules)
        cache = FileCache(cache_dir())
        converter = Converter(cache)
        describe = functools.partial(import_file, inspect=inspect, convert=converter)
        runner = HostRunner(
            HostSession(
                session_name=session_name,
                host_name=name,
                clock_port=clock_port,
                loudness_lufs=store.settings.target_lufs,
                transitions=store.settings.transitions,
                rules=store.settings.rules,
                token_factory=functools.partial(os.urandom, 16),
                host_key=identity.host_key,
                code=wish.code,
            ),
            player,
            clock,
            cache,
            identity,
            describe=lambda path, name, report: played(describe(path, name, report)),
            now_ns=clock.session_ns,
            on_event=tell,
            hear=functools.partial(hear_pass, clock.clock_map, microphone),
            hear_song=functools.partial(hear_song, clock.clock_map, microphone, inspect),
        )
        analyser = Analyser(inspect)
        stack.callback(analyser.close)
        watch = LoudnessWatch(runner, analyser, KeptMeasurements(measurements_path()))
        stack.callback(watch.close)
        intake = Importer(runner.add, describe, on_event, runner.session_ns)
        stack.callback(intake.close)
        fallback = Fallback(runner, describe, on_event, lambda path: store.update(fallback=path))
        stack.callback(fallback.close)
        stack.callback(converter.close)
        if wish.library is not None:
            store.update(music_folder=os.path.abspath(wish.library) if wish.library else "")
        music = MusicFolder(library_dir(), on_event, runner.session_ns)
        stack.callback(music.close)
        runner.library = music.path_of
        if store.settings.music_folder:
            music.use(pathlib.Path(store.settings.music_folder))
        given = {"session_name": asked, "port": wish.port or None, "clock_port": wish.clock_port or None}
        store.update(**{setting: value for setting, value in given.items() if value})
        addresses = usable_addresses(wish.bind)
        address = address_text(wish.bind or (addresses[0] if addresses else socket.gethostname()), port)
        _log.info(
            "session %r of %r is open at %s, TCP port %d, UDP port %d",
            session_name,
            name,
            ", ".join(addresses) or address,
            port,
            clock_port,
        )
        announcement = discovery.Announcer(
            session_name,
            name,
            runner.session_id,
            port,
            () if wish.unlisted else addresses,
            needs_code=bool(wish.code),
            host_key=identity.host_key[:KEY_BYTES].hex(),
            refresh=None if wish.unlisted else functools.partial(usable_addresses, wish.bind),
        )

        async def announce() -> None:
            try:
                with bug_net("the announcement", PhaseLockError):
                    await announcement.start()
            except PhaseLockError as error:
                notice = Notice(Code.NOT_ANNOUNCED, error.message, address=address)
                _log.warning("%s", notice_text(notice))
                on_event(Warned(runner.session_ns(), notice))

        guest_page = GuestPage(runner, cache, guest_secret_path(), on_event, bind_to=wish.bind, port=wish.guest_port)
        guest_page.songs = lambda: music.library
        outside = OutsidePort(
            runner,
            clock_port,
            on_event,
            bind_to=wish.bind,
            port=wish.outside_port,
            new_mapping=router_mapping,
            relay=_relay(wish),
        )
        announcing = asyncio.create_task(announce())
        try:
            yield OpenHostSession(
                runner,
                player,
                correction,
                clock.clock_map,
                analyser,
                intake,
                music,
                fallback,
                session_name,
                name,
                port,
                clock_port,
                address,
                addresses,
                key_words(identity.host_key),
                guest_page,
                outside,
                listener,
            )
        finally:
            await outside.close()
            await guest_page.close()
            announcing.cancel()
            await asyncio.wait([announcing])
            await announcement.close()


@contextlib.asynccontextmanager
async def open_peer_session(
    wish: JoinOptions, store: SettingsStore, on_event: Callable[[Event], None]
) -> AsyncIterator[OpenPeerSession]:
    """Connect to a host. PhaseLockError if that is impossible. The host accepts or refuses the peer later: see `run`.

    `on_event` is called on the network thread. The end of the context closes everything.
    """
    from phaselock.network.peer import PeerRunner  # late: a host does not need them
    from phaselock.session.peer.session import PeerSession

    if wish.version not in (0, PROTOCOL_VERSION):
        raise NoticeError(other_version(wish.version, PROTOCOL_VERSION))
    async with contextlib.AsyncExitStack() as stack:
        name = display_name(wish.display_name, store)
        places, session_name = wish.places, wish.session_name or ""
        session_id, announced_key = wish.session_id, wish.host_key
        if not places:
            found = await only_session(wish.session_name)
            places, session_name = places_of(found), found.session_name
            session_id, announced_key = found.session_id, found.host_key
        bridge = None
        if wish.node and (relay := _relay(wish)) != OFF:
            from phaselock.app.bridge import FriendBridgeProcess  # late: few need it

            bridge = FriendBridgeProcess(wish.node, relay, places, on_event, lambda: runner.path_changed())
            stack.push_async_callback(bridge.close)
        control = stack.enter_context(await connect(wish, places, session_name, bridge))
        clock = PeerClocks(wish.clock_filter)
        stack.callback(clock.stop)
        inspect = Inspector()
        microphone = functools.partial(_input, wish.microphone, store)
        player = _player(clock.clock_map, name, wish, store, inspect)
        stack.callback(player.close)
        correction = OutputCorrection(player, store, on_event)

        queue_memory = QueueMemory(asyncio.get_running_loop().call_later)

        def tell(event: Event) -> None:
            _opened(event, player, store, wish.device)
            correction.hear(event)
            queue_memory.tell(event)
            if isinstance(event, VolumeSet):
                store.update(volume=event.volume_percent / 100, muted=event.muted)
                player.set_volume(store.settings.audible_volume)
            if isinstance(event, RoleSet):
                store.update(role=event.role)
                player.set_role(event.role)
            on_event(event)
            if isinstance(event, Joined) and not event.again:
                meeting.append(asyncio.create_task(meet(event)))

        async def meet(event: Joined) -> None:
            """Compare the host's key with that of the last time. A code has proved it already."""
            try:
                changed = await asyncio.to_thread(meet_host, known_hosts_path(), event.host_name, runner.host_key)
            except OSError as error:
                _log.warning("the host's key cannot be kept: %s", error)
                return
            if changed and not wish.code:
                notice = Notice(Code.HOST_KEY_CHANGED, event.host_words, peer=event.host_name)
                _log.warning("%s", notice_text(notice))
                on_event(Warned(runner.session_ns(), notice))

        meeting: list[asyncio.Task[None]] = []
        runner = PeerRunner(
            PeerSession(
                display_name=name,
                code=wish.code,
                microphone=wish.microphone is not None,
                session_id=bytes.fromhex(session_id),
                announced_key=bytes.fromhex(announced_key),
            ),
            player,
            clock,
            FileCache(pathlib.Path(wish.cache) if wish.cache else cache_dir()),
            inspect=inspect,
            volume=lambda: (round(store.settings.volume * 100), store.settings.muted),
            role=lambda: store.settings.role,
            clock_ports=wish.clock_ports,
            bridge=bridge,
            now_ns=_native.now_ns,
            on_event=tell,
            find=find_again,
            hear=functools.partial(hear_pass, clock.clock_map, microphone),
            hear_song=functools.partial(hear_song, clock.clock_map, microphone, inspect),
        )
        analyser = Analyser(inspect)
        stack.callback(analyser.close)
        call_back = CallBackPort(runner, router_mapping)
        try:
            yield OpenPeerSession(
                runner, player, correction, clock.clock_map, analyser, address_text(*places[0]), places, control
            )
        finally:
            await call_back.close()


def _relay(wish: HostOptions | JoinOptions) -> str:
    """The relay of the options, or that of the environment; empty: neither says one. PhaseLockError if it is none."""
    told = os.environ.get(RELAY_VARIABLE)
    try:
        return wish.relay or (parse_relay(told) if told else "")
    except ValueError as error:
        raise PhaseLockError("{variable}: {rule}", variable=RELAY_VARIABLE, rule=Message(str(error))) from None


def _loudness_settings(target_lufs: float | None) -> dict[str, object]:
    """The settings for this loudness of all songs. Without one, the last is kept for the next time."""
    return {"even_loudness": False} if target_lufs is None else {"even_loudness": True, "loudness_lufs": target_lufs}


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


def _opened(event: Event, player: Player, store: SettingsStore, wished: str | None) -> None:
    """After an output is opened: apply its trim, and save the output if the user requested it. After it was trimmed:
    save that for the output, and apply it."""
    device = player.status().device_name
    if isinstance(event, TrimSet) and device is not None:
        store.update(trims_db={device: event.trim_db})
        player.set_trim_db(event.trim_db)
    if isinstance(event, DeviceChanged) and event.state == "open" and event.peer is None:
        if wished == event.name:
            store.update(device=wished)
        player.set_trim_db(store.settings.trim_db(event.name))
