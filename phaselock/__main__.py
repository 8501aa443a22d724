"""`python -m phaselock`."""

from __future__ import annotations

import sys


def main() -> int:
    """The command line; returns the exit status."""
    from phaselock import cli

    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
