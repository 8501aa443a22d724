"""Assembles a session from its parts, for the command line and for the window."""
