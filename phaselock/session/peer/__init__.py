"""A peer's side of a session, without I/O."""
