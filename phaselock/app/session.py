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
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from phaselock import _native
from phaselock.app.analyser import Analyser
from phaselock.app.call_back import CallBackPort
from phaselock.app.converter import Converter
from phaselock.app.equipment import Equipment
from phaselock.app.finding import address_text, connect, find_again, only_session, places_of
from phaselock.app.guests import GuestPage
from phaselock.app.host_key import host_identity
from phaselock.app.hosting import HostPlace, meet_hosts, stand_by_ports
from phaselock.app.importer import Importer, import_file, played
from phaselock.app.invitation import OutsidePort, router_mapping
from phaselock.app.library import MusicFolder
from phaselock.app.options import HostOptions, JoinOptions
from phaselock.app.output_correction import OutputCorrection
from phaselock.audio.player import Player
from phaselock.errors import PhaseLockError, bug_net
from phaselock.frozen import frozen
from phaselock.language.catalogue import tr
from phaselock.language.message import Message
from phaselock.model.address import DEFAULT_GUEST_PORT
from phaselock.model.key_words import key_words
from phaselock.model.names import person_name
from phaselock.model.notices import Code, Notice
from phaselock.model.relay import OFF, RELAY_VARIABLE, parse_relay
from phaselock.model.types import Track
from phaselock.network import discovery
from phaselock.network.interfaces import usable_addresses
from phaselock.network.reach import Place
from phaselock.network.runner import Outcome
from phaselock.network.service_record import KEY_BYTES
from phaselock.network.succession import HostPorts
from phaselock.protocol.messages import PROTOCOL_VERSION
from phaselock.session.effects import FollowHost, TakeOver
from phaselock.session.events import (
    CodeSet,
    Event,
    Joined,
    LoudnessSet,
    PeerJoined,
    PeerLeft,
    RoleSet,
    RulesChanged,
    SessionEnded,
    TransitionsSet,
    VolumeSet,
    Warned,
)
from phaselock.session.sentences import NoticeError, notice_text
from phaselock.session.states import other_version
from phaselock.storage.known_hosts import meet_host
from phaselock.storage.paths import guest_secret_path, host_key_path, known_hosts_path, library_dir, measurements_path
from phaselock.storage.settings import SettingsStore
from phaselock.sync.clock import HostClock, PeerClocks

if TYPE_CHECKING:
    from phaselock.app.fallback import Fallback
    from phaselock.network.host import HostRunner
    from phaselock.network.peer import PeerRunner
    from phaselock.session.host.session import HostSession
    from phaselock.session.peer.session import PeerSession

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

    async def run(self) -> Outcome:
        """Serve until the session ends, or until another machine is the host."""
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
    places: Sequence[Place]
    """Where the host is, or was, as it was announced or typed."""
    clock: PeerClocks
    _control: socket.socket | None

    @property
    def address(self) -> str:
        """Where the host is now, as it was announced: the connection may use another of its addresses."""
        return address_text(*(self.runner.places or self.places)[0])

    async def run(self) -> Outcome:
        """Take part until the session ends, or until this machine is the host."""
        return await self.runner.run(self._control, self.places)


Stage = OpenHostSession | OpenPeerSession
"""The part of a session in which this machine has one role."""


@frozen
class Inheritance:
    """What a machine that was a peer brings when it becomes the host."""

    effect: TakeOver
    ports: HostPorts
    files: Mapping[UUID, tuple[Track, pathlib.Path]]


@frozen
class Resignation:
    """What a machine that was the host brings when it becomes a peer."""

    effect: FollowHost
    code: str
    files: Mapping[UUID, tuple[Track, pathlib.Path]]


