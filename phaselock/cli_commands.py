"""The commands of the command line: each begins the program that its options describe, and returns the exit status.

Each one imports what it needs when it runs, so that no command waits for the modules of another one.
"""

from __future__ import annotations

import argparse
import os
import secrets
from typing import TYPE_CHECKING

from phaselock.console.output import Terminal
from phaselock.console.secret import CODE_VARIABLE
from phaselock.errors import PhaseLockError
from phaselock.language.message import Message
from phaselock.model.code import CODE_RULE, code_from_number, normal_code
from phaselock.model.invitation import is_invitation
from phaselock.model.party import PRESETS

if TYPE_CHECKING:
    from phaselock.app.headless import LocalClock
    from phaselock.audio.virtual_device import VirtualCard


def window(options: argparse.Namespace, terminal: Terminal) -> int:
    from phaselock.app.window import run_window

    files = options.files
    if files and is_invitation(files[0]):  # a web page has chosen what follows: a file of another computer, for example
        files = files[:1]
    return run_window(options.backend, options.device, files, terminal.say)


def host(options: argparse.Namespace, terminal: Terminal) -> int:
    from phaselock.app import headless
    from phaselock.app.options import HostOptions

    makes_code = options.code is True
    wish = HostOptions(
        code=code_from_number(secrets.randbits(64)) if makes_code else options.code or _given_code(),
        session_name=options.session,
        display_name=options.display_name,
        bind=options.bind,
        port=options.port,
        clock_port=options.clock_port,
        max_peers=options.max_peers,
        unlisted=options.unlisted,
        backend=options.backend,
        device=options.device,
        card=_card(options),
        microphone=options.microphone or "",
        loudness=options.loudness,
        crossfade_s=options.crossfade,
        skip_silence=options.skip_silence,
        library="" if options.library == "off" else options.library,
        guest_port=options.guest_port,
        outside_port=options.outside_port,
        succession=options.succession,
        relay=options.relay or "",
        rules=PRESETS[options.rules] if options.rules else None,
    )
    autoplay = (options.wait_peers or 0) if options.play else None
    settled = headless.HeadlessHostOptions(
        wish,
        tuple(options.files),
        autoplay,
        _clock(options),
        options.desktop,
        options.guests,
        "" if options.fallback == "off" else options.fallback,
        makes_code,
        options.invite,
    )
    return headless.run_host(settled, terminal)


def join(options: argparse.Namespace, terminal: Terminal) -> int:
    from phaselock.app import headless
    from phaselock.app.options import JoinOptions

    wish = JoinOptions(
        code=options.code or (options.address and options.address.code) or _given_code(),
        session_name=options.session,
        display_name=options.display_name,
        cache=options.cache,
        backend=options.backend,
        device=options.device,
        card=_card(options),
        clock_filter=options.clock_filter,
        may_host=options.may_host,
        microphone=options.microphone,
        relay=options.relay or "",
    )
    if options.address:
        wish = wish.with_invitation(options.address)
    return headless.run_join(headless.HeadlessJoinOptions(wish, _clock(options), options.desktop), terminal)


def _given_code() -> str:
    """The code in the environment variable, for services; empty without one. PhaseLockError if it cannot be one."""
    text = os.environ.get(CODE_VARIABLE)
    if text is not None and not normal_code(text):
        raise PhaseLockError("{variable}: {rule}", variable=CODE_VARIABLE, rule=Message(CODE_RULE))
    return normal_code(text or "")


def _card(options: argparse.Namespace) -> VirtualCard:
    from phaselock.audio.virtual_device import VirtualCard

    return VirtualCard.from_json(options.card) if options.card else VirtualCard()


def _clock(options: argparse.Namespace) -> LocalClock:
    from phaselock.app.headless import LocalClock

    return LocalClock(options.clock_skew_ppm, options.clock_ahead_s * 1_000_000_000)


def sessions(options: argparse.Namespace, terminal: Terminal) -> int:
    from phaselock.app import headless

    return headless.run_sessions(options.timeout, terminal)


def devices(options: argparse.Namespace, terminal: Terminal) -> int:
    from phaselock.app import headless

    return headless.run_devices(terminal)


def log(options: argparse.Namespace, terminal: Terminal) -> int:
    from phaselock.app import headless

    return headless.run_log(options.lines, terminal)


def reset(options: argparse.Namespace, terminal: Terminal) -> int:
    from phaselock.tools import reset

    return reset.run_reset(options.yes, terminal)


def install_desktop(parser: argparse.ArgumentParser, options: argparse.Namespace, terminal: Terminal) -> int:
    from phaselock.tools import install_desktop

    return install_desktop.run_install_desktop(options.remove, parser, terminal)


def doctor(options: argparse.Namespace, terminal: Terminal) -> int:
    from phaselock.tools import doctor

    return doctor.run_doctor(
        options.address,
        options.backend,
        options.device,
        terminal,
        options.code or _given_code(),
        asks_router=not options.no_router,
    )


def trace(options: argparse.Namespace, terminal: Terminal) -> int:
    from phaselock.tools.trace import run_trace

    return run_trace(options.address, options.output, options.seconds, terminal, options.code or _given_code())


def demo(options: argparse.Namespace, terminal: Terminal) -> int:
    from phaselock.tools import demo

    return demo.run(options.peers, options.seconds, options.skew_ppm, terminal)
