"""The tune that `phaselock demo` plays, and the script that made it."""
