"""Files of this computer: paths, settings, the cache of tracks, tags, collected music files, the log, the inbox."""