@contextlib.asynccontextmanager
async def open_host_session(
    wish: HostOptions, kit: Equipment, inheritance: Inheritance | None = None
) -> AsyncIterator[OpenHostSession]:
    """Open a session; the given names and ports are saved in the settings. Or go on with one as its new host.
    PhaseLockError if opening fails. The end of the context closes everything but the equipment."""
    from phaselock.app.fallback import Fallback
    from phaselock.app.loudness import LoudnessWatch  # late: a peer does not need them
    from phaselock.network.host import HostRunner
    from phaselock.storage.measurements import KeptMeasurements

    store, on_event = kit.store, kit.on_event
    with contextlib.ExitStack() as stack:
        ports = inheritance.ports if inheritance else await _new_ports(wish, store)
        stack.callback(ports.close)
        port, clock_port = ports.control_port, ports.clock_port
        clock = HostClock(ports.clock_socket, kit.clock_map)
        stack.callback(clock.close)

        def tell(event: Event) -> None:
            if isinstance(event, SessionEnded):
                converter.close()
            if isinstance(event, LoudnessSet):
                store.update(**_loudness_settings(event.target_lufs))
            if isinstance(event, TransitionsSet):
                store.update(crossfade_s=event.crossfade_s, skip_silence=event.skip_silence)
            if isinstance(event, RulesChanged):
                store.update(rules=event.rules)
            watch.tell(event)
            kit.tell(event)
            if isinstance(event, CodeSet):
                announcement.set_needs_code(bool(event.code))
            if isinstance(event, PeerJoined | PeerLeft):
                announcement.set_peers(len(runner.snapshot().peers))

        converter = Converter(kit.cache)
        describe = functools.partial(import_file, inspect=kit.inspect, convert=converter)
        runner = HostRunner(
            _inherited(inheritance, wish) if inheritance else _new_session(wish, kit, ports),
            kit.player,
            clock,
            kit.cache,
            ports.identity,
            describe=lambda path, name, report: played(describe(path, name, report)),
            now_ns=clock.session_ns,
            on_event=tell,
            hear=kit.hear,
            hear_song=kit.hear_song,
            files=inheritance.files if inheritance else {},
        )
        watch = LoudnessWatch(runner, kit.analyser, KeptMeasurements(measurements_path()))
        stack.callback(watch.close)
        intake = Importer(runner.add, describe, on_event, runner.session_ns)
        stack.callback(intake.close)
        fallback = Fallback(runner, describe, on_event, lambda path: store.update(fallback=path))
        stack.callback(fallback.close)
        stack.callback(converter.close)
        music = MusicFolder(library_dir(), on_event, runner.session_ns)
        stack.callback(music.close)
        runner.library = music.path_of
        if store.settings.music_folder:
            music.use(pathlib.Path(store.settings.music_folder))
        addresses = await asyncio.to_thread(usable_addresses, wish.bind)
        address = address_text(wish.bind or (addresses[0] if addresses else socket.gethostname()), port)
        snapshot = runner.snapshot()
        _log.info(
            "session %r of %r is open at %s, TCP port %d, UDP port %d",
            snapshot.session_name,
            kit.name,
            ", ".join(addresses) or address,
            port,
            clock_port,
        )
        unlisted = wish.unlisted or runner.hosting.unlisted
        runner.hosts_with(dataclasses.replace(runner.hosting, unlisted=unlisted))
        place = HostPlace(runner, wish.bind, port)
        announcement = discovery.Announcer(
            snapshot.session_name,
            kit.name,
            runner.session_id,
            port,
            () if unlisted else addresses,
            max_peers=runner.max_peers,
            needs_code=bool(runner.code),
            host_key=runner.host_key[:KEY_BYTES].hex(),
            refresh=None if unlisted else place.addresses,
        )
        await place.tell()

        async def announce() -> None:
            try:
                with bug_net("the announcement", PhaseLockError):
                    await announcement.start()
            except PhaseLockError as error:
                notice = Notice(Code.NOT_ANNOUNCED, error.message, address=address)
                _log.warning("%s", notice_text(notice))
                on_event(Warned(runner.session_ns(), notice))

        guest_page = GuestPage(
            runner,
            kit.cache,
            guest_secret_path(),
            on_event,
            bind_to=wish.bind,
            port=wish.guest_port,
            heritage=inheritance.effect.heritage if inheritance else None,
        )
        guest_page.songs = lambda: music.library
        outside = OutsidePort(
            runner,
            clock_port,
            on_event,
            bind_to=wish.bind,
            port=wish.outside_port,
            new_mapping=router_mapping,
            relay=_relay(wish),
            inherited=inheritance.effect.heritage.settings.invitation if inheritance else None,
        )
        if inheritance:
            runner.took_over(inheritance.effect)
            fallback.go_on(inheritance.effect.heritage, inheritance.files)
            for request in inheritance.effect.wishes:
                runner.add_file(kit.cache.path(request.sha256), request.file_name)
        working = [asyncio.create_task(announce())]
        if inheritance:
            working.append(asyncio.create_task(meet_hosts(runner)))
            working.append(asyncio.create_task(guest_page.go_on()))
        try:
            yield OpenHostSession(
                runner,
                kit.player,
                kit.correction,
                kit.clock_map,
                kit.analyser,
                intake,
                music,
                fallback,
                snapshot.session_name,
                kit.name,
                port,
                clock_port,
                address,
                addresses,
                key_words(ports.identity.host_key),
                guest_page,
                outside,
                ports.listener,
            )
        finally:
            await outside.close()
            await guest_page.close()
            for task in working:
                task.cancel()
            await asyncio.wait(working)
            await announcement.close()


