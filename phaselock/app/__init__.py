"""Assembles a session from its parts, for the command line and for the window."""

import sys
from typing import Any, cast

# asyncio imports ssl if it can. That costs more than 1 MB of memory, and PhaseLock makes no TLS connection.
sys.modules.setdefault("ssl", cast(Any, None))
