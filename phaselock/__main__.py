"""`python -m phaselock`, and the launchers `phaselock` and `phaselock-window`."""

from __future__ import annotations

import sys


def main() -> int:
    """The command line; returns the exit status."""
    return _run(sys.argv[1:])


def window() -> int:
    """The window; returns the exit status. Its launcher opens no console on Windows."""
    return _run(["window", *sys.argv[1:]])


def _run(arguments: list[str]) -> int:
    from phaselock.console import message_box

    def command() -> int:
        from phaselock import cli

        return cli.main(arguments)

    return message_box.run(command)


if __name__ == "__main__":
    sys.exit(main())
