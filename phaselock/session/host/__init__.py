"""The host's side of a session, without input and output."""
