"""The Python of another platform, made by `.ci/windows` or `.ci/arm64`: Windows under wine, or ARM64 under qemu."""

from __future__ import annotations

import os
import shlex

import pytest

FOREIGN = tuple(shlex.split(os.environ.get("PHASELOCK_FOREIGN_PYTHON", "")))
"""The command that runs it. It finds the modules of the checkout."""

needs_foreign = pytest.mark.skipif(not FOREIGN, reason="PHASELOCK_FOREIGN_PYTHON names no Python of another platform")
