"""The exception for a host that breaks the protocol."""

from __future__ import annotations


class Breach(Exception):
    """The host broke the protocol; the text says how."""
