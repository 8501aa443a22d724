"""The commands doctor, trace and demo, and their common parts."""
