"""Several machines out of one: networks, sessions, recordings, signals."""