async def _new_ports(wish: HostOptions, store: SettingsStore) -> HostPorts:
    """The ports of a session that is opened. PhaseLockError if it cannot have them."""
    identity = await asyncio.to_thread(host_identity, host_key_path())
    wanted_port = store.settings.port if wish.port is None else wish.port
    wanted_clock_port = store.settings.clock_port if wish.clock_port is None else wish.clock_port
    return HostPorts.open(identity, wish.bind, wanted_port, wanted_clock_port)


def _new_session(wish: HostOptions, kit: Equipment, ports: HostPorts) -> HostSession:
    """The session that this machine opens, by the options, which are saved, and the settings."""
    from phaselock.session.host.session import HostSession

    store = kit.store
    asked = person_name(wish.session_name or "") or store.settings.session_name
    given = {"session_name": asked, "port": wish.port or None, "clock_port": wish.clock_port or None}
    store.update(**{setting: value for setting, value in given.items() if value})
    if wish.library is not None:
        store.update(music_folder=os.path.abspath(wish.library) if wish.library else "")
    if wish.loudness is not None:
        store.update(**_loudness_settings(store.settings.chosen_lufs(wish.loudness)))
    if wish.crossfade_s is not None:
        store.update(crossfade_s=wish.crossfade_s)
    if wish.skip_silence is not None:
        store.update(skip_silence=wish.skip_silence)
    if wish.rules is not None:
        store.update(rules=wish.rules)
    if wish.max_peers is not None:
        store.update(max_peers=wish.max_peers)
    return HostSession(
        session_name=asked or tr("{name}'s jam").format(name=kit.name),
        host_name=kit.name,
        max_peers=store.settings.max_peers,
        clock_port=ports.clock_port,
        loudness_lufs=store.settings.target_lufs,
        transitions=store.settings.transitions,
        rules=store.settings.rules,
        token_factory=_new_token,
        host_key=ports.identity.host_key,
        code=wish.code,
        succession=wish.succession,
    )


def _inherited(inheritance: Inheritance, wish: HostOptions) -> HostSession:
    """The session of which this machine becomes the host."""
    from phaselock.session.host.session import HostSession

    return HostSession.from_heritage(
        inheritance.effect.heritage,
        clock_port=inheritance.ports.clock_port,
        token_factory=_new_token,
        host_key=inheritance.ports.identity.host_key,
        succession=wish.succession,
    )


def _page_port(wish: HostOptions | JoinOptions) -> int:
    """The TCP port of the page for guests that this machine would serve."""
    return (wish.guest_port if isinstance(wish, HostOptions) else None) or DEFAULT_GUEST_PORT


def _new_token() -> bytes:
    return os.urandom(16)


