"""The benchmark harness: what anyone can measure of PhaseLock, compare and believe. Needs the extra `bench`."""
