"""The window. It has no session logic of its own: it shows snapshots and sends commands."""
