"""Delays between recordings, and statistics."""