@contextlib.asynccontextmanager
async def open_peer_session(
    wish: JoinOptions, kit: Equipment, resignation: Resignation | None = None
) -> AsyncIterator[OpenPeerSession]:
    """Connect to a host, which accepts or refuses the peer later: see `run`. Or take part in the session whose host
    this machine was. PhaseLockError if that is impossible. The end of the context closes everything but the
    equipment."""
    from phaselock.network.peer import PeerRunner  # late: a host does not need them

    if wish.version not in (0, PROTOCOL_VERSION):
        raise NoticeError(other_version(wish.version, PROTOCOL_VERSION))
    store, on_event = kit.store, kit.on_event
    async with contextlib.AsyncExitStack() as stack:
        bridge, control = None, None
        if resignation:
            host = resignation.effect.host
            places = [(address, host.control_port) for address in host.addresses]
        else:
            wish, session_name = await _found(wish)
            places = list(wish.places)
            if wish.node and (relay := _relay(wish)) != OFF:
                from phaselock.app.bridge import FriendBridgeProcess  # late: few need it

                bridge = FriendBridgeProcess(wish.node, relay, places, on_event, lambda: runner.path_changed())
                stack.push_async_callback(bridge.close)
            control = stack.enter_context(await connect(wish, places, session_name, bridge))
        clock = PeerClocks(wish.clock_filter, kit.clock_map)
        stack.callback(clock.stop)

        def tell(event: Event) -> None:
            if isinstance(event, VolumeSet):
                store.update(volume=event.volume_percent / 100, muted=event.muted)
                kit.player.set_volume(store.settings.audible_volume)
            if isinstance(event, RoleSet):
                store.update(role=event.role)
                kit.player.set_role(event.role)
            kit.tell(event)
            if isinstance(event, Joined) and not event.again:
                meeting.append(asyncio.create_task(meet(event)))
            if isinstance(event, Joined):
                for task in seeking:
                    task.cancel()
            if isinstance(event, Warned) and event.notice.code in (Code.PLAYING_WITHOUT_HOST, Code.LOOKING_FOR_HOST):
                seeking.append(asyncio.create_task(meet_hosts(runner)))

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
        seeking: list[asyncio.Task[None]] = []
        runner = PeerRunner(
            _resigned(resignation, wish, store) if resignation else _new_part(wish, kit),
            kit.player,
            clock,
            kit.cache,
            inspect=kit.inspect,
            volume=lambda: (round(store.settings.volume * 100), store.settings.muted),
            role=lambda: store.settings.role,
            clock_ports=wish.clock_ports,
            bridge=bridge,
            identity=functools.partial(host_identity, host_key_path()),
            now_ns=_native.now_ns,
            on_event=tell,
            find=find_again,
            hear=kit.hear,
            hear_song=kit.hear_song,
            files=resignation.files if resignation else {},
            open_ports=functools.partial(stand_by_ports, store, _page_port(kit.wish)),
        )
        call_back = CallBackPort(runner, router_mapping)
        try:
            yield OpenPeerSession(
                runner,
                kit.player,
                kit.correction,
                kit.clock_map,
                kit.analyser,
                places,
                clock,
                control,
            )
        finally:
            for task in seeking:
                task.cancel()
            if seeking:
                await asyncio.wait(seeking)
            await call_back.close()


async def _found(wish: JoinOptions) -> tuple[JoinOptions, str]:
    """The wish with the places of the host, which is searched for if it has none, and the name of the session."""
    if wish.places:
        return wish, wish.session_name or ""
    found = await only_session(wish.session_name)
    wish = dataclasses.replace(wish, places=places_of(found), session_id=found.session_id, host_key=found.host_key)
    return wish, found.session_name


def _new_part(wish: JoinOptions, kit: Equipment) -> PeerSession:
    from phaselock.session.peer.session import PeerSession

    return PeerSession(
        display_name=kit.name,
        code=wish.code,
        microphone=wish.microphone is not None,
        session_id=bytes.fromhex(wish.session_id),
        announced_key=bytes.fromhex(wish.host_key),
        may_host=wish.may_host and kit.store.settings.may_host,
    )


def _resigned(resignation: Resignation, wish: JoinOptions, store: SettingsStore) -> PeerSession:
    from phaselock.session.peer.session import PeerSession

    return PeerSession.of_former_host(
        resignation.effect,
        code=resignation.code,
        microphone=wish.microphone is not None,
        may_host=wish.may_host and store.settings.may_host,
    )


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
