"""How many machines a session may have."""

MAX_PEERS = 63
"""Most peers that a host may let in."""
DEFAULT_PEERS = 5
"""Number of peers that a host lets in by default."""
MAX_CALIBRATED = 32
"""Most machines in one calibration: its two passes take 53 s then."""
