"""The command line: parses the arguments and runs the command."""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.util
import os
import shlex
import signal
import sys
from collections.abc import Sequence

from phaselock import __version__, cli_commands
from phaselock.bench import options as bench_options
from phaselock.console.arguments import (
    Parser,
    address,
    code,
    crossfade,
    invitation,
    loudness,
    name,
    number,
    opened,
    relay,
)
from phaselock.console.columns import wrapped
from phaselock.console.output import Terminal, replace_unprintable
from phaselock.console.secret import CODE_VARIABLE
from phaselock.errors import PhaseLockError
from phaselock.language import catalogue
from phaselock.language.catalogue import tr
from phaselock.model.address import DEFAULT_CLOCK_PORT, DEFAULT_GUEST_PORT, DEFAULT_OUTSIDE_PORT, DEFAULT_PORT
from phaselock.model.choices import BACKENDS, FILTERS
from phaselock.model.file_kinds import SONG_ENDINGS
from phaselock.model.group import DEFAULT_PEERS, MAX_PEERS
from phaselock.model.invitation import is_invitation
from phaselock.model.party import PRESETS
from phaselock.model.relay import RELAY_VARIABLE
from phaselock.session.events import Failed
from phaselock.session.sentences import notice_of

NATIVE = "phaselock._native"
SIGPIPE_STATUS = 128 + 13
"""Exit status after the reader of the output has closed it, as a shell reports it of other programs."""


def main(argv: Sequence[str]) -> int:
    """Run one command and return the exit status. Errors are printed. SystemExit for wrong arguments."""
    replace_unprintable()
    words = catalogue.use(catalogue.chosen(os.environ))
    options = parsed(argv)
    terminal = Terminal(as_json=options.json, quiet=options.quiet, words=words)
    try:
        status = _run(options, terminal)
        return SIGPIPE_STATUS if terminal.reader_is_gone else status
    except PhaseLockError as error:
        terminal.event(Failed(None, notice_of(error)), to_people=False)
        return _fail(terminal, error.text(words), 1)
    except (KeyboardInterrupt, RuntimeError) as error:
        # asyncio turns an interrupt into a RuntimeError while it closes its loop.
        if not isinstance(error, KeyboardInterrupt) and not isinstance(error.__context__, KeyboardInterrupt):
            raise
        if terminal.reader_is_gone:
            return SIGPIPE_STATUS
        return _fail(terminal, words.gettext("Interrupted."), 128 + signal.SIGINT)
    finally:
        terminal.close()


def _run(options: argparse.Namespace, terminal: Terminal) -> int:
    try:
        status: int = options.run(options, terminal)
    except ImportError as error:
        what = error.name or ""
        # The name in the error is "_native" if the extension does not load, and "phaselock" if it is missing.
        if what in (NATIVE, "_native") or (what == "phaselock" and importlib.util.find_spec(NATIVE) is None):
            raise PhaseLockError(
                "PhaseLock's native part does not load here ({reason}). "
                "Install PhaseLock with pip for this Python; in a checkout: pip install -e .",
                reason=str(error),
            ) from None
        if what.partition(".")[0] in ("", "phaselock"):
            raise
        raise PhaseLockError(
            "PhaseLock is not installed completely: {module} is missing; see pip check.", module=what
        ) from None
    return status


def _fail(terminal: Terminal, reason: str, status: int) -> int:
    terminal.close()
    columns = 0
    with contextlib.suppress(OSError, ValueError):  # no terminal
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    print(
        "\n".join(part for line in reason.split("\n") for part in wrapped(line, columns)), file=sys.stderr, flush=True
    )
    return status


