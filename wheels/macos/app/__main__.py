"""Starts PhaseLock in its bundle for macOS."""

import sys

from phaselock.__main__ import main

sys.exit(main())
