"""The commands doctor, trace, demo and reset, and their common parts."""
