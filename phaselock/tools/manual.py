"""The manual page, made from the help of the command line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from phaselock import __version__


def page(parser: argparse.ArgumentParser) -> str:
    """The manual page of a parser and all its subcommands, in the man macros of roff."""
    return "\n".join(
        [
            f'.TH PHASELOCK 1 "" "PhaseLock {__version__}"',
            ".SH NAME",
            rf"phaselock \- {_text(parser.description or '').rstrip('.').lower()}",
            ".SH SYNOPSIS",
            _synopsis(parser),
            ".SH DESCRIPTION",
            "Without a command the window opens.",
            ".SH COMMANDS",
            *_commands(parser),
            ".SH ENVIRONMENT",
            ".TP\n.B PHASELOCK_HOME\nStores settings, cache and log in this folder.",
            ".TP\n.B PHASELOCK_LOG\nThe log level: ERROR, WARN, INFO, DEBUG or TRACE.",
            "",
        ]
    )


def _commands(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                if any(isinstance(one, argparse._SubParsersAction) for one in command._actions):
                    yield from _commands(command)
                    continue
                yield f".SS {_text(command.prog.partition(' ')[2])}"
                yield _synopsis(command)
                helps = {one.dest: one.help for one in action._choices_actions}
                yield ".PP\n" + _text(command.description or helps.get(name) or "")
                yield from map(_option, command._actions)
                if command.epilog:
                    yield ".PP\n" + _text(command.epilog)


def _option(action: argparse.Action) -> str:
    if action.help == argparse.SUPPRESS or isinstance(action, argparse._HelpAction):
        return '.\\"'
    formatter = argparse.HelpFormatter("phaselock")
    names = formatter._format_action_invocation(action)
    return f".TP\n.B {_text(names)}\n{_text(formatter._expand_help(action) if action.help else '')}"


def _synopsis(parser: argparse.ArgumentParser) -> str:
    usage = parser.format_usage().partition(": ")[2]
    return f".B {_text(' '.join(usage.split()))}"


def _text(text: str) -> str:
    plain = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^([.'])", r"\\&\1", plain, flags=re.MULTILINE)
