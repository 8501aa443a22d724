"""Kinds of music files. Each kind is one module."""