# -- arguments ---------------------------------------------------------------------------------------------------------


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The options of a command line. A file, folder, playlist or invitation in place of a command opens the window.
    SystemExit for wrong arguments."""
    parser = command_line()
    commands = next(one.choices for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    first = argv[0] if argv else ""
    option = first.partition("=")[0]
    if option.startswith("-") and not any(own.startswith(option) for own in parser._option_string_actions):
        if option not in commands["window"]._option_string_actions:
            commands["window"].unknown_option(option)
        parser.option_of_a_command(option, shlex.join(["phaselock", "window", *argv]))
    if not first or first.startswith("-") or first in commands:
        return parser.parse_args(argv)
    if not (os.path.lexists(first) or first.startswith("file:") or is_invitation(first)):
        if os.path.basename(first) == first and not first.lower().endswith(SONG_ENDINGS):
            parser.unknown_command(first, commands)
        parser.error(tr("There is no file {file_name}.").format(file_name=first))
    return parser.parse_args(["window", *argv])


def command_line() -> Parser:
    """The parser of all commands and options."""
    parser = Parser("phaselock", description=tr("Synchronized music playback for groups."))
    parser.add_argument(
        "--version",
        action="version",
        version=f"%(prog)s {__version__}",
        help=tr("show program's version number and exit"),
    )
    commands = parser.add_subparsers(
        metavar=tr("COMMAND"),
        title=tr("commands (without one, or with files in its place, the window opens)"),
    )
    port = number(0, 65535)

    lines = Parser(add_help=False)
    lines.add_argument(
        "--json", action="store_true", help=tr("print one JSON object a line for everything that happens")
    )
    lines.add_argument("--quiet", action="store_true", help=tr("print warnings and errors only"))
    sound = Parser(add_help=False)
    sound.add_argument(
        "--backend",
        choices=(*BACKENDS, "virtual"),
        default="auto",
        help=tr("how to reach the sound card; null and virtual play into the void"),
    )
    sound.add_argument(
        "--device",
        metavar=tr("NAME"),
        help=tr("the output to play on (see phaselock devices); 'default' for the system's own choice"),
    )
    microphone = Parser(add_help=False)
    microphone.add_argument(
        "--microphone",
        metavar=tr("NAME"),
        nargs="?",
        const="",
        help=tr("the sound input for calibrate; with this option at a peer the host may listen without a question"),
    )
    laboratory = Parser(add_help=False)  # simulated machines: see phaselock/bench
    laboratory.add_argument("--clock-skew-ppm", type=number(-500, 500, float), default=0.0, help=argparse.SUPPRESS)
    laboratory.add_argument("--clock-ahead-s", type=number(0, 1e6), default=0, help=argparse.SUPPRESS)
    laboratory.add_argument("--card", metavar="JSON", help=argparse.SUPPRESS)
    laboratory.add_argument("--no-desktop", dest="desktop", action="store_false", help=argparse.SUPPRESS)
    coded = Parser(add_help=False)
    coded.add_argument(
        "--code",
        type=code,
        metavar=tr("CODE"),
        help=tr("the code of the jam, if it has one (also: {variable})").format(variable=CODE_VARIABLE),
    )
    relayed = Parser(add_help=False)
    relayed.add_argument(
        "--relay",
        type=relay,
        metavar=tr("URL"),
        help=tr(
            "the relay by which friends connect if no direct way leads to the host (also: {variable}); direct: no relay"
        ).format(variable=RELAY_VARIABLE),
    )
    person = Parser(add_help=False)
    person.add_argument("--as", dest="display_name", type=name, metavar=tr("NAME"), help=tr("your name in the jam"))

    parser.set_defaults(run=cli_commands.window, json=False, quiet=False, backend="auto", device=None, files=())
    window = commands.add_parser(
        "window",
        parents=[sound],
        help=tr("open the window (as without a command)"),
        description=tr(
            "Open the window. Files are added to the jam. If a window is open already, it comes to the front and "
            "receives the files, and no other one opens."
        ),
    )
    window.add_argument(
        "files",
        nargs="*",
        type=opened,
        metavar=tr("FILE"),
        help=tr("music files, folders or playlists to add, or an invitation to join"),
    )
    window.set_defaults(run=cli_commands.window, json=False, quiet=False)

    host = commands.add_parser(
        "host",
        parents=[person, relayed, sound, microphone, laboratory, lines],
        help=tr("host a jam"),
        description=tr("Host a jam and play music files in it."),
        epilog=tr(
            "Commands on standard input, one a line (help explains them): add PATH, search TEXT, "
            "add-found N, cancel, play [N], pause, resume, "
            "stop, seek SECONDS, next, previous, move FROM TO, remove N, undo, shuffle [on|off], repeat [on|off], "
            "loudness [off|on|LUFS], crossfade [off|SECONDS], silence [skip|play], save [--replace] FILE, "
            "requests, accept N, reject N, rules [choose|small|open|RULE VALUE...], "
            "vote N, unvote N, skip-vote, fallback PATH|off, guests, remove-guest NAME, allow-guest NAME, "
            "drop-peer NAME, allow NAME, retry [NAME], without NAME, "
            "peer-volume NAME 0..100|mute|unmute, calibrate [NAME] [at NAME=METRES...|walk], calibrate next, "
            "calibrate stop, levels [even|undo|reset], check [NAME|stop], say TEXT, volume [0..100], "
            "role [[NAME] left|right|mono|stereo], offset [MILLISECONDS|reset|anyway|forget], code [new|off|CODE], "
            "invite [ADDRESS], withdraw, guest-page [on|off|new-secret], "
            "peers, queue, status, hand-over [NAME], leave, quit."
        ),
    )
    host.add_argument(
        "files", nargs="*", metavar=tr("FILE"), help=tr("music files, folders or playlists to play, in this order")
    )
    host.add_argument("--session", type=name, metavar=tr("NAME"), help=tr("name of the jam (default: the last one)"))
    host.add_argument("--bind", metavar=tr("ADDRESS"), default="", help=tr("listen on this address only"))
    host.add_argument(
        "--port",
        type=port,
        metavar=tr("PORT"),
        help=tr("TCP port (default: the last one, at first {port})").format(port=DEFAULT_PORT),
    )
    host.add_argument(
        "--clock-port",
        type=port,
        metavar=tr("PORT"),
        help=tr("UDP port (default: the last one, at first {port})").format(port=DEFAULT_CLOCK_PORT),
    )
    host.add_argument("--unlisted", action="store_true", help=tr("do not announce the jam on the network"))
    host.add_argument(
        "--max-peers",
        type=number(1, MAX_PEERS),
        metavar=tr("N"),
        help=tr("let so many peers join, 1 to {most} (default: as last time, at first {number})").format(
            most=MAX_PEERS, number=DEFAULT_PEERS
        ),
    )
    host.add_argument(
        "--no-succession",
        dest="succession",
        action="store_false",
        help=tr("end the jam when this machine is gone, instead of letting another one be its host"),
    )
    host.add_argument(
        "--wait-peers", type=number(0, MAX_PEERS), metavar=tr("N"), help=tr("with --play: wait for so many peers")
    )
    host.add_argument(
        "--loudness",
        type=loudness,
        metavar="off|LUFS",
        help=tr("play all songs at this loudness, -30 to -8 (default: the last one, at first -16), or off"),
    )
    host.add_argument(
        "--crossfade",
        type=crossfade,
        metavar="off|S",
        help=tr("fade each song into the next one for so many seconds, 0 to 12, or off (default: as last time)"),
    )
    host.add_argument(
        "--skip-silence",
        action=argparse.BooleanOptionalAction,
        help=tr("leave out the silence at the ends of songs (default: as last time)"),
    )
    host.add_argument(
        "--rules",
        choices=tuple(PRESETS),
        help=tr("how songs that people ask for are taken and ordered (default: as last time; see rules)"),
    )
    host.add_argument(
        "--fallback",
        metavar=tr("PATH"),
        help=tr("a playlist or folder with songs that play when nothing else waits, or off (default: as last time)"),
    )
    host.add_argument(
        "--code",
        type=code,
        nargs="?",
        const=True,
        metavar=tr("CODE"),
        help=tr("who joins must know this code; without CODE the program makes one (also: {variable})").format(
            variable=CODE_VARIABLE
        ),
    )
    host.add_argument(
        "--library",
        metavar="off|" + tr("FOLDER"),
        help=tr("the folder whose songs search finds, or off (default: as last time)"),
    )
    host.add_argument(
        "--guests", action="store_true", help=tr("serve a page on which people with a phone ask for songs and vote")
    )
    host.add_argument(
        "--guest-port",
        type=port,
        metavar=tr("PORT"),
        help=tr("TCP port of that page (default: {port})").format(port=DEFAULT_GUEST_PORT),
    )
    host.add_argument(
        "--invite", action="store_true", help=tr("let a friend join from elsewhere, by the line that is printed")
    )
    host.add_argument(
        "--outside-port",
        type=port,
        metavar=tr("PORT"),
        help=tr("TCP port for friends elsewhere (default: {port})").format(port=DEFAULT_OUTSIDE_PORT),
    )
    host.add_argument("--play", action="store_true", help=tr("start to play by itself"))
    host.set_defaults(run=cli_commands.host)

    join = commands.add_parser(
        "join",
        parents=[person, coded, relayed, sound, microphone, laboratory, lines],
        help=tr("take part in a jam"),
        description=tr("Take part in the jam that is hosted at ADDRESS, or in the one that is found on the network."),
        epilog=tr(
            "Commands on standard input, one a line (help explains them): request PATH, requests, volume [0..100], "
            "levels [reset], role [left|right|mono|stereo], offset [MILLISECONDS|reset|anyway|forget], "
            "microphone [once|on|off], say TEXT, rules, vote N, unvote N, skip-vote, join INVITATION, queue, status, "
            "leave."
        ),
    )
    which = join.add_mutually_exclusive_group()
    which.add_argument(
        "address", nargs="?", type=invitation, metavar=tr("ADDRESS[:PORT]"), help=tr("where the jam is hosted")
    )
    which.add_argument("--session", type=name, metavar=tr("NAME"), help=tr("which of the jams that are found"))
    join.add_argument(
        "--never-host",
        dest="may_host",
        action="store_false",
        help=tr("never let this machine be the host when the host is gone"),
    )
    join.add_argument("--cache", metavar=tr("DIR"), help=tr("keep received files here"))
    join.add_argument("--clock-filter", choices=FILTERS, default=FILTERS[0], help=argparse.SUPPRESS)
    join.set_defaults(run=cli_commands.join)

    sessions = commands.add_parser(
        "sessions",
        parents=[lines],
        help=tr("list jams on this network"),
        description=tr("List the jams that announce themselves on this network."),
    )
    sessions.add_argument(
        "--timeout", type=number(0, 3600, float), default=3.0, metavar=tr("SECONDS"), help=tr("listen for so long")
    )
    sessions.set_defaults(run=cli_commands.sessions)

    devices = commands.add_parser(
        "devices",
        parents=[lines],
        help=tr("list audio outputs"),
        description=tr("List audio outputs, and how far the delay of each is known."),
    )
    devices.set_defaults(run=cli_commands.devices)

    log = commands.add_parser(
        "log",
        parents=[lines],
        help=tr("show the log"),
        description=tr(
            "Print where the log file is, and its end. PHASELOCK_LOG=DEBUG (or ERROR, WARN, INFO, TRACE) in "
            "the environment chooses what a jam writes there."
        ),
    )
    log.add_argument(
        "--lines", type=number(0, 100_000), default=20, metavar=tr("N"), help=tr("how many (default %(default)s)")
    )
    log.set_defaults(run=cli_commands.log)

    reset = commands.add_parser(
        "reset",
        help=tr("remove the settings, the received songs and the log"),
        description=tr(
            "Remove the settings, the received songs and the log of PhaseLock, after a question. Your own files stay."
        ),
    )
    reset.add_argument("--yes", action="store_true", help=tr("do not ask"))
    reset.set_defaults(run=cli_commands.reset, json=False, quiet=False)

    install = commands.add_parser(
        "install-desktop",
        help=tr("add PhaseLock to the menu of this desktop (Linux)"),
        description=tr(
            "Add PhaseLock to the menu, after an installation with pip: its icon, the manual page, and the command to "
            "open music files and playlists with it. For this user only."
        ),
    )
    install.add_argument("--remove", action="store_true", help=tr("take it out again"))
    install.set_defaults(run=functools.partial(cli_commands.install_desktop, parser), json=False, quiet=False)

    demo = commands.add_parser(
        "demo",
        parents=[lines],
        help=tr("hear and see it on this machine alone"),
        description=tr("Play a short tune with a host and peers on this machine, and show how well they keep time."),
    )
    demo.add_argument(
        "--peers",
        type=number(1, DEFAULT_PEERS),
        default=2,
        metavar=tr("N"),
        help=tr("how many peers (default %(default)s)"),
    )
    demo.add_argument(
        "--seconds",
        type=number(1, 600),
        default=20,
        metavar=tr("SECONDS"),
        help=tr("how long to play (default %(default)s)"),
    )
    demo.add_argument(
        "--skew-ppm",
        type=number(-500, 500, float),
        default=0.0,
        metavar="PPM",
        help=tr("let the peers' clocks go wrong by so much"),
    )
    demo.set_defaults(run=cli_commands.demo)

    doctor = commands.add_parser(
        "doctor",
        parents=[sound, coded, lines],
        help=tr("find out what keeps music from playing together"),
        description=tr(
            "Check this machine: window, sound output, ports, network, discovery, disk, and whether the router lets "
            "friends in from the internet; and with ADDRESS also the way to the jam there: name, firewall, both "
            "directions of the clock, how well it is heard. For that it takes one of the jam's places for some "
            "seconds, plays and fetches nothing, and nobody waits for it. Exit status 0: no problem, 1: see what to do."
        ),
    )
    doctor.add_argument(
        "address", nargs="?", type=address, metavar=tr("ADDRESS[:PORT]"), help=tr("where a jam is hosted")
    )
    doctor.add_argument(
        "--no-router",
        action="store_true",
        help=tr("do not ask the router whether it opens ports to the internet, as for an invitation"),
    )
    doctor.set_defaults(run=cli_commands.doctor)

    trace = commands.add_parser(
        "trace",
        parents=[coded, lines],
        help=tr("record how well a jam's clock is heard here"),
        description=tr(
            "Take part in a jam as a silent visitor, which takes one of its places, and write every exchange "
            "with the host's clock to a file, for phaselock bench clock --trace FILE. Nobody waits for it; only host "
            "--wait-peers counts it. Ctrl-C ends it; what came before is kept."
        ),
    )
    trace.add_argument("address", type=address, metavar=tr("ADDRESS[:PORT]"), help=tr("where the jam is hosted"))
    trace.add_argument("-o", "--output", metavar=tr("FILE"), help=tr("write here (default: phaselock-DATE-TIME.trace)"))
    trace.add_argument(
        "--seconds",
        type=number(1, 3600, float),
        default=60.0,
        metavar=tr("SECONDS"),
        help=tr("record for so long (default %(default)g)"),
    )
    trace.set_defaults(run=cli_commands.trace)

    bench_options.add_to(commands, lines, tr("measure how well it keeps time"))
    return parser
