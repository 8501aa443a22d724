"""A run as a page, as a table of the README, and against another run."""
