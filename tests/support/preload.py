"""Libraries that are loaded before all others."""

from __future__ import annotations

import os


def preloading(library: os.PathLike[str]) -> dict[str, str]:
    """The environment variable that preloads a library, behind what this process has preloaded, as a sanitizer."""
    return {"LD_PRELOAD": " ".join(filter(None, (os.environ.get("LD_PRELOAD"), os.fspath(library))))}
