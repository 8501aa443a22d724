"""A parser with short errors, types for its arguments, whose errors are sentences for users, and the texts of argparse
itself."""

from __future__ import annotations

import argparse
import difflib
import os
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from phaselock.console.secret import hide_argument
from phaselock.language.catalogue import tr
from phaselock.language.message import N_, Message
from phaselock.model.address import parse_address
from phaselock.model.code import CODE_RULE, normal_code
from phaselock.model.file_kinds import SONG_ENDINGS
from phaselock.model.invitation import Candidate, Invitation, is_invitation, parse_invitation
from phaselock.model.loudness import MAX_LUFS, MIN_LUFS, LoudnessChoice, parse_choice
from phaselock.model.names import PERSON_BYTES, PERSON_CHARS, person_name
from phaselock.model.relay import parse_relay
from phaselock.model.transitions import MAX_CROSSFADE_S, parse_crossfade

ARGPARSE_TEXTS = (
    N_("usage: "),
    N_("positional arguments"),
    N_("options"),
    N_("%(heading)s:"),
    N_("show this help message and exit"),
    N_("argument %(argument_name)s: %(message)s"),
    N_("the following arguments are required: %s"),
    N_("unrecognized arguments: %s"),
    N_("ambiguous option: %(option)s could match %(matches)s"),
    N_("ignored explicit argument %r"),
    N_("invalid choice: %(value)r (choose from %(choices)s)"),
    N_("invalid choice: %(value)r, maybe you meant %(closest)r? (choose from %(choices)s)"),
    N_("invalid %(type)s value: %(value)r"),
    N_("expected one argument"),
    N_("expected at most one argument"),
    N_("expected at least one argument"),
    Message.plural("expected %s argument", "expected %s arguments", 1),
    N_("not allowed with argument %s"),
    N_("one of the arguments %s is required"),
)
"""The texts that argparse of Python 3.11 to 3.14 can show for our commands. It takes them from gettext by itself."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors take two lines: argparse prints the whole usage before each."""

    def error(self, message: str) -> NoReturn:
        hint = tr("This shows what is possible: {command}").format(command=f"{self.prog} --help")
        self.exit(2, f"{self.prog}: {message}\n{hint}\n")

    def parse_known_args(  # type: ignore[override]  # argparse also takes namespaces of other types
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Called for each command: its own options are suggested in place of one that it does not have."""
        known, unknown = super().parse_known_args(args, namespace)
        option = next((one.partition("=")[0] for one in unknown if one.startswith("-")), None)
        if option is not None:
            self.unknown_option(option)
        return known, unknown

    def unknown_option(self, option: str) -> NoReturn:
        """The error for an option that this command does not have."""
        shown = [name for one in self._actions if one.help != argparse.SUPPRESS for name in one.option_strings]
        message = tr("there is no option {option}").format(option=option)
        if similar := difflib.get_close_matches(option, shown, 1, 0.6):
            form = tr("there is no option {option}; did you mean {similar}?")
            message = form.format(option=option, similar=similar[0])
        self.error(message)

    def option_of_a_command(self, option: str, command: str) -> NoReturn:
        """The error for an option in place of a command; `command` is the whole line that was probably meant."""
        self.error(tr("{option} belongs behind a command: {command}").format(option=option, command=command))

    def unknown_command(self, word: str, commands: Iterable[str]) -> NoReturn:
        """The error for a first word that is no command."""
        message = tr("there is no command {word}").format(word=word)
        if similar := difflib.get_close_matches(word.casefold(), commands, 1, 0.6):
            message = tr("there is no command {word}; did you mean {similar}?").format(word=word, similar=similar[0])
        self.error(message)


def name(text: str) -> str:
    """Check the name of a person or a session. argparse.ArgumentTypeError if it is not fit to be shown."""
    if not person_name(text):
        raise argparse.ArgumentTypeError(tr("a name needs at least one visible character"))
    if len(text.strip()) > PERSON_CHARS:
        raise argparse.ArgumentTypeError(tr("a name has at most {number} characters").format(number=PERSON_CHARS))
    if len(text.strip().encode("utf-8", "replace")) > PERSON_BYTES:
        raise argparse.ArgumentTypeError(tr("this name is too long for its script; please choose a shorter one"))
    return text


def address(text: str) -> tuple[str, int]:
    """Parse the address of a host: (host, port). argparse.ArgumentTypeError if it is invalid."""
    try:
        return parse_address(text)
    except ValueError:
        message = tr("{text} is not HOST, HOST:PORT or [IPV6]:PORT").format(text=repr(text))
        raise argparse.ArgumentTypeError(message) from None


def invitation(text: str) -> Invitation:
    """Parse the address of a host or an invitation, and hide one with a code from those who list the processes.
    argparse.ArgumentTypeError if it is invalid."""
    if not is_invitation(text):
        return Invitation((Candidate(*address(text)),))
    hide_argument(text)
    try:
        return parse_invitation(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(tr(str(error))) from None


def relay(text: str) -> str:
    """Parse the relay of a bridge. argparse.ArgumentTypeError if it is invalid."""
    try:
        return parse_relay(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(tr(str(error))) from None


def opened(text: str) -> str:
    """What the window is to open, as it is. An invitation is hidden from those who list the processes."""
    if is_invitation(text):
        hide_argument(text)
    return text


def code(text: str) -> str:
    """Parse the code of a session, and hide it from those who list the processes. argparse.ArgumentTypeError if it is
    too short or too long, or if it is a file: then it was meant as one."""
    hide_argument(text)
    if os.path.lexists(text) or os.path.basename(text) != text or text.lower().endswith(SONG_ENDINGS):
        message = tr("{text} is a file or a folder. Put --code behind the files").format(text=repr(text))
        raise argparse.ArgumentTypeError(message)
    if not (found := normal_code(text)):
        raise argparse.ArgumentTypeError(tr(CODE_RULE))
    return found


def loudness(text: str) -> LoudnessChoice:
    """Parse the loudness of all songs. argparse.ArgumentTypeError if it is invalid."""
    try:
        return parse_choice(text)
    except ValueError:
        form = tr("{text} is not on, off or a number from {low} to {high}")
        message = form.format(text=repr(text), low=f"{MIN_LUFS:g}", high=f"{MAX_LUFS:g}")
        raise argparse.ArgumentTypeError(message) from None


def crossfade(text: str) -> float:
    """Parse the length of the crossfade, in seconds. argparse.ArgumentTypeError if it is invalid."""
    try:
        return parse_crossfade(text)
    except ValueError:
        form = tr("{text} is not off or a number from {low} to {high}")
        message = form.format(text=repr(text), low=0, high=f"{MAX_CROSSFADE_S:g}")
        raise argparse.ArgumentTypeError(message) from None


def number(low: float, high: float, kind: type[int] | type[float] = int) -> Callable[[str], float]:
    """A function that parses a number of this type from `low` to `high`; it raises argparse.ArgumentTypeError."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(low - 1)
        if not low <= value <= high:
            message = tr("{text} is not a number from {low} to {high}").format(text=repr(text), low=low, high=high)
            raise argparse.ArgumentTypeError(message)
        return value

    return read
