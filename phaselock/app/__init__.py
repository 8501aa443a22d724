"""Sessions put together from their parts: without a screen and behind the window."""
