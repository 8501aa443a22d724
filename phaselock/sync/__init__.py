"""The session clock: the native clock threads of host and peer, and recorded clock exchanges."""
