"""Generate the manual page from the help of the command line, for packagers.

usage: python wheels/manual.py > phaselock.1
"""

from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from phaselock.cli import command_line  # noqa: E402
from phaselock.tools.manual import page  # noqa: E402

if __name__ == "__main__":
    sys.stdout.write(page(command_line()))
