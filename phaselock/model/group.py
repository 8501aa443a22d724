"""How many machines a session may have."""

MAX_PEERS = 63
"""Most peers that a host may let in: 64 machines with it, as many as a calibration can tell apart (model/sweeps.py)."""
DEFAULT_PEERS = 5
"""As many as a host lets in that was told nothing else."""
MAX_CALIBRATED = 21
"""Most machines in one calibration or check."""
