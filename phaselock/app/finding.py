"""Finds the host of a session: on the network, at an address, or by an invitation."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from phaselock.app.options import JoinOptions
from phaselock.errors import PhaseLockError
from phaselock.language.message import Message
from phaselock.model.address import DEFAULT_PORT
from phaselock.model.names import person_name
from phaselock.network import discovery
from phaselock.network.greeting import answers_as
from phaselock.network.reach import CannotConnect, Place, connect_any
from phaselock.network.service_record import FoundSession

if TYPE_CHECKING:
    from phaselock.network.host_places import Bridge

SEARCH_S = 2.0
"""First search for sessions, in seconds: normally all sessions on the network answer in this time."""
LONGER_SEARCH_S = 6.0
"""Second search, in seconds, if the first one found no session."""
MAX_CHOICES = 6
"""Most sessions in an error message."""

_log = logging.getLogger("phaselock.app.finding")


def address_text(address: str, port: int) -> str:
    """The address and the port as `phaselock join` takes them."""
    address = address.removeprefix("::ffff:")
    if port == DEFAULT_PORT:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def address_of(session: FoundSession) -> str:
    """The session's first address as `phaselock join` takes it; empty if the session has none."""
    return address_text(session.addresses[0], session.port) if session.addresses else ""


def rivals_text(session: FoundSession) -> Message | None:
    """A sentence about the machines that announce one session and cannot all be its host; None if there is only one."""
    if not session.rivals:
        return None
    hosts = [address_of(session), *(address_text(*place) for place in session.rivals)]
    values = {"session_name": session.session_name, "address": hosts[0], "other": hosts[1], "number": len(hosts)}
    if len(hosts) > 2:
        return Message(
            '{number} machines announce "{session_name}": {address}, {other} and others. Ask the host which address is '
            "the right one, then: phaselock join ADDRESS",
            **values,
        )
    return Message(
        'Two machines announce "{session_name}": {address} and {other}. Ask the host which address is the right one, '
        "then: phaselock join ADDRESS",
        **values,
    )


def places_of(session: FoundSession) -> list[Place]:
    """Where a session can be joined: all addresses that its host has announced."""
    return [(address, session.port) for address in session.addresses]


async def only_session(session_name: str | None) -> FoundSession:
    """The one session of this name, or of any name, on the network. PhaseLockError if there is none or several. Of
    several with this name those count that answer."""
    wanted = session_name and person_name(session_name).casefold()

    def fitting(sessions: Sequence[FoundSession]) -> list[FoundSession]:
        return [one for one in sessions if not wanted or one.session_name.casefold() == wanted]

    # Two sessions may have the same name, so wait for the answers of all. If there is none, wait longer for the first.
    everything = await discovery.find_sessions(SEARCH_S)
    found = fitting(everything)
    if not found:
        everything = await discovery.find_sessions(LONGER_SEARCH_S, until=lambda all_: bool(fitting(all_)))
        found = fitting(everything)
    if wanted and len(found) > 1:
        answer = await asyncio.gather(*map(answers_as, found))
        found = [one for one, answers in zip(found, answer, strict=True) if answers] or found
    if len(found) > 1:
        lines = [Message("There are several jams. Choose one:"), *map(_choice, found[:MAX_CHOICES])]
        if (more := len(found) - MAX_CHOICES) > 0:
            lines.append(Message.plural("  and {number} more", "  and {number} more", more))
        raise PhaseLockError(Message.joined("\n", lines))
    if found and (conflict := rivals_text(found[0])):
        raise PhaseLockError(conflict)
    names = list(dict.fromkeys(f'"{one.session_name}"' for one in everything))
    if not found and wanted and names:
        raise PhaseLockError(
            'No jam called "{session_name}" was found. Did you mean {found}?',
            session_name=session_name,
            found=Message.joined(", ", [*names[:MAX_CHOICES], *(["…"] if len(names) > MAX_CHOICES else [])]),
        )
    if not found and wanted:
        raise PhaseLockError(
            'No jam called "{session_name}" was found. Ask the host for its address, then: phaselock join ADDRESS',
            session_name=session_name,
        )
    if not found:
        raise PhaseLockError("No jam was found. Ask the host for its address, then: phaselock join ADDRESS")
    return found[0]


async def connect(
    wish: JoinOptions, places: Sequence[Place], session_name: str, bridge: Bridge | None
) -> socket.socket:
    """Connect to a host at one of these places, or else by the bridge. PhaseLockError if that is impossible."""
    try:
        return await connect_any(places, session_name=session_name)
    except CannotConnect as error:
        if not wish.version:
            raise
        if bridge is None:
            raise PhaseLockError(
                "Your friend's machine cannot be reached: {reason}. Ask your friend whether the jam is still open, and "
                "for a new invitation.",
                reason=error.reason,
            ) from None
        _log.info("%s", error)
    return await connect_any([await bridge.reach()])


async def find_again(session_id: str, host_key: str) -> list[Place]:
    """Where the session with this id and this key (in hex digits) is now; empty if it is not found. Other machines may
    announce the same id."""

    def is_there(sessions: Sequence[FoundSession]) -> bool:
        return any(one.session_id == session_id for one in sessions)

    try:
        sessions = await discovery.find_sessions(SEARCH_S, until=is_there)
    except PhaseLockError as error:
        _log.info("the lost session is not searched for: %s", error)
        return []
    asked = [
        dataclasses.replace(one, addresses=(address,), port=port, host_key=host_key)
        for one in sessions
        if one.session_id == session_id
        for address, port in [*places_of(one), *one.rivals]
    ]
    answers = await asyncio.gather(*map(answers_as, asked))
    return [place for one, there in zip(asked, answers, strict=True) if there for place in places_of(one)]


def _choice(session: FoundSession) -> Message:
    return Message(
        '  phaselock join {address}   "{session_name}" by {host_name}',
        session_name=session.session_name,
        host_name=session.host_name,
        address=address_of(session),
    )
