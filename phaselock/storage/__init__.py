"""Where files live: paths and the cache by content hash."""
