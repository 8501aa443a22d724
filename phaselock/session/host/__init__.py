"""The host's side of a session, without I/O."""
