"""A peer's side of a session, without input and output."""
