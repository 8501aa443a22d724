"""The shared clock: drivers of the native clock threads."""
