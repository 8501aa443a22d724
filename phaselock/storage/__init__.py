"""Files of this computer: paths, settings, the cache of tracks, tags, collected MP3 files, the log, the inbox."""
