"""What stays on this machine: paths, settings, the cache by content hash, tags, the choice of files, the log."""
